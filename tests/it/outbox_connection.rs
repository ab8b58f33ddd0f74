//! Reaching a broker: addresses, passwords, certificates.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::time::Duration;

use careloop::config::BrokerConfig;
use careloop::config::Secret;
use careloop::outbox::publisher::DownReason;
use careloop::outbox::publisher::PublisherState;
use careloop::outbox::rabbit::Rabbit;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::broker;
use crate::support::publishing::LONG;
use crate::support::publishing::Under;
use crate::support::publishing::topology;

#[tokio::test]
async fn a_wrong_password_and_a_missing_host_are_told_apart_and_never_shown() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let unknown = broker.url().replace("guest:guest", "guest:s3cret");
    let nobody = "amqp://guest:s3cret@127.0.0.1:1/%2f".to_owned();
    for (url, expected) in [
        (unknown, DownReason::AccessRefused),
        (nobody, DownReason::Unreachable),
    ] {
        let under = Under::start(&BrokerConfig {
            url: Secret::new(url),
            ..broker.config()
        })
        .await;
        under
            .wait_for(
                |state| matches!(state, PublisherState::Down { reason, .. } if *reason == expected),
            )
            .await;
        let error = under
            .rabbit
            .ready(Duration::from_secs(1))
            .await
            .unwrap_err()
            .to_string();
        assert!(!error.contains("s3cret"), "{error}");
        under.end().await;
    }
}

/// A TLS server of a private authority that reads what a client sends first, and hangs up.
async fn private_tls(
    folder: &std::path::Path,
) -> (BrokerConfig, TcpListener, tokio_rustls::TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = BrokerConfig {
        url: Secret::new(format!("amqps://guest:guest@localhost:{port}/%2f")),
        ca: Some(ca),
        window: 1,
        confirm_timeout: Duration::from_secs(1),
    };
    (
        config,
        listener,
        tokio_rustls::TlsAcceptor::from(Arc::new(server)),
    )
}

#[tokio::test]
async fn amqps_trusts_the_configured_authority_and_no_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let (config, listener, tls) = private_tls(folder.path()).await;
    let under = Under::start(&config).await;
    let mut stream = tls
        .accept(listener.accept().await.unwrap().0)
        .await
        .unwrap();
    let mut hello = [0; 8];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"AMQP\x00\x00\x09\x01");
    under.end().await;
    let under = Under::start(&BrokerConfig { ca: None, ..config }).await;
    assert!(
        tls.accept(listener.accept().await.unwrap().0)
            .await
            .is_err()
    );
    let is_tls = |s: &PublisherState| {
        matches!(
            s,
            PublisherState::Down {
                reason: DownReason::Tls,
                ..
            }
        )
    };
    under.wait_for(is_tls).await;
    under.end().await;
}

#[tokio::test]
async fn an_address_beyond_loopback_without_tls_is_refused_before_it_is_tried() {
    for (url, ca, expected) in [
        ("amqp://u:s3cret@broker.example.org/%2f", None, "amqps"),
        ("amqp://u:s3cret@10.0.0.1:5672/%2f", None, "amqps"),
        ("amqps://u:s3cret@[2001:db8::1]:5671/%2f", None, "IPv4"),
        ("https://u:s3cret@localhost", None, "amqps"),
        (
            "amqps://u:s3cret@localhost",
            Some("/nowhere/ca.pem"),
            "broker.ca",
        ),
        ("amqps://u:s3cret@localhost", Some("Cargo.toml"), "PEM"),
    ] {
        let config = BrokerConfig {
            url: Secret::new(url.to_owned()),
            ca: ca.map(Into::into),
            window: 1,
            confirm_timeout: LONG,
        };
        let stop = CancellationToken::new();
        let started = Rabbit::start(&config, topology(), &TaskTracker::new(), stop).await;
        let error = started.err().unwrap().to_string();
        assert!(
            error.contains(expected) && !error.contains("s3cret"),
            "{url}: {error}"
        );
    }
}
