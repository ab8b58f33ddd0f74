//! Opens the database, migrates it, hands out transactions. All SQL lives below here.
//!
//! SQLite is the embedded default, PostgreSQL is for production; the same statements run on both.
//! Every row has a tenant and every statement is scoped to one (`dialect`); PostgreSQL adds
//! row-level security. Protected values are cells sealed by `vault`.

mod accounting;
mod answers;
mod apply;
mod assertions;
mod audit;
mod bodies;
mod clearing;
mod consent;
mod decisions;
mod dialect;
mod disclosures;
mod effects;
mod identity;
mod feedback;
mod inbox;
mod inbox_keys;
mod key_status;
mod keys;
mod lanes;
mod levels;
mod load;
mod open;
mod operators;
mod outbox;
mod permissions;
mod people;
mod place;
mod planner;
mod receive;
mod proposals;
mod record;
mod rests;
mod revise;
mod roots;
mod rotate;
mod statement;
mod topics;
mod standing;
mod stop;
mod test_tasks;
mod trouble;
mod tokens;
mod story;
mod tx;
mod version;
mod whole;
mod wire;

pub use accounting::{Counts, MessageDetail, MessageRow, MessageSelection, ReasonCount};
pub use answers::{AnsweredTask, RecordedEvent, TaskEventEffect, TaskFinding};
pub use assertions::{Assertions, Said};
pub use audit::AuditEntry;
pub use clearing::{Claimant, Clearing, LastDecision, Settled, Then};
pub use consent::NewOptOut;
pub use decisions::{DoubtfulMessage, IdentityDecision, Past};
pub use disclosures::{Disclosure, RecordedDecision};
pub use effects::{
    Assignment, DecisionRow, Effects, FindingDetail, FindingRow, NewEnvelope, NewLink, Revision,
    TaskRow, Withdrawal,
};
pub use feedback::{ContactMade, Returned, StandingHold};
pub use identity::{LinkRow, Owner};
pub use inbox::{Ahead, Claim, Claimed};
pub use key_status::{KeyStatus, Period};
pub use keys::TenantKeys;
pub use lanes::Lease;
pub use levels::OutboxCounts;
pub use operators::{PersonDocument, TaskListing, WithheldCount};
pub use outbox::{ClaimedEnvelope, EnvelopeKind, PublishOutcome};
pub use planner::PLANNING;
pub use proposals::{NewProposal, ProposalRow, ToldLink};
pub use receive::{Arrival, Receipt};
pub use record::{ContactRow, Lift, LiftDetail, Member, Record};
pub use roots::{RootKeys, beside, kept};
pub use rotate::{RootRotation, TenantRotation};
pub use standing::{FeedLevel, FeedStanding, GONE_AFTER, HeldCount, QueueLevel, QueueStanding};
pub use stop::{OutreachStop, Preview};
pub use story::{AnswerTold, DecisionTold, TaskStory, VersionTold};
pub use test_tasks::TestTask;
pub use tokens::TokenRow;
pub use topics::{MAX_TOPICS, Reason, TaskDetail, TaskTopic};
pub use trouble::TroubleRow;
pub use tx::Tx;
pub use wire::{Numbered, OwedAck, Settlement, Taken};

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::RwLock;

/// A tenant's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub i64);

/// The database, cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    roots: Arc<RootKeys>,
    keys: Arc<RwLock<HashMap<TenantId, Arc<TenantKeys>>>>,
    tenants: Arc<RwLock<HashMap<String, TenantId>>>,
    /// Held for as long as the process owns the SQLite file.
    _owner: Option<Arc<std::fs::File>>,
}

#[derive(Clone)]
pub(in crate::store) enum Pools {
    Postgres(PgPool),
    /// One writer, because SQLite has one; readers beside it never wait for it.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

/// What can go wrong below here, by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, full or busy: try again, and tell the sender so.
    #[error("the store cannot take this now: {0}; nothing is lost, it is tried again")]
    Temporary(#[source] sqlx::Error),
    /// Somebody else changed the same person in between: read again and decide again.
    #[error("another writer changed the same person; read again")]
    Conflict,
    /// Something that must be unique is there already: read again, and what made it is seen. Where
    /// it is seen and still in the way, repeating changes nothing.
    #[error("something that must be unique is there already; read again")]
    Taken,
    /// The claim ended and belongs to somebody else: this outcome is not written.
    #[error("the claim has ended; its work belongs to another worker")]
    ClaimLost,
    /// The root key that the store's keys are under is not at hand: an operator must act; until then
    /// nothing is lost.
    #[error("{0}")]
    RootKey(String),
    /// Something sealed does not open.
    #[error(transparent)]
    Vault(#[from] crate::vault::Error),
    /// A stored cell is not what this version writes.
    #[error("{table}: expected a cell of this version, found another form")]
    Form {
        /// The table.
        table: &'static str,
    },
    /// No such tenant.
    #[error(
        "tenant {0}: not in the store; start `careloop serve` once with it in the configuration"
    )]
    NoTenant(String),
    /// The set-up is wrong: an operator must act.
    #[error("{0}")]
    Setup(String),
    /// A statement failed for a reason that repeating does not change.
    #[error("the store refused a statement: {0}")]
    Refused(#[source] sqlx::Error),
}

impl Error {
    /// Whether it may heal without a change of what is stored.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Temporary(_) | Self::Conflict | Self::Taken | Self::ClaimLost | Self::RootKey(_)
        )
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(database) = &error else {
            return match &error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Self::Temporary(error),
                _ => Self::Refused(error),
            };
        };
        if database.is_unique_violation() {
            // Two writers met on a natural key: the second one reads again and sees the first.
            return Self::Taken;
        }
        match database.code() {
            Some(code) if heals(&code) => Self::Temporary(error),
            _ => Self::Refused(error),
        }
    }
}

/// Whether time alone heals it. PostgreSQL's five-digit classes: connection (08), resources (53),
/// operator intervention (57), rollback (40), lock not available (55P03), and missing rights or
/// tables while somebody mends the schema (42501, 42P01). SQLite's primary result codes: a missing
/// table (1; no statement of ours is wrong by its values), busy,
/// locked, read-only, interrupted, I/O, full, cannot open.
fn heals(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "40"]
            .iter()
            .any(|class| code.starts_with(class))
            || ["55P03", "42501", "42P01"].contains(&code);
    }
    let primary = code.parse::<i64>().map(|code| code & 0xff);
    matches!(primary, Ok(1 | 5 | 6 | 8 | 9 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::heals;

    #[test]
    fn a_full_disk_heals_and_a_wrong_value_does_not() {
        for code in ["1", "5", "13", "517", "778", "40P01", "57P01", "53100"] {
            assert!(heals(code), "{code}");
        }
        for code in ["19", "1299", "20", "22P02", "23502", "42703"] {
            assert!(!heals(code), "{code}");
        }
    }
}
