//! `application_ack` of a source: how what enhanced mode still owes goes back.

use std::path::PathBuf;

use toml::Spanned;

use super::file::{self, Maybe};
use super::is_loopback;
use super::load::{Check, Place};

/// How application acknowledgements go back to a sender.
#[derive(Clone, Debug)]
pub enum ApplicationAck {
    /// Over the connection on which its messages come.
    SameConnection,
    /// Over a connection that careloop opens.
    To(ReplyTo),
}

/// A peer that careloop connects to over MLLP.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// TLS, where the peer speaks it.
    pub tls: Option<ClientTls>,
}

/// TLS towards a peer.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The authority that signed the peer's certificate (PEM).
    pub ca: PathBuf,
    /// careloop's own certificate chain and private key (PEM), where the peer asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Reads it; TLS is required towards peers beyond loopback.
pub(super) fn application_ack(
    check: &mut Check<'_>,
    place: &Place,
    written: &Maybe<file::ApplicationAck>,
) -> Option<ApplicationAck> {
    let written = written.as_ref()?;
    let place = place.key("application_ack", written);
    let long = match written.get_ref() {
        file::ApplicationAck::SameConnection => return Some(ApplicationAck::SameConnection),
        file::ApplicationAck::To(long) => long,
    };
    let to = check.need(&place, "to", &long.to);
    let tls = long.tls.as_ref().and_then(|tls| {
        let at = place.key("tls", tls);
        client_tls(check, &at, tls.get_ref())
    });
    let to = to?;
    let named = long.plaintext_beyond_loopback.unwrap_or(false);
    if long.tls.is_none() && !named && !is_loopback(&to.get_ref().host) {
        check.report(
            &place.key("to", to),
            "expected TLS towards a peer beyond loopback, found plaintext",
            "add `tls = { ca = … }`; in a network that is protected otherwise, \
             `plaintext_beyond_loopback = true`",
        );
    }
    let peer = to.get_ref().clone();
    Some(ApplicationAck::To(ReplyTo {
        host: peer.host,
        port: peer.port,
        tls,
    }))
}

fn client_tls(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::ClientTls,
) -> Option<ClientTls> {
    let ca = check.need(place, "ca", &written.ca)?;
    let asked = written.certificate.is_some() || written.key.is_some();
    let (certificate, key) = if asked {
        (
            check.need(place, "certificate", &written.certificate),
            check.need(place, "key", &written.key),
        )
    } else {
        (None, None)
    };
    let path = |file: &Spanned<String>| check.layers.path(&file.span(), file.get_ref());
    Some(ClientTls {
        ca: path(ca),
        identity: certificate.map(path).zip(key.map(path)),
    })
}
