//! Tests of task events: what is read, what is refused and how, and that the schema agrees.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Map, json};

use super::*;

const TASK: &str = "01JD8Q2W7V3N5R6T8Y9ZABCDEG";
const AT: &str = "2026-11-20T14:03:05Z";

fn event(extra: &str) -> String {
    format!(r#"{{"id":"crm-1","task":"{TASK}","version":2,"at":"{AT}"{extra}}}"#)
}

#[test]
fn every_type_is_read_with_exactly_its_fields() {
    for answer in Answer::ALL {
        let own = match answer {
            Answer::CallBackAt => r#","callBackAt":"2026-11-21T14:00:00-05:00""#,
            Answer::OptedOut => r#","scope":"all""#,
            _ => "",
        };
        let read = parse(event(&format!(r#","type":"{}"{own}"#, answer.name())).as_bytes());
        let read = read.unwrap();
        assert_eq!((read.id.as_str(), read.version), ("crm-1", 2));
        assert_eq!(read.task, from_ulid(TASK).unwrap());
        assert_eq!(read.answer, *answer);
        assert_eq!(read.call_back_at.is_some(), *answer == Answer::CallBackAt);
        assert_eq!(read.scope.is_some(), *answer == Answer::OptedOut);
    }
    let topic = parse(event(&format!(r#","type":"declined","topic":"{TASK}""#)).as_bytes());
    assert_eq!(topic.unwrap().topic, from_ulid(TASK));
}

#[test]
fn an_error_names_the_field_and_never_the_value() {
    for (extra, field) in [
        (r#","type":"Ada Example""#, "type"),
        (r#","type":"opted-out""#, "scope"),
        (r#","type":"opted-out","scope":"Ada""#, "scope"),
        (r#","type":"completed","scope":"all""#, "scope"),
        (r#","type":"call-back-at""#, "callBackAt"),
        (r#","type":"call-back-at","callBackAt":"Ada""#, "callBackAt"),
        (r#","type":"accepted","topic":"Ada""#, "topic"),
        (r#","type":"completed","topic":"Ada""#, "topic"),
        (r#","type":"completed","note":"Ada Example""#, "task event"),
        (r#","type":"completed","id":"Ada""#, "task event"),
        (r#","type":{"Ada":1}"#, "type"),
    ] {
        let error = parse(event(extra).as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
        assert!(!error.contains("Ada"), "{error}");
    }
}

#[test]
fn a_tenant_in_the_body_is_refused() {
    let body = event(r#","type":"completed","tenant":"other""#);
    assert_eq!(parse(body.as_bytes()), Err(Error::UnknownField));
}

#[test]
fn bounds_are_kept() {
    let long = vec![b' '; MAX_BYTES + 1];
    assert_eq!(parse(&long), Err(Error::TooLong(MAX_BYTES + 1)));
    assert!(matches!(parse(b"[]"), Err(Error::NotJson { .. })));
    let zero = event(r#","type":"completed""#).replace("\"version\":2", "\"version\":0");
    assert!(matches!(
        parse(zero.as_bytes()),
        Err(Error::Field {
            field: "version",
            ..
        })
    ));
}

/// Mostly good values, and for each field the ways in which it can be wrong.
fn field(good: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let bad = vec![
        json!(null),
        json!(""),
        json!(7),
        json!(0),
        json!(1.5),
        json!(3.0),
        json!(4_294_967_296_u64),
        json!(["all"]),
        json!("Ada Example"),
        json!("81JD8Q2W7V3N5R6T8Y9ZABCDEG"),
        json!("2026-02-30T14:03:05Z"),
        json!("2026-11-20 14:03:05Z"),
        json!("2026-11-20T14:03:05"),
        json!("2026-11-20T14:03:60Z"),
        json!("2026-11-20T14:03:05.1234567891Z"),
        json!("2026-11-20T14:03:05+24:00"),
        json!("1999-11-20T14:03:05Z"),
    ];
    prop_oneof![
        12 => proptest::sample::select(good).prop_map(Some),
        1 => proptest::sample::select(bad).prop_map(Some),
        1 => Just(None),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let types: Vec<Value> = Answer::WORDS.iter().map(|word| json!(word)).collect();
    let instants = vec![
        json!(AT),
        json!("2026-11-20T14:03:05.25-05:00"),
        json!("2028-02-29T23:59:59+14:00"),
    ];
    let rare = |good: Vec<Value>| prop_oneof![3 => Just(None), 1 => field(good)];
    (
        field(vec![json!("crm-1"), json!("a.b:c_d")]),
        field(vec![json!(TASK)]),
        field(vec![json!(1), json!(2_147_483_647)]),
        field(types),
        field(instants.clone()),
        rare(vec![json!(TASK)]),
        rare(instants),
        rare(vec![json!("contact-point"), json!("channel"), json!("all")]),
        prop_oneof![20 => Just(None), 1 => Just(Some(json!("Ada Example")))],
    )
        .prop_map(|(id, task, version, kind, at, topic, call, scope, note)| {
            let mut object = Map::new();
            for (name, value) in [
                ("id", id),
                ("task", task),
                ("version", version),
                ("type", kind),
                ("at", at),
                ("topic", topic),
                ("callBackAt", call),
                ("scope", scope),
                ("note", note),
            ] {
                object.extend(value.map(|value| (name.to_owned(), value)));
            }
            Value::Object(object)
        })
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(TASK_EVENT_SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

#[test]
fn what_is_read_is_what_the_schema_takes() {
    let (validator, mut taken, mut refused) = (validator(), 0, 0);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..4_000 {
        let document = document().new_tree(&mut runner).unwrap().current();
        let read = parse(document.to_string().as_bytes());
        assert_eq!(
            validator.is_valid(&document),
            read.is_ok(),
            "{document}: {read:?}"
        );
        *if read.is_ok() {
            &mut taken
        } else {
            &mut refused
        } += 1;
    }
    assert!(
        taken > 400 && refused > 400,
        "{taken} taken, {refused} refused"
    );
}

#[test]
fn the_schema_names_every_type() {
    let schema: Value = serde_json::from_str(TASK_EVENT_SCHEMA).unwrap();
    let mut named: Vec<&str> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|shape| {
            let kind = &shape["properties"]["type"];
            let several = kind["enum"].as_array().into_iter().flatten();
            several.chain(kind.get("const"))
        })
        .map(|word| word.as_str().unwrap())
        .collect();
    let mut all = Answer::WORDS.to_vec();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let refused = parse(&bytes).is_err();
        prop_assert!(refused);
    }
}
