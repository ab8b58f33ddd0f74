//! Levels of the outbox: how much waits, is under way, has left; and what a publisher left behind.

use jiff::Timestamp;
use serde::Serialize;

use super::dialect::{row, rows, run};
use super::{Error, Store, TenantId};

/// How many envelopes are in which state.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutboxCounts {
    /// Due or to become due.
    pub waiting: i64,
    /// Under way.
    pub publishing: i64,
    /// Confirmed.
    pub sent: i64,
    /// Ended before they left.
    pub withdrawn: i64,
    /// Too late to be sent.
    pub dropped: i64,
    /// Of the waiting: no queue wants them.
    pub unroutable: i64,
    /// Tasks that went to everybody they could go to and that nobody took.
    pub unanswered: i64,
}

impl Store {
    /// Puts envelopes back whose publisher did not come back in time: they may have arrived.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn reclaim_envelopes(&self, tenant: TenantId, now: Timestamp) -> Result<u64, Error> {
        let mut tx = self.write(tenant).await?;
        let touched = run!(
            tx,
            "UPDATE outbox SET state = 'waiting', last_outcome = 'unknown', claim_token = NULL, claim_deadline = NULL WHERE tenant = $1 AND state = 'publishing' AND claim_deadline < $2",
            now.as_microsecond()
        )?;
        tx.commit().await?;
        Ok(touched)
    }

    /// How many envelopes are yet to leave; reads only those.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn outbox_depth(&self, tenant: TenantId) -> Result<i64, Error> {
        let mut tx = self.read(tenant).await?;
        let found = row!(
            tx,
            (i64,),
            "SELECT (SELECT count(*) FROM outbox WHERE tenant = $1 AND state = 'waiting') + (SELECT count(*) FROM outbox WHERE tenant = $1 AND state = 'publishing')"
        )?;
        Ok(found.map_or(0, |(depth,)| depth))
    }

    /// How many envelopes are in which state.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn outbox_counts(&self, tenant: TenantId) -> Result<OutboxCounts, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (String, i64, i64),
            "SELECT state, count(*), sum(CASE WHEN last_outcome = 'unroutable' THEN 1 ELSE 0 END) FROM outbox WHERE tenant = $1 GROUP BY state"
        )?;
        drop(tx);
        let mut counts = OutboxCounts {
            unanswered: self.unanswered(tenant).await?,
            ..OutboxCounts::default()
        };
        for (state, count, unroutable) in found {
            match state.as_str() {
                "waiting" => {
                    counts.waiting = count;
                    counts.unroutable = unroutable;
                }
                "publishing" => counts.publishing = count,
                "sent" => counts.sent = count,
                "withdrawn" => counts.withdrawn = count,
                _ => counts.dropped += count,
            }
        }
        Ok(counts)
    }
}
