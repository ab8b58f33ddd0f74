//! The checker can fail: a sound history, one change each, and the violation that it must find.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::check::{KINDS, check};
use crate::crm::Memory;
use crate::history::{Answered, Envelope, History, Limits, Link, Outage, Released, Stop, Stored};
use crate::hours::Policy;
use crate::hub;
use crate::plan::Meaning;
use crate::sender::Sent;
use crate::webhook::Notice;

/// Tuesday noon in New York.
pub(crate) fn noon() -> Timestamp {
    "2026-03-03T17:00:00Z".parse().unwrap()
}

pub(crate) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn sent(control: &str) -> Sent {
    Sent {
        source: 0,
        control: control.to_owned(),
        text: control.to_owned(),
        code: "AA".to_owned(),
        tries: 1,
        meaning: Meaning::Plain,
    }
}

pub(crate) fn stored(control: &str) -> Stored {
    Stored {
        source: "main-ehr".to_owned(),
        control: control.to_owned(),
        state: "processed".to_owned(),
        received: noon(),
        finished: Some(noon()),
    }
}

fn envelope(id: &str, task: &str, person: &str, at: Timestamp) -> Envelope {
    Envelope {
        at,
        id: id.to_owned(),
        task: task.to_owned(),
        version: 1,
        kind: "requested".to_owned(),
        person: person.to_owned(),
        topics: vec![(format!("gap of {task}"), "chronic-follow-up".to_owned())],
        channel: "phone-live".to_owned(),
        contact_point: format!("ContactPoint/{person}"),
        purpose: "TREAT".to_owned(),
        decided: Some(at),
    }
}

pub(crate) fn notice(state: &str) -> Notice {
    Notice {
        at: noon(),
        state: state.to_owned(),
        kind: "feed-silent".to_owned(),
        subject: "south-ehr".to_owned(),
    }
}

fn task(id: &str) -> serde_json::Value {
    let place = if id == "T0" { "main" } else { "north" };
    let key = format!("riverside.{place}.coordination.routine");
    json!({"id": id, "routing_key": key, "state": "requested", "version": 1, "decision": "allow", "reason_codes": ["P00_ALLOWED"], "reason": "may"})
}

fn shown(id: &str) -> (String, serde_json::Value) {
    let topics = json!([{"sentence": "A test is due.", "stands": "yes"}]);
    (
        id.to_owned(),
        json!({"state": "requested", "topics": topics}),
    )
}

/// Two people of New York with a task each, a silent feed, and nothing wrong.
fn sound() -> History {
    History {
        sent: vec![sent("W0-1"), sent("W1-2")],
        stored: vec![stored("W0-1"), stored("W1-2")],
        counts: json!({"received": 2, "waiting": 0, "processed": 2, "ignored": 0, "held": 0}),
        tasks: vec![task("T0"), task("T1")],
        shown: BTreeMap::from([shown("T0"), shown("T1")]),
        crm: Memory {
            received: vec![
                envelope("E0", "T0", "P0", noon()),
                envelope("E1", "T1", "P1", noon()),
            ],
            released: vec![Released {
                task: "T0".to_owned(),
                at: noon() + hours(1),
                person: "P0".to_owned(),
                channel: "phone-live".to_owned(),
                contact_point: "ContactPoint/P0".to_owned(),
            }],
            refused: BTreeMap::new(),
            answered: vec![Answered {
                id: "crm-0".to_owned(),
                task: "T0".to_owned(),
                version: 1,
                outcome: "reached".to_owned(),
                scope: None,
                at: noon() + hours(1),
            }],
        },
        people: BTreeMap::from([("P0".to_owned(), 0), ("P1".to_owned(), 1)]),
        states: vec!["NY", "NY"],
        phones: vec!["0".to_owned(), "1".to_owned()],
        stops: Vec::new(),
        links: Vec::new(),
        notices: vec![notice("firing"), notice("resolved")],
        outages: vec![Outage {
            kind: "feed-silent",
            subject: "south-ehr".to_owned(),
        }],
        left: Vec::new(),
        limits: Limits {
            waiting: hours(1),
            unanswered: hours(4 * 24),
        },
        ended: noon() + hours(7 * 24),
        slack: SignedDuration::from_mins(1),
    }
}

