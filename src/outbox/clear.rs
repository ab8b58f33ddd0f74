//! Decides about one envelope that is due: under the lock of its person, and as of now.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Error;
use super::publisher::Outgoing;
use super::relay::Relay;
use super::seal::{Allowed, Setting};
use crate::care::{TaskEvent, TaskState};
use crate::clock;
use crate::config::Mode;
use crate::consent::{Hold, Outcome};
use crate::crm::View;
use crate::outreach;
use crate::store::{
    AuditEntry, ClaimedEnvelope, DecisionRow, EnvelopeKind, Record, TaskRow, Tx, Withdrawal,
};

/// How long to wait where a deferral names no instant.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// How long to wait for a withdrawal, merge or death that is being committed.
const UNTIL_COMMITTED: SignedDuration = SignedDuration::from_millis(250);

/// How an envelope ends without leaving: its state, the reason in the words of the message schema,
/// and what that is to its task.
struct End {
    state: &'static str,
    reason: &'static str,
    /// `None` where the task has its state already.
    event: Option<TaskEvent>,
}

impl Relay {
    /// Decides about one envelope, under the lock of its person. `None` means that it does not
    /// leave now; the rows say why.
    pub(super) async fn clear(
        &self,
        tx: &mut Tx,
        envelope: &ClaimedEnvelope,
    ) -> Result<Option<Outgoing>, Error> {
        tx.lock_person(envelope.person).await?;
        // After the lock: a withdrawal that was committed while this waited is then in the past.
        let now = clock::now();
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
        if envelope.kind == EnvelopeKind::Cancelled && envelope.expires_at <= now {
            tx.end_envelope(envelope.id, "dropped", "expired").await?;
            return Ok(None);
        }
        if envelope.kind == EnvelopeKind::Cancelled {
            let built = setting.cancellation(envelope, task);
            return self
                .sealed((tx, now), envelope, (record, task), built)
                .await;
        }
        if record.holds.contains(&Hold::ChangePending) {
            // What is being committed decides, so the question waits for it.
            tx.postpone(envelope.id, now + UNTIL_COMMITTED).await?;
            return Ok(None);
        }
        match self.over(envelope, (record, task), now) {
            Some(end) => {
                self.end((tx, now), envelope, (record, task), end).await?;
                Ok(None)
            }
            None => self.ask(tx, envelope, (record, task), &setting).await,
        }
    }

    /// Why an envelope is over before consent is asked.
    fn over(
        &self,
        envelope: &ClaimedEnvelope,
        (record, task): (&Record, &TaskRow),
        now: Timestamp,
    ) -> Option<End> {
        let end = |state, reason, event| {
            Some(End {
                state,
                reason,
                event,
            })
        };
        if envelope.expires_at <= now {
            return end("dropped", "expired", Some(TaskEvent::Expired));
        }
        let follows = envelope.kind == EnvelopeKind::Revised;
        let stands = task.state == TaskState::Queued || (follows && task.state.was_published());
        if !stands {
            return end("withdrawn", "superseded", None);
        }
        // What left is not called back by a change of mode, and neither is what follows it.
        if !follows && self.mode(record, task) == Mode::Observe {
            return end("withdrawn", "manual", Some(TaskEvent::Muted));
        }
        None
    }

    /// Asks consent as of now, and records the answer.
    async fn ask(
        &self,
        tx: &mut Tx,
        envelope: &ClaimedEnvelope,
        (record, task): (&Record, &TaskRow),
        setting: &Setting<'_>,
    ) -> Result<Option<Outgoing>, Error> {
        let now = setting.now;
        let view = self.site.view(&record.assertions);
        let mut row = self.decide((record, task), &view, now);
        row.id = tx.store_decision_once(&row).await?;
        let decision = &row.decision;
        let mut next = task.clone();
        next.decision = Some(row.id);
        match decision.result {
            Outcome::Allow | Outcome::AllowWithObligations => {
                tx.store_task(record, &next).await?;
                // The answer to this envelope will speak of this contact point.
                let contact = (decision.contact_point, decision.channel);
                tx.set_contact(envelope.id, contact).await?;
                let language = view.demographics.language.as_deref();
                let allowed = Allowed {
                    id: row.id,
                    decision,
                    language,
                };
                self.sealed(
                    (tx, now),
                    envelope,
                    (record, &next),
                    setting.request(envelope, task, &allowed),
                )
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
                let event = Some(TaskEvent::Denied);
                let end = End {
                    state: "withdrawn",
                    reason: "consent-revoked",
                    event,
                };
                self.end((tx, now), envelope, (record, &next), end).await?;
                Ok(None)
            }
        }
    }

