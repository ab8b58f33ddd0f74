//! Every collected FHIR resource through the shipped mappings: what is held is held for a reason that an
//! engineer accepts, and what the mappings use is not lost, beside what plain `serde_json` makes of it.
//! The corpus lies outside the repository; where it is absent the tests say so.

use std::collections::{BTreeMap, HashMap};

use careloop::crm::Change;
use careloop::fhir::{Document, Release};
use careloop::mapping::{Bundle, Context, Mapped, Outcome};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::fhir_corpus::{files, good};

const ENDPOINT: &str = "https://ehr.example/fhir";

/// Why a resource of a folder may be held: its type, the code and place, how often at most, and why.
const ACCEPTED: &[(&str, &str, usize, &str)] = &[
    (
        "Procedure",
        "required-missing@$subject",
        6,
        "names its patient in words only",
    ),
    (
        "ServiceRequest",
        "required-missing@$subject",
        6,
        "names its patient in words only",
    ),
];

/// Folders in which anything may be wrong.
const ANY: [&str; 8] = [
    "validator-bad",
    "validator-ok",
    "parser-edge",
    "ehr-misc",
    "subscriptions",
    "test-cases",
    "version-pairs",
    "bulk",
];

/// How many resources of a type came out in each way.
#[derive(Default, Debug)]
struct Share {
    mapped: usize,
    ignored: usize,
    held: usize,
}

#[test]
fn what_is_held_of_the_collected_resources_is_held_for_a_good_reason() {
    let mappings = mappings();
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let mut reasons: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (name, resource, release) in resources() {
        let kind = text(&resource, "resourceType").to_owned();
        if mappings.mapping_of_resource(&kind, release).is_none() {
            continue;
        }
        let mapped = map(&mappings, &resource, release);
        let share = shares.entry(kind.clone()).or_default();
        match &mapped.outcome {
            Outcome::Mapped => share.mapped += 1,
            Outcome::Ignored { .. } => share.ignored += 1,
            Outcome::Held { code, place } => {
                share.held += 1;
                let reason = reasons
                    .entry((kind, format!("{code}@{place}")))
                    .or_default();
                reason.push(name);
            }
        }
    }
    for ((kind, reason), names) in &reasons {
        let known = |row: &&(&str, &str, usize, &str)| row.0 == *kind && row.1 == *reason;
        let most = ACCEPTED.iter().find(known).map_or(0, |row| row.2);
        assert!(names.len() <= most, "{kind}: {reason}: {names:?}");
    }
    let lost = |(_, share): &(&String, &Share)| share.mapped == 0;
    assert_eq!(
        shares.iter().find(lost).map(|(kind, _)| kind),
        None,
        "{shares:?}"
    );
}

#[test]
fn what_the_mappings_use_of_the_collected_resources_is_not_lost() {
    let mappings = mappings();
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for (name, resource, release) in resources() {
        let kind = text(&resource, "resourceType");
        let entity = match kind {
            "Patient" | "Appointment" => kind,
            "Observation" => "Pointer",
            "ServiceRequest" => "Order",
            _ => continue,
        };
        let mapped = map(&mappings, &resource, release);
        let place = format!("{name}: {kind}/{}", text(&resource, "id"));
        let found = entry(&mapped, entity).or_else(|| entry(&mapped, "Referral"));
        let Some(found) = found.filter(|_| mapped.outcome == Outcome::Mapped) else {
            let why = why_not(&resource, &mapped);
            assert!(why, "{place}: nothing came of it, {:?}", mapped.outcome);
            continue;
        };
        match kind {
            "Patient" => patient(&resource, found, &place),
            "Appointment" => {
                planned(&resource, found, &place);
                about(&resource, &mapped, &place);
            }
            "Observation" => {
                result(&resource, found, &place);
                about(&resource, &mapped, &place);
            }
            _ => {
                request(&resource, found, &place);
                about(&resource, &mapped, &place);
            }
        }
        *compared.entry(kind.to_owned()).or_default() += 1;
    }
    let kinds: Vec<&str> = compared.keys().map(String::as_str).collect();
    let all = ["Appointment", "Observation", "Patient", "ServiceRequest"];
    assert!(kinds.is_empty() || kinds == all, "{compared:?}");
}

#[test]
fn whatever_else_was_collected_is_mapped_or_told() {
    let mappings = mappings();
    for (name, bytes) in ANY.iter().flat_map(|folder| files(folder)) {
        let Ok(document) = Document::read(&bytes) else {
            continue;
        };
        for release in Release::ALL {
            let mapped = apply(&mappings, &document, release);
            assert!(readable(&mapped), "{name}");
        }
    }
}

