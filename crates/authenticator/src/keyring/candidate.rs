//! A key that somebody wants to be kept here.
//!
//! **Invariant**: a candidate has been read whole, and every limit it came
//! with is one that is enforced here: what could not be is no candidate.

use keystead_core::{Algorithm, Constraints, ImportRequest, KeyForm, Name, SecretBytes};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::constraint::Destinations;
use keystead_vault::{ImportError, Imported, SigningKey};

/// A key, before anybody said that it may come in.
pub struct Candidate {
    pub(super) key: SigningKey,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) public: PublicKey,
    pub(super) constraints: Constraints,
    name: Name,
}

impl Candidate {
    /// Reads the key of a request.
    ///
    /// # Errors
    /// [`CandidateError`].
    pub fn of_request(request: ImportRequest) -> Result<Self, CandidateError> {
        let ImportRequest {
            form,
            key,
            passphrase,
            name,
            constraints,
        } = request;
        if constraints.sk_provider.is_some() {
            return Err(CandidateError::Key(ImportError::InToken));
        }
        if constraints.certificates.is_some() {
            return Err(CandidateError::Token);
        }
        if let Some(destinations) = &constraints.destinations {
            Destinations::parse(destinations).map_err(|_| CandidateError::Destinations)?;
        }
        let imported = match form {
            KeyForm::Agent => SigningKey::import_agent(key.expose()),
            KeyForm::File => SigningKey::import_file(key.expose(), passphrase.as_ref()),
            KeyForm::Token | _ => return Err(CandidateError::Token),
        };
        Self::new(imported?, name, constraints)
    }

    /// Reads a key file that the holder brings: without limits.
    ///
    /// # Errors
    /// [`CandidateError`].
    pub fn of_file(
        file: &SecretBytes,
        passphrase: Option<&SecretBytes>,
        name: Option<Name>,
    ) -> Result<Self, CandidateError> {
        let imported = SigningKey::import_file(file.expose(), passphrase)?;
        Self::new(imported, name, Constraints::default())
    }

    fn new(
        imported: Imported,
        name: Option<Name>,
        constraints: Constraints,
    ) -> Result<Self, CandidateError> {
        let Imported {
            key,
            certificate,
            comment,
        } = imported;
        let blob = match &certificate {
            Some(certificate) => certificate.clone(),
            None => key.public().to_blob(),
        };
        let public =
            PublicKey::from_blob(&blob).map_err(|_| CandidateError::Key(ImportError::Malformed))?;
        let name = name
            .or_else(|| Name::of_text(&comment))
            .or_else(|| Name::new(key.algorithm().short_name()).ok());
        Ok(Self {
            key,
            certificate,
            public,
            constraints,
            name: name.ok_or(CandidateError::Key(ImportError::Malformed))?,
        })
    }

    /// The public half, as it will be offered: with its certificate.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its kind; of a certificate, that of the certified key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// `SHA256:…`, by which people compare; of a certificate, as OpenSSH does,
    /// that of the key inside.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint()
    }

    /// The name that was asked for, that of the file's comment, or that of its kind.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Within which limits it may be used.
    #[must_use]
    pub const fn constraints(&self) -> &Constraints {
        &self.constraints
    }
}

/// Why a key cannot be kept here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CandidateError {
    /// The key itself.
    #[error("{0}")]
    Key(#[from] ImportError),
    /// All keys of a token: they stay in it.
    #[error("the keys of a token stay in it")]
    Token,
    /// A list of destinations that cannot be read could not be enforced.
    #[error("the destinations that the key is limited to cannot be read")]
    Destinations,
}

impl CandidateError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(error) => error.hint(),
            Self::Token => "use the token where it is",
            Self::Destinations => "add the key without -h, or with other hosts",
        }
    }
}
