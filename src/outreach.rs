//! The decision about one task, from one record: asked when the task is made, and again when it is
//! published.

use jiff::Timestamp;

use crate::consent::{self, Ask, Decision, Facts, Hold, Policy, Sent};
use crate::crm::{Demographics, View};
use crate::store::{Record, TaskDetail};

/// A task that is to leave.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The task's id, whose own reserved slot does not count against it.
    pub task: uuid::Uuid,
    /// What it is.
    pub detail: &'a TaskDetail,
    /// When it must be done.
    pub due_at: Timestamp,
    /// Whether its finding is still open.
    pub still_needed: bool,
}

/// May this task leave at `now`?
pub fn decide(
    request: &Request<'_>,
    record: &Record,
    view: &View,
    policy: &Policy,
    now: Timestamp,
) -> Decision {
    let demographics = &view.demographics;
    let holds = holds(record, demographics);
    let contact_points = record.contact_points();
    let states = states(demographics);
    let sent: Vec<Sent> = record
        .sent
        .iter()
        .filter(|(task, _)| *task != request.task)
        .map(|(_, sent)| *sent)
        .collect();
    let ask = Ask {
        channels: &request.detail.channels,
        purpose: request.detail.purpose,
        content: request.detail.content,
        task_due: request.due_at,
        still_needed: request.still_needed,
        cancellation: false,
        emergency_reason: None,
    };
    let facts = Facts {
        deceased: demographics.deceased,
        merged_away: false,
        holds: &holds,
        entries: &record.entries,
        opt_outs: &record.opt_outs,
        contact_points: &contact_points,
        sent: &sent,
        zone: None,
        states: &states,
        birth_date: demographics.birth_date,
        language: demographics.language.as_deref(),
        templates: &[],
    };
    consent::decide(&ask, &facts, policy, now)
}

/// A field that may restrict contact and cannot be read yet counts as a restriction.
fn holds(record: &Record, demographics: &Demographics) -> Vec<Hold> {
    let mut holds = record.holds.clone();
    if !demographics.restrictions.is_empty() {
        holds.push(Hold::RestrictionNotRead);
    }
    holds
}

/// The states whose hours may bind: those of every address on record.
fn states(demographics: &Demographics) -> Vec<String> {
    let mut states: Vec<String> = demographics
        .addresses
        .iter()
        .filter_map(|address| address.state.as_deref())
        .map(|state| state.trim().to_uppercase())
        .filter(|state| state.len() == 2)
        .collect();
    states.sort_unstable();
    states.dedup();
    states
}
