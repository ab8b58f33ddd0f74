//! Test tasks of `careloop crm check` as rows. They belong to no person and no finding, so that nothing
//! that counts people, findings, tasks or contacts ever meets one.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dialect::{row, run};
use super::record::at;
use super::{AuditEntry, Error, Store, TaskEventEffect, TenantId, Tx};

/// How long a test task is kept after its end, for who looks up what was tried.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A test task: invented ids, and what became of it.
#[derive(Clone, Debug)]
pub struct TestTask {
    /// Its id, as that of a task.
    pub id: Uuid,
    /// The id of a person who is not there.
    pub person: Uuid,
    /// The id of their contact point.
    pub contact_point: Uuid,
    /// The id of the decision that its message names.
    pub decision: Uuid,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends, or ended.
    pub ends_at: Timestamp,
    /// When its content was last read.
    pub read_at: Option<Timestamp>,
    /// The first answer to it.
    pub answer: Option<String>,
}

impl TestTask {
    /// A test task with ids of its own.
    pub fn new(made_at: Timestamp, lasts: SignedDuration) -> Self {
        Self {
            id: Uuid::now_v7(),
            person: Uuid::now_v7(),
            contact_point: Uuid::now_v7(),
            decision: Uuid::now_v7(),
            made_at,
            ends_at: made_at.checked_add(lasts).unwrap_or(made_at),
            read_at: None,
            answer: None,
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at <= now
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    person: Uuid,
    contact_point: Uuid,
    decision: Uuid,
    made_at: i64,
    ends_at: i64,
    read_at: Option<i64>,
    answer: Option<String>,
}

impl Stored {
    fn open(self) -> TestTask {
        TestTask {
            id: self.id,
            person: self.person,
            contact_point: self.contact_point,
            decision: self.decision,
            made_at: at(self.made_at),
            ends_at: at(self.ends_at),
            read_at: self.read_at.map(at),
            answer: self.answer,
        }
    }
}

impl Tx {
    /// The test task of this id, or of this decision.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn test_task(&mut self, id: Uuid) -> Result<Option<TestTask>, Error> {
        let found = row!(
            self,
            Stored,
            "SELECT id, person, contact_point, decision, made_at, ends_at, read_at, answer FROM test_task \
             WHERE tenant = $1 AND (id = $2 OR decision = $2)",
            id
        )?;
        Ok(found.map(Stored::open))
    }

    /// Notes who reads a test task's content; it has to be committed before the first byte leaves.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn note_test_reading(
        &mut self,
        id: Uuid,
        token: Uuid,
        now: Timestamp,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE test_task SET token = $3, read_at = $4 WHERE tenant = $1 AND id = $2",
            id,
            token,
            now.as_microsecond()
        )?;
        Ok(())
    }

    /// Takes an answer to a test task; `None` where there is no such test task. Only the first answer
    /// before its end counts, once.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn answer_test_task(
        &mut self,
        id: Uuid,
        (event, answer): (&str, &'static str),
        now: Timestamp,
    ) -> Result<Option<TaskEventEffect>, Error> {
        let taken = run!(
            self,
            "UPDATE test_task SET event = $3, answer = $4, answered_at = $5 WHERE tenant = $1 AND id = $2 AND answered_at IS NULL AND ends_at > $5",
            id,
            event,
            answer,
            now.as_microsecond()
        )?;
        if taken == 1 {
            return Ok(Some(TaskEventEffect::Applied));
        }
        let kept = row!(
            self,
            (Option<String>,),
            "SELECT event FROM test_task WHERE tenant = $1 AND id = $2",
            id
        )?;
        Ok(kept.map(|(kept,)| match kept {
            Some(kept) if kept == event => TaskEventEffect::Repeated,
            _ => TaskEventEffect::Recorded,
        }))
    }
}

impl Store {
    /// Makes a test task, and removes those that ended long ago.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn make_test_task(
        &self,
        tenant: TenantId,
        task: &TestTask,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "DELETE FROM test_task WHERE tenant = $1 AND ends_at < $2",
            (task.made_at - KEPT).as_microsecond()
        )?;
        run!(
            tx,
            "INSERT INTO test_task (tenant, id, person, contact_point, decision, made_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            task.id,
            task.person,
            task.contact_point,
            task.decision,
            task.made_at.as_microsecond(),
            task.ends_at.as_microsecond()
        )?;
        tx.audit(entry).await?;
        tx.commit().await
    }

    /// A test task as it stands.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn test_task(&self, tenant: TenantId, id: Uuid) -> Result<Option<TestTask>, Error> {
        let mut tx = self.read(tenant).await?;
        tx.test_task(id).await
    }

    /// Ends a test task.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn end_test_task(
        &self,
        tenant: TenantId,
        id: Uuid,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE test_task SET ends_at = $3 WHERE tenant = $1 AND id = $2 AND ends_at > $3",
            id,
            entry.at.as_microsecond()
        )?;
        tx.audit(entry).await?;
        tx.commit().await
    }
}
