//! The outgoing message: a CloudEvents envelope of opaque ids, codes, windows and a consent.
//!
//! There is no field for a name, a number, a diagnosis or free text, so none can leave (contract
//! 6); a request without its consent cannot be written down (contract 5). Pure: the same parts
//! give the same bytes.

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::care::PerformerRole;
use crate::care::TaskCode;
use crate::care::TopicKind;
use crate::consent::Channel;
use crate::consent::Obligation;
use crate::consent::Purpose;
use crate::crm::Priority;
use crate::outbox::publisher::is_name;
use crate::outbox::wire::Envelope;
use crate::outbox::wire::Kind;
use crate::outbox::words::ContentClass;
use crate::outbox::words::Decision;
use crate::outbox::words::GapStatus;
use crate::outbox::words::Need;
use crate::outbox::words::StatusReason;

/// The largest envelope, in bytes. A full one is about 3 KiB.
pub const MAX_BYTES: usize = 16 * 1024;

/// The most reasons that one task carries.
pub const MAX_TOPICS: usize = crate::store::MAX_TOPICS;

const ULID_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What every envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The envelope's id, minted with the outbox row.
    pub message: Uuid,
    /// The tenant's name.
    pub tenant: String,
    /// The task.
    pub task: Uuid,
    /// Its version, from 1.
    pub version: u32,
    /// What is to be done.
    pub code: TaskCode,
    /// How urgent it is.
    pub priority: Priority,
    /// When the task was made.
    pub authored_on: Timestamp,
    /// Not to be worked before.
    pub not_before: Timestamp,
    /// Worth nothing after.
    pub due: Timestamp,
    /// Who is to do it.
    pub performer_role: Option<PerformerRole>,
    /// The person, by the hub's id.
    pub person: Uuid,
    /// What it is about, the leading reason first: 1 to [`MAX_TOPICS`].
    pub topics: Vec<Topic>,
    /// The key under which repeats of the same task fall together: 64 hexadecimal digits.
    pub dedupe_key: String,
    /// Which attempt this is, from 1 to 10.
    pub attempt: u8,
    /// Joins everything that one incoming message led to.
    pub correlation: Uuid,
    /// The message or sweep that led to this one.
    pub causation: Uuid,
    /// The hub's public address; without https no link is given.
    pub public_url: String,
    /// The W3C trace context, where one is kept.
    pub traceparent: Option<String>,
}

/// What a task is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The class of reason.
    pub kind: TopicKind,
    /// How much may be said.
    pub content_class: ContentClass,
    /// The gap behind it.
    pub gap: Option<Gap>,
}

/// A gap behind a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The finding.
    pub id: Uuid,
    /// Its state.
    pub status: GapStatus,
    /// When it falls due.
    pub due: Option<Date>,
}

/// How and on what grounds a person is contacted. A request cannot be built without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The channel.
    pub channel: Channel,
    /// The related person who stands in; `None` is the person.
    pub proxy: Option<Uuid>,
    /// The contact point, by the hub's id.
    pub contact_point: Uuid,
    /// The language, such as `es` or `pt-BR`.
    pub language: String,
    /// What the person needs.
    pub needs: Vec<Need>,
    /// The decision that allows it.
    pub consent: Consent,
}

/// A consent decision, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The recorded decision.
    pub id: Uuid,
    /// What it was.
    pub decision: Decision,
    /// Why, such as `P00_ALLOWED`; 1 to 12.
    pub reason_codes: Vec<String>,
    /// For what.
    pub purpose: Purpose,
    /// When it was made.
    pub evaluated_at: Timestamp,
    /// Until when it may be relied on.
    pub valid_until: Timestamp,
    /// When the person may be contacted.
    pub window: Window,
    /// What must be kept to.
    pub obligations: Vec<Obligation>,
    /// The policy it followed, such as `2026-11-01.3`.
    pub policy_version: String,
}

/// When a person may be contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// The person's zone (IANA).
    pub zone: String,
}

/// What the envelope asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new task.
    Requested(Reach),
    /// A later version of a task.
    Revised(Reach),
    /// A task is taken back; this needs no consent.
    Cancelled(StatusReason),
}

/// A part that cannot be sent; names the field, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field of another form than the schema's.
    #[error("{field}: expected {expected}")]
    Field {
        /// The field in the envelope.
        field: &'static str,
        /// What the schema expects.
        expected: &'static str,
    },
    /// Longer than an envelope may be.
    #[error("envelope: expected at most {MAX_BYTES} bytes, found {0}")]
    TooLong(usize),
}

/// Builds an envelope as of `now`.
pub fn build(parts: &Parts, action: &Action, now: Timestamp) -> Result<Vec<u8>, Error> {
    check_parts(parts)?;
    let (name, status, reason, reach) = match action {
        Action::Requested(reach) => ("requested", "requested", None, Some(reach)),
        Action::Revised(reach) => ("revised", "requested", None, Some(reach)),
        Action::Cancelled(reason) => ("cancelled", "cancelled", Some(*reason), None),
    };
    reach.map_or(Ok(()), check_reach)?;
    let envelope = Envelope::new(
        parts,
        Kind {
            name,
            status,
            reason,
        },
        reach,
        now,
    );
    // Only maps with keys that are no texts and failing writers make this fail; there are none.
    let body = serde_json::to_vec(&envelope).map_err(|_error| Error::TooLong(0))?;
    if body.len() > MAX_BYTES {
        Err(Error::TooLong(body.len()))
    } else {
        Ok(body)
    }
}

