//! Consent as rows: entries, opt-outs, and the gate that a withdrawal passes through.
//!
//! The gate: a hold is committed, then the change waits until no envelope of the person is being
//! published, then the change is committed. A relay that looked before the hold has marked its
//! envelope *publishing*; one that looks after it finds the hold. No database transaction is ever
//! open over a network call.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dialect::{among, row, rows, run};
use super::record::{Lift, Member};
use super::tx::Inner;
use super::{Error, Store, TenantId, Tx};
use crate::clock;
use crate::consent::{Channel, Entry, Hold};
use crate::phi::Phi;

/// A hold of a change under way ends by itself after this long, should its process die.
const CHANGE_PENDING: SignedDuration = SignedDuration::from_secs(120);
/// How often the gate looks whether the last publish is over.
const LOOK: Duration = Duration::from_millis(50);

/// An opt-out to be recorded.
pub struct NewOptOut {
    /// The blind index of one contact point; `None` for more than one.
    pub value_index: Option<Vec<u8>>,
    /// One channel; `None` for every one.
    pub channel: Option<Channel>,
    /// Since when.
    pub at: Timestamp,
    /// `crm` or `operator`.
    pub origin: &'static str,
}

impl Store {
    /// Puts up a hold and waits until no envelope of the person, or of anybody merged into them, is
    /// being published.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn close_gate(&self, tenant: TenantId, person: Uuid) -> Result<Uuid, Error> {
        let hold = Uuid::now_v7();
        let now = clock::now();
        let mut tx = self.write(tenant).await?;
        tx.lock_person(person).await?;
        run!(
            tx,
            "INSERT INTO outreach_hold (tenant, id, person, reason, since_at, until_at) VALUES ($1, $2, $3, $4, $5, $6)",
            hold,
            person,
            Hold::ChangePending.name(),
            now.as_microsecond(),
            (now + CHANGE_PENDING).as_microsecond()
        )?;
        tx.commit().await?;
        loop {
            let mut tx = self.read(tenant).await?;
            let live = row!(
                tx,
                (i64,),
                "WITH RECURSIVE member (id) AS (SELECT id FROM person WHERE tenant = $1 AND id = $2 \
                 UNION SELECT link.retired FROM person_link AS link JOIN member ON link.survivor = member.id WHERE link.tenant = $1 AND link.until_at IS NULL) \
                 SELECT count(*) FROM outbox WHERE tenant = $1 AND person IN (SELECT id FROM member) AND state = 'publishing' AND claim_deadline > $3",
                person,
                clock::now().as_microsecond()
            )?;
            drop(tx);
            if live.is_none_or(|(count,)| count == 0) {
                return Ok(hold);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Store {
    /// Removes holds that have ended: those of changes whose process died before it was done.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn drop_ended_holds(&self, tenant: TenantId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.read(tenant).await?;
        let ended = row!(
            tx,
            (i64,),
            "SELECT count(*) FROM outreach_hold WHERE tenant = $1 AND until_at < $2",
            now.as_microsecond()
        )?;
        drop(tx);
        if ended.is_none_or(|(count,)| count == 0) {
            return Ok(());
        }
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "DELETE FROM outreach_hold WHERE tenant = $1 AND until_at < $2",
            now.as_microsecond()
        )?;
        tx.commit().await
    }
}

impl Tx {
    /// Serialises changes of one person, the relay's included, and marks the person as changed:
    /// who read before this and writes after it meets a conflict and decides again.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn lock_person(&mut self, person: Uuid) -> Result<(), Error> {
        run!(
            self,
            "UPDATE person SET version = version + 1 WHERE tenant = $1 AND id = $2",
            person
        )?;
        Ok(())
    }

