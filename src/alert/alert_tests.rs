//! When a trouble is there, and when it is not.

use std::time::Duration;

use jiff::civil::date;

use super::*;
use crate::config::Config;

const TENANT: &str = r#"
[[tenant]]
name = "riverside"
zone = "UTC"
locations = ["main"]
[[agreement]]
tenant = "riverside"
party = "Riverside Clinic"
signed = 2026-01-01
until = 2026-12-31
covers = ["ehr", "careloop.tasks"]
[[source]]
tenant = "riverside"
name = "ehr"
kind = "mllp"
listen = "127.0.0.1:0"
zone = "UTC"
mappings = ["hl7v2"]
identifiers = [{ assigner = "RVS" }]
silent_after = "4h"
"#;

fn config(more: &str) -> Config {
    let text = format!("{TENANT}{more}");
    Config::from_texts(
        Some(("test.toml", &text)),
        &std::collections::BTreeMap::new(),
    )
    .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn seen(config: &Config, feed: FeedStanding, now: &str) -> Vec<(Kind, String)> {
    let now: Timestamp = now.parse().unwrap();
    let tenant = config.tenants.first().unwrap();
    let feeds = [FeedStanding {
        source: "ehr".to_owned(),
        ..feed
    }];
    let scene = Scene {
        tenant,
        feeds: &feeds,
        queues: &[],
        broker_down_since: None,
        is_stopped: false,
        started_at: now - SignedDuration::from_mins(1),
        now,
    };
    troubles(&scene, &config.alerts)
}

fn heard(at: &str) -> FeedStanding {
    FeedStanding {
        listening: true,
        last_received_at: Some(at.parse().unwrap()),
        ..FeedStanding::default()
    }
}

#[test]
fn a_source_is_silent_after_its_own_time() {
    let config = config("");
    let at = |now| seen(&config, heard("2026-06-01T08:00:00Z"), now);
    assert!(at("2026-06-01T11:59:00Z").is_empty());
    let silent = [(Kind::FeedSilent, "ehr".to_owned())];
    assert_eq!(at("2026-06-01T12:00:01Z"), silent);
}

#[test]
fn a_source_that_is_set_up_today_is_not_silent_yet() {
    let config = config("");
    let new = FeedStanding {
        listening: true,
        ..FeedStanding::default()
    };
    assert!(seen(&config, new, "2026-06-01T12:00:00Z").is_empty());
}

#[test]
fn an_agreement_is_announced_at_sixty_thirty_and_seven_days_and_after_its_end() {
    let config = config("");
    let at = |day: Date| agreements(config.tenants.first().unwrap(), day);
    assert!(at(date(2026, 11, 1) - jiff::Span::new().days(1)).is_empty());
    for (day, kind) in [
        (date(2026, 11, 1), Kind::AgreementEnds60),
        (date(2026, 11, 30), Kind::AgreementEnds60),
        (date(2026, 12, 1), Kind::AgreementEnds30),
        (date(2026, 12, 23), Kind::AgreementEnds30),
        (date(2026, 12, 24), Kind::AgreementEnds7),
        (date(2026, 12, 31), Kind::AgreementEnds7),
        (date(2027, 1, 1), Kind::AgreementEnded),
    ] {
        assert_eq!(at(day), [(kind, "Riverside Clinic".to_owned())], "{day}");
    }
    let found = seen(
        &config,
        heard("2026-12-24T08:00:00Z"),
        "2026-12-24T09:00:00Z",
    );
    let notice = (Kind::AgreementEnds7, "Riverside Clinic".to_owned());
    assert_eq!(found, [notice], "it is among what is told");
}

#[test]
fn a_renewed_agreement_is_no_trouble() {
    let config = config(
        r#"
[[agreement]]
tenant = "riverside"
party = "Riverside Clinic"
signed = 2026-11-01
from = 2027-01-01
until = 2029-12-31
covers = ["ehr", "careloop.tasks"]
"#,
    );
    assert!(agreements(config.tenants.first().unwrap(), date(2026, 12, 30)).is_empty());
}

#[test]
fn held_and_waiting_messages_are_trouble_of_their_source() {
    let config = config("");
    let feed = FeedStanding {
        oldest_waiting_at: Some("2026-06-01T11:50:00Z".parse().unwrap()),
        held: vec![crate::store::HeldCount {
            code: "identity-ambiguous".to_owned(),
            count: 2,
        }],
        ..heard("2026-06-01T11:59:00Z")
    };
    let kinds: Vec<Kind> = seen(&config, feed, "2026-06-01T12:00:00Z")
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds, [Kind::InboxLag, Kind::MessagesHeld]);
}

