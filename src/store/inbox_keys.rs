//! The keys that seal raw messages: one a day, made when the day's first message comes.

use std::collections::HashMap;
use std::sync::PoisonError;

use jiff::Timestamp;

use super::dialect::{row, run};
use super::keys::{LOOKS, TenantKeys, unwrap, wrap};
use super::{Error, Tx};
use crate::vault::{self, Key, KeyId};

/// Days since 1970: the number of the inbox key of a day.
pub(super) fn day_of(at: Timestamp) -> KeyId {
    KeyId(u32::try_from(at.as_second().div_euclid(86_400)).unwrap_or(0))
}

impl TenantKeys {
    /// The keys of these days, where all are at hand.
    pub(super) fn kept_inbox_keys(
        &self,
        times: impl Iterator<Item = Timestamp>,
    ) -> Option<HashMap<KeyId, Key>> {
        let kept = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        times
            .map(day_of)
            .map(|day| kept.get(&day).map(|key| (day, key.clone())))
            .collect()
    }

    /// Keeps keys whose rows are committed.
    pub(super) fn keep_inbox_keys(&self, keys: HashMap<KeyId, Key>) {
        let mut kept = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(keys);
    }
}

impl Tx {
    /// The inbox key of the day of `at`, made when it is the day's first message.
    pub(super) async fn inbox_key(&mut self, at: Timestamp) -> Result<Key, Error> {
        let id = day_of(at);
        if let Some(key) = self.cached_inbox_key(id) {
            return Ok(key);
        }
        // It is not cached here: this transaction may still be rolled back, and the row with it.
        if let Some(key) = self.stored_inbox_key(id).await? {
            return Ok(key);
        }
        let outer = self.sealing_key().await?;
        let fresh = Key::generate(id)?;
        let wrapped = wrap(&outer, self.tenant, "inbox", &fresh)?;
        run!(
            self,
            "INSERT INTO tenant_key (tenant, purpose, id, wrapped, state, created_at) VALUES ($1, 'inbox', $2, $3, 'active', $4) ON CONFLICT (tenant, purpose, id) DO NOTHING",
            i64::from(id.0),
            wrapped.as_slice(),
            at.as_microsecond()
        )?;
        // Another process may have made it first; what stands in the row is the key.
        let stored = self.stored_inbox_key(id).await?;
        Ok(stored.ok_or(vault::Error::NoKey(id.0))?)
    }

    /// The inbox key that sealed a body.
    pub(super) async fn known_inbox_key(&mut self, id: KeyId) -> Result<Key, Error> {
        if let Some(key) = self.cached_inbox_key(id) {
            return Ok(key);
        }
        let stored = self.stored_inbox_key(id).await?;
        let key = stored.ok_or(vault::Error::NoKey(id.0))?;
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

    async fn stored_inbox_key(&mut self, id: KeyId) -> Result<Option<Key>, Error> {
        let mut found = None;
        for _ in 0..LOOKS {
            found = row!(
                self,
                (Vec<u8>,),
                "SELECT wrapped FROM tenant_key WHERE tenant = $1 AND purpose = 'inbox' AND id = $2",
                i64::from(id.0)
            )?;
            let cells = found.iter().map(|(wrapped,)| wrapped.as_slice());
            if self.can_unwrap(cells).await? {
                break;
            }
        }
        let Some((wrapped,)) = found else {
            return Ok(None);
        };
        let outer = self.outer_key(&wrapped)?;
        unwrap(&outer, self.tenant, "inbox", id, &wrapped).map(Some)
    }
}
