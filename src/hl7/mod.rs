//! HL7 v2 as a language: from one frame's bytes to values at paths, and back to an acknowledgement.
//!
//! ```text
//! bytes ─▶ split ─▶ Header::read ─▶ charset::decode ─▶ Message::parse ─▶ get / scope ─▶ escape, timestamp
//!                        └──────────────────────────────────────────────▶ ack::answer
//! ```
//!
//! Three promises hold for the whole module: no input panics, no byte of a message is lost in
//! silence (what is not understood is an error or an [`Anomaly`]), and no error and no `Debug`
//! shows message text. It knows nothing of the hub.

pub mod ack;
pub mod charset;
mod delimiters;
pub mod escape;
mod header;
mod lines;
mod message;
mod parsed;
mod path;
mod scope;
mod segment;
mod split;
pub mod timestamp;

#[cfg(test)]
mod properties;

pub use ack::{AckCode, Outcome};
pub use charset::{Charset, CharsetError};
pub use delimiters::Delimiters;
pub use header::{Header, HeaderError};
pub use message::{Anomaly, AnomalyKind, Message, ParseError, ReadError};
pub use path::{Path, PathError, Paths, RelPath};
pub use scope::Scope;
pub use segment::{Field, Repetition, Segment};
pub use split::{Split, split};
pub use timestamp::{Timestamp, TimestampError};

/// The largest message that is parsed, in bytes: 4 MiB. Larger ones are kept raw by the caller.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The most segments one message may have.
pub const MAX_SEGMENTS: usize = 10_000;
