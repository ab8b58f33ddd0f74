//! Outbound FHIR: a client bound to one endpoint, with SMART Backend Services as its proof of who asks.
//!
//! ```text
//!  Client::get ─▶ origin (may it go there?) ─▶ pace (may it go now?) ─▶ token ─▶ http ─▶ Answer
//!                                                 ▲ Retry-After           │ 401: once more
//!                                                 └ failures       smart ─┤ where tokens come from
//!                                              keys, rotation ─▶ assertion ┘ who asks
//! ```
//!
//! What holds for every client:
//!
//! - It sends to its endpoint's origin and to the one token address, and follows no redirect.
//! - It speaks TLS (rustls) with the certificates verified, to all but loopback.
//! - An answer takes bounded memory and bounded time; a slow endpoint delays no other one.
//! - A token is asked for once, however many wait for it, and never used after it has expired.
//! - No error, and nothing that has `Debug`, shows a token, a secret, an address or a body: what a
//!   server says can tell of a person.

use std::time::Duration;

use crate::config::Secret;

pub mod assertion;
mod client;
mod http;
pub mod keys;
pub mod origin;
mod pace;
pub mod rotation;
pub mod scopes;
pub mod smart;
mod token;
mod token_request;

pub use client::{Answer, Client, Error, Refusal};
pub use http::{Content, Setup, Transport};
pub use keys::{Algorithm, KeyError, SigningKey};
pub use pace::Down;
pub use token_request::{OauthCode, TokenError};

/// One FHIR endpoint and how to speak with it.
pub struct Endpoint {
    /// Its service root, such as `https://ehr.example.org/fhir`.
    pub base: String,
    /// How the hub proves who it is.
    pub auth: Auth,
    /// The scopes to ask for, in the form (v1 or v2) that the endpoint's vendor documents.
    pub scopes: Vec<String>,
    /// Where tokens come from, where that is not to be discovered.
    pub token_url: Option<String>,
    /// Headers that the endpoint wants beside the client's own.
    pub headers: Vec<(String, String)>,
    /// What the client may take and wait for.
    pub limits: Limits,
    /// The only authorities (PEM) that may have signed the servers' certificates; `None` trusts
    /// those of the system.
    pub ca: Option<Vec<u8>>,
    /// The client's own certificate with its chain and key (PEM), where the endpoint wants one.
    pub client_certificate: Option<Secret>,
}

/// How the hub proves who it is.
pub enum Auth {
    /// By assertions that it signs (SMART Backend Services).
    PrivateKeyJwt {
        /// The client id that the EHR gave out.
        client_id: String,
        /// The key that signs now; see [`rotation`]. When another one does, a new client is made.
        key: SigningKey,
        /// The registered address of the hub's key set, where assertions are to name it.
        jku: Option<String>,
    },
    /// By a shared secret (`client_secret_basic`, RFC 6749, 2.3.1).
    Secret {
        /// The client id that the EHR gave out.
        client_id: String,
        /// The secret.
        secret: Secret,
    },
    /// By a token that does not expire: nobody is asked for one.
    Bearer(Secret),
}

/// What a client may take and wait for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest body of an answer, in bytes.
    pub max_bytes: usize,
    /// How long a connection may take, with TLS.
    pub connect: Duration,
    /// How long nothing may come.
    pub read: Duration,
    /// How long one request may take in all.
    pub total: Duration,
    /// Requests under way at once.
    pub concurrent: usize,
    /// Requests a second, on average; twice as many may go at once after a pause.
    pub per_second: u32,
    /// The tries of one question, where the endpoint is busy or fails.
    pub tries: u32,
    /// Failures in a row after which the endpoint is left alone for a while.
    pub failures: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: crate::fhir::MAX_BYTES,
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: Duration::from_secs(120),
            concurrent: 2,
            per_second: 5,
            tries: 3,
            failures: 5,
        }
    }
}
