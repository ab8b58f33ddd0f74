//! A tenant's keys: loaded once, made on first use, looked at again while others rotate them.
//!
//! What was wrapped names its tenant key, and opens with that one. What is wrapped is wrapped under
//! the key that is active in the same transaction, whose row stays locked until the commit: once a
//! rotation has committed, nothing new names the key before it, whatever a process remembers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::dialect::{row, rows, run, sql};
use super::roots::RootKeys;
use super::tx::{Bare, Tx};
use super::{Error, Store, TenantId};
use crate::vault::{self, IndexKey, Key, KeyId, Place, key_of};

/// How long a process remembers a tenant key that may have been destroyed meanwhile.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How often a statement is asked again because somebody rotated between two statements.
pub(super) const LOOKS: u32 = 3;

/// The opened keys of one tenant.
pub struct TenantKeys {
    roots: Arc<RootKeys>,
    opened: RwLock<Opened>,
    /// Blind indexes, task keys and hashed references.
    pub index: IndexKey,
    pub(super) inbox: Mutex<HashMap<KeyId, Key>>,
}

/// Tenant keys by number, and since when they may be out of date.
struct Opened {
    keys: HashMap<KeyId, Key>,
    since: Instant,
}

#[cfg(test)]
impl TenantKeys {
    /// Fresh keys that no database knows, for tests that need no store.
    pub fn fresh() -> Self {
        let key = Key::generate(KeyId(1)).expect("random bytes");
        let root = Key::generate_root().expect("random bytes");
        Self::new(Arc::new(RootKeys::from(root)), key.clone(), &key)
    }
}

impl TenantKeys {
    fn new(roots: Arc<RootKeys>, tenant: Key, index: &Key) -> Self {
        Self {
            roots,
            opened: RwLock::new(Opened {
                keys: HashMap::from([(tenant.id(), tenant)]),
                since: Instant::now(),
            }),
            index: IndexKey::new(index),
            inbox: Mutex::default(),
        }
    }

    /// The tenant key of this number, if it was opened before.
    pub(super) fn opened(&self, id: KeyId) -> Option<Key> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.keys.get(&id).cloned()
    }

    fn keep(&self, key: Key) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.keys.insert(key.id(), key);
    }

    fn is_old(&self) -> bool {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.since.elapsed() > REMEMBERED
    }

    /// Forgets every tenant key that is not among `standing`.
    fn forget_others(&self, standing: &[KeyId]) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.keys.retain(|id, _| standing.contains(id));
        opened.since = Instant::now();
    }
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

pub(super) fn unwrap(
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

/// Where a person's wrapped key belongs.
pub(super) fn person_key_place(tenant: TenantId, person: &uuid::Uuid) -> Place<'_> {
    Place {
        tenant: tenant.0,
        table: "person_key",
        column: "wrapped",
        row: person.as_bytes(),
    }
}

pub(super) fn number(id: i64) -> KeyId {
    KeyId(u32::try_from(id).unwrap_or(0))
}

impl Store {
    /// The keys of a tenant, kept once they were read.
    ///
    /// # Errors
    /// When the store is away, or there is no such tenant.
    pub async fn tenant_keys(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, Error> {
        let known = self.keys.read().await.get(&tenant).map(Arc::clone);
        if let Some(keys) = known {
            if keys.is_old() {
                self.forget_destroyed(tenant, &keys).await?;
            }
            return Ok(keys);
        }
        let mut bare = self.bare(tenant).await?;
        let found = rows!(
            bare,
            (String, i64, Vec<u8>),
            "SELECT purpose, id, wrapped FROM tenant_key WHERE tenant = $1 AND (purpose = 'tenant' AND state <> 'destroyed' OR purpose = 'index' AND state = 'active')"
        )?;
        drop(bare);
        let Some((_, index_id, index)) = found.iter().find(|(purpose, ..)| purpose == "index")
        else {
            return Err(Error::NoTenant(tenant.0.to_string()));
        };
        let outer = key_of(index)?;
        let tenant_key = found
            .iter()
            .find(|(purpose, id, _)| purpose == "tenant" && number(*id) == outer)
            .ok_or(vault::Error::NoKey(outer.0))?;
        let root = self.roots.find(key_of(&tenant_key.2)?)?;
        let tenant_key = unwrap(&root, tenant, "tenant", outer, &tenant_key.2)?;
        let index = unwrap(&tenant_key, tenant, "index", number(*index_id), index)?;
        let keys = TenantKeys::new(Arc::clone(&self.roots), tenant_key, &index);
        let keys = Arc::new(keys);
        self.keys.write().await.insert(tenant, Arc::clone(&keys));
        Ok(keys)
    }

    async fn forget_destroyed(
        &self,
        tenant: TenantId,
        keys: &Arc<TenantKeys>,
    ) -> Result<(), Error> {
        let mut tx = self.read_with(tenant, Arc::clone(keys)).await?;
        let standing = rows!(
            tx,
            (i64,),
            "SELECT id FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state <> 'destroyed'"
        )?;
        let standing: Vec<KeyId> = standing.into_iter().map(|(id,)| number(id)).collect();
        keys.forget_others(&standing);
        Ok(())
    }

    pub(super) async fn ensure_tenant_keys(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut bare = self.bare(tenant).await?;
        let existing = row!(
            bare,
            (i64,),
            "SELECT count(*) FROM tenant_key WHERE tenant = $1"
        )?;
        if existing.is_none_or(|(count,)| count == 0) {
            bare.inner.alone_with_keys().await?;
            self.make_tenant_keys(&mut bare, now).await?;
        }
        bare.commit().await?;
        self.tenant_keys(tenant).await.map(drop)
    }

    /// A new tenant's keys, under the root key that the other tenants' keys are under.
    async fn make_tenant_keys(&self, bare: &mut Bare, now: Timestamp) -> Result<(), Error> {
        let tenant = bare.tenant;
        let named = bare.named_root().await?;
        bare.turn_to(tenant).await?;
        let root = self.roots.find(named.unwrap_or_else(|| self.roots.id()))?;
        let tenant_key = Key::generate(KeyId(1))?;
        let index = Key::generate(KeyId(1))?;
        let made = [
            ("tenant", wrap(&root, tenant, "tenant", &tenant_key)?),
            ("index", wrap(&tenant_key, tenant, "index", &index)?),
        ];
        let mut new = 0;
        for (purpose, wrapped) in &made {
            new += run!(
                bare,
                "INSERT INTO tenant_key (tenant, purpose, id, wrapped, state, created_at) VALUES ($1, $2, 1, $3, 'active', $4) ON CONFLICT (tenant, purpose, id) DO NOTHING",
                *purpose,
                wrapped.as_slice(),
                now.as_microsecond()
            )?;
        }
        if new > 0 {
            bare.note_root(root.id(), now).await?;
        }
        Ok(())
    }

    /// The root key that the store's keys are under; none before the first tenant.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn named_root(&self) -> Result<Option<KeyId>, Error> {
        self.bare(TenantId(0)).await?.named_root().await
    }

