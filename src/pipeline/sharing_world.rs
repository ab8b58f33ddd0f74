//! An invented person and clinic on which anything may happen, for the tests of shared tasks.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::super::super::findings::reconcile;
use super::super::super::plan::{Cause, Desk};
use super::*;
use crate::care::{Rules, TaskEvent};
use crate::config::{Config, Environment, Mode};
use crate::consent::{Channel, Entry, OptOut, Policy};
use crate::crm::{Change, Contact, ContactSystem, Origin};
use crate::site::Site;
use crate::store::{ContactRow, Effects, TenantId, TenantKeys};

const CLINIC: &str = r#"
[[tenant]]
name = "riverside"
zone = "America/New_York"
locations = [{ name = "main", mode = "live" }]
rules = { "rule-a" = "live", "rule-b" = "live", "rule-c" = "live", "rule-d" = "live", "rule-e" = "live" }
[[agreement]]
tenant = "riverside"
party = "Riverside Clinic"
signed = 2020-01-01
until = 2099-01-01
covers = ["adt", "careloop.tasks"]
[[source]]
tenant = "riverside"
name = "adt"
kind = "mllp"
listen = "127.0.0.1:0"
zone = "America/New_York"
mode = "live"
identifiers = [{ type = "MR", assigner = "RVS" }]
"#;

