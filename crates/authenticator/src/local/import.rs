//! What comes in: `ssh-add FILE`, `-K` and `-s`.
//!
//! **Invariant**: a constraint that is not understood refuses the key; of a token's keys none
//! comes in without those of its import.

use std::path::PathBuf;
use std::sync::Arc;

use keystead_core::{Constraints, ImportRequest, KeyForm, Name, Outcome, ResponseBody};
use keystead_daemon::Now;
use keystead_formats::ssh::wire::Reader;
use keystead_formats::ssh::{PublicKey, pattern};
use keystead_vault::SigningKey;

use super::identity::{IDENTITIES_MAX, Identity, Limits, Signer};
use super::waiting::{TokenImport, What};
use super::{Action, Asked, Io, Local, SecurityKey, TokenKey, TokenWork, Wait, Work, respond};

impl Local {
    pub(super) fn import(
        &mut self,
        now: Now,
        asked: Asked,
        wait: Wait,
        request: ImportRequest,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) {
        let taken = match request.form {
            KeyForm::Token => self.import_token(now, asked, wait, request, io, actions),
            KeyForm::Agent | KeyForm::File | _ => self.import_key(now, asked, request, io, actions),
        };
        if let Err(refusal) = taken {
            tracing::warn!("key not taken: {refusal}");
            actions.push(respond(now, asked, refusal.outcome(), None));
        }
    }

    /// A key already there gets a new name and new constraints, as at OpenSSH's agent.
    fn import_key(
        &mut self,
        now: Now,
        asked: Asked,
        request: ImportRequest,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if request.constraints.certificates.is_some() {
            return Err(Refusal::NoToken);
        }
        let limits = Limits::read(now, &request.constraints).map_err(|_| Refusal::Destinations)?;
        let name = request.name.clone();
        let (public, signer) = self.read_key(request, io)?;
        let name = name
            .or_else(|| default_name(&public))
            .ok_or(Refusal::Unreadable)?;
        let identity = Identity {
            public,
            signer,
            name,
            limits,
        };
        let entry = identity.entry();
        if self.identities.find(&entry.id).is_none() && self.identities.len() >= IDENTITIES_MAX {
            return Err(Refusal::Full);
        }
        let replaced = self.identities.put(identity);
        actions.extend(self.close_unused(replaced));
        let body = ResponseBody::Keys(vec![entry]);
        actions.push(respond(now, asked, Outcome::Approve, Some(body)));
        Ok(())
    }

    fn read_key(
        &self,
        request: ImportRequest,
        io: &mut Io<'_>,
    ) -> Result<(PublicKey, Signer), Refusal> {
        if !request.purposes.is_empty() {
            return Err(Refusal::Purposes);
        }
        let provider = request.constraints.sk_provider;
        if request.form == KeyForm::Agent && is_security_key(request.key.expose()) {
            let provider = provider.map(|it| self.sk_provider(&it, io)).transpose()?;
            let key = SecurityKey::parse(request.key, provider).map_err(|_| Refusal::Unreadable)?;
            return Ok((key.public().clone(), Signer::SecurityKey(Arc::new(key))));
        }
        if provider.is_some() {
            return Err(Refusal::NoSecurityKey);
        }
        let imported = if request.form == KeyForm::Agent {
            SigningKey::import_agent(request.key.expose())
        } else {
            SigningKey::import_file(request.key.expose(), request.passphrase.as_ref())
        };
        let imported = imported.map_err(Refusal::Key)?;
        let blob = match imported.certificate {
            Some(certificate) => certificate,
            None => imported.key.public().to_blob(),
        };
        let public = PublicKey::from_blob(&blob).map_err(|_| Refusal::Unreadable)?;
        Ok((public, Signer::Memory(Arc::new(imported.key))))
    }

    /// `internal` is `ssh-sk-helper`'s own; any other must be allowed.
    fn sk_provider(&self, provider: &str, io: &mut Io<'_>) -> Result<String, Refusal> {
        if provider.eq_ignore_ascii_case(SK_INTERNAL) {
            return Ok(provider.to_owned());
        }
        self.allowed(provider, io)
    }

    /// The library's path without links, if the patterns allow it.
    fn allowed(&self, provider: &str, io: &mut Io<'_>) -> Result<String, Refusal> {
        let canonical = (io.canonical)(provider).ok_or(Refusal::NoProvider)?;
        if pattern::list_matches(self.options.providers.split(','), &canonical) {
            Ok(canonical)
        } else {
            Err(Refusal::ProviderForbidden(canonical))
        }
    }

