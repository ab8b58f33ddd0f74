//! Whom a message speaks of: its changes grouped by person, and each person resolved.

use std::collections::HashSet;

use uuid::Uuid;

use super::board::Board;
use super::transfer::{self, Moved, Transfer};
use crate::crm::{
    Change, Demographics, Identifier, IdentifierChange, LinkChange, Match, MergeChange, MoveChange,
    Numbered, PatientChange, Trust, resolve,
};
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::Site;
use crate::store::{Member, Owner, Record};

/// One person of a message with what is said about them.
pub(super) struct Subject {
    /// What is said of the person.
    pub(super) patient: PatientChange,
    /// What else is said.
    pub(super) changes: Vec<Change>,
    /// Records that are merged into this one.
    pub(super) merges: Vec<MergeChange>,
    /// Numbers of this person that are others now.
    pub(super) renumbered: Vec<IdentifierChange>,
    /// What belongs to this person and was somebody else's.
    pub(super) moves: Vec<MoveChange>,
    /// Whether this person is linked with the others of the message, once for each group.
    pub(super) links: Vec<LinkChange>,
}

/// Groups changes by the person that precedes them. Groups that share a usable identifier speak of
/// one person, as a result message with several orders does, and become one.
pub(super) fn group(changes: Vec<Change>, trust: &Trust) -> Result<Vec<Subject>, Outcome> {
    let mut subjects: Vec<Subject> = Vec::new();
    for change in changes {
        match (change, subjects.last_mut()) {
            (Change::Patient(patient), _) => {
                subjects.push(Subject {
                    patient,
                    changes: Vec::new(),
                    merges: Vec::new(),
                    renumbered: Vec::new(),
                    moves: Vec::new(),
                    links: Vec::new(),
                });
            }
            (Change::Merge(merge), Some(subject)) => subject.merges.push(merge),
            (Change::IdentifierChange(change), Some(subject)) => subject.renumbered.push(change),
            (Change::Move(moved), Some(subject)) => subject.moves.push(moved),
            (Change::Link(link), Some(subject)) => subject.links.push(link),
            (change, Some(subject)) => subject.changes.push(change),
            (_, None) => return Err(held(Code::NoIdentifier, "the message names no person")),
        }
    }
    let mut joined: Vec<Subject> = Vec::new();
    for subject in subjects {
        let usable = trust.usable(&subject.patient.identifiers);
        let same = joined.iter_mut().find(|known| {
            let known = trust.usable(&known.patient.identifiers);
            usable.iter().any(|identifier| known.contains(identifier))
        });
        match same {
            Some(known) => known.join(subject),
            None => joined.push(subject),
        }
    }
    Ok(joined)
}

impl Subject {
    /// Takes in what another group of the message says of the same person, in its order.
    fn join(&mut self, other: Self) {
        for identifier in &other.patient.identifiers {
            if !self.patient.identifiers.contains(identifier) {
                self.patient.identifiers.push(identifier.clone());
            }
        }
        self.changes.push(Change::Patient(other.patient));
        self.changes.extend(other.changes);
        self.merges.extend(other.merges);
        self.renumbered.extend(other.renumbered);
        self.moves.extend(other.moves);
        self.links.extend(other.links);
    }

    /// Every number by which this part of the message may reach somebody.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &Identifier> {
        let renumbered = self
            .renumbered
            .iter()
            .flat_map(|one| one.from.iter().chain(&one.to));
        let moved = self.moves.iter();
        let moved = moved.flat_map(|one| one.value.iter().chain(&one.from).chain(&one.to));
        self.patient
            .identifiers
            .iter()
            .chain(self.merges.iter().flat_map(|merge| &merge.retired))
            .chain(renumbered)
            .chain(moved)
    }

    /// The identifiers by which the person is found: their own, the old and new ones of a change,
    /// and not those that are moved.
    fn identifiers(&self, trust: &Trust, transfers: &[Transfer]) -> Vec<Identifier> {
        let mut named = self.patient.identifiers.clone();
        for change in &self.renumbered {
            if change.what == Numbered::Identifier {
                named.extend(change.to.iter().chain(&change.from).cloned());
            }
        }
        named.extend(self.moves.iter().flat_map(|moved| moved.to.iter().cloned()));
        let mut usable = trust.usable(&named);
        usable.retain(|one| !transfers.iter().any(|transfer| transfer.moves(one)));
        usable
    }
}

/// A person found or new, with the identifiers that may be learned and the merges to be made.
pub(super) struct Resolved {
    /// The record, merges absorbed.
    pub(super) record: Record,
    /// Whose assertions the message makes: the member whose identifiers it carries, so that an
    /// undone merge leaves each with what was said of it.
    pub(super) home: Uuid,
    /// Usable identifiers of the person.
    pub(super) identifiers: Vec<Identifier>,
    /// People that become this person.
    pub(super) retired: Vec<Uuid>,
    /// What others give to this person.
    pub(super) moved: Vec<Moved>,
}

pub(super) fn held(code: Code, place: &str) -> Outcome {
    Outcome::Held {
        code,
        place: place.to_owned(),
    }
}

