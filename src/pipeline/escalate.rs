//! Published tasks that nobody took in their time go to a wider team, the smallest useful one first.

use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use super::process::Pipeline;
use crate::care::{TaskEvent, TaskState};
use crate::store::{AuditEntry, NewEnvelope, Tx};

/// Tasks looked at in one step.
const BATCH: u32 = 64;
/// How often one task may go to a wider team; a circle of teams ends here, too.
const MOST: u32 = 3;

/// Looks at the clocks that have run out; gives how many.
///
/// # Errors
/// When the store is away; they stay due.
pub(super) async fn escalate(pipeline: &Pipeline, now: Timestamp) -> Result<usize, Error> {
    let due = pipeline
        .store
        .due_escalations(pipeline.tenant(), now, BATCH)
        .await?;
    let mut rerouted = false;
    for (task, person) in &due {
        let mut tx = pipeline.store.write(pipeline.tenant()).await?;
        let survivor = tx.survivor(*person).await?;
        // First the person, as everybody does who changes their tasks.
        tx.lock_person(survivor).await?;
        rerouted |= one(pipeline, &mut tx, (*task, *person), now).await?;
        tx.commit().await?;
    }
    if rerouted {
        pipeline.queued.notify_one();
    }
    Ok(due.len())
}

/// Whether the task is on its way to another team.
async fn one(
    pipeline: &Pipeline,
    tx: &mut Tx,
    (task, person): (Uuid, Uuid),
    now: Timestamp,
) -> Result<bool, Error> {
    let Some((state, key, due_at, escalations)) = tx.clock_of(task, now).await? else {
        return Ok(false);
    };
    let open = state.after(TaskEvent::Rerouted) == Some(TaskState::Queued) && due_at > now;
    let wider = pipeline.site.config.wider(&key);
    let action = match wider.filter(|_| open && escalations < MOST) {
        Some(routing_key) => {
            let envelope = NewEnvelope {
                id: Uuid::now_v7(),
                task,
                person,
                routing_key,
                due_at: now,
                expires_at: due_at,
                contact: None,
                message: None,
            };
            tx.reroute(&envelope, now).await?;
            "task.escalate"
        }
        None if open => {
            tx.set_unanswered(task, now).await?;
            "task.unanswered"
        }
        None => {
            tx.stop_clock(task, None).await?;
            return Ok(false);
        }
    };
    tx.audit(&AuditEntry {
        at: now,
        actor: "calendar".to_owned(),
        action,
        outcome: "done",
        purpose: None,
        entity: ("task", Some(task)),
        message: None,
        detail: Some(key),
    })
    .await?;
    Ok(action == "task.escalate")
}
