//! What the CRM says about a task: a closed shape, read without ever echoing a value.
//!
//! ```json
//! {"id": "crm-1", "task": "<ULID>", "version": 1, "type": "completed", "at": "<RFC 3339>"}
//! {"id": "crm-2", "task": "<ULID>", "version": 1, "type": "opted-out", "scope": "channel", "at": "…"}
//! ```
//!
//! The tenant is that of the queue on which the event came; the body has no say in it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::outbox::envelope::from_ulid;

/// The largest event that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

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
    pub kind: TaskEventKind,
    /// When it happened.
    pub at: Timestamp,
}

/// The kinds of task events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskEventKind {
    /// The task was done.
    Completed,
    /// The person does not want to be contacted.
    OptedOut {
        /// How far that goes.
        scope: OptOutScope,
    },
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
    #[error("task event: expected only id, task, version, type, at, scope, specversion, each once")]
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
    scope: Option<Value>,
    specversion: Option<Value>,
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
    if raw
        .specversion
        .as_ref()
        .is_some_and(|version| version != "1.0")
    {
        return Err(Error::Field {
            field: "specversion",
            expected: "1.0",
        });
    }
    let id = text("id", raw.id.as_ref())?;
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
    let task = from_ulid(text("task", raw.task.as_ref())?).ok_or(Error::Field {
        field: "task",
        expected: "a ULID (26 characters)",
    })?;
    let version = raw.version.ok_or(Error::Missing("version"))?;
    let version = version
        .as_u64()
        .and_then(|version| u32::try_from(version).ok())
        .filter(|version| *version > 0)
        .ok_or(Error::Field {
            field: "version",
            expected: "a number from 1",
        })?;
    let at = text("at", raw.at.as_ref())?
        .parse()
        .map_err(|_quoting: jiff::Error| Error::Field {
            field: "at",
            expected: "an RFC 3339 instant",
        })?;
    let kind = kind(text("type", raw.kind.as_ref())?, raw.scope.as_ref())?;
    Ok(TaskEvent {
        id: id.to_owned(),
        task,
        version,
        kind,
        at,
    })
}

fn kind(kind: &str, scope: Option<&Value>) -> Result<TaskEventKind, Error> {
    match (kind, scope) {
        ("completed", None) => Ok(TaskEventKind::Completed),
        ("completed", Some(_)) => Err(Error::Field {
            field: "scope",
            expected: "no scope on a completed task",
        }),
        ("opted-out", scope) => {
            let scope = match text("scope", scope)? {
                "contact-point" => OptOutScope::ContactPoint,
                "channel" => OptOutScope::Channel,
                "all" => OptOutScope::All,
                _ => {
                    let expected = "contact-point, channel or all";
                    return Err(Error::Field {
                        field: "scope",
                        expected,
                    });
                }
            };
            Ok(TaskEventKind::OptedOut { scope })
        }
        _ => Err(Error::Field {
            field: "type",
            expected: "completed or opted-out",
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TASK: &str = "01JD8Q2W7V3N5R6T8Y9ZABCDEG";

    fn event(extra: &str) -> String {
        format!(
            r#"{{"id":"crm-1","task":"{TASK}","version":2,"at":"2026-11-20T14:03:05Z"{extra}}}"#
        )
    }

    #[test]
    fn a_completed_task_and_an_opt_out_are_read() {
        let done = parse(event(r#","type":"completed","specversion":"1.0""#).as_bytes()).unwrap();
        assert_eq!(done.kind, TaskEventKind::Completed);
        assert_eq!((done.id.as_str(), done.version), ("crm-1", 2));
        assert_eq!(done.task, from_ulid(TASK).unwrap());
        let out = parse(event(r#","type":"opted-out","scope":"all""#).as_bytes()).unwrap();
        assert_eq!(
            out.kind,
            TaskEventKind::OptedOut {
                scope: OptOutScope::All
            }
        );
    }

    #[test]
    fn an_error_names_the_field_and_never_the_value() {
        for (extra, field) in [
            (r#","type":"Ada Example""#, "type"),
            (r#","type":"opted-out""#, "scope"),
            (r#","type":"opted-out","scope":"Ada""#, "scope"),
            (r#","type":"completed","scope":"all""#, "scope"),
            (r#","type":"completed","note":"Ada Example""#, "task event"),
            (r#","type":"completed","id":"Ada""#, "task event"),
            (r#","type":"completed","specversion":"Ada""#, "specversion"),
            (r#","type":{"Ada":1}"#, "type"),
        ] {
            let error = parse(event(extra).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
            assert!(!error.contains("Ada"), "{error}");
        }
    }

    #[test]
    fn a_tenant_in_the_body_is_refused() {
        let body = event(r#","type":"completed","tenant":"other""#);
        assert_eq!(parse(body.as_bytes()), Err(Error::UnknownField));
    }

    #[test]
    fn bounds_are_kept() {
        let long = vec![b' '; MAX_BYTES + 1];
        assert_eq!(parse(&long), Err(Error::TooLong(MAX_BYTES + 1)));
        assert!(matches!(parse(b"[]"), Err(Error::NotJson { .. })));
        let zero = event(r#","type":"completed""#).replace("\"version\":2", "\"version\":0");
        assert!(matches!(
            parse(zero.as_bytes()),
            Err(Error::Field {
                field: "version",
                ..
            })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let refused = parse(&bytes).is_err();
            prop_assert!(refused);
        }
    }
}
