//! Tests of the envelope: the shape as promised, and the schema where it is at hand.

use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::outbox::schema;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0193_4570_0000_7000_8000_0000_0000_0000 + n)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn parts() -> Parts {
    Parts {
        message: id(1),
        tenant: "clinic-a".into(),
        task: id(2),
        version: 1,
        code: TaskCode::OutreachCall,
        priority: Priority::Routine,
        authored_on: at("2026-11-20T14:03:05Z"),
        not_before: at("2026-11-20T15:00:00Z"),
        due: at("2026-12-04T22:00:00Z"),
        performer_role: Some(PerformerRole::CareCoordinator),
        person: id(3),
        topics: vec![topic(4)],
        dedupe_key: "9f".repeat(32),
        attempt: 1,
        correlation: id(5),
        causation: id(6),
        public_url: "https://hub.example.org/".into(),
        traceparent: None,
    }
}

fn topic(n: u128) -> Topic {
    Topic {
        kind: TopicKind::ChronicFollowUp,
        content_class: ContentClass::C2,
        gap: Some(Gap {
            id: id(n),
            status: GapStatus::Open,
            due: Some(jiff::civil::date(2026, 11, 15)),
        }),
    }
}

fn reach() -> Reach {
    Reach {
        channel: Channel::PhoneLive,
        proxy: None,
        contact_point: id(7),
        language: "es".into(),
        needs: vec![Need::Interpreter],
        consent: Consent {
            id: id(8),
            decision: Decision::AllowWithObligations,
            reason_codes: vec!["P00_ALLOWED".into(), "P02_TREATMENT_CONTACT".into()],
            purpose: Purpose::Treat,
            evaluated_at: at("2026-11-20T14:03:05Z"),
            valid_until: at("2026-11-21T01:00:00Z"),
            window: Window {
                from: at("2026-11-20T15:00:00Z"),
                to: at("2026-11-21T01:00:00Z"),
                zone: "America/Chicago".into(),
            },
            obligations: vec![Obligation::UseInterpreter, Obligation::VerifyIdentity],
            policy_version: "2026-11-01.3".into(),
        },
    }
}

fn envelope(parts: &Parts, action: &Action) -> Value {
    let body = build(parts, action, at("2026-11-20T14:03:05.123456Z")).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Envelopes of every action, with and without what may be left out.
fn examples() -> Vec<Value> {
    let mut bare = parts();
    bare.topics[0].gap = None;
    bare.performer_role = None;
    bare.public_url = "http://127.0.0.1:8080".into();
    let mut proxy = reach();
    proxy.proxy = Some(id(9));
    proxy.needs.clear();
    proxy.language = "pt-BR".into();
    proxy.consent.obligations.clear();
    proxy.consent.window.zone = "UTC".into();
    let mut examples = vec![
        envelope(&parts(), &Action::Requested(reach())),
        envelope(&bare, &Action::Requested(proxy.clone())),
        envelope(&parts(), &Action::Revised(reach())),
        envelope(&bare, &Action::Cancelled(StatusReason::Superseded)),
    ];
    for code in TaskCode::ALL {
        examples.push(envelope(
            &Parts {
                code: *code,
                ..parts()
            },
            &Action::Revised(reach()),
        ));
    }
    for reason in StatusReason::ALL {
        examples.push(envelope(&parts(), &Action::Cancelled(*reason)));
    }
    for channel in Channel::ALL {
        let reach = Reach {
            channel: *channel,
            ..proxy.clone()
        };
        examples.push(envelope(&parts(), &Action::Requested(reach)));
    }
    let mut full = reach();
    full.needs = Need::ALL.iter().copied().take(6).collect();
    full.consent.obligations = Obligation::ALL.to_vec();
    let mut shared = parts();
    shared.topics = (0..8).map(|n| topic(10 + n)).collect();
    shared.traceparent = Some(format!("00-{}-{}-01", "4b".repeat(16), "a3".repeat(8)));
    examples.push(envelope(&shared, &Action::Requested(full)));
    examples
}

fn validator(text: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(text).unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

fn assert_valid(validator: &jsonschema::Validator, example: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(example)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{example:#}");
}

#[test]
fn every_envelope_is_valid_against_the_published_schema() {
    let validator = validator(schema::OUTREACH_TASK_TEXT);
    for example in examples() {
        assert_valid(&validator, &example);
    }
}

#[test]
fn what_the_schema_does_not_name_or_misses_is_refused() {
    let validator = validator(schema::OUTREACH_TASK_TEXT);
    let requested = envelope(&parts(), &Action::Requested(reach()));
    let cancelled = envelope(&parts(), &Action::Cancelled(StatusReason::GapClosed));
    type Change = fn(&mut Value);
    let changes: &[(&Value, Change)] = &[
        (&requested, |e| e["data"]["note"] = "x".into()),
        (&requested, |e| e["data"]["topics"][0]["title"] = "x".into()),
        (&requested, |e| {
            e["data"]["topics"] = Value::Array(Vec::new());
        }),
        (&requested, |e| {
            e["data"]["topics"][0]["contentClass"] = "C3".into();
        }),
        (&requested, |e| {
            let topic = e["data"]["topics"][0].clone();
            e["data"]["topics"] = vec![topic; 9].into();
        }),
        (&requested, |e| {
            e["data"].as_object_mut().unwrap().remove("consent");
        }),
        (&requested, |e| {
            e["data"]["task"]["statusReason"] = "manual".into();
        }),
        (&requested, |e| e["subject"] = e["data"]["for"].clone()),
        (&cancelled, |e| {
            e["data"]["task"]
                .as_object_mut()
                .unwrap()
                .remove("statusReason");
        }),
    ];
    for (at, (example, change)) in changes.iter().enumerate() {
        let mut other = (*example).clone();
        change(&mut other);
        assert!(!validator.is_valid(&other), "change {at}");
    }
}

/// Where an earlier form of the message is at hand, what it names is still said in its words: only
/// the list of topics, their link and the name of the schema are new.
#[test]
fn the_message_keeps_the_words_of_its_earlier_form() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/reference/outreach-task.schema.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("not checked: {path} is not here");
        return;
    };
    let earlier: Value = serde_json::from_str(&text).unwrap();
    let validator = validator(&text);
    for mut example in examples() {
        if example["data"]["task"]["statusReason"] == "appointment-booked" {
            continue;
        }
        example["dataschema"] = earlier["properties"]["dataschema"]["const"].clone();
        let data = example["data"].as_object_mut().unwrap();
        data["task"].as_object_mut().unwrap().remove("detailsUrl");
        let topics = data.remove("topics").unwrap();
        data.insert("topic".into(), topics[0].clone());
        assert_valid(&validator, &example);
    }
}

#[test]
fn a_request_carries_its_consent_and_a_cancellation_none() {
    let requested = envelope(&parts(), &Action::Requested(reach()));
    assert_eq!(requested["type"], "org.careloop.outreach.task.requested.v1");
    assert_eq!(requested["source"], "urn:careloop:clinic-a");
    assert_eq!(requested["data"]["consent"]["decisionId"], ulid(id(8)));
    assert_eq!(requested["data"]["contact"]["recipient"]["role"], "self");
    assert_eq!(requested["expirytime"], "2026-12-04T22:00:00Z");
    let cancelled = envelope(&parts(), &Action::Cancelled(StatusReason::ConsentRevoked));
    assert_eq!(cancelled["data"]["task"]["statusReason"], "consent-revoked");
    assert_eq!(cancelled["data"].get("consent"), None);
    assert_eq!(cancelled["data"].get("contact"), None);
}

#[test]
fn links_are_given_for_https_without_a_query_only() {
    let task = ulid(id(2));
    let requested = envelope(&parts(), &Action::Requested(reach()));
    let expected = format!("https://hub.example.org/v1/tasks/{task}/content");
    assert_eq!(requested["data"]["task"]["detailsUrl"], expected.as_str());
    for url in ["http://127.0.0.1:8080", "https://", "https://h/?x=1", ""] {
        let parts = Parts {
            public_url: url.into(),
            ..parts()
        };
        let requested = envelope(&parts, &Action::Requested(reach()));
        assert_eq!(requested["data"]["task"].get("detailsUrl"), None, "{url}");
        assert_eq!(
            requested["data"]["consent"].get("recheckUrl"),
            None,
            "{url}"
        );
    }
}

#[test]
fn every_text_of_an_envelope_is_of_a_closed_form() {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
            _ => {}
        }
    }
    for example in examples() {
        let mut found = Vec::new();
        texts(&example, &mut found);
        assert!(
            found
                .iter()
                .all(|text| !text.contains(' ') && text.is_ascii()),
            "{found:?}"
        );
    }
}