/// The kinds that the checker finds after a change of the sound history.
pub(crate) fn found(change: impl FnOnce(&mut History)) -> Vec<&'static str> {
    let mut history = sound();
    change(&mut history);
    let policy = Policy::read(&hub::policy()).unwrap();
    let mut kinds: Vec<&str> = check(&history, &policy)
        .iter()
        .map(|one| one.kind)
        .collect();
    kinds.dedup();
    assert!(kinds.iter().all(|kind| KINDS.contains(kind)));
    kinds
}

fn stop(person: usize, at: Timestamp) -> Stop {
    Stop {
        person,
        at,
        channel: None,
        contact_point: None,
        why: "a denial".to_owned(),
    }
}

#[test]
fn a_sound_week_has_no_violation() {
    assert_eq!(found(|_| {}), [""; 0]);
}

#[test]
fn a_message_that_is_lost_doubled_unfinished_or_invented_is_found() {
    assert!(found(|h| drop(h.stored.pop())).contains(&"lost"));
    assert!(found(|h| h.sent[0].code.clear()).contains(&"lost"));
    assert!(found(|h| h.stored.push(stored("W0-1"))).contains(&"duplicated"));
    assert!(found(|h| h.stored.push(stored("W7-7"))).contains(&"duplicated"));
    assert!(found(|h| h.stored[0].state = "waiting".to_owned()).contains(&"unfinished"));
    assert_eq!(found(|h| h.counts["processed"] = json!(1)), ["miscounted"]);
    assert_eq!(found(|h| h.counts["received"] = json!(3)), ["miscounted"]);
}

#[test]
fn a_task_that_nobody_explains_is_found() {
    assert_eq!(found(|h| drop(h.tasks.pop())), ["unexplained"]);
    assert_eq!(
        found(|h| h.tasks[0]["state"] = json!("lost")),
        ["unexplained"]
    );
    assert_eq!(
        found(|h| h.tasks[0]["decision"] = json!(null)),
        ["unexplained"]
    );
    assert_eq!(found(|h| h.crm.received[0].version = 2), ["unexplained"]);
    assert_eq!(found(|h| drop(h.shown.remove("T0"))), ["unexplained"]);
    let silent = |h: &mut History| {
        drop(
            h.shown
                .insert("T0".to_owned(), json!({"state": "requested", "topics": []})),
        );
    };
    assert_eq!(found(silent), ["unexplained"]);
    let withheld = |h: &mut History| {
        h.tasks[0]["state"] = json!("withheld");
        h.shown.insert("T0".to_owned(), json!({"state": "withheld", "topics": [{"sentence": "A test is due.", "stands": "yes"}]}));
        h.tasks[0]["reason_codes"] = json!([]);
    };
    assert_eq!(found(withheld), ["unexplained"]);
}

#[test]
fn a_contact_after_a_no_is_found_and_one_before_it_is_not() {
    let before = noon() - hours(1);
    assert_eq!(
        found(|h| h.stops.push(stop(1, before))),
        ["against-consent"]
    );
    assert_eq!(
        found(|h| h
            .stops
            .push(stop(0, noon() + SignedDuration::from_mins(30)))),
        ["against-consent"]
    );
    assert_eq!(found(|h| h.stops.push(stop(1, noon() + hours(1)))), [""; 0]);
    let other = |h: &mut History| {
        h.stops.push(Stop {
            channel: Some("sms".to_owned()),
            ..stop(1, before)
        });
    };
    assert_eq!(found(other), [""; 0]);
    let point = |h: &mut History| {
        h.stops.push(Stop {
            contact_point: Some("ContactPoint/P1".to_owned()),
            ..stop(1, before)
        });
    };
    assert_eq!(found(point), ["against-consent"]);
}

#[test]
fn a_no_counts_for_everybody_who_is_the_same_person_then() {
    let link = |until| Link {
        survivor: 1,
        retired: 2,
        from: noon() - hours(3),
        until,
    };
    let merged = |until| {
        move |h: &mut History| {
            h.stops.push(stop(2, noon() - hours(4)));
            h.links.push(link(until));
        }
    };
    assert_eq!(found(merged(None)), ["against-consent"]);
    assert_eq!(found(merged(Some(noon() - hours(1)))), [""; 0]);
}

