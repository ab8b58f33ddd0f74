//! Claims what is due, asks consent again, publishes, and records the answer.
//!
//! The claim is a short transaction: it finds a hold, or it marks the envelope *publishing* with a
//! deadline; a withdrawal that comes later waits for that. Publishing never begins after the
//! deadline, and no transaction is open over the network.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::publisher::{Outgoing, Published, Publisher, PublisherState};
use super::seal::{Allowed, Setting};
use crate::care::{TaskEvent, TaskState};
use crate::clock;
use crate::config::{Mode, Pace, TASKS_DESTINATION};
use crate::consent::Outcome;
use crate::crm::View;
use crate::outreach;
use crate::site::Site;
use crate::store::{
    ClaimedEnvelope, DecisionRow, EnvelopeKind, PublishOutcome, Record, Store, TaskRow, Tx,
    Withdrawal,
};

/// Whether there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// There is nothing to do now.
    Idle,
}

/// The longest wait between two tries of one envelope.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// The relay of one tenant.
pub struct Relay {
    store: Store,
    site: Arc<Site>,
    publisher: Arc<Publisher>,
    pace: Pace,
    public_url: String,
    published: Box<dyn Fn(&'static str) + Send + Sync>,
}

/// What a claim decided to send.
struct Cleared {
    id: Uuid,
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
            let pause = match self.run_once().await {
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
        let moved = outcomes
            .iter()
            .any(|outcome| *outcome == PublishOutcome::Confirmed);
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
        let due = tx.due_envelopes(now, self.pace.batch).await?;
        let mut cleared = Vec::new();
        for envelope in &due {
            if let Some(outgoing) = self.clear(&mut tx, envelope, now).await? {
                let token = Uuid::now_v7();
                let limit = SignedDuration::try_from(self.pace.publishing);
                let deadline = now + limit.unwrap_or(SignedDuration::from_secs(10));
                if tx.mark_publishing(envelope.id, token, deadline).await? {
                    cleared.push(Cleared {
                        id: envelope.id,
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

    /// Decides about one envelope, under the lock of its person. `None` means that it does not
    /// leave now; the rows say why.
    async fn clear(
        &self,
        tx: &mut Tx,
        envelope: &ClaimedEnvelope,
        now: Timestamp,
    ) -> Result<Option<Outgoing>, Error> {
        tx.lock_person(envelope.person).await?;
        let record = tx.load(envelope.person, now).await?;
        let found = record.as_ref().and_then(|record| {
            record
                .tasks
                .iter()
                .find(|task| task.id == envelope.task)
                .map(|task| (record, task))
        });
        let Some((record, task)) = found else {
            tx.end_envelope(envelope.id, "dropped", "content-error")
                .await?;
            return Ok(None);
        };
        let setting = Setting {
            tenant: &self.site.config.name,
            public_url: &self.public_url,
            now,
        };
        if envelope.kind == EnvelopeKind::Cancelled {
            return self
                .sealed(tx, envelope, setting.cancellation(envelope, task))
                .await;
        }
        if envelope.expires_at <= now {
            self.end(
                tx,
                (envelope, "dropped", "expired"),
                (record, task),
                TaskEvent::Expired,
                now,
            )
            .await?;
            return Ok(None);
        }
        if task.state != TaskState::Queued {
            tx.end_envelope(envelope.id, "withdrawn", "superseded")
                .await?;
            return Ok(None);
        }
        if self.mode(record, task) == Mode::Observe {
            self.end(
                tx,
                (envelope, "withdrawn", "manual"),
                (record, task),
                TaskEvent::Muted,
                now,
            )
            .await?;
            return Ok(None);
        }
        self.ask(tx, envelope, (record, task), &setting).await
    }

    async fn ask(
        &self,
        tx: &mut Tx,
        envelope: &ClaimedEnvelope,
        (record, task): (&Record, &TaskRow),
        setting: &Setting<'_>,
    ) -> Result<Option<Outgoing>, Error> {
        let now = setting.now;
        let view = View::of(&record.assertions, &self.site.config.source_rank);
        let live = record
            .findings
            .iter()
            .any(|finding| finding.id == task.finding && finding.state.is_live());
        let request = outreach::Request {
            task: task.id,
            detail: &task.detail,
            due_at: task.due_at,
            still_needed: live,
        };
        let decision = outreach::decide(&request, record, &view, &self.site.policy, now);
        let row = DecisionRow {
            id: Uuid::now_v7(),
            person: task.person,
            task: task.id,
            stage: "published",
            at: now,
            decision,
        };
        tx.store_decision(&row).await?;
        let mut next = task.clone();
        next.decision = Some(row.id);
        let decision = &row.decision;
        match decision.result {
            Outcome::Allow | Outcome::AllowWithObligations => {
                tx.store_task(record, &next).await?;
                let language = view.demographics.language.as_deref();
                let allowed = Allowed {
                    id: row.id,
                    decision,
                    language,
                };
                self.sealed(tx, envelope, setting.request(envelope, task, &allowed))
                    .await
            }
            Outcome::Defer => {
                tx.store_task(record, &next).await?;
                let later = decision.next_allowed_at.unwrap_or(now + LONGEST_WAIT);
                tx.postpone(envelope.id, later).await?;
                Ok(None)
            }
            Outcome::Deny | Outcome::HumanReview => {
                next.ask_at = decision.look_again_at;
                self.end(
                    tx,
                    (envelope, "withdrawn", "consent-revoked"),
                    (record, &next),
                    TaskEvent::Denied,
                    now,
                )
                .await?;
                Ok(None)
            }
        }
    }

    /// Ends an envelope with its task; where an earlier try may have arrived, a cancellation
    /// follows it.
    async fn end(
        &self,
        tx: &mut Tx,
        (envelope, state, reason): (&ClaimedEnvelope, &'static str, &'static str),
        (record, task): (&Record, &TaskRow),
        event: TaskEvent,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut next = task.clone();
        next.state = task.state.after(event).unwrap_or(task.state);
        next.changed_at = now;
        next.version = task.version + 1;
        tx.store_task(record, &next).await?;
        if envelope.in_doubt {
            let withdrawal = Withdrawal {
                task: task.id,
                reason,
                message: envelope.message,
            };
            tx.withdraw_task(&withdrawal, now).await?;
        }
        tx.end_envelope(envelope.id, state, reason).await?;
        Ok(())
    }

    /// An envelope that cannot be written is ended, loudly: it would fail for ever.
    async fn sealed(
        &self,
        tx: &mut Tx,
        envelope: &ClaimedEnvelope,
        built: Result<Outgoing, super::envelope::Error>,
    ) -> Result<Option<Outgoing>, Error> {
        match built {
            Ok(outgoing) => Ok(Some(outgoing)),
            Err(error) => {
                tracing::error!(envelope = %envelope.id, %error, "a task cannot be written as a message");
                tx.end_envelope(envelope.id, "dropped", "content-error")
                    .await?;
                Ok(None)
            }
        }
    }

    fn mode(&self, record: &Record, task: &TaskRow) -> Mode {
        let latest = record
            .assertions
            .iter()
            .max_by_key(|assertion| assertion.event_time);
        let label = latest
            .map(|assertion| assertion.source.as_str())
            .unwrap_or_default();
        self.site
            .mode(&task.detail.rule, label, Site::is_test(label))
    }

    async fn publish(&self, cleared: &[Cleared]) -> Vec<PublishOutcome> {
        let now = clock::now();
        let in_time = cleared.iter().all(|one| now < one.deadline);
        if !in_time {
            return vec![PublishOutcome::NotSent; cleared.len()];
        }
        let batch = cleared.iter().map(|one| one.outgoing.clone()).collect();
        let published = self.publisher.publish_all(batch).await;
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
            tx.settle(
                (one.id, one.token),
                *outcome,
                now,
                now + wait_after(*outcome),
            )
            .await?;
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

/// How long to leave an envelope alone after an outcome.
const fn wait_after(outcome: PublishOutcome) -> SignedDuration {
    match outcome {
        PublishOutcome::Confirmed => SignedDuration::ZERO,
        PublishOutcome::NotSent | PublishOutcome::Unknown => SignedDuration::from_secs(1),
        PublishOutcome::Refused => SignedDuration::from_secs(5),
        PublishOutcome::Unroutable => SignedDuration::from_secs(30),
    }
}
