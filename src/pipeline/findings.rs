//! Rules to findings: what a person's chart says today, reconciled with what was found before.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::plan::Desk;
use super::sharing::Want;
use crate::care::{
    self, FindingEvent, FindingState, GapStatus, Known, Rule, Step, TaskState, TopicEnd,
};
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
    let before = record.tasks.clone();
    let mut wants = Vec::new();
    round.settle_merged(record, effects);
    round.lift_what_is_told(record, effects);
    for rule in site.rules.iter() {
        let mut evaluations = if site.runs(rule) {
            care::evaluate(rule, &view.chart, site, &zoned)
        } else {
            Vec::new()
        };
        care::relieve(rule, &mut evaluations, |rule, cycle| {
            done(record, rule, cycle)
        });
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
            wants.extend(round.step(rule, &step, record, effects));
        }
    }
    round.put_off(record);
    round.part(record, &mut wants);
    round.serve(wants, record);
    round.gather(record);
    round.finish(&before, record, effects);
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
    pub(super) next: &'a mut Option<Timestamp>,
}

impl Round<'_> {
    /// Keeps the earliest instant at which the calendar must look again.
    pub(super) fn remember(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at {
            *self.next = Some(self.next.map_or(at, |known| known.min(at)));
        }
    }

    /// Moves one finding and its reason; gives what it asks for, where no task serves it yet.
    fn step(
        &mut self,
        rule: &Rule,
        step: &Step<'_>,
        record: &mut Record,
        effects: &mut Effects,
    ) -> Option<Want> {
        let key = self.key(record, &rule.id, &step.cycle);
        let stored = record
            .findings
            .iter()
            .find(|finding| finding.key == key)
            .cloned();
        let finding = self.finding(rule, step, (key, stored.as_ref()), record.person)?;
        let changed = stored
            .as_ref()
            .is_none_or(|old| old.state != finding.state || old.detail != finding.detail);
        if changed {
            effects.findings.push(finding.clone());
            record.findings.retain(|known| known.id != finding.id);
            record.findings.push(finding.clone());
        }
        if let Some(why) = finding.state.ends_topic() {
            let why = if self.view.chart.deceased {
                TopicEnd::Deceased
            } else {
                why
            };
            self.end_topic(finding.id, why, record);
            return None;
        }
        let verdict = step
            .evaluation
            .filter(|verdict| rule.asks_for_task(verdict))?;
        let told = step.event == Some(FindingEvent::Found);
        let anew = self.wake((&finding, told), record, effects)?;
        let want = anew.of(self.want(rule, verdict, &finding));
        self.unserved(want, record, effects)
    }

    /// Ends the reason of a finding in whichever unfinished task it stands.
    pub(super) fn end_topic(&self, finding: Uuid, why: TopicEnd, record: &mut Record) {
        let now = self.desk.cause.now;
        for task in &mut record.tasks {
            if !task.state.is_terminal() {
                task.end_topic(finding, why, now);
            }
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
            (None, Some(stored)) => ended(step, &stored.detail),
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
            rest: stored.and_then(|old| old.rest.clone()),
            detail,
        })
    }

    /// After a merge the same finding may stand twice, each with a task: the one whose task went
    /// furthest stays, so that nobody is called twice for one thing. After a merge was undone, a
    /// task may hold reasons of the other record; they end here and are asked for there.
    fn settle_merged(&self, record: &mut Record, effects: &mut Effects) {
        let far = |finding: &FindingRow, tasks: &[TaskRow]| {
            let of = tasks
                .iter()
                .filter(|task| task.finding == finding.id || task.stands_for(finding.id));
            of.map(|task| match task.state {
                TaskState::Completed => 4,
                TaskState::Requested | TaskState::Accepted | TaskState::InProgress => 3,
                TaskState::Queued => 2,
                _ => 1,
            })
            .max()
            .unwrap_or(0)
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
            if finding.state.is_live() {
                let (state, changed_at) = (FindingState::Withdrawn, self.desk.cause.now);
                effects.findings.push(FindingRow {
                    state,
                    changed_at,
                    ..finding
                });
            }
        }
        let own: Vec<Uuid> = record.findings.iter().map(|finding| finding.id).collect();
        let strange: Vec<Uuid> = record
            .tasks
            .iter()
            .flat_map(TaskRow::live_topics)
            .map(|topic| topic.finding)
            .filter(|finding| !own.contains(finding))
            .collect();
        for finding in strange {
            self.end_topic(finding, TopicEnd::Merged, record);
        }
    }
}

/// Whether a task was completed for a cycle of a rule.
fn done(record: &Record, rule: &str, cycle: &str) -> bool {
    let mut findings = record.findings.iter();
    findings.any(|finding| {
        let completed = |task: &TaskRow| {
            let topics = &task.detail.topics;
            task.state == TaskState::Completed
                && topics.iter().any(|topic| topic.finding == finding.id)
        };
        finding.detail.rule == rule
            && finding.detail.cycle == cycle
            && record.tasks.iter().any(completed)
    })
}

/// The detail of a finding whose cycle no verdict names any more, in the words of the verdict that
/// took its place.
fn ended(step: &Step<'_>, stored: &FindingDetail) -> FindingDetail {
    let status = match step.state {
        FindingState::Closed => GapStatus::ClosedGap,
        _ => GapStatus::NotApplicable,
    };
    let stored = stored.clone();
    match step.instead {
        Some(verdict) => FindingDetail {
            status,
            reason: verdict.reason.clone(),
            reason_code: verdict.reason_code,
            evidence: verdict.evidence.clone(),
            ..stored
        },
        None => FindingDetail { status, ..stored },
    }
}
