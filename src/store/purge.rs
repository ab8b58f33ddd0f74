//! Retention: bodies go when repair no longer needs them; rows and digests stay.

use jiff::Timestamp;

use super::dialect::run;
use super::{Error, Store, TenantId};

impl Store {
    /// Removes the bodies of messages that were processed or ignored before `before`. Held and
    /// waiting messages keep theirs, since a person may still need to replay them.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn purge_bodies(&self, tenant: TenantId, before: Timestamp) -> Result<u64, Error> {
        let mut tx = self.write(tenant).await?;
        let touched = run!(
            tx,
            "UPDATE message SET body = NULL WHERE tenant = $1 AND body IS NOT NULL AND state IN ('processed', 'ignored') AND finished_at < $2",
            before.as_microsecond()
        )?;
        tx.commit().await?;
        Ok(touched)
    }
}