/// Whether nothing of our own may come of a resource, by its own words.
fn why_not(resource: &Value, mapped: &Mapped) -> bool {
    let held = matches!(mapped.outcome, Outcome::Held { .. });
    let intent = text(resource, "intent");
    match text(resource, "resourceType") {
        // Whom another record took the place of.
        "Patient" => held || resource["link"][0]["type"] == "replaced-by",
        // Nobody takes part.
        "Appointment" => people(resource).is_empty(),
        // No concept lists its code, or it is nobody's.
        "Observation" => !has_code(resource, "4548-4") || people(resource).is_empty(),
        _ => {
            held && people(resource).is_empty()
                || !matches!(intent, "order" | "original-order" | "instance-order")
                || resource["doNotPerform"] == true
        }
    }
}

fn patient(resource: &Value, found: &Map<String, Value>, place: &str) {
    own(resource, found, place);
    let numbers = values(&resource["identifier"])
        .filter(|one| one["value"].is_string() && !matches!(text(one, "use"), "old" | "temp"));
    for number in numbers {
        let value = text(number, "value").trim();
        assert!(
            has(found, "identifiers", "value", value),
            "{place}: {value}"
        );
    }
    for name in values(&resource["name"]).filter(|one| one["family"].is_string()) {
        let family = text(name, "family").trim();
        assert!(has(found, "names", "family", family), "{place}: {family}");
    }
    let numbers = values(&resource["telecom"]).filter(|one| {
        text(one, "use") != "old" && one["period"]["end"].is_null() && one["value"].is_string()
    });
    for contact in numbers {
        let value = text(contact, "value")
            .split_whitespace()
            .collect::<Vec<_>>();
        assert!(
            has(found, "contacts", "value", &value.join(" ")),
            "{place}: {value:?}"
        );
    }
    same(&resource["birthDate"], found.get("birth_date"), place);
    // One EHR writes it with a capital letter.
    let sex = resource["gender"].as_str().map(str::to_lowercase);
    same(&json!(sex), found.get("sex"), place);
    let died = resource["deceasedBoolean"] == true || resource["deceasedDateTime"].is_string();
    assert_eq!(
        found.get("deceased") == Some(&Value::Bool(true)),
        died,
        "{place}"
    );
}

fn planned(resource: &Value, found: &Map<String, Value>, place: &str) {
    own(resource, found, place);
    same(&resource["status"], found.get("status"), place);
    same_time(&resource["start"], found.get("start"), place);
    same_time(&resource["end"], found.get("end"), place);
}

fn result(resource: &Value, found: &Map<String, Value>, place: &str) {
    let reference = format!("Observation/{}", text(resource, "id"));
    assert_eq!(found.get("reference"), Some(&json!(reference)), "{place}");
    if resource["dataAbsentReason"].is_null() {
        same(&resource["status"], found.get("status"), place);
    }
    let period = &resource["effectivePeriod"];
    let dates = [
        &resource["effectiveDateTime"],
        &resource["effectiveInstant"],
        &period["end"],
        &period["start"],
        &resource["issued"],
    ];
    let date = dates.into_iter().find(|date| date.is_string());
    same_time(date.unwrap_or(&Value::Null), found.get("date"), place);
}

fn request(resource: &Value, found: &Map<String, Value>, place: &str) {
    own(resource, found, place);
    same(&resource["status"], found.get("status"), place);
    same_time(&resource["authoredOn"], found.get("authored_at"), place);
}

/// The first identifier is the resource's own.
fn own(resource: &Value, found: &Map<String, Value>, place: &str) {
    let reference = format!(
        "{}/{}",
        text(resource, "resourceType"),
        text(resource, "id")
    );
    let own = json!({"value": reference, "assigner": ENDPOINT, "type": "RI"});
    if resource["id"].is_string() {
        assert_eq!(found["identifiers"][0], own, "{place}");
    }
}

/// The people whom the resource names are those of the change about a person.
fn about(resource: &Value, mapped: &Mapped, place: &str) {
    let person = entry(mapped, "Patient").unwrap();
    for reference in people(resource) {
        let reference = reference
            .strip_prefix(&format!("{ENDPOINT}/"))
            .unwrap_or(&reference);
        assert!(
            has(person, "identifiers", "value", reference),
            "{place}: {reference}"
        );
    }
}

