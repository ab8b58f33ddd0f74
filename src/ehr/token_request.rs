//! One token request (RFC 6749, 4.4; RFC 7523, 2.2) and what its answer says, in words of our own.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::http::{Heard, Http, Transport};
use super::keys::KeyError;
use super::origin::TokenUrl;
use super::pace::retry_after;
use super::smart::{DiscoveryError, Offer};
use super::token::{Given, Token};
use super::{Auth, assertion};
use crate::clock;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a token server may say went wrong (RFC 6749, 5.2); nothing else of its answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthCode {
    /// `invalid_request`
    InvalidRequest,
    /// `invalid_client`
    InvalidClient,
    /// `invalid_grant`
    InvalidGrant,
    /// `unauthorized_client`
    UnauthorizedClient,
    /// `unsupported_grant_type`
    UnsupportedGrantType,
    /// `invalid_scope`
    InvalidScope,
    /// `access_denied`
    AccessDenied,
    /// `server_error`
    ServerError,
    /// `temporarily_unavailable`
    TemporarilyUnavailable,
    /// A word that is not in the list.
    Unknown,
}

impl OauthCode {
    fn of(text: &str) -> Self {
        match text {
            "invalid_request" => Self::InvalidRequest,
            "invalid_client" => Self::InvalidClient,
            "invalid_grant" => Self::InvalidGrant,
            "unauthorized_client" => Self::UnauthorizedClient,
            "unsupported_grant_type" => Self::UnsupportedGrantType,
            "invalid_scope" => Self::InvalidScope,
            "access_denied" => Self::AccessDenied,
            "server_error" => Self::ServerError,
            "temporarily_unavailable" => Self::TemporarilyUnavailable,
            _ => Self::Unknown,
        }
    }

    /// Its name, and what to look at first.
    const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidRequest => (
                "invalid_request",
                "check how the endpoint wants to be asked",
            ),
            Self::InvalidClient => (
                "invalid_client",
                "check the client id, that the registered key set has the key, and the clock",
            ),
            Self::InvalidGrant => (
                "invalid_grant",
                "check the client's registration and the clock",
            ),
            Self::UnauthorizedClient => (
                "unauthorized_client",
                "ask the EHR's administrator to permit this client",
            ),
            Self::UnsupportedGrantType => (
                "unsupported_grant_type",
                "register the client for backend services",
            ),
            Self::InvalidScope => ("invalid_scope", "check the scopes and their version"),
            Self::AccessDenied => (
                "access_denied",
                "ask the EHR's administrator to permit this client",
            ),
            Self::ServerError => ("server_error", "it is asked again"),
            Self::TemporarilyUnavailable => ("temporarily_unavailable", "it is asked again"),
            Self::Unknown => ("an unknown code", "ask the EHR's support what it logs"),
        }
    }

    const fn passes(self) -> bool {
        matches!(self, Self::ServerError | Self::TemporarilyUnavailable)
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The server does not answer.
    #[error("token: {0}")]
    Transport(Transport),
    /// Nobody knows where to ask.
    #[error("token: {0}")]
    Discovery(#[from] DiscoveryError),
    /// The endpoint takes no such proof.
    #[error(
        "token: expected an endpoint that takes {wanted}, found one that offers others; register \
         the client with what it offers"
    )]
    NotOffered {
        /// What the configuration wants.
        wanted: &'static str,
    },
    /// The server said no, in a word that is known.
    #[error("token: expected a token, found {}; {}", .0.told().0, .0.told().1)]
    Denied(OauthCode),
    /// The server said no, without a word.
    #[error("token: expected a token, found status {0}; check the token address")]
    Status(u16),
    /// The server is busy.
    #[error(
        "token: expected a token, found status {status}: the server is busy; it is asked again"
    )]
    Busy {
        /// 429 or 503.
        status: u16,
        /// How long it wants to be left alone.
        wait: Duration,
    },
    /// What came is no token.
    #[error(
        "token: expected a bearer token in JSON, found something else; check the token address"
    )]
    NoToken,
    /// The assertion cannot be signed.
    #[error("token: {0}")]
    Key(#[from] KeyError),
    /// It was refused a short while ago, and is not asked for yet.
    #[error("token: not asked for again for {seconds} s after this: {because}")]
    Resting {
        /// How long it is left alone.
        seconds: u64,
        /// What happened.
        because: Box<TokenError>,
    },
}

impl TokenError {
    /// Whether a person must mend it.
    pub(super) const fn is_refusal(&self) -> bool {
        match self {
            Self::Denied(code) => !code.passes(),
            // A refusal without a reason is one, too, unless it speaks of time.
            Self::Status(status) => matches!(*status, 400..=499) && !matches!(*status, 408 | 429),
            Self::Key(_) | Self::NotOffered { .. } => true,
            _ => false,
        }
    }

    /// Whether it is tried once more at once: some servers refuse without a reason now and then.
    pub(super) const fn may_pass_at_once(&self) -> bool {
        match self {
            Self::Status(status) => matches!(*status, 400 | 500..=599),
            Self::Denied(code) => code.passes(),
            Self::Busy { status, wait } => *status == 503 && wait.is_zero(),
            // The connection may have been an old one, which the server closed.
            Self::Transport(error) => matches!(error, Transport::Cut),
            _ => false,
        }
    }

    /// How long the server wants to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

/// Who asks, for what, and where.
pub(super) struct Asks<'a> {
    pub(super) auth: &'a Auth,
    pub(super) scopes: &'a [String],
    pub(super) url: &'a TokenUrl,
    pub(super) skew: SignedDuration,
}

