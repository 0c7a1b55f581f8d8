//! A PKCS#11 library, loaded at run time: the keys of its tokens, and their signatures.
//!
//! **Invariant**: nothing is written to a token, and a PIN is tried once for each token.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use keystead_channel::wire::showable;
use keystead_core::{KeyId, Name, SecretBytes};
use keystead_formats::ssh::key::Material;
use keystead_formats::ssh::{Curve, PublicKey, signature};
use keystead_vault::{RsaHash, SignOptions};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{TokenKey, public};
use crate::local::askpass::{self, Environment, Prompt};
use crate::local::sign::sha1_blob;

/// A library and the tokens that were opened.
pub(super) struct Library {
    name: String,
    library: Pkcs11,
    tokens: Vec<(Slot, Session)>,
    keys: Vec<Held>,
}

/// A key, and where it is.
struct Held {
    id: KeyId,
    public: PublicKey,
    slot: Slot,
    /// `CKA_ID`, which ties the halves together.
    tag: Vec<u8>,
}

impl Library {
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        let library = Pkcs11::new(path)?;
        library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            library,
            tokens: Vec::new(),
            keys: Vec::new(),
        })
    }

    /// Opens every token that this PIN opens, or that needs none, and lists their keys.
    pub(super) fn open(&mut self, pin: Option<&SecretBytes>) -> Result<Vec<TokenKey>, Error> {
        let mut listed = Vec::new();
        for slot in self.library.get_slots_with_initialized_token()? {
            if let Err(error) = self.open_token(slot, pin, &mut listed) {
                tracing::warn!("a token of {} is left out: {error}", self.name);
            }
        }
        Ok(listed)
    }

    fn open_token(
        &mut self,
        slot: Slot,
        pin: Option<&SecretBytes>,
        listed: &mut Vec<TokenKey>,
    ) -> Result<(), Error> {
        let token = self.library.get_token_info(slot)?;
        let pin = pin.filter(|it| !it.is_empty());
        if token.login_required() && pin.is_none() && !token.protected_authentication_path() {
            // As OpenSSH: without a PIN nothing is tried.
            return Err(Error::Pkcs11(
                RvError::PinInvalid,
                cryptoki::context::Function::Login,
            ));
        }
        let session = match self.tokens.iter().position(|(own, _)| *own == slot) {
            Some(at) => self.tokens.remove(at).1,
            None => self.library.open_ro_session(slot)?,
        };
        if token.login_required() {
            let login = match pin {
                Some(pin) => session.login_with_raw(UserType::User, &raw(pin)),
                None => session.login(UserType::User, None),
            };
            match login {
                Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        let keys = self.keys_of(slot, &session)?;
        self.tokens.push((slot, session));
        for (held, name) in keys {
            listed.push(TokenKey {
                public: held.public.clone(),
                name,
            });
            self.keys.retain(|it| it.id != held.id);
            self.keys.push(held);
        }
        Ok(())
    }

    fn keys_of(&self, slot: Slot, session: &Session) -> Result<Vec<(Held, Name)>, Error> {
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY)];
        let mut keys = Vec::new();
        for object in session.find_objects(&template)?.into_iter().take(KEYS_MAX) {
            let Some((public, tag, label)) = read(session, object) else {
                continue;
            };
            let named = [label.as_str(), &self.name].into_iter().find_map(|text| {
                let text = showable(text, Name::BYTES_MAX);
                Name::new(text).ok()
            });
            let id = public.id();
            if let Some(name) = named
                && keys.iter().all(|(held, _): &(Held, Name)| held.id != id)
            {
                let held = Held {
                    id,
                    public,
                    slot,
                    tag,
                };
                keys.push((held, name));
            }
        }
        Ok(keys)
    }

    /// The signature as on the SSH wire.
    pub(super) fn sign(
        &self,
        key: &KeyId,
        content: &[u8],
        flags: u32,
    ) -> Result<Vec<u8>, NoSignature> {
        let held = self.keys.iter().find(|it| it.id == *key);
        let held = held.ok_or(NoSignature::UnknownKey)?;
        let session = self.tokens.iter().find(|(slot, _)| *slot == held.slot);
        let (_, session) = session.ok_or(NoSignature::UnknownKey)?;
        let private = private_half(session, &held.tag)?;
        let how = How::of(&held.public, content, flags)?;
        let raw = if always_asks(session, private) {
            let question = format!(
                "PIN of the token, for each use of this key\n{}",
                held.public.fingerprint()
            );
            how.sign_after_pin(session, private, content, &question)?
        } else {
            session.sign(&how.mechanism, private, &how.input)?
        };
        how.encode(&raw)
    }
}

