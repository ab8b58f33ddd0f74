//! The keys that prove who the hub is: made, read, and shown to EHRs as a JSON Web Key Set.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA384, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use zeroize::Zeroizing;

/// How an assertion is signed; SMART asks every client for both (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl Algorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rs384, Self::Es384];

    /// Its name in a header (`alg`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs384 => "RS384",
            Self::Es384 => "ES384",
        }
    }
}

/// Why a key cannot be used. No part of the key is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PKCS#8 in PEM.
    #[error(
        "key: expected PEM (BEGIN PRIVATE KEY, which is PKCS#8 without a passphrase), found none; \
         convert others with openssl pkcs8 -topk8 -nocrypt"
    )]
    NotPem,
    /// It is another kind of key, too short, or damaged.
    #[error(
        "key: expected RSA of 2048 to 8192 bits or P-384, found another kind, a shorter or a \
         damaged key; make a new one"
    )]
    Kind,
    /// The library failed.
    #[error("key: expected the cryptographic library to work, found it failing; report this")]
    Library,
}

/// A private key with its public side. It cannot be printed.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
    kid: String,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// Reads a key from PKCS#8 in PEM.
    ///
    /// # Errors
    /// Another form or kind of key.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem)
            .ok()
            .ok_or(KeyError::NotPem)?;
        let der = der.secret_pkcs8_der();
        let pair = match RsaKeyPair::from_pkcs8(der) {
            Ok(pair) => Pair::Rsa(Box::new(pair)),
            Err(_not_rsa) => EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der)
                .map(|pair| Pair::Ec(Box::new(pair)))
                .ok()
                .ok_or(KeyError::Kind)?,
        };
        let public = pair.public()?;
        Ok(Self {
            kid: public.thumbprint(),
            pair,
            public,
        })
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs384,
            Pair::Ec(_) => Algorithm::Es384,
        }
    }

    /// Its name in a key set: the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What may be shown of it.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes as RFC 7515 has it: an ECDSA signature is R and S, 48 bytes each.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA384, &random, bytes, &mut signature)
                    .ok()
                    .ok_or(KeyError::Library)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, bytes).ok().ok_or(KeyError::Library)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl Pair {
    fn public(&self) -> Result<PublicKey, KeyError> {
        match self {
            Self::Rsa(pair) => {
                let key = pair.public_key();
                Ok(PublicKey::Rsa {
                    n: url_safe(key.modulus().big_endian_without_leading_zero()),
                    e: url_safe(key.exponent().big_endian_without_leading_zero()),
                })
            }
            Self::Ec(pair) => {
                // SEC 1, 2.3.3: 0x04, then both coordinates in full width.
                let point = pair.public_key().as_ref().strip_prefix(&[4]);
                let point = point.ok_or(KeyError::Library)?;
                let (x, y) = point
                    .split_at_checked(point.len() / 2)
                    .ok_or(KeyError::Library)?;
                Ok(PublicKey::Ec {
                    x: url_safe(x),
                    y: url_safe(y),
                })
            }
        }
    }
}

/// A public key, its numbers in base64url (RFC 7518, 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// Modulus and exponent.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// The point on P-384.
    Ec {
        /// Its first coordinate.
        x: String,
        /// Its second coordinate.
        y: String,
    },
}

/// A JSON Web Key as it is shown.
#[derive(Serialize)]
#[serde(untagged)]
enum Jwk<'k> {
    Rsa {
        kty: &'static str,
        #[serde(rename = "use")]
        purpose: &'static str,
        alg: &'static str,
        kid: String,
        n: &'k str,
        e: &'k str,
    },
    Ec {
        kty: &'static str,
        #[serde(rename = "use")]
        purpose: &'static str,
        alg: &'static str,
        kid: String,
        crv: &'static str,
        x: &'k str,
        y: &'k str,
    },
}

impl PublicKey {
    /// The SHA-256 of the key's required members in their order (RFC 7638), in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let text = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { x, y } => format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#),
        };
        url_safe(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    }

    fn jwk(&self) -> Jwk<'_> {
        let (purpose, kid) = ("sig", self.thumbprint());
        match self {
            Self::Rsa { n, e } => Jwk::Rsa {
                kty: "RSA",
                purpose,
                alg: Algorithm::Rs384.name(),
                kid,
                n,
                e,
            },
            Self::Ec { x, y } => Jwk::Ec {
                kty: "EC",
                purpose,
                alg: Algorithm::Es384.name(),
                kid,
                crv: "P-384",
                x,
                y,
            },
        }
    }
}

/// The key set of one endpoint as JSON. The key that signs comes first: there are servers that try
/// the keys in their order, and fail on the first that does not fit.
#[must_use]
pub fn jwks<'k>(keys: impl IntoIterator<Item = &'k PublicKey>) -> String {
    #[derive(Serialize)]
    struct Set<'k> {
        keys: Vec<Jwk<'k>>,
    }
    let keys = keys.into_iter().map(PublicKey::jwk).collect();
    serde_json::to_string(&Set { keys }).unwrap_or_default()
}

/// Makes a key (RSA with 3072 bits, or P-384) and returns it as PKCS#8 in PEM, for a file that only
/// careloop can read.
///
/// # Errors
/// When the library cannot.
pub fn generate(algorithm: Algorithm) -> Result<Zeroizing<String>, KeyError> {
    let der = match algorithm {
        Algorithm::Rs384 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072).ok();
            let der = pair.as_ref().and_then(|pair| pair.as_der().ok());
            Zeroizing::new(der.ok_or(KeyError::Library)?.as_ref().to_vec())
        }
        Algorithm::Es384 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).ok();
            let der = pair.as_ref().and_then(|pair| pair.to_pkcs8v1().ok());
            Zeroizing::new(der.ok_or(KeyError::Library)?.as_ref().to_vec())
        }
    };
    Ok(pem(&der))
}

/// PEM with lines of 64 characters (RFC 7468).
fn pem(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Room from the start: a text that grows leaves copies behind that nobody wipes.
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 2 + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    for (number, letter) in body.chars().enumerate() {
        if number > 0 && number % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}

/// Bytes in base64url without padding (RFC 7515, 2).
pub(super) fn url_safe(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
