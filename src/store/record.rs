//! Everything that is known of one person, as the pipeline and the relay look at it. People that
//! were merged into the person are members of the record.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use super::assertions::Assertions;
use super::effects::{Effects, FindingRow, TaskRow};
use crate::config::Mode;
use crate::consent::{ContactPoint, Entry, Hold, OptOut, Sent};
use crate::crm::Contact;
use crate::vault::{Key, KeyId, Place, open, seal};

/// A person's own row and key.
#[derive(Clone)]
pub struct Member {
    /// Whose.
    pub person: Uuid,
    /// The version that was read; 0 for one that is not stored yet.
    pub version: i64,
    pub(super) key: Key,
}

impl Member {
    /// A new person with a fresh key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(person: Uuid) -> Result<Self, Error> {
        Ok(Self {
            person,
            version: 0,
            key: Key::generate(KeyId(1))?,
        })
    }

    pub(super) fn seal<T: Serialize>(
        &self,
        place: &Place<'_>,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let plain =
            serde_json::to_vec(value).map_err(|_unwritable| Error::Form { table: "cell" })?;
        Ok(seal(&self.key, place, &plain)?)
    }

    pub(super) fn open<T: DeserializeOwned>(
        &self,
        place: &Place<'_>,
        cell: &[u8],
        table: &'static str,
    ) -> Result<T, Error> {
        let plain = open(&self.key, place, cell)?;
        serde_json::from_slice(&plain).map_err(|_other_form| Error::Form { table })
    }
}

/// A contact point as stored.
#[derive(Clone)]
pub struct ContactRow {
    /// Its id, which tasks name.
    pub id: Uuid,
    /// Whose.
    pub person: Uuid,
    /// Blind index of the value; equal for everybody who shares it.
    pub value_index: Vec<u8>,
    /// The lowest is tried first.
    pub rank: i64,
    /// When it stopped being current.
    pub ended_at: Option<Timestamp>,
    /// When the CRM found it to be somebody else's; cleared when the EHR stops saying it.
    pub wrong_at: Option<Timestamp>,
    /// What it is.
    pub contact: Contact,
}

/// Everything known of one person.
#[derive(Clone)]
pub struct Record {
    /// The person, the survivor of all merges.
    pub person: Uuid,
    /// The person and those merged into it; the person first.
    pub members: Vec<Member>,
    /// What sources said.
    pub assertions: Assertions,
    /// Contact points.
    pub contacts: Vec<ContactRow>,
    /// Findings.
    pub findings: Vec<FindingRow>,
    /// Tasks.
    pub tasks: Vec<TaskRow>,
    /// Consent entries.
    pub entries: Vec<Entry>,
    /// Opt-outs, those of shared numbers included.
    pub opt_outs: Vec<OptOut>,
    /// Holds in force.
    pub holds: Vec<Hold>,
    /// Restrictions that somebody has read and lifted.
    pub lifts: Vec<Lift>,
    /// What was sent or is about to be in the last seven days.
    pub sent: Vec<(Uuid, Sent)>,
    /// Contacts among them that the CRM told of, each with its task.
    pub contacts_made: Vec<(Uuid, Uuid)>,
    /// Whether pilot mode includes the person by name.
    pub is_pilot: bool,
}

impl Record {
    /// A record of nobody yet.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(person: Uuid) -> Result<Self, Error> {
        Ok(Self::of(person, vec![Member::new(person)?]))
    }

    /// A record of which only the members are known yet.
    pub(super) fn of(person: Uuid, members: Vec<Member>) -> Self {
        Self {
            person,
            members,
            assertions: Assertions::default(),
            contacts: Vec::new(),
            findings: Vec::new(),
            tasks: Vec::new(),
            entries: Vec::new(),
            opt_outs: Vec::new(),
            holds: Vec::new(),
            lifts: Vec::new(),
            sent: Vec::new(),
            contacts_made: Vec::new(),
            is_pilot: false,
        }
    }

    /// Adds the record of a person that is being merged into this one.
    pub fn absorb(&mut self, other: Self) {
        self.members.extend(other.members);
        self.assertions.absorb(other.assertions);
        self.contacts.extend(other.contacts);
        self.findings.extend(other.findings);
        self.tasks.extend(other.tasks);
        self.entries.extend(other.entries);
        self.opt_outs.extend(other.opt_outs);
        self.holds.extend(other.holds);
        self.lifts.extend(other.lifts);
        self.sent.extend(other.sent);
        self.contacts_made.extend(other.contacts_made);
        self.is_pilot |= other.is_pilot;
    }

    /// Takes in findings and tasks as `effects` leave them, for the next plan.
    pub fn follow(&mut self, effects: &Effects) {
        for finding in &effects.findings {
            match self.findings.iter_mut().find(|old| old.id == finding.id) {
                Some(old) => old.clone_from(finding),
                None => self.findings.push(finding.clone()),
            }
        }
        for task in &effects.tasks {
            match self.tasks.iter_mut().find(|old| old.id == task.id) {
                Some(old) => old.clone_from(task),
                None => self.tasks.push(task.clone()),
            }
        }
    }

    /// The record as if nobody had been contacted for this task yet.
    pub fn without_contacts_of(&self, task: Uuid) -> Self {
        let mut without = self.clone();
        let made = &self.contacts_made;
        let own = |contact: &Uuid| made.contains(&(*contact, task));
        without.sent.retain(|(contact, _)| !own(contact));
        without
    }

    /// The contact points as consent looks at them.
    pub fn contact_points(&self) -> Vec<ContactPoint> {
        self.contacts
            .iter()
            .map(|row| ContactPoint {
                id: row.id,
                key: row.value_index.clone(),
                system: row.contact.system,
                usage: row.contact.usage.clone(),
                rank: u32::try_from(row.rank).unwrap_or(u32::MAX),
                ended: row.ended_at.is_some() || row.wrong_at.is_some(),
            })
            .collect()
    }
}

/// A restriction that a named person has read and lifted.
#[derive(Clone)]
pub struct Lift {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub operator: String,
    /// The sealed part.
    pub detail: LiftDetail,
}

/// What was lifted, and why.
#[derive(Clone, Serialize, Deserialize)]
pub struct LiftDetail {
    /// The restriction, in the words in which it stands on record.
    pub restriction: String,
    /// The reason that was given.
    pub reason: String,
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Pilot => "pilot",
        Mode::Live => "live",
    }
}

pub(super) fn mode_from(name: &str) -> Mode {
    match name {
        "live" => Mode::Live,
        "pilot" => Mode::Pilot,
        _ => Mode::Observe,
    }
}
