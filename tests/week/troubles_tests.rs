//! The checker finds troubles that are not told, told twice or made up.

use jiff::SignedDuration;

use crate::check_tests::{found, hours, noon, notice, stored};
use crate::history::{History, Limits, Stored};
use crate::webhook::Notice;

#[test]
fn a_trouble_that_is_not_told_told_twice_or_made_up_is_found() {
    assert_eq!(found(|h| h.notices.clear()), ["trouble"]);
    assert_eq!(found(|h| drop(h.notices.pop())), ["trouble"]);
    assert_eq!(found(|h| h.notices.push(notice("firing"))), ["trouble"]);
    assert_eq!(found(|h| h.outages.clear()), ["trouble"]);
}

/// A notice of something that nobody took away.
fn of(kind: &str, subject: &str, state: &str) -> Notice {
    Notice {
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        at: noon() + hours(2),
        ..notice(state)
    }
}

#[test]
fn a_kind_of_trouble_that_this_week_has_not_is_found() {
    for kind in careloop::alert::Kind::ALL {
        let told = |h: &mut History| h.notices.push(of(kind.name(), "", "firing"));
        assert_eq!(found(told), ["trouble"], "{}", kind.name());
    }
}

#[test]
fn messages_that_are_held_are_told_once_and_nothing_else_is() {
    let held = |h: &mut History| {
        h.stored[0].state = "held".to_owned();
        h.counts["processed"] = 1.into();
        h.counts["held"] = 1.into();
    };
    let told = |state: &str| of("messages-held", "main-ehr", state);
    assert_eq!(found(held), ["trouble"], "nobody is told");
    let once = |h: &mut History| {
        held(h);
        h.notices.push(told("firing"));
    };
    assert_eq!(found(once), [""; 0]);
    for more in ["firing", "resolved"] {
        let changed = |h: &mut History| {
            once(h);
            h.notices.push(told(more));
        };
        assert_eq!(found(changed), ["trouble"], "{more}");
    }
    assert_eq!(found(|h| h.notices.push(told("firing"))), ["trouble"]);
    assert_eq!(found(|h| h.notices.push(told("resolved"))), ["trouble"]);
    let over = |h: &mut History| h.notices.extend([told("firing"), told("resolved")]);
    assert_eq!(found(over), [""; 0], "somebody replayed what was held");
}

#[test]
fn a_lag_is_told_where_a_message_waited_and_nowhere_else() {
    let told = |h: &mut History| {
        let all = ["firing", "resolved"];
        h.notices
            .extend(all.map(|state| of("inbox-lag", "main-ehr", state)));
    };
    assert_eq!(found(told), ["trouble"], "everything was processed at once");
    let late = |h: &mut History, after: SignedDuration, source: &str| {
        h.stored[0] = Stored {
            finished: Some(noon() + after),
            ..stored("W0-1")
        };
        told(h);
        h.notices.iter_mut().for_each(|one| {
            if one.kind == "inbox-lag" {
                one.subject = source.to_owned();
            }
        });
    };
    assert_eq!(found(|h| late(h, hours(2), "main-ehr")), [""; 0]);
    assert_eq!(found(|h| late(h, hours(2), "north-ehr")), ["trouble"]);
    assert_eq!(
        found(|h| late(h, hours(1), "main-ehr")),
        ["trouble"],
        "an hour before"
    );
    let patient = |h: &mut History| {
        late(h, hours(2), "main-ehr");
        h.limits = Limits {
            waiting: hours(3),
            ..h.limits
        };
    };
    assert_eq!(found(patient), ["trouble"]);
}

#[test]
fn a_team_is_told_of_where_a_task_had_no_answer_and_nowhere_else() {
    // The first task was answered, the second was not.
    let told = |team: &'static str, days: i64| {
        move |h: &mut History| {
            h.notices.push(Notice {
                at: noon() + hours(24 * days),
                ..of("unanswered", team, "firing")
            });
        }
    };
    assert_eq!(found(told("riverside.north.coordination", 5)), [""; 0]);
    assert_eq!(found(told("riverside.north.coordination", 3)), ["trouble"]);
    assert_eq!(found(told("riverside.main.coordination", 5)), ["trouble"]);
    let cancelled = |h: &mut History| {
        told("riverside.north.coordination", 5)(h);
        let mut end = h.crm.received[1].clone();
        (end.id, end.version, end.kind) = ("E2".to_owned(), 2, "cancelled".to_owned());
        h.tasks[1]["version"] = 2.into();
        h.crm.received.push(end);
    };
    assert_eq!(found(cancelled), ["trouble"]);
}
