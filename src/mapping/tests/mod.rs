//! Tests of the mapping language on small packs, and properties over the packs that are shipped.

mod compiling;
mod examples;
mod fhir;
mod layering;
mod properties;
mod reading;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::hl7::Message;

use super::{Bundle, Context, Diagnostic, Files, Layer, Mapped};

/// A pack about people and appointments with a rule of each kind.
const PACK: &str = r#"
mapping = "hl7v2.test"
schema = 1
source = { kind = "hl7v2", messages = ["SIU^S12", "ADT"] }
per = "PID"

[[ignore]]
messages = ["ADT^A43"]
reason = "moves records"

[vars]
trigger = { from = "MSH-9.2" }

[patient]
emit = "Patient"

[patient.set."identifiers[]"]
each = "PID-3 | PID-2"
fields = { value = ".1", assigner = ".4.1" }
skip_if_blank = "value"

[patient.set."names[]"]
each = "PID-5"
fields = { family = ".1.1", given = { list = [".2", ".3"], split = " " } }

[patient.set.birth_date]
from = "PID-7"
fn = "date"

[patient.set.sex]
from = "PID-8"
table = "sex"

[patient.set.language]
from = "PID-15"
on_null = "ignore"

[patient.set.deceased]
from = "PID-30"
fn = "flag"
on_bad = "ignore"

[patient.set.restrictions]
all = [
    { when = "PD1-12 = 'Y'", value = "PD1-12" },
    { when = "CON present", value = "CON" },
]

[appointment]
emit = "Appointment"
when = "SCH present"

[appointment.set."identifiers[]"]
each = "SCH-2 + SCH-1"
fields = { value = ".1", assigner = ".2" }
skip_if_blank = "value"

[appointment.set.status]
cases = [
    { when = "$trigger in ['S15']", value = "cancelled" },
    { when = "SCH-25 valued", from = "SCH-25.1", table = "appt_status" },
    { value = "booked" },
]

[appointment.set.start]
from = "SCH-11.4 | TQ1-7"
fn = "instant"

[appointment.set.end]
fn = "minutes_after"
start = "SCH-11.4"
amount = "SCH-9"
unit = { from = "SCH-10.1", missing = "min" }

[problem]
emit = "Pointer"
each = "DG1"

[problem.set.resource]
value = "Condition"

[problem.set.concept]
from = "DG1-3"
fn = "concept"
system = "DG1-2"

[problem.set.reference]
fn = "reference"
parts = ["PV1-19.1"]
hashed = ["DG1-3.1"]
"#;

const TABLES: &str = r#"
[sex]
fold_case = true
source = "HL7 table 0001"
[sex.map]
F = "female"
M = "male"

[appt_status]
[appt_status.map]
Booked = "booked"
Noshow = "noshow"

[code_systems]
fold_case = true
[code_systems.map]
I10 = "http://hl7.org/fhir/sid/icd-10"
"ICD-10" = "http://hl7.org/fhir/sid/icd-10"
"#;

const CONCEPT: &str = r#"
concept = "diabetes"
title = "diabetes"
source = "test"
[[codes]]
system = "http://hl7.org/fhir/sid/icd-10"
codes = ["E10.9"]
prefixes = ["E11."]
"#;

fn files(pack: &str) -> Files {
    Files::of(&[
        ("hl7v2/test.toml", pack),
        ("tables/test.toml", TABLES),
        ("concepts/diabetes.toml", CONCEPT),
        ("care/unread.toml", "= not even TOML"),
    ])
}

fn bundle(pack: &str, layers: &[&str]) -> Result<Bundle, Vec<Diagnostic>> {
    let layers: Vec<Layer> = layers
        .iter()
        .map(|text| Layer::Text {
            name: "site.toml".to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    Bundle::compile(&files(pack), &layers)
}

fn compiled(pack: &str, layers: &[&str]) -> Bundle {
    bundle(pack, layers).map_err(|list| told(&list)).unwrap()
}

fn told(list: &[Diagnostic]) -> String {
    list.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// Reads a message given as its segments after MSH.
fn read(bundle: &Bundle, kind: &str, segments: &str) -> Mapped {
    let text = format!("MSH|^~\\&|A|B|C|D|20260302081500||{kind}|T1|P|2.5.1\r{segments}");
    let message = Message::parse(text).unwrap();
    let zone = TimeZone::get("America/New_York").unwrap();
    let hash = |parts: &[&str]| format!("[{}]", parts.join(","));
    bundle.apply(
        &message,
        message.header(),
        &Context {
            zone: &zone,
            hash: &hash,
            endpoint: "",
        },
    )
}

/// The changes as JSON.
fn values(mapped: &Mapped) -> Vec<Value> {
    let changes = mapped.changes.iter();
    changes
        .map(|change| Value::Object(change.values.open().clone()))
        .collect()
}

/// The issues as `code@place severity`.
fn issues(mapped: &Mapped) -> Vec<String> {
    let issues = mapped.issues.iter();
    issues
        .map(|issue| format!("{}@{} {}", issue.code, issue.at, issue.severity.name()))
        .collect()
}
