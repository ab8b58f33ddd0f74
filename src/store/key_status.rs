//! What each key protects, since when, and which is older than its period.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::dialect::{row, rows};
use super::keys::number;
use super::{Error, Store, TenantId, Tx};
use crate::vault::key_of;

/// A key, or the keys of one purpose that are too many to list.
#[derive(Clone, Debug, Serialize)]
pub struct KeyStatus {
    /// `root`, `tenant`, `index`, `inbox` or `person`.
    pub purpose: &'static str,
    /// Its number; a root key's in hexadecimal digits. `None` where the row stands for several.
    pub id: Option<String>,
    /// `active`, `decrypt-only`, `destroyed`; a root key that was replaced is `replaced`.
    pub state: String,
    /// How many keys the row stands for.
    pub keys: i64,
    /// When the oldest was made; a root key: since when it is in use.
    pub oldest: Option<Timestamp>,
    /// When the newest was made.
    pub newest: Option<Timestamp>,
    /// A root key that was replaced: until when a backup needs it.
    pub until: Option<Timestamp>,
    /// How many keys are wrapped under it, or rows sealed; `None` where it seals nothing.
    pub protects: Option<i64>,
    /// Whether it is older than its period.
    pub due: bool,
}

/// How long a key wraps before it should be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The root key.
    Root,
    /// A tenant key.
    Tenant,
}

impl Period {
    /// In days.
    pub const fn days(self) -> i64 {
        match self {
            Self::Root => 365,
            Self::Tenant => 90,
        }
    }

    /// Whether a key that was made at `since` is older than that.
    pub fn is_over(self, since: Timestamp, now: Timestamp) -> bool {
        now.duration_since(since) > SignedDuration::from_hours(self.days() * 24)
    }
}

impl KeyStatus {
    fn of(purpose: &'static str, state: String, keys: i64) -> Self {
        Self {
            purpose,
            id: None,
            state,
            keys,
            oldest: None,
            newest: None,
            until: None,
            protects: None,
            due: false,
        }
    }

    const fn made(mut self, oldest: Option<Timestamp>, newest: Option<Timestamp>) -> Self {
        (self.oldest, self.newest) = (oldest, newest);
        self
    }
}

impl Store {
    /// The keys of a tenant, and what they protect.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn key_status(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Vec<KeyStatus>, Error> {
        let mut tx = self.read(tenant).await?;
        let mut all = tx.root_keys(now).await?;
        all.extend(tx.tenant_and_index_keys(now).await?);
        all.push(tx.inbox_keys().await?);
        all.push(tx.person_keys().await?);
        Ok(all)
    }
}

impl Tx {
    async fn root_keys(&mut self, now: Timestamp) -> Result<Vec<KeyStatus>, Error> {
        let wrapped = rows!(
            self,
            (Vec<u8>,),
            "SELECT wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state <> 'destroyed'"
        )?;
        let found = rows!(
            self,
            (i64, i64, Option<i64>),
            "SELECT id, since_at, until_at FROM root_key WHERE tenant = $1 ORDER BY since_at"
        )?;
        let mut all = Vec::with_capacity(found.len());
        for (id, since, until) in found {
            let mut under = 0;
            for (cell,) in &wrapped {
                under += i64::from(key_of(cell)? == number(id));
            }
            let since = Timestamp::from_microsecond(since).ok();
            let state = if until.is_none() {
                "active"
            } else {
                "replaced"
            };
            let mut key = KeyStatus::of("root", state.to_owned(), 1).made(since, since);
            key.id = Some(number(id).hex());
            key.until = until.and_then(|at| Timestamp::from_microsecond(at).ok());
            key.protects = Some(under);
            key.due = until.is_none() && since.is_some_and(|at| Period::Root.is_over(at, now));
            all.push(key);
        }
        Ok(all)
    }

    async fn tenant_and_index_keys(&mut self, now: Timestamp) -> Result<Vec<KeyStatus>, Error> {
        let found = rows!(
            self,
            (String, i64, String, i64),
            "SELECT purpose, id, state, created_at FROM tenant_key WHERE tenant = $1 AND purpose IN ('tenant', 'index') ORDER BY purpose DESC, id"
        )?;
        let mut all = Vec::with_capacity(found.len());
        for (purpose, id, state, made) in found {
            let is_tenant = purpose == "tenant";
            let made = Timestamp::from_microsecond(made).ok();
            let is_active = state == "active";
            let purpose = if is_tenant { "tenant" } else { "index" };
            let mut key = KeyStatus::of(purpose, state, 1).made(made, made);
            key.id = Some(id.to_string());
            if is_tenant {
                key.protects = Some(self.wrapped_under(number(id)).await?);
                key.due = is_active && made.is_some_and(|at| Period::Tenant.is_over(at, now));
            }
            all.push(key);
        }
        Ok(all)
    }

    async fn inbox_keys(&mut self) -> Result<KeyStatus, Error> {
        let found = row!(
            self,
            (i64, Option<i64>, Option<i64>),
            "SELECT count(*), min(created_at), max(created_at) FROM tenant_key WHERE tenant = $1 AND purpose = 'inbox' AND state = 'active'"
        )?;
        let bodies = row!(
            self,
            (i64,),
            "SELECT count(*) FROM message WHERE tenant = $1 AND body IS NOT NULL"
        )?;
        Ok(several("inbox", found, bodies.map(|(count,)| count)))
    }

    async fn person_keys(&mut self) -> Result<KeyStatus, Error> {
        let found = row!(
            self,
            (i64, Option<i64>, Option<i64>),
            "SELECT count(*), min(created_at), max(created_at) FROM person_key WHERE tenant = $1"
        )?;
        let people = found.map(|(count, ..)| count);
        Ok(several("person", found, people))
    }
}

/// Keys of one purpose, counted, with the times of the oldest and the newest.
fn several(
    purpose: &'static str,
    found: Option<(i64, Option<i64>, Option<i64>)>,
    protects: Option<i64>,
) -> KeyStatus {
    let (count, oldest, newest) = found.unwrap_or_default();
    let at = |micros: Option<i64>| micros.and_then(|at| Timestamp::from_microsecond(at).ok());
    let mut keys = KeyStatus::of(purpose, "active".to_owned(), count).made(at(oldest), at(newest));
    keys.protects = protects;
    keys
}
