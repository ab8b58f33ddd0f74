//! Bundles: entries one by one, outcomes wherever they are.

use super::super::{ReadErrorKind, Severity};
use super::*;

fn bundle(entries: &str) -> String {
    format!(r#"{{"resourceType":"Bundle","type":"searchset","total":3,"entry":[{entries}]}}"#)
}

const GOOD: &str =
    r#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"TEST-1"}}"#;

/// What became of each entry: the id of its resource or its error.
fn ends(body: &[u8]) -> Vec<Result<String, String>> {
    let bundle = Bundle::read(body).unwrap();
    let id = |entry: Entry<'_>| {
        entry
            .resource()
            .and_then(|one| one.id())
            .unwrap_or_default()
            .into_owned()
    };
    bundle
        .entries()
        .map(|entry| entry.map(id).map_err(ToString::to_string))
        .collect()
}

#[test]
fn one_bad_entry_is_alone() {
    for (bad, place_and_reason) in [
        (
            r#"{"resource":{"resourceType":"Patient","id":"2",}}"#,
            "resource (byte 187): expected a name in quotes, found a closing brace",
        ),
        (
            r#"{"resource":{"resourceType":"Patient","id":"2","id":"3"}}"#,
            "resource.id (byte 187): expected each member once, found a member twice",
        ),
        (
            r#"{"resource":{"resourceType":"Patient"} /* x */}"#,
            " (byte 179): expected a comma or `}`, found a comment",
        ),
        (
            r#"{"resource":{"resourceType":"Patient","n":01}}"#,
            "resource.? (byte 183): expected a number without leading zeros, found a digit",
        ),
        (
            "{\"resource\":{\"resourceType\":\"Patient\",\"id\":\"\n\"}}",
            "resource.id (byte 184): expected the string's text or its closing quote, found a line end",
        ),
        (
            r#"{"resource":{"id":"2"}}"#,
            "resource.resourceType (byte 152): expected the type of a resource, found nothing",
        ),
        (
            r#"{"resource":{"resourceType":"no type"}}"#,
            "resource.resourceType (byte 168): expected the type of a resource, found another word",
        ),
        (
            r#"{"resource":[]}"#,
            "resource (byte 152): expected a resource, found an array",
        ),
        (
            r#"{"fullUrl":7}"#,
            "fullUrl (byte 151): expected a string, found a number",
        ),
        (
            r#""text""#,
            " (byte 140): expected an object, found a string",
        ),
        ("nul", " (byte 143): expected a value, found a comma"),
    ] {
        let body = bundle(&[GOOD, bad, GOOD].join(","));
        let place = format!("Bundle.entry[1].{place_and_reason}").replace("]. (", "] (");
        let good = Ok("TEST-1".to_owned());
        assert_eq!(
            ends(body.as_bytes()),
            [good.clone(), Err(place), good],
            "{bad}"
        );
    }
}

#[test]
fn a_bad_entry_can_be_kept_as_it_was_sent() {
    let bad = r#"{"resource":{"resourceType":"Patient",}}"#;
    let body = bundle(&[GOOD, bad, "nul", GOOD].join(", "));
    let read = Bundle::read(body.as_bytes()).unwrap();
    let sent: Vec<&str> = (0..4)
        .map(|at| body.get(read.span(at).unwrap()).unwrap())
        .collect();
    assert_eq!(sent, [GOOD, bad, "nul", GOOD]);
    assert!(read.span(4).is_none() && read.entry(1).is_none() && read.entry(3).is_some());
}

#[test]
fn bytes_that_are_no_utf_8_spoil_their_entry_alone() {
    let bad = GOOD.replace("TEST-1", "TEST-?");
    let mut body = bundle(&[GOOD, &bad, GOOD].join(",")).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xFF;
    let ends = ends(&body);
    assert!(ends[0].is_ok() && ends[2].is_ok(), "{ends:?}");
    assert!(
        ends[1].as_ref().unwrap_err().contains("no UTF-8"),
        "{ends:?}"
    );
}

#[test]
fn an_entry_that_is_too_deep_or_too_large_is_alone() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let large = format!("{{\"x\":[{}1]}}", "1,".repeat(300_000));
    let ends = ends(bundle(&[GOOD, &deep, GOOD, &large, GOOD].join(",")).as_bytes());
    let good: Vec<bool> = ends.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true], "{ends:?}");
}

#[test]
fn where_entries_cannot_be_told_apart_all_is_refused() {
    for entries in [
        format!("{GOOD},{{\"resource\":{{\"id\":\"2\"}},{GOOD}"),
        format!("{GOOD},{{\"resource\":{{\"id\":\"2}}}},{GOOD}"),
        format!("{GOOD},"),
        format!("{GOOD} {GOOD}"),
        format!(",{GOOD}"),
    ] {
        let error = Bundle::read(bundle(&entries).as_bytes()).unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Syntax, "{entries}");
    }
    let whole = bundle(GOOD);
    let cut = &whole.as_bytes()[..whole.len() - 9];
    assert_eq!(Bundle::read(cut).unwrap_err().kind, ReadErrorKind::Cut);
}

