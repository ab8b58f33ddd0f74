//! Station 5, send: queued tasks leave at least once, under one id, and never without consent.
//!
//! The relay claims what is due, asks consent again, publishes and records the answer; the answers
//! of the CRM come back on a queue. Without a broker the same envelopes go to spool files.

mod answers;
mod clear;
pub mod envelope;
pub mod events;
mod judge;
pub mod publisher;
pub mod rabbit;
mod relay;
mod returns;
pub mod schema;
mod seal;
mod spans;
pub mod spool;
mod wire;
pub mod words;

pub use answers::Answers;
pub use publisher::{Outgoing, Published, Publisher, PublisherState, Topology};
pub use relay::Relay;
pub use returns::Returns;

/// Why a step of the outbox could not be finished; nothing is lost, it is done again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// careloop itself failed.
    #[error(transparent)]
    Panicked(#[from] crate::guard::Panicked),
}
