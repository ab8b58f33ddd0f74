//! The outbox as rows: claimed, decided about, published, confirmed.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::record::at;
use super::{Error, Tx};

/// What kind of envelope it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// The task, for the first time.
    Requested,
    /// The task with changed content.
    Revised,
    /// The task is withdrawn.
    Cancelled,
}

impl EnvelopeKind {
    fn from_name(name: &str) -> Self {
        match name {
            "cancelled" => Self::Cancelled,
            "revised" => Self::Revised,
            _ => Self::Requested,
        }
    }
}

/// An envelope that is due.
#[derive(Clone)]
pub struct ClaimedEnvelope {
    /// Its id.
    pub id: Uuid,
    /// The task.
    pub task: Uuid,
    /// The person, after merges.
    pub person: Uuid,
    /// The task's version.
    pub version: i64,
    /// What kind.
    pub kind: EnvelopeKind,
    /// Why it is withdrawn, for a cancellation.
    pub status_reason: Option<String>,
    /// Where it goes.
    pub routing_key: String,
    /// Not after.
    pub expires_at: Timestamp,
    /// How often it was tried.
    pub attempts: i64,
    /// Whether an earlier try may have arrived.
    pub in_doubt: bool,
    /// The message that caused it.
    pub message: Option<Uuid>,
}

impl ClaimedEnvelope {
    /// What its trace is called after: the message that led to it, else its task.
    pub fn trace(&self) -> Uuid {
        self.message.unwrap_or(self.task)
    }
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The broker has it.
    Confirmed,
    /// No queue wanted it; kept, alerted, tried again.
    Unroutable,
    /// The broker refused it.
    Refused,
    /// It may or may not have arrived; tried again under the same id.
    Unknown,
    /// It was never written to the broker.
    NotSent,
}

impl PublishOutcome {
    /// The outcome's stable name, as stored and counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unroutable => "unroutable",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::NotSent => "not-sent",
        }
    }
}

impl Tx {
    /// Envelopes that are due, none while an earlier version of its task is unsettled. Sorted by
    /// person, because that is the order in which people are locked.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn due_envelopes(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ClaimedEnvelope>, Error> {
        let mut found = rows!(
            self,
            StoredEnvelope,
            "SELECT id, task, person, version, kind, status_reason, routing_key, expires_at, attempts, last_outcome, message FROM outbox AS mine \
             WHERE tenant = $1 AND state = 'waiting' AND due_at <= $2 AND NOT EXISTS (\
             SELECT 1 FROM outbox AS earlier WHERE earlier.tenant = $1 AND earlier.task = mine.task AND earlier.version < mine.version AND earlier.state IN ('waiting', 'publishing')) \
             ORDER BY due_at LIMIT $3",
            now.as_microsecond(),
            i64::from(limit)
        )?;
        let people: Vec<Uuid> = found.iter().map(|row| row.person).collect();
        let survivors = self.survivors(&people).await?;
        for row in &mut found {
            // A merged person is decided about, and locked, as the survivor.
            row.person = survivors.get(&row.person).copied().unwrap_or(row.person);
        }
        found.sort_by_key(|row| (row.person, row.id));
        Ok(found.into_iter().map(StoredEnvelope::open).collect())
    }

    /// Whether a publish is past its deadline without an answer.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn has_overdue_publishing(&mut self, now: Timestamp) -> Result<bool, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT count(*) FROM outbox WHERE tenant = $1 AND state = 'publishing' AND claim_deadline < $2",
            now.as_microsecond()
        )?;
        Ok(found.is_some_and(|(count,)| count > 0))
    }

    /// Has the calendar look at a person at `at` or before.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn look_at(&mut self, person: Uuid, at: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE person SET next_check_at = $3 WHERE tenant = $1 AND id = $2 AND (next_check_at IS NULL OR next_check_at > $3)",
            person,
            at.as_microsecond()
        )?;
        Ok(())
    }

    /// Moves a waiting envelope to a later time.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) async fn postpone(&mut self, id: Uuid, due: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE outbox SET due_at = $3 WHERE tenant = $1 AND id = $2 AND state = 'waiting'",
            id,
            due.as_microsecond()
        )?;
        Ok(())
    }

    /// Ends a waiting envelope that shall not leave: `withdrawn`, or `dropped` when it is too late.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) async fn end_envelope(
        &mut self,
        id: Uuid,
        state: &'static str,
        reason: &'static str,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE outbox SET state = $3, status_reason = $4 WHERE tenant = $1 AND id = $2 AND state = 'waiting'",
            id,
            state,
            reason
        )?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct StoredEnvelope {
    id: Uuid,
    task: Uuid,
    person: Uuid,
    version: i64,
    kind: String,
    status_reason: Option<String>,
    routing_key: String,
    expires_at: i64,
    attempts: i64,
    last_outcome: Option<String>,
    message: Option<Uuid>,
}

impl StoredEnvelope {
    fn open(self) -> ClaimedEnvelope {
        ClaimedEnvelope {
            id: self.id,
            task: self.task,
            person: self.person,
            version: self.version,
            kind: EnvelopeKind::from_name(&self.kind),
            status_reason: self.status_reason,
            routing_key: self.routing_key,
            expires_at: at(self.expires_at),
            attempts: self.attempts,
            in_doubt: self.last_outcome.as_deref() == Some("unknown"),
            message: self.message,
        }
    }
}
