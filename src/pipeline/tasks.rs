//! Findings to tasks: what opened becomes a task where consent allows, what closed withdraws its own.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::findings::Round;
use crate::care::{Evaluation, Rule, TaskEvent, TaskState};
use crate::config::Mode;
use crate::consent::{Channel, Code, Decision, Outcome, Sent};
use crate::outreach;
use crate::store::{
    DecisionRow, Effects, FindingRow, NewEnvelope, Record, TaskDetail, TaskRow, Withdrawal,
};

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
    /// The task that an open finding asks for; whether it leaves is asked next.
    pub(super) fn new_task(
        &self,
        rule: &Rule,
        verdict: &Evaluation,
        finding: &FindingRow,
        record: &Record,
    ) -> TaskRow {
        let now = self.desk.cause.now;
        let template = &rule.task;
        TaskRow {
            id: Uuid::now_v7(),
            person: finding.person,
            finding: finding.id,
            key: finding.key.clone(),
            version: 1,
            state: TaskState::Withheld,
            mode: self.mode(rule, record),
            routing_key: self
                .desk
                .site
                .routing_key(&record.assertions, verdict.priority.name()),
            created_at: now,
            changed_at: now,
            // A task without a date of its own would never leave the list.
            due_at: verdict
                .task_due
                .unwrap_or(now + SignedDuration::from_hours(14 * 24)),
            ask_at: None,
            released_at: None,
            message: self.desk.cause.message,
            decision: None,
            detail: TaskDetail {
                rule: rule.id.clone(),
                code: template.code,
                topic: template.topic,
                content: template.content,
                purpose: template.purpose,
                channels: template.channels.clone(),
                priority: verdict.priority,
                performer: template.performer,
                gap_status: verdict.status,
                gap_due: verdict.due,
            },
        }
    }

    /// Tasks are asked again when their time has come, when what is known of the person changed, or
    /// when their mode did.
    pub(super) fn is_to_be_asked(&self, rule: &Rule, task: &TaskRow, record: &Record) -> bool {
        let due = task.ask_at.is_some_and(|at| at <= self.desk.cause.now);
        if task.state.has_left() {
            // What left is only taken back when consent, a restriction or the person's record says
            // so; a change of mode does not call anything back.
            return due || self.retold;
        }
        due || self.retold || task.mode != self.mode(rule, record)
    }

    /// Asks consent for a task and puts it where the answer says.
    pub(super) fn ask(
        &mut self,
        mut task: TaskRow,
        before: Option<TaskState>,
        record: &mut Record,
        effects: &mut Effects,
    ) {
        let now = self.desk.cause.now;
        if task.due_at <= now {
            self.expire(task, effects);
            return;
        }
        let request = outreach::Request {
            task: task.id,
            detail: &task.detail,
            due_at: task.due_at,
            still_needed: true,
        };
        let decision = outreach::decide(&request, record, self.view, &self.desk.site.policy, now);
        let id = Uuid::now_v7();
        task.decision = Some(id);
        task.changed_at = now;
        if let Some(rule) = self.desk.site.rules.get(&task.detail.rule) {
            task.mode = self.mode(rule, record);
        }
        let left = before.is_some_and(TaskState::has_left);
        if left {
            self.withdraw_if_denied(&mut task, &decision, effects);
        } else {
            self.place(&mut task, &decision, record.is_pilot);
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
        record.tasks.retain(|old| old.id != task.id);
        record.tasks.push(task.clone());
        effects.tasks.push(task);
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

    pub(super) fn expire(&self, mut task: TaskRow, effects: &mut Effects) {
        task.state = task.state.after(TaskEvent::Expired).unwrap_or(task.state);
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        self.withdraw(&task, "expired", effects);
        effects.tasks.push(task);
    }

    /// Ends a task for a reason that lies with its finding or its person.
    pub(super) fn end(&self, mut task: TaskRow, event: TaskEvent, effects: &mut Effects) {
        let Some(state) = task.state.after(event) else {
            return;
        };
        let reason = match event {
            TaskEvent::PatientDeceased => "patient-deceased",
            TaskEvent::PatientMerged => "patient-merged",
            TaskEvent::GapClosed => "gap-closed",
            _ => "superseded",
        };
        task.state = state;
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        self.withdraw(&task, reason, effects);
        effects.tasks.push(task);
    }
}
