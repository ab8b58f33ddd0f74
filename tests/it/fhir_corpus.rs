//! Every collected FHIR resource, read as a whole and by paths, beside what plain `serde_json` makes
//! of the same bytes. The corpus lies outside the repository; where it is absent the tests say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path as File, PathBuf};
use std::process::Command;

use careloop::fhir::{
    Body, Bundle, DateTime, Document, Form, Item, Node, Outcome, Path, PathError, ReadError,
    Release, Scope,
};
use serde_json::Value;

/// Folders of resources that are as their release says, by release.
const GOOD: [(&str, Release); 6] = [
    ("examples-r4", Release::R4),
    ("examples-r4b", Release::R4B),
    ("examples-r5", Release::R5),
    ("us-core", Release::R4),
    ("synthea-r4", Release::R4),
    ("ehr-epic", Release::R4),
];

/// Folders in which anything may be wrong.
const ANY: [&str; 10] = [
    "validator-bad",
    "validator-ok",
    "validator-unknown",
    "parser-bad",
    "parser-edge",
    "ehr-misc",
    "subscriptions",
    "test-cases",
    "version-pairs",
    "bulk",
];

#[test]
fn every_good_resource_reads_as_serde_json_reads_it() {
    let mut resources = 0;
    for (name, bytes, release) in good() {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let document = Document::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        same(&document.root(), &value, &name);
        resources += 1;
        let errors: Vec<ReadError> = document.root().check(release);
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    println!("{resources} resources");
}

#[test]
fn paths_lead_to_what_plain_members_lead_to() {
    let mut found = 0;
    let mut unknown = BTreeSet::new();
    let mut compiled: BTreeMap<(Release, String), Option<Compiled>> = BTreeMap::new();
    for (name, bytes, release) in good() {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let document = Document::read(&bytes).unwrap();
        for (node, value) in resources(document.root(), &value) {
            let kind = value["resourceType"].as_str().unwrap();
            let Ok(scope) = Scope::resources(release, &[kind]) else {
                continue;
            };
            let mut names = BTreeSet::new();
            members(value, &mut Vec::new(), &mut names);
            for keys in names {
                let key = (release, format!("{kind}.{}", keys.join(".")));
                let path = compiled
                    .entry(key)
                    .or_insert_with(|| compile(&keys, &scope));
                let place = format!("{name}: {keys:?}");
                let Some((path, steps)) = path else {
                    unknown.insert(format!("{kind}.{}", keys.join(".")));
                    continue;
                };
                let items = path
                    .evaluate(node)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
                // A primitive element may be its extensions alone, which plain members do not see.
                let has_value = |item: &&Item<'_>| {
                    item.text().is_some() || item.node().is_some_and(|node| node.is_object())
                };
                let texts: Vec<String> = items.iter().filter(has_value).map(shown).collect();
                assert_eq!(texts, plain(value, steps), "{place}");
                found += texts.len();
            }
        }
    }
    println!("{} paths, {found} values", compiled.len());
    // What one example has and FHIR has not.
    let expected = ["Procedure.performedDate"].map(str::to_owned);
    assert!(
        unknown.iter().all(|one| expected.contains(one)),
        "{unknown:?}"
    );
}

#[test]
fn whatever_is_wrong_ends_in_an_outcome() {
    let (mut refused, mut told, mut fine) = (0, 0, 0);
    for (name, bytes) in ANY.iter().flat_map(|folder| files(folder)) {
        let errors = match Body::read(&bytes) {
            Err(error) => {
                refused += 1;
                vec![error]
            }
            Ok(body) => {
                let nodes = match &body {
                    Body::Bundle(bundle) => of_bundle(bundle),
                    Body::Resource(document) => Ok(vec![document.root()]),
                };
                let check = |node: Node<'_>| Release::ALL.map(|release| node.check(release));
                let errors = nodes.map_or_else(
                    |errors| errors,
                    |nodes| nodes.into_iter().flat_map(check).flatten().collect(),
                );
                if errors.is_empty() {
                    fine += 1;
                } else {
                    told += 1;
                }
                errors
            }
        };
        let outcome = Outcome::of_errors(&errors).to_json();
        let outcome = Document::read(outcome.as_bytes()).unwrap();
        let issues = Outcome::of(&outcome.root()).unwrap().issues;
        assert_eq!(issues.len(), errors.len().max(1), "{name}");
        assert_eq!(outcome.root().check(Release::R4), [], "{name}");
    }
    println!("{refused} refused, {told} of another form than a release has, {fine} fine");
}

#[test]
fn what_is_no_json_is_refused() {
    let bodies: Vec<(String, Vec<u8>)> = files("validator-bad").collect();
    for (part, error) in [
        (
            "json-comma-bad-1",
            "expected a comma or `}`, found a string",
        ),
        (
            "json-comma-bad-2",
            "expected a value, found a closing bracket",
        ),
        ("json-comments-1", "expected an object, found a comment"),
        ("json-no-quotes-2", "expected a value, found a letter"),
    ] {
        let mut named = bodies.iter().filter(|(name, _)| name.contains(part));
        let found = named
            .next()
            .map(|(_, bytes)| Document::read(bytes).unwrap_err());
        let is_told = found
            .as_ref()
            .is_some_and(|found| found.to_string().ends_with(error));
        assert!(bodies.is_empty() || is_told, "{part}: {found:?}");
    }
}

