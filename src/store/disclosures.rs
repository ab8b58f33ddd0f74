//! Disclosures, recorded decisions and the CRM's own ids of people, as rows.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::record::{Record, at};
use super::{Error, Tx};
use crate::consent::{Channel, Decision};
use crate::phi::Phi;

/// One disclosure of a task's content.
pub struct Disclosure<'a> {
    /// Its id, which is also that of the decision.
    pub id: Uuid,
    /// Whose content.
    pub person: Uuid,
    /// The task and its version.
    pub task: (Uuid, i64),
    /// To whom.
    pub token: Uuid,
    /// For what.
    pub purpose: &'static str,
    /// The names of the fields that left.
    pub fields: &'a [&'static str],
    /// When.
    pub at: Timestamp,
    /// The decision as of that moment.
    pub decision: &'a Decision,
}

/// A decision as it was recorded.
pub struct RecordedDecision {
    /// Its id.
    pub id: Uuid,
    /// The person it is about.
    pub person: Uuid,
    /// The task it is about.
    pub task: Uuid,
    /// When it was asked: `made`, `published` or `disclosed`.
    pub stage: String,
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub result: String,
    /// Why, as codes.
    pub reason_codes: Vec<String>,
    /// Until when it held.
    pub valid_until: Option<Timestamp>,
}

type StoredDecision = (Uuid, Uuid, String, i64, String, String, Option<i64>);

impl Tx {
    /// Records a disclosure; it has to be committed before its first byte leaves.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn record_disclosure(&mut self, disclosure: &Disclosure<'_>) -> Result<(), Error> {
        let decision = disclosure.decision;
        let consents: Vec<String> = decision.consents.iter().map(Uuid::to_string).collect();
        run!(
            self,
            "INSERT INTO disclosure (tenant, id, person, task, version, token, purpose, fields, at, result, reason_codes, channel, contact_point, valid_until, consents, policy_version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            disclosure.id,
            disclosure.person,
            disclosure.task.0,
            disclosure.task.1,
            disclosure.token,
            disclosure.purpose,
            disclosure.fields.join(" "),
            disclosure.at.as_microsecond(),
            decision.result.name(),
            decision.reason_codes().join(" "),
            decision.channel.map(Channel::name),
            decision.contact_point,
            decision.valid_until.map(Timestamp::as_microsecond),
            consents.join(" "),
            decision.policy_version.as_str()
        )?;
        // The answers to the task will speak of the contact point that was given out last.
        run!(
            self,
            "UPDATE outbox SET contact_point = $4, channel = $5 WHERE tenant = $1 AND task = $2 AND version = $3 AND kind <> 'cancelled'",
            disclosure.task.0,
            disclosure.task.1,
            decision.contact_point,
            decision.channel.map(Channel::name)
        )?;
        Ok(())
    }

    /// A decision of any stage, by its id.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn recorded_decision(&mut self, id: Uuid) -> Result<Option<RecordedDecision>, Error> {
        let mut found = row!(
            self,
            StoredDecision,
            "SELECT person, task, stage, at, result, reason_codes, valid_until FROM consent_decision WHERE tenant = $1 AND id = $2",
            id
        )?;
        if found.is_none() {
            found = row!(
                self,
                StoredDecision,
                "SELECT person, task, 'disclosed', at, result, reason_codes, valid_until FROM disclosure WHERE tenant = $1 AND id = $2",
                id
            )?;
        }
        Ok(found.map(
            |(person, task, stage, when, result, codes, until)| RecordedDecision {
                id,
                person,
                task,
                stage,
                at: at(when),
                result,
                reason_codes: codes.split_whitespace().map(ToOwned::to_owned).collect(),
                valid_until: until.map(at),
            },
        ))
    }

    /// Whether an envelope of the task has left, or may have: the broker's answer to a publish can
    /// be later than the CRM's question.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn has_left(&mut self, task: Uuid) -> Result<bool, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT count(*) FROM outbox WHERE tenant = $1 AND task = $2 AND kind <> 'cancelled' AND (state IN ('publishing', 'sent') OR last_outcome = 'unknown')",
            task
        )?;
        Ok(found.is_some_and(|(count,)| count > 0))
    }

    /// The CRM's own id of a person, the survivor's before those of records merged into it.
    ///
    /// # Errors
    /// When the store is away or the cell does not open.
    pub async fn crm_id(
        &mut self,
        record: &Record,
    ) -> Result<Option<(Phi<String>, Timestamp)>, Error> {
        for member in &record.members {
            let found = row!(
                self,
                (Vec<u8>, i64),
                "SELECT cell, registered_at FROM person_crm_id WHERE tenant = $1 AND person = $2",
                member.person
            )?;
            if let Some((cell, registered)) = found {
                let place = self.place("person_crm_id", member.person.as_bytes());
                let id: String = member.open(&place, &cell, "person_crm_id")?;
                return Ok(Some((Phi::new(id), at(registered))));
            }
        }
        Ok(None)
    }

    /// Registers the CRM's own id of a person, in place of an earlier one; `false` where the CRM
    /// gave it to another person, who is not this one by any merge.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_crm_id(
        &mut self,
        record: &Record,
        id: &Phi<String>,
        (token, now): (Uuid, Timestamp),
    ) -> Result<bool, Error> {
        let index = self
            .shared_keys()
            .index
            .index("person_crm_id", &[id.open()]);
        let other = row!(
            self,
            (Uuid,),
            "SELECT person FROM person_crm_id WHERE tenant = $1 AND value_index = $2 ORDER BY registered_at LIMIT 1",
            index.as_slice()
        )?;
        if let Some((other,)) = other
            && self.survivor(other).await? != record.person
        {
            return Ok(false);
        }
        let member = record.members.first().ok_or(Error::Conflict)?;
        let place = self.place("person_crm_id", member.person.as_bytes());
        let cell = member.seal(&place, id.open())?;
        run!(
            self,
            "INSERT INTO person_crm_id (tenant, person, value_index, registered_at, token, cell) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, person) DO UPDATE SET value_index = $3, registered_at = $4, token = $5, cell = $6",
            member.person,
            index.as_slice(),
            now.as_microsecond(),
            token,
            cell.as_slice()
        )?;
        Ok(true)
    }
}
