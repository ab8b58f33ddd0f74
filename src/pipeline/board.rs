//! What a batch is planned on: the records of everybody its messages may speak of, read together,
//! and kept in step with what each message implies, so that the next one is planned on that.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use super::batch::{Planned, Read};
use super::pilot::pilot_left;
use super::plan::contact_index;
use super::subject::Subject;
use crate::clock;
use crate::consent::OptOut;
use crate::crm::{Change, Identifier, PatientChange};
use crate::site::{Feed, Site};
use crate::store::{Effects, Owner, Past, Record, Store, TenantKeys};

/// The records that a batch is planned on.
pub(super) struct Board {
    pub(super) keys: Arc<TenantKeys>,
    /// Tasks that pilot mode may still release today.
    pub(super) pilot_left: u32,
    /// Whose blind indexes of identifiers are.
    found: HashMap<Vec<u8>, Owner>,
    records: HashMap<Uuid, Record>,
    /// Who people are now, after merges.
    whose: HashMap<Uuid, Uuid>,
    /// Opt-outs of the contact points that the messages name, whoever has them.
    opted: HashMap<Vec<u8>, Vec<OptOut>>,
    /// When identifiers that are to move were last given to somebody.
    assigned: HashMap<Vec<u8>, Timestamp>,
    /// What is known of messages that were processed before.
    past: Past,
    /// People whose rows will differ from what is here: they are read again before the next plan.
    worn: HashSet<Uuid>,
}

impl Board {
    /// Reads everything that the messages may touch, in few statements however many they are.
    pub(super) async fn read(
        store: &Store,
        site: &Site,
        feed: &Feed,
        messages: &[&Read],
    ) -> Result<Self, Error> {
        let now = clock::now();
        let pilot_left = pilot_left(store, site, now).await?;
        let mut tx = store.read(site.tenant).await?;
        let keys = tx.shared_keys();
        let named = Named::of(messages, feed, &keys);
        let again: Vec<Uuid> = messages
            .iter()
            .filter(|read| read.claimed.is_again)
            .map(|read| read.claimed.claim.id)
            .collect();
        let mut board = Self {
            pilot_left,
            found: tx.owners_of(&named.identifiers).await?,
            records: HashMap::new(),
            whose: HashMap::new(),
            opted: tx.opt_outs_of(&named.contacts).await?,
            assigned: tx.last_assigned(&named.moved).await?,
            past: tx.past_of(&again).await?,
            worn: HashSet::new(),
            keys,
        };
        let reached = board.found.values().map(|owner| owner.person);
        let people: BTreeSet<Uuid> = reached.chain(board.past.people()).collect();
        let people: Vec<Uuid> = people.into_iter().collect();
        for record in tx.load_all(&people, now).await? {
            board.put(record);
        }
        Ok(board)
    }

    fn put(&mut self, record: Record) {
        for member in &record.members {
            self.whose.insert(member.person, record.person);
        }
        self.records.insert(record.person, record);
    }

    /// Whose identifiers are, each owner once.
    pub(super) fn owners(&self, identifiers: &[Identifier]) -> Vec<Owner> {
        let mut found: Vec<Owner> = Vec::new();
        for identifier in identifiers {
            let index = self.keys.identifier_index(identifier);
            if let Some(owner) = self.found.get(&index)
                && !found.iter().any(|known| known.owner == owner.owner)
            {
                found.push(*owner);
            }
        }
        found
    }

    /// The people, after merges, whom identifiers reach; each once.
    pub(super) fn people(&self, identifiers: &[Identifier]) -> Vec<Uuid> {
        let mut found = Vec::new();
        for Owner { person, .. } in self.owners(identifiers) {
            if !found.contains(&person) {
                found.push(person);
            }
        }
        found
    }

    /// Whom a named person said that a message means: the member, and the record.
    pub(super) fn meant_by(&self, message: Uuid) -> Option<(Uuid, &Record)> {
        let member = *self.past.meant.get(&message)?;
        let person = self.whose.get(&member)?;
        Some((member, self.records.get(person)?))
    }

    /// Whether a named person undid what a message said of `retired`.
    pub(super) fn is_undone(&self, message: Uuid, retired: Uuid) -> bool {
        self.past.undone.contains(&(message, retired))
    }

