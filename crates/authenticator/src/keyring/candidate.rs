//! A key that somebody wants to be kept here.
//!
//! **Invariant**: a candidate has been read whole, and every limit it came
//! with is one that is enforced here: what could not be is no candidate.

use keystead_core::{
    Algorithm, Constraints, ImportRequest, KeyForm, KeyId, Name, Purpose, SecretBytes,
};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::constraint::Destinations;
use keystead_formats::ssh::key::{fingerprint, key_id};
use keystead_vault::{AgreementKey, ImportError, Imported, SigningKey, StoredKey};

use super::{SSH_PURPOSES, may_be_for};

/// A key, before anybody said that it may come in.
pub struct Candidate {
    pub(super) key: StoredKey,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) constraints: Constraints,
    /// Empty: what SSH does.
    pub(super) purposes: Vec<Purpose>,
    /// The public half, as it will be offered: with its certificate.
    public: Vec<u8>,
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
            purposes,
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
        if purposes.iter().any(|it| AGREE.contains(it)) {
            let key = match form {
                KeyForm::File => AgreementKey::import_file(key.expose())?,
                KeyForm::Agent | KeyForm::Token | _ => return Err(CandidateError::Purposes),
            };
            let public = key.public().to_blob();
            return Self::whole((StoredKey::Agree(key), None, public), name, constraints)?
                .for_purposes(purposes);
        }
        let imported = match form {
            KeyForm::Agent => SigningKey::import_agent(key.expose()),
            KeyForm::File => SigningKey::import_file(key.expose(), passphrase.as_ref()),
            KeyForm::Token | _ => return Err(CandidateError::Token),
        };
        Self::new(imported?, name, constraints)?.for_purposes(purposes)
    }

    fn for_purposes(mut self, purposes: Vec<Purpose>) -> Result<Self, CandidateError> {
        if !may_be_for(self.algorithm(), &purposes) {
            return Err(CandidateError::Purposes);
        }
        let is_ssh = purposes.iter().all(|it| SSH_PURPOSES.contains(it));
        if self.constraints.destinations.is_some() && !is_ssh {
            return Err(CandidateError::NoLogin);
        }
        self.purposes = purposes;
        Ok(self)
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
        let name = name.or_else(|| Name::of_text(&comment));
        Self::whole((StoredKey::Sign(key), certificate, blob), name, constraints)
    }

    fn whole(
        (key, certificate, public): (StoredKey, Option<Vec<u8>>, Vec<u8>),
        name: Option<Name>,
        constraints: Constraints,
    ) -> Result<Self, CandidateError> {
        let algorithm = key.public().algorithm();
        if algorithm.is_ssh() {
            PublicKey::from_blob(&public)
                .map_err(|_| CandidateError::Key(ImportError::Malformed))?;
        }
        let name = name.or_else(|| Name::new(algorithm.short_name()).ok());
        Ok(Self {
            key,
            certificate,
            public,
            constraints,
            purposes: Vec::new(),
            name: name.ok_or(CandidateError::Key(ImportError::Malformed))?,
        })
    }

    /// By which it will be asked for.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.public)
    }

    /// Its kind; of a certificate, that of the certified key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.key.public().algorithm()
    }

    /// `SHA256:…`, by which people compare; of a certificate, as OpenSSH does,
    /// that of the key inside.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match PublicKey::from_blob(&self.public) {
            Ok(public) => public.fingerprint(),
            // SSH does not have it.
            Err(_) => fingerprint(&self.public),
        }
    }

    /// What it shall be for; empty: what SSH does.
    #[must_use]
    pub fn purposes(&self) -> &[Purpose] {
        &self.purposes
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
    /// Limited to hosts, and for what goes to none: the limit could not be enforced.
    #[error("a key that is limited to hosts is for SSH alone")]
    NoLogin,
    /// [`may_be_for`] says so.
    #[error("no key of this type is for that")]
    Purposes,
}

impl CandidateError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(error) => error.hint(),
            Self::Token => "use the token where it is",
            Self::Destinations => "add the key without -h, or with other hosts",
            Self::NoLogin => "bring it without hosts",
            Self::Purposes => "bring it for what its kind of key does",
        }
    }
}

/// Purposes of keys that agree.
const AGREE: [Purpose; 2] = [Purpose::AgeUnwrap, Purpose::OpenPgpDecrypt];
