//! Whom a message speaks of: its changes grouped by person, and each person resolved.

use uuid::Uuid;

use super::transfer::{self, Moved, Transfer};
use crate::crm::{
    Change, Demographics, Identifier, IdentifierChange, Match, MergeChange, MoveChange, Numbered,
    PatientChange, Trust, resolve,
};
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::Site;
use crate::store::{Owner, Record, Tx};

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
                });
            }
            (Change::Merge(merge), Some(subject)) => subject.merges.push(merge),
            (Change::IdentifierChange(change), Some(subject)) => subject.renumbered.push(change),
            (Change::Move(moved), Some(subject)) => subject.moves.push(moved),
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

/// Who asks: the message, when it happened, and when it is looked at.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) message: Option<Uuid>,
    pub(super) event_time: jiff::Timestamp,
    pub(super) now: jiff::Timestamp,
}

/// Resolves a subject against the store. The inner error is the message's outcome.
pub(super) async fn find(
    tx: &mut Tx,
    subject: &Subject,
    (site, trust): (&Site, &Trust),
    asked: Asked,
) -> Result<Result<Resolved, Outcome>, crate::store::Error> {
    let transfers = match Transfer::read(&subject.moves, trust) {
        Ok(transfers) => transfers,
        Err(outcome) => return Ok(Err(outcome)),
    };
    let usable = subject.identifiers(trust, &transfers);
    let owners = tx.find_owners(&usable).await?;
    let mut known: Vec<(Uuid, Record, Demographics)> = Vec::new();
    for reached in &owners {
        if known.iter().any(|(person, ..)| *person == reached.person) {
            continue;
        }
        if let Some(record) = tx.load(reached.person, asked.now).await? {
            let view = site.view(&record.assertions);
            known.push((reached.person, record, view.demographics));
        }
    }
    let candidates: Vec<(Uuid, &Demographics)> = known
        .iter()
        .map(|(person, _, demographics)| (*person, demographics))
        .collect();
    let matched = resolve(&usable, &candidates, &subject.patient);
    let mut home = None;
    let record = match matched {
        Match::New if !transfers.is_empty() => return Ok(Err(transfer::nobody())),
        Match::New => Record::new(Uuid::now_v7())?,
        Match::Known(person) => match known.into_iter().find(|(id, ..)| *id == person) {
            Some((_, record, _)) => record,
            None => return Ok(Err(held(Code::IdentityAmbiguous, "PID-3"))),
        },
        doubtful => match said_by_a_person(tx, asked).await? {
            Some((member, record)) => {
                home = Some(member);
                record
            }
            None => return Ok(Err(doubt(doubtful, subject))),
        },
    };
    let resolved = Resolved {
        home: home.unwrap_or_else(|| home_of(&record, &owners)),
        record,
        identifiers: if home.is_some() { Vec::new() } else { usable },
        retired: Vec::new(),
        moved: Vec::new(),
    };
    match merge(tx, resolved, &subject.merges, trust, asked).await? {
        Ok(resolved) => transfer::find(tx, resolved, transfers, asked).await,
        Err(outcome) => Ok(Err(outcome)),
    }
}

/// Whom a named person said that a doubtful message means.
async fn said_by_a_person(
    tx: &mut Tx,
    asked: Asked,
) -> Result<Option<(Uuid, Record)>, crate::store::Error> {
    let Some(message) = asked.message else {
        return Ok(None);
    };
    let Some(person) = tx.meant_by(message).await? else {
        return Ok(None);
    };
    let record = tx.load(person, asked.now).await?;
    Ok(record.map(|record| (person, record)))
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
async fn merge(
    tx: &mut Tx,
    mut resolved: Resolved,
    merges: &[MergeChange],
    trust: &Trust,
    asked: Asked,
) -> Result<Result<Resolved, Outcome>, crate::store::Error> {
    for merge in merges {
        let retired = trust.usable(&merge.retired);
        if retired.is_empty() {
            return Ok(Err(held(
                Code::MergeUnknown,
                "MRG-1: no identifier is trusted",
            )));
        }
        let people = tx.find_people(&retired).await?;
        let others: Vec<Uuid> = people
            .into_iter()
            .filter(|person| *person != resolved.record.person)
            .collect();
        match others.as_slice() {
            [] => {}
            [other] => {
                if let Some(message) = asked.message
                    && tx.is_undone(message, *other).await?
                {
                    // A named person undid this merge; a replay does not make it again.
                    continue;
                }
                if let Some(record) = tx.load(*other, asked.now).await? {
                    resolved.retired.push(*other);
                    resolved.record.absorb(record);
                }
            }
            _ => {
                return Ok(Err(held(
                    Code::MergeUnknown,
                    "MRG-1: reaches several people",
                )));
            }
        }
        for identifier in retired {
            if !resolved.identifiers.contains(&identifier) {
                resolved.identifiers.push(identifier);
            }
        }
    }
    Ok(Ok(resolved))
}