/// Why a token gives no signature.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoSignature {
    #[error("the token has no such key")]
    UnknownKey,
    #[error("the token's key cannot sign in this way")]
    Unsupported,
    #[error("the token's PIN was not given")]
    NoPin,
    #[error("the token: {0}")]
    Token(#[from] Error),
}

/// How a key signs.
struct How {
    mechanism: Mechanism<'static>,
    /// For tokens that ask for the PIN at each use: they hash by themselves.
    whole: Option<Mechanism<'static>>,
    /// What the mechanism is given.
    input: Vec<u8>,
    kind: Kind,
}

enum Kind {
    Ed25519,
    Ecdsa(Curve),
    Rsa(signature::RsaHash),
    /// With SHA-1, for servers before OpenSSH 7.2.
    RsaSha1,
}

impl How {
    /// The bare mechanisms, as OpenSSH: there are tokens that have no others.
    fn of(public: &PublicKey, content: &[u8], flags: u32) -> Result<Self, NoSignature> {
        Ok(match public.material() {
            Material::Ed25519(_) => Self {
                mechanism: Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
                whole: None,
                input: content.to_vec(),
                kind: Kind::Ed25519,
            },
            Material::Ecdsa(curve, _) => {
                let (input, whole) = match curve {
                    Curve::P256 => (Sha256::digest(content).to_vec(), Mechanism::EcdsaSha256),
                    Curve::P384 => (Sha384::digest(content).to_vec(), Mechanism::EcdsaSha384),
                    Curve::P521 => (Sha512::digest(content).to_vec(), Mechanism::EcdsaSha512),
                };
                Self {
                    mechanism: Mechanism::Ecdsa,
                    whole: Some(whole),
                    input,
                    kind: Kind::Ecdsa(*curve),
                }
            }
            Material::Rsa { .. } => {
                let (head, hash, whole, kind) = match SignOptions::from_flags(flags).rsa_hash {
                    Some(RsaHash::Sha256) => (
                        SHA256_HEAD,
                        Sha256::digest(content).to_vec(),
                        Mechanism::Sha256RsaPkcs,
                        Kind::Rsa(signature::RsaHash::Sha256),
                    ),
                    Some(RsaHash::Sha512) => (
                        SHA512_HEAD,
                        Sha512::digest(content).to_vec(),
                        Mechanism::Sha512RsaPkcs,
                        Kind::Rsa(signature::RsaHash::Sha512),
                    ),
                    None => (
                        SHA1_HEAD,
                        sha1_smol::Sha1::from(content).digest().bytes().to_vec(),
                        Mechanism::Sha1RsaPkcs,
                        Kind::RsaSha1,
                    ),
                };
                Self {
                    mechanism: Mechanism::RsaPkcs,
                    whole: Some(whole),
                    input: [head, &hash].concat(),
                    kind,
                }
            }
            Material::SkEd25519(..) | Material::SkEcdsaP256(..) | _ => {
                return Err(NoSignature::Unsupported);
            }
        })
    }

