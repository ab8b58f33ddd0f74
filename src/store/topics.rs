//! The reasons of a task: findings that share one contact, and what follows for the whole.
//!
//! They lie in the task's sealed cell, not in a table of their own: they are read and written only
//! with their task, under the lock of its person, and a rule's name tells a diagnosis.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::effects::{FindingRow, TaskRow};
use super::record::Record;
use crate::care::{GapStatus, PerformerRole, TaskCode, TopicEnd, TopicKind};
use crate::consent::{Channel, ContentClass, Purpose};
use crate::crm::Priority;

/// The most reasons that one task carries.
pub const MAX_TOPICS: usize = 8;

/// One reason of a task.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTopic {
    /// The finding (`gapId` of the message).
    pub finding: Uuid,
    /// The rule that found it.
    pub rule: String,
    /// What it alone would ask for.
    pub code: TaskCode,
    /// The reason class.
    pub kind: TopicKind,
    /// How much it would tell.
    pub content: ContentClass,
    /// Its channels, the preferred one first.
    pub channels: Vec<Channel>,
    /// How urgent it is.
    pub priority: Priority,
    /// When it must be done.
    pub due_at: Timestamp,
    /// The gap's status when the reason was added.
    pub gap_status: GapStatus,
    /// When the gap falls or fell due.
    pub gap_due: Option<Date>,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was removed, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(Timestamp, TopicEnd)>,
}

/// A reason with its sentence, for people with the right to read it.
#[derive(Clone, Copy)]
pub struct Reason<'a> {
    /// The reason.
    pub topic: &'a TaskTopic,
    /// Its finding, where the record still holds it.
    pub finding: Option<&'a FindingRow>,
}

impl Reason<'_> {
    /// Why, in plain words; it may hold dates, never values.
    pub fn sentence(&self) -> &str {
        self.finding
            .map_or("", |finding| finding.detail.reason.as_str())
    }
}

/// The sealed part of a task.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// What to do: the leading reason's.
    pub code: TaskCode,
    /// The highest of its reasons: consent is asked for that.
    pub content: ContentClass,
    /// Why the person is contacted, the same for every reason.
    pub purpose: Purpose,
    /// The channels that suit every reason, in the leading one's order.
    pub channels: Vec<Channel>,
    /// The highest of its reasons.
    pub priority: Priority,
    /// Who acts, the same for every reason.
    pub performer: PerformerRole,
    /// Who acts on a channel, where that differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub performers: BTreeMap<Channel, PerformerRole>,
    /// The reasons, in the order in which they were added; those that ended, too.
    #[serde(default)]
    pub topics: Vec<TaskTopic>,
}

impl TaskRow {
    /// The reasons that still stand, the leading one first.
    pub fn live_topics(&self) -> impl Iterator<Item = &TaskTopic> {
        self.detail
            .topics
            .iter()
            .filter(|topic| topic.ended.is_none())
    }

    /// The leading reason: the first that still stands, else the last that did.
    pub fn leading(&self) -> Option<&TaskTopic> {
        self.live_topics()
            .next()
            .or_else(|| self.told_topics().into_iter().next())
    }

    /// The reasons that a message about this task names: those that stand or, where none does,
    /// those that ended last.
    pub fn told_topics(&self) -> Vec<&TaskTopic> {
        let live: Vec<&TaskTopic> = self.live_topics().collect();
        if !live.is_empty() {
            return live;
        }
        let when = |topic: &TaskTopic| topic.ended.map(|(at, _)| at);
        let last = self.detail.topics.iter().filter_map(when).max();
        self.detail
            .topics
            .iter()
            .filter(|topic| when(topic) == last)
            .take(MAX_TOPICS)
            .collect()
    }

    /// Whether the finding is one of the reasons that stand.
    pub fn stands_for(&self, finding: Uuid) -> bool {
        self.live_topics().any(|topic| topic.finding == finding)
    }

