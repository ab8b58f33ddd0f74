//! Rotation of tenant and root keys while hubs work: a new key wraps, what the old one wrapped is
//! wrapped anew some at a time, and the old one is destroyed when nothing names it any more.
//!
//! Each step is a transaction that may be the last: running the rotation again goes on from there.
//! Only wrapped keys are written; cells, and the keys that opened them, stay as they are.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{many, row, rows, run, sql};
use super::keys::{number, person_key_place, unwrap, wrap};
use super::tx::Tx;
use super::{AuditEntry, Error, Store, TenantId};
use crate::vault::{Key, KeyId, key_of};

/// Between two steps whoever waits for SQLite's only writer gets it.
const BREATH: Duration = Duration::from_millis(25);
/// How often what the old key still wraps is looked for before it is left for the next run.
const PASSES: u32 = 3;

/// What became of a rotation of the tenant key.
#[derive(Debug)]
pub struct TenantRotation {
    /// The key that wraps from now on.
    pub active: KeyId,
    /// Whether an earlier run had made it.
    pub is_continued: bool,
    /// How many keys were wrapped anew by this run.
    pub rewrapped: u64,
    /// The keys that were destroyed.
    pub destroyed: Vec<KeyId>,
    /// How many keys cannot be opened and so are still under an old one, which therefore stands.
    pub left: i64,
}

/// What became of a rotation of the root key.
#[derive(Debug)]
pub struct RootRotation {
    /// How many tenants there are.
    pub tenants: usize,
    /// How many tenant keys were wrapped anew.
    pub rewrapped: usize,
}

impl Store {
    /// Gives a tenant a new tenant key and wraps everything anew that was under the old one,
    /// `at_once` keys in a transaction; or goes on with a rotation that was interrupted.
    ///
    /// # Errors
    /// When the store is away; what was done stands.
    pub async fn rotate_tenant_key(
        &self,
        tenant: TenantId,
        (actor, now): (&str, Timestamp),
        at_once: u32,
    ) -> Result<TenantRotation, Error> {
        let (active, is_continued) = self.begin_rotation(tenant, (actor, now)).await?;
        let mut rotation = TenantRotation {
            active,
            is_continued,
            rewrapped: 0,
            destroyed: Vec::new(),
            left: 0,
        };
        for _ in 0..PASSES {
            rotation.rewrapped += self.rewrap_all(tenant, i64::from(at_once)).await?;
            let mut tx = self.write(tenant).await?;
            tx.inner.alone_with_keys().await?;
            let (destroyed, left) = tx.destroy_retired().await?;
            if !destroyed.is_empty() {
                let detail = format!("{} destroyed", listed(&destroyed));
                tx.audit(&entry((actor, now), "tenant-key", detail)).await?;
            }
            tx.commit().await?;
            rotation.destroyed.extend(destroyed);
            rotation.left = left;
            if left == 0 {
                break;
            }
        }
        if !rotation.destroyed.is_empty() {
            self.forget_old_pages().await;
        }
        Ok(rotation)
    }

    /// The key that wraps from now on, and whether it was there already because a rotation was
    /// interrupted.
    async fn begin_rotation(
        &self,
        tenant: TenantId,
        (actor, now): (&str, Timestamp),
    ) -> Result<(KeyId, bool), Error> {
        let mut tx = self.write(tenant).await?;
        tx.inner.alone_with_keys().await?;
        let found = rows!(
            tx,
            (i64, Vec<u8>, String),
            "SELECT id, wrapped, state FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' ORDER BY id"
        )?;
        let active = found.iter().find(|(.., state)| state == "active");
        let (old, wrapped, _) = active.ok_or(Error::Form {
            table: "tenant_key",
        })?;
        if found.iter().any(|(.., state)| state == "decrypt-only") {
            return Ok((number(*old), true));
        }
        let newest = found.last().map_or(*old, |(id, ..)| *id);
        let root = self.roots.find(key_of(wrapped)?)?;
        let new = Key::generate(number(newest + 1))?;
        let wrapped = wrap(&root, tenant, "tenant", &new)?;
        run!(
            tx,
            "UPDATE tenant_key SET state = 'decrypt-only' WHERE tenant = $1 AND purpose = 'tenant' AND state = 'active'"
        )?;
        run!(
            tx,
            "INSERT INTO tenant_key (tenant, purpose, id, wrapped, state, created_at) VALUES ($1, 'tenant', $2, $3, 'active', $4)",
            newest + 1,
            wrapped.as_slice(),
            now.as_microsecond()
        )?;
        let detail = format!("key {} active, key {old} decrypt-only", newest + 1);
        tx.audit(&entry((actor, now), "tenant-key", detail)).await?;
        tx.commit().await?;
        Ok((new.id(), false))
    }

