//! Properties of the whole module over arbitrary input: nothing panics, nothing goes missing.

use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Bytes that are often, but not always, something like a resource.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..6),
        "(\\{|\\}|\\[|\\]|,|:|\"|\\\\|//|null|true|false|-?[0-9.eE]{1,4}| |\n){1,6}"
            .prop_map(String::into_bytes),
        "\"(resourceType|entry|resource|id|name|_name|given|extension|url|fullUrl)\":?"
            .prop_map(String::into_bytes),
        Just(b"{\"resourceType\":\"Bundle\",\"entry\":[".to_vec()),
        Just(b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Example\"}]}".to_vec()),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Any JSON value, with names that FHIR has and others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}|[\"\\\\\n]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let name = "_?(name|given|extension|url|valueString|contained|id)|[a-z\"\\\\]{0,3}";
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn resource(kind: &str, value: Value) -> Value {
    let mut members = match value {
        Value::Object(members) => members,
        other => Map::from_iter([("name".to_owned(), other)]),
    };
    members.remove("id");
    members.insert("resourceType".to_owned(), kind.into());
    Value::Object(members)
}

/// Asks everything that can be asked of an element.
fn open(node: &Node<'_>, depth: usize) -> usize {
    let _shown = (
        format!("{node:?}"),
        node.text(),
        node.number(),
        node.boolean(),
        node.json(),
    );
    let mut seen = 1;
    for name in [
        "name",
        "given",
        "extension",
        "url",
        "valueString",
        "contained",
        "id",
        "entry",
    ] {
        for member in node.members(name) {
            if depth < 8 {
                seen += open(&member, depth + 1);
            }
        }
    }
    seen
}

fn any_path() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "name|given|use|identifier|value|telecom|system|deceased|birthDate|active|extension",
        "\\.|\\.|\\(|\\)|\\[0\\]|,| and | or | = | != | < | \\| |\\$this|@1980|1\\.5|'x'|true",
        "\\.(where|exists|first|last|not|empty|ofType|extension|startsWith|lower|substring)\\(",
        "\\PC{0,3}",
    ];
    vec(word, 0..12).prop_map(|words| words.concat())
}

const PATIENT: &str = r#"{"resourceType":"Patient","active":true,"birthDate":"1980",
    "name":[{"use":"old","given":["Ada","Beth"],"_given":[null,{"extension":[{"url":"x"}]}]}],
    "telecom":[{"system":"phone","value":"555-0100"}],"deceasedBoolean":false}"#;

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_is_json(bytes in any_bytes()) {
        let body = Body::read(&bytes);
        let plain = serde_json::from_slice::<Value>(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        match &body {
            Err(error) => {
                prop_assert!(error.offset <= bytes.len());
                prop_assert!(Outcome::of_errors([error]).is_failure());
            }
            Ok(Body::Resource(document)) => {
                prop_assert!(plain.is_ok());
                open(&document.root(), 0);
                for release in Release::ALL {
                    let _errors = document.root().check(release);
                }
            }
            Ok(Body::Bundle(bundle)) => {
                let broken = bundle.entries().filter(Result::is_err).count();
                prop_assert!(plain.is_ok() || broken > 0);
                prop_assert_eq!(bundle.entries().count(), bundle.len());
                for entry in bundle.entries().filter_map(Result::ok) {
                    open(&entry.node(), 0);
                    let _asked = (entry.request().is_some(), entry.response().is_some());
                    for text in ["#id", "Patient/1", "urn:uuid:1", "http://a.test/Patient/1"] {
                        let reference = Reference::parse(text).unwrap();
                        let _found = bundle.resolve(&reference, &entry);
                    }
                }
                let _outcomes = bundle.outcomes().count();
            }
        }
    }

    #[test]
    fn what_serde_json_writes_is_read(value in any_json()) {
        let value = resource("Patient", value);
        let text = value.to_string();
        let document = Document::read(text.as_bytes()).unwrap();
        prop_assert_eq!(document.root().json(), text.as_str());
        open(&document.root(), 0);
        for (name, member) in value.as_object().unwrap() {
            if let (Some(expected), false) = (member.as_str(), name.starts_with('_')) {
                let found = document.root().text_of(name);
                prop_assert_eq!(found.as_deref(), Some(expected));
            }
        }
    }

    #[test]
    fn one_bad_entry_is_alone_wherever_it_is(
        good in vec(any_json(), 1..5),
        bad in "\\{\"a\":(1,|01|nul|1 2|\"\\\\x\"|// x\n1)\\}|\\{\"a\":1,\"a\":2\\}|\\{,\\}|7|\\[\\]",
        place in any::<prop::sample::Index>(),
    ) {
        let mut entries: Vec<String> = good
            .into_iter()
            .map(|value| format!("{{\"resource\":{}}}", resource("Task", value)))
            .collect();
        let place = place.index(entries.len() + 1);
        entries.insert(place, bad);
        let body = format!(r#"{{"resourceType":"Bundle","entry":[{}]}}"#, entries.join(","));
        let bundle = Bundle::read(body.as_bytes()).unwrap();
        let readable: Vec<bool> = bundle.entries().map(|entry| entry.is_ok()).collect();
        let expected: Vec<bool> = (0..entries.len()).map(|one| one != place).collect();
        prop_assert_eq!(readable, expected);
    }

    #[test]
    fn a_cut_body_is_refused(value in any_json(), at in any::<prop::sample::Index>()) {
        let text = resource("Bundle", value).to_string();
        let cut = at.index(text.len());
        prop_assert!(Body::read(&text.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn any_text_may_be_a_path(text in any_path()) {
        let scope = Scope::resources(Release::R4, &["Patient"]).unwrap();
        match Path::compile(&text, &scope) {
            Err(error) => prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len()),
            Ok(path) => {
                let document = Document::read(PATIENT.as_bytes()).unwrap();
                let found = path.evaluate(document.root()).unwrap();
                prop_assert!(path.is_many() || found.len() <= 1, "{}", text);
                let types: Vec<&str> = path.types().collect();
                for item in &found {
                    prop_assert!(types.contains(&item.type_name()), "{}: {}", text, item.type_name());
                }
            }
        }
    }

    #[test]
    fn any_text_may_be_a_reference_or_a_time(text in "\\PC{0,20}|[0-9TZ:.+-]{0,26}|([A-Z][a-z]{0,4}/){0,3}[a-z#?:/]{0,8}") {
        let _reference = Reference::parse(&text);
        for form in [Form::Date, Form::DateTime, Form::Instant] {
            if let Ok(time) = DateTime::parse(&text, form) {
                prop_assert_eq!(time.text(), text.trim());
                prop_assert!(time.date_text().len() <= 10);
                prop_assert_eq!(time.compare(&time), Some(std::cmp::Ordering::Equal));
                let _instant = time.to_instant(&TimeZone::UTC);
            }
        }
    }

    #[test]
    fn a_time_of_the_right_form_is_read(
        (year, month, day) in (1_i16..=9_999, 1_i8..=12, 1_i8..=28),
        (hour, minute, second) in (0_i8..24, 0_i8..60, 0_i8..60),
        offset in -14_i8..=14,
    ) {
        let sign = if offset < 0 { '-' } else { '+' };
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:00", offset.abs());
        let time = DateTime::parse(&text, Form::Instant).unwrap();
        let date = time.date().unwrap();
        prop_assert_eq!((date.year(), date.month(), date.day()), (year, month, day));
        let instant = time.to_instant(&TimeZone::UTC).map(|found| found.instant);
        prop_assert_eq!(instant, text.parse().ok());
    }
}
