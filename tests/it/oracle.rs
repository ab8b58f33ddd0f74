//! What other systems say a message means, against what the base mappings say.
//!
//! The corpus lies outside the repository; where it is absent the test says so and passes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use careloop::hl7::{self, Message};
use careloop::mapping::{Bundle, Context};
use serde_json::{Map, Value};

/// The share of agreement that each group of fields must reach.
const WANTED: f64 = 0.97;

/// The zone in which times without offset are read; they are compared as local times.
const ZONE: &str = "America/New_York";

/// Rows left out, each with its group of fields and the reason: where the other system is wrong.
const LEFT_OUT: &[(&str, Group, &str)] = &[
    (
        "microsoft-fhirconverter-52452a4b",
        Group::VisitStatus,
        "an A04 with a discharge time in PV1-45 is finished (HL7 v2-to-FHIR), they say in-progress",
    ),
    (
        "googlecloudplatform-healthcaredata-e3c33fd7",
        Group::VisitStatus,
        "they say unknown of an admission (A01)",
    ),
    (
        "googlecloudplatform-healthcaredata-9431b382",
        Group::VisitStatus,
        "they say in-progress of an update (A08) that says nothing of it",
    ),
    (
        "googlecloudplatform-healthcaredata-9431b382",
        Group::VisitClass,
        "they say unknown of a recurring patient (PV1-2 R)",
    ),
];

/// The groups of fields that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Identifiers,
    Names,
    BirthDate,
    Sex,
    AppointmentStatus,
    AppointmentStart,
    VisitNumber,
    VisitStatus,
    VisitClass,
    VisitDate,
    Immunization,
}

/// Entities that a mapping gave, by name; a pointer goes by what it points at.
type Given = BTreeMap<String, Values>;

/// What a mapping gave, in order.
type Values = Vec<Map<String, Value>>;

/// How often ours and theirs agree, and the rows where they do not.
#[derive(Default)]
struct Score {
    agreed: usize,
    differ: Vec<String>,
}

type Scores = BTreeMap<Group, Score>;

#[test]
fn the_base_mappings_agree_with_what_other_systems_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("../shared/corpus");
    let Ok(oracle) = fs::read_to_string(corpus.join("oracle/oracle.jsonl")) else {
        println!("no corpus at {}: nothing compared", corpus.display());
        return;
    };
    let Ok(bundle) = Bundle::load(&root.join("mappings"), &[]) else {
        panic!("the base mappings do not compile");
    };
    let mut scores = Scores::new();
    let (mut rows, mut skipped) = (0, Vec::new());
    for line in oracle.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let file = corpus.join(row["file"].as_str().unwrap_or_default());
        rows += 1;
        match fs::read(&file) {
            Ok(bytes) => compare(&mut scores, (&bundle, &bytes), &row),
            Err(error) => skipped.push(format!("{}: {error}", file.display())),
        }
    }
    println!("{rows} rows");
    assert!(
        rows > 0 && skipped.is_empty(),
        "cannot be read: {skipped:?}"
    );
    for (group, score) in &scores {
        let share = score.share();
        println!("{group:?}: {} of {} agree", score.agreed, score.count());
        assert!(
            share >= WANTED,
            "{group:?}: {share:.3} agree; not: {:?}",
            score.differ
        );
    }
    assert_eq!(scores.len(), 11, "every group of fields occurs");
}

