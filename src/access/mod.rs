//! Who may see what, for which purpose: service tokens, disclosures and re-checks.
//!
//! The queue carries no protected value; a CRM that may have the rest asks for it here, task by
//! task. Every answer is decided as of the moment of asking, and a disclosure is committed before
//! its first byte leaves.

mod content;
mod decision;
mod disclose;
mod person;
mod refusal;
mod test_task;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

pub use content::Content;
pub use decision::Recheck;
pub use person::CrmId;
pub use refusal::Refusal;
pub use test_task::{TEST_FAMILY, TEST_PURPOSE};
pub use token::{LONGEST_DAYS, Pass, Scope, mint};

use crate::clock;
use crate::config::TASKS_DESTINATION;
use crate::outbox::envelope::ulid;
use crate::outbox::events::TaskEvent;
use crate::outbox::{self, Answers};
use crate::site::Site;
use crate::store::{AuditEntry, Store, TaskEventEffect};

/// The desk at which a CRM asks: all tenants, and the store.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    sites: Arc<BTreeMap<String, Arc<Site>>>,
}

impl Desk {
    /// The desk of these tenants.
    pub fn new(store: Store, sites: &[Arc<Site>]) -> Self {
        let named = |site: &Arc<Site>| (site.config.name.clone(), Arc::clone(site));
        Self {
            store,
            sites: Arc::new(sites.iter().map(named).collect()),
        }
    }

    /// Takes an answer about a task, once; it is durable when this returns.
    ///
    /// # Errors
    /// A refusal; nothing happened then.
    pub async fn answer(&self, pass: &Pass, event: &TaskEvent) -> Result<TaskEventEffect, Refusal> {
        pass.permits(Scope::TaskEventWrite)?;
        covered(&pass.site, clock::now())?;
        let answers = Answers::new(self.store.clone(), Arc::clone(&pass.site));
        match answers.apply(event).await {
            Ok(TaskEventEffect::UnknownTask) => Err(Refusal::NotFound),
            Ok(effect) => Ok(effect),
            Err(outbox::Error::Store(error)) => Err(Refusal::Store(error)),
            Err(outbox::Error::Panicked(_)) => Err(Refusal::Unavailable),
        }
    }

    /// Keeps on record that a question about a person's data was refused.
    async fn note_refusal(
        &self,
        pass: &Pass,
        (action, entity, purpose): (&'static str, (&'static str, Option<Uuid>), Option<&str>),
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let mut tx = self.store.write(pass.site.tenant).await?;
        let mut entry = pass.entry(action, entity, clock::now());
        entry.outcome = "denied";
        entry.purpose = purpose.map(ToOwned::to_owned);
        entry.detail = Some(refusal.codes().join(" "));
        tx.audit(&entry).await?;
        Ok(tx.commit().await?)
    }
}

/// No agreement, no protected data (contract 7).
fn covered(site: &Site, now: Timestamp) -> Result<(), Refusal> {
    let today = now.to_zoned(site.config.zone.clone()).date();
    if site.config.is_covered(TASKS_DESTINATION, today) {
        Ok(())
    } else {
        Err(Refusal::Agreement)
    }
}

impl Pass {
    /// An audit entry of what its holder does.
    fn entry(
        &self,
        action: &'static str,
        entity: (&'static str, Option<Uuid>),
        at: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            at,
            actor: format!("token:{}:{}", ulid(self.row.id), self.row.name),
            action,
            outcome: "done",
            purpose: None,
            entity,
            message: None,
            detail: None,
        }
    }
}
