//! Whose word counts for who a server is.
//!
//! **Invariant:** with [`Trust::Pinned`] exactly one certificate is an authority: the one
//! with that hash, which the server sends along; what the system trusts is not asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

/// Whose word counts for who a server is.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The authority whose certificate has this SHA-256 hash, found in what the server presents.
    Pinned([u8; 32]),
    /// These authorities.
    These(Authorities),
    /// The system's.
    System,
}

/// Authorities of a file, at least one.
#[derive(Clone, Debug)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Of a PEM file.
    ///
    /// # Errors
    /// Not readable, or without a certificate.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let path_of = || path.to_owned();
        let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
        if let Some(source) = loaded.errors.into_iter().next() {
            return Err(TrustError::File {
                path: path_of(),
                source: std::io::Error::other(source),
            });
        }
        if loaded.certs.is_empty() {
            return Err(TrustError::NoAuthority);
        }
        Ok(Self(loaded.certs))
    }

    /// Of certificates, DER.
    #[must_use]
    pub fn these(certificates: Vec<Vec<u8>>) -> Self {
        Self(certificates.into_iter().map(CertificateDer::from).collect())
    }

    /// The certificates, DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Trust {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
        let authorities = match self {
            Self::Pinned(hash) => {
                let provider = Arc::clone(provider);
                let hash = *hash;
                return Ok(Arc::new(Pinned { hash, provider }));
            }
            Self::These(authorities) => authorities.0.clone(),
            // One broken file among the system's authorities is no reason to trust none.
            Self::System => rustls_native_certs::load_native_certs().certs,
        };
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(authorities);
        if taken == 0 {
            return Err(TrustError::NoAuthority);
        }
        let verifier = webpki(roots, provider).map_err(TrustError::Tls)?;
        Ok(verifier)
    }
}

/// Trusts the certificate with one hash, wherever in the presented chain it stands.
#[derive(Debug)]
struct Pinned {
    hash: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let is_it = |certificate: &&CertificateDer<'_>| sha256(certificate) == self.hash;
        let authority = intermediates.iter().take(CHAIN_MAX).find(is_it);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = webpki(roots, &self.provider)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        // TLS 1.2 is not spoken, so this is never asked.
        Err(TlsError::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn webpki(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder
        .build()
        .map_err(|error| TlsError::General(error.to_string()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Why a server cannot be trusted, before it is spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// No address.
    #[error("{0:?} is not HOST:PORT or https://HOST:PORT")]
    Address(String),
    /// The file of authorities.
    #[error("certificate authorities in {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// None found.
    #[error("no certificate authority found")]
    NoAuthority,
    /// The library of TLS says no.
    #[error("TLS cannot be set up")]
    Tls(#[source] TlsError),
}

impl TrustError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Address(_) => "give it as https://HOST:PORT",
            Self::File { .. } | Self::NoAuthority => {
                "name a readable PEM file with at least one certificate by --ca"
            }
            Self::Tls(_) => "report it: this should not happen",
        }
    }
}

/// 16 certificates of a chain are looked at; real ones have two or three.
const CHAIN_MAX: usize = 16;
