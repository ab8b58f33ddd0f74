//! Discovery: what an endpoint says of where tokens come from and how they are asked for.

use reqwest::header::ACCEPT;
use serde::Deserialize;

use super::http::{FHIR_JSON, Heard, Http, Transport};
use super::keys::Algorithm;
use super::origin::{Base, Refused, TokenUrl};
use crate::fhir::Document;

/// The extension of a `CapabilityStatement` that names the addresses of OAuth.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// How a client may say who it is (`token_endpoint_auth_methods_supported`).
const BY_ASSERTION: &str = "private_key_jwt";
const BY_SECRET: &str = "client_secret_basic";

/// Why nothing was discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The endpoint does not answer.
    #[error("discovery: {0}")]
    Transport(Transport),
    /// It says nothing about tokens.
    #[error(
        "discovery: expected a token address in .well-known/smart-configuration (found status \
         {configuration}) or in metadata (found status {metadata}), found none; check the base \
         address, or configure the token address"
    )]
    Nothing {
        /// The status of the configuration.
        configuration: u16,
        /// The status of the `CapabilityStatement`.
        metadata: u16,
    },
    /// What it names is not used.
    #[error("discovery: token address: {0}")]
    TokenUrl(Refused),
}

/// What an endpoint offers. An empty list says nothing.
#[derive(Clone)]
pub struct Offer {
    /// Where tokens come from.
    pub token_url: TokenUrl,
    /// How assertions may be signed (`RS384`, `ES384`).
    pub algorithms: Vec<String>,
    /// How a client may say who it is (`private_key_jwt`, `client_secret_basic`).
    pub methods: Vec<String>,
    /// The scopes that may be asked for; an endpoint need not list them all.
    pub scopes: Vec<String>,
    /// What else it can do (`client-confidential-asymmetric`, `permission-v2`).
    pub capabilities: Vec<String>,
}

impl Offer {
    /// Whether it takes assertions that are signed like this, as far as it says.
    #[must_use]
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        says(&self.algorithms, algorithm.name()) && says(&self.methods, BY_ASSERTION)
    }

    /// Whether it takes a shared secret, as far as it says.
    #[must_use]
    pub fn takes_secrets(&self) -> bool {
        says(&self.methods, BY_SECRET)
    }
}

fn says(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == word)
}

/// Asks the endpoint: its SMART configuration, else its `CapabilityStatement`.
pub(super) async fn discover(http: &Http) -> Result<Offer, DiscoveryError> {
    let heard = ask(http, ".well-known/smart-configuration", "application/json").await?;
    let found = heard
        .is_success()
        .then(|| configuration(http.base(), &heard.body));
    if let Some(found) = found.flatten() {
        return found.map_err(DiscoveryError::TokenUrl);
    }
    let metadata = ask(http, "metadata", FHIR_JSON).await?;
    let found = metadata
        .is_success()
        .then(|| capability(http.base(), &metadata.body));
    match found.flatten() {
        Some(found) => found.map_err(DiscoveryError::TokenUrl),
        None => Err(DiscoveryError::Nothing {
            configuration: heard.status,
            metadata: metadata.status,
        }),
    }
}

async fn ask(http: &Http, place: &str, accept: &str) -> Result<Heard, DiscoveryError> {
    let url = http.base().url(place).map_err(DiscoveryError::TokenUrl)?;
    let request = http.get(url).header(ACCEPT, accept);
    // A CapabilityStatement lists every parameter of every resource: it can be large.
    http.resource(request)
        .await
        .map_err(DiscoveryError::Transport)
}

/// Reads `.well-known/smart-configuration`; `None` where it is no such thing.
#[must_use]
pub fn configuration(base: &Base, body: &[u8]) -> Option<Result<Offer, Refused>> {
    #[derive(Deserialize)]
    struct Configuration {
        token_endpoint: String,
        #[serde(default)]
        token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
        #[serde(default)]
        token_endpoint_auth_methods_supported: Option<Vec<String>>,
        #[serde(default)]
        scopes_supported: Option<Vec<String>>,
        #[serde(default)]
        capabilities: Option<Vec<String>>,
    }
    let read: Configuration = serde_json::from_slice(body).ok()?;
    let token_url = base.discovered_token_url(&read.token_endpoint);
    Some(token_url.map(|token_url| {
        Offer {
            token_url,
            algorithms: read
                .token_endpoint_auth_signing_alg_values_supported
                .unwrap_or_default(),
            methods: read
                .token_endpoint_auth_methods_supported
                .unwrap_or_default(),
            scopes: read.scopes_supported.unwrap_or_default(),
            capabilities: read.capabilities.unwrap_or_default(),
        }
    }))
}

/// Reads the addresses of OAuth in a `CapabilityStatement`; `None` where there are none.
#[must_use]
pub fn capability(base: &Base, body: &[u8]) -> Option<Result<Offer, Refused>> {
    let document = Document::read(body).ok()?;
    let root = document.root();
    let token = root.members("rest").find_map(|rest| {
        let security = rest.member("security")?;
        let uris = security.extensions(OAUTH_URIS).next()?;
        let token = uris.extensions("token").next()?;
        Some(token.text_of("valueUri")?.into_owned())
    });
    let token_url = base.discovered_token_url(&token?);
    Some(token_url.map(|token_url| Offer {
        token_url,
        algorithms: Vec::new(),
        methods: Vec::new(),
        scopes: Vec::new(),
        capabilities: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base::parse("https://ehr.example.org/fhir").unwrap()
    }

    #[test]
    fn a_configuration_says_where_and_how() {
        let body = br#"{"issuer":"x","token_endpoint":"https://login.example.com/token",
            "token_endpoint_auth_signing_alg_values_supported":["ES384"],
            "token_endpoint_auth_methods_supported":["private_key_jwt"],
            "scopes_supported":["system/*.rs"],"capabilities":["permission-v2"],"other":{}}"#;
        let offer = configuration(&base(), body).unwrap().ok().unwrap();
        assert_eq!(offer.token_url.as_str(), "https://login.example.com/token");
        assert!(offer.takes(Algorithm::Es384));
        assert!(!offer.takes(Algorithm::Rs384));
        assert!(!offer.takes_secrets());
        assert_eq!(offer.scopes, ["system/*.rs"]);
        let silent = br#"{"token_endpoint":"https://login.example.com/token","capabilities":null}"#;
        let offer = configuration(&base(), silent).unwrap().ok().unwrap();
        assert!(offer.takes(Algorithm::Rs384) && offer.takes_secrets());
    }

    #[test]
    fn a_capability_statement_says_where() {
        let body = br#"{"resourceType":"CapabilityStatement","rest":[{"mode":"server","security":{
            "extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            "extension":[{"url":"authorize","valueUri":"https://login.example.com/authorize"},
            {"url":"token","valueUri":"https://login.example.com/token"}]}]}}]}"#;
        let offer = capability(&base(), body).unwrap().ok().unwrap();
        assert_eq!(offer.token_url.as_str(), "https://login.example.com/token");
        let none = br#"{"resourceType":"CapabilityStatement","rest":[{"mode":"server"}]}"#;
        assert!(capability(&base(), none).is_none());
    }

    #[test]
    fn a_token_address_that_is_not_safe_is_not_used() {
        let body = br#"{"token_endpoint":"http://login.example.com/token"}"#;
        let found = configuration(&base(), body).unwrap();
        assert_eq!(found.err(), Some(Refused::Plain));
        assert!(configuration(&base(), b"<html>").is_none());
        assert!(configuration(&base(), b"{}").is_none());
    }
}
