//! `careloop crm check`: a test task and its answer all the way round, each step with its fix.

mod steps;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::context::Misused;
use super::{Global, output};
use crate::clock;
use crate::outbox::publisher::TASKS;
use crate::store::{AuditEntry, TestTask};
use steps::{Check, Step};

/// How long a test task lasts at least: then it ends by itself, whatever became of its check.
const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Commands about the CRM.
#[derive(Subcommand)]
pub(super) enum CrmCommand {
    /// Try the way of a task, its content and its answer with a test task about nobody.
    Check(CheckArgs),
}

/// What a check needs.
#[derive(Args)]
pub(super) struct CheckArgs {
    /// A file of mode 600 with a service token of the CRM (scopes task:content, decision:read,
    /// task-event:write); without it the steps over HTTP are left out.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The hub's address as the CRM reaches it; default: `public_url`.
    #[arg(long)]
    hub: Option<String>,
    /// The authority that signed the hub's certificate (PEM), for https.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The client's certificate (PEM), where the hub asks for one.
    #[arg(long, requires = "ca", requires = "key")]
    certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Give the test task to the CRM on this queue of a team, and wait for the CRM's own answer.
    #[arg(long)]
    queue: Option<String>,
    /// How many seconds the CRM has to answer, with --queue.
    #[arg(long, default_value_t = 60, requires = "queue", value_parser = clap::value_parser!(u16).range(1..=3600))]
    wait: u16,
}

impl CheckArgs {
    fn wait(&self) -> Duration {
        Duration::from_secs(u64::from(self.wait))
    }
}

/// Runs a command about the CRM.
pub(super) async fn run(global: &Global, command: CrmCommand) -> anyhow::Result<ExitCode> {
    let CrmCommand::Check(args) = command;
    let config = global.load()?;
    let desk = global.open().await?;
    let own = format!("{TASKS}.{}.", desk.tenant.name);
    if let Some(queue) = &args.queue
        && !queue.starts_with(&own)
    {
        let says = format!("--queue: expected {own}LOCATION.TEAM, as `careloop status` shows it");
        return Err(Misused(says).into());
    }
    let lasts = LASTS + SignedDuration::try_from(args.wait()).unwrap_or(SignedDuration::ZERO);
    let task = TestTask::new(clock::now(), lasts);
    let made = entry("crm.check.begin", &task, None);
    desk.store.make_test_task(desk.id, &task, &made).await?;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut check = Check::new(&config, &desk, &args, task);
    let mut failed: Vec<&str> = Vec::new();
    let mut tell = |name: &'static str, step: Step| -> std::io::Result<()> {
        output::line(&match step {
            Step::Ok(what) => format!("ok        {name}: {what}"),
            Step::LeftOut(why) => format!("left out  {name}: {why}"),
            Step::Failed(fix) => {
                failed.push(name);
                format!("failed    {name}: {fix}")
            }
        })
    };
    let told = async {
        tell("broker", check.broker(&tracker, &stop).await)?;
        tell("test task", check.test_task().await)?;
        tell("content", check.content().await)?;
        tell("re-check", check.recheck().await)?;
        tell("answer", check.answer().await)?;
        let ended = entry("crm.check.end", &check.task, None);
        let end = desk.store.end_test_task(desk.id, check.task.id, &ended);
        tell("end", check.end(end.await).await)
    };
    told.await?;
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn entry(action: &'static str, task: &TestTask, detail: Option<String>) -> AuditEntry {
    AuditEntry {
        at: clock::now(),
        actor: "crm-check".to_owned(),
        action,
        outcome: "done",
        purpose: None,
        entity: ("test-task", Some(task.id)),
        message: None,
        detail,
    }
}
