//! Any bytes between two good entries spoil the whole body or themselves, never their neighbours.
#![no_main]

use careloop::fhir::Bundle;
use libfuzzer_sys::fuzz_target;

const GOOD: &[u8] = br#"{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"TEST-1"}}"#;

fuzz_target!(|data: &[u8]| {
    let start = br#"{"resourceType":"Bundle","type":"searchset","entry":["#.as_slice();
    let body = [start, GOOD, b",", data, b",", GOOD, b"]}"].concat();
    let Ok(bundle) = Bundle::read(&body) else {
        return;
    };
    let is_good = |number: usize| {
        let resource = bundle.entry(number).and_then(|entry| entry.resource());
        resource.and_then(|node| node.id()).as_deref() == Some("TEST-1")
    };
    assert!(is_good(0), "the entry before");
    // Quotes that do not close may take in what is behind them; then there is an error that says so.
    // The bytes may also end the list of entries and begin another one.
    let has_error = bundle.entries().any(|entry| entry.is_err());
    let last = bundle.entry(bundle.len() - 1).map(|entry| entry.node().span().end);
    let is_ended = data.contains(&b']') && last != Some(body.len() - 2);
    assert!(has_error || is_ended || is_good(bundle.len() - 1), "the entry behind");
    let covered: usize = bundle.entries().flatten().map(|entry| entry.node().json().len()).sum();
    assert!(covered <= body.len());
    for error in bundle.entries().filter_map(Result::err) {
        assert!(error.offset <= body.len() && error.place.starts_with("Bundle.entry["), "{error}");
    }
});
