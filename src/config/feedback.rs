//! What happens to tasks that come back: how long findings rest, when a task goes to a wider team.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::file::{self, Maybe};
use super::load::{Check, Place};
use super::words::Lasting;
use super::{DEFAULT_TEAM, Team, Tenant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a tenant deals with answers, and with none.
#[derive(Clone, Debug)]
pub struct Feedback {
    /// Whether the CRM answers at all. Without answers nothing escalates, and evidence alone ends
    /// a finding.
    pub answers: bool,
    /// How long evidence may take after a task was done.
    pub evidence_within: Duration,
    /// How long a finding rests after the person declined.
    pub decline_rest: Duration,
    /// How long a finding rests after nobody could be reached.
    pub unreachable_rest: Duration,
    /// Tasks made for one finding before a wider team gets the last one.
    pub attempts: u32,
    /// What differs for findings of one rule, by its id.
    pub rests: BTreeMap<String, RuleRests>,
}

/// How long findings of one rule rest, where that differs from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleRests {
    /// How long evidence may take after a task was done.
    pub evidence_within: Option<Duration>,
    /// How long a finding rests after the person declined.
    pub decline_rest: Option<Duration>,
    /// How long a finding rests after nobody could be reached.
    pub unreachable_rest: Option<Duration>,
}

/// `rests` of one rule as written.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRests {
    evidence_within: Option<Lasting>,
    decline_rest: Option<Lasting>,
    unreachable_rest: Option<Lasting>,
}

impl WrittenRests {
    fn read(&self) -> RuleRests {
        let lasting = |one: Option<Lasting>| one.map(|lasting| lasting.0);
        RuleRests {
            evidence_within: lasting(self.evidence_within),
            decline_rest: lasting(self.decline_rest),
            unreachable_rest: lasting(self.unreachable_rest),
        }
    }
}

impl Default for Feedback {
    fn default() -> Self {
        Self {
            answers: true,
            evidence_within: 30 * DAY,
            decline_rest: 180 * DAY,
            unreachable_rest: 7 * DAY,
            attempts: 3,
            rests: BTreeMap::new(),
        }
    }
}

/// What a tenant says of feedback, over the defaults.
pub(super) fn of(check: &mut Check<'_>, place: &Place, written: &file::Tenant) -> Feedback {
    let default = Feedback::default();
    let lasting =
        |one: &Maybe<Lasting>, default| one.as_ref().map_or(default, |lasting| lasting.get_ref().0);
    if let Some(attempts) = &written.attempts
        && !(1..=10).contains(attempts.get_ref())
    {
        let says = format!("expected 1 to 10 attempts, found {}", attempts.get_ref());
        let next = "a finding that nobody can be reached about ends with a wider team";
        check.report(&place.key("attempts", attempts), &says, next);
    }
    Feedback {
        answers: written.feedback.unwrap_or(default.answers),
        evidence_within: lasting(&written.evidence_within, default.evidence_within),
        decline_rest: lasting(&written.decline_rest, default.decline_rest),
        unreachable_rest: lasting(&written.unreachable_rest, default.unreachable_rest),
        attempts: written
            .attempts
            .as_ref()
            .map_or(default.attempts, |attempts| *attempts.get_ref()),
        rests: written
            .rests
            .iter()
            .map(|(rule, rests)| (rule.0.clone(), rests.read()))
            .collect(),
    }
}

/// When a task that nobody took goes to a wider team, by priority; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscalateAfter {
    /// `routine`.
    pub routine: Option<Duration>,
    /// `urgent`.
    pub urgent: Option<Duration>,
    /// `asap`.
    pub asap: Option<Duration>,
    /// `stat`.
    pub stat: Option<Duration>,
}

impl EscalateAfter {
    fn of(&self, priority: &str) -> Option<Duration> {
        match priority {
            "stat" => self.stat,
            "asap" => self.asap,
            "urgent" => self.urgent,
            _ => self.routine,
        }
    }
}

impl Tenant {
    /// Every rule that the configuration names.
    pub fn named_rules(&self) -> impl Iterator<Item = &String> {
        self.rule_modes.keys().chain(self.feedback.rests.keys())
    }

    /// How long a task may wait on this routing key until somebody takes it; `None` where it waits
    /// until its due date.
    pub fn escalates_after(&self, routing_key: &str) -> Option<Duration> {
        let (team, priority) = self.team_on(routing_key)?;
        team.escalate_after.of(priority)
    }

    /// The routing key of the next wider team; `None` where there is none.
    pub fn wider(&self, routing_key: &str) -> Option<String> {
        let (team, priority) = self.team_on(routing_key)?;
        let to = team.escalate_to.as_deref()?;
        let known = self.teams.iter().find(|team| team.name == to);
        let location = known.map_or(team.location.as_str(), |team| team.location.as_str());
        Some(format!("{}.{location}.{to}.{priority}", self.name))
    }

    /// The teams that only escalations reach and that no `[[team]]` describes: their locations.
    pub fn implied_wider(&self) -> impl Iterator<Item = &str> {
        let implied = self
            .teams
            .iter()
            .filter(|team| team.escalate_to.as_deref() == Some(DEFAULT_TEAM));
        implied
            .filter(|_| !self.teams.iter().any(|team| team.name == DEFAULT_TEAM))
            .map(|team| team.location.as_str())
    }

    fn team_on<'k>(&self, routing_key: &'k str) -> Option<(&Team, &'k str)> {
        let mut parts = routing_key.split('.').skip(1);
        let (location, name, priority) = (parts.next()?, parts.next()?, parts.next()?);
        let team = self
            .teams
            .iter()
            .find(|team| team.location == location && team.name == name)?;
        Some((team, priority))
    }
}

/// `escalate_after` as written: one duration, or one for each priority.
#[derive(Clone)]
pub(super) struct Written(pub(super) EscalateAfter);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ByPriority {
    routine: Option<Lasting>,
    urgent: Option<Lasting>,
    asap: Option<Lasting>,
    stat: Option<Lasting>,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"2d\" or { urgent = \"4h\", routine = \"2d\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                let after = Lasting::deserialize(serde::de::value::StrDeserializer::new(text))?;
                let after = Some(after.0);
                Ok(Written(EscalateAfter {
                    routine: after,
                    urgent: after,
                    asap: after,
                    stat: after,
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                let by = ByPriority::deserialize(MapAccessDeserializer::new(map))?;
                let lasting = |one: Option<Lasting>| one.map(|lasting| lasting.0);
                Ok(Written(EscalateAfter {
                    routine: lasting(by.routine),
                    urgent: lasting(by.urgent),
                    asap: lasting(by.asap),
                    stat: lasting(by.stat),
                }))
            }
        }

        from.deserialize_any(Reader)
    }
}