    fn decide(
        &self,
        (record, task): (&Record, &TaskRow),
        view: &View,
        now: Timestamp,
    ) -> DecisionRow {
        let live = |finding: Uuid| {
            let mut known = record.findings.iter();
            known.any(|known| known.id == finding && known.state.asks())
        };
        let request = outreach::Request {
            task: task.id,
            detail: &task.detail,
            due_at: task.due_at,
            still_needed: task.live_topics().any(|topic| live(topic.finding)),
        };
        let terms = outreach::Terms {
            tenant: &self.site.config,
            policy: &self.site.policy,
        };
        DecisionRow {
            id: Uuid::now_v7(),
            person: task.person,
            task: task.id,
            stage: "published",
            at: now,
            decision: outreach::decide(&request, record, view, terms, now),
        }
    }

    /// Ends an envelope with its task; where an earlier try may have arrived, a cancellation
    /// follows it.
    async fn end(
        &self,
        (tx, now): (&mut Tx, Timestamp),
        envelope: &ClaimedEnvelope,
        (record, task): (&Record, &TaskRow),
        end: End,
    ) -> Result<(), Error> {
        let End {
            state,
            reason,
            event,
        } = end;
        let mut next = task.clone();
        let state_after = event.and_then(|event| task.state.after(event));
        next.state = state_after.unwrap_or(task.state);
        next.changed_at = now;
        tx.store_task(record, &next).await?;
        // Nothing is left to end where the newer version of a task was only too late to be told.
        let told = envelope.kind == EnvelopeKind::Revised && next.state.is_terminal();
        if envelope.in_doubt || told {
            let withdrawal = Withdrawal {
                task: task.id,
                reason,
                message: envelope.message,
            };
            tx.withdraw_task(&withdrawal, now).await?;
        }
        tx.end_envelope(envelope.id, state, reason).await?;
        // The calendar finds out when this task may be asked again.
        tx.look_at(record.person, now).await?;
        tx.audit(&AuditEntry {
            at: now,
            actor: "relay".to_owned(),
            action: "task.withdraw",
            outcome: "done",
            purpose: None,
            entity: ("task", Some(task.id)),
            message: envelope.message,
            detail: Some(reason.to_owned()),
        })
        .await?;
        Ok(())
    }

    /// An envelope that cannot be written is ended, loudly: it would fail for ever.
    async fn sealed(
        &self,
        (tx, now): (&mut Tx, Timestamp),
        envelope: &ClaimedEnvelope,
        (record, task): (&Record, &TaskRow),
        built: Result<Outgoing, super::envelope::Error>,
    ) -> Result<Option<Outgoing>, Error> {
        match built {
            Ok(outgoing) => Ok(Some(outgoing)),
            Err(error) => {
                tracing::error!(envelope = %envelope.id, %error, "a task cannot be written as a message");
                let event = Some(TaskEvent::Denied);
                let end = End {
                    state: "dropped",
                    reason: "content-error",
                    event,
                };
                self.end((tx, now), envelope, (record, task), end).await?;
                Ok(None)
            }
        }
    }

    /// A rule that is gone observes.
    fn mode(&self, record: &Record, task: &TaskRow) -> Mode {
        let leading = task.leading().map(|topic| topic.rule.as_str());
        let rule = leading.and_then(|rule| self.site.rules.get(rule));
        rule.map_or(Mode::Observe, |rule| {
            self.site.mode(rule, &record.assertions)
        })
    }
}
