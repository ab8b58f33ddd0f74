//! What named people decided about identities: whom a message means, who is kept apart, and why.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, row, rows, run};
use super::record::{Member, Record, at};
use super::{Error, Tx};
use crate::failure::Code;
use crate::phi::Phi;

/// A message that is held because nobody could tell whom it means.
pub struct DoubtfulMessage {
    /// Its id.
    pub id: Uuid,
    /// Its source.
    pub source: String,
    /// The bytes, or why they cannot be read.
    pub body: Result<Phi<Vec<u8>>, Code>,
}

/// A decision of a named person.
pub struct IdentityDecision {
    /// `link`, `keep-apart`, `unmerge`, `means` or `assign`.
    pub kind: &'static str,
    /// The other person, where there is one.
    pub other: Option<Uuid>,
    /// The message, where there is one.
    pub message: Option<Uuid>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// Why; people write names into reasons, so it is sealed.
    pub reason: Phi<String>,
}

/// What is known of messages that are done again.
#[derive(Default)]
pub struct Past {
    /// The people of whom a message's assertions still stand.
    pub told: HashMap<Uuid, Vec<Uuid>>,
    /// Whom a named person said that a message means.
    pub meant: HashMap<Uuid, Uuid>,
    /// Merges, as message and retired person, that a named person undid: a replay merges no more.
    pub undone: HashSet<(Uuid, Uuid)>,
}

impl Past {
    /// Everybody in it.
    pub fn people(&self) -> impl Iterator<Item = Uuid> + '_ {
        let told = self.told.values().flatten();
        told.chain(self.meant.values()).copied()
    }
}

