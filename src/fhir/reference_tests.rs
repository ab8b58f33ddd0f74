//! References: what they name and where it is.

use super::*;

fn shown(text: &str) -> String {
    match Reference::parse(text) {
        None => "nothing".to_owned(),
        Some(Reference::Contained(id)) => format!("#{id}"),
        Some(Reference::Urn(urn)) => urn,
        Some(Reference::Other(other)) => format!("other {other}"),
        Some(Reference::Resource {
            base,
            kind,
            id,
            version,
        }) => {
            format!(
                "{} {kind} {id} {}",
                base.unwrap_or("-".into()),
                version.unwrap_or("-".into())
            )
        }
    }
}

#[test]
fn a_reference_says_what_it_names() {
    for (text, names) in [
        ("Patient/TEST-1", "- Patient TEST-1 -"),
        ("/Patient/TEST-1", "- Patient TEST-1 -"),
        (" Patient/1/_history/2 ", "- Patient 1 2"),
        (
            "http://ehr.test/r4/Patient/e.1-A",
            "http://ehr.test/r4 Patient e.1-A -",
        ),
        (
            "https://ehr.test/Patient/1/_history/9",
            "https://ehr.test Patient 1 9",
        ),
        ("#p1", "#p1"),
        ("#", "#"),
        ("urn:uuid:0a", "urn:uuid:0a"),
        (
            "Patient?identifier=urn:x|1",
            "other Patient?identifier=urn:x|1",
        ),
        ("Patient", "other Patient"),
        ("Patient/", "other Patient/"),
        ("patient/1", "other patient/1"),
        ("a/Patient/1", "other a/Patient/1"),
        (
            "http://ehr.test/ValueSet/x|2",
            "other http://ehr.test/ValueSet/x|2",
        ),
        ("", "nothing"),
        ("  ", "nothing"),
    ] {
        assert_eq!(shown(text), names, "{text:?}");
    }
    assert_eq!(
        format!("{:?}", Reference::parse("Patient/1")),
        "Some(Relative)"
    );
}

const BUNDLE: &str = r##"{"resourceType":"Bundle","entry":[
    {"fullUrl":"http://a.test/Encounter/1","resource":{"resourceType":"Encounter","id":"1",
        "contained":[{"resourceType":"Location","id":"l"},{"resourceType":"Device","id":"d"},{"resourceType":"Device","id":"d"}]}},
    {"fullUrl":"http://a.test/Patient/1","resource":{"resourceType":"Patient","id":"1","meta":{"versionId":"3"}}},
    {"fullUrl":"http://b.test/Patient/1","resource":{"resourceType":"Patient","id":"1"}},
    {"fullUrl":"urn:uuid:7","resource":{"resourceType":"Patient","id":"7"}},
    {"fullUrl":"Patient/8","resource":{"resourceType":"Patient","id":"8"}},
    {"resource":{"resourceType":"Condition","id":"c"}},
    {"fullUrl":"http://a.test/Task/1/_history/1","resource":{"resourceType":"Task","id":"1","meta":{"versionId":"1"}}},
    {"fullUrl":"http://a.test/Task/1/_history/2","resource":{"resourceType":"Task","id":"1","meta":{"versionId":"2"}}},
    {"request":{"method":"DELETE","url":"Patient/9"}}
]}"##;

/// What a reference of the entry at `from` leads to: a place, `elsewhere` or `ambiguous`.
fn leads(from: usize, reference: &str) -> String {
    let bundle = Bundle::read(BUNDLE.as_bytes()).unwrap();
    let reference = Reference::parse(reference).unwrap();
    match bundle.resolve(&reference, &bundle.entry(from).unwrap()) {
        Found::Elsewhere => "elsewhere".to_owned(),
        Found::Ambiguous => "ambiguous".to_owned(),
        Found::Here(node) => {
            let place = bundle
                .entries()
                .position(|e| e.unwrap().resource() == Some(node));
            place.map_or_else(
                || node.resource_type().unwrap().into_owned(),
                |at| at.to_string(),
            )
        }
    }
}

fn all_lead(cases: &[(usize, &str, &str)]) {
    for (from, reference, end) in cases {
        assert_eq!(leads(*from, reference), *end, "{reference} from {from}");
    }
}

#[test]
fn a_reference_leads_to_an_entry_of_the_same_server() {
    all_lead(&[
        (0, "Patient/1", "1"),
        (0, "Patient/1/_history/3", "1"),
        (0, "Patient/1/_history/2", "elsewhere"),
        (0, "http://b.test/Patient/1", "2"),
        (2, "Patient/1", "2"),
        (0, "Patient/7", "elsewhere"),
        (0, "urn:uuid:7", "3"),
        (0, "urn:uuid:8", "elsewhere"),
        // From entries that no server's address names, by type and id where only one has them.
        (3, "Patient/8", "4"),
        (4, "Patient/7", "3"),
        (5, "Patient/1", "ambiguous"),
        (5, "Encounter/1", "0"),
        (8, "Condition/c", "5"),
        (0, "Condition/c", "elsewhere"),
        (0, "Task/1", "ambiguous"),
        (0, "Task/1/_history/2", "7"),
        (6, "Task/1/_history/1", "6"),
        (0, "Patient?name=x", "elsewhere"),
    ]);
}

#[test]
fn a_contained_resource_is_found_in_its_own_resource_only() {
    all_lead(&[
        (0, "#l", "Location"),
        (0, "#", "0"),
        (0, "#d", "ambiguous"),
        (0, "#x", "elsewhere"),
        (1, "#l", "elsewhere"),
        (8, "#l", "elsewhere"),
    ]);
}

#[test]
fn a_reference_without_an_address_is_none() {
    let body = br#"{"resourceType":"Task","for":{"identifier":{"value":"1"}},"owner":{"reference":"Patient\/1"}}"#;
    let document = super::super::Document::read(body).unwrap();
    let of = |name| Reference::of(&document.root().member(name).unwrap());
    assert!(of("for").is_none());
    assert_eq!(of("owner"), Reference::parse("Patient/1"));
}
