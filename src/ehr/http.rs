//! One request and its answer: bounded in time and bytes, and without the texts that quote addresses.

use std::error::Error as StdError;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{
    CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Certificate, ClientBuilder, Identity, RequestBuilder, Response, Url, redirect};

use super::origin::{Base, Refused};
use super::{Endpoint, Limits};
use crate::clock;

/// What a FHIR server is asked for.
pub(super) const FHIR_JSON: &str = "application/fhir+json";

/// The most that is read of an answer that is no resource: a token, a configuration, a refusal.
const SMALL: usize = 1024 * 1024;

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Setup {
    /// The base address cannot be used.
    #[error("base: {0}")]
    Base(Refused),
    /// The token address cannot be used.
    #[error("token_url: {0}")]
    TokenUrl(Refused),
    /// The token that does not change cannot be sent.
    #[error("bearer: expected a token of printable ASCII in one line, found other characters")]
    Bearer,
    /// The authorities cannot be read.
    #[error("ca: expected PEM (BEGIN CERTIFICATE), found none that can be used")]
    Ca,
    /// The client's certificate cannot be read.
    #[error(
        "client certificate: expected PEM with the certificate, its chain and its key (PKCS#8), \
         found none that can be used"
    )]
    ClientCertificate,
    /// The parts do not fit each other, or the system has no authorities.
    #[error(
        "tls: expected a usable set of certificates, found none; check that the certificate belongs \
         to the key, and that the system has authorities (Debian package ca-certificates)"
    )]
    Tls,
    /// A header cannot be sent, or is the client's own.
    #[error(
        "header {0:?}: expected a name and a value of plain text that the client does not set \
         itself, found others"
    )]
    Header(String),
}

/// Why there is no answer. It never says where: an address may tell of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Transport {
    /// No connection.
    #[error("expected a connection, found none; check the address, the firewall and that it runs")]
    Connect,
    /// A certificate that nobody trusts.
    #[error(
        "expected a certificate that a trusted authority signed for this host and that is in date, \
         found another; check the configured authority"
    )]
    Certificate,
    /// No answer in time.
    #[error("expected an answer in time, found none; raise the limit if the server is that slow")]
    Late,
    /// The answer ended in the middle.
    #[error("expected a whole answer, found one that was cut off")]
    Cut,
    /// The answer is too large.
    #[error("expected an answer of at most {cap} bytes, found more; ask for smaller pages")]
    TooLarge {
        /// The limit.
        cap: usize,
    },
    /// Something else than HTTP.
    #[error("expected an answer of HTTP/1.1, found something else")]
    Other,
}

/// What kind of thing a body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// FHIR as JSON, or plain JSON.
    Json,
    /// Some XML.
    Xml,
    /// A page for people.
    Html,
    /// Plain text.
    Text,
    /// Nothing that is said.
    Unsaid,
    /// Something else.
    Other,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Xml => "XML",
            Self::Html => "HTML",
            Self::Text => "text",
            Self::Unsaid => "no content type",
            Self::Other => "another content type",
        })
    }
}

impl Content {
    fn of(headers: &HeaderMap) -> Self {
        let Some(said) = headers.get(CONTENT_TYPE) else {
            return Self::Unsaid;
        };
        let said = said.to_str().unwrap_or_default().to_ascii_lowercase();
        let bare = said.split(';').next().unwrap_or_default().trim();
        match bare {
            "text/html" | "application/xhtml+xml" => Self::Html,
            // `application/json+fhir` is what servers of before STU3 still send.
            "application/json+fhir" => Self::Json,
            bare if bare.ends_with("/json") || bare.ends_with("+json") => Self::Json,
            bare if bare.ends_with("/xml") || bare.ends_with("+xml") => Self::Xml,
            "text/plain" => Self::Text,
            _ => Self::Other,
        }
    }
}

/// An answer of any status. The body may tell of people: there is no `Debug`.
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) content: Content,
    pub(super) body: Vec<u8>,
    /// The server's clock (`Date`).
    pub(super) date: Option<Timestamp>,
    /// The hub's, in the same moment.
    pub(super) at: Timestamp,
    retry_after: Option<HeaderValue>,
}

impl Heard {
    pub(super) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// What the server says of when to ask again, as it says it.
    pub(super) fn retry_after(&self) -> Option<&str> {
        self.retry_after.as_ref()?.to_str().ok()
    }

    /// How far the hub's clock is ahead of the server's; `None` where it does not say the time.
    pub(super) fn skew(&self) -> Option<SignedDuration> {
        Some(self.at.duration_since(self.date?))
    }
}

/// The connections to one endpoint and its token server.
pub(super) struct Http {
    client: reqwest::Client,
    base: Base,
    max_bytes: usize,
}

