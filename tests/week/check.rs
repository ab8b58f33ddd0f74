//! What must be true of a week, whatever happened in it. Pure: a history in, violations out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::crm::ENDING;
use crate::history::{Envelope, History};
use crate::hours::Policy;
use crate::plan::{Meaning, SOURCES};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// The kind, such as `lost` or `quiet-hours`.
    pub(crate) kind: &'static str,
    /// What it is about: a control id, a task, a person's number.
    pub(crate) id: String,
    /// In words.
    pub(crate) told: String,
}

/// Kinds of violation.
pub(crate) const KINDS: &[&str] = &[
    "lost",
    "duplicated",
    "miscounted",
    "unfinished",
    "unexplained",
    "unknown-person",
    "against-consent",
    "quiet-hours",
    "cap",
    "version",
    "two-tasks",
    "trouble",
    "left-behind",
];

/// States of a task in this week (nothing observes, nothing is dead-lettered), and whether one in it needs a reason.
const STATES: &[(&str, bool)] = &[
    ("queued", false),
    ("requested", false),
    ("accepted", false),
    ("in-progress", false),
    ("cancelled", false),
    ("completed", false),
    ("failed", false),
    ("deferred", true),
    ("withheld", true),
    ("expired", true),
];

/// Looks at a history and notes what is wrong.
pub(crate) struct Finder<'h> {
    pub(crate) history: &'h History,
    found: BTreeSet<Violation>,
}

/// Everything that is wrong.
pub(crate) fn check(history: &History, policy: &Policy) -> Vec<Violation> {
    let mut finder = Finder {
        history,
        found: BTreeSet::new(),
    };
    finder.messages();
    finder.counts();
    finder.tasks();
    finder.contacts(policy);
    finder.caps(policy);
    finder.versions();
    finder.one_each();
    finder.troubles();
    for envelope in &history.left {
        finder.say("left-behind", envelope, "was due and has not left");
    }
    finder.found.into_iter().collect()
}

