//! Comparing what came out of an example with what it expects.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::crm::Change;
use crate::fhir::{Document, Release};
use crate::hl7::Message;

use super::super::Bundle;
use super::super::outcome::{Context, Mapped, MappedChange, Outcome, TraceEntry};
use super::Failure;
use super::file::{Case, Wanted};

/// The base address of the endpoint that examples of FHIR come from.
const ENDPOINT: &str = "https://ehr.example/fhir";

/// Runs one example, a resource in each of its releases: what was wrong, and what it touched.
pub(super) fn check(bundle: &Bundle, case: &Case) -> (Vec<Failure>, Vec<TraceEntry>) {
    let mut checker = Checker {
        case,
        release: None,
        failures: Vec::new(),
    };
    let Ok(zone) = TimeZone::get(&case.zone) else {
        checker.fail(case.line, "zone", "the name of a time zone", &case.zone);
        return (checker.failures, Vec::new());
    };
    // The hash is shown as what went into it, so that an example can state it.
    let hash = |parts: &[&str]| format!("[{}]", parts.join(","));
    let context = Context {
        zone: &zone,
        hash: &hash,
        endpoint: ENDPOINT,
    };
    let mut trace = Vec::new();
    if case.releases.is_empty() {
        trace.extend(checker.message(bundle, &context));
    }
    for release in &case.releases {
        checker.release = Some(*release);
        trace.extend(checker.resource(bundle, *release, &context));
    }
    (checker.failures, trace)
}

struct Checker<'c> {
    case: &'c Case,
    /// The release that is run, for what is told of a failure.
    release: Option<Release>,
    failures: Vec<Failure>,
}

impl Checker<'_> {
    fn fail(&mut self, line: u32, target: &str, expected: &str, found: &str) {
        self.failures.push(Failure {
            file: self.case.file.clone(),
            line,
            case: match self.release {
                Some(release) => format!("{} ({release})", self.case.name),
                None => self.case.name.clone(),
            },
            target: target.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        });
    }

    fn message(&mut self, bundle: &Bundle, context: &Context<'_>) -> Vec<TraceEntry> {
        let input = self.case.input.trim();
        let input = input.replace("\r\n", "\r").replace('\n', "\r");
        match Message::parse(input) {
            Ok(message) => {
                let mapped = bundle.apply(&message, message.header(), context);
                self.came_out(bundle.mapping_of(message.header()), mapped)
            }
            Err(error) => self.unreadable("an HL7 v2 message", &error.to_string()),
        }
    }

    fn resource(
        &mut self,
        bundle: &Bundle,
        release: Release,
        context: &Context<'_>,
    ) -> Vec<TraceEntry> {
        match Document::read(self.case.input.as_bytes()) {
            Ok(document) => {
                let mapped = bundle.apply_resource(document.root(), release, context);
                let kind = document.resource_type();
                self.came_out(bundle.mapping_of_resource(&kind, release), mapped)
            }
            Err(error) => self.unreadable("a FHIR resource in JSON", &error.to_string()),
        }
    }

    fn unreadable(&mut self, expected: &str, error: &str) -> Vec<TraceEntry> {
        self.fail(self.case.line, "input", expected, error);
        Vec::new()
    }

    fn came_out(&mut self, taken: Option<&str>, mapped: Mapped) -> Vec<TraceEntry> {
        self.outcome(taken, &mapped);
        self.values(&mapped);
        self.sources(&mapped);
        mapped.trace
    }

    fn outcome(&mut self, taken: Option<&str>, mapped: &Mapped) {
        let case = self.case;
        if taken.is_some_and(|name| name != case.mapping) {
            self.fail(case.line, "mapping", &case.mapping, taken.unwrap_or("none"));
        }
        let issues: Vec<String> = mapped
            .issues
            .iter()
            .map(|issue| format!("{}@{}", issue.code, issue.at))
            .collect();
        if mapped.outcome.name() != case.outcome {
            let found = match &mapped.outcome {
                Outcome::Mapped => "mapped".to_owned(),
                Outcome::Ignored { code, place } => format!("ignored: {code}, {place}"),
                Outcome::Held { .. } => format!("held: {}", issues.join(", ")),
            };
            self.fail(case.line, "outcome", &case.outcome, &found);
        }
        if let Some(wanted) = &case.issues {
            let (mut wanted, mut found) = (wanted.clone(), issues);
            wanted.sort();
            found.sort();
            if wanted != found {
                self.fail(case.line, "issues", &wanted.join(", "), &found.join(", "));
            }
        }
        // What a compiled bundle gives, the model reads.
        for change in mapped
            .changes
            .iter()
            .filter(|_| mapped.outcome == Outcome::Mapped)
        {
            if let Err(error) = Change::read(change.entity, change.values.open().clone()) {
                self.fail(
                    case.line,
                    &change.block,
                    "values that the model reads",
                    &error,
                );
            }
        }
    }

    fn values(&mut self, mapped: &Mapped) {
        for expectation in &self.case.expect {
            let found = look_up(mapped, &expectation.target);
            let (fits, wanted) = match &expectation.wanted {
                Wanted::Absent => (found.is_none(), "nothing".to_owned()),
                Wanted::Clear => (found.as_ref() == Some(&Value::Null), "<clear>".to_owned()),
                Wanted::Value(value) => (found.as_ref() == Some(value), value.to_string()),
            };
            if !fits {
                let found = match found {
                    None => "nothing".to_owned(),
                    Some(Value::Null) => "<clear>".to_owned(),
                    Some(value) => value.to_string(),
                };
                self.fail(expectation.line, &expectation.target, &wanted, &found);
            }
        }
    }

    fn sources(&mut self, mapped: &Mapped) {
        for via in &self.case.via {
            let entries = traced(mapped, &via.target);
            let fits = |entry: &&TraceEntry| {
                if via.origin.ends_with(".toml") {
                    entry.file.ends_with(&via.origin)
                } else {
                    // `PID-3[1].1` is `PID-3.1`; in FHIR `[1]` is the second element.
                    let told = entry.origin.to_string();
                    told == via.origin || told == via.origin.replace("[1]", "")
                }
            };
            if !entries.iter().any(fits) {
                let found: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{} ({}:{})", entry.origin, entry.file, entry.line))
                    .collect();
                let found = if found.is_empty() {
                    "nothing".to_owned()
                } else {
                    found.join(", ")
                };
                let target = format!("{} via", via.target);
                self.fail(via.line, &target, &via.origin, &found);
            }
        }
    }
}

