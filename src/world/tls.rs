//! TLS over a connection: what the system trusts is trusted.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::model::time::Timestamp;

/// Speaks TLS with whoever has a certificate for `host`, a name or an address; `protocols` are offered to it (ALPN).
///
/// # Errors
/// In one line: no trust, or no TLS there.
pub async fn connect(host: &str, stream: TcpStream, protocols: &[&str]) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned()).map_err(|error| error.to_string())?;
    let mut config = config()?;
    if !protocols.is_empty() {
        Arc::make_mut(&mut config).alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    }
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())
}

/// When the certificate of the other side ends.
#[must_use]
pub fn certificate_ends(stream: &TlsStream<TcpStream>) -> Option<Timestamp> {
    let first = stream.get_ref().1.peer_certificates()?.first()?;
    let certificate = Certificate::from_der(first.as_ref()).ok()?;
    let ends = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Some(Timestamp::from_nanos(i64::try_from(ends.as_nanos()).unwrap_or(i64::MAX)))
}

/// The system's trust, read once, for those who speak TLS in their own way.
///
/// # Errors
/// When there is none, in one line.
pub fn config() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let make = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map(|builder| Arc::new(builder.with_no_client_auth()))
            .map_err(|error| error.to_string())
    };
    CONFIG.get_or_init(make).clone()
}

/// Whom the system trusts, read once, for those who bring a verifier of their own.
///
/// # Errors
/// When it trusts nobody, in one line.
pub fn roots() -> Result<&'static [CertificateDer<'static>], String> {
    static ROOTS: OnceLock<Result<Vec<CertificateDer<'static>>, String>> = OnceLock::new();
    let read = || {
        let mut found = rustls_native_certs::load_native_certs();
        // One that cannot be read is of no use to anybody, and no reason to refuse the others.
        found.certs.retain(|root| RootCertStore::empty().add(root.clone()).is_ok());
        if found.certs.is_empty() {
            return Err(found.errors.first().map_or_else(|| "this machine trusts no authority".to_owned(), ToString::to_string));
        }
        Ok(found.certs)
    };
    ROOTS.get_or_init(read).as_deref().map_err(Clone::clone)
}
