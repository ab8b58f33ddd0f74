//! Whether intake can take messages, and if not, why: what `/health/ready` shows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why intake is not ready; names are configured ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unready {
    /// The last commit for a tenant failed; senders are told to send again.
    NotStoring {
        /// The tenant's name.
        tenant: String,
    },
    /// A listener whose agreement is in force cannot be opened.
    NotListening {
        /// The tenant's name.
        tenant: String,
        /// The source's name.
        source: String,
    },
}

/// Shared by the stations and the health door. Starts ready; each reason goes away by itself with
/// the next success of the same kind.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<Unready>>>);

impl Readiness {
    /// Adds a reason; whether it is new.
    pub fn fail(&self, reason: Unready) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(reason)
    }

    /// Takes a reason away; whether it was there.
    pub fn recover(&self, reason: &Unready) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(reason)
    }

    /// Whether there is no reason not to be ready.
    pub fn is_ready(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Every reason, in a fixed order.
    pub fn reasons(&self) -> Vec<Unready> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStoring { tenant } => write!(
                f,
                "tenant {tenant}: messages cannot be stored; check the database and the disk"
            ),
            Self::NotListening { tenant, source } => write!(
                f,
                "tenant {tenant}, source {source}: the listener cannot be opened; check `listen`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_comes_and_goes_by_itself() {
        let readiness = Readiness::default();
        let store = Unready::NotStoring {
            tenant: "riverside".into(),
        };
        let socket = Unready::NotListening {
            tenant: "riverside".into(),
            source: "epic-adt".into(),
        };
        assert!(readiness.fail(store.clone()));
        assert!(!readiness.fail(store.clone()));
        assert!(readiness.fail(socket.clone()));
        assert!(readiness.recover(&store));
        assert!(!readiness.recover(&store));
        assert_eq!(readiness.reasons(), std::slice::from_ref(&socket));
        assert!(readiness.recover(&socket));
        assert!(readiness.is_ready());
    }
}
