//! A tenant's keys: loaded once, made on first use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::dialect::{row, rows, run};
use super::tx::{Inner, Tx, scoped};
use super::{Error, Pools, Store, TenantId};
use crate::vault::{IndexKey, Key, KeyId, Place};

/// The opened keys of one tenant.
pub struct TenantKeys {
    pub(super) tenant: Key,
    /// Blind indexes, task keys and hashed references.
    pub index: IndexKey,
    pub(super) inbox: Mutex<HashMap<KeyId, Key>>,
}

#[cfg(test)]
impl TenantKeys {
    /// Fresh keys that no database knows, for tests that need no store.
    pub fn fresh() -> Self {
        let key = Key::generate(KeyId(1)).expect("random bytes");
        Self {
            index: IndexKey::new(&key),
            tenant: key,
            inbox: Mutex::default(),
        }
    }
}

/// How many cells and rows each key of a tenant protects.
#[derive(Clone, Debug, Serialize)]
pub struct KeyStatus {
    /// `tenant`, `index`, `inbox` or `person`.
    pub purpose: String,
    /// Keys of this purpose.
    pub keys: i64,
    /// Of these, how many still seal.
    pub active: i64,
    /// When the newest was made (RFC 3339).
    pub newest: Option<String>,
}

fn key_place(purpose: &str, id: KeyId) -> ([u8; 4], String) {
    (id.0.to_be_bytes(), format!("wrapped.{purpose}"))
}

pub(super) fn wrap(
    outer: &Key,
    tenant: TenantId,
    purpose: &str,
    key: &Key,
) -> Result<Vec<u8>, Error> {
    let (row, column) = key_place(purpose, key.id());
    let place = Place {
        tenant: tenant.0,
        table: "tenant_key",
        column: &column,
        row: &row,
    };
    Ok(key.wrap(outer, &place)?)
}

fn unwrap(
    outer: &Key,
    tenant: TenantId,
    purpose: &str,
    id: KeyId,
    wrapped: &[u8],
) -> Result<Key, Error> {
    let (row, column) = key_place(purpose, id);
    let place = Place {
        tenant: tenant.0,
        table: "tenant_key",
        column: &column,
        row: &row,
    };
    Ok(Key::unwrap(id, wrapped, outer, &place)?)
}

/// Days since 1970: the number of the inbox key of a day.
pub(super) fn day_of(at: Timestamp) -> KeyId {
    KeyId(u32::try_from(at.as_second().div_euclid(86_400)).unwrap_or(0))
}

impl Store {
    pub(super) async fn tenant_keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, Error> {
        if let Some(keys) = self.keys.read().await.get(&tenant) {
            return Ok(Arc::clone(keys));
        }
        let mut bare = self.bare(tenant).await?;
        let found = rows!(
            bare,
            (String, i64, Vec<u8>),
            "SELECT purpose, id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose IN ('tenant', 'index') AND state = 'active'"
        )?;
        drop(bare);
        let find = |purpose: &str| found.iter().find(|(name, ..)| name == purpose);
        let (Some((_, tenant_id, tenant_key)), Some((_, index_id, index))) =
            (find("tenant"), find("index"))
        else {
            return Err(Error::NoTenant(tenant.0.to_string()));
        };
        let id = |number: i64| KeyId(u32::try_from(number).unwrap_or(0));
        let tenant_key = unwrap(&self.root, tenant, "tenant", id(*tenant_id), tenant_key)?;
        let index = unwrap(&tenant_key, tenant, "index", id(*index_id), index)?;
        let keys = Arc::new(TenantKeys {
            tenant: tenant_key,
            index: IndexKey::new(&index),
            inbox: Mutex::default(),
        });
        self.keys.write().await.insert(tenant, Arc::clone(&keys));
        Ok(keys)
    }

