//! Nothing that arrives makes the engine panic, and what it calls mapped the model can read.

use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::*;
use crate::crm::Change;
use crate::fhir::{Document, Release};
use crate::mapping::Outcome;

/// The model reads everything that the bundle calls mapped.
fn readable(mapped: &Mapped) -> Result<(), TestCaseError> {
    if mapped.outcome == Outcome::Mapped {
        for change in &mapped.changes {
            let read = Change::read(change.entity, change.values.open().clone());
            prop_assert!(read.is_ok(), "{}", change.block);
        }
    }
    Ok(())
}

/// A segment that some rule may look at, with fields of every kind.
fn segment() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "PID", "PD1", "SCH", "ORC", "OBR", "OBX", "DG1", "PRB", "MRG", "RF1", "PRD", "TQ1", "AIS",
        "AIL", "AIP", "PV1", "CON", "ARV", "EVN", "ZZZ",
    ]);
    let text = prop_oneof![
        Just(String::new()),
        Just("\"\"".to_owned()),
        "[0-9]{1,14}",
        "20260[1-9][0-3][0-9][0-2][0-9]{3}",
        Just("E11.9^x^I10".to_owned()),
        Just("4548-4^x^LN".to_owned()),
        Just("F".to_owned()),
        "[A-Z^~&\\\\. ]{0,12}",
        "\\PC{0,6}",
    ];
    (names, prop::collection::vec(text, 0..32))
        .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")))
}

/// The resources of the examples beside the packs of FHIR.
fn resources() -> &'static [Value] {
    static RESOURCES: OnceLock<Vec<Value>> = OnceLock::new();
    RESOURCES.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let files = Files::read(&dir).map_err(|list| told(&list)).unwrap();
        let examples = files
            .iter()
            .filter(|(name, _)| name.starts_with("fhir/") && name.contains(".examples/"));
        let inputs = examples.flat_map(|(_, text)| {
            let file: toml::Table = text.parse().unwrap();
            let cases = file.get("case").and_then(toml::Value::as_array).cloned();
            cases.unwrap_or_default()
        });
        let inputs =
            inputs.filter_map(|case| serde_json::from_str(case.get("input")?.as_str()?).ok());
        inputs.collect()
    })
}

/// What may stand where something else belongs.
fn instead() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!([]),
        json!({}),
        json!([null]),
        json!(true),
        json!(false),
        json!(-1.50),
        json!(""),
        json!(" "),
        json!("x"),
        json!("2026-13-45"),
        json!("2026-03-08T02:30:00"),
        json!("active"),
        json!("final"),
        json!("Patient/b"),
        json!("#"),
        json!("urn:uuid:0"),
        json!({"reference": "Patient/b"}),
        json!({"coding": [{"code": "E11.9", "system": "http://hl7.org/fhir/sid/icd-10-cm"}]}),
        json!([{"coding": [{}, {"code": "a"}]}, {"text": "b"}]),
        json!({"extension": [{"url": "u", "valueString": "v"}]}),
        json!({"start": "2026", "end": 7}),
    ])
}

/// Every place of a value, as the steps to it.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                places(inner, &format!("{here}/{name}"), all);
            }
        }
        Value::Array(items) => {
            for (number, inner) in items.iter().enumerate() {
                places(inner, &format!("{here}/{number}"), all);
            }
        }
        _ => {}
    }
}

fn shipped() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| Bundle::embedded(&[]).map_err(|list| told(&list)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut text = b"MSH|^~\\&|A|B|C|D|20260302||ADT^A08|T|P|2.5\rPID|1||".to_vec();
        text.extend(bytes);
        if let Ok(message) = Message::parse(String::from_utf8_lossy(&text).into_owned()) {
            let zone = TimeZone::UTC;
            let context = Context { zone: &zone, hash: &|_| String::new(), endpoint: "" };
            readable(&shipped().apply(&message, message.header(), &context))?;
        }
    }

    #[test]
    fn whatever_is_mapped_the_model_reads(
        kind in prop::sample::select(vec![
            "ADT^A08", "ADT^A40", "SIU^S12", "SIU^S15", "ORM^O01", "ORU^R01", "REF^I12", "RRI^I13",
        ]),
        segments in prop::collection::vec(segment(), 1..12),
    ) {
        let text = segments.join("\r");
        if Message::parse(format!("MSH|^~\\&|A\r{text}")).is_ok() {
            readable(&read(shipped(), kind, &text))?;
        }
    }

    #[test]
    fn whatever_is_mapped_of_a_resource_the_model_reads(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), instead(), any::<bool>()), 0..6),
        release in prop::sample::select(Release::ALL.to_vec()),
        cut in prop::option::weighted(0.1, any::<Index>()),
    ) {
        let mut resource = which.get(resources()).clone();
        for (place, value, twice) in changes {
            let mut all = Vec::new();
            places(&resource, "", &mut all);
            let place: &String = place.get(&all);
            let place = resource.pointer_mut(place).unwrap();
            *place = if twice { json!([place.clone(), value]) } else { value };
        }
        let mut text = resource.to_string().into_bytes();
        if let Some(cut) = cut {
            let at = cut.index(text.len());
            text[at] = b'"';
        }
        if let Ok(document) = Document::read(&text) {
            let zone = TimeZone::get("America/New_York").unwrap();
            let context = Context { zone: &zone, hash: &|_| String::new(), endpoint: "https://ehr.example/fhir" };
            readable(&shipped().apply_resource(document.root(), release, &context))?;
        }
    }

    #[test]
    fn any_text_as_a_file_is_refused_or_taken_without_panic(text in "\\PC{0,200}") {
        bundle(&text, &[]).err();
        bundle(PACK, &[&text]).err();
    }

    #[test]
    fn any_text_in_a_rule_is_refused_or_taken_without_panic(
        text in "[A-Z0-9.$|()'\\[\\]= a-z-]{0,40}",
        key in prop::sample::select(vec!["from", "when", "table", "each", "fn", "where"]),
    ) {
        let rule = format!("[patient.set.\"addresses[]\"]\n{key} = \"{text}\"\n");
        bundle(&format!("{PACK}\n{rule}"), &[]).err();
        let rule = format!("extends = \"hl7v2.test\"\n[patient.set.sex]\n{key} = \"{text}\"\n");
        bundle(PACK, &[&rule]).err();
    }
}