    /// Wraps anew what is not under the active key; gives how many keys that were.
    async fn rewrap_all(&self, tenant: TenantId, at_once: i64) -> Result<u64, Error> {
        let (mut total, mut last) = (0, Uuid::nil());
        loop {
            let mut tx = self.write(tenant).await?;
            let Some((count, person)) = tx.rewrap_people(last, at_once).await? else {
                break;
            };
            tx.commit().await?;
            (total, last) = (total + count, person);
            tokio::time::sleep(BREATH).await;
        }
        let mut tx = self.write(tenant).await?;
        tx.inner.alone_with_keys().await?;
        total += tx.rewrap_own().await?;
        tx.commit().await?;
        Ok(total)
    }

    /// Puts the keys of all tenants under the root key `new`, in one transaction.
    ///
    /// # Errors
    /// [`Error::RootKey`] when the root key that they are under is not at hand; then, and when the
    /// store is away, nothing is changed.
    pub async fn rotate_root_key(
        &self,
        new: &Key,
        (actor, now): (&str, Timestamp),
    ) -> Result<RootRotation, Error> {
        let mut bare = self.bare(TenantId(0)).await?;
        bare.inner.alone_with_keys().await?;
        let tenants = bare.tenants().await?;
        let mut rewrapped = 0;
        for tenant in &tenants {
            bare.turn_to(*tenant).await?;
            let found = rows!(
                bare,
                (i64, Vec<u8>),
                "SELECT id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state <> 'destroyed' ORDER BY id"
            )?;
            let mut keys = Vec::with_capacity(found.len());
            for (id, wrapped) in &found {
                let outer = key_of(wrapped)?;
                if outer == new.id() {
                    continue;
                }
                let root = self.roots.find(outer)?;
                let key = unwrap(&root, *tenant, "tenant", number(*id), wrapped)?;
                keys.push((*id, wrap(new, *tenant, "tenant", &key)?));
            }
            if keys.is_empty() {
                continue;
            }
            many!(
                bare,
                "UPDATE tenant_key SET wrapped = given.column2 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND purpose = 'tenant' AND id = given.column1",
                &keys,
                |key| key.0,
                key.1.as_slice()
            );
            bare.note_root(new.id(), now).await?;
            let detail = format!("root key {}, {} keys", new.id().hex(), keys.len());
            bare.audit(&entry((actor, now), "root-key", detail)).await?;
            rewrapped += keys.len();
        }
        bare.commit().await?;
        self.roots.learn(new.clone());
        self.forget_old_pages().await;
        Ok(RootRotation {
            tenants: tenants.len(),
            rewrapped,
        })
    }
}

impl Tx {
    /// Wraps the next keys of people anew that are not under the active key; how many, and who was
    /// the last.
    async fn rewrap_people(
        &mut self,
        after: Uuid,
        at_once: i64,
    ) -> Result<Option<(u64, Uuid)>, Error> {
        let outer = self.sealing_key().await?;
        let statement = sql!(self,
            postgres: "SELECT person, id, wrapped FROM person_key WHERE tenant = $1 AND substr(wrapped, 4, 4) <> $2 AND person > $3 ORDER BY person LIMIT $4 FOR UPDATE",
            sqlite: "SELECT person, id, wrapped FROM person_key WHERE tenant = $1 AND substr(wrapped, 4, 4) <> $2 AND person > $3 ORDER BY person LIMIT $4");
        let found = rows!(
            self,
            (Uuid, i64, Vec<u8>),
            statement,
            named(outer.id()),
            after,
            at_once
        )?;
        let Some(last) = found.last().map(|(person, ..)| *person) else {
            return Ok(None);
        };
        self.can_unwrap(found.iter().map(|(.., wrapped)| wrapped.as_slice()))
            .await?;
        let mut keys = Vec::with_capacity(found.len());
        for (person, id, wrapped) in &found {
            let place = person_key_place(self.tenant, person);
            let opened = self
                .outer_key(wrapped)
                .and_then(|old| Ok(Key::unwrap(number(*id), wrapped, &old, &place)?));
            if let Some(key) = readable(opened)? {
                keys.push((*person, *id, key.wrap(&outer, &place)?));
            }
        }
        let touched = many!(
            self,
            "UPDATE person_key SET wrapped = given.column3 FROM (VALUES ($2, $3, $4)) AS given WHERE tenant = $1 AND person = given.column1 AND id = given.column2",
            &keys,
            |key| key.0,
            key.1,
            key.2.as_slice()
        );
        Ok(Some((touched, last)))
    }