#[test]
fn a_contact_at_night_is_found_by_the_hours_of_each_state() {
    let at = |time: &str, state: &'static str| {
        let at: Timestamp = time.parse().unwrap();
        move |h: &mut History| {
            h.crm.received[1].decided = Some(at);
            h.states[1] = state;
        }
    };
    assert_eq!(found(at("2026-03-03T12:59:00Z", "NY")), ["quiet-hours"]);
    assert_eq!(found(at("2026-03-03T13:00:00Z", "NY")), [""; 0]);
    assert_eq!(found(at("2026-03-03T13:00:00Z", "TN")), ["quiet-hours"]);
    assert_eq!(found(at("2026-03-04T01:30:00Z", "NY")), [""; 0]);
    assert_eq!(found(at("2026-03-04T01:30:00Z", "FL")), ["quiet-hours"]);
    assert_eq!(
        found(at("2026-03-08T12:00:00Z", "NY")),
        [""; 0],
        "summer time began that night"
    );
    assert_eq!(
        found(at("2026-03-08T17:30:00Z", "TX")),
        ["quiet-hours"],
        "before Sunday noon in El Paso"
    );
    assert_eq!(
        found(|h| h.crm.released[0].at = noon() + hours(12)),
        ["quiet-hours"]
    );
}

#[test]
fn caps_hold_for_people_for_numbers_and_over_rolling_windows() {
    let again = |h: &mut History, person: &str, at: Timestamp| {
        let id = format!("T{}", h.tasks.len());
        h.tasks.push(task(&id));
        h.shown.extend([shown(&id)]);
        let mut one = envelope(&format!("E{id}"), &id, person, at);
        one.topics[0].1 = "referral".to_owned();
        h.crm.received.push(one);
    };
    assert_eq!(found(|h| again(h, "P0", noon() + hours(2))), ["cap"]);
    assert_eq!(found(|h| again(h, "P0", noon() + hours(24))), [""; 0]);
    let third = |days: i64| {
        move |h: &mut History| {
            again(h, "P0", noon() + hours(24));
            again(h, "P0", noon() + hours(24 * days));
        }
    };
    assert_eq!(found(third(6)), ["cap"]);
    assert_eq!(found(third(7)), [""; 0]);
    let wrong = |h: &mut History| {
        third(6)(h);
        h.crm.answered[0].outcome = "wrong-number".to_owned();
    };
    assert!(
        !found(wrong).contains(&"cap"),
        "one of three was a wrong number"
    );
    assert_eq!(
        found(|h| h.phones[1] = "0".to_owned()),
        ["cap"],
        "one number, two people, one day"
    );
}

#[test]
fn versions_that_do_not_grow_are_found_and_repeats_are_not() {
    let repeat = |h: &mut History| {
        let one = h.crm.received[0].clone();
        h.crm.received.push(one);
    };
    assert_eq!(found(repeat), [""; 0]);
    let stale = |h: &mut History| {
        let mut one = h.crm.received[0].clone();
        one.id = "E9".to_owned();
        one.kind = "revised".to_owned();
        h.crm.received.push(one);
    };
    assert_eq!(found(stale), ["version"]);
    let mixed = |h: &mut History| h.crm.received[1].id = "E0".to_owned();
    assert!(found(mixed).contains(&"version"));
}

#[test]
fn two_open_tasks_of_one_person_or_of_two_who_are_one_are_found() {
    let merged = |h: &mut History| {
        h.links.push(Link {
            survivor: 0,
            retired: 1,
            from: noon() - hours(1),
            until: None,
        });
    };
    assert_eq!(found(merged), ["two-tasks"]);
    let ended = |h: &mut History| {
        merged(h);
        h.crm.answered[0].outcome = "completed".to_owned();
    };
    assert_eq!(found(ended), [""; 0]);
}

#[test]
fn what_should_have_left_and_has_not_is_found_and_so_is_a_stranger() {
    assert_eq!(found(|h| h.left.push("T0".to_owned())), ["left-behind"]);
    assert_eq!(
        found(|h| h.people.retain(|id, _| id != "P1")),
        ["unknown-person"]
    );
}
