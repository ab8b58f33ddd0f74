//! The client of a FHIR endpoint over TLS: an authority of the clinic's own, and certificates on
//! both sides.

use std::sync::Arc;

use careloop::config::Secret;
use careloop::ehr::{Auth, Client, Endpoint, Error, Limits, Setup, Transport};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use crate::support::fhir_server::FhirServer;

/// An authority that signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn issue(&self, name: &str, until: i32) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn pem(&self) -> Option<Vec<u8>> {
        Some(self.certificate.pem().into_bytes())
    }

    /// A client's certificate with its key.
    fn client_certificate(&self) -> Secret {
        let (certificate, key) = self.issue("hub.example.org", 4000);
        Secret::new(format!("{}{}", certificate.pem(), key.serialize_pem()))
    }

    /// A server with a certificate of this authority; with `wants`, it wants one of that authority.
    async fn server(&self, name: &str, until: i32, wants: Option<&Self>) -> FhirServer {
        let (certificate, key) = self.issue(name, until);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match wants {
            None => builder.with_no_client_auth(),
            Some(other) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(other.certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        FhirServer::over(Some(TlsAcceptor::from(Arc::new(config)))).await
    }
}

fn endpoint(server: &FhirServer, ca: Option<Vec<u8>>) -> Endpoint {
    Endpoint {
        base: server.base(),
        auth: Auth::Bearer(Secret::new("TEST-STATIC".into())),
        scopes: Vec::new(),
        token_url: None,
        headers: Vec::new(),
        limits: Limits {
            tries: 1,
            ..Limits::default()
        },
        ca,
        client_certificate: None,
    }
}

async fn asked(endpoint: Endpoint) -> Result<(), Transport> {
    match Client::new(endpoint).unwrap().get("Patient").await {
        Ok(_) => Ok(()),
        Err(Error::Transport(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_server_is_believed_by_the_configured_authority_alone() {
    let (own, other) = (Authority::new(), Authority::new());
    let server = own.server("localhost", 4000, None).await;
    assert_eq!(asked(endpoint(&server, own.pem())).await, Ok(()));
    for ca in [other.pem(), None] {
        let refused = asked(endpoint(&server, ca)).await;
        assert_eq!(refused, Err(Transport::Certificate));
    }
    for (name, until) in [("localhost", 2020), ("ehr.example.org", 4000)] {
        let server = own.server(name, until, None).await;
        let refused = asked(endpoint(&server, own.pem())).await;
        assert_eq!(refused, Err(Transport::Certificate), "{name}");
        assert!(server.all().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_configured_one() {
    let (own, clients) = (Authority::new(), Authority::new());
    let server = own.server("localhost", 4000, Some(&clients)).await;
    let with = |client_certificate| Endpoint {
        client_certificate,
        ..endpoint(&server, own.pem())
    };
    assert_eq!(
        asked(with(Some(clients.client_certificate()))).await,
        Ok(())
    );
    for shown in [None, Some(own.client_certificate())] {
        assert!(asked(with(shown)).await.is_err());
    }
    assert_eq!(server.all().len(), 1);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_told_before_anything_is_sent() {
    let server = FhirServer::listen().await;
    let nothing = || Some(b"nothing".to_vec());
    assert!(matches!(
        Client::new(endpoint(&server, nothing())),
        Err(Setup::Ca)
    ));
    let without_key = Some(Secret::new(Authority::new().certificate.pem()));
    let refused = Client::new(Endpoint {
        client_certificate: without_key,
        ..endpoint(&server, None)
    });
    assert!(matches!(refused, Err(Setup::ClientCertificate)));
}
