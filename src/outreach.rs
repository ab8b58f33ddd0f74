//! The decision about one task, from one record: asked when the task is made, and again when it is
//! published.

use jiff::Timestamp;

use crate::care::TaskCode;
use crate::config::Tenant;
use crate::consent::{
    self, Ask, Channel, Decision, Entry, Facts, Hold, Policy, Reader, Reading, Sent, Standing,
};
use crate::crm::{Address, Assertion, Demographics, Directive, Payload, View};
use crate::store::{Record, TaskDetail, TaskRow};

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

impl<'a> Request<'a> {
    /// The question about a task that was made: it is needed while a finding of it still asks.
    pub fn of(task: &'a TaskRow, record: &Record) -> Self {
        let asks = |finding: uuid::Uuid| {
            let mut known = record.findings.iter();
            known.any(|known| known.id == finding && known.state.asks())
        };
        Self {
            task: task.id,
            detail: &task.detail,
            due_at: task.due_at,
            still_needed: task.live_topics().any(|topic| asks(topic.finding)),
        }
    }
}

/// What the site has laid down.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Its configuration.
    pub tenant: &'a Tenant,
    /// Its contact policy.
    pub policy: &'a Policy,
}

/// May this task leave at `now`?
pub fn decide(
    request: &Request<'_>,
    record: &Record,
    view: &View,
    terms: Terms<'_>,
    now: Timestamp,
) -> Decision {
    let demographics = &view.demographics;
    let policy = terms.policy;
    let readings = terms.readings(view);
    let holds = holds(record, demographics, &readings);
    let told = readings.iter().flat_map(|(_, reading)| &reading.entries);
    let entries: Vec<Entry> = record.entries.iter().chain(told).cloned().collect();
    let contact_points = record.contact_points();
    let states = states(&record.assertions, demographics);
    let sent = sent(record, request.task);
    let channels = in_order(record, &request.detail.channels, policy);
    let ask = Ask {
        channels: &channels,
        purpose: request.detail.purpose,
        content: request.detail.content,
        task_due: request.due_at,
        still_needed: request.still_needed,
        appointment: request.detail.code == TaskCode::ConfirmAppointment,
        cancellation: false,
        emergency_reason: None,
    };
    let facts = Facts {
        deceased: demographics.deceased,
        merged_away: false,
        holds: &holds,
        entries: &entries,
        opt_outs: &record.opt_outs,
        contact_points: &contact_points,
        sent: &sent,
        zone: None,
        states: &states,
        birth_date: demographics.birth_date,
        language: demographics.language.as_deref(),
        templates: &terms.tenant.languages,
    };
    let mut decision = consent::decide(&ask, &facts, policy, now);
    let shielded = readings
        .iter()
        .any(|(_, reading)| reading.standing == Standing::Shields);
    if shielded && decision.result.is_allowed() {
        decision.shield();
    }
    decision
}

impl Terms<'_> {
    /// Every directive that messages told, with what it amounts to.
    pub fn readings<'v>(&self, view: &'v View) -> Vec<(&'v Directive, Reading)> {
        let reader = Reader {
            zone: &self.tenant.zone,
            policy: self.policy,
            birth_date: view.demographics.birth_date,
        };
        let read = |directive: &'v Directive| {
            let source = self.tenant.source(&directive.source);
            let verified = source.is_some_and(|source| source.consents_verified);
            (directive, reader.read(directive, verified))
        };
        view.directives.iter().map(read).collect()
    }
}

/// A restriction in the words in which a lift names it: it stands for as long as exactly this is
/// told, and what is told differently restricts anew.
pub fn words_of(directive: &Directive) -> String {
    let said = serde_json::to_string(&directive.said).unwrap_or_default();
    format!("{} {said}", directive.source)
}

/// The same of a field that no mapping reads.
pub fn words_of_field(field: &str) -> String {
    format!("field {field}")
}

/// Whether somebody has read the restriction and lifted it.
pub fn is_lifted(record: &Record, words: &str) -> bool {
    let mut lifts = record.lifts.iter();
    lifts.any(|lift| lift.detail.restriction == words)
}

