//! Assertions: what each source last said about a person.
//!
//! A message never edits a person. It asserts, per group of fields, and the newest assertion of a
//! source stands: a late message never undoes a newer one, and a replay replaces only its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::change::{
    Address, AppointmentChange, Change, Contact, Identifier, Name, PatientChange, PointerChange,
    Tri,
};
use super::directive::ConsentChange;
use super::group::Group;
use super::record::{Appointment, Pointer, Request, RequestKind, concept_keys, share_identifier};
use super::status::Sex;
use super::time::PartialDate;

/// What was asserted. `None` inside is "cleared by the sender".
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Names.
    Names(Option<Vec<Name>>),
    /// Birth date.
    BirthDate(Option<PartialDate>),
    /// Administrative sex.
    Sex(Option<Sex>),
    /// Contact points.
    Contacts(Option<Vec<Contact>>),
    /// Addresses.
    Addresses(Option<Vec<Address>>),
    /// Language.
    Language(Option<String>),
    /// Whether the person has died.
    Deceased(Option<bool>),
    /// Restrictions.
    Restrictions(Vec<String>),
    /// A directive about contact.
    Consent(ConsentChange),
    /// An appointment.
    Appointment(Appointment),
    /// An order or referral.
    Request(Request),
    /// A pointer.
    Pointer(Pointer),
    /// What the source no longer says of a group of demographics; others may.
    Unsaid(Group),
}

impl Payload {
    /// What it is about.
    pub const fn group(&self) -> Group {
        match self {
            Self::Names(_) => Group::Names,
            Self::BirthDate(_) => Group::BirthDate,
            Self::Sex(_) => Group::Sex,
            Self::Contacts(_) => Group::Contacts,
            Self::Addresses(_) => Group::Addresses,
            Self::Language(_) => Group::Language,
            Self::Deceased(_) => Group::Deceased,
            Self::Restrictions(_) => Group::Restrictions,
            Self::Consent(_) => Group::Consent,
            Self::Appointment(_) => Group::Appointment,
            Self::Request(_) => Group::Request,
            Self::Pointer(_) => Group::Pointer,
            Self::Unsaid(group) => *group,
        }
    }
}

impl Payload {
    /// Whether it is a deleted group of demographics.
    const fn is_cleared(&self) -> bool {
        matches!(
            self,
            Self::Names(None)
                | Self::BirthDate(None)
                | Self::Sex(None)
                | Self::Contacts(None)
                | Self::Addresses(None)
                | Self::Language(None)
                | Self::Deceased(None)
        )
    }
}

/// What one source last said about one thing.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    /// The person of whom it was said; merged people keep their own.
    pub person: Uuid,
    /// What it is about.
    pub group: Group,
    /// The source.
    pub source: String,
    /// The natural key inside the group: empty for demographics, an identifier or reference else.
    pub key: String,
    /// When it happened, by the sender's clock.
    pub event_time: Timestamp,
    /// The message that said it.
    pub message: Uuid,
    /// Keyed hashes of the identifiers, accounts and visits under which it was said, so that it
    /// goes with them when they move to another person.
    pub marks: Vec<String>,
    /// What was said.
    pub payload: Payload,
}

impl Assertion {
    /// Whether both are what one source says of one thing, so that only one of them stands.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        self.person == other.person
            && self.group == other.group
            && self.source == other.source
            && self.key == other.key
    }
}

/// Where and when something was said.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The person concerned.
    pub person: Uuid,
    /// The source.
    pub source: &'a str,
    /// When it happened, by the sender's clock.
    pub event_time: Timestamp,
    /// The message.
    pub message: Uuid,
    /// What the message names the person, the account and the visit by, as keyed hashes.
    pub marks: &'a [String],
}

