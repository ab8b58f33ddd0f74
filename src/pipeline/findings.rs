//! Rules to findings: what a person's chart says today, reconciled with what was found before.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::plan::Desk;
use crate::care::{self, FindingState, GapStatus, Known, Rule, Step, TaskEvent, TaskState};
use crate::config::Mode;
use crate::crm::View;
use crate::store::{Effects, FindingDetail, FindingRow, Record, TaskRow};

/// A person is not looked at more often than this by the calendar.
const AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Evaluates the rules, moves the findings, makes and withdraws tasks, and says when to look again.
pub(super) fn reconcile(
    desk: &Desk<'_>,
    record: &mut Record,
    (view, retold): (&View, bool),
    effects: &mut Effects,
) {
    let site = desk.site;
    let zoned = desk.cause.now.to_zoned(site.config.zone.clone());
    let mut next: Option<Timestamp> = None;
    let mut round = Round {
        desk,
        view,
        retold,
        next: &mut next,
    };
    round.settle_merged(record, effects);
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

/// One reconciliation of one person.
pub(super) struct Round<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) view: &'a View,
    /// Whether what is known of the person changed, so that answers of consent may have, too.
    pub(super) retold: bool,
    next: &'a mut Option<Timestamp>,
}

impl Round<'_> {
    /// Keeps the earliest instant at which the calendar must look again.
    pub(super) fn remember(&mut self, at: Option<Timestamp>) {
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
            record.findings.retain(|known| known.id != finding.id);
            record.findings.push(finding.clone());
        }
        let task = record
            .tasks
            .iter()
            .find(|task| task.key == finding.key)
            .cloned();
        match (step.evaluation, task) {
            (Some(verdict), None) if finding.state.is_live() && rule.asks_for_task(verdict) => {
                let task = self.new_task(rule, verdict, &finding, record);
                self.ask(task, None, record, effects);
            }
            (_, Some(task)) if !finding.state.is_live() => {
                let event = match finding.state {
                    _ if self.view.chart.deceased => TaskEvent::PatientDeceased,
                    FindingState::Closed => TaskEvent::GapClosed,
                    _ => TaskEvent::GapWithdrawn,
                };
                self.end(task, event, effects);
            }
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
            (None, Some(stored)) => FindingDetail {
                status: match step.state {
                    FindingState::Closed => GapStatus::ClosedGap,
                    _ => GapStatus::NotApplicable,
                },
                ..stored.detail.clone()
            },
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

    /// The mode that a task of this rule and person has now.
    pub(super) fn mode(&self, rule: &Rule, record: &Record) -> Mode {
        self.desk.site.mode(rule, &record.assertions)
    }

    /// After a merge the same finding may stand twice, each with a task: the one whose task went
    /// furthest stays, so that nobody is called twice for one thing.
    fn settle_merged(&mut self, record: &mut Record, effects: &mut Effects) {
        let far = |finding: &FindingRow, tasks: &[TaskRow]| {
            let task = tasks.iter().find(|task| task.key == finding.key);
            task.map_or(0, |task| match task.state {
                TaskState::Completed => 4,
                TaskState::Requested | TaskState::Accepted | TaskState::InProgress => 3,
                TaskState::Queued => 2,
                _ => 1,
            })
        };
        let mut findings = record.findings.clone();
        findings.sort_by_key(|finding| std::cmp::Reverse(far(finding, &record.tasks)));
        let mut kept: Vec<(String, String)> = Vec::new();
        for finding in findings {
            let name = (finding.detail.rule.clone(), finding.detail.cycle.clone());
            if !kept.contains(&name) {
                kept.push(name);
                continue;
            }
            record.findings.retain(|known| known.id != finding.id);
            let task = record
                .tasks
                .iter()
                .find(|task| task.key == finding.key)
                .cloned();
            if let Some(task) = task {
                record.tasks.retain(|known| known.id != task.id);
                self.end(task, TaskEvent::PatientMerged, effects);
            }
            if finding.state.is_live() {
                let (state, changed_at) = (FindingState::Withdrawn, self.desk.cause.now);
                effects.findings.push(FindingRow {
                    state,
                    changed_at,
                    ..finding
                });
            }
        }
    }
}