#[test]
fn a_body_that_is_cut_is_refused_wherever_it_is_cut() {
    for (name, bytes, _) in good() {
        let end = bytes.trim_ascii_end().len();
        for part in [1, 10, 19, 20] {
            let cut = &bytes[..(end - 1) * part / 20];
            assert!(Body::read(cut).is_err(), "{name} at {}", cut.len());
        }
    }
}

#[test]
fn times_are_read_or_refused_as_other_readers_do() {
    // Wrong dates and dateTimes are no texts there at all.
    for (kind, form, expected) in [
        ("date", Form::Date, &[true][..]),
        ("date_time", Form::DateTime, &[true]),
        ("instant", Form::Instant, &[false, true]),
    ] {
        let mut seen = BTreeSet::new();
        let bodies: Vec<(String, Vec<u8>)> = files("primitives").collect();
        let is_there = !bodies.is_empty();
        for (name, bytes) in bodies {
            let valid = name.contains(&format!("__{kind}.valid"));
            if !valid && !name.contains(&format!("__{kind}.invalid")) {
                continue;
            }
            for line in String::from_utf8(bytes).unwrap().lines() {
                let Ok(Value::String(text)) = serde_json::from_str(line) else {
                    continue;
                };
                // Senders leave the offset out, and the zone of the endpoint stands in.
                let lenient = kind == "date_time" && text == "1970-01-01T12:00:00.123";
                let read = DateTime::parse(&text, form);
                assert_eq!(read.is_ok(), valid || lenient, "{kind} {text}");
                seen.insert(valid);
            }
        }
        assert!(!is_there || seen.iter().eq(expected), "{kind}: {seen:?}");
    }
}

/// The resources of a Bundle's entries, or the entries' errors.
fn of_bundle<'b>(bundle: &'b Bundle<'_>) -> Result<Vec<Node<'b>>, Vec<ReadError>> {
    let errors: Vec<ReadError> = bundle
        .entries()
        .filter_map(|entry| entry.err().cloned())
        .collect();
    if errors.is_empty() {
        Ok(bundle
            .entries()
            .filter_map(|entry| entry.ok()?.resource())
            .collect())
    } else {
        Err(errors)
    }
}

/// Compares an element with its value, member by member.
fn same(node: &Node<'_>, value: &Value, place: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{place}.{name}");
                if let Some(bare) = name.strip_prefix('_') {
                    let extensions = node.members(bare).flat_map(|one| one.members("extension"));
                    let values = values(value).flat_map(|one| values(&one["extension"]));
                    each_same(extensions, values, &place);
                } else {
                    let has_value = |one: &Node<'_>| one.is_object() || one.text().is_some();
                    each_same(node.members(name).filter(has_value), values(value), &place);
                }
            }
        }
        Value::String(text) => assert_eq!(node.string().as_deref(), Some(text.as_str()), "{place}"),
        Value::Bool(truth) => assert_eq!(node.boolean(), Some(*truth), "{place}"),
        Value::Number(number) => {
            let sent: Value = serde_json::from_str(node.number().unwrap()).unwrap();
            assert_eq!(sent.as_f64(), number.as_f64(), "{place}");
            assert_eq!(node.number(), Some(node.json()), "{place}");
        }
        Value::Null | Value::Array(_) => panic!("{place}: not an element"),
    }
}

fn each_same<'n, 'v>(
    mut nodes: impl Iterator<Item = Node<'n>>,
    mut values: impl Iterator<Item = &'v Value>,
    place: &str,
) {
    loop {
        match (nodes.next(), values.next()) {
            (Some(node), Some(value)) => same(&node, value, place),
            (node, value) => return assert_eq!(node.is_some(), value.is_some(), "{place}"),
        }
    }
}

/// The resource itself and all that lie in it.
fn resources<'d, 'v>(node: Node<'d>, value: &'v Value) -> Vec<(Node<'d>, &'v Value)> {
    let mut found = vec![(node, value)];
    for (name, inner) in value.as_object().unwrap() {
        for (node, value) in node.members(name).zip(values(inner)) {
            if !value.is_object() {
                continue;
            }
            let part = usize::from(!is_resource(value));
            found.extend(resources(node, value).into_iter().skip(part));
        }
    }
    found
}

/// Whether it is a resource: `Consent.provision.resourceType` of R5 is an array.
fn is_resource(value: &Value) -> bool {
    value["resourceType"].is_string()
}

fn values(value: &Value) -> impl Iterator<Item = &Value> {
    let many = value.as_array().map(|list| list.iter());
    let one = many.is_none().then_some(value);
    many.into_iter()
        .flatten()
        .chain(one)
        .filter(|value| !value.is_null())
}

