//! What commands share: the configuration, the store beside a running daemon, the tenant.

use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Asker, Global, Why};
use crate::clock;
use crate::config::{Config, Tenant};
use crate::daemon;
use crate::phi::Phi;
use crate::pipeline::Decider;
use crate::store::{AuditEntry, Store, TenantId};

/// The configuration cannot be used; every problem is in the text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misconfigured(pub(super) String);

/// The input cannot be used; every problem is in the text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) String);

/// The command line asks for nothing that can be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misused(pub(super) String);

/// The configuration's file where none is named.
const FILE: &str = "careloop.toml";

impl Global {
    /// Loads the configuration, or says everything that is wrong with it.
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        let default = Path::new(FILE);
        let path = self
            .config
            .as_deref()
            .or_else(|| default.exists().then_some(default));
        Config::load(path).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Misconfigured(lines.join("\n")).into()
        })
    }

    /// Opens the store for a command, beside a daemon that may be running.
    pub(super) async fn open(&self) -> anyhow::Result<Desk> {
        let config = self.load()?;
        let tenant = self.pick(&config)?.clone();
        let root =
            daemon::root_key(&config).map_err(|error| Misconfigured(format!("{error:#}")))?;
        let store = Store::open_beside(&config.store, root).await?;
        let id = store.tenant(&tenant.name).await?;
        Ok(Desk { tenant, id, store })
    }

    fn pick<'c>(&self, config: &'c Config) -> anyhow::Result<&'c Tenant> {
        match (&self.tenant, config.tenants.as_slice()) {
            (Some(name), tenants) => tenants
                .iter()
                .find(|tenant| tenant.name == *name)
                .with_context(|| format!("--tenant: expected a configured tenant, found {name}")),
            (None, [tenant]) => Ok(tenant),
            (None, []) => {
                bail!("the configuration has no [[tenant]]; add one, see `careloop config default`")
            }
            (None, _) => bail!("the configuration has several tenants; name one with --tenant"),
        }
    }
}

/// An open store and the tenant that the command is about.
pub(super) struct Desk {
    pub(super) tenant: Tenant,
    pub(super) id: TenantId,
    pub(super) store: Store,
}

impl Why {
    /// Who decides about identities.
    pub(super) fn decider(self) -> Decider {
        Decider {
            operator: self.operator,
            reason: Phi::new(self.reason),
        }
    }
}

impl Asker {
    /// The audit entry for what the operator does.
    pub(super) fn entry(
        &self,
        action: &'static str,
        entity: (&'static str, Option<Uuid>),
    ) -> AuditEntry {
        AuditEntry {
            at: clock::now(),
            actor: format!("operator:{}", self.operator),
            action,
            outcome: "done",
            purpose: Some(self.purpose.clone()),
            entity,
            message: None,
            detail: None,
        }
    }
}

/// Reads what must not be blank: a name, a reason.
pub(super) fn said(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected text, found nothing".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads an instant or a day (its start in UTC) from the command line.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>()
        .or_else(|_not_an_instant| format!("{text}T00:00:00Z").parse())
        .map_err(|_neither| "expected an RFC 3339 instant or a date (YYYY-MM-DD)".to_owned())
}
