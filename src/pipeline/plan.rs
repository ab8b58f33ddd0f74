//! What one message implies for one person: rows to write, computed in memory.

use jiff::Timestamp;
use uuid::Uuid;

use super::findings;
use super::subject::{Resolved, Subject};
use crate::care::Touched;
use crate::consent::Hold;
use crate::crm::{Assertion, Change, Contact, ContactSystem, Directive, Origin, Payload, View};
use crate::outreach;
use crate::site::Site;
use crate::store::{AuditEntry, ContactRow, Effects, NewLink, Record, TenantKeys};

/// Where and when a message speaks.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    /// The message, or `None` for the calendar.
    pub(super) message: Option<Uuid>,
    /// The label of its source.
    pub(super) label: &'a str,
    /// Its event time.
    pub(super) event_time: Timestamp,
    /// The instant of the decision.
    pub(super) now: Timestamp,
    /// Tasks that pilot mode may still release today.
    pub(super) pilot_left: u32,
}

/// Everything that planning looks at besides the record.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) site: &'a Site,
    pub(super) keys: &'a TenantKeys,
    pub(super) cause: Cause<'a>,
}

impl Desk<'_> {
    /// The rows that `subject` implies for the person it was resolved to and for those who give
    /// something to it, and whether they must pass the gate: death, merges, moves and new
    /// restrictions may cut off what is being published.
    pub(super) fn plan(
        &self,
        subject: &Subject,
        resolved: Resolved,
    ) -> (Vec<(Effects, Record)>, bool) {
        let home = resolved.home;
        let mut record = settled(resolved.record);
        let before = self.site.view(&record.assertions);
        let mut effects = Effects {
            members: record.members.clone(),
            ..Effects::default()
        };
        self.learn(&resolved.identifiers, home, &mut effects);
        let marks = self.marks(subject, &resolved.identifiers);
        let mut touched = self.assert(subject, (home, &marks), &mut record);
        self.renumber(subject, &mut record);
        let mut others = Vec::new();
        for moved in resolved.moved {
            others.push(self.take_over(moved, home, &mut record, (&mut effects, &mut touched)));
        }
        let after = self.site.view(&record.assertions);
        self.contacts(&after, &mut record, &mut effects);
        for retired in &resolved.retired {
            effects.links.push(NewLink {
                retired: *retired,
                survivor: record.person,
                message: self.cause.message,
                made_by: None,
            });
            effects
                .audit
                .push(self.entry("person.merge", ("person", Some(*retired))));
        }
        let gated = !resolved.retired.is_empty()
            || !others.is_empty()
            || (after.demographics.deceased && !before.demographics.deceased)
            || after.demographics.restrictions.len() > before.demographics.restrictions.len()
            || forbids_more(&before.directives, &after.directives);
        let merged = !resolved.retired.is_empty();
        let redirected = says_more(&before.directives, &after.directives)
            || says_more(&after.directives, &before.directives);
        let retold =
            merged || !others.is_empty() || redirected || after.demographics != before.demographics;
        effects.is_to_be_compared = after.demographics != before.demographics;
        if retold || !self.site.rules.touched_by(&touched).is_empty() {
            findings::reconcile(self, &mut record, (&after, retold), &mut effects);
        }
        effects
            .audit
            .push(self.entry("message.apply", ("person", Some(record.person))));
        effects.said = record.assertions.take_changed();
        record.follow(&effects);
        others.insert(0, (effects, record));
        (others, gated)
    }

    /// What the calendar implies for a person about whom nothing was said.
    pub(super) fn look_again(&self, record: Record) -> Effects {
        let mut record = settled(record);
        let view = self.site.view(&record.assertions);
        let mut effects = Effects {
            members: record.members.clone(),
            ..Effects::default()
        };
        findings::reconcile(self, &mut record, (&view, false), &mut effects);
        effects
    }

    /// What follows when `message` no longer says anything about a person of whom it spoke before.
    pub(super) fn take_back(&self, record: Record, message: Uuid) -> (Effects, Record) {
        let mut record = settled(record);
        let mut effects = Effects {
            members: record.members.clone(),
            ..Effects::default()
        };
        record.assertions.take(|told| told.message == message);
        effects.said = record.assertions.take_changed();
        let view = self.site.view(&record.assertions);
        self.contacts(&view, &mut record, &mut effects);
        findings::reconcile(self, &mut record, (&view, true), &mut effects);
        effects
            .audit
            .push(self.entry("message.take-back", ("person", Some(record.person))));
        record.follow(&effects);
        (effects, record)
    }

    /// What the site has laid down for contact.
    pub(super) fn terms(&self) -> outreach::Terms<'_> {
        outreach::Terms {
            tenant: &self.site.config,
            policy: &self.site.policy,
        }
    }

    pub(super) fn entry(
        &self,
        action: &'static str,
        entity: (&'static str, Option<Uuid>),
    ) -> AuditEntry {
        AuditEntry {
            at: self.cause.now,
            actor: "pipeline".to_owned(),
            action,
            outcome: "done",
            purpose: None,
            entity,
            message: self.cause.message,
            detail: None,
        }
    }

    fn learn(&self, identifiers: &[crate::crm::Identifier], home: Uuid, effects: &mut Effects) {
        for identifier in identifiers {
            let source = self.cause.label.to_owned();
            effects.identifiers.push((home, identifier.clone(), source));
        }
    }

    /// Asserts every change on top of what is known, and finds what a replay no longer says.
    fn assert(
        &self,
        subject: &Subject,
        (home, marks): (Uuid, &[String]),
        record: &mut Record,
    ) -> Touched {
        let Some(message) = self.cause.message else {
            return Touched::default();
        };
        let origin = Origin {
            person: home,
            marks,
            source: self.cause.label,
            event_time: self.cause.event_time,
            message,
        };
        let mut touched = Touched::default();
        let mut said: Vec<Assertion> = Vec::new();
        let person = Change::Patient(subject.patient.clone());
        for change in std::iter::once(&person).chain(&subject.changes) {
            for assertion in origin.assert(change, &record.assertions) {
                touch(&mut touched, &assertion, &record.assertions);
                record.assertions.put(assertion.clone());
                said.push(assertion);
            }
        }
        let is_silent = |old: &Assertion| {
            old.message == message && !said.iter().any(|new| new.is_about_the_same(old))
        };
        for assertion in record.assertions.take(is_silent) {
            touch(&mut touched, &assertion, &[]);
        }
        touched
    }

    /// Keeps the contact points in step with the view; a point keeps its id for as long as its
    /// value is known.
    pub(super) fn contacts(&self, view: &View, record: &mut Record, effects: &mut Effects) {
        let mut current: Vec<Vec<u8>> = Vec::new();
        let mut contacts: Vec<&Contact> = view.demographics.contacts.iter().collect();
        contacts.sort_by_key(|contact| contact.preferred != Some(true));
        for (rank, contact) in (0_i64..).zip(contacts) {
            let Some(index) = contact_index(self.keys, contact) else {
                continue;
            };
            if current.contains(&index) {
                continue;
            }
            let known = record.contacts.iter().find(|row| row.value_index == index);
            let row = ContactRow {
                id: known.map_or_else(Uuid::now_v7, |row| row.id),
                person: known.map_or(record.person, |row| row.person),
                value_index: index.clone(),
                rank,
                ended_at: None,
                // What the CRM found wrong stays wrong until the EHR says something else.
                wrong_at: known
                    .and_then(|row| row.wrong_at)
                    .filter(|_| known.is_some_and(|row| row.ended_at.is_none())),
                contact: contact.clone(),
            };
            let same = known.is_some_and(|old| {
                old.rank == rank && old.ended_at.is_none() && old.contact == row.contact
            });
            if !same {
                effects.contacts.push(row);
            }
            current.push(index);
        }
        for row in &record.contacts {
            if row.ended_at.is_none() && !current.contains(&row.value_index) {
                effects.contacts.push(ContactRow {
                    ended_at: Some(self.cause.now),
                    wrong_at: None,
                    ..row.clone()
                });
            }
        }
        for row in &effects.contacts {
            record.contacts.retain(|old| old.id != row.id);
            record.contacts.push(row.clone());
        }
    }
}

