//! What a decision is asked about and what it may look at.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::crm::{ContactSystem, PartialDate};

use super::words::{Channel, ContentClass, Hold, Purpose};

/// May this go out?
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The channels that would do, the preferred one first.
    pub channels: &'a [Channel],
    /// Why.
    pub purpose: Purpose,
    /// How much the message would tell.
    pub content: ContentClass,
    /// When the task ceases to make sense.
    pub task_due: Timestamp,
    /// Whether the finding is still open and the task's version current.
    pub still_needed: bool,
    /// Whether it confirms or reminds of an appointment.
    pub appointment: bool,
    /// Whether it withdraws a task; that needs no consent.
    pub cancellation: bool,
    /// The stated reason of a named person, for [`Purpose::Etreat`] only.
    pub emergency_reason: Option<&'a str>,
}

/// A directive: one cell of channel, purpose and content, permitted or denied. `None` is "any".
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id; decisions name the entries they rest on.
    pub id: Uuid,
    /// The channel.
    pub channel: Option<Channel>,
    /// The purpose. "Any" does not include marketing.
    pub purpose: Option<Purpose>,
    /// The content class: a permission covers it and what tells less, a denial it and what tells
    /// more. "Any" does not permit `C3`.
    pub content: Option<ContentClass>,
    /// Whether it permits.
    pub permit: bool,
    /// From when it holds, inclusive.
    pub from: Timestamp,
    /// Until when it holds, exclusive.
    pub until: Option<Timestamp>,
    /// When it was recorded; the newest of a source stands in its cell.
    pub recorded_at: Timestamp,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// How it was given, such as `verbal` or `written-authorization`.
    pub method: String,
    /// Where it was recorded.
    pub source: String,
}

/// "Stop": stronger than any entry. Lifted ones are not passed in.
#[derive(Clone, PartialEq, Eq)]
pub struct OptOut {
    /// The blind index of the contact point; `None` is every one of this person. A number that
    /// two people share is stopped for both.
    pub contact: Option<Vec<u8>>,
    /// The channel; `None` is every one.
    pub channel: Option<Channel>,
    /// Since when.
    pub at: Timestamp,
}

/// A number or an address, by reference only.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactPoint {
    /// Its id.
    pub id: Uuid,
    /// The blind index of its value.
    pub key: Vec<u8>,
    /// What kind it is.
    pub system: ContactSystem,
    /// FHIR `ContactPointUse`.
    pub usage: Option<String>,
    /// The lowest is tried first.
    pub rank: u32,
    /// Whether it is known to be of no use: ended, wrong number, bounced, reassigned.
    pub ended: bool,
}

/// A message that went out or has a slot reserved; withdrawn ones are not passed in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// By which channel.
    pub channel: Channel,
    /// To which contact point.
    pub contact: Option<Uuid>,
    /// Whether it went to somebody else who shares that contact point, which `contact` names as
    /// this person's own.
    pub shared: bool,
}

/// What is known of the person. After a merge, the entries and opt-outs of all merged records.
#[derive(Clone, Default)]
pub struct Facts<'a> {
    /// Whether the person has died.
    pub deceased: bool,
    /// Whether this record was merged into another one.
    pub merged_away: bool,
    /// Reasons against any contact.
    pub holds: &'a [Hold],
    /// Directives.
    pub entries: &'a [Entry],
    /// Opt-outs in force.
    pub opt_outs: &'a [OptOut],
    /// Contact points.
    pub contact_points: &'a [ContactPoint],
    /// Messages of the last seven days over all programmes.
    pub sent: &'a [Sent],
    /// The person's zone, where it is known for sure.
    pub zone: Option<TimeZone>,
    /// US states that the person may be in (address, area code); all of their rules apply.
    pub states: &'a [String],
    /// Birth date.
    pub birth_date: Option<PartialDate>,
    /// Preferred language (BCP 47).
    pub language: Option<&'a str>,
    /// Languages in which the message exists; empty where nobody has said.
    pub templates: &'a [String],
}
