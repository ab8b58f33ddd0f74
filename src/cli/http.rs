//! One GET over HTTP/1.1, plain on loopback or over TLS, for checks: the status is all that is read.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The longest status line that is read, in bytes.
const STATUS_LINE: usize = 64;

/// What a server answered.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
}

/// Asks `path` of a server at `http://…` or `https://…`, whose certificate `ca` signed.
pub(super) async fn get(
    (base, ca): (&str, Option<&Path>),
    path: &str,
    token: &str,
) -> anyhow::Result<Answer> {
    let base = base.trim_end_matches('/');
    let (secure, host) = match (base.strip_prefix("https://"), base.strip_prefix("http://")) {
        (Some(host), _) => (true, host),
        (None, Some(host)) => (false, host),
        _ => bail!("hub: expected http://HOST:PORT or https://HOST[:PORT]"),
    };
    if host.contains('/') {
        bail!("hub: expected an address without a path");
    }
    let default = if secure { 443 } else { 80 };
    let port = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let name = port.map_or(host, |_| {
        host.rsplit_once(':').map_or(host, |(name, _)| name)
    });
    let stream = TcpStream::connect((name, port.unwrap_or(default)))
        .await
        .with_context(|| format!("{host}: nobody answers; check http.listen, and --hub"))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    if !secure {
        return ask(stream, &request).await;
    }
    let name = ServerName::try_from(name.to_owned())?;
    let stream = connector(ca)?
        .connect(name, stream)
        .await
        .with_context(|| {
            format!("{host}: TLS failed; give --ca with the authority of its certificate")
        })?;
    ask(stream, &request).await
}

fn connector(ca: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let ca = ca.context("give --ca with the authority (PEM) that signed the hub's certificate")?;
    let pem = std::fs::read(ca).with_context(|| format!("{}: cannot be read", ca.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Reads the status line alone: the body may hold protected data and stays where it is.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> anyhow::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < STATUS_LINE {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_ended) => break,
        }
    }
    let line = String::from_utf8_lossy(&line);
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.context("expected an HTTP answer, found something else; check --hub")?;
    Ok(Answer { status })
}