fn check_parts(parts: &Parts) -> Result<(), Error> {
    let key = parts.dedupe_key.as_bytes();
    expect(
        is_name(&parts.tenant),
        "tenant",
        "2 to 40 of a-z 0-9 -, a letter first",
    )?;
    expect(parts.version > 0, "task.version", "a number from 1")?;
    expect(
        parts.not_before < parts.due,
        "task.restriction",
        "a due time after notBefore",
    )?;
    expect(
        (1..=MAX_TOPICS).contains(&parts.topics.len()),
        "topics",
        "1 to 8 reasons",
    )?;
    expect(
        parts.traceparent.as_deref().is_none_or(is_trace),
        "traceparent",
        "a W3C trace context",
    )?;
    expect(
        (1..=10).contains(&parts.attempt),
        "dedupe.attempt",
        "1 to 10",
    )?;
    expect(
        key.len() == 64 && key.iter().copied().all(is_hex),
        "dedupe.key",
        "64 hexadecimal digits",
    )
}

fn check_reach(reach: &Reach) -> Result<(), Error> {
    let consent = &reach.consent;
    let reasons = &consent.reason_codes;
    expect(
        is_language(&reach.language),
        "contact.language",
        "a language such as es or pt-BR",
    )?;
    expect(
        reach.needs.len() <= 6 && are_unique(&reach.needs),
        "contact.needs",
        "up to 6, unique",
    )?;
    expect(
        are_unique(&consent.obligations),
        "consent.obligations",
        "unique obligations",
    )?;
    expect(
        (1..=12).contains(&reasons.len())
            && are_unique(reasons)
            && reasons.iter().all(|reason| is_reason(reason)),
        "consent.reasonCodes",
        "1 to 12 unique codes such as P00_ALLOWED",
    )?;
    expect(
        is_policy(&consent.policy_version),
        "consent.policyVersion",
        "a date and a number such as 2026-11-01.3",
    )?;
    expect(
        is_zone(&consent.window.zone),
        "consent.window.tz",
        "an IANA zone name",
    )
}

fn expect(is_met: bool, field: &'static str, expected: &'static str) -> Result<(), Error> {
    if is_met {
        Ok(())
    } else {
        Err(Error::Field { field, expected })
    }
}

fn are_unique<T: PartialEq>(list: &[T]) -> bool {
    list.iter()
        .enumerate()
        .all(|(at, item)| !list.iter().skip(at + 1).any(|other| other == item))
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

fn is_trace(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    text.starts_with("00-")
        && text.split('-').map(str::len).eq(lengths)
        && text.bytes().all(|byte| byte == b'-' || is_hex(byte))
}

fn is_language(text: &str) -> bool {
    let (language, region) = text
        .split_once('-')
        .map_or((text, None), |(l, r)| (l, Some(r)));
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && region.is_none_or(|r| r.len() == 2 && r.bytes().all(|b| b.is_ascii_uppercase()))
}

fn is_reason(text: &str) -> bool {
    let mut bytes = text.bytes();
    matches!(bytes.next(), Some(b'P' | b'D'))
        && bytes.by_ref().take(2).filter(u8::is_ascii_digit).count() == 2
        && bytes.next() == Some(b'_')
        && (3..=40).contains(&bytes.len())
        && bytes.all(|b| b.is_ascii_uppercase() || b == b'_')
}

fn is_policy(text: &str) -> bool {
    text.split_once('.').is_some_and(|(day, number)| {
        let form = day
            .bytes()
            .map(|b| if b.is_ascii_digit() { b'0' } else { b });
        form.eq(*b"0000-00-00") && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn is_zone(text: &str) -> bool {
    let mut parts = text.split('/');
    let area = parts
        .next()
        .is_some_and(|area| !area.is_empty() && area.bytes().all(|b| b.is_ascii_alphabetic()));
    let rest: Vec<&str> = parts.collect();
    let is_place = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text == "UTC" || (area && (1..=2).contains(&rest.len()) && rest.iter().all(is_place))
}

/// An id as ULID text: the 128 bits in 26 digits of Crockford's base 32.
pub fn ulid(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..26_u32)
        .rev()
        .map(|place| {
            let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or_default();
            char::from(ULID_DIGITS.get(digit).copied().unwrap_or(b'0'))
        })
        .collect()
}

/// The id of a ULID text in its canonical form.
pub fn from_ulid(text: &str) -> Option<Uuid> {
    // 26 digits hold 130 bits; the first may use three of its five only.
    if text.len() != 26 || !text.starts_with(|first| ('0'..='7').contains(&first)) {
        return None;
    }
    let bits = text.bytes().try_fold(0_u128, |bits, byte| {
        let digit = ULID_DIGITS.iter().position(|digit| *digit == byte)?;
        Some((bits << 5) | u128::try_from(digit).ok()?)
    })?;
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
