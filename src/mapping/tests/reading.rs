//! What a message says by the rules: tri-state, lists, functions, groups, gates, issues, traces.

use serde_json::json;

use super::*;
use crate::failure::Code;
use crate::mapping::{Origin, Outcome};

fn patient(segments: &str) -> (Mapped, Value) {
    let mapped = read(&compiled(PACK, &[]), "ADT^A08", segments);
    let first = values(&mapped).into_iter().next().unwrap_or_default();
    (mapped, first)
}

#[test]
fn absent_says_nothing_and_null_clears() {
    let (mapped, values) = patient("PID|1||TEST-1||\"\"||\"\"|F|||||||\"\"");
    assert_eq!(mapped.outcome, Outcome::Mapped);
    let expected = json!({
        "identifiers": [{"value": "TEST-1"}], "names": null, "birth_date": null, "sex": "female",
    });
    assert_eq!(values, expected);
}

#[test]
fn a_required_field_that_is_cleared_is_missing() {
    let (mapped, _) = patient("PID|1||\"\"||Example^Ada");
    assert_eq!(issues(&mapped), ["required-missing@PID-3 error"]);
    let held = Outcome::Held {
        code: Code::RequiredMissing,
        place: "PID-3".to_owned(),
    };
    assert_eq!(mapped.outcome, held);
}

#[test]
fn lists_take_the_first_valued_alternative_and_every_repetition() {
    let (_, values) =
        patient("PID|1|TEST-9|^^^X~TEST-1^^^A&1.2&ISO~TEST-2~TEST-1^^^A||Ex^Ada May^B.");
    let expected = json!([{"value": "TEST-1", "assigner": "A"}, {"value": "TEST-2"}]);
    assert_eq!(
        values["identifiers"], expected,
        "blank ones and repeats are left out"
    );
    assert_eq!(
        values["names"],
        json!([{"family": "Ex", "given": ["Ada", "May", "B."]}])
    );
    let (_, values) = patient("PID|1|TEST-9|\"\"");
    assert_eq!(values["identifiers"], json!([{"value": "TEST-9"}]));
}

#[test]
fn dates_keep_their_precision_and_junk_holds() {
    for (sent, read) in [
        ("1980", "1980"),
        ("198002", "1980-02"),
        ("19800229", "1980-02-29"),
    ] {
        let (_, values) = patient(&format!("PID|1||TEST-1||||{sent}"));
        assert_eq!(values["birth_date"], json!(read));
    }
    let (mapped, values) = patient("PID|1||TEST-1||||DOB");
    assert_eq!(issues(&mapped), ["bad-value@PID-7 error"]);
    assert_eq!(values.get("birth_date"), None);
}

