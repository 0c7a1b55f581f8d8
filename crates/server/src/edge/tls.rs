//! TLS 1.3 as the server speaks it, and its certificate, which may be replaced.
//!
//! **Invariant**: no other version, no early data, no tickets (a session is resumed above
//! TLS, where it is bound); a certificate is taken whole with its key, or the one before
//! stays.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use keystead_daemon::stall::Stalling;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::validity::Validity;
use crate::settings::{ClientCertificate, Tls};

/// The stream under HTTP and frames alike.
pub(super) type Stream = TlsStream<Stalling<TcpStream>>;

/// What the server shows of itself; replaced as a whole.
pub struct Certificate {
    files: Files,
    shown: RwLock<Shown>,
}

#[derive(Clone)]
struct Shown {
    key: Arc<CertifiedKey>,
    validity: Option<Validity>,
}

/// Where it lies.
#[derive(Clone, Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
}

impl Certificate {
    /// Reads it; the paths of `tls` are in `folder`.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(folder: &Path, tls: &Tls) -> Result<Self, TlsError> {
        let files = Files {
            chain: folder.join(&tls.certificate),
            key: folder.join(&tls.key),
            authority: tls.authority.as_ref().map(|it| folder.join(it)),
        };
        let shown = RwLock::new(files.read()?);
        Ok(Self { files, shown })
    }

    /// Reads the files again; new connections see what they say.
    ///
    /// # Errors
    /// [`TlsError`]; then nothing changes.
    pub fn reload(&self) -> Result<(), TlsError> {
        let read = self.files.read()?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// From when until when the leaf holds, if that can be read.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        self.shown().validity
    }

    /// SHA-256 of the last certificate that is shown: the private authority, where there is
    /// one. An invitation carries it.
    #[must_use]
    pub fn authority_hash(&self) -> Option<[u8; 32]> {
        self.files.authority.as_ref()?;
        let shown = self.shown();
        let authority = shown.key.cert.last()?;
        let hash = digest(&SHA256, authority);
        hash.as_ref().first_chunk().copied()
    }

    fn shown(&self) -> Shown {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown().key)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Files {
    fn read(&self) -> Result<Shown, TlsError> {
        let mut chain = certificates(&self.chain)?;
        if let Some(authority) = &self.authority {
            // Sent along: a client that knows only its hash has it from the chain.
            chain.extend(certificates(authority)?);
            chain.dedup();
        }
        let validity = chain.first().and_then(|leaf| Validity::of(leaf));
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| TlsError::Pem {
            file: self.key.clone(),
            what: "private key",
            source: error,
        })?;
        let wrong = |source| TlsError::Pair {
            certificate: self.chain.clone(),
            key: self.key.clone(),
            source,
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(wrong)?;
        Ok(Shown {
            key: Arc::new(key),
            validity,
        })
    }
}

/// The configuration of every connection.
///
/// # Errors
/// [`TlsError`]: the authorities of clients.
pub fn configuration(
    folder: &Path,
    tls: &Tls,
    certificate: Arc<Certificate>,
) -> Result<Arc<ServerConfig>, TlsError> {
    // X25519MLKEM768 comes first in it: rustls' feature `prefer-post-quantum`.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Library)?;
    let builder = match &tls.client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let file = folder.join(file);
            let mut roots = RootCertStore::empty();
            for authority in certificates(&file)? {
                roots.add(authority).map_err(TlsError::Library)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let verifier = match tls.client_certificate {
                ClientCertificate::Optional => verifier.allow_unauthenticated(),
                ClientCertificate::Required => verifier,
            };
            let verifier = verifier
                .build()
                .map_err(|source| TlsError::Authorities { file, source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(certificate);
    config.alpn_protocols = vec![FRAMES.to_vec(), HTTP.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that is missing, or holds no such thing.
    #[error("no {what} in {}", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// The reader's error.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not belong together.
    #[error("{} and {} do not belong together", certificate.display(), key.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The library's error.
        source: rustls::Error,
    },
    /// Authorities of clients that are none.
    #[error("{} holds no authority of clients", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// The library's error.
        source: rustls::server::VerifierBuilderError,
    },
    /// The library's error.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
}

impl TlsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Pem { file, .. } | Self::Authorities { file, .. } => {
                format!("see that {} is PEM and can be read", file.display())
            }
            Self::Pair { .. } => {
                "make a new pair with `keystead-server renew-certificate`, or copy both files again"
                    .to_owned()
            }
            Self::Library(_) => "see what the library said".to_owned(),
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem {
        file: file.to_owned(),
        what: "certificate",
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(rustls::pki_types::pem::Error::NoItemsFound));
    }
    Ok(found)
}

/// The protocol of frames on the stream (section 2).
pub const FRAMES: &[u8] = b"keystead/1";

/// The protocol of browsers.
pub const HTTP: &[u8] = b"http/1.1";

/// RFC 9266 section 4.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
