//! Findings to tasks: what opened becomes a task where consent allows, what closed withdraws its own.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::findings::Round;
use super::sharing::was_told;
use crate::care::{TaskEvent, TaskState};
use crate::config::Mode;
use crate::consent::{Channel, Code, Decision, Outcome, Sent};
use crate::outreach;
use crate::store::{DecisionRow, Effects, NewEnvelope, Record, Revision, TaskRow, Withdrawal};

/// The denials that take back what left: the person, the record or the law says no. Others only
/// say that a contact would not fit now.
const SAYS_NO: [Code; 12] = [
    Code::Deceased,
    Code::MinorConfidential,
    Code::NoContact,
    Code::UnsafeContact,
    Code::SensitiveNoConsent,
    Code::MarketingNoAuth,
    Code::NoConsent,
    Code::ConsentDenied,
    Code::ConsentExpired,
    Code::ConsentRevoked,
    Code::OptedOut,
    Code::NoValidContact,
];

impl Round<'_> {
    /// Asks, ends or leaves every unfinished task, once, the most urgent first.
    pub(super) fn finish(
        &mut self,
        before: &[TaskRow],
        record: &mut Record,
        effects: &mut Effects,
    ) {
        let mut tasks: Vec<TaskRow> = record
            .tasks
            .iter()
            .filter(|task| !task.state.is_terminal())
            .cloned()
            .collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.detail.priority));
        for task in tasks {
            let old = before.iter().find(|old| old.id == task.id);
            let changed = old.is_some_and(|old| !says_the_same(old, &task));
            let last = task.live_topics().next().is_none();
            let ended = task.detail.topics.iter().filter_map(|topic| topic.ended);
            match ended.max_by_key(|(at, _)| *at).filter(|_| last) {
                Some((_, why)) => {
                    // A task without a reason ends, whatever its last reason's end is to others.
                    let event = why.ends_task();
                    let ends = task.state.after(event).is_some_and(TaskState::is_terminal);
                    let event = if ends { event } else { TaskEvent::Superseded };
                    self.end(task, event, record, effects);
                }
                None if task.due_at <= self.desk.cause.now => self.expire(task, record, effects),
                None if old.is_none() || changed || self.is_to_be_asked(&task, record) => {
                    self.ask(task, old.map(|old| (old.state, changed)), record, effects);
                }
                None => {
                    self.remember(task.ask_at);
                    self.remember(Some(task.due_at));
                }
            }
        }
    }

    /// Tasks are asked again when their time has come, when what is known of the person changed, or
    /// when their mode did.
    pub(super) fn is_to_be_asked(&self, task: &TaskRow, record: &Record) -> bool {
        let due = task.ask_at.is_some_and(|at| at <= self.desk.cause.now);
        if task.state.has_left() {
            // What left is only taken back when consent, a restriction or the person's record says
            // so; a change of mode does not call anything back.
            return due || self.retold;
        }
        due || self.retold || task.mode != self.desk.site.mode_of_task(task, record)
    }

    /// What consent says of a task as it would be.
    pub(super) fn decide(&self, task: &TaskRow, record: &Record) -> Decision {
        let request = outreach::Request {
            task: task.id,
            detail: &task.detail,
            due_at: task.due_at,
            still_needed: true,
        };
        let terms = self.desk.terms();
        outreach::decide(&request, record, self.view, terms, self.desk.cause.now)
    }

    /// Asks consent for a task and puts it where the answer says.
    /// `before` is the state it had and whether its content changed since; `None` for a new one.
    fn ask(
        &mut self,
        mut task: TaskRow,
        before: Option<(TaskState, bool)>,
        record: &mut Record,
        effects: &mut Effects,
    ) {
        let now = self.desk.cause.now;
        let decision = self.decide(&task, record);
        let id = Uuid::now_v7();
        task.decision = Some(id);
        task.mode = self.desk.site.mode_of_task(&task, record);
        let was = before.map(|(state, _)| state);
        let left = was.is_some_and(TaskState::has_left);
        if left {
            self.withdraw_if_denied(&mut task, &decision, effects);
            let stays = was == Some(task.state);
            self.revise(
                &task,
                before.is_some_and(|(_, changed)| changed && stays),
                effects,
            );
        } else {
            self.place(&mut task, &decision, record.is_pilot);
        }
        if task.state == TaskState::Withheld && was == Some(TaskState::Deferred) {
            // It may have left before it waited: then it is taken back.
            self.withdraw(&task, "consent-revoked", effects);
        }
        if task.state == TaskState::Queued && !left {
            let contact = decision
                .channel
                .map(|channel| (decision.contact_point, channel));
            if let Some((contact, channel)) = contact {
                let sent = Sent {
                    at: now,
                    channel,
                    contact,
                    shared: false,
                };
                record.sent.push((task.id, sent));
            }
            effects.envelopes.push(self.envelope(&task, contact));
            effects
                .audit
                .push(self.desk.entry("task.release", ("task", Some(task.id))));
        } else if before.is_none() {
            effects
                .audit
                .push(self.desk.entry("task.create", ("task", Some(task.id))));
        }
        // What the EHR tells anew of a task that a team has does not begin the team's time anew.
        if was != Some(task.state) {
            task.changed_at = now;
        }
        self.remember(task.ask_at);
        self.remember(Some(task.due_at));
        effects.decisions.push(DecisionRow {
            id,
            person: task.person,
            task: task.id,
            stage: "made",
            at: now,
            decision,
        });
        store(task, record, effects);
    }

    /// Changed content follows what left; what has not left takes it along.
    fn revise(&self, task: &TaskRow, changed: bool, effects: &mut Effects) {
        if !changed {
            return;
        }
        effects.revisions.push(Revision {
            task: task.id,
            expires_at: task.due_at,
            message: self.desk.cause.message,
        });
        effects
            .audit
            .push(self.desk.entry("task.revise", ("task", Some(task.id))));
    }

    /// A task that left, or is about to, is withdrawn when consent now denies it; a deferral is the
    /// relay's to keep.
    fn withdraw_if_denied(&self, task: &mut TaskRow, decision: &Decision, effects: &mut Effects) {
        task.ask_at = None;
        let says_no = decision.codes.iter().any(|code| SAYS_NO.contains(code));
        if decision.result != Outcome::Deny || !says_no {
            return;
        }
        let Some(state) = task.state.after(TaskEvent::ConsentRevoked) else {
            return;
        };
        task.state = state;
        task.ask_at = decision.look_again_at;
        self.withdraw(task, "consent-revoked", effects);
    }

    fn withdraw(&self, task: &TaskRow, reason: &'static str, effects: &mut Effects) {
        let message = self.desk.cause.message;
        effects.withdrawals.push(Withdrawal {
            task: task.id,
            reason,
            message,
        });
        effects
            .audit
            .push(self.desk.entry("task.withdraw", ("task", Some(task.id))));
    }

    fn place(&self, task: &mut TaskRow, decision: &Decision, named: bool) {
        let released = match task.mode {
            Mode::Observe => false,
            Mode::Pilot => named || self.desk.cause.pilot_left > 0,
            Mode::Live => true,
        };
        task.ask_at = match decision.result {
            Outcome::Defer => decision.next_allowed_at,
            _ => decision.look_again_at,
        };
        task.state = match decision.result {
            _ if !released => TaskState::Observed,
            Outcome::Allow | Outcome::AllowWithObligations => TaskState::Queued,
            Outcome::Defer => TaskState::Deferred,
            Outcome::Deny | Outcome::HumanReview => TaskState::Withheld,
        };
        if !released {
            // A full day of the pilot ends; observing does not end by itself.
            task.ask_at = (task.mode == Mode::Pilot).then(|| self.tomorrow());
        }
        if task.state == TaskState::Queued {
            task.released_at = Some(self.desk.cause.now);
            task.ask_at = None;
        }
    }

    fn tomorrow(&self) -> Timestamp {
        let now = self.desk.cause.now;
        let zoned = now.to_zoned(self.desk.site.config.zone.clone());
        let tomorrow = zoned.tomorrow().and_then(|day| day.start_of_day());
        tomorrow.map_or(now + SignedDuration::from_hours(24), |day| day.timestamp())
    }

    fn envelope(&self, task: &TaskRow, contact: Option<(Option<Uuid>, Channel)>) -> NewEnvelope {
        NewEnvelope {
            id: Uuid::now_v7(),
            task: task.id,
            person: task.person,
            routing_key: task.routing_key.clone(),
            due_at: self.desk.cause.now,
            expires_at: task.due_at,
            contact,
            message: self.desk.cause.message,
        }
    }

    fn expire(&mut self, mut task: TaskRow, record: &mut Record, effects: &mut Effects) {
        let had = was_told(&task);
        task.state = task.state.after(TaskEvent::Expired).unwrap_or(task.state);
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        self.withdraw(&task, "expired", effects);
        if had {
            self.rest_expired(&task, record, effects);
        }
        store(task, record, effects);
    }

    /// Ends a task for a reason that lies with its findings or its person.
    fn end(&self, mut task: TaskRow, event: TaskEvent, record: &mut Record, effects: &mut Effects) {
        let Some(state) = task.state.after(event) else {
            return;
        };
        let reason = match event {
            TaskEvent::PatientDeceased => "patient-deceased",
            TaskEvent::PatientMerged => "patient-merged",
            TaskEvent::GapClosed => "gap-closed",
            TaskEvent::Parked => "appointment-booked",
            TaskEvent::ConsentRevoked => "consent-revoked",
            _ => "superseded",
        };
        task.state = state;
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        self.withdraw(&task, reason, effects);
        store(task, record, effects);
    }
}

fn store(task: TaskRow, record: &mut Record, effects: &mut Effects) {
    record.tasks.retain(|old| old.id != task.id);
    record.tasks.push(task.clone());
    effects.tasks.push(task);
}

/// Whether a message about either would say the same of reasons, urgency and time.
fn says_the_same(old: &TaskRow, new: &TaskRow) -> bool {
    let told =
        |task: &TaskRow| -> Vec<Uuid> { task.live_topics().map(|topic| topic.finding).collect() };
    told(old) == told(new)
        && old.due_at == new.due_at
        && old.detail.code == new.detail.code
        && old.detail.priority == new.detail.priority
}
