//! The audit: who did what to which thing, written in the transaction of the effect.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::many;
use super::tx::Bare;
use super::{Error, Tx};

/// One audit entry; it holds ids and closed words, never a protected value.
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: `operator:NAME`, `pipeline`, `relay`, `crm`.
    pub actor: String,
    /// What, such as `person.show`.
    pub action: &'static str,
    /// How it ended: `done`, `denied`, `held`.
    pub outcome: &'static str,
    /// Why, where a person asked: `treatment`, `operations`, `support`.
    pub purpose: Option<String>,
    /// To what: its kind and id.
    pub entity: (&'static str, Option<Uuid>),
    /// The message that caused it.
    pub message: Option<Uuid>,
    /// Codes or counts.
    pub detail: Option<String>,
}

/// Appends entries in a transaction with or without keys.
macro_rules! append {
    ($tx:expr, $entries:expr) => {
        many!(
            $tx,
            "INSERT INTO audit (tenant, id, at, actor, action, outcome, purpose, entity_kind, entity_id, message, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            $entries,
            |entry| Uuid::now_v7(),
            entry.at.as_microsecond(),
            entry.actor.as_str(),
            entry.action,
            entry.outcome,
            entry.purpose.as_deref(),
            entry.entity.0,
            entry.entity.1,
            entry.message,
            entry.detail.as_deref()
        )
    };
}

impl Tx {
    /// Appends an entry; it stands or falls with the transaction.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.audit_all(&[entry]).await
    }

    /// Appends entries, in their order.
    pub(super) async fn audit_all(&mut self, entries: &[&AuditEntry]) -> Result<(), Error> {
        append!(self, entries);
        Ok(())
    }
}

impl Bare {
    /// Appends an entry about the tenant whose rows are seen.
    pub(super) async fn audit(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        let entries = [entry];
        append!(self, &entries);
        Ok(())
    }
}
