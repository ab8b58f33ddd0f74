//! Symmetric keys: made, wrapped under another key, and wiped when dropped.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::Error;
use super::cell::{Place, open, seal};

/// The number by which a cell names its key, unique among the keys of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

/// What a root key authenticates to get its number.
const ROOT_KEY_ID: &[u8] = b"careloop root key id";

impl KeyId {
    /// The number as 8 hexadecimal digits, as root keys are named.
    pub fn hex(self) -> String {
        format!("{:08x}", self.0)
    }
}

/// A 256-bit key with its number.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
}

impl Key {
    /// Makes a fresh key.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the system has none.
    pub fn generate(id: KeyId) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_unspecified| Error::NoRandomness)?;
        Ok(Self { id, bytes })
    }

    /// Makes a fresh root key. Its number is drawn from the key itself, so that what it wraps says
    /// which root key it wants, wherever that one is kept.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the system has none.
    pub fn generate_root() -> Result<Self, Error> {
        Ok(Self::root(Self::generate(KeyId(0))?.bytes))
    }

    /// The number is the start of a keyed hash under the key: it tells two keys apart, and nothing of
    /// either.
    fn root(bytes: Zeroizing<[u8; 32]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref());
        let hash = hmac::sign(&key, ROOT_KEY_ID);
        let start = hash.as_ref().iter().take(4);
        let id = start.fold(0_u32, |id, byte| (id << 8) | u32::from(*byte));
        Self {
            id: KeyId(id),
            bytes,
        }
    }

    /// Reads a root key: 32 raw bytes, or 64 hexadecimal digits with optional white space around.
    ///
    /// # Errors
    /// [`Error::BadRootKey`] for anything else.
    pub fn from_root_text(text: &[u8]) -> Result<Self, Error> {
        if let Ok(raw) = <[u8; 32]>::try_from(text) {
            return Ok(Self::root(Zeroizing::new(raw)));
        }
        let digits = text.trim_ascii();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if digits.len() != 64 {
            return Err(Error::BadRootKey(text.len()));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_not_text| Error::BadRootKey(64))?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_not_hex| Error::BadRootKey(64))?;
        }
        Ok(Self::root(bytes))
    }

    /// The key as 64 hexadecimal digits, for the root key's file.
    pub fn to_root_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.bytes.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        text
    }

    /// Its number.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key's bytes, for the algorithms of this module.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// This key, wrapped under `outer` and bound to `place`.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] when the system has none.
    pub fn wrap(&self, outer: &Self, place: &Place<'_>) -> Result<Vec<u8>, Error> {
        seal(outer, place, self.bytes.as_ref())
    }

    /// The key `id` that was wrapped under `outer` at `place`.
    ///
    /// # Errors
    /// As [`open`].
    pub fn unwrap(
        id: KeyId,
        wrapped: &[u8],
        outer: &Self,
        place: &Place<'_>,
    ) -> Result<Self, Error> {
        let plain = Zeroizing::new(open(outer, place, wrapped)?);
        let bytes = <[u8; 32]>::try_from(plain.as_slice())
            .map_err(|_length| Error::NoCell(wrapped.len()))?;
        Ok(Self {
            id,
            bytes: Zeroizing::new(bytes),
        })
    }
}
