//! What other systems say a message means, against what the base mappings say.
//!
//! The corpus lies outside the repository; where it is absent the test says so and passes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use careloop::hl7::{self, Message};
use careloop::mapping::{Bundle, Context};
use serde_json::{Map, Value};

/// The share of agreement that each group of fields must reach.
const WANTED: f64 = 0.97;

/// The zone in which times without offset are read; they are compared as local times.
const ZONE: &str = "America/New_York";

/// Rows left out, each with its group of fields and the reason: where the other system is wrong.
/// Empty: so far no row needs it.
const LEFT_OUT: &[(&str, Group, &str)] = &[];

/// The groups of fields that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Identifiers,
    Names,
    BirthDate,
    Sex,
    AppointmentStatus,
    AppointmentStart,
}

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
    for line in oracle.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line).unwrap();
        compare(&mut scores, &corpus, &bundle, &row);
    }
    for (group, score) in &scores {
        let share = score.share();
        println!("{group:?}: {} of {} agree", score.agreed, score.count());
        assert!(
            share >= WANTED,
            "{group:?}: {share:.3} agree; not: {:?}",
            score.differ
        );
    }
    assert_eq!(scores.len(), 6, "every group of fields occurs");
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
fn compare(scores: &mut Scores, corpus: &Path, bundle: &Bundle, row: &Value) {
    let id = row["msg_id"].as_str().unwrap_or_default();
    let file: PathBuf = corpus.join(row["file"].as_str().unwrap_or_default());
    let Ok(bytes) = fs::read(&file) else { return };
    let (people, appointments) = read(bundle, &bytes);
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
        let ours = appointments.get(place).unwrap_or(&nothing);
        if let Some(status) = theirs.get("status") {
            note(Group::AppointmentStatus, ours.get("status") == Some(status));
        }
        if let Some(start) = text(theirs, "start") {
            let own = text(ours, "start").unwrap_or_default();
            note(Group::AppointmentStart, same_time(own, start));
        }
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

/// The people and the appointments that our mappings find, held messages included.
fn read(bundle: &Bundle, bytes: &[u8]) -> (Values, Values) {
    let zone = jiff::tz::TimeZone::get(ZONE).unwrap_or(jiff::tz::TimeZone::UTC);
    let context = Context {
        zone: &zone,
        hash: &|_| String::from("hash"),
    };
    let (mut people, mut appointments) = (Vec::new(), Vec::new());
    for range in hl7::split(bytes).messages {
        let Some(Ok(message)) = bytes.get(range).map(|one| Message::read(one, None)) else {
            continue;
        };
        for change in bundle.apply(&message, message.header(), &context).changes {
            match change.entity {
                "Patient" => people.push(change.values.into_inner()),
                "Appointment" => appointments.push(change.values.into_inner()),
                _ => {}
            }
        }
    }
    (people, appointments)
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