#[test]
fn a_queue_is_trouble_when_nobody_reads_it_or_answers() {
    let config = config("");
    let now: Timestamp = "2026-06-20T12:00:00Z".parse().unwrap();
    let kinds = |queue: QueueStanding| {
        let queues = [QueueStanding {
            team: "riverside.main.coordination".to_owned(),
            at: Some(now),
            ..queue
        }];
        let scene = Scene {
            tenant: config.tenants.first().unwrap(),
            feeds: &[],
            queues: &queues,
            broker_down_since: None,
            is_stopped: false,
            started_at: now,
            now,
        };
        let found = troubles(&scene, &config.alerts).into_iter();
        found.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let waiting = |consumers, since: &str| QueueStanding {
        messages: 1,
        consumers,
        unanswered: 1,
        oldest_unanswered_at: Some(since.parse().unwrap()),
        ..QueueStanding::default()
    };
    assert_eq!(kinds(waiting(0, "2026-06-20T11:59:59Z")), []);
    let unread = kinds(waiting(0, "2026-06-20T10:00:00Z"));
    assert_eq!(
        unread,
        [Kind::NoConsumer],
        "for longer than alerts.no_consumer"
    );
    assert_eq!(kinds(waiting(1, "2026-06-20T10:00:00Z")), []);
    let old = kinds(waiting(1, "2026-06-01T10:00:00Z"));
    assert_eq!(old, [Kind::Unanswered], "for longer than alerts.unanswered");
    let unread = kinds(waiting(0, "2026-06-01T10:00:00Z"));
    assert_eq!(
        unread,
        [Kind::NoConsumer],
        "who does not read cannot answer"
    );
    let untaken = QueueStanding {
        not_taken: 1,
        ..QueueStanding::default()
    };
    assert_eq!(kinds(untaken), [Kind::NotTaken]);
}

#[test]
fn a_closed_door_a_broker_away_and_a_stop_are_told_each_by_itself() {
    let config = config("");
    let now: Timestamp = "2026-06-20T12:00:00Z".parse().unwrap();
    let shut = [FeedStanding {
        source: "ehr".to_owned(),
        listening: false,
        ..heard("2026-06-20T01:00:00Z")
    }];
    let scene = Scene {
        tenant: config.tenants.first().unwrap(),
        feeds: &shut,
        queues: &[],
        broker_down_since: Some(now - SignedDuration::from_hours(1)),
        is_stopped: true,
        started_at: now,
        now,
    };
    let found: Vec<Kind> = troubles(&scene, &config.alerts)
        .into_iter()
        .map(|(kind, _)| kind)
        .collect();
    let expected = [Kind::FeedClosed, Kind::BrokerDown, Kind::OutreachStopped];
    assert_eq!(found, expected, "a closed door is not silent, too");
    let just_now = Scene {
        feeds: &[],
        broker_down_since: Some(now),
        is_stopped: false,
        ..scene
    };
    assert_eq!(troubles(&just_now, &config.alerts), []);
}

#[test]
fn a_source_that_closes_with_its_agreement_is_one_trouble() {
    let config = config("");
    let shut = || FeedStanding {
        listening: false,
        ..FeedStanding::default()
    };
    let kinds = |now| -> Vec<Kind> {
        let found = seen(&config, shut(), now).into_iter();
        found.map(|(kind, _)| kind).collect()
    };
    assert_eq!(kinds("2027-01-01T12:00:00Z"), [Kind::AgreementEnded]);
    assert_eq!(
        kinds("2026-06-01T12:00:00Z"),
        [Kind::FeedClosed],
        "it is covered and closed all the same"
    );
    assert_eq!(
        kinds("2025-12-31T12:00:00Z"),
        [Kind::FeedClosed],
        "no agreement covers it yet"
    );
}

#[test]
fn every_kind_says_what_it_means_and_what_to_do_first() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        assert!(kind.meaning().ends_with('.') && kind.first_step().len() > 20);
    }
    assert!(!is_longer(None, Duration::ZERO, Timestamp::UNIX_EPOCH));
}
