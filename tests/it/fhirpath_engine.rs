//! What paths lead to, beside an engine that nobody here wrote: fhirpath.js, which `tests/run`
//! installs. Without it, or without the corpus, the tests say what they leave out.

use std::io::Write;
use std::path::{Path as File, PathBuf};
use std::process::{Command, Stdio};

use careloop::fhir::{Document, Item, Path, Release, Scope};
use serde_json::{Value, json};

use crate::fhir_corpus::{files, known_paths};

const PATIENT: &str = r##"{"resourceType":"Patient","id":"TEST-1","active":true,"gender":"female",
    "birthDate":"1980-02-29","_birthDate":{"extension":[{"url":"urn:time","valueDateTime":"1980-02-29T03:04:05Z"}]},
    "identifier":[{"system":"urn:a","value":"A1","type":{"coding":[{"code":"MR"}]}},{"system":"urn:b","value":"B1"}],
    "name":[{"use":"old","family":"Sample","given":["Ada"]},{"use":"official","family":"Example","given":["Ada","Beth"]}],
    "telecom":[{"system":"phone","value":"555-0100","rank":2},{"system":"email","value":"ada@example.test"}],
    "deceasedDateTime":"2026-05","contained":[{"resourceType":"Organization","id":"o","name":"Test Clinic"}],
    "extension":[{"url":"urn:twice","valueString":"one"},{"url":"urn:twice","valueCode":"two"}]}"##;

/// What a mapping may ask, on a resource that everybody has.
const PATHS: &[&str] = &[
    "name.where(use = 'official' and given.exists($this = 'Beth')).family",
    "name.where(use != 'old' or family.empty()).given.last()",
    "name.given | name.family | name.given",
    "(name.where(use = 'usual') | name).family",
    "identifier.where(type.coding.where(code = 'MR').exists()).value",
    "identifier.where(type.coding.exists().not()).value.first()",
    "telecom.where(rank >= 1.5).value",
    "telecom.where((rank > 3).not()).value",
    "telecom.where(rank.empty() or rank < 2).value",
    "photo.first().size > 1 or active",
    "photo.first().size > 1 and active",
    "photo.first().size > 1 and active.not()",
    "birthDate < @1990 and birthDate > @1980-02-28",
    "birthDate > @1980-02",
    "birthDate.extension('urn:time').first().value.ofType(dateTime) <= @1980-02-28T22:04:05-05:00",
    "deceased.ofType(dateTime)",
    "deceased.ofType(boolean)",
    "extension('urn:twice').value",
    "extension('urn:twice').value.ofType(string)",
    "extension('urn:twice').value.ofType(code)",
    "contained.ofType(Organization).name.first().replace('e', 'ee').upper().substring(1, 4)",
    "contained.ofType(Practitioner).name",
    "gender.startsWith('fe') and gender.endsWith('male') and gender.contains('mal')",
    "gender.substring(6)",
    "name[1].given[1]",
    "name.given[2].lower().trim()",
];

#[test]
fn paths_mean_what_another_engine_takes_them_for() {
    let Some(engine) = engine("fhirpath") else {
        return;
    };
    let patient: Value = serde_json::from_str(PATIENT).unwrap();
    for (release, model) in [(Release::R4, "r4"), (Release::R5, "r5")] {
        let asked = PATHS
            .iter()
            .map(|path| (patient.clone(), (*path).to_owned()));
        assert_eq!(
            compare(&engine, release, model, asked.collect()),
            PATHS.len()
        );
    }
}

#[test]
fn paths_of_the_corpus_mean_what_another_engine_takes_them_for() {
    let Some(engine) = engine("fhirpath") else {
        return;
    };
    for (folder, release, model) in [
        ("examples-r4", Release::R4, "r4"),
        ("examples-r4b", Release::R4B, "r4"),
        ("examples-r5", Release::R5, "r5"),
        ("us-core", Release::R4, "r4"),
    ] {
        let mut asked = Vec::new();
        // Its numbers are more than JavaScript keeps.
        let files = files(folder).filter(|(name, _)| !name.contains("observation-decimal"));
        for (_, bytes) in files.step_by(4) {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            let paths = known_paths(&value, release);
            for (number, path) in paths.iter().enumerate() {
                let other = &paths[(number * 7 + 3) % paths.len()];
                let variations = varied(path, other);
                let chosen = &variations[(number + asked.len()) % variations.len()];
                asked.push((value.clone(), chosen.clone()));
            }
        }
        let variations = asked.len();
        let compared = compare(&engine, release, model, asked);
        println!("{folder}: {compared} of {variations} paths");
        // Many are refused for what they lead to, but never the path itself or one place of it.
        assert!(
            compared * 3 >= variations,
            "{folder}: {compared} of {variations}"
        );
    }
}

