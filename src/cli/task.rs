//! `careloop task`: what left, what did not, and why.

use clap::Subcommand;
use uuid::Uuid;

use super::{Global, output};

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
            let tasks = desk
                .store
                .task_list(desk.id, state.as_deref(), person, limit)
                .await?;
            if json {
                for task in &tasks {
                    output::json_line(task)?;
                }
                return Ok(());
            }
            let rows = tasks.into_iter().map(|task| {
                let why = task.reason.unwrap_or_default();
                vec![
                    task.id,
                    task.state,
                    task.mode,
                    task.routing_key,
                    task.due_at,
                    task.reason_codes.join(" "),
                    why,
                ]
            });
            output::table(
                &["id", "state", "mode", "goes to", "due", "reasons", "why"],
                rows,
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