#[test]
fn an_unknown_code_holds_and_a_tolerated_fault_warns() {
    let (mapped, values) = patient("PID|1||TEST-1|||||X||||||||||||||||||||||perhaps");
    assert_eq!(
        issues(&mapped),
        ["bad-value@PID-30 warning", "unmapped-code@PID-8 error"]
            .map(String::from)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(values.get("sex"), None);
}

#[test]
fn every_condition_of_a_list_that_holds_adds_its_text() {
    let (_, values) = patient("PID|1||TEST-1\rPD1||||||||||||Y\rCON|1");
    assert_eq!(values["restrictions"], json!(["PD1-12", "CON"]));
}

#[test]
fn groups_come_out_one_by_one_each_with_its_own_person_first() {
    let mapped = read(
        &compiled(PACK, &[]),
        "ADT^A08",
        "PID|1||TEST-1\rPV1|1||||||||||||||||||V1\rDG1|1||E11.9^^I10\rPID|2||TEST-2|||||q",
    );
    let blocks: Vec<&str> = mapped
        .changes
        .iter()
        .map(|change| change.block.as_str())
        .collect();
    assert_eq!(blocks, ["patient", "problem", "patient"]);
    assert_eq!(issues(&mapped), ["unmapped-code@PID[2]-8 error"]);
}

#[test]
fn a_concept_is_found_by_code_system_or_not_at_all() {
    let concept = |dg1: &str| {
        let segments = format!("PID|1||TEST-1\rPV1|1||||||||||||||||||V1\rDG1|1|{dg1}");
        let mapped = read(&compiled(PACK, &[]), "ADT^A08", &segments);
        assert_eq!(mapped.outcome, Outcome::Mapped);
        values(&mapped).get(1).cloned()
    };
    let found =
        Some(json!({"resource": "Condition", "concept": "diabetes", "reference": "V1.h[E119]"}));
    assert_eq!(concept("|E119^text^i10"), found);
    assert_eq!(
        concept("ICD-10|E119"),
        found,
        "the system of DG1-2 stands in"
    );
    assert_eq!(concept("|E119"), None, "a code without a system is nothing");
    assert_eq!(concept("|I10^^I10"), None);
    assert_eq!(
        concept("|x^^L^E10.9^^I10"),
        Some(json!({"resource": "Condition", "concept": "diabetes", "reference": "V1.h[x]"}))
    );
}

#[test]
fn a_pointer_without_reference_is_held() {
    let mapped = read(
        &compiled(PACK, &[]),
        "ADT^A08",
        "PID|1||TEST-1\rDG1|1||E11.9^^I10",
    );
    assert_eq!(issues(&mapped), ["required-missing@PV1-19.1 error"]);
}

#[test]
fn what_is_about_nobody_is_held() {
    let pack = PACK.replace(
        "emit = \"Patient\"",
        "emit = \"Patient\"\nwhen = \"PID-5 valued\"",
    );
    let mapped = read(&compiled(&pack, &[]), "SIU^S12", "SCH||A1\rPID|1||TEST-1");
    assert_eq!(issues(&mapped), ["required-missing@PID-3 error"]);
    let mapped = read(&compiled(&pack, &[]), "SIU^S12", "PID|1||TEST-1");
    assert!(matches!(
        mapped.outcome,
        Outcome::Ignored {
            code: Code::NothingToDo,
            ..
        }
    ));
}

#[test]
fn local_times_take_the_zone_and_doubtful_ones_are_flagged() {
    let start = |sent: &str| {
        let segments = format!("PID|1||TEST-1\rSCH||A1|||||||||^^^{sent}");
        let mapped = read(&compiled(PACK, &[]), "SIU^S12", &segments);
        (values(&mapped)[1]["start"].clone(), issues(&mapped))
    };
    assert_eq!(
        start("202603080130"),
        (json!("2026-03-08T01:30:00-05:00"), vec![])
    );
    assert_eq!(
        start("20260308120000+0100"),
        (json!("2026-03-08T12:00:00+01:00"), vec![])
    );
    assert_eq!(
        start("20260308"),
        (json!("2026-03-08"), vec![]),
        "a day stays a day"
    );
    for doubtful in ["202603080230", "202611010130"] {
        assert_eq!(start(doubtful).1, ["bad-value@SCH-11.4 warning"]);
    }
}

#[test]
fn an_end_follows_from_start_and_length_in_any_unit() {
    let end = |amount: &str| {
        let segments = format!("PID|1||TEST-1\rSCH||A1|||||||{amount}|^^^20260308013000");
        let mapped = read(&compiled(PACK, &[]), "SIU^S12", &segments);
        (values(&mapped)[1].get("end").cloned(), issues(&mapped))
    };
    let half_past = Some(json!("2026-03-08T03:30:00-04:00"));
    for amount in ["60|Min", "60|", "3600.000|s", "1|hr."] {
        assert_eq!(end(amount), (half_past.clone(), vec![]), "{amount}");
    }
    assert_eq!(
        end("60|fortnight"),
        (None, vec!["bad-value@SCH-10.1 error".to_owned()])
    );
    assert_eq!(
        end("soon|min"),
        (None, vec!["bad-value@SCH-9 error".to_owned()])
    );
    assert_eq!(end("99999999999|d").1.len(), 1);
}

#[test]
fn the_first_case_that_holds_decides_and_the_trace_tells_which() {
    let bundle = compiled(PACK, &[]);
    let status = |sch25: &str| {
        let segments = format!("PID|1||TEST-1\rSCH||A1|||||||||||||||||||||||{sch25}");
        let mapped = read(&bundle, "SIU^S12", &segments);
        let entry = mapped
            .trace
            .into_iter()
            .find(|entry| entry.target == "appointment.status");
        let entry = entry.unwrap();
        (entry.origin, entry.table_row, entry.case)
    };
    assert_eq!(
        status("Noshow"),
        (Origin::Path("SCH-25.1".to_owned()), true, Some(1))
    );
    assert_eq!(status(""), (Origin::Constant, false, Some(2)));
}

#[test]
fn a_type_goes_to_its_pack_its_reason_or_nowhere() {
    let bundle = compiled(PACK, &[]);
    let outcome = |kind| read(&bundle, kind, "PID|1||TEST-1").outcome;
    assert_eq!(
        outcome("ADT^A08"),
        Outcome::Mapped,
        "ADT alone takes any trigger"
    );
    let ignored = |code, place: &str| Outcome::Ignored {
        code,
        place: place.to_owned(),
    };
    assert_eq!(
        outcome("ADT^A43"),
        ignored(Code::IgnoredByMapping, "moves records")
    );
    assert_eq!(outcome("SIU^S13"), ignored(Code::NoMapping, "MSH-9"));
    for untyped in ["", "^A08", "^^ADT_A01"] {
        let code = Code::NoMessageType;
        let place = "MSH-9.1".to_owned();
        assert_eq!(outcome(untyped), Outcome::Held { code, place }, "{untyped}");
    }
}
