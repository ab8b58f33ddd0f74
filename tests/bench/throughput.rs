//! Measures the hub against the limits of its store and broker, in one run:
//! `cargo bench --bench throughput -- --store sqlite`; `tests/bench/run` starts the services for it.
//!
//! Each round measures the limits, then a fresh hub (the release program) that is sent invented
//! messages over 1, 8 and 64 connections in a closed loop, a quarter of which end in a task. The
//! clock of the whole pipeline stops when nothing waits and the broker has confirmed every task.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a command of its own: it prints, and is told by `tests/bench/run` where services are"
)]

mod glue;
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

use std::path::Path;

use anyhow::ensure;
use clap::{Parser, ValueEnum};

use hub::{Hub, Services};
use messages::{Author, TASK_EVERY};
use report::Figures;

/// Connections, and messages sent over them in a full round.
const LOADS: [(usize, usize); 3] = [(1, 1_000), (8, 4_000), (64, 8_000)];
/// Messages before the measuring begins: the first ones prepare statements and fill caches.
const WARM_UP: usize = 200;
/// What the broker keeps unconfirmed at once, as in `[broker] window`.
const WINDOW: usize = 256;

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
    /// One round of a quarter of the messages.
    #[arg(long)]
    quick: bool,
    /// Cargo says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is set beside what in the report.
const RATIOS: &[(&str, &str)] = &[
    (
        "acknowledged/s, 1 connection",
        "glue persist/s, 1 connection",
    ),
    (
        "acknowledged/s, 8 connections",
        "glue persist/s, 8 connections",
    ),
    (
        "acknowledged/s, 64 connections",
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
        };
        round.run(&mut figures).await?;
    }
    println!(
        "\nstore {}, {} rounds, {}\n\n{}\n{}",
        arguments.store.name(),
        rounds,
        if services.amqp.is_some() {
            "RabbitMQ"
        } else {
            "spool file"
        },
        figures.table(RATIOS),
        report::machine()
    );
    Ok(())
}

struct Round<'a> {
    kind: Kind,
    services: &'a Services,
    name: String,
    scale: usize,
}

impl Round<'_> {
    async fn run(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        self.limits(folder.path(), figures).await?;
        self.yardstick(figures).await?;
        let hub = Hub::start(folder.path(), self.kind.name(), self.services, &self.name).await?;
        eprintln!("the hub is process {}", hub.pid()?);
        if let Some(address) = &hub.broker {
            let rate = limits::rabbit(address, WINDOW, 8_000 / self.scale).await?;
            figures.add("limit: confirms/s, window 256", rate);
        }
        let mut author = Author::new(&self.name.replace('_', "-"))?;
        load::send(hub.address, 8, author.write(WARM_UP)).await?;
        let mut sent = WARM_UP;
        hub.settled(tasks(sent)).await?;
        hub.analyze().await?;
        for (connections, count) in LOADS {
            let count = count / self.scale;
            let messages = author.write(count);
            let before = hub.cpu()?;
            let seen = load::send(hub.address, connections, messages).await?;
            sent += count;
            hub.settled(tasks(sent)).await?;
            let took = seen.began.elapsed();
            let used = hub.cpu()?.saturating_sub(before);
            let noun = if connections == 1 {
                "connection"
            } else {
                "connections"
            };
            let mut add =
                |what: &str, value| figures.add(&format!("{what}, {connections} {noun}"), value);
            add("acknowledged/s", seen.rate());
            add("acknowledged p50 ms", seen.wait((50, 100)));
            add("acknowledged p99 ms", seen.wait((99, 100)));
            add("whole pipeline/s", load::per_second(count, took));
            add(
                "tasks confirmed/s",
                load::per_second(count / TASK_EVERY, took),
            );
            add(
                "processor us a message",
                1e6 / load::per_second(count, used),
            );
        }
        figures.add("most memory, MB", hub.memory()?);
        hub.stop(self.services).await
    }

    /// The glue beside it, where there is a PostgreSQL and a broker.
    async fn yardstick(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (Some(postgres), Some(amqp)) = (&self.services.postgres, &self.services.amqp) else {
            return Ok(());
        };
        for (name, broker) in [
            ("glue persist/s", None),
            ("glue persist+publish/s", Some(amqp.as_str())),
        ] {
            let glue = glue::start(postgres, broker).await?;
            let mut author = Author::new(&format!("glue-{}", broker.is_some()))?;
            load::send(glue.address, 8, author.write(WARM_UP)).await?;
            for (connections, count) in LOADS {
                let count = count / self.scale;
                let seen = load::send(glue.address, connections, author.write(count)).await?;
                let noun = if connections == 1 { "" } else { "s" };
                figures.add(
                    &format!("{name}, {connections} connection{noun}"),
                    seen.rate(),
                );
            }
        }
        Ok(())
    }

    async fn limits(&self, folder: &Path, figures: &mut Figures) -> anyhow::Result<()> {
        let (one, many) = (1_000 / self.scale, 200 / self.scale);
        match (self.kind, &self.services.postgres) {
            (Kind::Postgres, Some(address)) => {
                figures.add(
                    "limit: rows/s, 1 a commit",
                    limits::postgres(address, (1, 1), one).await?,
                );
                figures.add(
                    "limit: rows/s, 1 a commit, 8 connections",
                    limits::postgres(address, (8, 1), one).await?,
                );
                figures.add(
                    "limit: rows/s, 64 a commit",
                    limits::postgres(address, (1, 64), many).await?,
                );
                figures.add(
                    "limit: rows/s, 256 a commit, 2 connections",
                    limits::postgres(address, (2, 256), many / 2).await?,
                );
            }
            _ => {
                figures.add(
                    "limit: rows/s, 1 a commit",
                    limits::sqlite(folder, 1, one).await?,
                );
                figures.add(
                    "limit: rows/s, 64 a commit",
                    limits::sqlite(folder, 64, many).await?,
                );
            }
        }
        Ok(())
    }
}

/// The tasks that so many messages end in.
fn tasks(messages: usize) -> i64 {
    i64::try_from(messages / TASK_EVERY).unwrap_or(i64::MAX)
}