impl Resolved {
    /// Everybody whose rows change.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        let givers = self.moved.iter().flat_map(|moved| &moved.record.members);
        self.record.members.iter().chain(givers)
    }

    /// Whether the message has not spoken of any of these people yet.
    pub(super) fn is_new_to(&self, seen: &mut HashSet<Uuid>) -> bool {
        self.members().all(|member| seen.insert(member.person))
    }
}

/// Who asks: the message, and when it happened.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) message: Uuid,
    pub(super) event_time: jiff::Timestamp,
}

/// Resolves a subject on the board. The inner error is the message's outcome.
pub(super) fn find(
    board: &Board,
    subject: &Subject,
    (site, trust): (&Site, &Trust),
    asked: Asked,
) -> Result<Result<Resolved, Outcome>, crate::store::Error> {
    let transfers = match Transfer::read(&subject.moves, trust) {
        Ok(transfers) => transfers,
        Err(outcome) => return Ok(Err(outcome)),
    };
    let usable = subject.identifiers(trust, &transfers);
    let owners = board.owners(&usable);
    let mut known: Vec<(&Record, Demographics)> = Vec::new();
    for reached in &owners {
        if known.iter().any(|(one, _)| one.person == reached.person) {
            continue;
        }
        if let Some(record) = board.record(reached.person) {
            let view = site.view(&record.assertions);
            known.push((record, view.demographics));
        }
    }
    let candidates: Vec<(Uuid, &Demographics)> = known
        .iter()
        .map(|(record, demographics)| (record.person, demographics))
        .collect();
    let matched = resolve(&usable, &candidates, &subject.patient);
    let mut home = None;
    let mut record = match matched {
        Match::New if !transfers.is_empty() => return Ok(Err(transfer::nobody())),
        Match::New => Record::new(Uuid::now_v7())?,
        Match::Known(person) => match known.iter().find(|(one, _)| one.person == person) {
            Some((record, _)) => (*record).clone(),
            None => return Ok(Err(held(Code::IdentityAmbiguous, "PID-3"))),
        },
        // What a named person said of a doubtful message stands.
        doubtful => match board.meant_by(asked.message) {
            Some((member, record)) => {
                home = Some(member);
                record.clone()
            }
            None => return Ok(Err(doubt(doubtful, subject))),
        },
    };
    board.add_opt_outs(subject, &mut record);
    let resolved = Resolved {
        home: home.unwrap_or_else(|| home_of(&record, &owners)),
        record,
        identifiers: if home.is_some() { Vec::new() } else { usable },
        retired: Vec::new(),
        moved: Vec::new(),
    };
    let merged = merge(board, resolved, &subject.merges, trust, asked);
    Ok(merged.and_then(|resolved| transfer::find(board, resolved, transfers, asked)))
}

/// The one member whose identifiers the message carries; of several, the survivor.
fn home_of(record: &Record, owners: &[Owner]) -> Uuid {
    let mut own = owners
        .iter()
        .filter(|reached| reached.person == record.person);
    match (own.next(), own.next()) {
        (Some(reached), None) => reached.owner,
        _ => record.person,
    }
}

/// Why it cannot be told who is meant.
fn doubt(doubtful: Match, subject: &Subject) -> Outcome {
    match doubtful {
        Match::NoIdentifier => held(Code::NoIdentifier, "PID-3: no identifier is trusted"),
        Match::Conflict => held(
            Code::IdentityConflict,
            "PID-5, PID-7: family name and birth date are another person's",
        ),
        _ if !subject.renumbered.is_empty() => held(
            Code::ChangeUnresolved,
            "PID-3, MRG-1: the old and the new identifier belong to two people",
        ),
        _ => held(Code::IdentityAmbiguous, "PID-3: reaches several people"),
    }
}

/// Adds the records that the subject's merges retire. A retired identifier that nobody has becomes
/// an alias of the survivor; it never makes a person.
fn merge(
    board: &Board,
    mut resolved: Resolved,
    merges: &[MergeChange],
    trust: &Trust,
    asked: Asked,
) -> Result<Resolved, Outcome> {
    for merge in merges {
        let retired = trust.usable(&merge.retired);
        if retired.is_empty() {
            let place = "MRG-1: no identifier is trusted";
            return Err(held(Code::MergeUnknown, place));
        }
        let others: Vec<Uuid> = board
            .people(&retired)
            .into_iter()
            .filter(|person| *person != resolved.record.person)
            .collect();
        match others.as_slice() {
            [] => {}
            [other] => {
                if board.is_undone(asked.message, *other) {
                    // A named person undid this merge; a replay does not make it again.
                    continue;
                }
                if let Some(record) = board.record(*other) {
                    resolved.retired.push(*other);
                    resolved.record.absorb(record.clone());
                }
            }
            _ => {
                let place = "MRG-1: reaches several people";
                return Err(held(Code::MergeUnknown, place));
            }
        }
        for identifier in retired {
            if !resolved.identifiers.contains(&identifier) {
                resolved.identifiers.push(identifier);
            }
        }
    }
    Ok(resolved)
}
