//! `careloop task`: what left, what did not, and why.

use clap::Subcommand;
use uuid::Uuid;

use super::{Global, output};
use crate::store::TaskListing;

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
    /// Totals of tasks that did not leave, by reason.
    Withheld {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// How many envelopes wait, are under way, are sent.
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
        TaskCommand::Outbox { json } => {
            let counts = desk.store.outbox_counts(desk.id).await?;
            if json {
                output::json_line(&counts)?;
                return Ok(());
            }
            let rows = [
                ("waiting", counts.waiting),
                ("publishing", counts.publishing),
                ("sent", counts.sent),
                ("withdrawn", counts.withdrawn),
                ("dropped", counts.dropped),
                ("unroutable (of the waiting)", counts.unroutable),
            ];
            output::table(
                &["state", "count"],
                rows.map(|(name, count)| vec![name.to_owned(), count.to_string()]),
            )?;
        }
    }
    Ok(())
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
