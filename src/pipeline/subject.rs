//! Whom a message speaks of: its changes grouped by person, and each person resolved.

use uuid::Uuid;

use crate::crm::{
    Change, Demographics, Identifier, Match, MergeChange, PatientChange, Trust, resolve,
};
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::Site;
use crate::store::{Record, Tx};

/// One person of a message with what is said about them.
pub(super) struct Subject {
    /// What is said of the person.
    pub(super) patient: PatientChange,
    /// What else is said.
    pub(super) changes: Vec<Change>,
    /// Records that are merged into this one.
    pub(super) merges: Vec<MergeChange>,
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
                });
            }
            (Change::Merge(merge), Some(subject)) => subject.merges.push(merge),
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
    }
}

/// A person found or new, with the identifiers that may be learned and the merges to be made.
pub(super) struct Resolved {
    /// The record, merges absorbed.
    pub(super) record: Record,
    /// Usable identifiers of the person.
    pub(super) identifiers: Vec<Identifier>,
    /// People that become this person.
    pub(super) retired: Vec<Uuid>,
}

pub(super) fn held(code: Code, place: &str) -> Outcome {
    Outcome::Held {
        code,
        place: place.to_owned(),
    }
}

/// Resolves a subject against the store. The inner error is the message's outcome.
pub(super) async fn find(
    tx: &mut Tx,
    subject: &Subject,
    (site, trust): (&Site, &Trust),
    now: jiff::Timestamp,
) -> Result<Result<Resolved, Outcome>, crate::store::Error> {
    let usable = trust.usable(&subject.patient.identifiers);
    let people = tx.find_people(&usable).await?;
    let mut known: Vec<(Uuid, Record, Demographics)> = Vec::new();
    for person in people {
        if let Some(record) = tx.load(person, now).await? {
            let view = site.view(&record.assertions);
            known.push((person, record, view.demographics));
        }
    }
    let candidates: Vec<(Uuid, &Demographics)> = known
        .iter()
        .map(|(person, _, demographics)| (*person, demographics))
        .collect();
    let record = match resolve(&usable, &candidates, &subject.patient) {
        Match::NoIdentifier => {
            return Ok(Err(held(
                Code::NoIdentifier,
                "PID-3: no identifier is trusted",
            )));
        }
        Match::Ambiguous => {
            return Ok(Err(held(
                Code::IdentityAmbiguous,
                "PID-3: reaches several people",
            )));
        }
        Match::Conflict => {
            return Ok(Err(held(
                Code::IdentityConflict,
                "PID-5, PID-7: family name and birth date are another person's",
            )));
        }
        Match::New => Record::new(Uuid::now_v7())?,
        Match::Known(person) => match known.into_iter().find(|(id, ..)| *id == person) {
            Some((_, record, _)) => record,
            None => return Ok(Err(held(Code::IdentityAmbiguous, "PID-3"))),
        },
    };
    let resolved = Resolved {
        record,
        identifiers: usable,
        retired: Vec::new(),
    };
    merge(tx, resolved, &subject.merges, trust, now).await
}

/// Adds the records that the subject's merges retire. A retired identifier that nobody has becomes
/// an alias of the survivor; it never makes a person.
async fn merge(
    tx: &mut Tx,
    mut resolved: Resolved,
    merges: &[MergeChange],
    trust: &Trust,
    now: jiff::Timestamp,
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
                if let Some(record) = tx.load(*other, now).await? {
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