/// Things that may be asked of a path, some of which are refused for what it leads to.
fn varied(path: &str, other: &str) -> Vec<String> {
    vec![
        path.to_owned(),
        format!("{path}.first()"),
        format!("{path}.last()"),
        format!("{path}[1]"),
        format!("{path}.exists() and {other}.empty().not()"),
        format!("{path} | {other}"),
        format!("{path}.first() != {path}.last()"),
        format!("{path}.first() <= {path}.last()"),
        format!("{path}.first() > @2013 or {other}.empty()"),
        format!("{path}.first() < @2013-04-02T10:00:00Z"),
        format!("{path}.where($this >= 3.0)"),
        format!("{path}.where($this < 'm')"),
        format!("{path}.exists($this = 'final') and ({other}.first() = 2).not()"),
        format!("{path}.first().upper().substring(1, 3)"),
        format!("{path}.first().startsWith('f') or {other}.first().contains('a')"),
        format!("{path}.first().replace('a', 'bc').lower().trim()"),
    ]
}

/// Asks both of what compiles here; how many paths that were.
fn compare(engine: &File, release: Release, model: &str, asked: Vec<(Value, String)>) -> usize {
    let mut lines = String::new();
    let mut ours = Vec::new();
    for (resource, text) in asked {
        let kind = resource["resourceType"].as_str().unwrap();
        let scope = Scope::resources(release, &[kind]).unwrap();
        let Ok(path) = Path::compile(&text, &scope) else {
            continue;
        };
        // There a quantity without a unit is the same as its number, which `|` keeps once.
        let types: Vec<&str> = path.types().collect();
        let both = types.contains(&"Quantity") && types.contains(&"decimal");
        if both && text.contains(" | ") {
            continue;
        }
        let bytes = resource.to_string();
        let document = Document::read(bytes.as_bytes()).unwrap();
        let items = path.evaluate(document.root()).unwrap();
        let values: Vec<Value> = items.iter().map(shown).collect();
        lines += &format!(
            "{}\n",
            json!({ "resource": resource, "path": text, "model": model })
        );
        ours.push((text, values));
    }
    let theirs = ask(engine, "fhirpath.js", lines);
    assert_eq!(theirs.len(), ours.len());
    for ((path, ours), theirs) in ours.iter().zip(&theirs) {
        let same = theirs.as_array().is_some_and(|theirs| {
            theirs.len() == ours.len() && ours.iter().zip(theirs).all(|(a, b)| is_same(a, b))
        });
        assert!(same, "{path}: here {ours:?}, there {theirs}");
    }
    ours.len()
}

fn shown(item: &Item<'_>) -> Value {
    match item.text() {
        Some(text) => Value::from(text.into_owned()),
        None if item.node().is_some_and(|node| node.is_object()) => json!({}),
        None => Value::Null,
    }
}

/// Whether two values are the same, numbers by their worth: there `1.50` is shown as `1.5`.
fn is_same(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| value.as_str()?.parse::<f64>().ok();
    a == b || number(a).is_some_and(|a| number(b) == Some(a))
}

/// The answers of the engine, a line each.
pub(crate) fn ask(engine: &File, script: &str, lines: String) -> Vec<Value> {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
    let mut child = Command::new("node")
        .arg(folder.join(script))
        .env("NODE_PATH", engine.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The folder that the engine of this name is installed in.
pub(crate) fn engine(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CARELOOP_TEST_ENGINES").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("node_modules").join(name).is_dir());
    if folder.is_none() {
        println!("left out: CARELOOP_TEST_ENGINES names no folder with {name}.js");
    }
    folder
}
