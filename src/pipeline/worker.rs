//! Holds the lease of a source and processes its messages in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::process::Pipeline;
use crate::clock;
use crate::config::Pace;
use crate::guard::guarded;
use crate::site::Feed;
use crate::step::{Step, gather};
use crate::store::{Claimed, Lease};

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
        while !stop.is_cancelled() {
            let wake = arrived.notified();
            let pause = match Box::pin(guarded(self.run_once())).await {
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
        let tenant = self.pipeline.tenant();
        if let Err(error) = self.pipeline.store.let_go(tenant, &self.lease).await {
            tracing::debug!(source = %self.source, %error, "the lease ends by itself");
        }
    }

    /// Claims and processes one batch.
    ///
    /// # Errors
    /// When the store is away; the messages stay *waiting*.
    pub async fn run_once(&self) -> Result<Step, Error> {
        let tenant = self.pipeline.tenant();
        let Some(feed) = self.pipeline.site.feeds.get(&self.source) else {
            return Ok(Step::Idle);
        };
        let now = clock::now();
        let lease =
            SignedDuration::try_from(self.pace.lease).unwrap_or(SignedDuration::from_secs(60));
        let until = now + lease;
        if !self.holds(now, lease).await? {
            return Ok(Step::Idle);
        }
        let store = &self.pipeline.store;
        let claimed = store
            .claim_messages(tenant, &self.source, self.pace.batch, (now, until))
            .await?;
        if claimed.is_empty() {
            return Ok(Step::Idle);
        }
        let step = Step::after(claimed.len(), self.pace.batch);
        let ids: Vec<uuid::Uuid> = claimed.iter().map(|message| message.claim.id).collect();
        let token = claimed.first().map(|message: &Claimed| message.claim.token);
        match self.process(feed, claimed, lease).await {
            Ok(()) => Ok(step),
            Err(error) => {
                // The store's own trouble and others' changes give the attempt back; anything else
                // counts, so that a message that never gets through is held at last.
                let counted = !matches!(&error, Error::Store(error) if error.is_temporary());
                if let Some(token) = token
                    && let Err(later) = store.release_messages(tenant, &ids, token, counted).await
                {
                    tracing::debug!(error = %later, "the claims end by themselves");
                }
                Err(error)
            }
        }
    }

    /// Processes a batch, and renews the lease as long as that takes.
    async fn process(
        &self,
        feed: &Feed,
        claimed: Vec<Claimed>,
        lease: SignedDuration,
    ) -> Result<(), Error> {
        // Both go on together: the batch may hold the only writer, for which the renewal waits.
        tokio::select! {
            biased;
            done = Box::pin(self.pipeline.process(feed, claimed)) => done,
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
