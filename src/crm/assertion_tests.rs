//! Tests of assertions: order of arrival never decides, event time does.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::crm::{
    AppointmentChange, AppointmentStatus, Change, Identifier, Moment, Name, Origin, PatientChange,
    Sex, Tri,
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

fn visit(status: AppointmentStatus, start: Tri<Moment>) -> Change {
    let identifier = Identifier {
        value: "TEST-A1".into(),
        assigner: Some("SCHED".into()),
        kind: None,
    };
    Change::Appointment(AppointmentChange {
        identifiers: vec![identifier],
        status,
        start,
        end: Tri::Absent,
        orders: vec![],
        location: Tri::Absent,
        concepts: Tri::Absent,
        confirmed: Tri::Absent,
    })
}

fn tell(known: &mut Vec<Assertion>, origin: Origin<'_>, change: &Change) {
    for new in origin.assert(change, known) {
        known
            .retain(|old| (old.group, &old.source, &old.key) != (new.group, &new.source, &new.key));
        known.push(new);
    }
}

#[test]
fn a_late_booking_does_not_undo_a_cancellation_but_enters_the_history() {
    let mut known = Vec::new();
    let start = Tri::Set(Moment::parse("2026-03-02T08:00:00-05:00").unwrap());
    tell(
        &mut known,
        origin("siu", 9, 2),
        &visit(AppointmentStatus::Cancelled, Tri::Absent),
    );
    tell(
        &mut known,
        origin("siu", 1, 3),
        &visit(AppointmentStatus::Booked, start),
    );
    let view = View::of(&known, &[]);
    let [appointment] = view.chart.appointments.as_slice() else {
        panic!()
    };
    assert_eq!(appointment.status, AppointmentStatus::Cancelled);
    assert_eq!(
        appointment.history,
        [
            (at(1), AppointmentStatus::Booked),
            (at(9), AppointmentStatus::Cancelled)
        ]
    );
}

#[test]
fn a_cancellation_without_a_time_keeps_the_time() {
    let mut known = Vec::new();
    let start = Moment::parse("2026-03-02T08:00:00-05:00").unwrap();
    tell(
        &mut known,
        origin("siu", 1, 2),
        &visit(AppointmentStatus::Booked, Tri::Set(start.clone())),
    );
    tell(
        &mut known,
        origin("siu", 2, 3),
        &visit(AppointmentStatus::Cancelled, Tri::Absent),
    );
    let view = View::of(&known, &[]);
    assert!(view.chart.appointments[0].start == Some(start));
}

#[test]
fn the_ranked_source_wins_over_a_newer_one() {
    let patient = |family: &str| {
        Change::Patient(PatientChange {
            identifiers: vec![],
            names: Tri::Set(vec![Name {
                family: Some(family.into()),
                given: vec![],
                usage: None,
            }]),
            birth_date: Tri::Absent,
            sex: Tri::Absent,
            contacts: Tri::Absent,
            addresses: Tri::Absent,
            language: Tri::Absent,
            deceased: Tri::Absent,
            restrictions: vec![],
            accounts: vec![],
            visits: vec![],
            whole: false,
        })
    };
    let mut known = Vec::new();
    tell(&mut known, origin("adt", 1, 2), &patient("Example"));
    tell(&mut known, origin("lab", 9, 3), &patient("Exampel"));
    let family = |rank: &[String]| {
        View::of(&known, rank).demographics.names[0]
            .family
            .clone()
            .unwrap()
    };
    assert_eq!(family(&["adt".into()]), "Example");
    assert_eq!(family(&[]), "Exampel");
}

#[test]
fn what_a_whole_record_leaves_out_is_unsaid_and_what_others_say_stands() {
    let patient = |sex: Value, whole: bool| {
        let values = json!({ "identifiers": [], "sex": sex, "whole": whole });
        let Value::Object(values) = values else {
            panic!("an object")
        };
        Change::read("Patient", values).unwrap()
    };
    let told = |whole: bool| {
        let mut known = Vec::new();
        tell(
            &mut known,
            origin("adt", 1, 2),
            &patient(json!("female"), false),
        );
        tell(
            &mut known,
            origin("ehr", 2, 3),
            &patient(json!("male"), true),
        );
        assert!(View::of(&known, &[]).demographics.sex == Some(Sex::Male));
        tell(
            &mut known,
            origin("ehr", 3, 4),
            &patient(Value::Null, whole),
        );
        View::of(&known, &[]).demographics.sex
    };
    assert!(told(true) == Some(Sex::Female));
    assert!(told(false).is_none());
}

#[test]
fn replaying_a_message_changes_nothing() {
    let mut known = Vec::new();
    let change = visit(AppointmentStatus::Booked, Tri::Absent);
    tell(&mut known, origin("siu", 1, 2), &change);
    let before = known.clone();
    tell(&mut known, origin("siu", 1, 2), &change);
    assert!(known == before);
}