/// Whether the endpoint takes what the hub has to show, as far as it says.
pub(super) fn fits(auth: &Auth, offer: &Offer) -> Result<(), TokenError> {
    let (is_taken, wanted) = match auth {
        Auth::PrivateKeyJwt { key, .. } => {
            let algorithm = key.algorithm();
            (offer.takes(algorithm), algorithm.name())
        }
        Auth::Secret { .. } => (offer.takes_secrets(), "client_secret_basic"),
        Auth::Bearer(_) => (true, ""),
    };
    match is_taken {
        true => Ok(()),
        false => Err(TokenError::NotOffered { wanted }),
    }
}

/// Asks for a token.
pub(super) async fn send(http: &Http, asks: &Asks<'_>) -> Result<Heard, TokenError> {
    let scope = asks.scopes.join(" ");
    let mut form = vec![("grant_type", "client_credentials"), ("scope", &scope)];
    let mut authorization = None;
    let assertion;
    match asks.auth {
        Auth::PrivateKeyJwt {
            client_id,
            key,
            jku,
        } => {
            let who = assertion::Asks {
                client_id,
                token_url: asks.url,
                jku: jku.as_deref(),
            };
            assertion = assertion::sign(key, &who, clock::now(), asks.skew)?;
            form.push(("client_assertion_type", ASSERTION_TYPE));
            form.push(("client_assertion", assertion.open()));
        }
        Auth::Secret { client_id, secret } => authorization = basic(client_id, secret.open()),
        Auth::Bearer(_) => {}
    }
    let mut request = http
        .post(asks.url.url().clone())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(encoded(&form));
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    http.small(request).await.map_err(TokenError::Transport)
}

/// Pairs as a form's body has them.
fn encoded(pairs: &[(&str, &str)]) -> String {
    // A query is written like a form.
    let Ok(mut url) = Url::parse("https://form.invalid") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// Id and secret, each encoded like a part of a form (RFC 6749, 2.3.1).
fn basic(client_id: &str, secret: &str) -> Option<HeaderValue> {
    let part = |text: &str| {
        let pair = encoded(&[("", text)]);
        Zeroizing::new(pair.trim_start_matches('=').to_owned())
    };
    let both = Zeroizing::new(format!("{}:{}", *part(client_id), *part(secret)));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What the server gave, or why it gave nothing.
pub(super) fn read(heard: &Heard) -> Result<Given, TokenError> {
    if heard.is_success() {
        return given(&heard.body);
    }
    if matches!(heard.status, 429 | 503) {
        let said = heard
            .retry_after()
            .and_then(|text| retry_after(text, heard.at));
        return Err(TokenError::Busy {
            status: heard.status,
            wait: said.unwrap_or_default(),
        });
    }
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    match serde_json::from_slice::<Said>(&heard.body) {
        Ok(said) => Err(TokenError::Denied(OauthCode::of(&said.error))),
        Err(_quoting) => Err(TokenError::Status(heard.status)),
    }
}

fn given(body: &[u8]) -> Result<Given, TokenError> {
    /// Some servers write numbers as texts.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
    }
    #[derive(Deserialize)]
    struct Said {
        access_token: String,
        token_type: Option<String>,
        expires_in: Option<Seconds>,
        scope: Option<String>,
    }
    let said: Said = serde_json::from_slice(body)
        .ok()
        .ok_or(TokenError::NoToken)?;
    let token = Token::new(said.access_token);
    let is_bearer = said
        .token_type
        .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer || token.header().is_none() {
        return Err(TokenError::NoToken);
    }
    let seconds = match said.expires_in {
        None => None,
        Some(Seconds::Number(number)) => Some(number),
        Some(Seconds::Text(text)) => Some(text.trim().parse().ok().ok_or(TokenError::NoToken)?),
    };
    Ok(Given {
        token,
        expires_in: seconds.map(whole),
        scope: said.scope,
    })
}

/// Whole seconds; what is below zero is none.
fn whole(seconds: f64) -> u64 {
    let most = if seconds > 0.0 { u64::MAX } else { 0 };
    Duration::try_from_secs_f64(seconds).map_or(most, |lasts| lasts.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_time_and_scopes() {
        for (expires, expected) in [
            ("300", Some(300)),
            ("300.9", Some(300)),
            ("\"300\"", Some(300)),
            ("null", None),
            ("-1", Some(0)),
            ("1e300", Some(u64::MAX)),
        ] {
            let body =
                format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires}}}"#);
            let given = given(body.as_bytes()).ok().unwrap();
            assert_eq!(given.expires_in, expected, "{expires}");
            assert_eq!(given.scope, None);
        }
        for body in [
            "",
            "{}",
            r#"{"access_token":"t","token_type":"mac"}"#,
            r#"{"access_token":"t\n"}"#,
            r#"{"access_token":"t","expires_in":"soon"}"#,
        ] {
            assert_eq!(
                given(body.as_bytes()).err(),
                Some(TokenError::NoToken),
                "{body}"
            );
        }
    }

    #[test]
    fn a_form_is_encoded_as_forms_are() {
        let pairs = [("scope", "system/*.rs a+b"), ("x", "&=%")];
        assert_eq!(encoded(&pairs), "scope=system%2F*.rs+a%2Bb&x=%26%3D%25");
        let header = basic("hub:1", "se cret=").unwrap();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"hub%3A1:se+cret%3D");
        assert!(header.is_sensitive());
    }

    #[test]
    fn a_refusal_names_a_known_code_and_the_next_step_alone() {
        let refused = TokenError::Denied(OauthCode::of("invalid_client")).to_string();
        assert!(
            refused.contains("found invalid_client; check the client id"),
            "{refused}"
        );
        let unknown = TokenError::Denied(OauthCode::of("Ada Example is unknown")).to_string();
        assert!(!unknown.contains("Ada"), "{unknown}");
    }
}