    /// A transaction before the tenant's keys are known; only this file uses it.
    async fn bare(&self, tenant: TenantId) -> Result<Bare, Error> {
        let inner = match &self.pools {
            Pools::Postgres(pool) => Inner::Postgres(scoped(pool, tenant).await?),
            Pools::Sqlite { writer, .. } => {
                Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
        };
        Ok(Bare { inner, tenant })
    }

    pub(super) async fn ensure_tenant_keys(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tenant_key = Key::generate(KeyId(1))?;
        let index = Key::generate(KeyId(1))?;
        let made = [
            ("tenant", wrap(&self.root, tenant, "tenant", &tenant_key)?),
            ("index", wrap(&tenant_key, tenant, "index", &index)?),
        ];
        let mut bare = self.bare(tenant).await?;
        let existing = row!(
            bare,
            (i64,),
            "SELECT count(*) FROM tenant_key WHERE tenant = $1"
        )?;
        if existing.is_none_or(|(count,)| count == 0) {
            for (purpose, wrapped) in &made {
                run!(
                    bare,
                    "INSERT INTO tenant_key (tenant, purpose, id, wrapped, state, created_at) VALUES ($1, $2, 1, $3, 'active', $4) ON CONFLICT (tenant, purpose, id) DO NOTHING",
                    *purpose,
                    wrapped.as_slice(),
                    now.as_microsecond()
                )?;
            }
        }
        bare.commit().await?;
        self.tenant_keys(tenant).await.map(drop)
    }

    /// How many keys of each purpose a tenant has.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn key_status(&self, tenant: TenantId) -> Result<Vec<KeyStatus>, Error> {
        let mut tx = self.read(tenant).await?;
        let mut found = rows!(
            tx,
            (String, i64, i64, Option<i64>),
            "SELECT purpose, count(*), sum(CASE WHEN state = 'active' THEN 1 ELSE 0 END), max(created_at) FROM tenant_key WHERE tenant = $1 GROUP BY purpose ORDER BY purpose"
        )?;
        found.extend(rows!(
            tx,
            (String, i64, i64, Option<i64>),
            "SELECT 'person', count(*), count(*), max(created_at) FROM person_key WHERE tenant = $1"
        )?);
        Ok(found
            .into_iter()
            .map(|(purpose, keys, active, newest)| KeyStatus {
                purpose,
                keys,
                active,
                newest: newest
                    .and_then(|at| Timestamp::from_microsecond(at).ok())
                    .map(|at| at.to_string()),
            })
            .collect())
    }
}

struct Bare {
    inner: Inner,
    tenant: TenantId,
}

impl Bare {
    async fn commit(self) -> Result<(), Error> {
        match self.inner {
            Inner::Postgres(tx) => tx.commit().await?,
            Inner::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

impl Tx {
    /// The inbox key of the day of `at`, made when it is the day's first message.
    pub(super) async fn inbox_key(&mut self, at: Timestamp) -> Result<Key, Error> {
        let id = day_of(at);
        if let Some(key) = self.cached_inbox_key(id) {
            return Ok(key);
        }
        let fresh = Key::generate(id)?;
        let wrapped = wrap(&self.keys.tenant, self.tenant, "inbox", &fresh)?;
        run!(
            self,
            "INSERT INTO tenant_key (tenant, purpose, id, wrapped, state, created_at) VALUES ($1, 'inbox', $2, $3, 'active', $4) ON CONFLICT (tenant, purpose, id) DO NOTHING",
            i64::from(id.0),
            wrapped.as_slice(),
            at.as_microsecond()
        )?;
        // Another process may have made it first; what stands in the row is the key. It is not
        // cached here: this transaction may still be rolled back, and the row with it.
        self.stored_inbox_key(id).await
    }

    /// The inbox key that sealed a body.
    pub(super) async fn known_inbox_key(&mut self, id: KeyId) -> Result<Key, Error> {
        if let Some(key) = self.cached_inbox_key(id) {
            return Ok(key);
        }
        let key = self.stored_inbox_key(id).await?;
        let mut cache = self
            .keys
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.insert(id, key.clone());
        Ok(key)
    }

    fn cached_inbox_key(&self, id: KeyId) -> Option<Key> {
        self.keys
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    async fn stored_inbox_key(&mut self, id: KeyId) -> Result<Key, Error> {
        let found = row!(
            self,
            (Vec<u8>,),
            "SELECT wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'inbox' AND id = $2",
            i64::from(id.0)
        )?;
        let Some((wrapped,)) = found else {
            return Err(Error::Vault(crate::vault::Error::WrongKey {
                expected: id.0,
                found: 0,
            }));
        };
        unwrap(&self.keys.tenant, self.tenant, "inbox", id, &wrapped)
    }
}
