//! What a pack reads: the message types of HL7 v2, or the resources of FHIR in each release.

use std::collections::HashMap;

use crate::fhir::{Release, Scope};

use super::super::diagnostic::Problems;
use super::super::plan::{Route, resource_key};
use super::super::tree::{Place, Table};
use super::fhir::{self, Language};
use super::files::{Named, schema};

/// What a pack reads: HL7 v2, or FHIR in one release after the other.
pub(super) fn languages(pack: &Named, problems: &mut Problems<'_>) -> Vec<Language> {
    schema(pack, problems);
    let Some(source) = problems.table(&pack.table, "source") else {
        let expected = "`source = { kind = \"hl7v2\", messages = [\"SIU^S12\"] }`";
        problems.report(pack.at, "`source` is missing", expected, "none");
        return vec![Language::Hl7v2];
    };
    let kinds = [("hl7v2", true), ("fhir", false)];
    if problems.word(source, "kind", &kinds) != Some(false) {
        problems.known_keys(source, &["kind", "messages"]);
        return vec![Language::Hl7v2];
    }
    problems.known_keys(source, &["kind", "resources", "releases"]);
    let releases = match source.get("releases") {
        Some(_) => fhir::releases(problems, source, "releases"),
        None => Release::ALL.to_vec(),
    };
    let resources = problems.texts(source, "resources");
    let names: Vec<&str> = resources.iter().map(|(name, _)| *name).collect();
    let mut languages = Vec::new();
    for release in releases {
        match Scope::resources(release, &names) {
            Ok(resource) => languages.push(Language::Fhir { release, resource }),
            Err(error) => {
                let at = source.get("resources").map_or(pack.at, |node| node.at);
                let message = "`resources` names what its release does not have";
                let diagnostic = problems.report(at, message, error.expected, error.found);
                if let Some(hint) = error.hint {
                    diagnostic.hint(hint);
                }
            }
        }
    }
    languages
}

/// Reads what `source` and `[[ignore]]` name.
pub(super) fn route(
    pack: &Named,
    language: &Language,
    number: usize,
    (routes, problems): (&mut HashMap<String, Route>, &mut Problems<'_>),
) {
    let mut taken =
        |(key, name, at): (String, &str, Place), to: Route, problems: &mut Problems<'_>| {
            if key.is_empty() || routes.insert(key, to).is_some() {
                let message = format!("the type `{name}` is taken twice");
                problems.report(
                    at,
                    message,
                    "each message type once in all mappings",
                    "a second time",
                );
            }
        };
    if let Some(source) = problems.table(&pack.table, "source") {
        for key in keys(source, language, problems) {
            taken(key, Route::Pack(number), problems);
        }
    }
    for node in problems.list(&pack.table, "ignore") {
        let Some(ignore) = problems.as_table("ignore", node) else {
            continue;
        };
        let known = match language {
            Language::Hl7v2 => "messages",
            Language::Fhir { .. } => "resources",
        };
        problems.known_keys(ignore, &[known, "reason"]);
        let reason = problems
            .needed_text(ignore, node.at, "reason")
            .unwrap_or_default();
        for key in keys(ignore, language, problems) {
            taken(key, Route::Ignore(reason.to_owned()), problems);
        }
    }
}

/// What a table names to be routed: the key, and the name with its place.
fn keys<'t>(
    table: &'t Table,
    language: &Language,
    problems: &mut Problems<'_>,
) -> Vec<(String, &'t str, Place)> {
    let release = match language {
        Language::Hl7v2 => {
            let types = message_types(table, problems).into_iter();
            return types
                .map(|(name, at)| (name.to_owned(), name, at))
                .collect();
        }
        Language::Fhir { release, .. } => *release,
    };
    let names = problems.texts(table, "resources").into_iter();
    names
        .map(|(name, at)| (resource_key(release, name), name, at))
        .collect()
}

/// The texts of `messages`, each `CODE` or `CODE^TRIGGER`.
fn message_types<'t>(table: &'t Table, problems: &mut Problems<'_>) -> Vec<(&'t str, Place)> {
    let mut types = problems.texts(table, "messages");
    types.retain(|(name, at)| {
        let part = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let fits = name.split('^').count() <= 2 && name.split('^').all(part);
        if !fits {
            let message = format!("`{name}` is no message type");
            problems.report(*at, message, "such as SIU^S12 or SIU", format!("`{name}`"));
        }
        fits
    });
    types
}
