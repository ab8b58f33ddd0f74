//! FHIR R4, R4B and R5 as a language: from a body's bytes to values at paths, and back to an outcome.
//!
//! ```text
//! XML ─▶ json_of_xml
//!             ▼
//!  bytes ─▶ Document::read ─▶ Node ─▶ Path::evaluate ─▶ Item ─▶ DateTime, decimal
//!    │                        │ check                    ▲
//!    └───▶ Bundle::read ──▶ Entry, resolve       Path::compile ◀─ definitions
//!               └── ReadError ─▶ Outcome
//!
//!  JSON that careloop made ─▶ Node ─▶ Resource ─▶ JSON or XML to be sent
//! ```
//!
//! Three promises hold for the whole module: no input panics or takes more than its size allows, no
//! entry is lost in silence (what cannot be read is an error of that entry), and no error and no
//! `Debug` shows a value. It knows nothing of the hub.

mod bundle;
mod date_time;
mod decimal;
mod definitions;
mod document;
mod error;
mod model;
mod node;
mod outcome;
mod path;
mod read;
mod reference;
mod release;
mod resource;
mod same;
mod shape;
mod text;
mod tree;
mod xml;

#[cfg(test)]
mod properties;
pub use bundle::{Body, Bundle, BundleKind, Entry, Request, Response};
pub use date_time::{DateTime, DateTimeError, Form, Precision};
pub use document::Document;
pub use error::{ReadError, ReadErrorKind};
pub use node::{Elements, Node};
pub use outcome::{Issue, Outcome, Severity};
pub use path::{EvaluateError, Item, Path, PathError, Scope};
pub use reference::{Found, Reference};
pub use release::Release;
pub use resource::Resource;
pub use xml::json_of_xml;

/// The largest body that is read, in bytes: 32 MiB. Pages and exports are asked for in smaller parts.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// How deep arrays and objects of a body may lie in each other.
pub const MAX_DEPTH: usize = 100;

/// The most values (members and array elements at any depth) of one resource or one entry.
pub const MAX_ELEMENTS: usize = 200_000;

/// The most values of a whole body. A value takes 20 bytes of memory beside the body itself.
pub const MAX_TOTAL_ELEMENTS: usize = 2_000_000;

/// The most entries of a Bundle.
pub const MAX_ENTRIES: usize = 10_000;

/// The most members of one object. No type of any release has a hundred.
pub const MAX_MEMBERS: usize = 1_000;

/// The longest name of a member, in bytes.
pub const MAX_NAME_BYTES: u16 = 1_000;