impl Http {
    pub(super) fn of(endpoint: &Endpoint) -> Result<Self, Setup> {
        let base = Base::parse(&endpoint.base).map_err(Setup::Base)?;
        let Limits {
            connect,
            read,
            total,
            ..
        } = endpoint.limits;
        let mut builder = ClientBuilder::new()
            .tls_backend_rustls()
            .redirect(redirect::Policy::none()) // a token goes nowhere else
            .no_proxy() // nor does the environment send it through somebody
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(connect)
            .read_timeout(read)
            .timeout(total)
            .user_agent(concat!("careloop/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&endpoint.headers)?);
        if let Some(pem) = &endpoint.ca {
            let authorities = Certificate::from_pem_bundle(pem).ok();
            let authorities = authorities.filter(|found| !found.is_empty());
            builder = builder.tls_certs_only(authorities.ok_or(Setup::Ca)?);
        }
        if let Some(pem) = &endpoint.client_certificate {
            let identity = Identity::from_pem(pem.open().as_bytes()).ok();
            builder = builder.identity(identity.ok_or(Setup::ClientCertificate)?);
        }
        Ok(Self {
            client: builder.build().ok().ok_or(Setup::Tls)?,
            base,
            max_bytes: endpoint.limits.max_bytes,
        })
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Asks for a resource.
    pub(super) async fn resource(&self, request: RequestBuilder) -> Result<Heard, Transport> {
        self.ask(request, self.max_bytes).await
    }

    /// Asks for something that is always small.
    pub(super) async fn small(&self, request: RequestBuilder) -> Result<Heard, Transport> {
        self.ask(request, SMALL.min(self.max_bytes)).await
    }

    async fn ask(&self, request: RequestBuilder, cap: usize) -> Result<Heard, Transport> {
        let response = request.send().await.map_err(|error| told(&error))?;
        let (status, at) = (response.status().as_u16(), clock::now());
        let headers = response.headers();
        let (content, retry_after) = (Content::of(headers), headers.get(RETRY_AFTER).cloned());
        let date = headers
            .get(DATE)
            .and_then(|date| http_date(date.to_str().ok()?));
        // What is refused is explained in few words; whoever sends more is not heard to the end.
        let cap = if (200..300).contains(&status) {
            cap
        } else {
            cap.min(SMALL)
        };
        let body = bounded(response, cap).await?;
        Ok(Heard {
            status,
            content,
            body,
            date,
            at,
            retry_after,
        })
    }
}

async fn bounded(mut response: Response, cap: usize) -> Result<Vec<u8>, Transport> {
    let too_large = Transport::TooLarge { cap };
    let said = response.content_length().unwrap_or(0);
    let said = usize::try_from(said).ok().filter(|said| *said <= cap);
    // What is said is no more than a hint: room is made for what has come.
    let mut body = Vec::with_capacity(said.ok_or(too_large)?.min(SMALL));
    while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
        if body.len().saturating_add(chunk.len()) > cap {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an error says, without its text.
fn told(error: &reqwest::Error) -> Transport {
    if error.is_timeout() {
        return Transport::Late;
    }
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if matches!(
            inner.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        ) {
            return Transport::Certificate;
        }
        // An error of a socket hides what it holds, and goes on behind it.
        let held = inner.downcast_ref().and_then(std::io::Error::get_ref);
        cause = held.map(|held| held as _).or_else(|| inner.source());
    }
    if error.is_connect() {
        Transport::Connect
    } else if error.is_body() || error.is_decode() || error.is_request() {
        Transport::Cut
    } else {
        Transport::Other
    }
}

/// The endpoint's own headers behind those that every request has.
fn headers(own: &[(String, String)]) -> Result<HeaderMap, Setup> {
    let mut headers = HeaderMap::new();
    // Some servers answer a search from a store of recent ones.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    for (name, value) in own {
        let refused = || Setup::Header(name.clone());
        let known = HeaderName::from_bytes(name.as_bytes()).ok();
        let known = known.filter(|name| !OURS.contains(&name.as_str()));
        let mut value = HeaderValue::from_str(value).ok().ok_or_else(refused)?;
        value.set_sensitive(true);
        headers.insert(known.ok_or_else(refused)?, value);
    }
    Ok(headers)
}

/// What no configuration may change.
const OURS: [&str; 10] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
    "transfer-encoding",
];

/// A date as HTTP writes it (RFC 9110, 5.6.7, its preferred form).
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        let expected: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        assert_eq!(http_date("yesterday"), None);
    }

    #[test]
    fn a_content_type_is_known_by_its_end() {
        for (text, expected) in [
            ("application/fhir+json; fhirVersion=4.0", Content::Json),
            ("application/json;charset=utf-8", Content::Json),
            ("application/json+fhir", Content::Json),
            ("application/fhir+xml", Content::Xml),
            ("text/html", Content::Html),
            ("text/plain", Content::Text),
            ("image/png", Content::Other),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            assert_eq!(Content::of(&headers), expected, "{text}");
        }
        assert_eq!(Content::of(&HeaderMap::new()), Content::Unsaid);
    }

    #[test]
    fn an_endpoint_adds_headers_but_replaces_none() {
        let of = |name: &str, value: &str| headers(&[(name.to_owned(), value.to_owned())]);
        assert_eq!(of("X-Client-ID", "hub-1").unwrap().len(), 2);
        for (name, value) in [
            ("Authorization", "x"),
            ("host", "x"),
            ("a b", "x"),
            ("X-Client-ID", "x\r\ny: z"),
        ] {
            let text = of(name, value).err().unwrap().to_string();
            assert!(text.starts_with(&format!("header {name:?}")), "{text}");
        }
    }
}
