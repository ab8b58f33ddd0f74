//! What the CRM says about a task: a closed shape, read without ever echoing a value.
//!
//! ```json
//! {"id": "crm-1", "task": "<ULID>", "version": 1, "type": "accepted", "at": "<RFC 3339>"}
//! {"id": "crm-2", "task": "<ULID>", "version": 1, "type": "completed", "topic": "<gapId>", "at": "…"}
//! {"id": "crm-3", "task": "<ULID>", "version": 1, "type": "call-back-at", "callBackAt": "…", "at": "…"}
//! {"id": "crm-4", "task": "<ULID>", "version": 1, "type": "opted-out", "scope": "channel", "at": "…"}
//! ```
//!
//! [`TASK_EVENT_SCHEMA`] says the same to machines. The tenant is that of the queue on which the
//! event came; the body has no say in it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::care::Answer;
use crate::outbox::envelope::from_ulid;

/// The shape of a task event as a JSON Schema (draft 2020-12), for those who write them.
pub const TASK_EVENT_SCHEMA: &str = include_str!("schema/task-event.v1.schema.json");

/// The largest event that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The largest version that an event may name.
const MAX_VERSION: u32 = 2_147_483_647;

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEvent {
    /// The sender's id of this event: 1 to 64 characters; repeats carry the same.
    pub id: String,
    /// The task.
    pub task: Uuid,
    /// The version of the task that the sender had before it.
    pub version: u32,
    /// What happened.
    pub answer: Answer,
    /// The one topic that it speaks of (`gapId`); `None` for the whole task.
    pub topic: Option<Uuid>,
    /// When the person wants to be contacted again, for [`Answer::CallBackAt`] only.
    pub call_back_at: Option<Timestamp>,
    /// How far the refusal goes, for [`Answer::OptedOut`] only.
    pub scope: Option<OptOutScope>,
    /// When it happened.
    pub at: Timestamp,
}

/// How far an opt-out goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptOutScope {
    /// Not at this number or address.
    ContactPoint,
    /// Not on this channel.
    Channel,
    /// Not at all.
    All,
}

/// Why an event could not be read. Names places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too long to be read.
    #[error("task event: expected at most {MAX_BYTES} bytes, found {0}")]
    TooLong(usize),
    /// Not a JSON object.
    #[error("task event: expected one JSON object, found an error at line {line}, column {column}")]
    NotJson {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A field that the shape does not have, or one that is there twice.
    #[error(
        "task event: expected only id, task, version, type, at, topic, callBackAt, scope, each once"
    )]
    UnknownField,
    /// A field that is missing.
    #[error("{0}: expected a value, found none")]
    Missing(&'static str),
    /// A field of another form.
    #[error("{field}: expected {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What was expected.
        expected: &'static str,
    },
}

/// The outer shape: which fields may be there. Their contents are checked one by one, since
/// serde's own errors would quote them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Option<Value>,
    task: Option<Value>,
    version: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    at: Option<Value>,
    topic: Option<Value>,
    #[serde(rename = "callBackAt")]
    call_back_at: Option<Value>,
    scope: Option<Value>,
}

/// Reads an event.
pub fn parse(body: &[u8]) -> Result<TaskEvent, Error> {
    if body.len() > MAX_BYTES {
        return Err(Error::TooLong(body.len()));
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data if body.trim_ascii_start().starts_with(b"{") => {
            Error::UnknownField
        }
        _ => Error::NotJson {
            line: error.line(),
            column: error.column(),
        },
    })?;
    let answer = Answer::from_name(text("type", raw.kind.as_ref())?);
    let answer = answer.ok_or(Error::Field {
        field: "type",
        expected: "a type of the schema, such as accepted, completed or opted-out",
    })?;
    let speaks_of_topics = matches!(
        answer,
        Answer::Scheduled | Answer::Completed | Answer::Declined | Answer::DoneElsewhere
    );
    Ok(TaskEvent {
        id: sender_id(raw.id.as_ref())?,
        task: ulid("task", raw.task.as_ref())?,
        version: version(raw.version.as_ref())?,
        answer,
        topic: match &raw.topic {
            Some(topic) if speaks_of_topics => Some(ulid("topic", Some(topic))?),
            topic => none("topic", topic.as_ref())?,
        },
        call_back_at: match answer {
            Answer::CallBackAt => Some(instant("callBackAt", raw.call_back_at.as_ref())?),
            _ => none("callBackAt", raw.call_back_at.as_ref())?,
        },
        scope: match answer {
            Answer::OptedOut => Some(scope(raw.scope.as_ref())?),
            _ => none("scope", raw.scope.as_ref())?,
        },
        at: instant("at", raw.at.as_ref())?,
    })
}

