//! The API over TLS with an authority of the clinic's own: who shows a certificate of it is let in, and
//! nobody else gets an answer.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::api::{SCOPES, over, published, token};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

/// An authority that signs certificates.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate with its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: rcgen::Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate that ends in a year.
    fn issue(&self, name: &str, until: i32) -> Identity {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }
}

/// A file that only its owner reads.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).unwrap();
    path.display().to_string()
}

/// A client that trusts an authority and shows a certificate, or none.
fn client(trusted: &Authority, shows: Option<&Identity>) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.certificate.der().clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Vec<CertificateDer<'static>> = vec![identity.certificate.der().clone()];
            let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
            let key = PrivateKeyDer::Pkcs8(key);
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    Arc::new(config).into()
}

async fn connect(
    hub: &Hub,
    client: &TlsConnector,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(hub.daemon.http.unwrap()).await?;
    client
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

/// What comes back to a request; with TLS 1.3 a client learns only then that it was refused.
async fn heard(hub: &Hub, client: &TlsConnector, path: &str) -> Vec<u8> {
    let Ok(mut stream) = connect(hub, client).await else {
        return Vec::new();
    };
    let ask = format!("{path} HTTP/1.1\r\nhost: hub\r\n\r\n");
    drop(stream.write_all(ask.as_bytes()).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    answer
}

on_each_store! {
    async fn content_goes_only_to_who_shows_a_certificate_of_the_clinics_authority(database) {
        let folder = database.folder.path().to_owned();
        let (own, foreign) = (Authority::new(), Authority::new());
        let server = own.issue("localhost", 2090);
        let crm = own.issue("crm.example", 2090);
        let http = format!(
            "tls = {{ certificate = \"{}\", key = \"{}\", client_ca = \"{}\" }}",
            file(&folder, "http.pem", &server.certificate.pem()),
            file(&folder, "http.key", &server.key.serialize_pem()),
            file(&folder, "crm-ca.pem", &own.certificate.pem()),
        );
        let hub = Hub::start(database, Setup { http, ..Setup::default() }).await;
        let (_, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        let bearer = format!("Bearer {token}");
        let stream = connect(&hub, &client(&own, Some(&crm))).await.unwrap();
        let content = over(stream, &path, &[("authorization", &bearer)], "").await;
        assert_eq!((content.status, &content.json()["person"]["name"]["text"]), (200, &"Ada Example".into()));
        let (expired, other) = (own.issue("crm.example", 2024), foreign.issue("crm.example", 2090));
        let health = "GET /health/live";
        for (why, shows) in [("none", None), ("expired", Some(&expired)), ("another authority's", Some(&other))] {
            let heard = heard(&hub, &client(&own, shows), health).await;
            assert!(heard.is_empty(), "{why}: {}", String::from_utf8_lossy(&heard));
        }
        assert!(connect(&hub, &client(&foreign, Some(&crm))).await.is_err(), "the client refuses the hub");
        let mut plain = TcpStream::connect(hub.daemon.http.unwrap()).await.unwrap();
        plain.write_all(format!("{health} HTTP/1.1\r\nhost: hub\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(plain.read_to_end(&mut answer).await);
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
        assert!(heard(&hub, &client(&own, Some(&crm)), health).await.starts_with(b"HTTP/1.1 200"));
        checked(&hub, &token, &crm).await;
        hub.daemon.stop().await;
    }
}

/// `careloop crm check` takes the same way, and says what is missing.
async fn checked(hub: &Hub, token: &str, crm: &Identity) {
    let folder = hub.folder();
    let address = format!("https://localhost:{}", hub.daemon.http.unwrap().port());
    let token = file(&folder, "token", token);
    let ca = folder.join("crm-ca.pem").display().to_string();
    let base = ["crm", "check", "--token-file", &token, "--hub", &address];
    let certificate = file(&folder, "crm.pem", &crm.certificate.pem());
    let key = file(&folder, "crm.key", &crm.key.serialize_pem());
    let shown = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    let told = hub.run(&[&base[..], &shown[..]].concat()).await;
    assert!(told.contains("ok        content"), "{told}");
    for (options, says) in [
        (&shown[..2], "give --certificate and --key"),
        (&[], "give --ca with the authority"),
    ] {
        let output = tokio::process::Command::from(hub.process(&[&base[..], options].concat()))
            .output()
            .await
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && told.contains(says), "{told}");
    }
}
