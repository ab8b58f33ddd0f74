//! What named people decided about identities: whom a message means, who is kept apart, and why.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, run};
use super::record::Member;
use super::{Error, Tx};
use crate::phi::Phi;

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
            "SELECT DISTINCT message, person FROM assertion WHERE tenant = $1 AND message = ANY($2)",
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
}