#[test]
fn a_part_of_another_form_is_refused_by_its_place() {
    let now = at("2026-11-20T14:03:05Z");
    type Change = fn(&mut Parts, &mut Reach);
    let changes: &[(&str, Change)] = &[
        ("tenant", |p, _| p.tenant = "Clinic A".into()),
        ("task.version", |p, _| p.version = 0),
        ("task.restriction", |p, _| p.due = p.not_before),
        ("dedupe.key", |p, _| p.dedupe_key = "9F".repeat(32)),
        ("dedupe.attempt", |p, _| p.attempt = 11),
        ("topics", |p, _| p.topics.clear()),
        ("topics", |p, _| p.topics = vec![topic(4); 9]),
        ("traceparent", |p, _| {
            p.traceparent = Some("Ada Example".into());
        }),
        ("contact.language", |_, r| r.language = "Spanish".into()),
        ("contact.needs", |_, r| {
            r.needs = vec![Need::NoText, Need::NoText];
        }),
        ("consent.reasonCodes", |_, r| r.consent.reason_codes.clear()),
        ("consent.reasonCodes", |_, r| {
            r.consent.reason_codes = vec!["P0_ALLOWED".into()];
        }),
        ("consent.reasonCodes", |_, r| {
            r.consent.reason_codes = vec!["P00_Ada".into()];
        }),
        ("consent.policyVersion", |_, r| {
            r.consent.policy_version = "v3".into();
        }),
        ("consent.window.tz", |_, r| {
            r.consent.window.zone = "Ada Example".into();
        }),
    ];
    for (expected, change) in changes {
        let (mut parts, mut reach) = (parts(), reach());
        change(&mut parts, &mut reach);
        let error = build(&parts, &Action::Requested(reach), now).unwrap_err();
        assert!(
            matches!(error, Error::Field { field, .. } if field == *expected),
            "{expected}: {error}"
        );
        assert!(!error.to_string().contains("Ada"));
    }
}

#[test]
fn a_ulid_is_the_ids_bits_in_order_and_reads_back() {
    assert_eq!(ulid(Uuid::nil()), "0".repeat(26));
    assert_eq!(ulid(Uuid::max()), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    assert_eq!(
        from_ulid("01JD8Q2W7V3N5R6T8Y9ZABCDEG").map(ulid).as_deref(),
        Some("01JD8Q2W7V3N5R6T8Y9ZABCDEG")
    );
    assert!(ulid(id(1)) < ulid(id(2)));
    for text in [
        "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "01JD8Q2W7V3N5R6T8Y9ZABCDE",
        "01jd8q2w7v3n5r6t8y9zabcdeg",
    ] {
        assert_eq!(from_ulid(text), None, "{text}");
    }
}