    /// Locks people in the order in which everybody locks them, ahead of a batch that comes to them
    /// in another; SQLite's write lock already holds everything. The lock is the one that a change
    /// of a person's row takes: it keeps out every other such lock and every change, but not a row
    /// that merely names the person by a foreign key, whose writer may hold somebody else.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn lock_in_order(&mut self, mut people: Vec<Uuid>) -> Result<(), Error> {
        if matches!(self.inner, Inner::Sqlite(_)) {
            return Ok(());
        }
        people.sort_unstable();
        people.dedup();
        among!(
            self,
            (i64,),
            "SELECT version FROM person WHERE tenant = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
            &people
        )?;
        Ok(())
    }

    /// Takes the hold down, in the transaction of the change.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn open_gate(&mut self, hold: Uuid) -> Result<(), Error> {
        run!(
            self,
            "DELETE FROM outreach_hold WHERE tenant = $1 AND id = $2",
            hold
        )?;
        Ok(())
    }

    /// Records a directive, with the evidence for it sealed.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_consent(
        &mut self,
        member: &Member,
        entry: &Entry,
        evidence: &Phi<String>,
    ) -> Result<(), Error> {
        let cell = member.seal(
            &self.place("consent_entry", entry.id.as_bytes()),
            evidence.open(),
        )?;
        run!(
            self,
            "INSERT INTO consent_entry (tenant, id, person, channel, purpose, content_class, permit, valid_from, valid_until, recorded_at, method, operator, evidence) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (tenant, id) DO NOTHING",
            entry.id,
            member.person,
            entry.channel.map(Channel::name),
            entry.purpose.map(crate::consent::Purpose::name),
            entry.content.map(crate::consent::ContentClass::name),
            entry.permit,
            entry.from.as_microsecond(),
            entry.until.map(Timestamp::as_microsecond),
            entry.recorded_at.as_microsecond(),
            entry.method.as_str(),
            entry.source.as_str(),
            cell.as_slice()
        )?;
        Ok(())
    }

    /// Marks an entry withdrawn; `None` where it is not this tenant's or already withdrawn.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn revoke_consent(&mut self, entry: Uuid, at: Timestamp) -> Result<bool, Error> {
        let touched = run!(
            self,
            "UPDATE consent_entry SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL",
            entry,
            at.as_microsecond()
        )?;
        Ok(touched == 1)
    }

    /// Records that a restriction was read and lifted.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_lift(&mut self, member: &Member, lift: &Lift) -> Result<(), Error> {
        let place = self.place("restriction_lift", lift.id.as_bytes());
        let cell = member.seal(&place, &lift.detail)?;
        run!(
            self,
            "INSERT INTO restriction_lift (tenant, id, person, at, operator, cell) VALUES ($1, $2, $3, $4, $5, $6)",
            lift.id,
            member.person,
            lift.at.as_microsecond(),
            lift.operator.as_str(),
            cell.as_slice()
        )?;
        Ok(())
    }

    /// Whose entry it is.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn consent_person(&mut self, entry: Uuid) -> Result<Option<Uuid>, Error> {
        let found = row!(
            self,
            (Uuid,),
            "SELECT person FROM consent_entry WHERE tenant = $1 AND id = $2",
            entry
        )?;
        Ok(found.map(|(person,)| person))
    }

    /// Records an opt-out of a person.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_opt_out(&mut self, person: Uuid, opt_out: &NewOptOut) -> Result<(), Error> {
        run!(
            self,
            "INSERT INTO opt_out (tenant, id, person, value_index, channel, at, origin) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            Uuid::now_v7(),
            person,
            opt_out.value_index.as_deref(),
            opt_out.channel.map(Channel::name),
            opt_out.at.as_microsecond(),
            opt_out.origin
        )?;
        Ok(())
    }

    /// The people who share a contact point; an opt-out of it concerns them all.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn people_sharing(&mut self, value_index: &[u8]) -> Result<Vec<Uuid>, Error> {
        let found = rows!(
            self,
            (Uuid,),
            "SELECT DISTINCT person FROM contact_point WHERE tenant = $1 AND value_index = $2",
            value_index
        )?;
        Ok(found.into_iter().map(|(person,)| person).collect())
    }

    /// Asks the open tasks of the person, and of everybody merged into them, again at once: consent
    /// has changed. Whoever read the person before this meets a conflict, so that the calendar's
    /// older answer does not replace this one.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn ask_again(&mut self, person: Uuid, now: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE person SET next_check_at = $3, version = version + 1 WHERE tenant = $1 AND id = $2",
            person,
            now.as_microsecond()
        )?;
        run!(
            self,
            "UPDATE task SET ask_at = $3 WHERE tenant = $1 AND state IN ('withheld', 'deferred', 'queued', 'observed', 'requested', 'accepted', 'in-progress') \
             AND person IN (WITH RECURSIVE member (id) AS (SELECT id FROM person WHERE tenant = $1 AND id = $2 \
             UNION SELECT link.retired FROM person_link AS link JOIN member ON link.survivor = member.id WHERE link.tenant = $1 AND link.until_at IS NULL) \
             SELECT id FROM member)",
            person,
            now.as_microsecond()
        )?;
        Ok(())
    }
}
