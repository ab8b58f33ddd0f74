//! One outreach, several reasons: which findings share a task, and which go alone.
//!
//! Sharing never makes anything worse: a finding joins a task only where consent does not deny it
//! alone, where the whole may leave no later than the task by itself, and where the task is at least
//! as urgent. What comes to be denied later falls out and goes on alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::findings::Round;
use crate::care::{Evaluation, PerformerRole, Rule, TaskCode, TaskState, TopicEnd};
use crate::consent::{Channel, ContentClass, Decision, Outcome, Purpose};
use crate::store::{FindingRow, MAX_TOPICS, Record, TaskDetail, TaskRow, TaskTopic};

/// When a task is due whose reason names no date, or one that has passed. Without a date it would never
/// leave the list.
const UNDATED: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A finding that asks for a task.
pub(super) struct Want {
    topic: TaskTopic,
    purpose: Purpose,
    performer: PerformerRole,
    /// The wider team that is to get it, where the team that serves the person did not do.
    wider: Option<String>,
    performers: BTreeMap<Channel, PerformerRole>,
}

impl Want {
    /// What the finding asks for after its last task came to nothing or ran its course: of a wider
    /// team, or for somebody else's records.
    pub(super) fn anew(mut self, wider: Option<String>, records: bool) -> Self {
        self.wider = wider;
        if records {
            self.ask_for_records();
        }
        self
    }

    pub(super) fn ask_for_records(&mut self) {
        self.topic.code = TaskCode::RecordsRequest;
    }

    /// Whose want it is.
    pub(super) fn finding(&self) -> Uuid {
        self.topic.finding
    }

    fn detail(&self) -> TaskDetail {
        let topic = self.topic.clone();
        TaskDetail {
            code: topic.code,
            content: topic.content,
            purpose: self.purpose,
            channels: topic.channels.clone(),
            priority: topic.priority,
            performer: self.performer,
            performers: self.performers.clone(),
            topics: vec![topic],
        }
    }
}

