//! Claims what is due, asks consent again, publishes, and records the answer.
//!
//! The claim is a short transaction: it finds a hold, or it marks the envelope *publishing* with a
//! deadline; a withdrawal that comes later waits for that. Publishing never begins after the
//! deadline, and no transaction is open over the network.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::publisher::{Outgoing, Published, Publisher, PublisherState};
use crate::clock;
use crate::config::{Pace, TASKS_DESTINATION};
use crate::guard::guarded;
use crate::site::Site;
use crate::store::{AuditEntry, PublishOutcome, Store};

/// Whether there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// There is nothing to do now.
    Idle,
}

/// The relay of one tenant.
pub struct Relay {
    store: Store,
    pub(super) site: Arc<Site>,
    publisher: Arc<Publisher>,
    pace: Pace,
    pub(super) public_url: String,
    published: Box<dyn Fn(&'static str) + Send + Sync>,
}

/// What a claim decided to send.
struct Cleared {
    id: Uuid,
    person: Uuid,
    token: Uuid,
    deadline: Timestamp,
    outgoing: Outgoing,
}

impl Relay {
    /// A relay of `site`'s envelopes to `publisher`; `published` is told each outcome.
    pub fn new(
        (store, site): (Store, Arc<Site>),
        publisher: Arc<Publisher>,
        pace: Pace,
        public_url: String,
        published: Box<dyn Fn(&'static str) + Send + Sync>,
    ) -> Self {
        Self {
            store,
            site,
            publisher,
            pace,
            public_url,
            published,
        }
    }

    /// Works until told to stop; `queued` wakes it.
    pub async fn run(self, queued: Arc<Notify>, stop: CancellationToken) {
        let mut states = self.publisher.watch();
        while !stop.is_cancelled() {
            let wake = queued.notified();
            let pause = match guarded(self.run_once()).await {
                Ok(Step::Worked) => continue,
                Ok(Step::Idle) => self.pace.idle,
                Err(error) => {
                    tracing::warn!(%error, "publishing pauses");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake => {}
                changed = states.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Claims, publishes and settles one batch.
    ///
    /// # Errors
    /// When the store is away; a publish under way is then settled by its deadline.
    pub async fn run_once(&self) -> Result<Step, Error> {
        let now = clock::now();
        let today = now.to_zoned(self.site.config.zone.clone()).date();
        if !matches!(self.publisher.state(), PublisherState::Up)
            || !self.site.config.is_covered(TASKS_DESTINATION, today)
        {
            return Ok(Step::Idle);
        }
        if !self.is_anything_due(now).await? {
            return Ok(Step::Idle);
        }
        let (seen, cleared) = self.claim(now).await?;
        if cleared.is_empty() {
            return Ok(if seen == 0 { Step::Idle } else { Step::Worked });
        }
        let outcomes = self.publish(&cleared).await;
        self.settle(&cleared, &outcomes).await?;
        let moved = outcomes.contains(&PublishOutcome::Confirmed);
        Ok(if moved { Step::Worked } else { Step::Idle })
    }

    /// Looks without taking the write lock, and puts back what a publisher left behind.
    async fn is_anything_due(&self, now: Timestamp) -> Result<bool, Error> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let overdue = tx.has_overdue_publishing(now).await?;
        if !overdue {
            return Ok(!tx.due_envelopes(now, 1).await?.is_empty());
        }
        drop(tx);
        self.store.reclaim_envelopes(self.site.tenant, now).await?;
        Ok(true)
    }

    async fn claim(&self, now: Timestamp) -> Result<(usize, Vec<Cleared>), Error> {
        let mut tx = self.store.write(self.site.tenant).await?;
        // A stop counts from its commit on, whatever this process was last told. That it was lifted
        // is for the watch to say, who then has everybody looked at.
        if tx.outreach_stop().await?.is_some() {
            self.site.is_stopped.store(true, Ordering::Relaxed);
        }
        let due = tx.due_envelopes(now, self.pace.batch).await?;
        let mut cleared = Vec::new();
        for envelope in &due {
            if let Some(outgoing) = self.clear(&mut tx, envelope).await? {
                let token = Uuid::now_v7();
                let limit = SignedDuration::try_from(self.pace.publishing);
                let deadline = clock::now() + limit.unwrap_or(SignedDuration::from_secs(10));
                if tx.mark_publishing(envelope.id, token, deadline).await? {
                    cleared.push(Cleared {
                        id: envelope.id,
                        person: envelope.person,
                        token,
                        deadline,
                        outgoing,
                    });
                }
            }
        }
        tx.commit().await?;
        Ok((due.len(), cleared))
    }

    async fn publish(&self, cleared: &[Cleared]) -> Vec<PublishOutcome> {
        let now = clock::now();
        let left = cleared.iter().map(|one| one.deadline.duration_since(now));
        let left = left.min().and_then(|left| Duration::try_from(left).ok());
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return vec![PublishOutcome::NotSent; cleared.len()];
        };
        let batch = cleared.iter().map(|one| one.outgoing.clone()).collect();
        let published = self.publisher.publish_within(batch, left).await;
        published
            .into_iter()
            .map(|answer| match answer {
                Published::Confirmed => PublishOutcome::Confirmed,
                Published::Unroutable => PublishOutcome::Unroutable,
                Published::Refused => PublishOutcome::Refused,
                Published::Unknown => PublishOutcome::Unknown,
                Published::NotSent => PublishOutcome::NotSent,
            })
            .collect()
    }

    async fn settle(&self, cleared: &[Cleared], outcomes: &[PublishOutcome]) -> Result<(), Error> {
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        for (one, outcome) in cleared.iter().zip(outcomes) {
            // First the person, as everybody does who changes their tasks.
            tx.lock_person(one.person).await?;
            let retry_at = now + wait_after(*outcome);
            let settled = tx
                .settle((one.id, one.token), *outcome, now, retry_at)
                .await?;
            if settled && *outcome == PublishOutcome::Confirmed {
                tx.audit(&one.disclosure(now)).await?;
            }
        }
        tx.commit().await?;
        for (one, outcome) in cleared.iter().zip(outcomes) {
            (self.published)(outcome.name());
            if *outcome == PublishOutcome::Unroutable {
                tracing::error!(
                    routing_key = %one.outgoing.routing_key,
                    "no queue takes this task; bind a queue for the team, it is tried again"
                );
            }
        }
        Ok(())
    }
}

impl Cleared {
    /// What left, to whom it was given, for the accounting of disclosures (45 CFR 164.528).
    fn disclosure(&self, now: Timestamp) -> AuditEntry {
        AuditEntry {
            at: now,
            actor: "relay".to_owned(),
            action: "task.publish",
            outcome: "done",
            purpose: Some("treatment".to_owned()),
            entity: ("envelope", Some(self.id)),
            message: None,
            detail: Some(self.outgoing.routing_key.clone()),
        }
    }
}

/// How long to leave an envelope alone after an outcome.
const fn wait_after(outcome: PublishOutcome) -> SignedDuration {
    match outcome {
        PublishOutcome::Confirmed => SignedDuration::ZERO,
        PublishOutcome::NotSent | PublishOutcome::Unknown => SignedDuration::from_secs(1),
        PublishOutcome::Refused => SignedDuration::from_secs(5),
        PublishOutcome::Unroutable => SignedDuration::from_secs(30),
    }
}