/// The names of all members that are no resources, each with those above it.
fn members(value: &Value, above: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    for (name, inner) in value.as_object().unwrap() {
        let type_ = name == "resourceType" && inner.is_string();
        if name.starts_with('_') || type_ || values(inner).any(is_resource) {
            continue;
        }
        above.push(name.clone());
        found.insert(above.clone());
        for value in values(inner).filter(|value| value.is_object()) {
            members(value, above, found);
        }
        above.pop();
    }
}

/// A path, and the names that each of its members stands for.
type Compiled = (Path, Vec<Vec<String>>);

/// The path of these members, and the names that each of them stands for. Where one is a choice,
/// the error says how to write it.
fn compile(keys: &[String], scope: &Scope) -> Option<Compiled> {
    let mut text = String::new();
    let mut steps: Vec<Vec<String>> = keys.iter().map(|key| vec![key.clone()]).collect();
    for (key, names) in keys.iter().zip(&mut steps) {
        let before = if text.is_empty() {
            String::new()
        } else {
            format!("{text}.")
        };
        // A word of FHIRPath that is also a member's name.
        let key = if key == "div" { "`div`" } else { key };
        text = match Path::compile(&format!("{before}{key}"), scope) {
            Ok(_) => format!("{before}{key}"),
            Err(PathError { hint, .. }) => {
                names.extend(made_from(key));
                format!(
                    "{before}{}",
                    hint?.strip_prefix("write `")?.strip_suffix('`')?
                )
            }
        };
    }
    Some((Path::compile(&text, scope).ok()?, steps))
}

/// The paths of everything that a resource has and its release knows.
pub(crate) fn known_paths(value: &Value, release: Release) -> Vec<String> {
    let kind = value["resourceType"].as_str().unwrap();
    let Ok(scope) = Scope::resources(release, &[kind]) else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    members(value, &mut Vec::new(), &mut names);
    // Narratives are shown in other ways elsewhere.
    let names = names
        .iter()
        .filter(|keys| keys.last().is_none_or(|key| key != "div"));
    names
        .filter_map(|keys| Some(compile(keys, &scope)?.0.text().to_owned()))
        .collect()
}

/// The texts of the values that these members lead to, empty ones for objects.
fn plain(value: &Value, steps: &[Vec<String>]) -> Vec<String> {
    let Some((names, rest)) = steps.split_first() else {
        return vec![match value {
            Value::String(text) => text.clone(),
            Value::Object(_) => String::new(),
            Value::Number(number) => number.as_f64().unwrap().to_string(),
            other => other.to_string(),
        }];
    };
    let found = names.iter().flat_map(|name| values(&value[name]));
    found.flat_map(|value| plain(value, rest)).collect()
}

/// The other names of a choice that `ofType` takes too: types made from this one.
fn made_from(key: &str) -> Vec<String> {
    let made: [(&str, &[&str]); 4] = [
        ("String", &["Code", "Id", "Markdown"]),
        ("Uri", &["Url", "Canonical", "Oid", "Uuid"]),
        ("Integer", &["PositiveInt", "UnsignedInt"]),
        ("Quantity", &["Age", "Count", "Distance", "Duration"]),
    ];
    let found = made
        .iter()
        .find_map(|(from, made)| Some((key.strip_suffix(from)?, made)));
    let names = found.map(|(front, made)| made.iter().map(move |one| format!("{front}{one}")));
    names.into_iter().flatten().collect()
}

/// The text of an item; a number as `serde_json` shows it, which keeps not all digits.
fn shown(item: &Item<'_>) -> String {
    match item.node().and_then(|node| node.number()) {
        Some(number) => serde_json::from_str::<Value>(number)
            .unwrap()
            .as_f64()
            .unwrap()
            .to_string(),
        None => item.text().unwrap_or_default().into_owned(),
    }
}

pub(crate) fn good() -> impl Iterator<Item = (String, Vec<u8>, Release)> {
    GOOD.iter().flat_map(|(folder, release)| {
        files(folder).map(move |(name, bytes)| (name, bytes, *release))
    })
}

/// The JSON bodies of a folder, unpacked, lines of NDJSON each by itself; XML is left out where all
/// is good, and is as wrong as anything else where it is not.
pub(crate) fn files(folder: &str) -> impl Iterator<Item = (String, Vec<u8>)> + use<> {
    let root = File::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/corpus/fhir")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&root)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".md"))
        .collect();
    if paths.is_empty() {
        println!("left out: ../shared/corpus/fhir/{folder} is not there");
    }
    paths.sort();
    paths.into_iter().flat_map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = match name.strip_suffix(".gz") {
            Some(_) => {
                Command::new("gzip")
                    .arg("-dc")
                    .arg(&path)
                    .output()
                    .unwrap()
                    .stdout
            }
            None => fs::read(&path).unwrap(),
        };
        let lines = name.contains(".ndjson");
        let bodies: Vec<Vec<u8>> = match lines {
            true => bytes
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
            false => vec![bytes],
        };
        let bodies = bodies
            .into_iter()
            .filter(|body| !body.trim_ascii().is_empty());
        let bodies: Vec<_> = bodies.map(|body| (name.clone(), body)).collect();
        bodies
    })
}
