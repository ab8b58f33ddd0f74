//! Measures the hub against the limits of its store and broker, in one run:
//! `cargo bench --bench throughput -- --store sqlite`; `tests/bench/run` starts the services for it.
//!
//! Each round measures the limits and a yardstick, then the door alone (listener, raw store with
//! its duplicates, acknowledgement; with flushes of 2 ms on PostgreSQL, too), then a fresh hub (the
//! release program) that is sent invented messages over 1, 8 and 64 connections in a closed loop, a
//! quarter of which end in a task. The clock of the whole pipeline stops when nothing waits and the
//! broker has confirmed every task. Then an open loop at half of that, and the same hub with the
//! broker away. What is called lost was acknowledged, and is not in the store or in the queue.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command of its own: it prints, and is told by `tests/bench/run` where services are"
)]

mod door;
mod flush;
mod glue;
mod goals;
mod hub;
#[path = "../support/agreement.rs"]
mod agreement;
#[path = "../support/own.rs"]
mod own;
mod limits;
mod load;
mod messages;
mod queue;
mod report;
mod round;

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Parser, ValueEnum};

use hub::Services;
use report::Figures;
use round::Round;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// Acknowledged durable messages a second, and end to end to confirmed tasks, beside the limits.
#[derive(Parser)]
struct Arguments {
    /// Which store.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Kind,
    /// Rounds; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One round of a quarter of the messages and times.
    #[arg(long)]
    quick: bool,
    /// Seconds that the broker is away in each round; 0 leaves that out.
    #[arg(long, default_value_t = 30)]
    away: u64,
    /// Only take messages, as the configuration FILE says: what the bench runs as the door alone.
    #[arg(long, hide = true)]
    door: Option<PathBuf>,
    /// Cargo says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is set beside what in the report.
const RATIOS: &[(&str, &str)] = &[
    (
        "accepted alone/s, 1 connection",
        "glue persist/s, 1 connection",
    ),
    (
        "acknowledged/s, pipeline at work, 1 connection",
        "glue persist/s, 1 connection",
    ),
    (
        "accepted alone/s, 8 connections",
        "glue persist/s, 8 connections",
    ),
    (
        "acknowledged/s, pipeline at work, 8 connections",
        "glue persist/s, 8 connections",
    ),
    (
        "accepted alone/s, 64 connections",
        "glue persist/s, 64 connections",
    ),
    (
        "acknowledged/s, pipeline at work, 64 connections",
        "glue persist/s, 64 connections",
    ),
    (
        "whole pipeline/s, 1 connection",
        "glue persist+publish/s, 1 connection",
    ),
    (
        "whole pipeline/s, 8 connections",
        "glue persist+publish/s, 8 connections",
    ),
    (
        "whole pipeline/s, 64 connections",
        "glue persist+publish/s, 64 connections",
    ),
    ("glue persist/s, 1 connection", "limit: rows/s, 1 a commit"),
    (
        "glue persist/s, 64 connections",
        "limit: rows/s, 64 a commit",
    ),
    (
        "tasks confirmed/s, 64 connections",
        "limit: confirms/s, window 256",
    ),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.door {
        return door::serve(file).await;
    }
    let variable = |name: &str| std::env::var(name).ok();
    let services = Services {
        postgres: variable("CARELOOP_TEST_POSTGRES"),
        amqp: variable("CARELOOP_TEST_AMQP"),
        ctl: variable("CARELOOP_TEST_RABBITMQCTL").map(Into::into),
    };
    let (rounds, scale) = if arguments.quick {
        (1, 4)
    } else {
        (arguments.rounds, 1)
    };
    ensure!(rounds > 0, "--rounds: expected at least 1, found 0");
    println!("{}", report::machine());
    let mut figures = Figures::default();
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}");
        let round = Round {
            kind: arguments.store,
            services: &services,
            name: format!("bench_{}_{number}", std::process::id()),
            scale,
            away: std::time::Duration::from_secs(arguments.away),
        };
        round.run(&mut figures).await?;
    }
    println!(
        "\nstore {}, {} rounds, {}\n\n{}\n{}\n{}",
        arguments.store.name(),
        rounds,
        if services.amqp.is_some() {
            "RabbitMQ"
        } else {
            "spool file"
        },
        figures.table(RATIOS),
        goals::table(&figures),
        report::machine()
    );
    Ok(())
}
