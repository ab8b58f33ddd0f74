//! Endpoints that send by themselves: who they are, the secret they show, and whether they may.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};

use super::resources::Resources;
use super::{Coverage, Door, Feed, Unstored};

/// One endpoint that may send notifications.
pub struct Notifier {
    /// Whose resources these are.
    pub feed: Arc<Feed>,
    /// Asked at every notification.
    pub covered: Coverage,
    secret: digest::Digest,
}

/// All endpoints that may send notifications, by tenant and source.
#[derive(Clone)]
pub struct Notified {
    door: Door,
    by_name: Arc<HashMap<(String, String), Notifier>>,
}

/// Why a notification is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untaken {
    /// No such endpoint, or another secret: which of the two is not told.
    #[error("expected the secret of an endpoint, found none or another")]
    Unknown,
    /// No agreement in force covers the source.
    #[error("expected an agreement in force, found none")]
    NoAgreement,
    /// It names resources, or nothing, where resources are expected.
    #[error(
        "expected resources, found their names or nothing; ask the endpoint for full resources"
    )]
    NoResources,
    /// The address names another resource than the body is.
    #[error("expected the resource that the address names, found another")]
    ElsewhereNamed,
    /// It could not be stored; it has to be sent again.
    #[error(transparent)]
    Unstored(#[from] Unstored),
}

impl Notifier {
    /// An endpoint with the secret that it shows.
    pub fn new(feed: Arc<Feed>, covered: Coverage, secret: &[u8]) -> Self {
        Self {
            feed,
            covered,
            secret: digest::digest(&digest::SHA256, secret),
        }
    }

    /// Whether a secret is the endpoint's. Takes the same time for every wrong one.
    fn admits(&self, shown: &str) -> bool {
        let shown = digest::digest(&digest::SHA256, shown.as_bytes());
        constant_time::verify_slices_are_equal(self.secret.as_ref(), shown.as_ref()).is_ok()
    }
}

impl Notifier {
    /// The resources of a body, if they may come and all that it tells of is there.
    fn resources(&self, at: Option<(&str, &str)>, body: &[u8]) -> Result<Resources, Untaken> {
        if !(self.covered)(self.feed.today()) {
            return Err(Untaken::NoAgreement);
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Untaken::NoResources);
        }
        let resources = Resources::of(body);
        if at.is_some_and(|(kind, id)| !resources.is_at(kind, id)) {
            return Err(Untaken::ElsewhereNamed);
        }
        if resources.lacks() {
            return Err(Untaken::NoResources);
        }
        Ok(resources)
    }
}

impl Untaken {
    /// The word for counts and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-sender",
            Self::NoAgreement => "no-agreement",
            Self::NoResources => "no-resources",
            Self::ElsewhereNamed => "elsewhere-named",
            Self::Unstored(_) => "not-stored",
        }
    }
}

impl Notified {
    /// All endpoints that may send.
    pub fn new(door: Door, notifiers: Vec<Notifier>) -> Self {
        let named = notifiers.into_iter().map(|notifier| {
            let feed = &notifier.feed;
            ((feed.tenant_name.clone(), feed.source.clone()), notifier)
        });
        Self {
            door,
            by_name: Arc::new(named.collect()),
        }
    }

    /// Takes a notification: every resource of the body is durable when this answers without error.
    ///
    /// # Errors
    /// [`Untaken`]; nothing is asked of anybody for a sender that is not known.
    pub async fn take(
        &self,
        (tenant, source): (&str, &str),
        shown: Option<&str>,
        at: Option<(&str, &str)>,
        body: &[u8],
    ) -> Result<(), Untaken> {
        let named = self.by_name.get(&(tenant.to_owned(), source.to_owned()));
        let known = named.filter(|one| shown.is_some_and(|shown| one.admits(shown)));
        let Some(notifier) = known else {
            if let Some(meant) = named {
                self.door.refuse(&meant.feed, Untaken::Unknown.name()).await;
            }
            return Err(Untaken::Unknown);
        };
        let feed = &notifier.feed;
        let resources = match notifier.resources(at, body) {
            Ok(resources) => resources,
            Err(untaken) => {
                self.door.refuse(feed, untaken.name()).await;
                return Err(untaken);
            }
        };
        let handled = self.door.receive_resources(feed, body, &resources).await;
        for one in handled {
            one.receipt?;
        }
        Ok(())
    }
}
