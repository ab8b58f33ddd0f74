//! What named people decided about identities: whom a message means, who is kept apart, and why.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
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

impl Tx {
    /// Whom a named person said that a message means.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn meant_by(&mut self, message: Uuid) -> Result<Option<Uuid>, Error> {
        let found = row!(
            self,
            (Uuid,),
            "SELECT person FROM message_person WHERE tenant = $1 AND message = $2",
            message
        )?;
        Ok(found.map(|(person,)| person))
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
