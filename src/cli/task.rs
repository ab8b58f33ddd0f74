//! `careloop task`: what left, what did not, and why.

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Desk;
use super::{Asker, Global, output, story};
use crate::clock;
use crate::outbox::envelope;
use crate::store::{OutboxCounts, Record, TaskListing, TaskRow};

/// Commands about tasks.
#[derive(Subcommand)]
pub(super) enum TaskCommand {
    /// List tasks, the newest first; shows ids, states and reasons, no protected data.
    List {
        /// In this state, such as queued, requested, withheld, deferred, observed.
        #[arg(long)]
        state: Option<String>,
        /// Of this person.
        #[arg(long)]
        person: Option<Uuid>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a task with every reason of it, in words, and its story; leaves an audit entry.
    Show {
        /// The task's id, as `task list` or as a message shows it.
        #[arg(value_parser = id)]
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Totals of tasks that did not leave, by reason.
    Withheld {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Tell what happened to a task, in sentences: versions, decisions, answers, escalations, and
    /// what is next; shows no protected data.
    Story {
        /// The task's id, as `task list` or as a message shows it.
        #[arg(value_parser = id)]
        id: Uuid,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// How many envelopes wait, are under way, are sent; how many tasks nobody answered.
    Outbox {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about tasks.
pub(super) async fn run(global: &Global, command: TaskCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        TaskCommand::List {
            state,
            person,
            limit,
            json,
        } => {
            let state = state.as_deref();
            list(
                &desk.store.task_list(desk.id, state, person, limit).await?,
                json,
            )?;
        }
        TaskCommand::Show { id, asker, json } => show(&desk, (id, &asker), json).await?,
        TaskCommand::Withheld { json } => {
            let totals = desk.store.withheld(desk.id).await?;
            if json {
                for total in &totals {
                    output::json_line(total)?;
                }
                return Ok(());
            }
            let rows = totals
                .into_iter()
                .map(|total| vec![total.state, total.reason, total.count.to_string()]);
            output::table(&["state", "reason", "count"], rows)?;
        }
        TaskCommand::Story { id, json } => {
            let told = desk.store.task_story(desk.id, id).await?;
            let told = told.with_context(|| format!("no task {id}; see `careloop task list`"))?;
            if json {
                output::json_line(&told)?;
            } else {
                story::tell(&told)?;
            }
        }
        TaskCommand::Outbox { json } => {
            outbox(&desk.store.outbox_counts(desk.id).await?, json)?;
        }
    }
    Ok(())
}

fn outbox(counts: &OutboxCounts, json: bool) -> std::io::Result<()> {
    if json {
        return output::json_line(counts);
    }
    let rows = [
        ("waiting", counts.waiting),
        ("publishing", counts.publishing),
        ("sent", counts.sent),
        ("withdrawn", counts.withdrawn),
        ("dropped", counts.dropped),
        ("unroutable (of the waiting)", counts.unroutable),
        ("tasks that nobody answered", counts.unanswered),
    ];
    output::table(
        &["state", "count"],
        rows.map(|(name, count)| vec![name.to_owned(), count.to_string()]),
    )
}

fn list(tasks: &[TaskListing], json: bool) -> std::io::Result<()> {
    if json {
        return tasks.iter().try_for_each(output::json_line);
    }
    let rows = tasks.iter().map(|task| {
        vec![
            task.id.clone(),
            task.state.clone(),
            task.mode.clone(),
            task.routing_key.clone(),
            task.due_at.clone(),
            task.reason_codes.join(" "),
            task.reason.clone().unwrap_or_default(),
        ]
    });
    output::table(
        &["id", "state", "mode", "goes to", "due", "reasons", "why"],
        rows,
    )
}

/// A task's id as UUID or, as messages spell it, as ULID.
fn id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text)
        .ok()
        .or_else(|| envelope::from_ulid(text))
        .ok_or_else(|| "expected a task's id, as a UUID or a ULID".to_owned())
}

async fn show(desk: &Desk, (id, asker): (Uuid, &Asker), json: bool) -> anyhow::Result<()> {
    let missing = || format!("no task {id}; see `careloop task list`");
    let now = clock::now();
    let mut tx = desk.store.read(desk.id).await?;
    let found = tx.task_state(id).await?;
    drop(tx);
    let (person, _) = found.with_context(missing)?;
    let entry = asker.entry("task.show", ("task", Some(id)));
    let person = desk.store.person(desk.id, person, &entry, now).await?;
    let person = person.with_context(missing)?;
    let record = person.record.open();
    let task = record.tasks.iter().find(|task| task.id == id);
    let task = task.with_context(missing)?;
    let listed = desk
        .store
        .task_list(desk.id, None, Some(task.person), u32::MAX)
        .await?;
    let listed = listed.iter().find(|one| one.id == id.to_string());
    if json {
        output::json_line(&document(record, task, listed))?;
        return Ok(());
    }
    let mut rows = vec![
        vec!["task".to_owned(), id.to_string()],
        vec!["in messages".to_owned(), envelope::ulid(id)],
        vec!["person".to_owned(), task.person.to_string()],
        vec!["to do".to_owned(), task.detail.code.name().to_owned()],
        vec!["state".to_owned(), task.state.name().to_owned()],
        vec!["version".to_owned(), task.version.to_string()],
        vec!["goes to".to_owned(), task.routing_key.clone()],
        vec!["due".to_owned(), task.due_at.to_string()],
    ];
    if let Some(why) = listed.and_then(|one| one.reason.clone()) {
        rows.push(vec!["consent".to_owned(), why]);
    }
    output::page(&["what", "is"], rows)?;
    output::line("")?;
    let rows = topics(record, task).into_iter().map(|topic| {
        let text = |key: &str| {
            let found = topic.get(key).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        vec![text("rule"), text("due"), text("stands"), text("sentence")]
    });
    output::page(&["reason", "due", "stands", "why"], rows)?;
    if let Some(told) = desk.store.task_story(desk.id, id).await? {
        output::line("")?;
        story::tell(&told)?;
    }
    Ok(())
}

fn document(record: &Record, task: &TaskRow, listed: Option<&TaskListing>) -> Value {
    json!({
        "id": task.id.to_string(),
        "ulid": envelope::ulid(task.id),
        "person": task.person.to_string(),
        "state": task.state,
        "mode": listed.map(|one| one.mode.clone()),
        "version": task.version,
        "code": task.detail.code,
        "priority": task.detail.priority,
        "channels": task.detail.channels,
        "content": task.detail.content,
        "routing_key": task.routing_key,
        "created_at": task.created_at.to_string(),
        "due_at": task.due_at.to_string(),
        "decision": listed.and_then(|one| one.decision.clone()),
        "reason_codes": listed.map(|one| one.reason_codes.clone()),
        "consent": listed.and_then(|one| one.reason.clone()),
        "topics": topics(record, task),
    })
}

/// Every reason, those that ended too, with what its finding says now.
fn topics(record: &Record, task: &TaskRow) -> Vec<Value> {
    let findings = &record.findings;
    let topics = task.detail.topics.iter().map(|topic| {
        let finding = findings.iter().find(|finding| finding.id == topic.finding);
        let stands = topic.ended.map_or_else(
            || "yes".to_owned(),
            |(_, why)| format!("no: {}", why.name()),
        );
        json!({
            "finding": topic.finding.to_string(),
            "rule": topic.rule,
            "kind": topic.kind,
            "content": topic.content,
            "priority": topic.priority,
            "due": topic.gap_due.map(|due| due.to_string()),
            "due_at": topic.due_at.to_string(),
            "added_at": topic.added_at.to_string(),
            "stands": stands,
            "ended_at": topic.ended.map(|(at, _)| at.to_string()),
            "finding_state": finding.map(|finding| finding.state),
            "sentence": finding.map(|finding| finding.detail.reason.clone()),
        })
    });
    topics.collect()
}
