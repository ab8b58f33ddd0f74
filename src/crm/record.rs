//! What is kept of a person: demographics, appointments, requests and pointers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::change::{Address, Contact, Identifier, Name};
use super::status::{AppointmentStatus, Priority, RequestStatus, Resource, Sex, Stage};
use super::time::{Moment, PartialDate};

/// The demographics that outreach needs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Demographics {
    /// Names.
    pub names: Vec<Name>,
    /// Birth date.
    pub birth_date: Option<PartialDate>,
    /// Administrative sex.
    pub sex: Option<Sex>,
    /// Contact points as the sources name them.
    pub contacts: Vec<Contact>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Preferred language (BCP 47).
    pub language: Option<String>,
    /// Whether the person has died.
    pub deceased: bool,
    /// Fields that may restrict contact and cannot be read yet.
    pub restrictions: Vec<String>,
}

/// An appointment with its history.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appointment {
    /// Its identifiers, the preferred one first.
    pub identifiers: Vec<Identifier>,
    /// Its status now.
    pub status: AppointmentStatus,
    /// When it starts.
    pub start: Option<Moment>,
    /// When it ends.
    pub end: Option<Moment>,
    /// The orders or referrals it fulfils.
    pub orders: Vec<Identifier>,
    /// The configured location.
    pub location: Option<String>,
    /// What it is for, as concept keys of a site's table; never a code or a text of the sender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<String>,
    /// Whether the person has said that they will come at this start.
    #[serde(default)]
    pub confirmed: bool,
    /// Every status a source reported, by event time; late ones included.
    pub history: Vec<(Timestamp, AppointmentStatus)>,
    /// The event time of the latest change.
    pub changed_at: Timestamp,
}

/// The concept keys of a list, each once. What is not of a key's form, such as a sender's code or
/// text that a site layer let through, is not kept.
pub(super) fn concept_keys(said: Option<&Vec<String>>) -> Vec<String> {
    let is_key = |text: &&String| {
        text.len() <= 48
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let mut keys: Vec<String> = said.into_iter().flatten().filter(is_key).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether a request is a referral or another order. What is known to be a referral stays one; the
/// later a kind stands here, the more it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestKind {
    /// Only an answer came so far; what was asked is not known yet.
    Answer,
    /// Any order that is no referral.
    Order,
    /// A referral, whose loop must close.
    Referral,
}

/// An order or a referral.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which of the two.
    pub kind: RequestKind,
    /// Its identifiers, the preferred one first.
    pub identifiers: Vec<Identifier>,
    /// Its status now.
    pub status: RequestStatus,
    /// How far the loop has come by what messages said; appointments and reports may be further.
    pub stage: Stage,
    /// How urgent it is.
    pub priority: Priority,
    /// When it was asked for.
    pub authored_at: Option<Moment>,
    /// By when it is wanted.
    pub wanted_by: Option<Moment>,
    /// When it ceases to be valid.
    pub expires_at: Option<Moment>,
    /// When the stage was reached.
    pub stage_at: Timestamp,
    /// The event time of the latest change.
    pub changed_at: Timestamp,
}

/// A pointer to clinical data in the EHR: no code, no value, no text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The source whose EHR holds it.
    pub source: String,
    /// What it points at.
    pub resource: Resource,
    /// The concept key of the rule vocabulary.
    pub concept: String,
    /// The reference there.
    pub reference: String,
    /// Its clinical date.
    pub date: Option<Moment>,
    /// Its status.
    pub status: Option<String>,
    /// What kind of visit, coverage or relation it is, in FHIR's codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The orders it answers.
    pub orders: Vec<Identifier>,
    /// The event time of the latest change.
    pub changed_at: Timestamp,
}

impl Pointer {
    /// Whether its source said that it should not stand there.
    pub(super) fn is_taken_back(&self) -> bool {
        matches!(
            self.status.as_deref(),
            Some("entered-in-error" | "cancelled")
        )
    }
}

/// What rules may look at for one person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Chart {
    /// Birth date.
    pub birth_date: Option<PartialDate>,
    /// Administrative sex.
    pub sex: Option<Sex>,
    /// Whether the person has died.
    pub deceased: bool,
    /// Appointments.
    pub appointments: Vec<Appointment>,
    /// Orders and referrals.
    pub requests: Vec<Request>,
    /// Pointers, retracted ones (`entered-in-error`) included.
    pub pointers: Vec<Pointer>,
}

/// The type of an identifier that is the id of a resource at its endpoint (HL7 table 0203).
pub const RESOURCE_ID: &str = "RI";

/// Whether two lists of identifiers share one: same value, and assigner and type equal where both
/// are known. Of two resources of one endpoint only their ids say whether they are one: other numbers
/// can be of a series or a group.
pub(super) fn share_identifier(left: &[Identifier], right: &[Identifier]) -> bool {
    let own = |list: &[Identifier]| {
        let is_own = |one: &&Identifier| one.kind.as_deref() == Some(RESOURCE_ID);
        list.iter().find(is_own).cloned()
    };
    if let (Some(a), Some(b)) = (own(left), own(right))
        && a.assigner == b.assigner
    {
        return a.value == b.value;
    }
    left.iter()
        .any(|a| right.iter().any(|b| same_identifier(a, b)))
}

fn same_identifier(a: &Identifier, b: &Identifier) -> bool {
    let agree = |x: &Option<String>, y: &Option<String>| x.is_none() || y.is_none() || x == y;
    a.value == b.value && agree(&a.assigner, &b.assigner) && agree(&a.kind, &b.kind)
}

impl Request {
    /// Takes an answer: its status and stage. A plain order that is declined is over, while a
    /// declined referral still needs a place.
    pub(super) fn answered(&mut self, (status, stage): (RequestStatus, Stage), at: Timestamp) {
        // What was called off or never was is not revived by whoever received it.
        if matches!(
            self.status,
            RequestStatus::Revoked | RequestStatus::EnteredInError
        ) {
            return;
        }
        self.status = match (self.kind, stage) {
            (RequestKind::Order, Stage::Declined) => RequestStatus::Revoked,
            _ => status,
        };
        if self.stage != stage {
            self.stage = stage;
            self.stage_at = at;
        }
        self.changed_at = at;
    }

    /// Whether `orders`, as an appointment or a pointer names them, mean this request.
    ///
    /// Type codes differ between ORC-2 and SCH-26, so only value and assigner count.
    pub fn is_meant_by(&self, orders: &[Identifier]) -> bool {
        self.identifiers.iter().any(|own| {
            orders.iter().any(|order| {
                own.value == order.value
                    && (own.assigner.is_none()
                        || order.assigner.is_none()
                        || own.assigner == order.assigner)
            })
        })
    }
}
