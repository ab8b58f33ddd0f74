//! Tests of orders, answers and pointers: whoever tells first, the same is known in the end.

use jiff::Timestamp;
use uuid::Uuid;

use crate::crm::{
    AnswerChange, Assertion, Change, Identifier, Moment, Origin, PointerChange, Priority,
    RequestChange, RequestKind, RequestStatus, Resource, Stage, Tri, View,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

fn origin(source: &str, second: i64, message: u128) -> Origin<'_> {
    Origin {
        person: Uuid::from_u128(1),
        source,
        event_time: at(second),
        message: Uuid::from_u128(message),
        marks: &[],
    }
}

fn number() -> Vec<Identifier> {
    vec![Identifier {
        value: "TEST-R1".into(),
        assigner: Some("EHR".into()),
        kind: Some("PLAC".into()),
    }]
}

fn asked() -> RequestChange {
    RequestChange {
        identifiers: number(),
        status: RequestStatus::Active,
        stage: Tri::Set(Stage::Requested),
        priority: Tri::Set(Priority::Urgent),
        authored_at: Tri::Set(Moment::parse("2026-03-02").unwrap()),
        wanted_by: Tri::Absent,
        expires_at: Tri::Absent,
    }
}

fn declined() -> Change {
    Change::Answer(AnswerChange {
        identifiers: number(),
        status: RequestStatus::Active,
        stage: Tri::Set(Stage::Declined),
    })
}

fn pointer(concept: &str, status: &str) -> Change {
    Change::Pointer(PointerChange {
        resource: Resource::Condition,
        concept: concept.into(),
        reference: "P-1".into(),
        date: Tri::Absent,
        status: Tri::Set(status.into()),
        class: Tri::Absent,
        orders: vec![],
    })
}

fn tell(known: &mut Vec<Assertion>, origin: Origin<'_>, change: &Change) {
    for new in origin.assert(change, known) {
        known.retain(|old| {
            (old.person, old.group, &old.source, &old.key)
                != (new.person, new.group, &new.source, &new.key)
        });
        known.push(new);
    }
}

/// The one request of the view: kind, status, stage, priority.
fn only(known: &[Assertion]) -> (RequestKind, RequestStatus, Stage, Priority) {
    let view = View::of(known, &[]);
    let [one] = view.chart.requests.as_slice() else {
        panic!("{} requests", view.chart.requests.len())
    };
    (one.kind, one.status, one.stage, one.priority)
}

#[test]
fn a_declined_referral_still_needs_a_place_whoever_answers_and_in_whatever_order() {
    let referral = Change::Referral(asked());
    let wanted = (
        RequestKind::Referral,
        RequestStatus::Active,
        Stage::Declined,
        Priority::Urgent,
    );
    for receiver in ["ehr", "receiver"] {
        let mut known = Vec::new();
        tell(&mut known, origin("ehr", 1, 2), &referral);
        tell(&mut known, origin(receiver, 9, 3), &declined());
        assert!(only(&known) == wanted, "in order, from {receiver}");
        let mut known = Vec::new();
        tell(&mut known, origin(receiver, 9, 3), &declined());
        assert!(View::of(&known, &[]).chart.requests.is_empty());
        tell(&mut known, origin("ehr", 1, 2), &referral);
        assert!(only(&known) == wanted, "overtaken, from {receiver}");
    }
}

#[test]
fn a_declined_order_is_over() {
    let order = Change::Order(asked());
    for receiver in ["ehr", "lab"] {
        let mut known = Vec::new();
        tell(&mut known, origin("ehr", 1, 2), &order);
        tell(&mut known, origin(receiver, 9, 3), &declined());
        let (kind, status, ..) = only(&known);
        assert!(kind == RequestKind::Order && status == RequestStatus::Revoked);
    }
}

#[test]
fn an_older_answer_changes_nothing() {
    let mut known = Vec::new();
    tell(&mut known, origin("ehr", 9, 2), &Change::Referral(asked()));
    tell(&mut known, origin("receiver", 1, 3), &declined());
    tell(&mut known, origin("ehr", 2, 4), &declined());
    assert!(only(&known).2 == Stage::Requested);
}

#[test]
fn what_was_a_referral_stays_one() {
    let mut known = Vec::new();
    tell(&mut known, origin("ehr", 1, 2), &Change::Referral(asked()));
    tell(&mut known, origin("ehr", 2, 3), &Change::Order(asked()));
    tell(&mut known, origin("lab", 3, 4), &Change::Order(asked()));
    assert!(only(&known).0 == RequestKind::Referral);
}

#[test]
fn a_problem_coded_anew_is_one_problem_and_what_is_taken_back_keeps_its_concept() {
    let mut known = Vec::new();
    let concepts = |known: &[Assertion]| -> Vec<(String, Option<String>)> {
        let pointers = View::of(known, &[]).chart.pointers;
        let told = pointers.into_iter().map(|one| (one.concept, one.status));
        told.collect()
    };
    tell(
        &mut known,
        origin("ehr", 1, 2),
        &pointer("diabetes", "active"),
    );
    tell(
        &mut known,
        origin("ehr", 2, 3),
        &pointer("problem", "active"),
    );
    assert_eq!(
        concepts(&known),
        [("problem".into(), Some("active".into()))]
    );
    tell(
        &mut known,
        origin("ehr", 3, 4),
        &pointer("diabetes", "active"),
    );
    tell(
        &mut known,
        origin("ehr", 4, 5),
        &pointer("problem", "entered-in-error"),
    );
    let taken_back = ("diabetes".to_owned(), Some("entered-in-error".to_owned()));
    assert_eq!(concepts(&known), [taken_back]);
}

#[test]
fn a_pointer_that_merged_records_both_tell_is_one_and_the_newest_telling_stands() {
    let mut known = Vec::new();
    tell(
        &mut known,
        origin("ehr", 1, 2),
        &pointer("diabetes", "active"),
    );
    let survivor = Origin {
        person: Uuid::from_u128(7),
        ..origin("ehr", 5, 3)
    };
    tell(&mut known, survivor, &pointer("diabetes", "resolved"));
    let pointers = View::of(&known, &[]).chart.pointers;
    let statuses: Vec<_> = pointers.iter().map(|one| one.status.as_deref()).collect();
    assert_eq!(statuses, [Some("resolved")]);
}
