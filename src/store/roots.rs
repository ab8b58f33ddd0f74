//! Root keys: read from where the configuration says, and found by the number that a wrapped key
//! names, so that a rotation needs no restart.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use super::Error;
use crate::config::{KeySource, secret};
use crate::vault::{Key, KeyId};

/// The root keys at hand. The source is read again when a wrapped key names one that is not.
pub struct RootKeys {
    source: Option<KeySource>,
    /// The one that was read last comes last.
    opened: RwLock<Vec<Key>>,
}

impl From<Key> for RootKeys {
    /// One root key that comes from nowhere else.
    fn from(key: Key) -> Self {
        Self {
            source: None,
            opened: RwLock::new(vec![key]),
        }
    }
}

impl RootKeys {
    /// The root key of a source, which may hold another one later.
    ///
    /// # Errors
    /// [`Error::Setup`] when it cannot be read or is no key, with what to do.
    pub fn read(source: &KeySource) -> Result<Self, Error> {
        let keys = Self {
            source: Some(source.clone()),
            opened: RwLock::default(),
        };
        let key = key_in(source)?;
        keys.learn(key);
        Ok(keys)
    }

    /// The number of the root key that was read last.
    pub fn id(&self) -> KeyId {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.last().map_or(KeyId(0), Key::id)
    }

    /// Takes in a root key that is about to be used.
    pub(super) fn learn(&self, key: Key) {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|old| old.id() != key.id());
        opened.push(key);
    }

    /// The root key of this number. Between the commit of a rotation and the moment at which the
    /// file of the new key takes its place, that one is found beside it.
    pub(super) fn find(&self, id: KeyId) -> Result<Key, Error> {
        if let Some(key) = self.at_hand(id) {
            return Ok(key);
        }
        if let Some(source) = &self.source {
            let beside = match source {
                KeySource::File(path) => Some(KeySource::File(beside(path))),
                KeySource::Env(_) | KeySource::SystemdCredential(_) => None,
            };
            for source in std::iter::once(source).chain(&beside) {
                if let Ok(key) = key_in(source)
                    && key.id() == id
                {
                    self.learn(key.clone());
                    return Ok(key);
                }
            }
        }
        Err(Error::RootKey(self.missing(id)))
    }

    /// What is to be done when the root key in use still lies beside its place, because a rotation
    /// was interrupted.
    pub fn unfinished(&self) -> Option<String> {
        let Some(KeySource::File(path)) = &self.source else {
            return None;
        };
        let key = key_in(&KeySource::File(beside(path))).ok()?;
        let in_place = key_in(&KeySource::File(path.clone())).ok();
        let is_unfinished =
            key.id() == self.id() && in_place.is_none_or(|other| other.id() != key.id());
        is_unfinished.then(|| {
            format!(
                "keys.root: root key {} is in use and still lies in {}; finish the rotation: careloop keys rotate root --operator NAME",
                key.id().hex(),
                beside(path).display()
            )
        })
    }

    fn at_hand(&self, id: KeyId) -> Option<Key> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.iter().find(|key| key.id() == id).cloned()
    }

    /// What to do when the root key that the store wants is not where it should be.
    fn missing(&self, id: KeyId) -> String {
        let (wanted, found) = (id.hex(), self.id().hex());
        let Some(source) = &self.source else {
            return format!("root key: expected {wanted}, found {found}");
        };
        let next = match source {
            KeySource::File(path) => format!(
                "a rotation keeps the key before it as {}, and a database that was restored wants the key of its time; put that file in place of {}",
                kept(path, id).display(),
                path.display()
            ),
            KeySource::Env(_) | KeySource::SystemdCredential(_) => {
                "put the key that `careloop keys rotate root --to` wrote there and restart; a database that was restored wants the key of its time".to_owned()
            }
        };
        format!(
            "keys.root: the store's keys are under root key {wanted}, and {source} holds {found}; {next}"
        )
    }
}

/// The key that a source holds.
fn key_in(source: &KeySource) -> Result<Key, Error> {
    let text = secret(source).map_err(|problem| Error::Setup(problem.to_string()))?;
    Ok(Key::from_root_text(&text)?)
}

/// Where the next root key of a file lies until it is in use: `careloop.key.new`.
pub fn beside(path: &Path) -> PathBuf {
    with_ending(path, "new")
}

/// Where the root key of this number is kept after its successor took its place:
/// `careloop.key.5f3a09c1`.
pub fn kept(path: &Path, id: KeyId) -> PathBuf {
    with_ending(path, &id.hex())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
