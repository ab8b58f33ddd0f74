//! Reading an example file: `mapping`, `layers`, `zone` and its cases.

use serde_json::{Value, json};

use crate::fhir::Release;

use super::super::compile::releases;
use super::super::diagnostic::Problems;
use super::super::tree::{Entry, Kind, Node, Place, Table};

/// One example.
pub(super) struct Case {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) mapping: String,
    pub(super) layers: Vec<String>,
    pub(super) zone: String,
    /// The releases in which the example, a resource, holds; none for a message of HL7 v2.
    pub(super) releases: Vec<Release>,
    pub(super) input: String,
    pub(super) outcome: String,
    pub(super) issues: Option<Vec<String>>,
    pub(super) expect: Vec<Expectation>,
    pub(super) via: Vec<Via>,
}

/// What a target must hold.
pub(super) struct Expectation {
    pub(super) line: u32,
    pub(super) target: String,
    pub(super) wanted: Wanted,
}

/// What is expected of a target.
pub(super) enum Wanted {
    Absent,
    Clear,
    Value(Value),
}

/// Where a value must come from.
pub(super) struct Via {
    pub(super) line: u32,
    pub(super) target: String,
    pub(super) origin: String,
}

/// Reads the cases of a file.
pub(super) fn read(
    table: &Table,
    file: &str,
    number: usize,
    problems: &mut Problems<'_>,
) -> Vec<Case> {
    let at = Place {
        file: number,
        start: 0,
        end: 0,
    };
    problems.known_keys(
        table,
        &["mapping", "layers", "zone", "release", "title", "case"],
    );
    problems.text(table, "title");
    let mapping = problems
        .needed_text(table, at, "mapping")
        .unwrap_or_default();
    let layers = owned(problems.texts(table, "layers"));
    let zone = problems.text(table, "zone").unwrap_or("UTC");
    let items = problems.list(table, "case");
    if items.is_empty() {
        problems.report(at, "an example file without examples", "`[[case]]`", "none");
    }
    let is_fhir = file.starts_with("fhir/");
    let releases = match table.get("release") {
        Some(_) => releases(problems, table, "release"),
        None if is_fhir => Release::ALL.to_vec(),
        None => Vec::new(),
    };
    let shared = Shared {
        releases: &releases,
        file,
        mapping,
        layers: &layers,
        zone,
    };
    items
        .iter()
        .filter_map(|item| case(item, &shared, problems))
        .collect()
}

struct Shared<'f> {
    file: &'f str,
    mapping: &'f str,
    layers: &'f [String],
    zone: &'f str,
    releases: &'f [Release],
}

fn case(node: &Node, shared: &Shared<'_>, problems: &mut Problems<'_>) -> Option<Case> {
    let table = problems.as_table("case", node)?;
    let keys = [
        "name", "input", "zone", "outcome", "issues", "expect", "via", "layers", "release",
    ];
    problems.known_keys(table, &keys);
    let name = problems.needed_text(table, node.at, "name")?;
    let input = problems.needed_text(table, node.at, "input")?;
    let outcomes = [
        ("mapped", "mapped"),
        ("ignored", "ignored"),
        ("held", "held"),
    ];
    let outcome = problems
        .word(table, "outcome", &outcomes)
        .unwrap_or("mapped");
    let own = owned(problems.texts(table, "layers"));
    let issues = table.get("issues").is_some();
    let issues = issues.then(|| owned(problems.texts(table, "issues")));
    let (expect, via) = assertions(table, problems);
    if expect.is_empty() && outcome == "mapped" {
        let message = format!("`{name}` expects nothing");
        problems.report(
            node.at,
            message,
            "`[case.expect]` with at least one value",
            "none",
        );
    }
    Some(Case {
        file: shared.file.to_owned(),
        line: problems.sources().line(node.at),
        name: name.to_owned(),
        mapping: shared.mapping.to_owned(),
        layers: if own.is_empty() {
            shared.layers.to_vec()
        } else {
            own
        },
        zone: problems
            .text(table, "zone")
            .unwrap_or(shared.zone)
            .to_owned(),
        releases: match table.get("release") {
            Some(_) => releases(problems, table, "release"),
            None => shared.releases.to_vec(),
        },
        input: input.to_owned(),
        outcome: outcome.to_owned(),
        issues,
        expect,
        via,
    })
}

fn owned(texts: Vec<(&str, Place)>) -> Vec<String> {
    texts.into_iter().map(|(text, _)| text.to_owned()).collect()
}

/// The tables `expect` and `via`.
fn assertions(table: &Table, problems: &mut Problems<'_>) -> (Vec<Expectation>, Vec<Via>) {
    let mut expect = Vec::new();
    for entry in problems
        .table(table, "expect")
        .into_iter()
        .flat_map(|table| &table.entries)
    {
        expect.extend(expectation(entry, problems));
    }
    let mut via = Vec::new();
    for entry in problems
        .table(table, "via")
        .into_iter()
        .flat_map(|table| &table.entries)
    {
        if let Some(origin) = problems.as_text("via", &entry.node) {
            let line = problems.sources().line(entry.at);
            via.push(Via {
                line,
                target: entry.key.clone(),
                origin: origin.to_owned(),
            });
        }
    }
    (expect, via)
}

fn expectation(entry: &Entry, problems: &mut Problems<'_>) -> Option<Expectation> {
    let wanted = match entry.node.text() {
        Some("<absent>") => Wanted::Absent,
        Some("<clear>") => Wanted::Clear,
        _ => match value(&entry.node) {
            Some(value) => Wanted::Value(value),
            None => {
                problems.wrong(
                    &entry.key,
                    &entry.node,
                    "a text, a number, true, false or a list",
                );
                return None;
            }
        },
    };
    let line = problems.sources().line(entry.at);
    Some(Expectation {
        line,
        target: entry.key.clone(),
        wanted,
    })
}

fn value(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Text(text) => Some(json!(text)),
        Kind::Whole(number) => Some(json!(number)),
        Kind::Flag(flag) => Some(json!(flag)),
        Kind::List(items) => items
            .iter()
            .map(value)
            .collect::<Option<Vec<_>>>()
            .map(Value::Array),
        Kind::Table(_) | Kind::Other(_) => None,
    }
}