impl Score {
    fn count(&self) -> usize {
        self.agreed + self.differ.len()
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred rows")]
    fn share(&self) -> f64 {
        self.agreed as f64 / self.count().max(1) as f64
    }
}

/// Compares one row; a group counts where the other system says something about it.
fn compare(scores: &mut Scores, (bundle, bytes): (&Bundle, &[u8]), row: &Value) {
    let id = row["msg_id"].as_str().unwrap_or_default();
    let given = read(bundle, bytes);
    let ours = |name: &str| given.get(name).map_or(&[][..], Vec::as_slice);
    let people = ours("Patient");
    let mut note = |group: Group, agrees: bool| {
        if LEFT_OUT
            .iter()
            .any(|(left, of, _)| *left == id && *of == group)
        {
            return;
        }
        let score = scores.entry(group).or_default();
        if agrees {
            score.agreed += 1;
        } else {
            score.differ.push(id.to_owned());
        }
    };
    let nothing = Map::new();
    for (place, theirs) in said(row, "patient").enumerate() {
        let ours = people
            .get(place)
            .or_else(|| people.first())
            .unwrap_or(&nothing);
        compare_person(ours, theirs, &mut note);
    }
    for (place, theirs) in said(row, "appointment").enumerate() {
        let ours = ours("Appointment").get(place).unwrap_or(&nothing);
        if let Some(status) = theirs.get("status") {
            note(Group::AppointmentStatus, ours.get("status") == Some(status));
        }
        if let Some(start) = text(theirs, "start") {
            let own = text(ours, "start").unwrap_or_default();
            note(Group::AppointmentStart, same_time(own, start));
        }
    }
    // What is about no visit to us (A28, A31), or a visit that moves (A45), they tell as one.
    for (ours, theirs) in ours("Encounter").iter().zip(said(row, "encounter")) {
        compare_visit(ours, theirs, &mut note);
    }
    for (place, theirs) in said(row, "immunization").enumerate() {
        let ours = ours("Immunization").get(place).unwrap_or(&nothing);
        let same = |key: &str| text(ours, key).is_some() && text(ours, key) == text(theirs, key);
        note(Group::Immunization, same("status") && same("date"));
    }
}

fn compare_visit(
    ours: &Map<String, Value>,
    theirs: &Map<String, Value>,
    note: &mut impl FnMut(Group, bool),
) {
    let ids = theirs.get("ids").and_then(Value::as_array);
    let number = ids.into_iter().flatten().find_map(|id| {
        let kind = id.get("type").and_then(Value::as_str)?;
        let value = id.get("value").and_then(Value::as_str)?;
        ["VN", "visitid"].contains(&kind).then_some(value)
    });
    if let Some(number) = number {
        let own = text(ours, "reference").unwrap_or_default();
        let rest = own.strip_prefix(number);
        let same = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        note(Group::VisitNumber, same);
    }
    let status = text(ours, "status");
    if let Some(theirs) = text(theirs, "status") {
        note(Group::VisitStatus, status == Some(theirs));
    }
    if let Some(class) = text(theirs, "cls") {
        note(Group::VisitClass, text(ours, "class") == Some(class));
    }
    let period = |key: &str| theirs.get("period")?.get(key)?.as_str();
    let end = period("end").filter(|_| status == Some("finished"));
    // A cancelled visit keeps the date that it had: its message tells none.
    if let (Some(date), Some(own)) = (end.or(period("start")), text(ours, "date")) {
        note(Group::VisitDate, same_time(own, date));
    }
}

fn compare_person(
    ours: &Map<String, Value>,
    theirs: &Map<String, Value>,
    note: &mut impl FnMut(Group, bool),
) {
    let ids = texts(theirs.get("ids"), "value");
    if !ids.is_empty() {
        let own = texts(ours.get("identifiers"), "value");
        // They also list account, social security and licence numbers, which we never keep.
        note(
            Group::Identifiers,
            !own.is_empty() && own.iter().all(|id| ids.contains(id)),
        );
    }
    let known = names(theirs.get("names"));
    if !known.is_empty() {
        let own = names(ours.get("names"));
        // They also list names of other segments (mother, insured person).
        let all = own.iter().all(|name| known.contains(name));
        note(Group::Names, all && own.first() == known.first());
    }
    if let Some(date) = text(theirs, "birthDate") {
        note(Group::BirthDate, text(ours, "birth_date") == Some(date));
    }
    if let Some(sex) = text(theirs, "gender") {
        note(Group::Sex, text(ours, "sex") == Some(sex));
    }
}

/// What our mappings find, held messages included.
fn read(bundle: &Bundle, bytes: &[u8]) -> Given {
    let zone = jiff::tz::TimeZone::get(ZONE).unwrap_or(jiff::tz::TimeZone::UTC);
    let context = Context {
        zone: &zone,
        hash: &|_| String::from("hash"),
        endpoint: "",
    };
    let mut given = Given::new();
    for range in hl7::split(bytes).messages {
        let Some(Ok(message)) = bytes.get(range).map(|one| Message::read(one, None)) else {
            continue;
        };
        for change in bundle.apply(&message, message.header(), &context).changes {
            let values = change.values.into_inner();
            let name = text(&values, "resource").unwrap_or(change.entity);
            given.entry(name.to_owned()).or_default().push(values);
        }
    }
    given
}

/// What the other system says about an entity, without empty objects.
fn said<'r>(
    row: &'r Value,
    entity: &str,
) -> impl Iterator<Item = &'r Map<String, Value>> + use<'r> {
    let list = row["expected"][entity].as_array();
    list.into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|one| !one.is_empty())
}

fn text<'v>(values: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    values.get(key).and_then(Value::as_str)
}

fn texts(list: Option<&Value>, key: &str) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| Some(one.get(key)?.as_str()?.to_owned()))
        .collect()
}

/// Family and given names.
fn names(list: Option<&Value>) -> Vec<(Option<String>, Vec<String>)> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let given = |one: &Value| {
        let given = one
            .get("given")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        given.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let family = |one: &Value| one.get("family").and_then(Value::as_str).map(str::to_owned);
    list.map(|one| (family(one), given(one))).collect()
}

/// The same instant, or, for a time that came without offset, the same local time: the other
/// system's offset is then its own machine's.
fn same_time(ours: &str, theirs: &str) -> bool {
    let instant = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let local = |text: &str| text.get(..19).map(str::to_owned);
    let same_instant = instant(ours).is_some() && instant(ours) == instant(theirs);
    same_instant || (local(ours).is_some() && local(ours) == local(theirs))
}
