//! Stations 2 to 4: a stored message becomes people, pointers, findings and queued tasks in one
//! transaction, or it stays what it was.

mod again;
mod batch;
mod board;
mod escalate;
mod compare;
mod doubt;
mod findings;
mod gate;
mod identity;
mod lanes;
mod pilot;
mod plan;
mod process;
mod rejoin;
mod sharing;
mod subject;
mod sweep;
mod tasks;
mod told;
mod transfer;
mod translate;
mod worker;

pub use doubt::{Doubt, Known};
pub use identity::{Decided, Decider, Identities, Refused};
pub use process::Pipeline;
pub use sweep::Sweep;
pub use worker::Worker;

/// Why a step of the pipeline could not be finished. What is wrong with a *message* is never an
/// error but its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed; the messages are untouched and are tried again.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// careloop itself failed.
    #[error(transparent)]
    Panicked(#[from] crate::guard::Panicked),
}
