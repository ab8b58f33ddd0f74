//! Outcomes: read from servers, written for senders.

use super::super::{Document, Release};
use super::*;

#[test]
fn an_outcome_of_a_server_is_read_whatever_it_leaves_out() {
    let body = br#"{"resourceType":"OperationOutcome","issue":[
        {"severity":"error","code":"throttled","diagnostics":"slow down"},
        {"severity":"warning","code":"processing","details":{"text":"partly"},"location":["Patient.name"]},
        {"severity":"odd"},
        {}
    ]}"#;
    let document = Document::read(body).unwrap();
    let outcome = Outcome::of(&document.root()).unwrap();
    let severities: Vec<Severity> = outcome.issues.iter().map(|issue| issue.severity).collect();
    assert_eq!(
        severities,
        [
            Severity::Error,
            Severity::Warning,
            Severity::Error,
            Severity::Error
        ]
    );
    assert!(outcome.is_failure() && outcome.has("throttled") && !outcome.has("deleted"));
    assert_eq!(outcome.issues[1].diagnostics.as_deref(), Some("partly"));
    assert_eq!(outcome.issues[1].expression, ["Patient.name"]);
    assert_eq!(outcome.issues[3].code, "");
    assert_eq!(format!("{outcome:?}"), "[Error, Warning, Error, Error]");
}

#[test]
fn warnings_alone_are_no_failure_and_another_resource_is_no_outcome() {
    let body = br#"{"resourceType":"OperationOutcome","issue":[{"severity":"information"}]}"#;
    let document = Document::read(body).unwrap();
    assert!(!Outcome::of(&document.root()).unwrap().is_failure());
    let patient = Document::read(br#"{"resourceType":"Patient"}"#).unwrap();
    assert!(Outcome::of(&patient.root()).is_none());
}

#[test]
fn an_error_becomes_an_outcome_that_is_one_itself() {
    let error =
        Document::read(br#"{"resourceType":"Patient","birthDate":1980-01-02}"#).unwrap_err();
    let json = Outcome::of_errors([&error]).to_json();
    assert_eq!(
        json,
        r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"structure","#
            .to_owned()
            + r#""diagnostics":"Patient (byte 42): expected a comma or `}`, found another character","#
            + r#""expression":["Patient"]}]}"#
    );
    let document = Document::read(json.as_bytes()).unwrap();
    assert_eq!(document.root().check(Release::R4), []);
    assert!(Outcome::of(&document.root()).unwrap().is_failure());
}

#[test]
fn an_outcome_without_issues_says_that_all_is_well() {
    let json = Outcome::of_errors([]).to_json();
    assert_eq!(
        json,
        r#"{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]}"#
    );
}
