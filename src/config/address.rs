//! The few things that must be known of a URL: scheme, password, and whether it stays on loopback.

use super::is_loopback;

/// The parts of a URL that checks look at.
pub(super) struct Url<'a> {
    /// Before `://` (or `:` of `sqlite:`), as written.
    pub(super) scheme: &'a str,
    /// Whether a password is written in it.
    pub(super) has_password: bool,
    /// The host without port and brackets; empty for a local socket.
    pub(super) host: &'a str,
    query: &'a str,
}

impl<'a> Url<'a> {
    /// Takes a URL apart.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = before.strip_prefix("//").unwrap_or("");
        let authority = authority.split('/').next().unwrap_or(authority);
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_user, host)| host);
        // Of the whole rest: a password with an unescaped slash or question mark is one as well.
        let has_password = rest
            .rsplit_once('@')
            .is_some_and(|(user, _)| user.contains(':'));
        let mut url = Self {
            scheme,
            has_password,
            host: bare(host),
            query,
        };
        let secret = ["password", "sslpassword", "secret", "token"];
        url.has_password |= secret.iter().any(|key| url.parameter(key).is_some());
        if let Some(host) = url.parameter("host") {
            url.host = if host.starts_with(['/', '%']) {
                ""
            } else {
                host
            };
        }
        Some(url)
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, key: &str) -> Option<&'a str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
            .next_back()
    }

    /// Whether the host is this machine by its own name: no byte leaves it.
    pub(super) fn is_local(&self) -> bool {
        self.host.is_empty() || is_loopback(self.host)
    }
}

fn bare(host: &str) -> &str {
    if let Some((address, _port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.split_once(':').map_or(host, |(name, _port)| name)
}