fn sender_id(value: Option<&Value>) -> Result<String, Error> {
    let id = text("id", value)?;
    let is_id = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    if !is_id {
        return Err(Error::Field {
            field: "id",
            expected: "1 to 64 of A-Z a-z 0-9 . _ : -",
        });
    }
    Ok(id.to_owned())
}

fn ulid(field: &'static str, value: Option<&Value>) -> Result<Uuid, Error> {
    let expected = "a ULID (26 characters)";
    from_ulid(text(field, value)?).ok_or(Error::Field { field, expected })
}

/// A whole number, however JSON spells it: `2`, `2.0` and `2e0` are one number.
fn version(value: Option<&Value>) -> Result<u32, Error> {
    let value = value.ok_or(Error::Missing("version"))?;
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    });
    whole
        .and_then(|version| u32::try_from(version).ok())
        .filter(|version| (1..=MAX_VERSION).contains(version))
        .ok_or(Error::Field {
            field: "version",
            expected: "a number from 1",
        })
}

/// An RFC 3339 instant of this century, in the spelling of the schema.
fn instant(field: &'static str, value: Option<&Value>) -> Result<Timestamp, Error> {
    let expected = "an RFC 3339 instant such as 2026-11-20T14:03:05Z";
    let wrong = Error::Field { field, expected };
    let text = text(field, value)?;
    if !is_spelled_as_instant(text) {
        return Err(wrong);
    }
    text.parse().map_err(|_quoting: jiff::Error| wrong)
}

fn is_spelled_as_instant(text: &str) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let form = |text: &str| -> String {
        let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
        text.chars().map(shape).collect()
    };
    let fraction = rest.strip_prefix('.').map_or(Some(rest), |rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest.get(end..).filter(|_| (1..=9).contains(&end))
    });
    let is_offset = |zone: &str| match form(zone).as_str() {
        "Z" => true,
        "+00:00" | "-00:00" => {
            let number = |part: Option<&str>| part.and_then(|part| part.parse::<u8>().ok());
            number(zone.get(1..3)).is_some_and(|hours| hours < 24)
                && number(zone.get(4..6)).is_some_and(|minutes| minutes < 60)
        }
        _ => false,
    };
    head.starts_with("20")
        && !head.ends_with("60")
        && form(head) == "0000-00-00T00:00:00"
        && fraction.is_some_and(is_offset)
}

fn scope(value: Option<&Value>) -> Result<OptOutScope, Error> {
    match text("scope", value)? {
        "contact-point" => Ok(OptOutScope::ContactPoint),
        "channel" => Ok(OptOutScope::Channel),
        "all" => Ok(OptOutScope::All),
        _ => Err(Error::Field {
            field: "scope",
            expected: "contact-point, channel or all",
        }),
    }
}

/// A field that events of this type do not have.
fn none<T>(field: &'static str, value: Option<&Value>) -> Result<Option<T>, Error> {
    match value {
        None => Ok(None),
        Some(_) => Err(Error::Field {
            field,
            expected: "no such field on an event of this type",
        }),
    }
}

fn text<'a>(field: &'static str, value: Option<&'a Value>) -> Result<&'a str, Error> {
    match value {
        None => Err(Error::Missing(field)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Error::Field {
            field,
            expected: "a text",
        }),
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
