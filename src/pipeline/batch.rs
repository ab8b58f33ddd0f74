//! Messages on their way through the pipeline: read, then planned on a board.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::board::Board;
use super::plan::{Cause, Desk};
use super::subject::{self, Asked, Subject};
use super::told;
use super::translate::{Translated, translate};
use crate::clock;
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::{Feed, Site};
use crate::store::{self, Claim, Claimed, Effects, Record, TenantKeys};

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
    pub(super) claim: Claim,
    pub(super) effects: Vec<Effects>,
    pub(super) outcome: Outcome,
    /// People whose change must pass the gate.
    pub(super) gated: Vec<Uuid>,
    /// Whether it must go by itself: it passes the gate, or changes who is who.
    pub(super) is_apart: bool,
    /// The records as they are afterwards.
    pub(super) after: Vec<Record>,
}

impl Planned {
    pub(super) const fn ended(read: &Read, outcome: Outcome) -> Self {
        Self {
            claim: read.claimed.claim,
            effects: Vec::new(),
            outcome,
            gated: Vec::new(),
            is_apart: false,
            after: Vec::new(),
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

/// Everything that a message implies, on what is on the board.
pub(super) fn plan(
    board: &Board,
    (site, feed): (&Site, &Feed),
    read: &Read,
) -> Result<Planned, store::Error> {
    let content = read.content.as_ref().map_err(Outcome::clone);
    let content = content.and_then(|subjects| Ok((subjects.as_slice(), told::link(subjects)?)));
    let (subjects, link, outcome) = match content {
        Ok((subjects, link)) => (subjects, link, Outcome::Processed),
        Err(outcome) => (&[][..], None, outcome),
    };
    let label = feed.label(&read.claimed.processing_id);
    let desk = Desk {
        site,
        keys: &board.keys,
        cause: Cause {
            message: Some(read.claimed.claim.id),
            label: &label,
            event_time: event_time(&read.claimed),
            now: clock::now(),
            pilot_left: board.pilot_left,
        },
    };
    let mut planned = Planned::ended(read, outcome);
    let asked = Asked {
        message: read.claimed.claim.id,
        event_time: desk.cause.event_time,
    };
    let mut seen: HashSet<Uuid> = HashSet::new();
    let mut people: Vec<Uuid> = Vec::new();
    for subject in subjects {
        let found = subject::find(board, subject, (site, &feed.trust), asked)?;
        let outcome = match found {
            Ok(resolved) if resolved.is_new_to(&mut seen) => {
                people.push(resolved.record.person);
                planned.add(&desk, subject, resolved);
                continue;
            }
            // Whom the EHR links is one person already; each group's own messages tell the rest.
            Ok(_) if link == Some(true) => continue,
            Ok(_) if link == Some(false) => told::one_already(),
            Ok(_) => subject::held(
                Code::IdentityAmbiguous,
                "PID: groups with different identifiers reach one person",
            ),
            Err(outcome) => outcome,
        };
        planned = Planned::ended(read, outcome);
        people.clear();
        break;
    }
    if let Some(is_linked) = link {
        planned.relate(&desk, &people, is_linked);
    }
    if read.claimed.is_again {
        planned.forget(board, &desk);
    }
    Ok(planned)
}

impl Planned {
    fn add(&mut self, desk: &Desk<'_>, subject: &Subject, found: subject::Resolved) {
        let stored: Vec<Uuid> = found
            .members()
            .filter(|member| member.version > 0)
            .map(|member| member.person)
            .collect();
        self.is_apart |= !found.retired.is_empty() || !found.moved.is_empty();
        let (planned, gated) = desk.plan(subject, found);
        for (effects, record) in planned {
            self.effects.push(effects);
            self.after.push(record);
        }
        if gated {
            self.is_apart = true;
            self.gated.extend(stored);
        }
    }

    /// A message that is done again may mean somebody else now, or nobody: what it told of others
    /// before is taken back.
    fn forget(&mut self, board: &Board, desk: &Desk<'_>) {
        let spoken: HashSet<Uuid> = self.effects.iter().flat_map(Effects::people).collect();
        let Some(message) = desk.cause.message else {
            return;
        };
        for record in board.told_by(message) {
            if !spoken.contains(&record.person) {
                let (effects, record) = desk.take_back(record.clone(), message);
                self.effects.push(effects);
                self.after.push(record);
            }
        }
    }
}
