//! The assertion by which the hub asks for a token: a short-lived JSON Web Token signed with its
//! own key (RFC 7523; SMART App Launch, *Client Authentication: Asymmetric*).

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::keys::{KeyError, SigningKey, url_safe};
use super::origin::TokenUrl;

/// How long an assertion holds. Servers refuse those that hold longer than five minutes; the rest
/// is room for a clock that nobody measured.
pub const LASTS: SignedDuration = SignedDuration::from_secs(240);

/// Who asks, and whom.
pub struct Asks<'a> {
    /// The client id that the EHR gave out.
    pub client_id: &'a str,
    /// Where the token is asked for.
    pub token_url: &'a TokenUrl,
    /// Where the hub shows its keys, if that is to be said; it must be the registered address.
    pub jku: Option<&'a str>,
}

/// An assertion. Whoever has it can ask for a token until it expires, so it cannot be printed.
pub struct Assertion(Zeroizing<String>);

impl Assertion {
    /// The assertion itself, for the token request's body.
    #[must_use]
    pub fn open(&self) -> &str {
        &self.0
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jku: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    jti: String,
}

/// Signs an assertion with an id of its own (`jti`): each try needs a new one, since servers refuse
/// an id that they have seen. `skew` is how far the hub's clock is ahead of the server's.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(
    key: &SigningKey,
    asks: &Asks<'_>,
    now: Timestamp,
    skew: SignedDuration,
) -> Result<Assertion, KeyError> {
    let header = Header {
        alg: key.algorithm().name(),
        kid: key.kid(),
        typ: "JWT",
        jku: asks.jku,
    };
    let lasts = LASTS.as_secs().saturating_sub(skew.as_secs());
    let claims = Claims {
        iss: asks.client_id,
        sub: asks.client_id,
        aud: asks.token_url.as_str(),
        exp: now.as_second().saturating_add(lasts),
        jti: Uuid::now_v7().to_string(),
    };
    let part = |json: serde_json::Result<Vec<u8>>| {
        let json = json.ok().ok_or(KeyError::Library)?;
        Ok::<_, KeyError>(url_safe(&json))
    };
    let header = part(serde_json::to_vec(&header))?;
    let signed = format!("{header}.{}", part(serde_json::to_vec(&claims))?);
    let signature = url_safe(&key.sign(signed.as_bytes())?);
    Ok(Assertion(Zeroizing::new(format!("{signed}.{signature}"))))
}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