    /// Wraps the index key and the inbox keys (one a day) anew that are not under the active key; how
    /// many.
    async fn rewrap_own(&mut self) -> Result<u64, Error> {
        let outer = self.sealing_key().await?;
        let found = rows!(
            self,
            (String, i64, Vec<u8>),
            "SELECT purpose, id, wrapped FROM tenant_key WHERE tenant = $1 AND purpose <> 'tenant' AND state <> 'destroyed' AND substr(wrapped, 4, 4) <> $2 ORDER BY purpose, id",
            named(outer.id())
        )?;
        self.can_unwrap(found.iter().map(|(.., wrapped)| wrapped.as_slice()))
            .await?;
        let mut keys = Vec::with_capacity(found.len());
        for (purpose, id, wrapped) in &found {
            let opened = self
                .outer_key(wrapped)
                .and_then(|old| unwrap(&old, self.tenant, purpose, number(*id), wrapped));
            if let Some(key) = readable(opened)? {
                keys.push((purpose, *id, wrap(&outer, self.tenant, purpose, &key)?));
            }
        }
        Ok(many!(
            self,
            "UPDATE tenant_key SET wrapped = given.column3 FROM (VALUES ($2, $3, $4)) AS given WHERE tenant = $1 AND purpose = given.column1 AND id = given.column2",
            &keys,
            |key| key.0.as_str(),
            key.1,
            key.2.as_slice()
        ))
    }

    /// Destroys the retired tenant keys that nothing names; gives these, and how many keys are under
    /// the others. Nothing can come to name one afterwards: who wraps locks the active key's row.
    async fn destroy_retired(&mut self) -> Result<(Vec<KeyId>, i64), Error> {
        let retired = rows!(
            self,
            (i64,),
            "SELECT id FROM tenant_key WHERE tenant = $1 AND purpose = 'tenant' AND state = 'decrypt-only' ORDER BY id"
        )?;
        let (mut destroyed, mut left) = (Vec::new(), 0);
        for (id,) in retired {
            let id = number(id);
            let under = self.wrapped_under(id).await?;
            if under > 0 {
                left += under;
                continue;
            }
            run!(
                self,
                "UPDATE tenant_key SET state = 'destroyed', wrapped = $3 WHERE tenant = $1 AND purpose = 'tenant' AND id = $2 AND state = 'decrypt-only'",
                i64::from(id.0),
                &[] as &[u8]
            )?;
            destroyed.push(id);
        }
        Ok((destroyed, left))
    }

    /// How many keys are wrapped under a tenant key.
    pub(super) async fn wrapped_under(&mut self, id: KeyId) -> Result<i64, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT (SELECT count(*) FROM person_key WHERE tenant = $1 AND substr(wrapped, 4, 4) = $2) \
             + (SELECT count(*) FROM tenant_key WHERE tenant = $1 AND purpose <> 'tenant' AND substr(wrapped, 4, 4) = $2)",
            named(id)
        )?;
        Ok(found.map_or(0, |(count,)| count))
    }
}

/// A key that was opened, or none where its cell is damaged: it stays as it is, and with it the key
/// that it is under.
fn readable(opened: Result<Key, Error>) -> Result<Option<Key>, Error> {
    match opened {
        Ok(key) => Ok(Some(key)),
        Err(Error::Vault(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The bytes by which a cell names its key.
fn named(id: KeyId) -> Vec<u8> {
    id.0.to_be_bytes().to_vec()
}

fn listed(keys: &[KeyId]) -> String {
    let ids: Vec<String> = keys.iter().map(|id| format!("key {}", id.0)).collect();
    ids.join(", ")
}

fn entry((actor, at): (&str, Timestamp), of: &'static str, detail: String) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.to_owned(),
        action: "keys.rotate",
        outcome: "done",
        purpose: None,
        entity: (of, None),
        message: None,
        detail: Some(detail),
    }
}
