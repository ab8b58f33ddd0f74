//! What applying a bundle to a message gives: changes, issues, and where each value came from.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::failure::Code;
use crate::phi::Phi;

/// What a mapping needs besides the message.
pub struct Context<'a> {
    /// The zone of the source, for times that come without offset.
    pub zone: &'a jiff::tz::TimeZone,
    /// A keyed hash of some texts, for references that must not hold a code.
    pub hash: &'a dyn Fn(&[&str]) -> String,
    /// The base address of the FHIR endpoint, so that what it says of its own resources is known as
    /// such; empty for other sources.
    pub endpoint: &'a str,
}

/// What a message says.
pub struct Mapped {
    /// What becomes of the message.
    pub outcome: Outcome,
    /// What it says; group by group, the group's person first. Complete only when `outcome` is
    /// [`Outcome::Mapped`].
    pub changes: Vec<MappedChange>,
    /// What was wrong or doubtful.
    pub issues: Vec<Issue>,
    /// Where each value came from.
    pub trace: Vec<TraceEntry>,
}

impl Mapped {
    /// A message that is not read.
    pub(super) fn ignored(code: Code, place: &str) -> Self {
        Self {
            outcome: Outcome::Ignored {
                code,
                place: place.to_owned(),
            },
            changes: Vec::new(),
            issues: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// A message that names no type: nobody can tell what it says, and it may say something, so a
    /// person must look.
    pub(super) fn untyped() -> Self {
        Self::held(Code::NoMessageType, "MSH-9.1".to_owned())
    }

    /// A resource that is not of the form of its release, so that some of it would be read as nothing.
    pub(super) fn malformed(place: String) -> Self {
        Self::held(Code::BadValue, place)
    }

    fn held(code: Code, at: String) -> Self {
        let issue = Issue {
            code,
            at: at.clone(),
            rule: String::new(),
            file: String::new(),
            line: 0,
            severity: Severity::Error,
        };
        Self {
            outcome: Outcome::Held { code, place: at },
            changes: Vec::new(),
            issues: vec![issue],
            trace: Vec::new(),
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It says something, and all of it could be read.
    Mapped,
    /// It is not read.
    Ignored {
        /// Why.
        code: Code,
        /// Which type, or the reason that the mapping gives.
        place: String,
    },
    /// A person must act; the first issue with [`Severity::Error`] says why.
    Held {
        /// The code of that issue.
        code: Code,
        /// The place of that issue.
        place: String,
    },
}

impl Outcome {
    /// The word for counts and examples.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Ignored { .. } => "ignored",
            Self::Held { .. } => "held",
        }
    }
}

/// What a message says about one thing.
pub struct MappedChange {
    /// The entity of the thin model.
    pub entity: &'static str,
    /// The block of the pack that gave it.
    pub block: String,
    /// A key that is left out says nothing; `null` clears.
    pub values: Phi<Map<String, Value>>,
}

/// Whether an issue holds the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The message is held.
    Error,
    /// The message goes on; the value was left out, replaced, or read by a rule of thumb.
    Warning,
}

impl Severity {
    /// The word as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something wrong or doubtful in a message. Holds places, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// What is wrong.
    pub code: Code,
    /// Where in the message: a path such as `PID-3[2].4.1`, or a segment.
    pub at: String,
    /// The rule that met it, such as `patient.sex`.
    pub rule: String,
    /// The file of that rule.
    pub file: String,
    /// The line in that file.
    pub line: u32,
    /// Whether it holds the message.
    pub severity: Severity,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in the message.
    Path(String),
    /// The mapping itself.
    Constant,
    /// The rule's `default`.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Path(path) => path,
            Self::Constant => "constant",
            Self::Default => "default",
        })
    }
}

/// Where one value came from: never the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// The place in [`Mapped::changes`].
    pub change: usize,
    /// Block and target, such as `patient.identifiers[0].value`.
    pub target: String,
    /// The rule's address, such as `patient.identifiers`.
    pub rule: Arc<str>,
    /// The file whose line decided; of a layer, when one changed the rule.
    pub file: Arc<str>,
    /// The line.
    pub line: u32,
    /// Where the value came from.
    pub origin: Origin,
    /// Whether a row of a table gave it.
    pub table_row: bool,
    /// The rule's number, for counting coverage.
    pub(super) rule_id: usize,
    /// Which of the rule's `cases` matched.
    pub(super) case: Option<usize>,
}
