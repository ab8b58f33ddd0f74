//! FHIR in XML: every collected resource there and back, beside its twin in JSON where there is one,
//! and beside fhir.js, which `tests/run` installs.

use std::collections::BTreeMap;

use careloop::fhir::{Document, Release, Resource, json_of_xml};
use serde_json::Value;

use crate::fhir_corpus::{files, good};
use crate::fhirpath_engine::{ask, engine};

/// Examples with what their release has not, which are not written.
const NOT_WRITTEN: &[&str] = &[
    // Attachment.size is a string in R5.
    "__6f1ea5b8",
    "__15024101",
    // Procedure.performedDate is in no release.
    "__7a869fa6",
];

/// XML of folders in which anything may be wrong, and what is wrong with it.
const REFUSED: &[(&str, &str)] = &[
    ("japanese-utf8-ok", "no UTF-8"),
    ("list-text", "found text"),
    ("list-wrong-ns2", "expected the namespace"),
    ("list-xhtml-xxe1", "found a document type"),
    ("ex-pat", "expected an attribute once"),
    ("logicalxml-nonamespace", "expected the namespace"),
];

#[test]
fn a_resource_that_is_written_as_xml_reads_as_the_json_that_it_was() {
    let mut written = 0;
    // One large Bundle is as good as many.
    for (name, bytes, release) in good().filter(|(_, bytes, _)| bytes.len() < 300_000) {
        let document = Document::read(&bytes).unwrap();
        let is_written = !NOT_WRITTEN.iter().any(|part| name.contains(part));
        let resource = Resource::of(&document.root(), release);
        assert_eq!(resource.is_ok(), is_written, "{name}: {resource:?}");
        let Ok(resource) = resource else { continue };
        let sent: Value = serde_json::from_slice(&bytes).unwrap();
        let json: Value = serde_json::from_str(&resource.to_json()).unwrap();
        assert!(json == sent, "{name} as JSON");
        let back = json_of_xml(resource.to_xml().as_bytes(), release).unwrap();
        // XML has one end of a line (XML 1.0, 2.11).
        let lines = |text: &str| text.replace("\\r\\n", "\\n");
        let back: Value = serde_json::from_str(&lines(&back)).unwrap();
        let json: Value = serde_json::from_str(&lines(&resource.to_json())).unwrap();
        assert!(back == json, "{name} as XML");
        written += 1;
    }
    println!("{written} written and read again");
}

/// A twin whose narrative was written in another order.
const NO_TWIN: &str = "list-xhtml-element";

#[test]
fn xml_and_its_twin_in_json_mean_the_same() {
    let mut twins: BTreeMap<String, Vec<(bool, Vec<u8>)>> = BTreeMap::new();
    let folders = ["validator-ok", "validator-bad", "validator-unknown"];
    for (name, bytes) in folders.into_iter().flat_map(files) {
        let stem = name
            .rsplit_once("__")
            .map_or("", |(stem, _)| stem)
            .to_owned();
        twins
            .entry(stem)
            .or_default()
            .push((name.ends_with(".xml"), bytes));
    }
    let is_there = !twins.is_empty();
    let mut compared = 0;
    for (name, both) in twins {
        let of_kind = |is_xml: bool| both.iter().find(|(kind, _)| *kind == is_xml);
        let (Some((_, xml)), Some((_, json))) = (of_kind(true), of_kind(false)) else {
            continue;
        };
        if name.ends_with(NO_TWIN) {
            continue;
        }
        let json = json.strip_prefix("\u{feff}".as_bytes()).unwrap_or(json);
        let json = without_comments(&serde_json::from_slice(json).unwrap());
        // Their release is not said in them.
        let is_same = |release: &Release| {
            let xml = json_of_xml(xml, *release).unwrap();
            serde_json::from_str::<Value>(&xml).unwrap() == json
        };
        assert!(Release::ALL.iter().any(is_same), "{name}");
        compared += 1;
    }
    println!("{compared} twins");
    assert_eq!(compared > 0, is_there);
}

#[test]
fn every_collected_xml_reads_or_is_told_what_is_wrong() {
    let mut refused = 0;
    let folders = ["validator-ok", "validator-bad", "validator-unknown"];
    let bodies: Vec<_> = folders.into_iter().flat_map(files).collect();
    for (name, bytes) in bodies.iter().filter(|(name, _)| name.ends_with(".xml")) {
        let expected = REFUSED
            .iter()
            .find(|(part, _)| name.contains(&format!("__{part}__")));
        for release in Release::ALL {
            match (json_of_xml(bytes, release), expected) {
                (Ok(json), None) => {
                    let document = Document::read(json.as_bytes()).unwrap();
                    assert!(document.root().check(release).len() <= 16, "{name}");
                }
                (Err(error), Some((_, words))) => {
                    assert!(error.to_string().contains(words), "{name}: {error}");
                    refused += 1;
                }
                (read, _) => panic!("{name}: {:?}", read.map(|json| json.len())),
            }
        }
    }
    let expected = if bodies.is_empty() {
        0
    } else {
        3 * REFUSED.len()
    };
    assert_eq!(refused, expected);
}

#[test]
fn xml_means_what_another_engine_takes_it_for() {
    let Some(engine) = engine("fhir") else { return };
    let folders = ["examples-r4", "us-core", "ehr-epic"];
    let sent: Vec<(String, Resource, Value)> = folders
        .into_iter()
        .flat_map(files)
        .filter_map(|(name, bytes)| {
            let document = Document::read(&bytes).unwrap();
            let resource = Resource::of(&document.root(), Release::R4).ok()?;
            let value = serde_json::from_slice(&bytes).unwrap();
            Some((name, resource, value))
        })
        .collect();
    let lines = |one: &dyn Fn(&(String, Resource, Value)) -> Value| {
        let lines = sent.iter().map(|sent| format!("{}\n", one(sent)));
        ask(&engine, "fhirxml.js", lines.collect())
    };
    let theirs = lines(&|(_, _, value)| value.clone());
    let read = lines(&|(_, resource, _)| Value::from(resource.to_xml()));
    assert_eq!((theirs.len(), read.len()), (sent.len(), sent.len()));
    for ((name, _, value), (theirs, read)) in sent.iter().zip(theirs.iter().zip(read)) {
        let ours = json_of_xml(theirs.as_str().unwrap().as_bytes(), Release::R4).unwrap();
        let ours: Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(plain(&ours), plain(value), "{name} read here");
        // There a decimal has no exponent.
        let is_read = !value.to_string().contains("e-22");
        assert!(
            !is_read || plain(&read) == plain(value),
            "{name} read there"
        );
    }
    println!("{} resources are the same to both", sent.len());
}

/// The value without what stood for comments in JSON once.
fn without_comments(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let kept = members.iter().filter(|(name, value)| {
        *name != "fhir_comments" && value.pointer("/fhir_comments").is_none()
    });
    Value::Object(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// The value without narratives, which are formatted anew there, and with numbers as their worth:
/// there decimals are strings.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "div");
            Value::Object(
                kept.map(|(name, value)| (name.clone(), plain(value)))
                    .collect(),
            )
        }
        Value::Array(all) => all.iter().map(plain).collect(),
        other => {
            let text = other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned);
            match text.parse::<f64>() {
                Ok(number) => Value::from(number.to_string()),
                Err(_) => Value::from(text),
            }
        }
    }
}