impl Tx {
    /// What is known of messages that were processed before.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn past_of(&mut self, messages: &[Uuid]) -> Result<Past, Error> {
        let mut past = Past::default();
        if messages.is_empty() {
            return Ok(past);
        }
        let told = among!(
            self,
            (Uuid, Uuid),
            "SELECT message, person FROM assertion WHERE tenant = $1 AND message = ANY($2)",
            messages
        )?;
        for (message, person) in told {
            past.told.entry(message).or_default().push(person);
        }
        let meant = among!(
            self,
            (Uuid, Uuid),
            "SELECT message, person FROM message_person WHERE tenant = $1 AND message = ANY($2)",
            messages
        )?;
        past.meant = meant.into_iter().collect();
        let undone = among!(
            self,
            (Uuid, Uuid),
            "SELECT message, retired FROM person_link WHERE tenant = $1 AND message = ANY($2) AND until_at IS NOT NULL",
            messages
        )?;
        past.undone = undone.into_iter().collect();
        Ok(past)
    }

    /// Keeps whom a message means.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_meant(
        &mut self,
        (message, person): (Uuid, Uuid),
        operator: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        run!(
            self,
            "INSERT INTO message_person (tenant, message, person, at, operator) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, message) DO UPDATE SET person = excluded.person, at = excluded.at, operator = excluded.operator",
            message,
            person,
            now.as_microsecond(),
            operator
        )?;
        Ok(())
    }

    /// Records a decision, its reason sealed under the key of `member`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_decision(
        &mut self,
        member: &Member,
        decision: &IdentityDecision,
    ) -> Result<(), Error> {
        let id = Uuid::now_v7();
        let place = self.place("identity_decision", id.as_bytes());
        let cell = member.seal(&place, decision.reason.open())?;
        run!(
            self,
            "INSERT INTO identity_decision (tenant, id, kind, person, other, message, at, operator, cell) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            id,
            decision.kind,
            member.person,
            decision.other,
            decision.message,
            decision.at.as_microsecond(),
            decision.operator.as_str(),
            cell.as_slice()
        )?;
        Ok(())
    }

    /// Messages that are held for a doubtful identity, in the order of their arrival, after `after`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn doubtful_messages(
        &mut self,
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<DoubtfulMessage>, Error> {
        let found = rows!(
            self,
            (Uuid, String, Option<Vec<u8>>),
            "SELECT id, source, body FROM message WHERE tenant = $1 AND id > $2 AND state = 'held' \
             AND code IN ('identity-ambiguous', 'identity-conflict', 'no-identifier', 'merge-unresolved', 'identifier-change-unresolved', 'move-unresolved', 'link-unresolved') \
             ORDER BY id LIMIT $3",
            after,
            i64::from(limit)
        )?;
        let mut doubtful = Vec::with_capacity(found.len());
        for (id, source, body) in found {
            let body = self.open_body(id, body).await?;
            doubtful.push(DoubtfulMessage { id, source, body });
        }
        Ok(doubtful)
    }

    /// Sets these messages back to *waiting*, each source's in the order of arrival; gives how many
    /// wait again, and how many cannot because their body was purged.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn run_again(&mut self, messages: &[Uuid]) -> Result<(u64, u64), Error> {
        let (mut again, mut purged) = (0, 0);
        for message in messages {
            let touched = run!(
                self,
                "UPDATE message SET state = 'waiting', code = NULL, place = NULL, attempts = 0, claim_token = NULL, claim_until = NULL, finished_at = NULL \
                 WHERE tenant = $1 AND id = $2 AND state <> 'waiting' AND body IS NOT NULL",
                *message
            )?;
            again += touched;
            if touched == 0 {
                let gone = row!(
                    self,
                    (i64,),
                    "SELECT count(*) FROM message WHERE tenant = $1 AND id = $2 AND body IS NULL",
                    *message
                )?;
                purged += u64::try_from(gone.map_or(0, |(count,)| count)).unwrap_or(0);
            }
        }
        Ok((again, purged))
    }

    /// Copies to `to` what was denied for `from` since an instant: a record that was one with
    /// another may have been meant by any of it. Permissions are not copied.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn copy_denials(
        &mut self,
        (from, to): (&Record, &Record),
        since: Timestamp,
    ) -> Result<(), Error> {
        let Some(taker) = to.members.first() else {
            return Ok(());
        };
        for giver in &from.members {
            self.copy_opt_outs(giver.person, taker.person, since)
                .await?;
            self.copy_denied_entries(giver, taker, since).await?;
        }
        Ok(())
    }

    async fn copy_opt_outs(&mut self, from: Uuid, to: Uuid, since: Timestamp) -> Result<(), Error> {
        let found = rows!(
            self,
            (Option<Vec<u8>>, Option<String>, i64, String),
            "SELECT value_index, channel, at, origin FROM opt_out WHERE tenant = $1 AND person = $2 AND at >= $3",
            from,
            since.as_microsecond()
        )?;
        for (value_index, channel, when, origin) in found {
            let there = row!(
                self,
                (i64,),
                "SELECT count(*) FROM opt_out WHERE tenant = $1 AND person = $2 AND at = $3",
                to,
                when
            )?;
            if there.is_some_and(|(count,)| count > 0) {
                continue;
            }
            run!(
                self,
                "INSERT INTO opt_out (tenant, id, person, value_index, channel, at, origin) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                Uuid::now_v7(),
                to,
                value_index.as_deref(),
                channel.as_deref(),
                when,
                origin.as_str()
            )?;
        }
        Ok(())
    }

    async fn copy_denied_entries(
        &mut self,
        from: &Member,
        to: &Member,
        since: Timestamp,
    ) -> Result<(), Error> {
        let found = rows!(
            self,
            (Uuid, Vec<u8>, i64),
            "SELECT id, evidence, recorded_at FROM consent_entry WHERE tenant = $1 AND person = $2 AND NOT permit AND recorded_at >= $3 AND revoked_at IS NULL",
            from.person,
            since.as_microsecond()
        )?;
        for (id, evidence, recorded) in found {
            let there = row!(
                self,
                (i64,),
                "SELECT count(*) FROM consent_entry WHERE tenant = $1 AND person = $2 AND recorded_at = $3",
                to.person,
                recorded
            )?;
            if there.is_some_and(|(count,)| count > 0) {
                continue;
            }
            let text: String = from.open(
                &self.place("consent_entry", id.as_bytes()),
                &evidence,
                "consent_entry",
            )?;
            let copy = Uuid::now_v7();
            let sealed = to.seal(&self.place("consent_entry", copy.as_bytes()), &text)?;
            run!(
                self,
                "INSERT INTO consent_entry (tenant, id, person, channel, purpose, content_class, permit, valid_from, valid_until, recorded_at, method, operator, evidence) \
                 SELECT tenant, $3, $4, channel, purpose, content_class, permit, valid_from, valid_until, recorded_at, method, operator, $5 \
                 FROM consent_entry WHERE tenant = $1 AND id = $2",
                id,
                copy,
                to.person,
                sealed.as_slice()
            )?;
        }
        Ok(())
    }

    /// The identifiers that the people of a record have now.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn identifiers_in(
        &mut self,
        record: &Record,
    ) -> Result<Vec<crate::crm::Identifier>, Error> {
        let mut identifiers = Vec::new();
        for member in &record.members {
            identifiers.extend(self.identifiers_of(member).await?);
        }
        Ok(identifiers)
    }

    /// When a message came in: its id tells.
    pub fn received(message: Uuid) -> Option<Timestamp> {
        let (seconds, nanoseconds) = message.get_timestamp()?.to_unix();
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Some(at(micros + i64::from(nanoseconds / 1_000)))
    }
}
