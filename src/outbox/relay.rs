//! Claims what is due, asks consent again, publishes, and records the answer.
//!
//! The claim is a short transaction: it finds that the person changed, or it marks the envelope
//! *publishing* with a deadline; a withdrawal that comes later waits for that. Publishing never begins after the
//! deadline, and no transaction is open over the network.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::clear::{Due, follow, follow_sharers, knows};
use super::publisher::{Outgoing, Published, Publisher, PublisherState};
use crate::clock;
use crate::config::{Pace, TASKS_DESTINATION};
use crate::guard::guarded;
use crate::site::Site;
use crate::step::{Step, gather};
use crate::store::{
    AuditEntry, Claimant, ClaimedEnvelope, Clearing, EnvelopeKind, LastDecision, PublishOutcome,
    Record, Settled, Store, Then, Tx,
};
use crate::trace::Tracer;

/// The relay of one tenant.
pub struct Relay {
    store: Store,
    pub(super) site: Arc<Site>,
    publisher: Arc<Publisher>,
    pace: Pace,
    pub(super) public_url: String,
    published: Box<dyn Fn(&'static str) + Send + Sync>,
    pub(super) tracer: Tracer,
}

/// What a claim decided to send.
pub(super) struct Cleared {
    pub(super) id: Uuid,
    task: Option<Uuid>,
    person: Uuid,
    token: Uuid,
    deadline: Timestamp,
    outgoing: Outgoing,
    pub(super) trace: Uuid,
    pub(super) claimed_at: Timestamp,
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
            tracer: Tracer::default(),
        }
    }

    /// The same relay, which tells of the way of each envelope.
    #[must_use]
    pub fn traced(mut self, tracer: Tracer) -> Self {
        self.tracer = tracer;
        self
    }

    /// Works until told to stop; `queued` wakes it.
    pub async fn run(self, queued: Arc<Notify>, stop: CancellationToken) {
        let mut states = self.publisher.watch();
        while !stop.is_cancelled() {
            let wake = queued.notified();
            let pause = match guarded(self.run_once()).await {
                Ok(Step::Worked) => continue,
                Ok(Step::CaughtUp) => {
                    gather(self.pace.gather, &stop).await;
                    continue;
                }
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
        let step = Step::after(seen, self.pace.batch);
        if cleared.is_empty() {
            return Ok(if seen == 0 { Step::Idle } else { step });
        }
        let written_at = clock::now();
        let outcomes = self.publish(&cleared).await;
        let answered_at = clock::now();
        self.settle(&cleared, &outcomes).await?;
        for (one, outcome) in cleared.iter().zip(&outcomes) {
            self.trace(one, (written_at, answered_at), *outcome);
        }
        let moved = outcomes.contains(&PublishOutcome::Confirmed);
        Ok(if moved { step } else { Step::Idle })
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

    /// Decides on what is read, outside of the write transaction, so that the writer stays free; then
    /// marks what may leave, where nobody changed the person in between. The rest is decided anew.
    async fn claim(&self, now: Timestamp) -> Result<(usize, Vec<Cleared>), Error> {
        let tenant = self.site.tenant;
        let mut tx = self.store.read(tenant).await?;
        let stopped = self.is_stopped(&mut tx).await?;
        let due = tx.due_envelopes(now, self.pace.batch).await?;
        let people: Vec<Uuid> = due.iter().map(|one| one.person).collect();
        let tasks: Vec<Uuid> = due.iter().map(|one| one.task).collect();
        let now = clock::now();
        let records = tx.load_all(&people, now).await?.into_iter();
        let mut records: HashMap<Uuid, Record> = records.map(|one| (one.person, one)).collect();
        let last = tx.last_decisions(&tasks).await?;
        drop(tx);
        let decided = self.decide_all(&due, &mut records, &last);
        let mut tx = self.store.write(tenant).await?;
        if self.is_stopped(&mut tx).await? != stopped {
            return Ok((due.len(), Vec::new()));
        }
        // Others may publish to the same numbers: who comes second sees it, and decides anew.
        let people = records.values().flat_map(|record| &record.members);
        let people: Vec<Uuid> = people.map(|member| member.person).collect();
        tx.lock_sharers(&people).await?;
        let taken = tx.taken_by_sharers(&people, now).await?;
        let unchanged = tx
            .take_unchanged(&records.values().collect::<Vec<_>>())
            .await?;
        let nobody = Record::new(Uuid::nil()).map_err(Error::from)?;
        let standing: Vec<(&Record, &Clearing)> = decided
            .iter()
            .map(|(clearing, _)| (records.get(&clearing.person).unwrap_or(&nobody), clearing))
            .filter(|(record, clearing)| {
                (unchanged.contains(&record.person) && knows(record, &taken))
                    || matches!(clearing.then, Then::Orphan)
            })
            .collect();
        let marked = tx.write_clearings(&standing, now).await?;
        tx.commit().await?;
        self.trace_queue(due.iter().filter(|one| marked.contains(&one.id)), now);
        let cleared = decided
            .into_iter()
            .zip(&due)
            .filter(|((clearing, _), _)| marked.contains(&clearing.envelope))
            .filter_map(|((clearing, outgoing), one)| Cleared::of(&clearing, outgoing?, one, now))
            .collect();
        Ok((due.len(), cleared))
    }

    /// A stop counts from its commit on, whatever this process was last told. That it was lifted is
    /// for the watch to say, who then has everybody looked at.
    async fn is_stopped(&self, tx: &mut Tx) -> Result<bool, Error> {
        let stopped = tx.outreach_stop().await?.is_some();
        if stopped {
            self.site.is_stopped.store(true, Ordering::Relaxed);
        }
        Ok(stopped)
    }

    fn decide_all(
        &self,
        envelopes: &[ClaimedEnvelope],
        records: &mut HashMap<Uuid, Record>,
        last: &HashMap<Uuid, LastDecision>,
    ) -> Vec<(Clearing, Option<Outgoing>)> {
        let limit = SignedDuration::try_from(self.pace.publishing);
        let limit = limit.unwrap_or(SignedDuration::from_secs(10));
        let mut decided = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            let now = clock::now();
            let due = Due {
                envelope,
                last: last.get(&envelope.task),
                claimant: Claimant {
                    token: Uuid::now_v7(),
                    deadline: now + limit,
                },
                now,
            };
            let one = self.clear(&due, records.get(&envelope.person));
            if let Some(record) = records.get_mut(&envelope.person) {
                follow(record, &one.0, envelope.task, now);
            }
            follow_sharers(records, &one.0, envelope.task, now);
            decided.push(one);
        }
        decided
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

    /// A task that was handed over is to be taken in its time, where the CRM says when it is.
    async fn start_clock(&self, tx: &mut Tx, one: &Cleared, now: Timestamp) -> Result<(), Error> {
        let config = &self.site.config;
        let after = config.escalates_after(&one.outgoing.routing_key);
        let after = after.and_then(|after| SignedDuration::try_from(after).ok());
        match after.and_then(|after| now.checked_add(after).ok()) {
            Some(until) if config.feedback.answers => Ok(tx.start_clock(one.id, until).await?),
            _ => Ok(()),
        }
    }

    async fn settle(&self, cleared: &[Cleared], outcomes: &[PublishOutcome]) -> Result<(), Error> {
        let now = clock::now();
        let answers: Vec<Settled> = cleared
            .iter()
            .zip(outcomes)
            .map(|(one, outcome)| Settled {
                envelope: one.id,
                task: one.task,
                person: one.person,
                token: one.token,
                outcome: *outcome,
                retry_at: now + wait_after(*outcome),
                disclosure: one.disclosure(now),
            })
            .collect();
        let mut tx = self.store.write(self.site.tenant).await?;
        tx.settle(&answers, now).await?;
        let confirmed = |outcome: &PublishOutcome| *outcome == PublishOutcome::Confirmed;
        for (one, _) in cleared.iter().zip(outcomes).filter(|(_, of)| confirmed(of)) {
            self.start_clock(&mut tx, one, now).await?;
        }
        tx.commit().await?;
        for (one, outcome) in cleared.iter().zip(outcomes) {
            (self.published)(outcome.name());
            if *outcome == PublishOutcome::Unroutable {
                tracing::error!(
                    trace_id = %one.trace.simple(),
                    routing_key = %one.outgoing.routing_key,
                    "no queue takes this task; bind a queue for the team, it is tried again"
                );
            }
        }
        Ok(())
    }
}

impl Cleared {
    /// What leaves of a clearing that was marked; `None` where it does not.
    fn of(
        clearing: &Clearing,
        outgoing: Outgoing,
        envelope: &ClaimedEnvelope,
        claimed_at: Timestamp,
    ) -> Option<Self> {
        let Then::Leave(claimant, _) = &clearing.then else {
            return None;
        };
        Some(Self {
            id: envelope.id,
            task: (envelope.kind != EnvelopeKind::Cancelled).then_some(envelope.task),
            person: envelope.person,
            token: claimant.token,
            deadline: claimant.deadline,
            outgoing,
            trace: envelope.trace(),
            claimed_at,
        })
    }

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
