//! Answers of the CRM as rows: each once, with what it did to its task.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::record::at;
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

/// What is to be known of a task to judge an answer about it.
#[derive(Clone, Debug)]
pub struct AnsweredTask {
    /// The person.
    pub person: Uuid,
    /// The findings that it stands for.
    pub findings: Vec<TaskFinding>,
    /// Its state.
    pub state: TaskState,
    /// When it is due.
    pub due_at: Timestamp,
    /// The newest version that left, or may have.
    pub sent_version: i64,
    /// When the latest answer that changed something happened.
    pub last_at: Option<Timestamp>,
    /// The contact point that the answered version named, with its blind index.
    pub contact: (Option<Uuid>, Option<Vec<u8>>),
    /// The channel that it named.
    pub channel: Option<String>,
}

/// A finding that a task stands for.
#[derive(Clone, Debug)]
pub struct TaskFinding {
    /// The person whose record holds it.
    pub person: Uuid,
    /// Its id.
    pub id: Uuid,
    /// Its rule, which tells a diagnosis: not for logs.
    pub rule: String,
}

#[derive(sqlx::FromRow)]
struct StoredAnswered {
    person: Uuid,
    state: String,
    due_at: i64,
    sent_version: i64,
    last_at: Option<i64>,
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

    /// The findings that a task stands for: they are sealed with the task.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn findings_of_task(
        &mut self,
        (person, task): (Uuid, Uuid),
        now: Timestamp,
    ) -> Result<Vec<TaskFinding>, Error> {
        let Some(record) = self.load(person, now).await? else {
            return Ok(Vec::new());
        };
        let stands = |finding| {
            let mut tasks = record.tasks.iter();
            tasks.any(|known| known.id == task && known.stands_for(finding))
        };
        let findings = record.findings.iter();
        Ok(findings
            .filter(|finding| stands(finding.id))
            .map(|finding| TaskFinding {
                person: finding.person,
                id: finding.id,
                rule: finding.detail.rule.clone(),
            })
            .collect())
    }

    /// The task that an answer to `version` is about, without its findings; `None` where there is
    /// none here.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn answered_task(
        &mut self,
        task: Uuid,
        version: u32,
    ) -> Result<Option<AnsweredTask>, Error> {
        let found = row!(
            self,
            StoredAnswered,
            "SELECT person, state, due_at, \
             (SELECT coalesce(max(version), 0) FROM outbox WHERE outbox.tenant = $1 AND outbox.task = task.id AND (outbox.state IN ('sent', 'publishing') OR outbox.last_outcome = 'unknown')) AS sent_version, \
             (SELECT max(at) FROM task_event WHERE task_event.tenant = $1 AND task_event.task = task.id AND applied) AS last_at \
             FROM task WHERE tenant = $1 AND id = $2",
            task
        )?;
        let Some(found) = found else {
            return Ok(None);
        };
        let named = row!(
            self,
            (Option<Uuid>, Option<Vec<u8>>, Option<String>),
            "SELECT outbox.contact_point, contact_point.value_index, outbox.channel FROM outbox LEFT JOIN contact_point ON contact_point.tenant = $1 AND contact_point.id = outbox.contact_point \
             WHERE outbox.tenant = $1 AND outbox.task = $2 AND outbox.kind <> 'cancelled' AND outbox.channel IS NOT NULL AND (outbox.version <= $3 OR outbox.version = 1) ORDER BY outbox.version DESC LIMIT 1",
            task,
            i64::from(version)
        )?;
        let (contact_point, value_index, channel) = named.unwrap_or((None, None, None));
        Ok(Some(AnsweredTask {
            person: found.person,
            findings: Vec::new(),
            state: TaskState::from_name(&found.state).ok_or(Error::Form { table: "task" })?,
            due_at: at(found.due_at),
            sent_version: found.sent_version,
            last_at: found.last_at.map(at),
            contact: (contact_point, value_index),
            channel,
        }))
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
        event: &RecordedEvent<'_>,
        applied: bool,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let touched = run!(
            self,
            "INSERT INTO task_event (tenant, id, task, kind, at, received_at, applied, version, topic, effect) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, id) DO NOTHING",
            event.id,
            event.task,
            event.kind,
            event.at.as_microsecond(),
            now.as_microsecond(),
            applied,
            i64::from(event.version),
            event.topic,
            event.effect
        )?;
        Ok(touched == 1)
    }
}

/// An answer as it is kept.
#[derive(Clone, Copy)]
pub struct RecordedEvent<'a> {
    /// The sender's id of it.
    pub id: &'a str,
    /// The task.
    pub task: Uuid,
    /// The version that it spoke of.
    pub version: u32,
    /// What it says.
    pub kind: &'static str,
    /// The one topic it speaks of.
    pub topic: Option<Uuid>,
    /// When it happened.
    pub at: Timestamp,
    /// What became of it, in a word.
    pub effect: &'static str,
}