    fn import_token(
        &mut self,
        now: Now,
        asked: Asked,
        wait: Wait,
        request: ImportRequest,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if !cfg!(feature = "pkcs11") {
            return Err(Refusal::NoPkcs11);
        }
        if request.constraints.sk_provider.is_some() {
            return Err(Refusal::NoSecurityKey);
        }
        Limits::read(now, &request.constraints).map_err(|_| Refusal::Destinations)?;
        let path = std::str::from_utf8(request.key.expose()).map_err(|_| Refusal::NoProvider)?;
        let provider = PathBuf::from(self.allowed(path, io)?);
        let import = TokenImport {
            provider: provider.clone(),
            constraints: request.constraints,
        };
        let what = What::Token(Box::new(import));
        match self.waiting.open(asked, wait, what) {
            Some(job) => {
                let work = TokenWork::Open {
                    pin: request.passphrase,
                };
                actions.push(Action::Start(job, Work::Token { provider, work }));
            }
            None => actions.push(respond(now, asked, Outcome::Busy, None)),
        }
        Ok(())
    }

    /// A token's keys are known: those that are new come in, each with its certificates first.
    pub(super) fn opened(
        &mut self,
        now: Now,
        asked: Asked,
        import: TokenImport,
        keys: Option<Vec<TokenKey>>,
        actions: &mut Vec<Action>,
    ) {
        let taken = match keys {
            _ if self.lock.is_locked() => Err(Outcome::Busy),
            None => Err(Outcome::Refuse),
            Some(keys) => self.take_token(now, &import, keys),
        };
        actions.extend(self.close_unused(vec![import.provider]));
        actions.push(match taken {
            Ok(keys) => respond(now, asked, Outcome::Approve, Some(keys)),
            Err(outcome) => respond(now, asked, outcome, None),
        });
    }

    fn take_token(
        &mut self,
        now: Now,
        import: &TokenImport,
        keys: Vec<TokenKey>,
    ) -> Result<ResponseBody, Outcome> {
        let limits = Limits::read(now, &import.constraints).map_err(|_| Outcome::Refuse)?;
        let mut entries = Vec::new();
        for key in keys {
            for public in offered(&key.public, &import.constraints) {
                // What is there stays as it is; a certificate that is there counts as taken.
                if let Some(there) = self.identities.find(&public.id()) {
                    entries.extend(public.certificate().map(|_| there.entry()));
                    continue;
                }
                if self.identities.len() >= IDENTITIES_MAX {
                    continue;
                }
                let identity = Identity {
                    public,
                    signer: Signer::Token {
                        provider: import.provider.clone(),
                        key: key.public.id(),
                    },
                    name: key.name.clone(),
                    limits: limits.clone(),
                };
                entries.push(identity.entry());
                let _new = self.identities.put(identity);
            }
        }
        // As OpenSSH's agent: nothing new is a failure.
        match entries.is_empty() {
            true => Err(Outcome::Refuse),
            false => Ok(ResponseBody::Keys(entries)),
        }
    }

    /// Of these libraries, those that no key needs any more.
    pub(super) fn close_unused(&self, mut providers: Vec<PathBuf>) -> Vec<Action> {
        providers.sort();
        providers.dedup();
        providers.retain(|it| !self.identities.uses(it) && !self.waiting.opens(it));
        providers.into_iter().map(Action::Close).collect()
    }
}

/// The certificates of a token's key that came with the import, then the key itself unless
/// certificates alone are wanted (OpenSSH PROTOCOL.agent, `associated-certs-v00@openssh.com`).
fn offered(key: &PublicKey, constraints: &Constraints) -> Vec<PublicKey> {
    let Some(certificates) = &constraints.certificates else {
        return vec![key.clone()];
    };
    let blobs = certificates.blobs.iter();
    blobs
        .filter_map(|blob| PublicKey::from_blob(blob).ok())
        .filter(|it| it.certificate().is_some() && it.without_certificate() == *key)
        .chain((!certificates.only).then(|| key.clone()))
        .collect()
}

/// A key without a name gets that of its type.
fn default_name(public: &PublicKey) -> Option<Name> {
    Name::new(public.without_certificate().type_name()).ok()
}

fn is_security_key(bytes: &[u8]) -> bool {
    Reader::new(bytes).name().is_ok_and(SecurityKey::is_type)
}

/// Why a key is not taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Key(keystead_vault::ImportError),
    #[error("it cannot be read")]
    Unreadable,
    #[error("its destinations cannot be read")]
    Destinations,
    #[error("certificates came with what is no token")]
    NoToken,
    #[error("a provider came with what is no security key")]
    NoSecurityKey,
    #[error("this program was built without PKCS#11 tokens (feature pkcs11)")]
    NoPkcs11,
    #[error("there is no such provider")]
    NoProvider,
    #[error("the provider {0} is not allowed")]
    ProviderForbidden(String),
    #[error("{IDENTITIES_MAX} keys are held already")]
    Full,
    #[error("keys here are for SSH alone")]
    Purposes,
}

impl Refusal {
    fn outcome(&self) -> Outcome {
        if matches!(self, Self::NoPkcs11 | Self::Purposes) {
            Outcome::Unsupported
        } else {
            Outcome::Refuse
        }
    }
}

/// OpenSSH PROTOCOL.u2f: the provider inside `ssh-sk-helper`.
const SK_INTERNAL: &str = "internal";
