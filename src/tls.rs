//! TLS of a listener: rustls over aws-lc-rs, mutual where an authority for clients is configured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::{ClientTls, Problem, TlsConfig, secret_file};

/// Why a listener cannot speak TLS, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "tls {role}: expected a readable file, found {} at {}; \
         check the path and that careloop's user may read it", .source.kind(), .path.display()
    )]
    Unreadable {
        /// The setting's name.
        role: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The key cannot be read, or others can read it, too.
    #[error("tls key: {0}")]
    Key(Box<Problem>),
    /// A file holds no such thing in PEM.
    #[error(
        "tls {role}: expected PEM ({expected}), found none that can be read in {}; \
         convert DER or PKCS#12 with openssl, and give keys without a passphrase", .path.display()
    )]
    NotPem {
        /// The setting's name.
        role: &'static str,
        /// The PEM label.
        expected: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The parts do not make a working configuration.
    #[error(
        "tls {role}: expected a usable certificate, found: {source}; check that the certificate \
         belongs to the key and that the chain starts with the server's own certificate"
    )]
    Unusable {
        /// The setting's name.
        role: &'static str,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The name of the peer cannot stand in a certificate.
    #[error("to: expected a host name or an address before the port, found another form")]
    Name,
    /// The authority for clients, or that of the peer, cannot be used.
    #[error(
        "tls {role}: expected certificates of an authority, found: {reason}; \
         give the PEM of the authority that signs the other side"
    )]
    Authority {
        /// The setting's name.
        role: &'static str,
        /// What rustls says.
        reason: String,
    },
}

/// Reads the PEM files of `tls` and makes the server's side of TLS 1.2 and 1.3.
///
/// # Errors
/// A file that cannot be read or used; the text says which and what to do next.
pub fn server_config(tls: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    // Named here, since a default provider of the process could be another one.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates("certificate", &tls.certificate)?;
    let key = private_key(&tls.key)?;
    let unusable = |source| TlsError::Unusable {
        role: "certificate",
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let authority = |reason: String| TlsError::Authority {
                role: "client_ca",
                reason,
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("client_ca", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| authority(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .map_err(|error| authority(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(chain, key)
        .map(Arc::new)
        .map_err(unusable)
}

/// Reads the PEM files of `tls` and makes the client's side of TLS 1.2 and 1.3.
///
/// # Errors
/// A file that cannot be read or used; the text says which and what to do next.
pub fn client_config(tls: &ClientTls) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unusable = |source| TlsError::Unusable {
        role: "certificate",
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", &tls.ca)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authority {
                role: "ca",
                reason: error.to_string(),
            })?;
    }
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &tls.identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates("certificate", certificate)?;
    builder
        .with_client_auth_cert(chain, private_key(key)?)
        .map(Arc::new)
        .map_err(unusable)
}

fn certificates(role: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let not_pem = || TlsError::NotPem {
        role,
        expected: "BEGIN CERTIFICATE",
        path: path.into(),
    };
    let bytes = read(role, path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(not_pem()),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = secret_file(path).map_err(|problem| TlsError::Key(Box::new(problem)))?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .ok()
        .ok_or_else(|| TlsError::NotPem {
            role: "key",
            expected: "BEGIN PRIVATE KEY",
            path: path.into(),
        })
}

fn read(role: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable {
        role,
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        _folder: tempfile::TempDir,
        tls: TlsConfig,
    }

    /// A self-signed certificate and its key, in files.
    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        readable_by(&key, 0o600);
        Files {
            _folder: folder,
            tls: TlsConfig {
                certificate,
                key,
                client_ca: None,
            },
        }
    }

    fn readable_by(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused(tls: &TlsConfig) -> String {
        server_config(tls).err().unwrap().to_string()
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_with_and_without_an_authority() {
        let mut files = files();
        assert!(server_config(&files.tls).is_ok());
        files.tls.client_ca = Some(files.tls.certificate.clone());
        assert!(server_config(&files.tls).is_ok());
    }

    #[test]
    fn errors_name_the_setting_the_file_and_the_next_step() {
        let mut files = files();
        files.tls.client_ca = Some(files.tls.key.clone());
        let text = refused(&files.tls);
        assert!(
            text.starts_with("tls client_ca: expected PEM (BEGIN CERTIFICATE)"),
            "{text}"
        );
        files.tls.client_ca = Some("/nowhere/ca.pem".into());
        let text = refused(&files.tls);
        assert!(
            text.contains("/nowhere/ca.pem") && text.contains("may read it"),
            "{text}"
        );
        let whole = files.tls.clone();
        files.tls.key = whole.certificate.clone();
        readable_by(&whole.certificate, 0o600);
        assert!(refused(&files.tls).contains("without a passphrase"));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_advice() {
        let files = files();
        readable_by(&files.tls.key, 0o644);
        let text = refused(&files.tls);
        let advice = format!("run: chmod 600 {}", files.tls.key.display());
        assert!(
            text.starts_with("tls key: ") && text.ends_with(&advice),
            "{text}"
        );
        assert!(
            text.contains("found mode 644") && !text.contains("PRIVATE"),
            "{text}"
        );
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (mut own, other) = (files(), files());
        own.tls.key = other.tls.key.clone();
        assert!(refused(&own.tls).contains("belongs to the key"));
    }
}
