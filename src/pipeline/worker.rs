//! Holds the lease of a source and processes its messages in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::batch::Read;
use super::process::Pipeline;
use crate::clock;
use crate::config::Pace;
use crate::guard::{Panicked, guarded};
use crate::site::Feed;
use crate::step::{Step, gather};
use crate::store::{Ahead, Claim, Claimed, Lease, TenantKeys};

/// One source's worker.
pub struct Worker {
    pipeline: Pipeline,
    source: String,
    pace: Pace,
    lease: Lease,
    /// Until when the lease is held, in microseconds.
    held_until: AtomicI64,
}

impl Worker {
    /// A worker of `source`.
    pub fn new(pipeline: Pipeline, source: &str, pace: Pace) -> Self {
        let lease = Lease::new(format!("source:{source}"));
        Self {
            pipeline,
            source: source.to_owned(),
            pace,
            lease,
            held_until: AtomicI64::new(0),
        }
    }

    /// Works until told to stop; `arrived` wakes it. The wake-up is armed before looking, so that
    /// a message that comes in between is not slept over.
    pub async fn run(self, arrived: Arc<Notify>, stop: CancellationToken) {
        let mut ahead = Vec::new();
        while !stop.is_cancelled() {
            let wake = arrived.notified();
            let pause = match Box::pin(guarded(self.run_once(&mut ahead))).await {
                Ok(Step::Worked) => continue,
                Ok(Step::CaughtUp) => {
                    gather(self.pace.gather, &stop).await;
                    continue;
                }
                Ok(Step::Idle) => self.pace.idle,
                Err(error) => {
                    tracing::warn!(source = %self.source, %error, "processing pauses");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.give_back(&claims(&ahead), false).await;
        let tenant = self.pipeline.tenant();
        if let Err(error) = self.pipeline.store.let_go(tenant, &self.lease).await {
            tracing::debug!(source = %self.source, %error, "the lease ends by itself");
        }
    }

    /// Processes one batch, and claims and reads the next meanwhile where it was a full one.
    ///
    /// # Errors
    /// When the store is away; the messages stay *waiting*.
    async fn run_once(&self, ahead: &mut Vec<Read>) -> Result<Step, Error> {
        let Some(feed) = self.pipeline.site.feeds.get(&self.source) else {
            return Ok(Step::Idle);
        };
        let lease =
            SignedDuration::try_from(self.pace.lease).unwrap_or(SignedDuration::from_secs(60));
        let holds = self.holds(clock::now(), lease).await?;
        let mut batch = std::mem::take(ahead);
        if !holds {
            self.give_back(&claims(&batch), false).await;
            return Ok(Step::Idle);
        }
        if batch.is_empty() {
            let Some((claimed, keys)) = self.claim(lease, Ahead::No).await? else {
                return Ok(Step::Idle);
            };
            batch = self.pipeline.read(feed, &keys, claimed);
        }
        let (step, own) = (Step::after(batch.len(), self.pace.batch), claims(&batch));
        // What was claimed before may be what killed the process: it goes alone, and nothing is claimed
        // ahead of it or beside it that would use up attempts.
        let goes_on = step == Step::Worked && batch.iter().all(|read| read.claimed.attempts == 1);
        let next = async {
            if goes_on {
                self.read_ahead(lease).await
            } else {
                Ok(Vec::new())
            }
        };
        let (done, next) = tokio::join!(self.process(feed, batch, lease), next);
        let next = next.unwrap_or_else(|error| {
            tracing::debug!(source = %self.source, %error, "nothing was read ahead");
            Vec::new()
        });
        if let Err(error) = done {
            // The store's own trouble and others' changes give the attempt back; anything else
            // counts, so that a message that never gets through is held at last.
            let counted = !matches!(&error, Error::Store(error) if error.is_temporary());
            self.give_back(&own, counted).await;
            self.give_back(&claims(&next), false).await;
            return Err(error);
        }
        *ahead = next;
        Ok(step)
    }

    /// Claims what waits, with the keys to read it by.
    async fn claim(
        &self,
        lease: SignedDuration,
        ahead: Ahead,
    ) -> Result<Option<(Vec<Claimed>, Arc<TenantKeys>)>, Error> {
        let (store, tenant) = (&self.pipeline.store, self.pipeline.tenant());
        // First, so that nothing can fail between the claim and who holds it.
        let keys = store.tenant_keys(tenant).await?;
        let now = clock::now();
        let when = (now, now + lease, ahead);
        let claimed = store
            .claim_messages(tenant, &self.source, self.pace.batch, when)
            .await?;
        Ok((!claimed.is_empty()).then_some((claimed, keys)))
    }

    /// Reads on a thread of its own: this one has a batch to write.
    async fn read_ahead(&self, lease: SignedDuration) -> Result<Vec<Read>, Error> {
        let Some((claimed, keys)) = self.claim(lease, Ahead::Yes).await? else {
            return Ok(Vec::new());
        };
        let own: Vec<Claim> = claimed.iter().map(|one| one.claim).collect();
        let (pipeline, source) = (self.pipeline.clone(), self.source.clone());
        let read = tokio::task::spawn_blocking(move || {
            let feed = pipeline.site.feeds.get(&source);
            feed.map_or_else(Vec::new, |feed| pipeline.read(feed, &keys, claimed))
        });
        match read.await {
            Ok(batch) => Ok(batch),
            Err(_panic) => {
                self.give_back(&own, true).await;
                Err(Panicked.into())
            }
        }
    }

    /// Gives claims back; the attempt is `counted` or not.
    async fn give_back(&self, claims: &[Claim], counted: bool) {
        let Some(first) = claims.first() else { return };
        let ids: Vec<uuid::Uuid> = claims.iter().map(|claim| claim.id).collect();
        let (store, tenant) = (&self.pipeline.store, self.pipeline.tenant());
        let released = store.release_messages(tenant, &ids, first.token, counted);
        if let Err(error) = released.await {
            tracing::debug!(%error, "the claims end by themselves");
        }
    }

    /// Processes a batch, and renews the lease as long as that takes.
    async fn process(
        &self,
        feed: &Feed,
        batch: Vec<Read>,
        lease: SignedDuration,
    ) -> Result<(), Error> {
        // Both go on together: the batch may hold the only writer, for which the renewal waits.
        tokio::select! {
            biased;
            done = Box::pin(self.pipeline.process(feed, batch)) => done,
            never = self.renew(lease) => match never {},
        }
    }

    /// Renews the lease for as long as it is polled.
    async fn renew(&self, lease: SignedDuration) -> Infallible {
        loop {
            tokio::time::sleep(self.pace.lease / 3).await;
            // Should the lease be lost meanwhile, the claims end, and nothing of the batch is written.
            if let Err(error) = self.holds(clock::now(), lease).await {
                tracing::debug!(source = %self.source, %error, "the lease is not renewed yet");
            }
        }
    }

    /// Whether the source is this process's own; the lease is renewed when half of it is over.
    async fn holds(&self, now: Timestamp, lease: SignedDuration) -> Result<bool, Error> {
        let half = now
            .as_microsecond()
            .saturating_add(i64::try_from(lease.as_micros()).unwrap_or(0) / 2);
        if self.held_until.load(Ordering::Relaxed) > half {
            return Ok(true);
        }
        let until = now + lease;
        let held = self
            .pipeline
            .store
            .hold(self.pipeline.tenant(), &self.lease, now, until)
            .await?;
        let micros = if held { until.as_microsecond() } else { 0 };
        self.held_until.store(micros, Ordering::Relaxed);
        Ok(held)
    }
}

fn claims(batch: &[Read]) -> Vec<Claim> {
    batch.iter().map(|read| read.claimed.claim).collect()
}