impl Finder<'_> {
    /// Notes a violation.
    pub(crate) fn say(&mut self, kind: &'static str, id: impl ToString, told: impl ToString) {
        self.found.insert(Violation {
            kind,
            id: id.to_string(),
            told: told.to_string(),
        });
    }

    /// What was acknowledged is there, once, and finished. Without a header there is no control id:
    /// such frames count by their bytes.
    fn messages(&mut self) {
        let mut stored: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for one in &self.history.stored {
            *stored.entry((&one.source, &one.control)).or_default() += 1;
        }
        let mut kept: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut refused: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for one in &self.history.sent {
            let key = (SOURCES[one.source].0, one.control.as_str());
            let of = if one.is_accepted() {
                &mut kept
            } else {
                &mut refused
            };
            of.entry(key).or_default().insert(&one.text);
            if one.meaning != Meaning::Malformed && !one.is_accepted() {
                self.say(
                    "lost",
                    &one.control,
                    format!("{} has {:?} for it", key.0, one.code),
                );
            }
        }
        for ((source, control), texts) in &kept {
            let there = stored.get(&(*source, *control)).copied().unwrap_or(0);
            let more = refused.get(&(*source, *control)).map_or(0, BTreeSet::len);
            if there < texts.len() {
                self.say(
                    "lost",
                    control,
                    format!("{source} has an acknowledgement, the hub has nothing"),
                );
            } else if there > texts.len() + more {
                self.say("duplicated", control, "is stored more than once");
            }
        }
        for (source, control) in stored.keys() {
            if !kept.contains_key(&(*source, *control))
                && !refused.contains_key(&(*source, *control))
            {
                self.say("duplicated", control, "is stored and was never sent");
            }
        }
        for one in &self.history.stored {
            if !matches!(one.state.as_str(), "processed" | "ignored" | "held")
                || one.finished.is_none()
            {
                self.say("unfinished", &one.control, format!("is {}", one.state));
            }
        }
    }

    /// The hub's own sum, the store's rows and the senders' acknowledgements agree.
    fn counts(&mut self) {
        let count = |name: &str| self.history.counts[name].as_u64().unwrap_or(u64::MAX);
        let (received, waiting) = (count("received"), count("waiting"));
        let sum = [waiting, count("processed"), count("ignored"), count("held")]
            .iter()
            .fold(0, |a: u64, b| a.saturating_add(*b));
        let rows = self.history.stored.len() as u64;
        if received != sum || received != rows || waiting != 0 {
            self.say(
                "miscounted",
                "message count",
                format!("{received} received, {sum} accounted for, {rows} rows, {waiting} waiting"),
            );
        }
    }

    /// The hub explains each task, and knows each that the CRM knows.
    fn tasks(&mut self) {
        let mut listed: BTreeMap<String, &Value> = BTreeMap::new();
        for task in &self.history.tasks {
            let (id, state) = (word(task, "id"), word(task, "state"));
            match STATES.iter().find(|(name, _)| *name == state) {
                None => self.say("unexplained", &id, format!("is in the state {state:?}")),
                Some((_, needs_reason)) => {
                    let codes = task["reason_codes"].as_array().map_or(0, Vec::len);
                    if *needs_reason && (codes == 0 || word(task, "reason").is_empty()) {
                        self.say("unexplained", &id, format!("is {state} for no reason"));
                    }
                    if state == "requested" && word(task, "decision").is_empty() {
                        self.say("unexplained", &id, "left without a decision");
                    }
                }
            }
            self.shown(&id, &state);
            listed.insert(id, task);
        }
        for envelope in &self.history.crm.received {
            match listed.get(&envelope.task) {
                None => self.say(
                    "unexplained",
                    &envelope.task,
                    "was received and is not listed",
                ),
                Some(task) if task["version"].as_u64().unwrap_or(0) < envelope.version => {
                    self.say(
                        "unexplained",
                        &envelope.task,
                        "is listed in an older version than was received",
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// What `task show` says of a task: the same state, and each reason as a sentence.
    fn shown(&mut self, id: &str, state: &str) {
        let Some(shown) = self.history.shown.get(id) else {
            self.say("unexplained", id, "cannot be shown");
            return;
        };
        let topics = shown["topics"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        // After a merge is undone a reason may be somebody else's: then it is not told here.
        let is_told = |topic: &Value| {
            let stands = word(topic, "stands");
            let is_theirs = stands == "no: patient-merged";
            !stands.is_empty() && (is_theirs || !word(topic, "sentence").is_empty())
        };
        if word(shown, "state") != state || topics.is_empty() || !topics.iter().all(is_told) {
            self.say("unexplained", id, "is shown without its state or reasons");
        }
    }

    /// Versions of a task only grow, and each message is itself.
    fn versions(&mut self) {
        let mut last: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        let mut ids: BTreeMap<&str, &Envelope> = BTreeMap::new();
        for one in &self.history.crm.received {
            if let Some(first) = ids.insert(&one.id, one) {
                if (&first.task, first.version) != (&one.task, one.version) {
                    self.say(
                        "version",
                        &one.task,
                        "has an id that came with something else",
                    );
                }
                continue;
            }
            if let Some((version, _)) = last.get(one.task.as_str())
                && *version >= one.version
            {
                self.say(
                    "version",
                    &one.task,
                    format!("came as {} after {version}", one.version),
                );
            }
            last.insert(&one.task, (one.version, &one.id));
        }
    }

    /// One unfinished task for a person and reason; people who were merged count as one.
    fn one_each(&mut self) {
        let history = self.history;
        let mut latest: BTreeMap<&str, &Envelope> = BTreeMap::new();
        for one in &history.crm.received {
            let known = latest.entry(&one.task).or_insert(one);
            if one.version >= known.version {
                *known = one;
            }
        }
        let ended = |task: &str| {
            let mut answers = history
                .crm
                .answered
                .iter()
                .filter(|answer| answer.task == task);
            answers.any(|answer| ENDING.contains(&answer.outcome.as_str()))
        };
        let end = latest.values().map(|one| one.at).max().unwrap_or_default();
        let mut open: BTreeMap<(usize, String), Vec<&str>> = BTreeMap::new();
        for one in latest
            .values()
            .filter(|one| !one.is_cancelled() && !ended(&one.task))
        {
            let Some(number) = history.number(&one.person) else {
                continue;
            };
            let root = history
                .group(number, end)
                .into_iter()
                .min()
                .unwrap_or(number);
            let reasons: BTreeSet<String> = one
                .topics
                .iter()
                .map(|(gap, kind)| {
                    if kind == "chronic-follow-up" {
                        kind.clone()
                    } else {
                        gap.clone()
                    }
                })
                .collect();
            for reason in reasons {
                open.entry((root, reason)).or_default().push(&one.task);
            }
        }
        for ((person, reason), tasks) in open {
            if tasks.len() > 1 {
                self.say(
                    "two-tasks",
                    tasks.join(" "),
                    format!("person {person} for {reason}"),
                );
            }
        }
    }
}

fn word(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
