//! Decides about one envelope that is due, on the record of its person and as of now. What is decided
//! is written only where nobody changed the person in between.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::publisher::Outgoing;
use super::relay::Relay;
use super::seal::{Allowed, Setting};
use crate::care::{TaskEvent, TaskState};
use crate::config::Mode;
use crate::consent::{Channel, Hold, Outcome, Sent};
use crate::crm::View;
use crate::outreach;
use crate::store::{
    Claimant, ClaimedEnvelope, Clearing, DecisionRow, EnvelopeKind, LastDecision, Record, TaskRow,
    Then, Withdrawal,
};

/// How long to wait where a deferral names no instant.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// How long to wait for a withdrawal, merge or death that is being committed.
const UNTIL_COMMITTED: SignedDuration = SignedDuration::from_millis(250);

/// How long to wait for the pipeline to look at a task that is late.
const UNTIL_DATED: SignedDuration = SignedDuration::from_secs(10);

/// How an envelope ends without leaving: its state, the reason in the words of the message schema,
/// and what that is to its task.
struct End {
    state: &'static str,
    reason: &'static str,
    /// `None` where the task has its state already.
    event: Option<TaskEvent>,
}

/// An envelope that is due, with what its decision builds on.
pub(super) struct Due<'a> {
    pub(super) envelope: &'a ClaimedEnvelope,
    /// The newest decision at publishing of its task.
    pub(super) last: Option<&'a LastDecision>,
    pub(super) claimant: Claimant,
    pub(super) now: Timestamp,
}

/// What is to be written, and what leaves.
type Cleared = (Clearing, Option<Outgoing>);

impl Due<'_> {
    fn clearing(&self, then: Then) -> Clearing {
        Clearing {
            envelope: self.envelope.id,
            person: self.envelope.person,
            message: self.envelope.message,
            task: None,
            decision: None,
            then,
        }
    }
}

