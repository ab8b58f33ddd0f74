//! Messages on their way through the pipeline: read, planned, and gathered where they speak of
//! different people and can be written together.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::subject::{self, Subject};
use super::translate::{Translated, translate};
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::Feed;
use crate::store::{Claimed, Effects, TenantKeys, Tx};

/// How many claims may end without an outcome before a person must look: the first, which may be a
/// batch's and then says little of the message, and three of its own.
const ATTEMPTS: i64 = 4;
/// How far a sender's clock may be ahead of ours.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// A message with what it says, before the people are looked up.
pub(super) struct Read {
    pub(super) claimed: Claimed,
    pub(super) content: Result<Vec<Subject>, Outcome>,
}

/// A message with everything it implies.
pub(super) struct Planned {
    pub(super) effects: Vec<Effects>,
    pub(super) outcome: Outcome,
    pub(super) gated: Vec<Uuid>,
}

impl Planned {
    pub(super) const fn ended(outcome: Outcome) -> Self {
        Self {
            effects: Vec::new(),
            outcome,
            gated: Vec::new(),
        }
    }
}

pub(super) fn read(feed: &Feed, keys: &TenantKeys, claimed: Claimed) -> Read {
    let content = if claimed.attempts > ATTEMPTS {
        Err(subject::held(
            Code::AttemptsExhausted,
            "three claims of its own ended without an outcome",
        ))
    } else {
        match &claimed.body {
            Err(code) => Err(subject::held(*code, "the stored body")),
            Ok(body) => match translate(body.open(), feed, keys) {
                Translated::Changes(changes) => subject::group(changes, &feed.trust),
                Translated::Ended(outcome) => Err(outcome),
            },
        }
    };
    Read { claimed, content }
}

/// When it happened, by the sender's clock, where that is not in the future: a message of tomorrow
/// would win over everything that is told until then.
pub(super) fn event_time(claimed: &Claimed) -> Timestamp {
    let latest = claimed.received_at + CLOCKS_DIFFER;
    claimed
        .event_time
        .map_or(claimed.received_at, |at| at.min(latest))
}

/// The claim without the body, for a second try.
pub(super) fn shallow(claimed: &Claimed) -> Claimed {
    Claimed {
        id: claimed.id,
        source: claimed.source.clone(),
        message_type: claimed.message_type.clone(),
        processing_id: claimed.processing_id.clone(),
        event_time: claimed.event_time,
        received_at: claimed.received_at,
        attempts: claimed.attempts,
        is_again: claimed.is_again,
        token: claimed.token,
        body: Err(Code::BodyUnreadable),
    }
}

/// Messages that speak of different people and can be written together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<(Read, Planned)>,
    /// What its messages are planned on. It ends with the batch; versions tell what it missed.
    pub(super) view: Option<Tx>,
    pub(super) people: HashSet<Uuid>,
    pub(super) identifiers: HashSet<String>,
}

impl Batch {
    /// Whether a message may speak of somebody whom the batch already changes.
    pub(super) fn overlaps(&self, read: &Read) -> bool {
        values(read).any(|value| self.identifiers.contains(value))
    }

    /// Whether a plan was made for somebody whom the batch changes.
    pub(super) fn changes(&self, planned: &Planned) -> bool {
        planned
            .effects
            .iter()
            .flat_map(Effects::people)
            .any(|person| self.people.contains(&person))
    }

    pub(super) fn add(&mut self, read: Read, planned: Planned) {
        self.identifiers
            .extend(values(&read).map(ToOwned::to_owned));
        self.people
            .extend(planned.effects.iter().flat_map(Effects::people));
        self.messages.push((read, planned));
    }
}

fn values(read: &Read) -> impl Iterator<Item = &str> {
    let subjects = read.content.iter().flatten();
    subjects.flat_map(|subject| subject.numbers().map(|id| id.value.as_str()))
}
