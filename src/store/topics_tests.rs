//! Tests of reasons: what follows for the whole, and cells of an earlier form.

use super::*;
use crate::care::TaskState;
use crate::config::Mode;

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours)
}

fn topic(n: u128, channels: &[Channel]) -> TaskTopic {
    TaskTopic {
        finding: Uuid::from_u128(n),
        rule: format!("rule-{n}"),
        code: TaskCode::ScheduleVisit,
        kind: TopicKind::Preventive,
        content: ContentClass::C1,
        channels: channels.to_vec(),
        priority: Priority::Routine,
        due_at: at(24 * 14),
        gap_status: GapStatus::OpenGap,
        gap_due: None,
        added_at: at(0),
        ended: None,
    }
}

fn task(topic: TaskTopic) -> TaskRow {
    TaskRow {
        id: Uuid::from_u128(100),
        person: Uuid::from_u128(101),
        finding: topic.finding,
        key: vec![1],
        version: 1,
        state: TaskState::Queued,
        mode: Mode::Live,
        routing_key: "test.main.team-1.routine".into(),
        created_at: at(0),
        changed_at: at(0),
        due_at: topic.due_at,
        ask_at: None,
        released_at: None,
        message: None,
        decision: None,
        detail: TaskDetail {
            code: topic.code,
            content: topic.content,
            purpose: Purpose::Treat,
            channels: topic.channels.clone(),
            priority: topic.priority,
            performer: PerformerRole::CareCoordinator,
            performers: BTreeMap::new(),
            topics: vec![topic],
        },
    }
}

#[test]
fn the_whole_is_as_urgent_as_early_and_as_sensitive_as_any_of_its_reasons() {
    let mut shared = task(topic(
        1,
        &[Channel::Portal, Channel::PhoneLive, Channel::Sms],
    ));
    shared.add_topic(TaskTopic {
        content: ContentClass::C2,
        priority: Priority::Urgent,
        due_at: at(24),
        ..topic(2, &[Channel::PhoneLive, Channel::Portal])
    });
    assert_eq!(shared.due_at, at(24));
    assert!(shared.detail.priority == Priority::Urgent);
    assert!(shared.detail.content == ContentClass::C2);
    assert_eq!(
        shared.detail.channels,
        [Channel::Portal, Channel::PhoneLive]
    );
    assert!(shared.end_topic(Uuid::from_u128(2), TopicEnd::Closed, at(1)));
    assert!(!shared.end_topic(Uuid::from_u128(2), TopicEnd::Closed, at(1)));
    assert_eq!(shared.due_at, at(24 * 14));
    assert!(shared.detail.content == ContentClass::C1);
    assert_eq!(shared.detail.channels.len(), 3);
}

#[test]
fn a_task_without_reasons_still_tells_those_that_ended_last() {
    let mut shared = task(topic(1, &[Channel::PhoneLive]));
    shared.add_topic(topic(2, &[Channel::PhoneLive]));
    shared.add_topic(topic(3, &[Channel::PhoneLive]));
    shared.end_topic(Uuid::from_u128(1), TopicEnd::Closed, at(1));
    assert_eq!(shared.told_topics().len(), 2);
    shared.end_topic(Uuid::from_u128(3), TopicEnd::Closed, at(2));
    shared.end_topic(Uuid::from_u128(2), TopicEnd::Parked, at(2));
    let told: Vec<u128> = shared
        .told_topics()
        .iter()
        .map(|topic| topic.finding.as_u128())
        .collect();
    assert_eq!(told, [2, 3]);
}

#[test]
fn a_reason_that_comes_back_stands_once_and_last() {
    let mut shared = task(topic(1, &[Channel::PhoneLive]));
    shared.add_topic(topic(2, &[Channel::PhoneLive]));
    shared.end_topic(Uuid::from_u128(1), TopicEnd::Parked, at(1));
    shared.add_topic(topic(1, &[Channel::PhoneLive]));
    shared.add_topic(topic(1, &[Channel::PhoneLive]));
    let order: Vec<u128> = shared
        .detail
        .topics
        .iter()
        .map(|topic| topic.finding.as_u128())
        .collect();
    assert_eq!(order, [2, 1]);
}

#[test]
fn a_cell_of_a_task_with_a_single_reason_of_its_own_is_read() {
    let cell = serde_json::json!({
        "rule": "hba1c-due", "code": "schedule-visit", "topic": "chronic-follow-up",
        "content": "C2", "purpose": "TREAT", "channels": ["phone-live", "portal"],
        "priority": "routine", "performer": "care-coordinator", "gap_status": "open-gap",
        "gap_due": "2026-11-15",
    });
    let stored: StoredDetail = serde_json::from_value(cell).unwrap();
    let detail = stored.open(Uuid::from_u128(1), (at(1), at(2))).unwrap();
    let [only] = detail.topics.as_slice() else {
        panic!("expected one reason")
    };
    assert_eq!(only.rule, "hba1c-due");
    assert!(only.due_at == at(2) && only.added_at == at(1) && only.ended.is_none());
    // What is written from it is read back as it is.
    let again: StoredDetail =
        serde_json::from_value(serde_json::to_value(&detail).unwrap()).unwrap();
    assert!(again.open(Uuid::nil(), (at(3), at(4))) == Some(detail));
}
