//! Intake: everything that arrives passes one door, is stored durably, and only then acknowledged.
//!
//! ```text
//! socket ─▶ mllp::listener ─▶ mllp::connection ─▶ Door::receive ─▶ committer ─▶ store
//!            who may connect    one frame at a time   MSH only        many at once    │
//!              ▲                                                                      ▼
//!              └──────────────── acknowledge(header, &Receipt) ◀──────────────── Receipt
//! ```
//!
//! Bad data is stored as *held* and acknowledged; a negative answer means only that careloop
//! itself cannot store at the moment. Nothing here knows mappings, rules or the broker.

mod acknowledge;
mod asker;
mod commit;
mod feed;
pub mod mllp;
mod readiness;
mod receive;
mod replies;

pub use acknowledge::{Answer, acknowledge, refuse};
pub use commit::Unstored;
pub use feed::{ByName, Counters, Counts, Feed};
pub use readiness::{Readiness, Unready};
pub use receive::{Door, Handled};
pub use replies::Replies;
