//! Runs the examples that lie beside rule files: a chart and a moment in, verdicts out.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use serde::Deserialize;

use crate::crm::{
    Appointment, AppointmentStatus, Chart, Identifier, Moment, PartialDate, Pointer, Priority,
    Request, RequestKind, RequestStatus, Resource, Stage,
};

use super::evaluate::{Evaluation, History, evaluate, relieve};
use super::rule::Rules;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    example: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    name: String,
    rule: String,
    now: Zoned,
    #[serde(default)]
    history: BTreeMap<String, Date>,
    #[serde(default)]
    chart: ChartText,
    /// Cycles for which a task of a rule was completed.
    #[serde(default)]
    done: BTreeMap<String, Vec<String>>,
    expect: Vec<Expect>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ChartText {
    birth_date: Option<PartialDate>,
    deceased: bool,
    pointers: Vec<PointerText>,
    requests: Vec<RequestText>,
    appointments: Vec<AppointmentText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointerText {
    concept: String,
    status: Option<String>,
    date: Option<Moment>,
    #[serde(default)]
    orders: Vec<String>,
    changed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestText {
    id: String,
    status: Option<RequestStatus>,
    stage: Option<Stage>,
    priority: Option<Priority>,
    authored_at: Option<Moment>,
    wanted_by: Option<Moment>,
    expires_at: Option<Moment>,
    stage_at: Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppointmentText {
    id: String,
    start: Option<Moment>,
    #[serde(default)]
    orders: Vec<String>,
    #[serde(default)]
    concepts: Vec<String>,
    #[serde(default)]
    confirmed: bool,
    /// Each status with its time, the last one standing.
    history: Vec<(Timestamp, AppointmentStatus)>,
}

/// What must come out; what is left out is not compared, and "" stands for nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    status: String,
    cycle: Option<String>,
    due: Option<String>,
    overdue: Option<bool>,
    parked: Option<bool>,
    priority: Option<String>,
    task_due: Option<String>,
    next_check: Option<String>,
    reason: Option<String>,
    reason_code: Option<String>,
}

impl History for BTreeMap<String, Date> {
    fn covered_since(&self, concept: &str) -> Option<Date> {
        self.get(concept).copied()
    }
}

/// Runs one example file against `rules`: how many examples there were, or what did not come out
/// as written. Examples hold invented people only, so differences are shown in full.
pub fn run(rules: &Rules, file: &str, text: &str) -> Result<usize, Vec<String>> {
    let read: File = toml::from_str(text).map_err(|error| vec![format!("{file}: {error}")])?;
    let count = read.example.len();
    let mut wrong = Vec::new();
    for example in read.example {
        let found = example.differences(rules);
        wrong.extend(
            found
                .into_iter()
                .map(|what| format!("{file}: {}: {what}", example.name)),
        );
    }
    if wrong.is_empty() {
        Ok(count)
    } else {
        Err(wrong)
    }
}

impl Example {
    fn differences(&self, rules: &Rules) -> Vec<String> {
        let Some(rule) = rules.get(&self.rule) else {
            return vec![format!("expected a rule, found none named {}", self.rule)];
        };
        let mut verdicts = evaluate(rule, &self.chart.chart(), &self.history, &self.now);
        let done = |rule: &str, cycle: &str| {
            let cycles = self.done.get(rule).into_iter().flatten();
            cycles.into_iter().any(|done| done == cycle)
        };
        relieve(rule, &mut verdicts, done);
        if verdicts.len() != self.expect.len() {
            let (expected, found) = (self.expect.len(), verdicts.len());
            return vec![format!("expected {expected} verdicts, found {found}")];
        }
        let pairs = verdicts.iter().zip(&self.expect);
        pairs
            .flat_map(|(verdict, expect)| expect.differences(verdict, &self.now))
            .collect()
    }
}

impl Expect {
    fn differences(&self, verdict: &Evaluation, now: &Zoned) -> Vec<String> {
        let instant = |at: Option<Timestamp>| {
            at.map(|at| {
                at.to_zoned(now.time_zone().clone())
                    .strftime("%Y-%m-%dT%H:%M:%S%:z")
            })
            .map_or_else(String::new, |text| text.to_string())
        };
        let due = verdict.due.map_or_else(String::new, |due| due.to_string());
        let pairs = [
            (
                "status",
                Some(self.status.clone()),
                verdict.status.name().to_owned(),
            ),
            ("cycle", self.cycle.clone(), verdict.cycle.clone()),
            ("due", self.due.clone(), due),
            (
                "overdue",
                self.overdue.map(|is| is.to_string()),
                verdict.overdue.to_string(),
            ),
            (
                "parked",
                self.parked.map(|is| is.to_string()),
                verdict.parked.to_string(),
            ),
            (
                "priority",
                self.priority.clone(),
                verdict.priority.name().to_owned(),
            ),
            ("task_due", self.task_due.clone(), instant(verdict.task_due)),
            (
                "next_check",
                self.next_check.clone(),
                instant(verdict.next_check),
            ),
            ("reason", self.reason.clone(), verdict.reason.clone()),
            (
                "reason_code",
                self.reason_code.clone(),
                verdict.reason_code.name().to_owned(),
            ),
        ];
        pairs
            .into_iter()
            .filter_map(|(what, expected, found)| {
                let expected = expected.filter(|expected| *expected != found)?;
                Some(format!("{what}: expected `{expected}`, found `{found}`"))
            })
            .collect()
    }
}

impl ChartText {
    fn chart(&self) -> Chart {
        Chart {
            birth_date: self.birth_date,
            sex: None,
            deceased: self.deceased,
            appointments: self
                .appointments
                .iter()
                .filter_map(AppointmentText::read)
                .collect(),
            requests: self.requests.iter().map(RequestText::read).collect(),
            pointers: self
                .pointers
                .iter()
                .enumerate()
                .map(PointerText::read)
                .collect(),
        }
    }
}

impl PointerText {
    fn read((index, text): (usize, &Self)) -> Pointer {
        Pointer {
            source: "example".to_owned(),
            resource: Resource::Observation,
            concept: text.concept.clone(),
            reference: format!("reference-{index}"),
            date: text.date.clone(),
            status: text.status.clone(),
            class: None,
            orders: text.orders.iter().map(|id| identifier(id)).collect(),
            changed_at: text.changed_at.unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }
}

impl RequestText {
    fn read(&self) -> Request {
        Request {
            kind: RequestKind::Referral,
            identifiers: vec![identifier(&self.id)],
            status: self.status.unwrap_or(RequestStatus::Active),
            stage: self.stage.unwrap_or(Stage::Requested),
            priority: self.priority.unwrap_or(Priority::Routine),
            authored_at: self.authored_at.clone(),
            wanted_by: self.wanted_by.clone(),
            expires_at: self.expires_at.clone(),
            stage_at: self.stage_at,
            changed_at: self.stage_at,
        }
    }
}

impl AppointmentText {
    fn read(&self) -> Option<Appointment> {
        let (changed_at, status) = *self.history.last()?;
        Some(Appointment {
            identifiers: vec![identifier(&self.id)],
            status,
            start: self.start.clone(),
            end: None,
            orders: self.orders.iter().map(|id| identifier(id)).collect(),
            location: None,
            concepts: self.concepts.clone(),
            confirmed: self.confirmed,
            history: self.history.clone(),
            changed_at,
        })
    }
}

fn identifier(value: &str) -> Identifier {
    Identifier {
        value: value.to_owned(),
        assigner: Some("EXAMPLE".to_owned()),
        kind: None,
    }
}
