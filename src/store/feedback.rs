//! What answers leave behind, as rows: contacts made, clocks, holds, tasks that came back.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::effects::NewEnvelope;
use super::record::at;
use super::{Error, Store, TenantId, Tx};
use crate::care::TaskState;
use crate::consent::Hold;

/// A contact that the CRM told of.
pub struct ContactMade<'a> {
    /// The person.
    pub person: Uuid,
    /// The task.
    pub task: Uuid,
    /// The contact point that its envelope named, with its blind index.
    pub contact: (Option<Uuid>, Option<&'a [u8]>),
    /// The channel.
    pub channel: &'a str,
    /// What kind of contact: `attempted`, `left-message`, `reached`.
    pub kind: &'static str,
    /// When.
    pub at: Timestamp,
}

/// An envelope that the broker gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its task.
    pub task: Uuid,
    /// The person of the task.
    pub person: Uuid,
    /// The task's state.
    pub state: TaskState,
    /// Whether it is the task's newest version, and no cancellation.
    pub is_newest: bool,
    /// Whether it had come back before.
    pub is_repeated: bool,
}

/// A hold that stands until somebody lifts it.
#[derive(Clone, Debug)]
pub struct StandingHold {
    /// The person.
    pub person: Uuid,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Tx {
    /// Adds a contact to the communications history.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn add_contact_made(&mut self, made: &ContactMade<'_>) -> Result<(), Error> {
        run!(
            self,
            "INSERT INTO contact_attempt (tenant, id, person, task, contact_point, value_index, channel, kind, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            Uuid::now_v7(),
            made.person,
            made.task,
            made.contact.0,
            made.contact.1,
            made.channel,
            made.kind,
            made.at.as_microsecond()
        )?;
        run!(
            self,
            "UPDATE task SET contacts = contacts + 1 WHERE tenant = $1 AND id = $2",
            made.task
        )?;
        Ok(())
    }