impl Relay {
    /// Decides about one envelope.
    pub(super) fn clear(&self, due: &Due<'_>, record: Option<&Record>) -> Cleared {
        let Due { envelope, now, .. } = due;
        let found = record.and_then(|record| {
            let mut tasks = record.tasks.iter();
            let task = tasks.find(|task| task.id == envelope.task)?;
            Some((record, task))
        });
        let Some((record, task)) = found else {
            return (due.clearing(Then::Orphan), None);
        };
        let setting = Setting {
            tenant: &self.site.config.name,
            public_url: &self.public_url,
            traceparent: self.tracer.parent_of(envelope.trace(), envelope.id),
            now: *now,
        };
        if envelope.kind == EnvelopeKind::Cancelled && envelope.expires_at <= *now {
            return (due.clearing(Then::End("dropped", "expired", None)), None);
        }
        if envelope.kind == EnvelopeKind::Cancelled {
            let clearing = due.clearing(Then::Leave(due.claimant, None));
            return sealed(due, task, clearing, setting.cancellation(envelope, task));
        }
        if record.holds.contains(&Hold::ChangePending) {
            // What is being committed decides, so the question waits for it.
            return (due.clearing(Then::Wait(*now + UNTIL_COMMITTED)), None);
        }
        if task.is_late(*now) && !task.state.is_terminal() {
            // Whether it ends or gets another date is the pipeline's to say.
            return (due.clearing(Then::Late(*now + UNTIL_DATED)), None);
        }
        match self.over(envelope, (record, task), *now) {
            Some(end) => (ended(due, task, None, end), None),
            None => self.ask(due, (record, task), &setting),
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
        if !follows && self.site.mode_of_task(task, record) == Mode::Observe {
            return end("withdrawn", "manual", Some(TaskEvent::Muted));
        }
        None
    }

    /// Asks consent as of now.
    fn ask(
        &self,
        due: &Due<'_>,
        (record, task): (&Record, &TaskRow),
        setting: &Setting<'_>,
    ) -> Cleared {
        let view = self.site.view(&record.assertions);
        let mut row = self.decide((record, task), &view, due.now);
        row.id = due
            .last
            .and_then(|last| last.same_as(&row))
            .unwrap_or(row.id);
        let decision = &row.decision;
        let mut next = task.clone();
        next.decision = Some(row.id);
        match decision.result {
            Outcome::Allow | Outcome::AllowWithObligations => {
                let contact = (decision.contact_point, decision.channel);
                let allowed = Allowed {
                    id: row.id,
                    decision,
                    language: view.demographics.language.as_deref(),
                };
                let built = setting.request(due.envelope, task, &allowed);
                let clearing = Clearing {
                    task: Some(next.clone()),
                    decision: Some(row),
                    ..due.clearing(Then::Leave(due.claimant, Some(contact)))
                };
                sealed(due, &next, clearing, built)
            }
            Outcome::Defer => {
                let later = decision.next_allowed_at.unwrap_or(due.now + LONGEST_WAIT);
                let clearing = Clearing {
                    task: Some(next),
                    decision: Some(row),
                    ..due.clearing(Then::Wait(later))
                };
                (clearing, None)
            }
            Outcome::Deny | Outcome::HumanReview => {
                next.ask_at = decision.look_again_at;
                let end = End {
                    state: "withdrawn",
                    reason: "consent-revoked",
                    event: Some(TaskEvent::Denied),
                };
                (ended(due, &next, Some(row), end), None)
            }
        }
    }

    fn decide(
        &self,
        (record, task): (&Record, &TaskRow),
        view: &View,
        now: Timestamp,
    ) -> DecisionRow {
        let request = outreach::Request::of(task, record);
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
}

/// Ends an envelope with its task; where an earlier try may have arrived, a cancellation follows it.
fn ended(due: &Due<'_>, task: &TaskRow, decision: Option<DecisionRow>, end: End) -> Clearing {
    let mut next = task.clone();
    let state_after = end.event.and_then(|event| task.state.after(event));
    next.state = state_after.unwrap_or(task.state);
    next.changed_at = due.now;
    // Nothing is left to end where the newer version of a task was only too late to be told.
    let told = due.envelope.kind == EnvelopeKind::Revised && next.state.is_terminal();
    let withdrawal = (due.envelope.in_doubt || told).then_some(Withdrawal {
        task: task.id,
        reason: end.reason,
        message: due.envelope.message,
    });
    Clearing {
        task: Some(next),
        decision,
        ..due.clearing(Then::End(end.state, end.reason, withdrawal))
    }
}

/// An envelope that cannot be written is ended, loudly: it would fail for ever.
fn sealed(
    due: &Due<'_>,
    task: &TaskRow,
    clearing: Clearing,
    built: Result<Outgoing, super::envelope::Error>,
) -> Cleared {
    match built {
        Ok(outgoing) => (clearing, Some(outgoing)),
        Err(error) => {
            tracing::error!(trace_id = %due.envelope.trace().simple(), envelope = %due.envelope.id, %error, "a task cannot be written as a message");
            let end = End {
                state: "dropped",
                reason: "content-error",
                event: Some(TaskEvent::Denied),
            };
            (ended(due, task, clearing.decision, end), None)
        }
    }
}

/// Takes what was decided about one envelope into the record, for the person's other ones.
pub(super) fn follow(record: &mut Record, clearing: &Clearing, task: Uuid, now: Timestamp) {
    match &clearing.then {
        Then::Leave(_, Some((contact, Some(channel)))) => {
            let slot = slot(*contact, *channel, now);
            record.sent.retain(|(known, _)| *known != task);
            record.sent.push((task, slot));
        }
        Then::End(..) => record.sent.retain(|(known, _)| *known != task),
        Then::Leave(..) | Then::Wait(_) | Then::Late(_) | Then::Orphan => {}
    }
}

/// Takes it into the records of others who share the contact point that it goes to.
pub(super) fn follow_sharers(
    records: &mut HashMap<Uuid, Record>,
    clearing: &Clearing,
    task: Uuid,
    at: Timestamp,
) {
    let Then::Leave(_, Some((Some(contact), Some(channel)))) = clearing.then else {
        return;
    };
    let own = records.get(&clearing.person).map(|record| &record.contacts);
    let point = own.and_then(|rows| rows.iter().find(|row| row.id == contact));
    let Some(value) = point.map(|row| row.value_index.clone()) else {
        return;
    };
    let others = records.values_mut();
    for record in others.filter(|record| record.person != clearing.person) {
        let mut rows = record.contacts.iter();
        let Some(row) = rows.find(|row| row.value_index == value) else {
            continue;
        };
        let slot = Sent {
            shared: true,
            ..slot(Some(row.id), channel, at)
        };
        record.sent.push((task, slot));
    }
}

/// Whether a record was read with everything that left for others to its contact points.
pub(super) fn knows(record: &Record, taken: &[(Uuid, Uuid)]) -> bool {
    let mut ours = taken.iter().filter(|(person, _)| {
        let mut members = record.members.iter();
        members.any(|member| member.person == *person)
    });
    ours.all(|(_, task)| record.sent.iter().any(|(known, _)| known == task))
}

const fn slot(contact: Option<Uuid>, channel: Channel, at: Timestamp) -> Sent {
    Sent {
        at,
        channel,
        contact,
        shared: false,
    }
}
