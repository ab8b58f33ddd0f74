//! Intake: everything that arrives passes one door, is stored durably, and only then acknowledged.
//!
//! ```text
//! socket ─▶ mllp::listener ─▶ mllp::connection ─▶ Door::receive ─▶ committer ─▶ store
//!            who may connect    one frame at a time   MSH only        many at once    │
//!              ▲                                                                      ▼
//!              └──────────────── acknowledge(header, &Receipt) ◀──────────────── Receipt
//! ```
//!
//! FHIR resources come as notifications over HTTP: `Notified::take` ─▶ `Door::receive_resources`, each
//! resource a message of its own, and 2xx only after the same commit.
//!
//! Bad data is stored as *held* and acknowledged; a negative answer means only that careloop
//! itself cannot store at the moment. Nothing here knows mappings, rules or the broker.

use std::sync::Arc;

use jiff::civil::Date;

mod acknowledge;
mod asker;
mod commit;
mod feed;
pub mod mllp;
mod notified;
mod readiness;
mod receive;
mod replies;
mod resources;

pub use acknowledge::{Answer, acknowledge, refuse};
pub use commit::Unstored;
pub use feed::{ByName, Counters, Counts, Feed};
pub use notified::{Notified, Notifier, Untaken};
pub use readiness::{Readiness, Unready};
pub use receive::{Door, Handled};
pub use replies::Replies;
pub use resources::Resources;

/// Whether an agreement in force covers a source on a day.
pub type Coverage = Arc<dyn Fn(Date) -> bool + Send + Sync>;
