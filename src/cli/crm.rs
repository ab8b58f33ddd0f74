//! `careloop crm check`: one test task and one answer there and back, each step with its fix.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::context::Desk;
use super::http::{self, Answer};
use super::{Global, output};
use crate::clock;
use crate::config::Config;
use crate::outbox::envelope::ulid;
use crate::outbox::rabbit::Rabbit;
use crate::outbox::{Outgoing, Topology};

/// How long a step may take.
const LIMIT: Duration = Duration::from_secs(15);
/// How often a step looks whether it is done.
const LOOK: Duration = Duration::from_millis(100);

/// Commands about the CRM.
#[derive(Subcommand)]
pub(super) enum CrmCommand {
    /// Try the way of a task and of its answer with invented ones; leaves nothing behind.
    Check(CheckArgs),
}

/// What a check needs.
#[derive(Args)]
pub(super) struct CheckArgs {
    /// A file with a service token of the CRM (scope task:content); without it that step is left out.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The hub's address as the CRM reaches it; default: `public_url`.
    #[arg(long)]
    hub: Option<String>,
    /// The authority that signed the hub's certificate (PEM), for https.
    #[arg(long)]
    ca: Option<PathBuf>,
}

/// What became of a step: nothing more to say, left out and why, or failed and what to do.
enum Step {
    Ok(String),
    LeftOut(String),
    Failed(String),
}

/// Runs a command about the CRM.
pub(super) async fn run(global: &Global, command: CrmCommand) -> anyhow::Result<ExitCode> {
    let CrmCommand::Check(args) = command;
    let config = global.load()?;
    let desk = global.open().await?;
    let now = clock::now();
    let task = Uuid::now_v7();
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut failed = 0;
    let mut tell = |name: &str, step: Step| -> std::io::Result<()> {
        output::line(&match step {
            Step::Ok(what) => format!("ok        {name}: {what}"),
            Step::LeftOut(why) => format!("left out  {name}: {why}"),
            Step::Failed(fix) => {
                failed += 1;
                format!("failed    {name}: {fix}")
            }
        })
    };
    match broker(&config, &tracker, &stop).await {
        Err(step) => tell("broker", step)?,
        Ok(rabbit) => {
            tell(
                "broker",
                Step::Ok("connected, exchanges and queues stand".to_owned()),
            )?;
            tell("test task", test_task(&rabbit, &desk, task, now).await)?;
            tell("answer", test_answer(&rabbit, &desk, task, now).await)?;
        }
    }
    tell("content", content(&config, &args, task).await)?;
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn broker(
    config: &Config,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Rabbit, Step> {
    let Some(broker) = &config.broker else {
        let says = "no broker.url: tasks go to spool files; set it to try the way of a task";
        return Err(Step::LeftOut(says.to_owned()));
    };
    let failed = |error: &dyn std::fmt::Display| Step::Failed(error.to_string());
    let topology = Topology::of(&config.tenants).map_err(|error| failed(&error))?;
    let rabbit = Rabbit::start(broker, topology, tracker, stop.clone()).await;
    let rabbit = rabbit.map_err(|error| failed(&error))?;
    rabbit.ready(LIMIT).await.map_err(|error| failed(&error))?;
    Ok(rabbit)
}

/// A message on a routing key that no team has: only the check's own queue gets it.
async fn test_task(rabbit: &Rabbit, desk: &Desk, task: Uuid, now: Timestamp) -> Step {
    let body = json!({"test": true, "task": ulid(task), "at": now.to_string()}).to_string();
    let outgoing = Outgoing {
        message_id: ulid(Uuid::now_v7()),
        routing_key: format!("{}.crm-check.crm-check.routine", desk.tenant.name),
        body: body.clone().into_bytes(),
        expiration: Some(LIMIT),
    };
    match rabbit.there_and_back(&outgoing).await {
        Ok(back) if back == body.as_bytes() => {
            Step::Ok("published, confirmed, routed and taken".to_owned())
        }
        Ok(_) => Step::Failed("another body came back; look for what rewrites messages".to_owned()),
        Err(reason) => Step::Failed(reason.to_string()),
    }
}

/// An answer about a task that is nowhere: the running hub records it, and the check removes that.
async fn test_answer(rabbit: &Rabbit, desk: &Desk, task: Uuid, now: Timestamp) -> Step {
    let id = format!("crm-check-{}", ulid(task));
    let body = json!({
        "id": id, "task": ulid(task), "version": 1, "type": "accepted", "at": now.to_string(),
    });
    let outgoing = Outgoing {
        message_id: id.clone(),
        routing_key: desk.tenant.name.clone(),
        body: body.to_string().into_bytes(),
        expiration: Some(LIMIT),
    };
    if let Err(reason) = rabbit.answer(&outgoing).await {
        return Step::Failed(reason.to_string());
    }
    let until = now + SignedDuration::try_from(LIMIT).unwrap_or(SignedDuration::ZERO);
    while clock::now() < until {
        match desk.store.forget_test_answer(desk.id, &id).await {
            Ok(true) => return Step::Ok("the hub took it and recorded it".to_owned()),
            Ok(false) => tokio::time::sleep(LOOK).await,
            Err(error) => return Step::Failed(error.to_string()),
        }
    }
    let says = "the broker has it and no hub took it; start `careloop serve` on this configuration";
    Step::Failed(says.to_owned())
}

/// Asks for the content of a task that is nowhere: who is let in is told that there is none.
async fn content(config: &Config, args: &CheckArgs, task: Uuid) -> Step {
    let Some(file) = &args.token_file else {
        let says = "give --token-file with a token of `careloop token create --scope task:content`";
        return Step::LeftOut(says.to_owned());
    };
    let token = match crate::config::read(file, 4096) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(problem) => return Step::Failed(problem.to_string()),
    };
    let hub = args.hub.as_deref().unwrap_or(&config.public_url);
    let path = format!("/v1/tasks/{}/content?purpose=TREAT", ulid(task));
    let asked = tokio::time::timeout(LIMIT, http::get((hub, args.ca.as_deref()), &path, &token));
    let says = match asked.await {
        Err(_elapsed) => "no answer in time; look at the hub's log and at what is between".to_owned(),
        Ok(Err(error)) => format!("{error}"),
        Ok(Ok(Answer { status: 404 })) => {
            return Step::Ok("the token is in force; there is no such task, as it should be".to_owned());
        }
        Ok(Ok(Answer { status: 401 })) => {
            "the token is not in force here; see `careloop token list`".to_owned()
        }
        Ok(Ok(Answer { status: 403 })) => {
            "the token permits no content for TREAT; make one with --scope task:content --purpose TREAT"
                .to_owned()
        }
        Ok(Ok(Answer { status })) => {
            format!("expected 404 for a task that is nowhere, found {status}; see the hub's log")
        }
    };
    Step::Failed(says)
}
