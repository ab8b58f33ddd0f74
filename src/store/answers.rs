//! Answers of the CRM as rows: each once, with what it did to its task.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::{Error, Tx};
use crate::care::TaskState;

/// What a task event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEventEffect {
    /// It changed the task.
    Applied,
    /// It was recorded; the task's state does not take it.
    Recorded,
    /// It came before.
    Repeated,
    /// No such task here.
    UnknownTask,
}

impl Tx {
    /// Whose task it is, and its state.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn task_state(&mut self, task: Uuid) -> Result<Option<(Uuid, TaskState)>, Error> {
        let found = row!(
            self,
            (Uuid, String),
            "SELECT person, state FROM task WHERE tenant = $1 AND id = $2",
            task
        )?;
        found
            .map(|(person, state)| {
                TaskState::from_name(&state)
                    .map(|state| (person, state))
                    .ok_or(Error::Form { table: "task" })
            })
            .transpose()
    }

    /// Changes a task's state.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_task_state(
        &mut self,
        task: Uuid,
        state: TaskState,
        now: Timestamp,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET state = $3, changed_at = $4, ask_at = NULL WHERE tenant = $1 AND id = $2",
            task,
            state.name(),
            now.as_microsecond()
        )?;
        Ok(())
    }

    /// Records an answer of the CRM; `false` when it came before.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_task_event(
        &mut self,
        (id, task, kind): (&str, Uuid, &'static str),
        applied: bool,
        (at, now): (Timestamp, Timestamp),
    ) -> Result<bool, Error> {
        let touched = run!(
            self,
            "INSERT INTO task_event (tenant, id, task, kind, at, received_at, applied) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, id) DO NOTHING",
            id,
            task,
            kind,
            at.as_microsecond(),
            now.as_microsecond(),
            applied
        )?;
        Ok(touched == 1)
    }

    /// The contact point that a task's envelope named.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn task_contact(
        &mut self,
        task: Uuid,
    ) -> Result<Option<(Option<Vec<u8>>, Option<String>)>, Error> {
        Ok(row!(
            self,
            (Option<Vec<u8>>, Option<String>),
            "SELECT contact_point.value_index, outbox.channel FROM outbox LEFT JOIN contact_point ON contact_point.tenant = $1 AND contact_point.id = outbox.contact_point \
             WHERE outbox.tenant = $1 AND outbox.task = $2 AND outbox.kind <> 'cancelled' AND outbox.channel IS NOT NULL ORDER BY outbox.version DESC LIMIT 1",
            task
        )?)
    }
}