    /// Whether a newer event than `event_time` gave the identifier to somebody.
    pub(super) fn was_assigned_after(
        &self,
        identifier: &Identifier,
        event_time: Timestamp,
    ) -> bool {
        let index = self.keys.identifier_index(identifier);
        let last = self.assigned.get(&index);
        last.is_some_and(|last| *last > event_time)
    }

    /// What is known of a person.
    pub(super) fn record(&self, person: Uuid) -> Option<&Record> {
        self.records.get(&person)
    }

    /// Adds the opt-outs of the contact points that a subject names: others may share them.
    pub(super) fn add_opt_outs(&self, subject: &Subject, record: &mut Record) {
        for index in contacts_of(subject, &self.keys) {
            for opt_out in self.opted.get(&index).into_iter().flatten() {
                if !record.opt_outs.contains(opt_out) {
                    record.opt_outs.push(opt_out.clone());
                }
            }
        }
    }

    /// Of whom a replayed message still tells.
    pub(super) fn told_by(&self, message: Uuid) -> Vec<&Record> {
        let told = self.past.told.get(&message).into_iter().flatten();
        let people: BTreeSet<&Uuid> = told.filter_map(|person| self.whose.get(person)).collect();
        people
            .into_iter()
            .filter_map(|person| self.records.get(person))
            .filter(|record| record.assertions.iter().any(|told| told.message == message))
            .collect()
    }

    /// Whether a message speaks of somebody who must be read again before.
    pub(super) fn is_worn(&self, planned: &Planned) -> bool {
        let mut people = planned.effects.iter().flat_map(Effects::people);
        people.any(|person| self.worn.contains(&person))
    }

    /// Takes in what a message implies, so that the next one is planned on it.
    pub(super) fn keep(&mut self, planned: &mut Planned) {
        for effects in &planned.effects {
            self.pilot_left = self.pilot_left.saturating_sub(effects.piloted());
            for (person, identifier, _) in &effects.identifiers {
                let index = self.keys.identifier_index(identifier);
                let now = self.whose.get(person).copied().unwrap_or(*person);
                self.found.entry(index).or_insert(Owner {
                    owner: *person,
                    person: now,
                });
            }
            if !effects.withdrawals.is_empty() {
                // Which slots a withdrawal frees is decided by rows that are not read here.
                self.worn.extend(effects.people());
            }
        }
        for record in planned.after.drain(..) {
            self.put(record);
        }
    }
}

/// What the messages name, as sorted blind indexes.
struct Named {
    identifiers: Vec<Vec<u8>>,
    contacts: Vec<Vec<u8>>,
    /// Identifiers that are to move.
    moved: Vec<Vec<u8>>,
}

impl Named {
    fn of(messages: &[&Read], feed: &Feed, keys: &TenantKeys) -> Self {
        let index = |identifier: &Identifier| keys.identifier_index(identifier);
        let (mut identifiers, mut contacts, mut moved) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let subjects = messages
            .iter()
            .flat_map(|read| read.content.iter().flatten());
        for subject in subjects {
            let numbers: Vec<Identifier> = subject.numbers().cloned().collect();
            identifiers.extend(feed.trust.usable(&numbers).iter().map(index));
            contacts.extend(contacts_of(subject, keys));
            for one in &subject.moves {
                moved.extend(feed.trust.usable(&one.value).iter().map(index));
            }
        }
        Self {
            identifiers: identifiers.into_iter().collect(),
            contacts: contacts.into_iter().collect(),
            moved: moved.into_iter().collect(),
        }
    }
}

/// The contact points that a subject names, as blind indexes.
fn contacts_of(subject: &Subject, keys: &TenantKeys) -> Vec<Vec<u8>> {
    let later = subject.changes.iter().filter_map(|change| match change {
        Change::Patient(patient) => Some(patient),
        _ => None,
    });
    let patients: Vec<&PatientChange> = std::iter::once(&subject.patient).chain(later).collect();
    let contacts = patients
        .into_iter()
        .filter_map(|patient| patient.contacts.value())
        .flatten();
    contacts
        .filter_map(|contact| contact_index(keys, contact))
        .collect()
}
