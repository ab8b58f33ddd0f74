//! A week in an hour: a generated feed of three clinics, a CRM that answers, outages, and a checker that proves what must
//! hold. `tests/week/run` starts it with its services.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program of the tests: what it finds missing ends it, and it prints its findings"
)]

mod check;
#[cfg(test)]
mod check_tests;
mod contacts;
mod crm;
mod gather;
mod history;
mod hours;
mod hub;
#[path = "../support/agreement.rs"]
mod agreement;
#[path = "../support/own.rs"]
mod own;
mod plan;
mod run;
mod sender;
mod text;
mod time;
mod troubles;
#[cfg(test)]
mod troubles_tests;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::check::{KINDS, Violation};
use crate::history::History;

/// A week of three clinics, in minutes.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// How many minutes the week takes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=600))]
    pub(crate) minutes: i64,
    /// sqlite or postgres.
    #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
    pub(crate) store: String,
    /// What the week is drawn from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many people; left out, forty for each minute.
    #[arg(long)]
    pub(crate) people: Option<usize>,
    /// The hub's program.
    #[arg(long)]
    pub(crate) program: PathBuf,
    /// The clock that is preloaded into it.
    #[arg(long)]
    pub(crate) clock: String,
    /// An empty folder for everything that the run writes.
    #[arg(long)]
    pub(crate) folder: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let history = run::week(&arguments).await?;
    let policy = hours::Policy::read(&hub::policy())?;
    let found = check::check(&history, &policy);
    report(&arguments, &history, &found);
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(arguments: &Arguments, history: &History, found: &[Violation]) {
    let crm = &history.crm;
    let count = |kind: &str| crm.received.iter().filter(|one| one.kind == kind).count();
    println!(
        "\na week in {} minutes, store {}, seed {}",
        arguments.minutes, arguments.store, arguments.seed
    );
    println!(
        "people {}, messages sent {}, writes {}",
        history.states.len(),
        history.sent.len(),
        history.sent.iter().map(|one| one.tries).sum::<u32>()
    );
    println!("message count: {}", history.counts);
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for task in &history.tasks {
        *states
            .entry(task["state"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    println!("tasks {}: {states:?}", history.tasks.len());
    println!(
        "CRM: {} requested, {} revised, {} cancelled; content given {}, refused {:?}; answers {}",
        count("requested"),
        count("revised"),
        count("cancelled"),
        crm.released.len(),
        crm.refused,
        crm.answered.len()
    );
    println!(
        "stops {}, merges {}, notices {}, outages {}",
        history.stops.len(),
        history.links.len(),
        history.notices.len(),
        history.outages.len()
    );
    println!(
        "moments of two processes are compared with a slack of {:#}",
        history.slack
    );
    for kind in KINDS {
        let of: Vec<&Violation> = found.iter().filter(|one| one.kind == *kind).collect();
        println!(
            "{kind:16} {}",
            if of.is_empty() {
                "ok".to_owned()
            } else {
                of.len().to_string()
            }
        );
        for one in of {
            println!("    {} {}", one.id, one.told);
        }
    }
}
