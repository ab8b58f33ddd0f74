//! Findings whose task has ended and that nothing has closed: when they are raised again, and to whom.

use uuid::Uuid;

use super::findings::Round;
use super::sharing::Want;
use crate::care::{Raise, Rest, RestReason, TaskState, TopicEnd};
use crate::consent::{Hold, Outcome};
use crate::store::{Effects, FindingRow, Record, TaskRow};

/// How a finding asks, after whatever rest it had.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Anew {
    wider: Option<String>,
    records: bool,
}

impl Anew {
    /// The want as it is to be after the rest.
    pub(super) fn of(self, want: Want) -> Want {
        want.anew(self.wider, self.records)
    }
}

impl Round<'_> {
    /// Looks at a finding's rest; `None` while it rests. When the rest is over, the reason of the
    /// task before ends, so that the finding asks anew. `told` says that the record has just
    /// reopened it: what it awaited will not come.
    pub(super) fn wake(
        &mut self,
        (finding, told): (&FindingRow, bool),
        record: &mut Record,
        effects: &mut Effects,
    ) -> Option<Anew> {
        let now = self.desk.cause.now;
        let Some((rest, until)) = finding
            .rest
            .as_ref()
            .and_then(|rest| Some((rest, rest.until?)))
        else {
            return Some(Anew::default());
        };
        if until > now && !(told && rest.reason.awaits_evidence()) {
            self.remember(Some(until));
            // Where it shared a task, the others go on without it.
            self.end_topic(finding.id, TopicEnd::Answered, record);
            return None;
        }
        let last = record
            .tasks
            .iter()
            .filter(|task| {
                task.detail
                    .topics
                    .iter()
                    .any(|topic| topic.finding == finding.id)
            })
            .max_by_key(|task| (task.created_at, task.id));
        let config = &self.desk.site.config;
        let wider = last.and_then(|task| config.wider(&task.routing_key));
        let raise = rest.over(config.feedback.attempts, wider.is_some());
        let next = (finding.person, finding.id, rest.raised());
        effects.rests.push(next);
        let action = if raise == Raise::No {
            "finding.give-up"
        } else {
            "finding.raise"
        };
        let entry = self.desk.entry(action, ("finding", Some(finding.id)));
        effects.audit.push(entry);
        if raise == Raise::No {
            return None;
        }
        let why = if rest.reason.is_failure() {
            TopicEnd::Unanswered
        } else {
            TopicEnd::Answered
        };
        self.end_in_finished(finding.id, why, record, effects);
        Some(Anew {
            wider: wider.filter(|_| raise == Raise::Wider),
            records: raise == Raise::Records,
        })
    }

    /// The want, unless its finding has a task that serves it, or had one that came to its end. Where
    /// consent, a hold or the person's record took back what had left, and no longer does, it asks
    /// anew; what a person who opted out was asked for stays ended.
    pub(super) fn unserved(
        &mut self,
        mut want: Want,
        record: &mut Record,
        effects: &mut Effects,
    ) -> Option<Want> {
        let finding = want.finding();
        let tasks = record.tasks.iter();
        let standing: Vec<&TaskRow> = tasks.filter(|task| task.stands_for(finding)).collect();
        if standing.is_empty() {
            return Some(want);
        }
        let mut states = standing.iter().map(|task| task.state);
        let taken_back = states.all(|state| state == TaskState::Cancelled);
        if !taken_back || !record.opt_outs.is_empty() {
            return None;
        }
        // What is done and lacks only its records is not asked of the person.
        if standing
            .iter()
            .any(|task| task.asks_for_records_of(finding))
        {
            want.ask_for_records();
        }
        let alone = self.alone(&want, record)?;
        let decision = self.decide(&alone, record);
        if matches!(decision.result, Outcome::Deny | Outcome::HumanReview) {
            self.remember(decision.look_again_at);
            return None;
        }
        self.end_in_finished(finding, TopicEnd::Denied, record, effects);
        Some(want)
    }

    /// Ends the reason of a finding in the tasks that are over, so that they no longer stand for it.
    fn end_in_finished(
        &self,
        finding: Uuid,
        why: TopicEnd,
        record: &mut Record,
        effects: &mut Effects,
    ) {
        let now = self.desk.cause.now;
        for task in record
            .tasks
            .iter_mut()
            .filter(|task| task.state.is_terminal())
        {
            if task.end_topic(finding, why, now) {
                effects.tasks.push(task.clone());
            }
        }
    }

    /// The findings of a task that the CRM had and did not answer in time are raised again, where
    /// answers are to be expected.
    pub(super) fn rest_expired(
        &mut self,
        task: &TaskRow,
        record: &mut Record,
        effects: &mut Effects,
    ) {
        if !self.desk.site.config.feedback.answers {
            return;
        }
        let now = self.desk.cause.now;
        for topic in task.live_topics() {
            let mut findings = record.findings.iter_mut();
            let Some(finding) = findings.find(|finding| finding.id == topic.finding) else {
                continue;
            };
            let raised = finding.rest.as_ref().map_or(0, |rest| rest.raised);
            let rest = Rest::new(RestReason::Expired, (now, now), raised);
            effects
                .rests
                .push((finding.person, finding.id, rest.clone()));
            finding.rest = Some(rest);
        }
        self.remember(Some(now));
    }

    /// A hold for a death that the CRM told of ends when the record itself says so.
    pub(super) fn lift_what_is_told(&self, record: &mut Record, effects: &mut Effects) {
        if !self.view.chart.deceased || !record.holds.contains(&Hold::ReportedDeceased) {
            return;
        }
        record.holds.retain(|hold| *hold != Hold::ReportedDeceased);
        let members = record.members.iter().map(|member| member.person);
        let lifted = members.map(|person| (person, Hold::ReportedDeceased));
        effects.lifted.extend(lifted);
    }
}
