//! Leases: a lane (a source, a sweep, the relay) belongs to one process at a time.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::run;
use super::{Error, Store, TenantId};

/// A lane that this process owns until the lease ends.
#[derive(Clone, Debug)]
pub struct Lease {
    name: String,
    token: Uuid,
}

impl Lease {
    /// A lease to be taken.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            token: Uuid::now_v7(),
        }
    }
}

impl Store {
    /// Takes or renews a lease; `false` while another process has it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn hold(
        &self,
        tenant: TenantId,
        lease: &Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.write(tenant).await?;
        let touched = run!(
            tx,
            "INSERT INTO lease (tenant, name, token, until_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, name) DO UPDATE SET token = excluded.token, until_at = excluded.until_at \
             WHERE lease.token = excluded.token OR lease.until_at < $5",
            lease.name.as_str(),
            lease.token,
            until.as_microsecond(),
            now.as_microsecond()
        )?;
        tx.commit().await?;
        Ok(touched == 1)
    }

    /// Gives a lease back, so that the next process need not wait for its end.
    ///
    /// # Errors
    /// When the store is away; then it ends by itself.
    pub async fn let_go(&self, tenant: TenantId, lease: &Lease) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "DELETE FROM lease WHERE tenant = $1 AND name = $2 AND token = $3",
            lease.name.as_str(),
            lease.token
        )?;
        tx.commit().await
    }

    /// Frees everything that a process which no longer lives had claimed. Only the owner of an
    /// embedded store may say so.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn release_all_claims(&self, tenant: TenantId) -> Result<(), Error> {
        if !self.is_embedded() {
            return Ok(());
        }
        let mut tx = self.write(tenant).await?;
        run!(tx, "DELETE FROM lease WHERE tenant = $1")?;
        run!(
            tx,
            "UPDATE message SET claim_token = NULL, claim_until = NULL WHERE tenant = $1 AND claim_token IS NOT NULL"
        )?;
        run!(
            tx,
            "UPDATE outbox SET state = 'waiting', claim_token = NULL, claim_deadline = NULL, last_outcome = 'unknown' WHERE tenant = $1 AND state = 'publishing'"
        )?;
        run!(
            tx,
            "DELETE FROM outreach_hold WHERE tenant = $1 AND reason = 'change-pending'"
        )?;
        tx.commit().await
    }
}
