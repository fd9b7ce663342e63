//! Whom a host believes: the authority whose pin stands in its invitation, later the authority
//! itself. Not the public ones, and not a name: addresses change, the authority does not.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

use super::NAME;
use super::authority::pin;
use crate::error::{Error, ErrorKind, Result};

/// The authority that a host believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// The one with this pin, see [`super::Authority::pin`].
    Pin(String),
    /// The one whose certificate lies there, PEM.
    File(PathBuf),
}

/// How to speak TLS with a gate of the trusted authority.
///
/// # Errors
/// Where the authority's certificate cannot be read.
pub(crate) fn client_config(trusted: &Trusted) -> Result<ClientConfig> {
    let pin = match trusted {
        Trusted::Pin(pin) => pin.clone(),
        Trusted::File(path) => {
            let der = CertificateDer::from_pem_file(path).map_err(|error| {
                let what = format!("read the mesh's certificate {}", path.display());
                Error::new(ErrorKind::Credential, what).because(error)
            })?;
            self::pin(&der)
        }
    };
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Credential, "prepare TLS").because(error))?;
    let verifier = Arc::new(Pinned { pin, provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Whether a handshake failed for whom it was with, and not for the wire.
pub(super) fn is_mistrust(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    matches!(tls, Some(TlsError::InvalidCertificate(_)))
}

/// Believes what the authority of this pin has signed for a gate.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let unknown = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = intermediates.iter().find(|one| pin(one) == self.pin).ok_or(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| TlsError::General(error.to_string()))?;
        let name = ServerName::try_from(NAME).expect("a plain name names a server");
        verifier.verify_server_cert(end_entity, &[], &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
