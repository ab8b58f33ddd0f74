//! Stored bodies: opened for processing and for named operators, replayed, and removed in time.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::{Error, Store, TenantId, Tx};
use crate::failure::Code;
use crate::message::State;
use crate::phi::Phi;
use crate::vault::{Place, key_of, open};

/// Bodies removed in one transaction, so that intake never waits long.
const REMOVED_AT_ONCE: i64 = 500;

impl Store {
    /// Sets finished messages back to *waiting*; gives how many. Effects are keyed, so a replay
    /// adds nothing that is already there.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn replay(
        &self,
        tenant: TenantId,
        selection: &super::MessageSelection,
        actor: &str,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let mut tx = self.write(tenant).await?;
        let (id, code, since) = selection.binds();
        let touched = run!(
            tx,
            "UPDATE message SET state = 'waiting', code = NULL, place = NULL, attempts = 0, claim_token = NULL, claim_until = NULL, finished_at = NULL \
             WHERE tenant = $1 AND state <> 'waiting' AND body IS NOT NULL \
             AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR code = $3) AND ($4 IS NULL OR received_at >= $4) AND ($5 IS NULL OR state = $5)",
            id,
            code,
            since,
            selection.state.map(State::name)
        )?;
        tx.audit(&super::AuditEntry {
            at: now,
            actor: actor.to_owned(),
            action: "message.replay",
            outcome: "done",
            purpose: None,
            entity: ("message", id),
            message: id,
            detail: Some(format!("{touched} messages")),
        })
        .await?;
        tx.commit().await?;
        Ok(touched)
    }

    /// Removes bodies of messages that were processed or ignored before `before`, some at a time;
    /// gives how many. Held and waiting messages keep theirs, since a person may still need them.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn purge_bodies(&self, tenant: TenantId, before: Timestamp) -> Result<u64, Error> {
        let mut tx = self.write(tenant).await?;
        let touched = run!(
            tx,
            "UPDATE message SET body = NULL WHERE tenant = $1 AND id IN (\
             SELECT id FROM message WHERE tenant = $1 AND body IS NOT NULL AND state IN ('processed', 'ignored') AND finished_at < $2 LIMIT $3)",
            before.as_microsecond(),
            REMOVED_AT_ONCE
        )?;
        tx.commit().await?;
        Ok(touched)
    }
}

impl Tx {
    pub(super) async fn open_body(
        &mut self,
        id: Uuid,
        body: Option<Vec<u8>>,
    ) -> Result<Result<Phi<Vec<u8>>, Code>, Error> {
        let Some(cell) = body else {
            return Ok(Err(Code::BodyUnreadable));
        };
        let Ok(key) = key_of(&cell) else {
            return Ok(Err(Code::BodyUnreadable));
        };
        let key = match self.known_inbox_key(key).await {
            Ok(key) => key,
            Err(Error::Vault(_)) => return Ok(Err(Code::BodyUnreadable)),
            Err(other) => return Err(other),
        };
        let opened = open(&key, &body_place(self.tenant, &id), &cell);
        Ok(opened.map(Phi::new).map_err(|_sealed| Code::BodyUnreadable))
    }

    /// The stored bytes of a message, for a named operator.
    pub(super) async fn message_body(
        &mut self,
        id: Uuid,
    ) -> Result<Option<Result<Phi<Vec<u8>>, Code>>, Error> {
        let found = row!(
            self,
            (Option<Vec<u8>>,),
            "SELECT body FROM message WHERE tenant = $1 AND id = $2",
            id
        )?;
        match found {
            Some((body,)) => Ok(Some(self.open_body(id, body).await?)),
            None => Ok(None),
        }
    }
}

/// Where the cell of a body belongs.
pub(super) fn body_place(tenant: TenantId, id: &Uuid) -> Place<'_> {
    Place {
        tenant: tenant.0,
        table: "message",
        column: "body",
        row: id.as_bytes(),
    }
}
