//! Rules to findings to tasks: what opened becomes a task, what closed withdraws its own.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::plan::Desk;
use crate::care::{self, Evaluation, FindingState, Known, Rule, Step, TaskEvent, TaskState};
use crate::config::Mode;
use crate::consent::{Decision, Outcome};
use crate::crm::View;
use crate::outreach;
use crate::site::Site;
use crate::store::{
    DecisionRow, Effects, FindingDetail, FindingRow, NewEnvelope, Record, TaskDetail, TaskRow,
    Withdrawal,
};

/// A person is not looked at more often than this by the calendar.
const AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Evaluates the rules, moves the findings, makes and withdraws tasks, and says when to look again.
pub(super) fn reconcile(desk: &Desk<'_>, record: &mut Record, view: &View, effects: &mut Effects) {
    let site = desk.site;
    let zoned = desk.cause.now.to_zoned(site.config.zone.clone());
    let mut next: Option<Timestamp> = None;
    let mut round = Round {
        desk,
        view,
        label: label(desk, record),
        next: &mut next,
    };
    for rule in site.rules.iter() {
        let evaluations = care::evaluate(rule, &view.chart, site, &zoned);
        for evaluation in &evaluations {
            round.remember(evaluation.next_check);
        }
        let known: Vec<Known> = record
            .findings
            .iter()
            .filter(|finding| finding.detail.rule == rule.id)
            .map(|finding| Known {
                cycle: finding.detail.cycle.clone(),
                state: finding.state,
            })
            .collect();
        for step in care::reconcile(&known, &evaluations) {
            round.step(rule, &step, record, effects);
        }
    }
    let earliest = desk.cause.now + AT_MOST_EVERY;
    let next = next.map(|at| at.max(earliest));
    effects.next_checks.push((record.person, next));
}

/// The label that decides mode and place: the message's, else that of the latest assertion.
fn label(desk: &Desk<'_>, record: &Record) -> String {
    if !desk.cause.label.is_empty() {
        return desk.cause.label.to_owned();
    }
    let latest = record
        .assertions
        .iter()
        .max_by_key(|assertion| assertion.event_time);
    latest
        .map(|assertion| assertion.source.clone())
        .unwrap_or_default()
}

struct Round<'a> {
    desk: &'a Desk<'a>,
    view: &'a View,
    label: String,
    next: &'a mut Option<Timestamp>,
}

