//! Blind indexes: keyed hashes by which protected values can be found without being readable.

use aws_lc_rs::hmac;

use super::Key;

/// A key for blind indexes, task keys and the hashed parts of references.
#[derive(Clone)]
pub struct IndexKey(hmac::Key);

impl IndexKey {
    /// The index key that `key` holds.
    pub fn new(key: &Key) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.bytes()))
    }

    /// The keyed hash of `parts` in `domain`, 32 bytes. Parts stand behind their lengths, so
    /// `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn hash(&self, domain: &str, parts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&domain).chain(parts) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut hash = [0_u8; 32];
        for (to, from) in hash.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        hash
    }

    /// The blind index of `parts` in `domain`: the first 16 bytes of their keyed hash.
    pub fn index(&self, domain: &str, parts: &[&str]) -> Vec<u8> {
        self.hash(domain, parts).into_iter().take(16).collect()
    }

    /// The keyed hash of `parts` as 32 hexadecimal digits, for references that must hold no code.
    pub fn reference(&self, parts: &[&str]) -> String {
        self.index("reference", parts)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::KeyId;

    #[test]
    fn parts_domains_and_keys_all_count() {
        let one = IndexKey::new(&Key::generate(KeyId(1)).unwrap());
        let two = IndexKey::new(&Key::generate(KeyId(1)).unwrap());
        assert_eq!(one.hash("a", &["ab", "c"]), one.hash("a", &["ab", "c"]));
        assert_ne!(one.hash("a", &["ab", "c"]), one.hash("a", &["a", "bc"]));
        assert_ne!(one.hash("a", &["x"]), one.hash("b", &["x"]));
        assert_ne!(one.hash("a", &["x"]), two.hash("a", &["x"]));
    }
}