impl Round<'_> {
    /// What an open finding asks for.
    pub(super) fn want(&self, rule: &Rule, verdict: &Evaluation, finding: &FindingRow) -> Want {
        let now = self.desk.cause.now;
        let template = &rule.task;
        Want {
            topic: TaskTopic {
                finding: finding.id,
                rule: rule.id.clone(),
                code: template.code,
                kind: template.topic,
                content: template.content,
                channels: template.channels.clone(),
                priority: verdict.priority,
                due_at: verdict.task_due.unwrap_or(now + UNDATED),
                gap_status: verdict.status,
                gap_due: verdict.due,
                added_at: now,
                ended: None,
            },
            purpose: template.purpose,
            performer: template.performer,
            wider: None,
            performers: template.performers.clone(),
        }
    }

    /// A task that nobody was told of is not late, it is still to be done: it gets another date and is asked
    /// about again. It would end unseen, and its reasons with it.
    pub(super) fn put_off(&self, record: &mut Record) {
        let now = self.desk.cause.now;
        for task in &mut record.tasks {
            let unheard = !task.state.is_terminal() && !was_told(task);
            if unheard && task.is_late(now) {
                task.put_off(now, now + UNDATED);
            }
        }
    }

    /// Gives each finding a task: one that it may share, else one of its own. The most urgent comes
    /// first, so that others may join it.
    pub(super) fn serve(&self, mut wants: Vec<Want>, record: &mut Record) {
        wants.sort_by_key(|want| (std::cmp::Reverse(want.topic.priority), want.topic.due_at));
        for want in wants {
            let Some(alone) = self.alone(&want, record) else {
                continue;
            };
            let host = self.host(&alone, record);
            match host.and_then(|id| record.tasks.iter_mut().find(|task| task.id == id)) {
                Some(task) => alone
                    .live_topics()
                    .cloned()
                    .for_each(|topic| task.add_topic(topic)),
                None => record.tasks.push(alone),
            }
        }
    }

    /// Reasons that can no longer stand with the others leave their task and ask for one of their
    /// own: those whose mode became another, those that consent denies.
    pub(super) fn part(&self, record: &mut Record, wants: &mut Vec<Want>) {
        let shared: Vec<TaskRow> = record
            .tasks
            .iter()
            .filter(|task| !task.state.is_terminal() && task.live_topics().count() > 1)
            .cloned()
            .collect();
        for mut task in shared {
            let mut leaving = self.of_other_mode(&task, record);
            self.leave(&mut task, &mut leaving, TopicEnd::Mode, wants);
            let mut leaving = self.denied(&task, record);
            self.leave(&mut task, &mut leaving, TopicEnd::Denied, wants);
            if let Some(stored) = record.tasks.iter_mut().find(|old| old.id == task.id) {
                *stored = task;
            }
        }
    }

    /// Tasks that came to fit together become one, as long as the one that ends has not left.
    pub(super) fn gather(&self, record: &mut Record) {
        let unfinished = |task: &&TaskRow| !task.state.is_terminal();
        let mut waiting: Vec<(Timestamp, Uuid)> = record
            .tasks
            .iter()
            .filter(unfinished)
            .filter(|task| !was_told(task))
            .map(|task| (task.created_at, task.id))
            .collect();
        // The youngest goes first: it is the older that stays.
        waiting.sort_unstable_by_key(|task| std::cmp::Reverse(*task));
        for (_, id) in waiting {
            // As it is by now: it may have taken others in.
            let task = record.tasks.iter().find(|task| task.id == id);
            let task = task.filter(|task| task.live_topics().next().is_some());
            let Some(mut task) = task.cloned() else {
                continue;
            };
            if let Some(host) = self.host(&task, record) {
                self.move_to(host, &mut task, record);
            }
        }
    }

    fn move_to(&self, host: Uuid, guest: &mut TaskRow, record: &mut Record) {
        let now = self.desk.cause.now;
        let moving: Vec<TaskTopic> = guest.live_topics().cloned().collect();
        for topic in &moving {
            guest.end_topic(topic.finding, TopicEnd::Moved, now);
        }
        if let Some(host) = record.tasks.iter_mut().find(|task| task.id == host) {
            let added_at = now;
            let topics = moving.into_iter();
            topics.for_each(|topic| host.add_topic(TaskTopic { added_at, ..topic }));
        }
        if let Some(stored) = record.tasks.iter_mut().find(|task| task.id == guest.id) {
            *stored = guest.clone();
        }
    }

    /// The task that takes in the reasons of `guest`, a task that is not published.
    fn host(&self, guest: &TaskRow, record: &Record) -> Option<Uuid> {
        let mut hosts: Vec<&TaskRow> = record
            .tasks
            .iter()
            .filter(|host| host.id != guest.id && self.fits(host, guest, record))
            .collect();
        hosts.sort_by_key(|host| (!was_told(host), host.created_at, host.id));
        if hosts.is_empty() || rank(&self.decide(guest, record)) == Rank::Never {
            return None;
        }
        let taking = hosts.into_iter().find(|host| {
            let mut whole = (*host).clone();
            for topic in guest.live_topics() {
                whole.add_topic(topic.clone());
            }
            let whole = rank(&self.decide(&whole, record));
            whole > Rank::Never && whole >= rank(&self.decide(host, record))
        });
        taking.map(|host| host.id)
    }

    /// Whether two tasks may be one, as far as it does not depend on consent.
    fn fits(&self, host: &TaskRow, guest: &TaskRow, record: &Record) -> bool {
        let (ours, theirs) = (&host.detail, &guest.detail);
        let site = self.desk.site;
        let within = site.policy.share_within();
        let reasons = host.live_topics().count();
        let apart = host.due_at.duration_since(guest.due_at).abs();
        let codes = || {
            let guests = guest.live_topics();
            guests.map(|topic| topic.code).all(|code| {
                let mut hosts = host.live_topics();
                hosts.all(|topic| topic.code.shares_with(code))
            })
        };
        !host.state.is_terminal()
            && reasons > 0
            && reasons + guest.live_topics().count() <= MAX_TOPICS
            && within.is_some_and(|within| apart <= within)
            && host.due_at > self.desk.cause.now
            && ours.purpose == theirs.purpose
            && ours.performer == theirs.performer
            && ours.performers == theirs.performers
            && ours.priority >= theirs.priority
            && ours.content < ContentClass::C3
            && theirs.content < ContentClass::C3
            && site.mode_of_task(host, record) == site.mode_of_task(guest, record)
            && place(&host.routing_key) == place(&guest.routing_key)
            && codes()
            && ours
                .channels
                .iter()
                .any(|channel| theirs.channels.contains(channel))
    }

    /// The task that a finding would have by itself; `None` where its row is gone.
    pub(super) fn alone(&self, want: &Want, record: &Record) -> Option<TaskRow> {
        let now = self.desk.cause.now;
        let finding = record
            .findings
            .iter()
            .find(|finding| finding.id == want.topic.finding)?;
        let site = self.desk.site;
        let mut task = TaskRow {
            id: Uuid::now_v7(),
            person: finding.person,
            finding: finding.id,
            key: self.free_key(finding, record),
            version: 1,
            state: TaskState::Withheld,
            mode: crate::config::Mode::Observe,
            routing_key: want.wider.clone().unwrap_or_else(|| {
                site.routing_key(&record.assertions, want.topic.priority.name())
            }),
            created_at: now,
            changed_at: now,
            due_at: want.topic.due_at,
            ask_at: None,
            released_at: None,
            message: self.desk.cause.message,
            decision: None,
            detail: want.detail(),
        };
        if task.is_late(now) {
            task.put_off(now, now + UNDATED);
        }
        task.mode = site.mode_of_task(&task, record);
        Some(task)
    }

    /// A task's key is its finding's: person, rule and cycle. A finding that asks anew, after its
    /// reason had ended, has a key for each further time.
    fn free_key(&self, finding: &FindingRow, record: &Record) -> Vec<u8> {
        let again = (2_u32..).map(|time| {
            let (id, time) = (finding.id.to_string(), time.to_string());
            let index = &self.desk.keys.index;
            index.hash("task_again", &[&id, &time]).to_vec()
        });
        std::iter::once(finding.key.clone())
            .chain(again)
            .find(|key| record.tasks.iter().all(|task| task.key != *key))
            .unwrap_or_default()
    }

    fn of_other_mode(&self, task: &TaskRow, record: &Record) -> Vec<Uuid> {
        if task.state.has_left() {
            // A change of mode does not call anything back.
            return Vec::new();
        }
        let site = self.desk.site;
        let mode = site.mode_of_task(task, record);
        task.live_topics()
            .filter(|topic| site.mode_of_rule(&topic.rule, record) != mode)
            .map(|topic| topic.finding)
            .collect()
    }

    /// The reasons that consent denies while others may stay; where it denies only the whole, all
    /// but the leading one.
    fn denied(&self, task: &TaskRow, record: &Record) -> Vec<Uuid> {
        let is_denied = |task: &TaskRow| rank(&self.decide(task, record)) == Rank::Never;
        // What is late is denied for that alone, whatever stands in it.
        let late = task.due_at <= self.desk.cause.now;
        if late || task.live_topics().count() < 2 || !is_denied(task) {
            return Vec::new();
        }
        let only = |kept: &[Uuid]| {
            let mut part = task.clone();
            for topic in task.live_topics() {
                if !kept.contains(&topic.finding) {
                    part.end_topic(topic.finding, TopicEnd::Denied, self.desk.cause.now);
                }
            }
            part
        };
        let all: Vec<Uuid> = task.live_topics().map(|topic| topic.finding).collect();
        let (denied, allowed): (Vec<Uuid>, Vec<Uuid>) = all
            .iter()
            .partition(|finding| is_denied(&only(&[**finding])));
        match allowed.split_first() {
            // Nothing may be said at all: the task waits, or ends, as a whole.
            None => Vec::new(),
            Some(_) if !is_denied(&only(&allowed)) => denied,
            Some((first, _)) => all.into_iter().filter(|one| one != first).collect(),
        }
    }

    fn leave(
        &self,
        task: &mut TaskRow,
        leaving: &mut Vec<Uuid>,
        why: TopicEnd,
        wants: &mut Vec<Want>,
    ) {
        let now = self.desk.cause.now;
        for finding in leaving.drain(..) {
            let topic = task.live_topics().find(|topic| topic.finding == finding);
            let Some(topic) = topic.cloned() else {
                continue;
            };
            task.end_topic(finding, why, now);
            wants.push(Want {
                topic: TaskTopic {
                    added_at: now,
                    ..topic
                },
                purpose: task.detail.purpose,
                performer: task.detail.performer,
                wider: None,
                performers: task.detail.performers.clone(),
            });
        }
    }
}

/// Whether a coordinator may know of it: it left, or did before it was put off.
pub(super) const fn was_told(task: &TaskRow) -> bool {
    let put_off = matches!(task.state, TaskState::Deferred) && task.released_at.is_some();
    task.state.was_published() || put_off
}

/// How good an answer of consent is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Never,
    Later,
    Now,
}

const fn rank(decision: &Decision) -> Rank {
    match decision.result {
        Outcome::Allow | Outcome::AllowWithObligations => Rank::Now,
        Outcome::Defer => Rank::Later,
        Outcome::Deny | Outcome::HumanReview => Rank::Never,
    }
}

/// Tenant, location and team of a routing key.
fn place(routing_key: &str) -> &str {
    routing_key
        .rsplit_once('.')
        .map_or(routing_key, |(place, _priority)| place)
}

#[cfg(test)]
#[path = "sharing_tests.rs"]
mod tests;