    /// Whether it asks somebody else for the records of what closes the finding.
    pub fn asks_for_records_of(&self, finding: Uuid) -> bool {
        let mut topics = self.live_topics();
        topics.any(|one| one.finding == finding && one.code == TaskCode::RecordsRequest)
    }

    /// Adds a reason, unless the finding has one that stands; one that had ended comes back at the
    /// end of the list.
    pub fn add_topic(&mut self, topic: TaskTopic) {
        if !self.stands_for(topic.finding) {
            self.detail
                .topics
                .retain(|old| old.finding != topic.finding);
            self.detail.topics.push(topic);
            self.sum_up();
        }
    }

    /// Ends the reason of a finding; `false` where none stands.
    pub fn end_topic(&mut self, finding: Uuid, why: TopicEnd, now: Timestamp) -> bool {
        let mut topics = self.detail.topics.iter_mut();
        let stands = topics.find(|topic| topic.finding == finding && topic.ended.is_none());
        let Some(topic) = stands else { return false };
        topic.ended = Some((now, why));
        self.sum_up();
        true
    }

    /// Whether its date has passed and it is still to be done.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.due_at <= now && !self.detail.code.has_own_hour()
    }

    /// Gives the reasons whose date has passed by `now` another one.
    pub fn put_off(&mut self, now: Timestamp, to: Timestamp) {
        let topics = self.detail.topics.iter_mut();
        for topic in topics.filter(|topic| topic.ended.is_none() && topic.due_at <= now) {
            topic.due_at = to;
        }
        self.sum_up();
    }

    /// What follows for the whole from the reasons that stand; nothing where none does.
    fn sum_up(&mut self) {
        let live: Vec<TaskTopic> = self.live_topics().cloned().collect();
        let Some(leading) = live.first() else { return };
        let detail = &mut self.detail;
        detail.code = leading.code;
        let most = live.iter().map(|topic| topic.content).max();
        detail.content = most.unwrap_or(leading.content);
        let highest = live.iter().map(|topic| topic.priority).max();
        detail.priority = highest.unwrap_or(leading.priority);
        let suits = |channel: &&Channel| live.iter().all(|topic| topic.channels.contains(channel));
        detail.channels = leading.channels.iter().filter(suits).copied().collect();
        let earliest = live.iter().map(|topic| topic.due_at).min();
        self.due_at = earliest.unwrap_or(self.due_at);
    }
}

impl Record {
    /// The reasons that a message about this task names, each with its finding.
    pub fn reasons<'a>(&'a self, task: &'a TaskRow) -> Vec<Reason<'a>> {
        let topics = task.told_topics().into_iter();
        topics
            .map(|topic| Reason {
                topic,
                finding: self
                    .findings
                    .iter()
                    .find(|finding| finding.id == topic.finding),
            })
            .collect()
    }
}

/// A task's cell as it may be stored: the reason of one that was made before reasons were a list
/// lies beside it.
#[derive(Deserialize)]
pub(super) struct StoredDetail {
    rule: Option<String>,
    topic: Option<TopicKind>,
    gap_status: Option<GapStatus>,
    gap_due: Option<Date>,
    #[serde(flatten)]
    detail: TaskDetail,
}

impl StoredDetail {
    /// The detail with its reasons; `None` for a cell of neither form.
    pub(super) fn open(
        self,
        finding: Uuid,
        (made, due): (Timestamp, Timestamp),
    ) -> Option<TaskDetail> {
        let mut detail = self.detail;
        if detail.topics.is_empty() {
            detail.topics.push(TaskTopic {
                finding,
                rule: self.rule?,
                code: detail.code,
                kind: self.topic?,
                content: detail.content,
                channels: detail.channels.clone(),
                priority: detail.priority,
                due_at: due,
                gap_status: self.gap_status?,
                gap_due: self.gap_due,
                added_at: made,
                ended: None,
            });
        }
        Some(detail)
    }
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