    /// `CKA_ALWAYS_AUTHENTICATE`: the PIN is asked for between beginning and end.
    fn sign_after_pin(
        &self,
        session: &Session,
        private: ObjectHandle,
        content: &[u8],
        question: &str,
    ) -> Result<Vec<u8>, NoSignature> {
        let whole = self.whole.as_ref().ok_or(NoSignature::Unsupported)?;
        let pin = ask_pin(question).ok_or(NoSignature::NoPin)?;
        session.sign_init(whole, private)?;
        let login = session.login_with_raw(UserType::ContextSpecific, &raw(&pin));
        if let Err(error) = login.and_then(|()| session.sign_update(content)) {
            // What was begun must end, or this session never signs again.
            let _ = session.sign_final();
            return Err(error.into());
        }
        Ok(session.sign_final()?)
    }

    fn encode(&self, raw: &[u8]) -> Result<Vec<u8>, NoSignature> {
        match &self.kind {
            Kind::Ed25519 => {
                let raw = raw.try_into().map_err(|_| NoSignature::Unsupported)?;
                Ok(signature::ed25519(raw))
            }
            // PKCS#11 3.0 section 2.3.1: r and s, of the same length.
            Kind::Ecdsa(curve) => {
                let (r, s) = raw.split_at(raw.len() / 2);
                Ok(signature::ecdsa(*curve, r, s))
            }
            Kind::Rsa(hash) => Ok(signature::rsa(*hash, raw)),
            Kind::RsaSha1 => Ok(sha1_blob(raw)),
        }
    }
}

fn read(session: &Session, object: ObjectHandle) -> Option<(PublicKey, Vec<u8>, String)> {
    let types = [
        AttributeType::Id,
        AttributeType::Label,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::EcParams,
        AttributeType::EcPoint,
    ];
    let (mut tag, mut label) = (Vec::new(), Vec::new());
    let (mut modulus, mut exponent) = (Vec::new(), Vec::new());
    let (mut parameters, mut point) = (Vec::new(), Vec::new());
    #[expect(clippy::wildcard_enum_match_arm, reason = "no others were asked for")]
    for attribute in session.get_attributes(object, &types).ok()? {
        match attribute {
            Attribute::Id(bytes) => tag = bytes,
            Attribute::Label(bytes) => label = bytes,
            Attribute::Modulus(bytes) => modulus = bytes,
            Attribute::PublicExponent(bytes) => exponent = bytes,
            Attribute::EcParams(bytes) => parameters = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            _ => {}
        }
    }
    let public = match modulus.is_empty() {
        true => public::elliptic(&parameters, &point)?,
        false => public::rsa(&exponent, &modulus)?,
    };
    Some((public, tag, String::from_utf8_lossy(&label).into_owned()))
}

/// By `CKA_ID`; first one that says that it signs, as some keys forget to say so.
fn private_half(session: &Session, tag: &[u8]) -> Result<ObjectHandle, NoSignature> {
    let mut template = vec![
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Id(tag.to_vec()),
        Attribute::Sign(true),
    ];
    if let Some(found) = session.find_objects(&template)?.first() {
        return Ok(*found);
    }
    template.pop();
    let found = session.find_objects(&template)?;
    found.first().copied().ok_or(NoSignature::UnknownKey)
}

fn always_asks(session: &Session, private: ObjectHandle) -> bool {
    let attributes = session.get_attributes(private, &[AttributeType::AlwaysAuthenticate]);
    attributes.is_ok_and(|it| it.contains(&Attribute::AlwaysAuthenticate(true)))
}

fn ask_pin(question: &str) -> Option<SecretBytes> {
    let mut child = Environment::read().start(Prompt::Secret, question)?;
    let pin = askpass::read_line(child.stdout.take()?);
    let is_well = child.wait().ok()?.success();
    pin.filter(|_| is_well)
}

/// The library's own type wipes it.
fn raw(pin: &SecretBytes) -> RawAuthPin {
    RawAuthPin::new(Box::new(pin.expose().to_vec()))
}

/// `DigestInfo` before a hash (RFC 8017 section 9.2, note 1).
const SHA256_HEAD: &[u8] =
    b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

const SHA1_HEAD: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";

const SHA512_HEAD: &[u8] =
    b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// 256 keys of one token: as many as one answer takes.
const KEYS_MAX: usize = keystead_channel::wire::KEYS_MAX;