/// A step of a target: a name, and a number in brackets.
fn step(text: &str) -> (&str, Option<usize>) {
    match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((name, number)) => (name, number.parse().ok()),
        None => (text, None),
    }
}

/// The change that a target begins with: a block's name, or an entity's in lower case.
fn change_of<'m, 't>(
    mapped: &'m Mapped,
    target: &'t str,
) -> Option<(usize, &'m MappedChange, &'t str)> {
    let (head, rest) = target.split_once('.').unwrap_or((target, ""));
    let (name, number) = step(head);
    let named = |change: &&MappedChange| change.block == name;
    let by_block = mapped.changes.iter().any(|change| named(&change));
    let fits = |change: &MappedChange| {
        if by_block {
            named(&change)
        } else {
            change.entity.eq_ignore_ascii_case(name)
        }
    };
    let mut found = mapped
        .changes
        .iter()
        .enumerate()
        .filter(|(_, change)| fits(change));
    found
        .nth(number.unwrap_or(0))
        .map(|(place, change)| (place, change, rest))
}

fn look_up(mapped: &Mapped, target: &str) -> Option<Value> {
    let (_, change, rest) = change_of(mapped, target)?;
    let mut value = Value::Object(change.values.open().clone());
    for part in rest.split('.').filter(|part| !part.is_empty()) {
        let (name, number) = step(part);
        value = value.get_mut(name)?.take();
        if let Some(number) = number {
            value = value.get_mut(number)?.take();
        }
    }
    Some(value)
}

/// The trace of a target, or of the list or object that it is a part of.
fn traced<'m>(mapped: &'m Mapped, target: &str) -> Vec<&'m TraceEntry> {
    let Some((place, change, rest)) = change_of(mapped, target) else {
        return Vec::new();
    };
    let mut wanted = format!("{}.{rest}", change.block);
    loop {
        let here = mapped.trace.iter().filter(|entry| entry.change == place);
        let found: Vec<&TraceEntry> = here.filter(|entry| entry.target == wanted).collect();
        if !found.is_empty() {
            return found;
        }
        match wanted.rfind(['.', '[']) {
            Some(end) if end > change.block.len() => wanted.truncate(end),
            _ => return found,
        }
    }
}
