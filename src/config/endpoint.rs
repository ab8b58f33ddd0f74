//! Sources of kind `fhir`: an endpoint, its release, and the secret of what it sends by itself.

use std::net::SocketAddr;

use toml::Spanned;

use super::address::Url;
use super::file::{self, File};
use super::load::{Check, Place};
use super::{HttpConfig, KeySource, Source, SourceKind};
use crate::fhir::Release;

/// A FHIR endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirEndpoint {
    /// Its base address, without the slash behind it. What an id means, it means there.
    pub base: String,
    /// The release that it speaks.
    pub release: Release,
    /// The secret that its notifications carry (`Authorization: Bearer`); without one it may send none.
    pub notifications: Option<KeySource>,
}

impl Source {
    /// The endpoint, where it is one.
    pub const fn endpoint(&self) -> Option<&FhirEndpoint> {
        match &self.kind {
            SourceKind::Fhir(endpoint) => Some(endpoint),
            SourceKind::Mllp { .. } => None,
        }
    }

    /// Where it listens for MLLP, where it does.
    pub const fn listen(&self) -> Option<SocketAddr> {
        match self.kind {
            SourceKind::Mllp { listen } => Some(listen),
            SourceKind::Fhir(_) => None,
        }
    }
}

/// What the configuration says of an endpoint.
pub(super) fn endpoint(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Source,
) -> Option<FhirEndpoint> {
    let base = check.need(place, "base", &written.base);
    let base = base.and_then(|base| address(check, &place.key("base", base), base.get_ref()));
    let release = check.need(place, "release", &written.release);
    let release = release.and_then(|release| {
        let read = release.get_ref().parse().ok();
        if read.is_none() {
            check.report(
                &place.key("release", release),
                "expected R4, R4B or R5, found another release",
                "see fhirVersion in the endpoint's /metadata: 4.0 is R4, 4.3 is R4B, 5.0 is R5",
            );
        }
        read
    });
    let notifications = written.notifications.as_ref().map(|secret| {
        let place = place.key("notifications", secret);
        check.beside(&place, secret.get_ref().clone())
    });
    Some(FhirEndpoint {
        base: base?,
        release: release?,
        notifications,
    })
}

/// The base address: over TLS, but on this machine.
fn address(check: &mut Check<'_>, place: &Place, written: &str) -> Option<String> {
    let text = written.trim_end_matches('/');
    let url = Url::read(text).filter(|url| !url.host.is_empty() && !text.contains(['?', '#']));
    let Some(url) = url else {
        let says = "expected an address, found another text";
        check.report(place, says, "write it as https://ehr.example.org/fhir/R4");
        return None;
    };
    if url.has_password {
        let says = "expected an address without a password, found one";
        check.report(place, says, "take it out");
        return None;
    }
    if url.scheme != "https" && !(url.scheme == "http" && url.is_local()) {
        let says = "expected https beyond loopback, found another scheme";
        check.report(place, says, "write https://");
        return None;
    }
    Some(text.to_owned())
}

/// Reports notifications that nobody could send: the door takes them over TLS, or from this machine.
pub(super) fn reachable(check: &mut Check<'_>, written: &File, http: &HttpConfig) {
    if http.serves_api() {
        return;
    }
    for (index, source) in written.source.iter().enumerate() {
        if let Some(secret) = &source.get_ref().notifications {
            check.report(
                &Place::of(&format!("source[{index}].notifications"), secret),
                "expected an HTTP door with TLS or on loopback, found none: nothing could arrive",
                "set [http] listen, and its tls beyond loopback",
            );
        }
    }
}

/// Reports keys that only the other kind of source has.
pub(super) fn keys_of_the_other_kind(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Source,
    is_fhir: bool,
) {
    let mllp = [
        ("listen", span(&written.listen)),
        ("tls", span(&written.tls)),
        (
            "plaintext_beyond_loopback",
            span(&written.plaintext_beyond_loopback),
        ),
        ("application_ack", span(&written.application_ack)),
        (
            "allow",
            (!written.allow.is_empty()).then(|| place.span.clone()),
        ),
        (
            "charset",
            written.charset.as_ref().map(|_| place.span.clone()),
        ),
        (
            "sequence_numbers",
            written.sequence_numbers.map(|_| place.span.clone()),
        ),
    ];
    let fhir = [
        ("base", span(&written.base)),
        ("release", span(&written.release)),
        ("notifications", span(&written.notifications)),
    ];
    let (foreign, kind) = match is_fhir {
        true => (mllp.as_slice(), "mllp"),
        false => (fhir.as_slice(), "fhir"),
    };
    for (key, span) in foreign {
        let Some(span) = span.clone() else { continue };
        let at = Place {
            span,
            at: format!("{}.{key}", place.at),
        };
        let says = format!("expected no such key, found one of kind \"{kind}\"");
        check.report(&at, &says, "take it out, or correct the kind");
    }
}

fn span<T>(written: &file::Maybe<T>) -> Option<std::ops::Range<usize>> {
    written.as_ref().map(Spanned::span)
}
