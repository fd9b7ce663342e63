//! The mesh's own certificate authority: a key and a certificate under `tls/` of its state.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::NAME;
use crate::cred::disk;
use crate::error::{Error, ErrorKind, Result};

/// The authority that other hosts trust.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// A chain to show and its key.
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("pin", &self.pin()).finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority of the mesh whose state is `state_dir`, making it where there is none.
    ///
    /// # Errors
    /// Where its files cannot be read or written.
    pub fn open_or_create(state_dir: &Path) -> Result<Self> {
        let dir = state_dir.join("tls");
        let failed = || Error::new(ErrorKind::Credential, "open the mesh's certificate authority");
        disk::private_dir(&dir).map_err(|error| failed().because(error))?;
        let _lock = disk::lock(&dir).map_err(|error| failed().because(error))?;
        let (key_path, pem_path) = (dir.join("ca.key"), dir.join("ca.pem"));
        let read = |path: &PathBuf| disk::read(path).map_err(|error| failed().because(error));
        let (key, pem) = match (read(&key_path)?, read(&pem_path)?) {
            (Some(key), Some(pem)) => {
                (KeyPair::from_pem(&key).map_err(|error| failed().because(error))?, pem)
            }
            _ => {
                let key = KeyPair::generate().map_err(|error| failed().because(error))?;
                let made = params().and_then(|params| params.self_signed(&key));
                let pem = made.map_err(|error| failed().because(error))?.pem();
                let write = |path: &Path, text: &str| {
                    disk::write_private(path, text).map_err(|error| failed().because(error))
                };
                write(&key_path, &key.serialize_pem())?;
                write(&pem_path, &pem)?;
                (key, pem)
            }
        };
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|error| failed().because(error))?;
        Ok(Self { pem, der, key })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What a host that was invited knows it by.
    #[must_use]
    pub fn pin(&self) -> String {
        pin(&self.der)
    }

    /// A certificate for a gate, of devmesh's own name and of `host` for other clients.
    pub(super) fn issue(&self, host: &str) -> Result<Shown> {
        let failed = || Error::new(ErrorKind::Credential, "make the gate's certificate");
        let own = params().map_err(|error| failed().because(error))?;
        let issuer = Issuer::new(own, &self.key);
        let key = KeyPair::generate().map_err(|error| failed().because(error))?;
        let names = vec![NAME.to_owned(), host.trim_matches(['[', ']']).to_owned()];
        let mut params = CertificateParams::new(names).map_err(|error| failed().because(error))?;
        params.distinguished_name.push(DnType::CommonName, "devmesh gate");
        let leaf = params.signed_by(&key, &issuer).map_err(|error| failed().because(error))?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Shown { chain: vec![leaf.der().clone(), self.der.clone()], key })
    }
}

/// The authority's own certificate. It is valid for as long as a certificate can be: a host whose
/// clock is wrong must hear that, and not that a certificate is.
fn params() -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "devmesh mesh authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// The pin of a certificate, PEM; none where it is none.
#[must_use]
pub fn pin_of(pem: &str) -> Option<String> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| pin(&der))
}

pub(super) fn pin(der: &CertificateDer<'_>) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(der.as_ref()))
}
