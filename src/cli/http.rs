//! One request over HTTP/1.1 to a hub, plain on loopback or over TLS, for checks.

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{ClientTls, is_loopback};
use crate::phi::Phi;
use crate::tls;

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 256 * 1024;

/// A hub as a client reaches it.
pub(super) struct Server<'a> {
    /// `http://…` or `https://…`, without a path.
    pub(super) base: &'a str,
    /// The authority of its certificate, and the client's own certificate.
    pub(super) tls: Option<ClientTls>,
}

/// What a server answered.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The body, which may be about a person.
    body: Phi<Vec<u8>>,
}

impl Answer {
    /// What stands at a place (RFC 6901) of a body of JSON.
    pub(super) fn at(&self, place: &str) -> Option<Value> {
        let body: Value = serde_json::from_slice(self.body.open()).ok()?;
        body.pointer(place).cloned()
    }
}

impl Server<'_> {
    /// Sends a request with `line` such as `GET /path`, and a body of JSON where there is one.
    pub(super) async fn ask(&self, line: &str, token: &str, body: &str) -> anyhow::Result<Answer> {
        let base = self.base.trim_end_matches('/');
        let (secure, host) = match (base.strip_prefix("https://"), base.strip_prefix("http://")) {
            (Some(host), _) => (true, host),
            (None, Some(host)) => (false, host),
            _ => bail!("hub: expected http://HOST:PORT or https://HOST[:PORT]"),
        };
        if host.contains('/') {
            bail!("hub: expected an address without a path");
        }
        let port = host.rsplit_once(':').and_then(|(name, port)| {
            let port = port.parse::<u16>().ok()?;
            Some((name, port))
        });
        let (name, port) = port.unwrap_or((host, if secure { 443 } else { 80 }));
        if !secure && !is_loopback(name) {
            bail!(
                "hub: expected https:// beyond loopback, found http://: whoever is between could read the token"
            );
        }
        let stream = TcpStream::connect((name, port))
            .await
            .with_context(|| format!("{host}: nobody answers; check http.listen, and --hub"))?;
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        if !secure {
            return exchange(stream, &request).await.context(closed(host));
        }
        let Some(tls) = &self.tls else {
            bail!("give --ca with the authority (PEM) that signed the hub's certificate");
        };
        let connector = TlsConnector::from(tls::client_config(tls)?);
        let name = ServerName::try_from(name.to_owned())?;
        let stream = connector.connect(name, stream).await.with_context(|| {
            format!("{host}: TLS failed; give --ca with the authority of its certificate")
        })?;
        exchange(stream, &request).await.context(closed(host))
    }
}

/// What a connection that ends without an answer can mean.
fn closed(host: &str) -> String {
    format!(
        "{host}: expected an HTTP answer, found none; check --hub, and where http.tls names a \
         client_ca, give --certificate and --key"
    )
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> anyhow::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let read = stream.take(LONGEST).read_to_end(&mut answer).await;
    // Some servers end TLS without saying so; what came is then looked at as it is.
    read.map_or_else(
        |error| {
            if answer.is_empty() {
                Err(error)
            } else {
                Ok(())
            }
        },
        |_length| Ok(()),
    )?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = end.map(|end| answer.split_off(end + 4));
    let head = String::from_utf8_lossy(&answer);
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.context("no status line")?,
        body: Phi::new(body.unwrap_or_default()),
    })
}