/// The record without the holds of changes under way: they keep the relay from publishing, while
/// what is decided here is written before or after such a change and asked again by it.
pub(super) fn settled(mut record: Record) -> Record {
    record.holds.retain(|hold| *hold != Hold::ChangePending);
    record
}

/// Whether `now` holds a directive that `before` lacks.
fn says_more(before: &[Directive], now: &[Directive]) -> bool {
    now.iter()
        .any(|one| !before.iter().any(|known| known.says_what(one)))
}

/// Whether less may leave than before: something other than a permission was told, or a permission
/// is gone.
fn forbids_more(before: &[Directive], now: &[Directive]) -> bool {
    let told: Vec<Directive> = now
        .iter()
        .filter(|one| !one.may_permit())
        .cloned()
        .collect();
    let permits: Vec<Directive> = before
        .iter()
        .filter(|one| one.may_permit())
        .cloned()
        .collect();
    says_more(before, &told) || says_more(now, &permits)
}

pub(super) fn touch(touched: &mut Touched, assertion: &Assertion, known: &[Assertion]) {
    let before = known.iter().find(|old| old.is_about_the_same(assertion));
    if before.is_some_and(|old| old.payload == assertion.payload) {
        return;
    }
    // What was coded anew concerns the rules of the former concept, too.
    if let Some(Payload::Pointer(former)) = before.map(|old| &old.payload) {
        touched.concepts.insert(former.concept.clone());
    }
    match &assertion.payload {
        Payload::Appointment(_) => touched.appointments = true,
        Payload::Request(_) => touched.requests = true,
        Payload::Pointer(pointer) => {
            touched.concepts.insert(pointer.concept.clone());
        }
        _ => touched.person = true,
    }
}

/// The blind index of a contact point; `None` for what cannot be one.
pub(super) fn contact_index(keys: &TenantKeys, contact: &Contact) -> Option<Vec<u8>> {
    let normal = normalise(contact)?;
    let parts = [contact.system.name(), normal.as_str()];
    Some(keys.index.index("contact_point", &parts))
}

/// Two spellings of one number are one contact point: digits only for telephones, small letters
/// for addresses. `None` for what cannot be a contact.
pub(super) fn normalise(contact: &Contact) -> Option<String> {
    let text = match contact.system {
        ContactSystem::Phone | ContactSystem::Fax | ContactSystem::Pager => contact
            .value
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>(),
        ContactSystem::Email | ContactSystem::Url | ContactSystem::Other => {
            contact.value.trim().to_lowercase()
        }
    };
    // Ten digits with a leading 1 and without it are one number in the North American plan.
    let text = match text.strip_prefix('1') {
        Some(rest) if rest.len() == 10 => rest.to_owned(),
        _ => text,
    };
    (!text.is_empty()).then_some(text)
}