impl Origin<'_> {
    /// The assertions that `change` makes on top of what is `known`. Those that an older message
    /// may not make are left out, except that a late status still enters an appointment's history.
    pub fn assert(self, change: &Change, known: &[Assertion]) -> Vec<Assertion> {
        match change {
            Change::Patient(patient) => self.patient(patient, known),
            Change::Appointment(appointment) => self.appointment(appointment, known),
            Change::Referral(request) => self.request(RequestKind::Referral, request, known),
            Change::Order(request) => self.request(RequestKind::Order, request, known),
            Change::Answer(answer) => self.answer(answer, known),
            Change::Pointer(pointer) => self.pointer(pointer, known),
            Change::Consent(consent) => self.consent(consent, known),
            Change::Merge(_) | Change::IdentifierChange(_) | Change::Move(_) | Change::Link(_) => {
                Vec::new()
            }
        }
    }

    fn patient(self, patient: &PatientChange, known: &[Assertion]) -> Vec<Assertion> {
        let mut said = vec![
            tri(&patient.names, Payload::Names),
            tri(&patient.birth_date, Payload::BirthDate),
            tri(&patient.sex, Payload::Sex),
            tri(&patient.contacts, Payload::Contacts),
            tri(&patient.addresses, Payload::Addresses),
            tri(&patient.language, Payload::Language),
            tri(&patient.deceased, Payload::Deceased),
        ];
        if patient.whole {
            let cleared = said
                .iter_mut()
                .flatten()
                .filter(|payload| payload.is_cleared());
            cleared.for_each(|payload| *payload = Payload::Unsaid(payload.group()));
        }
        let restricted = patient.whole && self.find(Group::Restrictions, "", known).is_some();
        if restricted || !patient.restrictions.is_empty() {
            let payload = Payload::Restrictions(patient.restrictions.clone());
            said.push(Some(payload));
        }
        said.into_iter()
            .flatten()
            .filter(|payload| self.may_replace(self.find(payload.group(), "", known)))
            .map(|payload| self.assertion(String::new(), payload))
            .collect()
    }

    fn appointment(self, change: &AppointmentChange, known: &[Assertion]) -> Vec<Assertion> {
        let before = known.iter().find_map(|assertion| match &assertion.payload {
            Payload::Appointment(appointment)
                if assertion.source == self.source
                    && share_identifier(&appointment.identifiers, &change.identifiers) =>
            {
                Some((assertion, appointment))
            }
            _ => None,
        });
        let Some((assertion, old)) = before else {
            let fresh = Appointment {
                identifiers: change.identifiers.clone(),
                status: change.status,
                start: change.start.value().cloned(),
                end: change.end.value().cloned(),
                orders: change.orders.clone(),
                location: change.location.value().cloned(),
                concepts: concept_keys(change.concepts.value()),
                confirmed: change.confirmed.value() == Some(&true),
                history: vec![(self.event_time, change.status)],
                changed_at: self.event_time,
            };
            let key = key_of(&change.identifiers);
            return vec![self.assertion(key, Payload::Appointment(fresh))];
        };
        let mut next = old.clone();
        note(&mut next.history, (self.event_time, change.status));
        if !self.may_replace(Some(assertion)) {
            // A late message is history, not news: the assertion keeps its own message and time.
            if next == *old {
                return Vec::new();
            }
            let payload = Payload::Appointment(next);
            return vec![Assertion {
                payload,
                ..assertion.clone()
            }];
        }
        next.status = change.status;
        next.changed_at = self.event_time;
        add_identifiers(&mut next.identifiers, &change.identifiers);
        add_identifiers(&mut next.orders, &change.orders);
        set(&mut next.start, &change.start);
        set(&mut next.end, &change.end);
        set(&mut next.location, &change.location);
        if change.concepts.is_said() {
            next.concepts = concept_keys(change.concepts.value());
        }
        // Who said yes to one time has not said yes to another.
        next.confirmed = match &change.confirmed {
            Tri::Absent => old.confirmed && next.start == old.start,
            said => said.value() == Some(&true),
        };
        let payload = Payload::Appointment(next);
        vec![self.again(assertion, payload)]
    }

    /// A pointer is one thing by its resource and reference. Its concept may change (a problem is
    /// coded anew), but what is taken back is what was told before.
    fn pointer(self, change: &PointerChange, known: &[Assertion]) -> Vec<Assertion> {
        let before = known.iter().find_map(|assertion| match &assertion.payload {
            Payload::Pointer(pointer)
                if assertion.person == self.person
                    && assertion.source == self.source
                    && pointer.resource == change.resource
                    && pointer.reference == change.reference =>
            {
                Some((assertion, pointer))
            }
            _ => None,
        });
        if !self.may_replace(before.map(|(assertion, _)| assertion)) {
            return Vec::new();
        }
        let mut next = before.map_or_else(
            || Pointer {
                source: self.source.to_owned(),
                resource: change.resource,
                concept: change.concept.clone(),
                reference: change.reference.clone(),
                date: None,
                status: None,
                class: None,
                orders: Vec::new(),
                changed_at: self.event_time,
            },
            |(_, old)| old.clone(),
        );
        next.changed_at = self.event_time;
        set(&mut next.date, &change.date);
        set(&mut next.status, &change.status);
        set(&mut next.class, &change.class);
        if !next.is_taken_back() {
            next.concept.clone_from(&change.concept);
        }
        add_identifiers(&mut next.orders, &change.orders);
        let payload = Payload::Pointer(next);
        if let Some((assertion, _)) = before {
            return vec![self.again(assertion, payload)];
        }
        let key = format!("{}:{}", change.resource.name(), change.reference);
        vec![self.assertion(key, payload)]
    }

    pub(super) fn find<'k>(
        &self,
        group: Group,
        key: &str,
        known: &'k [Assertion],
    ) -> Option<&'k Assertion> {
        known.iter().find(|assertion| {
            assertion.person == self.person
                && assertion.group == group
                && assertion.source == self.source
                && assertion.key == key
        })
    }

    /// Newer wins, and so does the same message when it is replayed; equal times go to the later
    /// arrival, because many senders' clocks tick in minutes.
    pub(super) fn may_replace(&self, before: Option<&Assertion>) -> bool {
        before.is_none_or(|assertion| {
            assertion.message == self.message || self.event_time >= assertion.event_time
        })
    }

    pub(super) fn assertion(&self, key: String, payload: Payload) -> Assertion {
        Assertion {
            person: self.person,
            group: payload.group(),
            source: self.source.to_owned(),
            key,
            event_time: self.event_time,
            message: self.message,
            marks: self.marks.to_vec(),
            payload,
        }
    }

    /// The same thing told again; it keeps what it was told under before.
    pub(super) fn again(&self, before: &Assertion, payload: Payload) -> Assertion {
        let mut next = self.assertion(before.key.clone(), payload);
        for mark in &before.marks {
            if !next.marks.contains(mark) {
                next.marks.push(mark.clone());
            }
        }
        next
    }
}

fn tri<T: Clone>(said: &Tri<T>, wrap: impl FnOnce(Option<T>) -> Payload) -> Option<Payload> {
    said.is_said().then(|| wrap(said.value().cloned()))
}

pub(super) fn set<T: Clone>(field: &mut Option<T>, said: &Tri<T>) {
    if said.is_said() {
        *field = said.value().cloned();
    }
}

pub(super) fn add_identifiers(list: &mut Vec<Identifier>, more: &[Identifier]) {
    for identifier in more {
        if !list.contains(identifier) {
            list.push(identifier.clone());
        }
    }
}

fn note<T: Ord + Copy>(history: &mut Vec<T>, entry: T) {
    if !history.contains(&entry) {
        history.push(entry);
        history.sort_unstable();
    }
}

pub(super) fn key_of(identifiers: &[Identifier]) -> String {
    identifiers.first().map_or_else(String::new, |id| {
        format!("{}|{}", id.assigner.as_deref().unwrap_or(""), id.value)
    })
}