/// The channels with those first that use the contact point which the person prefers.
fn in_order(record: &Record, channels: &[Channel], policy: &Policy) -> Vec<Channel> {
    let mut contacts = record.contacts.iter();
    let preferred =
        contacts.find(|row| row.ended_at.is_none() && row.contact.preferred == Some(true));
    let mut ordered = channels.to_vec();
    if let Some(row) = preferred {
        let contact = &row.contact;
        ordered.sort_by_key(|channel| {
            !policy.takes(*channel, contact.system, contact.usage.as_deref())
        });
    }
    ordered
}

/// What was sent, this task's own slot aside. What a record that was merged in sent to a shared number is
/// the person's own, once.
fn sent(record: &Record, task: uuid::Uuid) -> Vec<Sent> {
    let own = |other: uuid::Uuid| {
        let mut sent = record.sent.iter();
        sent.any(|(of, sent)| *of == other && !sent.shared)
    };
    record
        .sent
        .iter()
        .filter(|(of, sent)| *of != task && !(sent.shared && own(*of)))
        .map(|(_, sent)| *sent)
        .collect()
}

/// A field that may restrict contact and cannot be read yet counts as a restriction.
fn holds(
    record: &Record,
    demographics: &Demographics,
    readings: &[(&Directive, Reading)],
) -> Vec<Hold> {
    let mut holds = record.holds.clone();
    let mut fields = demographics.restrictions.iter();
    let mut unread = readings
        .iter()
        .filter(|(_, reading)| reading.standing == Standing::Unread);
    if fields.any(|field| !is_lifted(record, &words_of_field(field)))
        || unread.any(|(directive, _)| !is_lifted(record, &words_of(directive)))
    {
        holds.push(Hold::RestrictionNotRead);
    }
    holds
}

/// The states whose hours may bind: those of every address on record. Of merged records, those of each
/// one's own addresses: a merge can be a mistake, and until somebody undoes it the hours of both bind.
fn states(assertions: &[Assertion], demographics: &Demographics) -> Vec<String> {
    let first = assertions.first().map(|assertion| assertion.person);
    let mut others = assertions.iter().map(|assertion| Some(assertion.person));
    let told: Vec<&Address> = if others.all(|person| person == first) {
        demographics.addresses.iter().collect()
    } else {
        let lists = assertions
            .iter()
            .filter_map(|assertion| match &assertion.payload {
                Payload::Addresses(list) => list.as_ref(),
                _ => None,
            });
        lists.flatten().collect()
    };
    let mut states: Vec<String> = told
        .into_iter()
        .filter_map(|address| address.state.as_deref())
        .map(|state| state.trim().to_uppercase())
        .filter(|state| state.len() == 2)
        .collect();
    states.sort_unstable();
    states.dedup();
    states
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::crm::Group;

    fn living(person: u128, state: &str, at: i64) -> Assertion {
        let address = serde_json::json!([{ "state": state }]);
        Assertion {
            person: Uuid::from_u128(person),
            group: Group::Addresses,
            source: "adt".to_owned(),
            key: String::new(),
            event_time: Timestamp::from_second(at).unwrap(),
            message: Uuid::from_u128(1),
            marks: Vec::new(),
            payload: Payload::Addresses(serde_json::from_value(address).unwrap()),
        }
    }

    fn bound(assertions: &[Assertion]) -> Vec<String> {
        states(assertions, &View::of(assertions, &[]).demographics)
    }

    #[test]
    fn the_hours_of_each_merged_record_bind_whichever_address_is_newer() {
        assert_eq!(bound(&[living(1, "ri", 1)]), ["RI"]);
        assert_eq!(
            bound(&[living(1, "RI", 1), living(2, "NY", 2)]),
            ["NY", "RI"]
        );
        let mut moved = living(1, "NY", 2);
        moved.source = "lab".to_owned();
        assert_eq!(
            bound(&[living(1, "RI", 1), moved]),
            ["NY"],
            "one person who moved"
        );
    }
}
