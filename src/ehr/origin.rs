//! Where a client may go: the endpoint's own origin, and the one address that gives it tokens.

use std::net::IpAddr;

use reqwest::Url;

use crate::config::is_loopback;

/// Why an address is not used. The address itself is not told: it may name a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL.
    #[error("expected an address such as https://ehr.example.org/fhir, found no URL")]
    NotUrl,
    /// Another scheme, or plain HTTP to another machine.
    #[error("expected https (plain http goes to loopback alone), found another scheme")]
    Plain,
    /// A user or a password is written in it.
    #[error("expected an address without user and password, found some before the @")]
    Userinfo,
    /// A base has a query or a fragment.
    #[error("expected a base address without ? and #, found one of them")]
    NotBase,
    /// It leads to another server.
    #[error(
        "expected an address of the endpoint's own origin (scheme, host and port), found another; \
         nothing was sent there"
    )]
    OtherOrigin,
    /// A relative path leaves the endpoint's base.
    #[error("expected a path below the endpoint's base address, found one that leaves it")]
    OutsideBase,
    /// What an endpoint names as its token address is on a private network, the endpoint is not.
    #[error(
        "expected a token address with a public host, or the endpoint's own, found one inside a \
         private network; configure the token address if it is the right one"
    )]
    Private,
}

/// The base address of an endpoint (its service root), to which a client is bound.
#[derive(Clone, PartialEq, Eq)]
pub struct Base(Url);

impl Base {
    /// Reads a base address.
    ///
    /// # Errors
    /// One that is not `https` beyond loopback, or has parts that no base has.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let mut url = safe(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refused::NotBase);
        }
        // Relative paths are joined behind it.
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// The address of `place`: a path below the base (`Patient/1`, `Patient?_id=1`), or a whole URL
    /// of the same origin, such as a `next` link.
    ///
    /// # Errors
    /// When it leads elsewhere.
    pub fn url(&self, place: &str) -> Result<Url, Refused> {
        if let Ok(url) = Url::parse(place) {
            let url = checked(url)?;
            return match same_origin(&self.0, &url) {
                true => Ok(without_fragment(url)),
                false => Err(Refused::OtherOrigin),
            };
        }
        // Also `//other.example.org/…`, which takes over the scheme alone.
        let url = self.0.join(place).ok().ok_or(Refused::NotUrl)?;
        let url = checked(url)?;
        if !same_origin(&self.0, &url) {
            return Err(Refused::OtherOrigin);
        }
        if !url.path().starts_with(self.0.path()) {
            return Err(Refused::OutsideBase);
        }
        Ok(without_fragment(url))
    }

    /// The token address that is configured for the endpoint.
    ///
    /// # Errors
    /// One that is not `https` beyond loopback.
    pub fn configured_token_url(&self, text: &str) -> Result<TokenUrl, Refused> {
        TokenUrl::of(text, safe(text)?)
    }

    /// The token address that the endpoint itself names. It may be on another host, but an endpoint
    /// out there cannot point the hub at a machine inside.
    ///
    /// # Errors
    /// One that is not `https`, or leads to a private address from an endpoint that is elsewhere.
    pub fn discovered_token_url(&self, text: &str) -> Result<TokenUrl, Refused> {
        let url = safe(text)?;
        let is_inside = url.host_str().is_some_and(is_inside);
        if is_inside && url.host_str() != self.0.host_str() {
            return Err(Refused::Private);
        }
        TokenUrl::of(text, url)
    }
}

/// Where tokens come from.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenUrl {
    /// As it was written, which is what an assertion is addressed to (`aud`): servers compare it
    /// letter by letter.
    text: String,
    url: Url,
}

impl TokenUrl {
    fn of(text: &str, url: Url) -> Result<Self, Refused> {
        if url.fragment().is_some() {
            return Err(Refused::NotBase);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
        })
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }
}

/// Whether two addresses have scheme, host and port in common (RFC 6454).
#[must_use]
pub fn same_origin(one: &Url, other: &Url) -> bool {
    let (one, other) = (one.origin(), other.origin());
    one.is_tuple() && one == other
}

fn safe(text: &str) -> Result<Url, Refused> {
    checked(Url::parse(text).ok().ok_or(Refused::NotUrl)?)
}

fn checked(url: Url) -> Result<Url, Refused> {
    let host = url.host_str().ok_or(Refused::NotUrl)?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(bare(host))) {
        return Err(Refused::Plain);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Userinfo);
    }
    Ok(url)
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

/// Whether a host is, by its address or its name, this machine or on a private network (RFC 1918,
/// 3927, 4193, 6598). What a name resolves to is not asked: there the certificate decides.
fn is_inside(host: &str) -> bool {
    let host = bare(host);
    if is_loopback(host) || host.ends_with(".localhost") {
        return true;
    }
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        Ok(IpAddr::V6(ip)) => {
            ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
        Err(_name) => false,
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