    /// Looks whether the root key that the store's keys are under is at hand; a note for the operator
    /// where something is left to do.
    ///
    /// # Errors
    /// [`Error::RootKey`] when it is not, with what to do.
    pub async fn check_root(&self) -> Result<Option<String>, Error> {
        if let Some(named) = self.named_root().await? {
            self.roots.find(named)?;
        }
        Ok(self.roots.unfinished())
    }
}

impl Bare {
    /// The root key that some tenant's key is under; sees another tenant's rows afterwards.
    async fn named_root(&mut self) -> Result<Option<KeyId>, Error> {
        for tenant in self.tenants().await? {
            self.turn_to(tenant).await?;
            let found = row!(
                self,
                (Vec<u8>,),
                "SELECT wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state = 'active'"
            )?;
            if let Some((wrapped,)) = found {
                return Ok(Some(key_of(&wrapped)?));
            }
        }
        Ok(None)
    }

    /// Notes since when the tenant's keys are under a root key.
    pub(super) async fn note_root(&mut self, root: KeyId, now: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "UPDATE root_key SET until_at = $2 WHERE tenant = $1 AND until_at IS NULL",
            now.as_microsecond()
        )?;
        run!(
            self,
            "INSERT INTO root_key (tenant, id, since_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, id) DO UPDATE SET since_at = excluded.since_at, until_at = NULL",
            i64::from(root.0),
            now.as_microsecond()
        )?;
        Ok(())
    }
}

impl Tx {
    /// The tenant key under which something is to be wrapped now. Its row is locked until the end of
    /// the transaction, so that no rotation comes in between.
    pub(super) async fn sealing_key(&mut self) -> Result<Key, Error> {
        // While a rotation commits, the statement sees the old key retired and the new one not yet.
        for _ in 0..LOOKS {
            let statement = sql!(self,
                postgres: "SELECT id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state = 'active' FOR SHARE",
                sqlite: "SELECT id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state = 'active'");
            if let Some((id, wrapped)) = row!(self, (i64, Vec<u8>), statement)? {
                return self.open_tenant_key(number(id), &wrapped);
            }
        }
        Err(Error::Conflict)
    }

    fn open_tenant_key(&self, id: KeyId, wrapped: &[u8]) -> Result<Key, Error> {
        if let Some(key) = self.keys.opened(id) {
            return Ok(key);
        }
        let root = self.keys.roots.find(key_of(wrapped)?)?;
        let key = unwrap(&root, self.tenant, "tenant", id, wrapped)?;
        self.keys.keep(key.clone());
        Ok(key)
    }

    /// Opens the tenant keys that `cells` name; whether all of them are there. Where one is not, it
    /// was destroyed after the cells were read, and these are to be read again.
    pub(super) async fn can_unwrap<'a>(
        &mut self,
        cells: impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, Error> {
        let mut wanted = Vec::new();
        for cell in cells {
            let id = key_of(cell)?;
            if self.keys.opened(id).is_none() && !wanted.contains(&id) {
                wanted.push(id);
            }
        }
        if wanted.is_empty() {
            return Ok(true);
        }
        let found = rows!(
            self,
            (i64, Vec<u8>),
            "SELECT id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state <> 'destroyed'"
        )?;
        for (id, wrapped) in found {
            let id = number(id);
            if wanted.contains(&id) {
                self.open_tenant_key(id, &wrapped)?;
                wanted.retain(|other| *other != id);
            }
        }
        Ok(wanted.is_empty())
    }

    /// The opened tenant key that a cell names.
    pub(super) fn outer_key(&self, cell: &[u8]) -> Result<Key, Error> {
        let id = key_of(cell)?;
        let found = self.keys.opened(id);
        Ok(found.ok_or(vault::Error::NoKey(id.0))?)
    }
}
