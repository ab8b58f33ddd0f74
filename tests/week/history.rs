//! What everybody remembers of the week: what the checker reads, and nothing of how it came about.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::crm::Memory;
use crate::sender::Sent;
use crate::webhook::Notice;

/// A message of the hub, as the CRM had it.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) version: u64,
    /// `requested`, `revised` or `cancelled`.
    pub(crate) kind: String,
    /// The ULID of the person.
    pub(crate) person: String,
    /// Finding ids with the topics' kinds.
    pub(crate) topics: Vec<(String, String)>,
    pub(crate) channel: String,
    pub(crate) contact_point: String,
    pub(crate) purpose: String,
    /// When the hub decided that it may leave.
    pub(crate) decided: Option<Timestamp>,
}

impl Envelope {
    /// Reads a body.
    pub(crate) fn of(body: &Value, at: Timestamp) -> Self {
        let data = &body["data"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = word(&body["type"]);
        let topics = data["topics"].as_array().cloned().unwrap_or_default();
        let (contact, consent) = (&data["contact"], &data["consent"]);
        Self {
            at,
            id: word(&body["id"]),
            task: word(&data["task"]["id"]),
            version: data["task"]["version"].as_u64().unwrap_or(0),
            kind: kind
                .trim_end_matches(".v1")
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_owned(),
            person: word(&data["for"]).replace("Patient/", ""),
            topics: topics
                .iter()
                .map(|topic| (word(&topic["gapId"]), word(&topic["kind"])))
                .collect(),
            channel: word(&contact["channel"]),
            contact_point: word(&contact["contactPoint"]),
            purpose: word(&consent["purpose"]),
            decided: consent["evaluatedAt"]
                .as_str()
                .and_then(|at| at.parse().ok()),
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.kind == "cancelled"
    }
}

/// A content that was given.
#[derive(Clone, Debug)]
pub(crate) struct Released {
    pub(crate) task: String,
    /// When the hub decided that it may be given.
    pub(crate) at: Timestamp,
    pub(crate) person: String,
    pub(crate) channel: String,
    pub(crate) contact_point: String,
}

impl Released {
    /// Reads a body.
    pub(crate) fn of(body: &Value, task: &str) -> Self {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            task: task.to_owned(),
            at: body["checkedAt"]
                .as_str()
                .and_then(|at| at.parse().ok())
                .unwrap_or_default(),
            person: word(&body["person"]["id"]).replace("Patient/", ""),
            channel: word(&body["contact"]["channel"]),
            contact_point: word(&body["contact"]["contactPoint"]["id"]),
        }
    }
}

/// An answer of the CRM.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) id: String,
    pub(crate) task: String,
    /// The version that it answers.
    pub(crate) version: u64,
    pub(crate) outcome: String,
    pub(crate) scope: Option<String>,
    pub(crate) at: Timestamp,
}

/// A stored message.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) source: String,
    pub(crate) control: String,
    pub(crate) state: String,
    pub(crate) received: Timestamp,
    pub(crate) finished: Option<Timestamp>,
}

/// From when on a person must not be contacted, and how.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub(crate) person: usize,
    pub(crate) at: Timestamp,
    /// This channel only.
    pub(crate) channel: Option<String>,
    /// This contact point only.
    pub(crate) contact_point: Option<String>,
    /// What said so.
    pub(crate) why: String,
}

/// Two people who were one for a while.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) survivor: usize,
    pub(crate) retired: usize,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

/// Something that was taken away, and given back.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    /// The trouble that should be told.
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
}

/// From when on something is a trouble.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// How long a message may wait.
    pub(crate) waiting: SignedDuration,
    /// How long a task may be without an answer.
    pub(crate) unanswered: SignedDuration,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) sent: Vec<Sent>,
    pub(crate) stored: Vec<Stored>,
    /// `message count --json`.
    pub(crate) counts: Value,
    /// `task list --json`.
    pub(crate) tasks: Vec<Value>,
    /// `task show --json`, by task.
    pub(crate) shown: BTreeMap<String, Value>,
    pub(crate) crm: Memory,
    /// Numbers by ULID.
    pub(crate) people: BTreeMap<String, usize>,
    /// States by number.
    pub(crate) states: Vec<&'static str>,
    /// Phones by number.
    pub(crate) phones: Vec<String>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) links: Vec<Link>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) outages: Vec<Outage>,
    /// Envelopes that were due and had not left.
    pub(crate) left: Vec<String>,
    pub(crate) limits: Limits,
    /// When the hub was stopped.
    pub(crate) ended: Timestamp,
    /// How far the clocks of two processes may be apart.
    pub(crate) slack: SignedDuration,
}

impl History {
    /// The number of a person in an envelope.
    pub(crate) fn number(&self, ulid: &str) -> Option<usize> {
        self.people.get(ulid).copied()
    }

    /// Everybody who was this person at an instant.
    pub(crate) fn group(&self, person: usize, at: Timestamp) -> Vec<usize> {
        let mut group = vec![person];
        let mut next = 0;
        while let Some(one) = group.get(next).copied() {
            next += 1;
            let standing = self
                .links
                .iter()
                .filter(|link| link.from <= at && link.until.is_none_or(|until| at < until));
            let both = standing
                .flat_map(|link| [(link.survivor, link.retired), (link.retired, link.survivor)]);
            for (_, there) in both.filter(|(here, _)| *here == one) {
                if !group.contains(&there) {
                    group.push(there);
                }
            }
        }
        group
    }
}