    /// Notes that somebody works on a task: its time to be taken no longer runs.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn stop_clock(
        &mut self,
        task: Uuid,
        accepted: Option<Timestamp>,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET accepted_at = coalesce(accepted_at, $3), escalate_at = NULL, unanswered_at = NULL WHERE tenant = $1 AND id = $2",
            task,
            accepted.map(Timestamp::as_microsecond)
        )?;
        Ok(())
    }

    /// Starts the time in which a published task is to be taken, unless it runs already or somebody
    /// has the task.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn start_clock(&mut self, envelope: Uuid, until: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET escalate_at = coalesce(escalate_at, $3) WHERE tenant = $1 AND state = $4 AND accepted_at IS NULL \
             AND id = (SELECT task FROM outbox WHERE tenant = $1 AND id = $2 AND kind <> 'cancelled')",
            envelope,
            until.as_microsecond(),
            TaskState::Requested.name()
        )?;
        Ok(())
    }

    /// When a task whose state the CRM moved is to be asked again.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn ask_task_at(&mut self, task: Uuid, when: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET ask_at = $3 WHERE tenant = $1 AND id = $2",
            task,
            when.as_microsecond()
        )?;
        Ok(())
    }

    /// Ends a contact point as somebody else's, for the person and everybody merged into them.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn end_wrong_contact(
        &mut self,
        person: Uuid,
        value_index: &[u8],
        now: Timestamp,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE contact_point SET wrong_at = $4 WHERE tenant = $1 AND value_index = $3 AND ended_at IS NULL AND person IN (\
             WITH RECURSIVE member (id) AS (SELECT id FROM person WHERE tenant = $1 AND id = $2 \
             UNION SELECT link.retired FROM person_link AS link JOIN member ON link.survivor = member.id WHERE link.tenant = $1 AND link.until_at IS NULL) \
             SELECT id FROM member)",
            person,
            value_index,
            now.as_microsecond()
        )?;
        Ok(())
    }

    /// Stops all outreach to a person until the hold is lifted; once for each reason.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn put_hold(
        &mut self,
        person: Uuid,
        hold: Hold,
        now: Timestamp,
    ) -> Result<(), Error> {
        let stands = row!(
            self,
            (i64,),
            "SELECT count(*) FROM outreach_hold WHERE tenant = $1 AND person = $2 AND reason = $3 AND until_at IS NULL",
            person,
            hold.name()
        )?;
        if stands.is_some_and(|(count,)| count > 0) {
            return Ok(());
        }
        run!(
            self,
            "INSERT INTO outreach_hold (tenant, id, person, reason, since_at) VALUES ($1, $2, $3, $4, $5)",
            Uuid::now_v7(),
            person,
            hold.name(),
            now.as_microsecond()
        )?;
        Ok(())
    }

    /// Lifts a person's standing holds of one reason; gives how many there were.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn lift_holds(&mut self, person: Uuid, hold: Hold) -> Result<u64, Error> {
        Ok(run!(
            self,
            "DELETE FROM outreach_hold WHERE tenant = $1 AND person = $2 AND reason = $3 AND until_at IS NULL",
            person,
            hold.name()
        )?)
    }

    /// Sends a task that nobody took to a wider team: a new version on another routing key.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn reroute(&mut self, envelope: &NewEnvelope, now: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET state = $3, routing_key = $4, escalate_at = NULL, escalations = escalations + 1, changed_at = $5 WHERE tenant = $1 AND id = $2",
            envelope.task,
            TaskState::Queued.name(),
            envelope.routing_key.as_str(),
            now.as_microsecond()
        )?;
        self.put_envelopes(&[envelope], now).await
    }

    /// Notes that a task went to everybody it could go to and nobody took it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_unanswered(&mut self, task: Uuid, now: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET escalate_at = NULL, unanswered_at = $3 WHERE tenant = $1 AND id = $2",
            task,
            now.as_microsecond()
        )?;
        Ok(())
    }

    /// What a clock that has run out is about: state, routing key, due date and earlier
    /// escalations; `None` where it was stopped meanwhile.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn clock_of(
        &mut self,
        task: Uuid,
        now: Timestamp,
    ) -> Result<Option<(TaskState, String, Timestamp, u32)>, Error> {
        let found = row!(
            self,
            (String, String, i64, i64),
            "SELECT state, routing_key, due_at, escalations FROM task WHERE tenant = $1 AND id = $2 AND escalate_at <= $3",
            task,
            now.as_microsecond()
        )?;
        found
            .map(|(state, key, due, escalations)| {
                let state = TaskState::from_name(&state).ok_or(Error::Form { table: "task" })?;
                Ok((
                    state,
                    key,
                    at(due),
                    u32::try_from(escalations).unwrap_or(u32::MAX),
                ))
            })
            .transpose()
    }

    /// Notes that the broker gave an envelope back; `None` for one that is not here.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn take_returned(
        &mut self,
        envelope: Uuid,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<Option<Returned>, Error> {
        let found = row!(
            self,
            (Uuid, Uuid, String, String, bool, bool),
            "SELECT task.id, task.person, task.state, outbox.kind, outbox.version >= task.version, outbox.returned_at IS NOT NULL \
             FROM outbox JOIN task ON task.tenant = $1 AND task.id = outbox.task WHERE outbox.tenant = $1 AND outbox.id = $2",
            envelope
        )?;
        let Some((task, person, state, kind, newest, is_repeated)) = found else {
            return Ok(None);
        };
        run!(
            self,
            "UPDATE outbox SET returned_at = $3, returned_reason = $4 WHERE tenant = $1 AND id = $2 AND returned_at IS NULL",
            envelope,
            now.as_microsecond(),
            reason
        )?;
        Ok(Some(Returned {
            task,
            person,
            state: TaskState::from_name(&state).ok_or(Error::Form { table: "task" })?,
            is_newest: newest && kind != "cancelled",
            is_repeated,
        }))
    }
}

impl Store {
    /// Tasks whose time to be taken has run out, with their people; at most `limit`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn due_escalations(
        &self,
        tenant: TenantId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Uuid, Uuid)>, Error> {
        let mut tx = self.read(tenant).await?;
        Ok(rows!(
            tx,
            (Uuid, Uuid),
            "SELECT id, person FROM task WHERE tenant = $1 AND escalate_at IS NOT NULL AND escalate_at <= $2 ORDER BY escalate_at LIMIT $3",
            now.as_microsecond(),
            i64::from(limit)
        )?)
    }

    /// How many tasks went to everybody and were taken by nobody.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn unanswered(&self, tenant: TenantId) -> Result<i64, Error> {
        let mut tx = self.read(tenant).await?;
        let found = row!(
            tx,
            (i64,),
            "SELECT count(*) FROM task WHERE tenant = $1 AND unanswered_at IS NOT NULL AND state IN ('requested', 'expired', 'dead-lettered')"
        )?;
        Ok(found.map_or(0, |(count,)| count))
    }

    /// Holds that stand until somebody lifts them: work for a person.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn standing_holds(&self, tenant: TenantId) -> Result<Vec<StandingHold>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Uuid, String, i64),
            "SELECT person, reason, since_at FROM outreach_hold WHERE tenant = $1 AND until_at IS NULL ORDER BY since_at"
        )?;
        let open = |(person, reason, since)| StandingHold {
            person,
            reason,
            since: at(since),
        };
        Ok(found.into_iter().map(open).collect())
    }
}