#[test]
fn a_bundle_of_another_form_is_refused_and_another_resource_is_none() {
    for (body, message) in [
        (
            r#"{"resourceType":"Bundle","entry":{}}"#,
            "Bundle.entry (byte 33): expected an array, found an object",
        ),
        (
            r#"{"resourceType":"Bundle","entry":[],"entry":[]}"#,
            "Bundle.entry (byte 36): expected each member once, found a member twice",
        ),
        (
            r#"{"resourceType":"Patient"}"#,
            "resourceType (byte 0): expected a Bundle, found another resource",
        ),
        (
            r#"{"resourceType":"List","entry":[{"item":{},}]}"#,
            "entry[0] (byte 43): expected a name in quotes, found a closing brace",
        ),
    ] {
        assert_eq!(
            Bundle::read(body.as_bytes()).unwrap_err().to_string(),
            message,
            "{body}"
        );
    }
    assert!(matches!(
        Body::read(br#"{"resourceType":"OperationOutcome"}"#),
        Ok(Body::Resource(_))
    ));
}

#[test]
fn an_error_names_the_bundle_also_where_its_type_comes_last() {
    let body = format!(r#"{{"entry":[{GOOD},{{"a":1,}}],"resourceType":"Bundle"}}"#);
    let ends = ends(body.as_bytes());
    assert!(
        ends[1]
            .as_ref()
            .unwrap_err()
            .starts_with("Bundle.entry[1] (byte"),
        "{ends:?}"
    );
}

#[test]
fn what_a_page_says_of_itself_is_read() {
    let body = r#"{"resourceType":"Bundle","type":"searchset","total":12,"link":[
        {"relation":"self","url":"http://ehr.test/Patient"},
        {"relation":"next","url":"http://ehr.test/Patient?page=2"}],
        "entry":[null,{"search":{"mode":"match"}}]}"#;
    let bundle = Bundle::read(body.as_bytes()).unwrap();
    assert_eq!(
        (bundle.kind(), bundle.total(), bundle.len()),
        (BundleKind::Searchset, Some(12), 1)
    );
    assert_eq!(
        bundle.link("next").unwrap(),
        "http://ehr.test/Patient?page=2"
    );
    assert!(bundle.link("previous").is_none());
    assert_eq!(bundle.entry(0).unwrap().search_mode().unwrap(), "match");
    assert!(bundle.entry(1).is_none() && !bundle.is_empty());
    for empty in [
        r#"{"resourceType":"Bundle"}"#,
        r#"{"resourceType":"Bundle","entry":null,"type":7}"#,
    ] {
        let bundle = Bundle::read(empty.as_bytes()).unwrap();
        assert_eq!(
            (bundle.kind(), bundle.is_empty()),
            (BundleKind::Other, true)
        );
    }
}

#[test]
fn every_kind_is_known_by_its_code() {
    for (code, kind) in [
        ("searchset", BundleKind::Searchset),
        ("history", BundleKind::History),
        (
            "subscription-notification",
            BundleKind::SubscriptionNotification,
        ),
        ("transaction", BundleKind::Transaction),
        ("transaction-response", BundleKind::TransactionResponse),
        ("batch", BundleKind::Batch),
        ("batch-response", BundleKind::BatchResponse),
        ("message", BundleKind::Message),
        ("document", BundleKind::Document),
        ("collection", BundleKind::Collection),
        ("Searchset", BundleKind::Other),
    ] {
        assert_eq!(BundleKind::of(code), kind, "{code}");
    }
}

#[test]
fn requests_and_responses_are_read() {
    let entries = r#"{"request":{"method":"DELETE","url":"Patient/1"},"response":{"status":"204 No Content","etag":"W/\"3\"","lastModified":"2026-01-02T03:04:05Z"}},
        {"response":{"status":201,"location":"Patient/2/_history/1"}},
        {"response":{"status":"odd"}}, {}"#;
    let body = bundle(entries);
    let bundle = Bundle::read(body.as_bytes()).unwrap();
    let entry = bundle.entry(0).unwrap();
    let request = entry.request().unwrap();
    assert_eq!(
        (request.method.as_ref(), request.url.as_ref()),
        ("DELETE", "Patient/1")
    );
    let response = entry.response().unwrap();
    assert_eq!(
        (response.status, response.etag.as_deref()),
        (204, Some("W/\"3\""))
    );
    assert_eq!(
        response.last_modified.as_deref(),
        Some("2026-01-02T03:04:05Z")
    );
    assert!(entry.resource().is_none() && response.outcome.is_none());
    let second = bundle.entry(1).unwrap().response().unwrap();
    assert_eq!(
        (second.status, second.location.as_deref()),
        (201, Some("Patient/2/_history/1"))
    );
    assert_eq!(bundle.entry(2).unwrap().response().unwrap().status, 0);
    assert!(bundle.entry(3).unwrap().request().is_none());
}

#[test]
fn outcomes_are_found_wherever_they_are() {
    let outcome = |severity: &str| {
        format!(r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"{severity}"}}]}}"#)
    };
    let body = format!(
        r#"{{"resourceType":"Bundle","issues":{},"entry":[{GOOD},
            {{"search":{{"mode":"outcome"}},"resource":{}}},
            {{"response":{{"status":"404","outcome":{}}}}}]}}"#,
        outcome("information"),
        outcome("warning"),
        outcome("fatal"),
    );
    let bundle = Bundle::read(body.as_bytes()).unwrap();
    let severities: Vec<Severity> = bundle
        .outcomes()
        .map(|one| one.issues[0].severity)
        .collect();
    assert_eq!(
        severities,
        [Severity::Information, Severity::Warning, Severity::Fatal]
    );
}
