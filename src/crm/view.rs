//! The view of a person: what follows from the assertions of all sources.
//!
//! Per group of fields it takes the configured rank of sources, then the latest event time; an
//! appointment or a request that two sources tell of is one, and its newest telling stands.

use std::collections::BTreeMap;

use super::assertion::{Assertion, Payload};
use super::directive::Directive;
use super::group::Group;
use super::record::{
    Appointment, Chart, Demographics, Pointer, Request, RequestKind, share_identifier,
};

/// A person as the rules and the people see them.
#[derive(Clone, Default)]
pub struct View {
    /// Demographics.
    pub demographics: Demographics,
    /// Appointments, requests and pointers.
    pub chart: Chart,
    /// What sources say of contact itself; consent says what it amounts to.
    pub directives: Vec<Directive>,
}

impl View {
    /// The view that follows from all assertions of a person and of the records merged into it.
    /// `rank` lists sources, the most trusted first; unlisted ones come last.
    pub fn of(assertions: &[Assertion], rank: &[String]) -> Self {
        let place = |source: &str| {
            rank.iter()
                .position(|name| name == source)
                .unwrap_or(usize::MAX)
        };
        let mut best: BTreeMap<Group, &Assertion> = BTreeMap::new();
        let mut view = Self::default();
        let mut answers = Vec::new();
        for assertion in assertions {
            match &assertion.payload {
                Payload::Appointment(appointment) => view.add_appointment(appointment),
                Payload::Request(request) if request.kind == RequestKind::Answer => {
                    answers.push(request);
                }
                Payload::Request(request) => view.add_request(request),
                Payload::Pointer(pointer) => view.add_pointer(pointer),
                Payload::Consent(said) => view.directives.push(Directive {
                    person: assertion.person,
                    source: assertion.source.clone(),
                    message: assertion.message,
                    told_at: assertion.event_time,
                    said: said.clone(),
                }),
                Payload::Restrictions(fields) => {
                    view.demographics
                        .restrictions
                        .extend(fields.iter().cloned());
                }
                Payload::Unsaid(_) => {}
                _ => {
                    let better = best.get(&assertion.group).is_none_or(|held| {
                        (
                            place(&assertion.source),
                            std::cmp::Reverse(assertion.event_time),
                        ) < (place(&held.source), std::cmp::Reverse(held.event_time))
                    });
                    if better {
                        best.insert(assertion.group, assertion);
                    }
                }
            }
        }
        for assertion in best.into_values() {
            view.demographics.take(&assertion.payload);
        }
        answers.sort_by_key(|answer| answer.changed_at);
        for answer in answers {
            view.add_answer(answer);
        }
        view.chart.birth_date = view.demographics.birth_date;
        view.chart.sex = view.demographics.sex;
        view.chart.deceased = view.demographics.deceased;
        view
    }

    /// One appointment told by two sources is one appointment; the newest telling stands.
    fn add_appointment(&mut self, appointment: &Appointment) {
        let same = self
            .chart
            .appointments
            .iter_mut()
            .find(|known| share_identifier(&known.identifiers, &appointment.identifiers));
        match same {
            Some(known) if known.changed_at <= appointment.changed_at => {
                *known = appointment.clone();
            }
            Some(_) => {}
            None => self.chart.appointments.push(appointment.clone()),
        }
    }

    fn add_request(&mut self, request: &Request) {
        let Some(known) = self.request(request) else {
            self.chart.requests.push(request.clone());
            return;
        };
        let kind = known.kind.max(request.kind);
        if known.changed_at <= request.changed_at {
            *known = request.clone();
        }
        known.kind = kind;
    }

    /// An answer from another source than the order's counts when it is newer; one to an order
    /// that nobody told of is nothing by itself.
    fn add_answer(&mut self, answer: &Request) {
        if let Some(known) = self.request(answer)
            && known.changed_at <= answer.changed_at
        {
            known.answered((answer.status, answer.stage), answer.changed_at);
        }
    }

    fn request(&mut self, like: &Request) -> Option<&mut Request> {
        let mut known = self.chart.requests.iter_mut();
        known.find(|known| share_identifier(&known.identifiers, &like.identifiers))
    }

    /// Merged records may both tell of one thing of one source; the newest telling stands.
    fn add_pointer(&mut self, pointer: &Pointer) {
        let same = self.chart.pointers.iter_mut().find(|known| {
            known.reference == pointer.reference
                && known.resource == pointer.resource
                && known.source == pointer.source
        });
        match same {
            Some(known) if known.changed_at <= pointer.changed_at => *known = pointer.clone(),
            Some(_) => {}
            None => self.chart.pointers.push(pointer.clone()),
        }
    }
}

impl Demographics {
    fn take(&mut self, payload: &Payload) {
        match payload {
            Payload::Names(names) => self.names = names.clone().unwrap_or_default(),
            Payload::BirthDate(date) => self.birth_date = *date,
            Payload::Sex(sex) => self.sex = *sex,
            Payload::Contacts(contacts) => self.contacts = contacts.clone().unwrap_or_default(),
            Payload::Addresses(list) => self.addresses = list.clone().unwrap_or_default(),
            Payload::Language(language) => self.language = language.clone(),
            Payload::Deceased(deceased) => self.deceased = deceased.unwrap_or(false),
            Payload::Restrictions(_)
            | Payload::Consent(_)
            | Payload::Appointment(_)
            | Payload::Request(_)
            | Payload::Pointer(_)
            | Payload::Unsaid(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
