//! Notices a database that was restored, and stops outreach in it.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::{AuditEntry, Error, Store, TenantId};

/// Why outreach is stopped in a database that was restored.
pub(super) const RESTORED: &str = "restored";

impl Store {
    /// Notes where the database lies. One that lies elsewhere than when it was last started was
    /// restored or copied: what it holds may be old, and what it would publish may have left long
    /// ago. Then outreach is stopped until an operator resumes it; whether that is so.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn note_place(&self, tenant: TenantId, now: Timestamp) -> Result<bool, Error> {
        let place = self.place().await?;
        let mut tx = self.write(tenant).await?;
        let before = row!(
            tx,
            (String,),
            "SELECT place FROM store_place WHERE tenant = $1"
        )?;
        if before.as_ref().is_some_and(|(before,)| *before == place) {
            return Ok(false);
        }
        run!(
            tx,
            "INSERT INTO store_place (tenant, place, since_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant) DO UPDATE SET place = excluded.place, since_at = excluded.since_at",
            place.as_str(),
            now.as_microsecond()
        )?;
        let is_restored = before.is_some();
        if is_restored && tx.outreach_stop().await?.is_none() {
            run!(
                tx,
                "INSERT INTO outreach_stop (tenant, id, reason, since_at, operator) VALUES ($1, $2, $3, $4, 'careloop')",
                Uuid::now_v7(),
                RESTORED,
                now.as_microsecond()
            )?;
            tx.audit(&AuditEntry {
                at: now,
                actor: "daemon".to_owned(),
                action: "outreach.stop",
                outcome: "done",
                purpose: None,
                entity: ("tenant", None),
                message: None,
                detail: Some(RESTORED.to_owned()),
            })
            .await?;
        }
        tx.commit().await?;
        Ok(is_restored)
    }
}
