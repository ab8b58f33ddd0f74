//! The examples runner finds what is wrong, and does not let a test pass for the wrong reason.

use super::*;
use crate::mapping::examples::{self, Report};

const CASE: &str = r#"
mapping = "hl7v2.test"
zone = "America/New_York"
[[case]]
name = "booked"
input = '''
MSH|^~\&|A|B|C|D|20260302081500||SIU^S12|T1|P|2.5.1
SCH||A1|||||||30|min|^^^20260308013000||||||||||||||Booked
PID|1||TEST-1^^^A~TEST-2||Example^Ada||""|F
'''
issues = []
[case.expect]
"appointment.status" = "booked"
"appointment[0].end" = "2026-03-08T03:00:00-04:00"
"appointment[1]" = "<absent>"
"patient.identifiers[1].value" = "TEST-2"
"patient.names[0].given" = ["Ada"]
"patient.birth_date" = "<clear>"
"patient.language" = "<absent>"
[case.via]
"appointment.status" = "SCH-25.1"
"patient.identifiers[1].value" = "PID-3[2].1"
"patient.sex" = "test.toml"
"#;

fn run(example: &str) -> Report {
    let base = files(PACK);
    let mut list: Vec<(&str, &str)> = base.iter().collect();
    list.push(("hl7v2/test.examples/a.toml", example));
    list.push((
        "hl7v2/test.examples/site.toml",
        "layer = \"site\"\nextends = \"hl7v2.test\"\n[patient.set.sex]\nvalue = \"other\"",
    ));
    examples::run(&Files::of(&list))
}

/// What is said about an example in which a line was changed.
fn wrong(line: &str, other: &str) -> String {
    assert!(CASE.contains(line), "{line}");
    let report = run(&CASE.replacen(line, other, 1));
    assert!(!report.is_ok(), "{other}");
    report.to_string()
}

#[test]
fn a_right_example_passes_and_the_untouched_is_listed() {
    let report = run(CASE);
    assert!(report.is_ok(), "{report}");
    assert_eq!(report.cases, 1);
    let coverage = &report.coverage[0];
    assert!(
        coverage
            .untouched
            .contains(&"appointment.status case 1".to_owned())
    );
    assert!(coverage.untouched.contains(&"patient.language".to_owned()));
    assert!(
        !coverage
            .untouched
            .contains(&"appointment.status case 2".to_owned())
    );
}

#[test]
fn a_wrong_expectation_names_case_target_expected_and_found() {
    let told = wrong(
        "\"appointment.status\" = \"booked\"",
        "\"appointment.status\" = \"noshow\"",
    );
    let expected = "hl7v2/test.examples/a.toml:13: booked: appointment.status\n  \
                    expected \"noshow\"\n  found    \"booked\"";
    assert!(told.contains(expected), "{told}");
    let told = wrong(
        "\"patient.language\" = \"<absent>\"",
        "\"patient.language\" = \"<clear>\"",
    );
    assert!(
        told.contains("expected <clear>\n  found    nothing"),
        "{told}"
    );
    let told = wrong(
        "\"patient.birth_date\" = \"<clear>\"",
        "\"patient.birth_date\" = \"<absent>\"",
    );
    assert!(told.contains("found    <clear>"), "{told}");
}

#[test]
fn a_value_from_the_wrong_place_fails() {
    // One field short: SCH-25 is empty, the default matches, and only `via` notices.
    let told = wrong("||||||||||||||Booked", "|||||||||||||Booked");
    assert!(
        told.contains("appointment.status via\n  expected SCH-25.1\n  found    constant"),
        "{told}"
    );
}

#[test]
fn outcome_issues_and_layers_are_checked() {
    assert!(
        wrong("|F\n", "|?\n").contains("expected mapped\n  found    held: unmapped-code@PID-8")
    );
    assert!(wrong("issues = []", "issues = [\"bad-value@PID-7\"]").contains("issues"));
    assert!(wrong("zone = \"America/New_York\"", "zone = \"Mars\"").contains("time zone"));
    let told = wrong(
        "zone = \"America",
        "layers = [\"site.toml\"]\nzone = \"America",
    );
    assert!(told.contains("patient.sex via"), "{told}");
    assert!(wrong("issues = []", "isues = []").contains("did you mean `issues`"));
    assert!(
        wrong("mapping = \"hl7v2.test\"", "mapping = \"hl7v2.tset\"")
            .contains("at least one example")
    );
}