/// Name, content, channels, priority, code, days.
const RULES: [(&str, &str, &str, &str, &str, u32); 5] = [
    (
        "a",
        "C1",
        r#""phone-live", "sms""#,
        "routine",
        "schedule-visit",
        14,
    ),
    (
        "b",
        "C2",
        r#""phone-live", "portal""#,
        "routine",
        "outreach-call",
        10,
    ),
    ("c", "C1", r#""sms""#, "routine", "schedule-visit", 14),
    ("d", "C2", r#""phone-live""#, "urgent", "schedule-visit", 2),
    (
        "e",
        "C1",
        r#""phone-live""#,
        "routine",
        "schedule-visit",
        60,
    ),
];

fn rules() -> Rules {
    let texts: Vec<(String, String)> = RULES
        .iter()
        .map(|(name, content, channels, priority, code, days)| {
            let text = format!(
                r#"
id = "rule-{name}"
kind = "gap"
title = "test"
source = "test"
reads = ["person", "anybody", "done-{name}"]
population = {{ concept = "anybody", status = ["active"], age = {{ from = 0, through = 120 }} }}
satisfied = {{ concept = "done-{name}", status = ["final"], within = "6 months" }}
timing = {{ prospective = "10 days", grace = "5 days" }}
parked = {{ by = ["visit-{name}"], within = "90 days", grace = "2 days" }}
[task]
code = "{code}"
topic = "preventive"
content = "{content}"
purpose = "TREAT"
channels = [{channels}]
priority = "{priority}"
performer = "care-coordinator"
on = ["open-gap"]
due_after = "{days} days"
[reason]
open = "Open."
never = "Never."
prospective = "Soon."
parked = "Parked."
closed = "Closed."
outside = "Outside."
history = "History."
"#
            );
            (format!("{name}.toml"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let found = Rules::compile(&files).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    });
    found.unwrap()
}

/// One thing that happens to the person or their tasks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happens {
    Evidence(usize),
    TakenBack(usize),
    Visit(usize, &'static str),
    Consent(Option<Channel>, Option<ContentClass>, bool),
    Stop(Channel),
    Mode(usize, Mode),
    Hours(i64),
    Confirmed,
    Answered(usize, TaskEvent),
}

pub(super) fn happens() -> impl Strategy<Value = Happens> {
    let rule = || 0..RULES.len();
    let visit = select(&["booked", "noshow", "cancelled", "fulfilled"][..]);
    let channel = || select(&[Channel::PhoneLive, Channel::Sms, Channel::Portal][..]);
    let content = select(&[None, Some(ContentClass::C1), Some(ContentClass::C2)][..]);
    let answer = select(
        &[
            TaskEvent::CompletedByCrm,
            TaskEvent::Accepted,
            TaskEvent::DeclinedByCrm,
        ][..],
    );
    prop_oneof![
        3 => rule().prop_map(Happens::Evidence),
        2 => rule().prop_map(Happens::TakenBack),
        3 => (rule(), visit).prop_map(|(rule, status)| Happens::Visit(rule, status)),
        3 => (proptest::option::of(channel()), content, any::<bool>())
            .prop_map(|(channel, content, permit)| Happens::Consent(channel, content, permit)),
        1 => channel().prop_map(Happens::Stop),
        1 => (rule(), select(&[Mode::Observe, Mode::Live][..]))
            .prop_map(|(rule, mode)| Happens::Mode(rule, mode)),
        3 => (1_i64..400).prop_map(Happens::Hours),
        4 => Just(Happens::Confirmed),
        2 => (0..4_usize, answer).prop_map(|(task, event)| Happens::Answered(task, event)),
    ]
}

pub(super) struct World {
    site: Site,
    keys: TenantKeys,
    pub(super) record: Record,
    now: Timestamp,
}

impl World {
    pub(super) fn new() -> Self {
        let config = Config::from_texts(Some(("careloop.toml", CLINIC)), &Environment::new());
        let config = config.ok().unwrap();
        let site = Site {
            tenant: TenantId(1),
            config: config.tenants[0].clone(),
            rules: Arc::new(rules()),
            policy: Policy::embedded().ok().unwrap(),
            feeds: std::collections::HashMap::new(),
            is_stopped: std::sync::atomic::AtomicBool::new(false),
        };
        let person = Uuid::from_u128(1);
        let mut record = Record::new(person).unwrap();
        record.contacts.push(ContactRow {
            id: Uuid::from_u128(2),
            person,
            value_index: vec![7],
            rank: 0,
            ended_at: None,
            wrong_at: None,
            contact: Contact {
                system: ContactSystem::Phone,
                value: "555-0100".into(),
                usage: Some("mobile".into()),
                preferred: None,
            },
        });
        let mut world = Self {
            site,
            keys: TenantKeys::fresh(),
            record,
            now: "2026-06-01T15:00:00Z".parse().unwrap(),
        };
        world.say(
            "Patient",
            serde_json::json!({
                "identifiers": [{"value": "TEST-1", "assigner": "RVS", "type": "MR"}],
                "birth_date": "1970-05-05", "language": "en",
                "addresses": [{"state": "NY", "postal": "12207"}],
            }),
        );
        world.say(
            "Pointer",
            serde_json::json!({
                "resource": "Condition", "concept": "anybody", "reference": "P-1", "status": "active",
            }),
        );
        world.consent(None, None, true);
        world
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    fn say(&mut self, entity: &str, values: serde_json::Value) {
        let serde_json::Value::Object(values) = values else {
            panic!("an object")
        };
        let change = Change::read(entity, values).unwrap();
        let origin = Origin {
            person: self.record.person,
            marks: &[],
            source: "adt",
            event_time: self.now,
            message: Uuid::now_v7(),
        };
        for new in origin.assert(&change, &self.record.assertions) {
            self.record.assertions.put(new);
        }
    }

    fn consent(&mut self, channel: Option<Channel>, content: Option<ContentClass>, permit: bool) {
        self.record.entries.push(Entry {
            id: Uuid::now_v7(),
            channel,
            purpose: None,
            content,
            permit,
            from: self.now,
            until: None,
            recorded_at: self.now,
            revoked_at: None,
            method: "verbal".into(),
            source: "desk".into(),
        });
    }

    /// Whether what is known of the person changed.
    pub(super) fn meet(&mut self, what: Happens) -> bool {
        // Two things never happen in the same microsecond.
        self.now += SignedDuration::from_secs(60);
        let day = self.now.to_zoned(self.site.config.zone.clone()).date();
        match what {
            Happens::Evidence(rule) => {
                let (name, ..) = RULES[rule];
                self.say(
                    "Pointer",
                    serde_json::json!({
                        "resource": "Observation", "concept": format!("done-{name}"), "reference": format!("R-{name}"),
                        "status": "final", "date": day.to_string(),
                    }),
                );
            }
            Happens::TakenBack(rule) => {
                let reference = format!("R-{}", RULES[rule].0);
                self.record
                    .assertions
                    .take(|told| told.key.contains(&reference));
            }
            Happens::Visit(rule, status) => {
                let (name, ..) = RULES[rule];
                let start = self.now + SignedDuration::from_hours(24 * 7);
                self.say(
                    "Appointment",
                    serde_json::json!({
                        "identifiers": [{"value": format!("A-{name}"), "assigner": "SCHED"}],
                        "status": status, "start": start.to_string(),
                        "concepts": [format!("visit-{name}")],
                    }),
                );
            }
            Happens::Consent(channel, content, permit) => {
                self.consent(channel, content, permit);
                return true;
            }
            Happens::Stop(channel) => {
                self.record.opt_outs.push(OptOut {
                    contact: None,
                    channel: Some(channel),
                    at: self.now,
                });
                return true;
            }
            Happens::Mode(rule, mode) => {
                let name = format!("rule-{}", RULES[rule].0);
                self.site.config.rule_modes.insert(name, mode);
            }
            Happens::Hours(hours) => self.now += SignedDuration::from_hours(hours),
            Happens::Confirmed => self.all(TaskEvent::Confirmed),
            Happens::Answered(nth, event) => {
                let told = |task: &&mut TaskRow| task.state.was_published();
                if let Some(task) = self.record.tasks.iter_mut().filter(told).nth(nth) {
                    task.state = task.state.after(event).unwrap_or(task.state);
                }
            }
        }
        false
    }

    fn all(&mut self, event: TaskEvent) {
        for task in &mut self.record.tasks {
            task.state = task.state.after(event).unwrap_or(task.state);
        }
    }

    pub(super) fn look(&mut self, retold: bool) -> Effects {
        let desk = Desk {
            site: &self.site,
            keys: &self.keys,
            cause: Cause {
                message: None,
                label: "adt",
                event_time: self.now,
                now: self.now,
                pilot_left: 0,
            },
        };
        let view = self.site.view(&self.record.assertions);
        let mut effects = Effects::default();
        reconcile(&desk, &mut self.record, (&view, retold), &mut effects);
        effects
    }

    /// Runs `with` as if it were part of a look at the person.
    pub(super) fn round<T>(&self, with: impl FnOnce(&Round<'_>) -> T) -> T {
        let desk = Desk {
            site: &self.site,
            keys: &self.keys,
            cause: Cause {
                message: None,
                label: "adt",
                event_time: self.now,
                now: self.now,
                pilot_left: 0,
            },
        };
        let view = self.site.view(&self.record.assertions);
        with(&Round {
            desk: &desk,
            view: &view,
            retold: false,
            next: &mut None,
        })
    }

    pub(super) fn unfinished(&self) -> Vec<&TaskRow> {
        let tasks = self.record.tasks.iter();
        tasks.filter(|task| !task.state.is_terminal()).collect()
    }
}