/// The references to patients that say whom a resource is about.
fn people(resource: &Value) -> Vec<String> {
    let actors = values(&resource["participant"]).map(|one| &one["actor"]);
    let all = std::iter::once(&resource["subject"]).chain(actors);
    let references = all.filter_map(|one| one["reference"].as_str());
    references
        .filter(|one| one.contains("Patient/"))
        .map(str::to_owned)
        .collect()
}

fn has_code(resource: &Value, code: &str) -> bool {
    values(&resource["code"]["coding"]).any(|one| one["code"] == code)
}

fn has(found: &Map<String, Value>, list: &str, field: &str, value: &str) -> bool {
    let list = found.get(list).into_iter().flat_map(values);
    list.into_iter().any(|one| one[field] == value)
}

fn same(sent: &Value, found: Option<&Value>, place: &str) {
    let found = found.filter(|found| !found.is_null());
    assert_eq!(found, Some(sent).filter(|sent| !sent.is_null()), "{place}");
}

/// The same day, or the same instant.
fn same_time(sent: &Value, found: Option<&Value>, place: &str) {
    let (Some(sent), Some(found)) = (sent.as_str(), found.and_then(Value::as_str)) else {
        return same(sent, found, place);
    };
    if !sent.contains('T') {
        return assert_eq!(found, sent, "{place}");
    }
    let read = |text: &str| text.parse::<Timestamp>().ok();
    assert!(read(sent).is_some(), "{place}");
    assert_eq!(read(found), read(sent), "{place}");
}

fn entry<'m>(mapped: &'m Mapped, entity: &str) -> Option<&'m Map<String, Value>> {
    let found = mapped.changes.iter().find(|change| change.entity == entity);
    found.map(|change| change.values.open())
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn values(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn mappings() -> Bundle {
    let told = |list: Vec<careloop::mapping::Diagnostic>| list.len();
    Bundle::embedded(&[]).map_err(told).unwrap()
}

fn map(mappings: &Bundle, resource: &Value, release: Release) -> Mapped {
    let bytes = serde_json::to_vec(resource).unwrap();
    let mapped = apply(mappings, &Document::read(&bytes).unwrap(), release);
    assert!(readable(&mapped));
    mapped
}

fn apply(mappings: &Bundle, document: &Document<'_>, release: Release) -> Mapped {
    let context = Context {
        zone: &TimeZone::UTC,
        hash: &|parts| parts.len().to_string(),
        endpoint: ENDPOINT,
    };
    mappings.apply_resource(document.root(), release, &context)
}

/// Whether the model reads whatever is called mapped.
fn readable(mapped: &Mapped) -> bool {
    let mut changes = mapped.changes.iter();
    mapped.outcome != Outcome::Mapped
        || changes.all(|one| Change::read(one.entity, one.values.open().clone()).is_ok())
}

/// Every good resource, those of Bundles each by itself, as a server has them that took the Bundle.
fn resources() -> impl Iterator<Item = (String, Value, Release)> {
    good().flat_map(|(name, bytes, release)| {
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let entries: Vec<&Value> = values(&body["entry"]).collect();
        let mut all: Vec<Value> = Vec::new();
        if body["resourceType"] == "Bundle" {
            let names: HashMap<&str, String> =
                entries.iter().filter_map(|one| stored(one)).collect();
            for entry in entries.iter().filter(|one| one["resource"].is_object()) {
                let mut resource = entry["resource"].clone();
                if let Some((_, name)) = stored(entry) {
                    resource["id"] = json!(name.split_once('/').unwrap().1);
                }
                point(&mut resource, &names);
                all.push(resource);
            }
        } else {
            all.push(body.clone());
        }
        all.into_iter()
            .map(move |resource| (name.clone(), resource, release))
    })
}

/// The `urn:uuid:` of an entry and the name under which a server keeps its resource.
fn stored(entry: &Value) -> Option<(&str, String)> {
    let url = entry["fullUrl"].as_str()?;
    let uuid = url.strip_prefix("urn:uuid:")?;
    let kind = entry["resource"]["resourceType"].as_str()?;
    Some((url, format!("{kind}/{uuid}")))
}

/// Lets references name what the server keeps.
fn point(value: &mut Value, names: &HashMap<&str, String>) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|one| point(one, names)),
        Value::Array(items) => items.iter_mut().for_each(|one| point(one, names)),
        Value::String(text) => {
            if let Some(name) = names.get(text.as_str()) {
                *text = name.clone();
            }
        }
        _ => {}
    }
}