impl Round<'_> {
    fn remember(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            *self.next = Some(self.next.map_or(at, |known| known.min(at)));
        }
    }

    fn step(&mut self, rule: &Rule, step: &Step<'_>, record: &mut Record, effects: &mut Effects) {
        let now = self.desk.cause.now;
        let key = self.key(record, &rule.id, &step.cycle);
        let stored = record
            .findings
            .iter()
            .find(|finding| finding.key == key)
            .cloned();
        let finding = self.finding(rule, step, (key, stored.as_ref()), record.person);
        let Some(finding) = finding else { return };
        let changed = stored
            .as_ref()
            .is_none_or(|old| old.state != finding.state || old.detail != finding.detail);
        if changed {
            effects.findings.push(finding.clone());
        }
        let task = record
            .tasks
            .iter()
            .find(|task| task.key == finding.key)
            .cloned();
        match (step.evaluation, task) {
            (Some(verdict), None) if finding.state.is_live() && rule.asks_for_task(verdict) => {
                let task = self.new_task(rule, verdict, &finding);
                self.ask(task, None, record, effects);
            }
            (_, Some(task)) if !finding.state.is_live() => self.end(task, finding.state, effects),
            (_, Some(task)) if !task.state.is_terminal() => {
                if task.due_at <= now {
                    self.expire(task, effects);
                } else if self.is_to_be_asked(rule, &task, record) {
                    self.ask(task.clone(), Some(task.state), record, effects);
                } else {
                    self.remember(task.ask_at);
                    self.remember(Some(task.due_at));
                }
            }
            _ => {}
        }
    }

    /// One finding a person, rule and cycle, whatever record of the person it was found in.
    fn key(&self, record: &Record, rule: &str, cycle: &str) -> Vec<u8> {
        let index = &self.desk.keys.index;
        let of = |person: Uuid| {
            index
                .hash("task", &[&person.to_string(), rule, cycle])
                .to_vec()
        };
        let keys = record.members.iter().map(|member| of(member.person));
        keys.into_iter()
            .find(|key| record.findings.iter().any(|finding| finding.key == *key))
            .unwrap_or_else(|| of(record.person))
    }

    fn finding(
        &self,
        rule: &Rule,
        step: &Step<'_>,
        (key, stored): (Vec<u8>, Option<&FindingRow>),
        person: Uuid,
    ) -> Option<FindingRow> {
        let now = self.desk.cause.now;
        let detail = match (step.evaluation, stored) {
            (Some(verdict), _) => FindingDetail {
                rule: rule.id.clone(),
                cycle: step.cycle.clone(),
                status: verdict.status,
                due: verdict.due,
                reason: verdict.reason.clone(),
                reason_code: verdict.reason_code,
                evidence: verdict.evidence.clone(),
            },
            (None, Some(stored)) => stored.detail.clone(),
            (None, None) => return None,
        };
        Some(FindingRow {
            id: stored.map_or_else(Uuid::now_v7, |old| old.id),
            person: stored.map_or(person, |old| old.person),
            key,
            rule_index: self.desk.keys.index.index("rule", &[&rule.id]),
            state: step.state,
            opened_at: stored.map_or(now, |old| old.opened_at),
            changed_at: now,
            message: self.desk.cause.message,
            detail,
        })
    }

    fn new_task(&self, rule: &Rule, verdict: &Evaluation, finding: &FindingRow) -> TaskRow {
        let now = self.desk.cause.now;
        let template = &rule.task;
        TaskRow {
            id: Uuid::now_v7(),
            person: finding.person,
            finding: finding.id,
            key: finding.key.clone(),
            version: 1,
            state: TaskState::Withheld,
            mode: self.mode(rule),
            routing_key: self
                .desk
                .site
                .routing_key(&self.label, verdict.priority.name()),
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

    fn mode(&self, rule: &Rule) -> Mode {
        self.desk
            .site
            .mode(&rule.id, &self.label, Site::is_test(&self.label))
    }

    /// Tasks that wait are asked again when their time has come or their mode has changed.
    fn is_to_be_asked(&self, rule: &Rule, task: &TaskRow, record: &Record) -> bool {
        let due = task.ask_at.is_some_and(|at| at <= self.desk.cause.now);
        if matches!(task.state, TaskState::Queued | TaskState::Requested) {
            // Only a change of consent sets a date for these.
            return due;
        }
        let tested = record
            .assertions
            .iter()
            .any(|assertion| Site::is_test(&assertion.source));
        due || (task.mode != self.mode(rule) && !tested)
    }

    /// Asks consent for a task and puts it where the answer says.
    fn ask(
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
            task.mode = self.mode(rule);
        }
        let left = matches!(before, Some(TaskState::Queued | TaskState::Requested));
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
                let sent = crate::consent::Sent {
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
        if !matches!(decision.result, Outcome::Deny | Outcome::HumanReview) {
            return;
        }
        let Some(state) = task.state.after(TaskEvent::ConsentRevoked) else {
            return;
        };
        task.state = state;
        task.ask_at = decision.look_again_at;
        effects.withdrawals.push(Withdrawal {
            task: task.id,
            reason: "consent-revoked",
            message: self.desk.cause.message,
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
            task.ask_at = None;
        }
        if task.state == TaskState::Queued {
            task.released_at = Some(self.desk.cause.now);
            task.ask_at = None;
        }
    }

    fn envelope(
        &self,
        task: &TaskRow,
        contact: Option<(Option<Uuid>, crate::consent::Channel)>,
    ) -> NewEnvelope {
        NewEnvelope {
            id: Uuid::now_v7(),
            task: task.id,
            person: task.person,
            version: task.version,
            routing_key: task.routing_key.clone(),
            due_at: self.desk.cause.now,
            expires_at: task.due_at,
            contact,
            message: self.desk.cause.message,
        }
    }

    fn expire(&self, mut task: TaskRow, effects: &mut Effects) {
        task.state = task.state.after(TaskEvent::Expired).unwrap_or(task.state);
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        effects.withdrawals.push(Withdrawal {
            task: task.id,
            reason: "expired",
            message: self.desk.cause.message,
        });
        effects
            .audit
            .push(self.desk.entry("task.expire", ("task", Some(task.id))));
        effects.tasks.push(task);
    }

    fn end(&self, mut task: TaskRow, finding: FindingState, effects: &mut Effects) {
        let event = match finding {
            _ if self.view.chart.deceased => TaskEvent::PatientDeceased,
            FindingState::Closed => TaskEvent::GapClosed,
            _ => TaskEvent::GapWithdrawn,
        };
        let Some(state) = task.state.after(event) else {
            return;
        };
        let reason = match event {
            TaskEvent::PatientDeceased => "patient-deceased",
            TaskEvent::GapClosed => "gap-closed",
            _ => "superseded",
        };
        task.state = state;
        task.changed_at = self.desk.cause.now;
        task.ask_at = None;
        effects.withdrawals.push(Withdrawal {
            task: task.id,
            reason,
            message: self.desk.cause.message,
        });
        effects
            .audit
            .push(self.desk.entry("task.withdraw", ("task", Some(task.id))));
        effects.tasks.push(task);
    }
}
