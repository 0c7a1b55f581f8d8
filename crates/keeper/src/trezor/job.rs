//! What is asked of a device: one message after another, until there is an answer.
//!
//! **Invariant:** nobody has to press anything before the device has shown by its public key
//! that it holds the right one; and a key does what its identity is for, and nothing else
//! (`spec/identity.md` section 5).

use keystead_core::{
    Algorithm, DecryptForm, DecryptRequest, Derivation, Identity, KeyId, Plaintext, Protocol,
    RequestBody, ResponseBody, SignForm, SignRequest, WalletFingerprint,
};

use super::messages::{self, DeviceIdentity, Features, Said};
use super::minisign::{self, Signed};
use super::path::path;
use super::proof::{PublicHalf, sha256};
use super::report::Message;
use super::words::{Fault, check_limits};

/// One question, and how far it is.
pub(super) struct Job {
    wanted: Wanted,
    parts: DeviceIdentity,
    state: State,
}

/// What is wanted of the device.
enum Wanted {
    /// Which wallet it has.
    Wallet,
    /// A key, of this wallet alone if one is named.
    PublicKey {
        identity: Identity,
        wallet: Option<WalletFingerprint>,
    },
    Sign {
        identity: Identity,
        key: KeyId,
        signed: ToSign,
    },
    Decrypt {
        identity: Identity,
        key: KeyId,
        form: DecryptForm,
        content: Vec<u8>,
    },
}

/// What a device signs, by form.
enum ToSign {
    Ssh(Vec<u8>),
    Digest(Vec<u8>),
    Minisign(Signed),
}

/// What is waited for.
enum State {
    Key,
    Signature(PublicHalf),
    /// The second one of minisign, behind the first.
    Global(PublicHalf, Vec<u8>),
    Point(PublicHalf),
}

/// What comes next.
pub(super) enum Next {
    /// Say this to the device.
    Say(Message),
    /// It is over.
    Done(Given),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Given {
    /// The wallet's fingerprint.
    Wallet(WalletFingerprint),
    /// What was asked for.
    Body(ResponseBody),
    /// The device has another wallet, or the file key is wrapped for another.
    UnknownKey,
}

impl Job {
    /// The question that `body` is.
    ///
    /// # Errors
    /// The identity's key does not do this, or there is no identity.
    pub(super) fn of(body: &RequestBody) -> Result<Self, Fault> {
        let wanted = if let RequestBody::PublicKey(asked) = body {
            Wanted::PublicKey {
                identity: asked.identity.clone(),
                wallet: asked.wallet,
            }
        } else if let RequestBody::Sign(asked) = body {
            sign(asked)?
        } else if let RequestBody::Decrypt(asked) = body {
            decrypt(asked)?
        } else {
            return Err(Fault::NotForThis { why: NOT_SUCH });
        };
        Ok(Self::new(wanted))
    }

    /// Which wallet is it?
    pub(super) fn wallet() -> Self {
        Self::new(Wanted::Wallet)
    }

    fn new(wanted: Wanted) -> Self {
        let parts = DeviceIdentity::of(&wanted.identity());
        Self {
            wanted,
            parts,
            state: State::Key,
        }
    }

    /// Whether this device and this wallet of it can do it; before anything is asked.
    pub(super) fn check(
        &self,
        features: &Features,
        opened: Option<WalletFingerprint>,
    ) -> Result<Option<Given>, Fault> {
        match &self.wanted {
            Wanted::PublicKey { wallet, .. } => {
                if opened.is_some() && wallet.is_some() && *wallet != opened {
                    return Ok(Some(Given::UnknownKey));
                }
                // The path is all that it needs for the key, but it would never do anything.
                check_limits(features, &self.parts, 0).map(|()| None)
            }
            Wanted::Wallet => Ok(None),
            Wanted::Decrypt { .. } => check_limits(features, &self.parts, 0).map(|()| None),
            Wanted::Sign { signed, .. } => {
                let bytes = signed.bytes_max();
                check_limits(features, &self.parts, bytes).map(|()| None)
            }
        }
    }

    /// The first message: the public key, for which nothing is pressed.
    pub(super) fn begin(&self) -> Message {
        let identity = self.wanted.identity();
        messages::ask_public_key(&path(&identity), identity.curve())
    }

    /// What the person is to look for on the device's screen; nothing before it is asked there.
    pub(super) fn screen(&self) -> Option<String> {
        match &self.wanted {
            Wanted::Wallet | Wanted::PublicKey { .. } => None,
            Wanted::Sign { identity, .. } => {
                let which = match &self.state {
                    State::Signature(_) if self.is_minisign() => " (1 of 2)",
                    State::Global(..) => " (2 of 2)",
                    State::Key | State::Signature(_) | State::Point(_) => "",
                };
                Some(format!("sign {identity}{which}"))
            }
            Wanted::Decrypt { identity, .. } => Some(format!("decrypt {identity}")),
        }
    }

    /// Takes what the device said to the last message.
    pub(super) fn take(&mut self, said: Said) -> Result<Next, Fault> {
        let state = std::mem::replace(&mut self.state, State::Key);
        match (state, said) {
            (State::Key, Said::PublicKey { key }) => self.take_key(&key),
            (State::Signature(half), Said::SignedIdentity { key, signature }) => {
                let signature = self.signature(&half, &key, &signature)?;
                self.take_signature(half, signature)
            }
            (State::Global(half, first), Said::SignedIdentity { key, signature }) => {
                let signature = self.signature(&half, &key, &signature)?;
                let Wanted::Sign {
                    signed: ToSign::Minisign(signed),
                    ..
                } = &self.wanted
                else {
                    return Err(unexpected());
                };
                if !half.has_signed(&signed.global(&first), &signature) {
                    return Err(false_signature());
                }
                let both = [first, signature].concat();
                Ok(done(ResponseBody::Signature(both)))
            }
            (State::Point(half), Said::SessionKey(point)) => self.take_point(&half, &point),
            _ => Err(unexpected()),
        }
    }

    fn take_key(&mut self, node: &[u8]) -> Result<Next, Fault> {
        let identity = self.wanted.identity();
        let half = PublicHalf::of(&identity, node).ok_or_else(|| Fault::Misbehaved {
            what: "its key is no point of the curve".to_owned(),
        })?;
        match &self.wanted {
            Wanted::Wallet => Ok(Next::Done(Given::Wallet(fingerprint(node)))),
            Wanted::PublicKey { identity, .. } => Ok(done(ResponseBody::Key(half.entry(identity)))),
            Wanted::Sign { key, .. } | Wanted::Decrypt { key, .. } if *key != half.id() => {
                Ok(Next::Done(Given::UnknownKey))
            }
            Wanted::Sign { signed, .. } => {
                let challenge = signed.challenge(&identity);
                let message = messages::sign_identity(&self.parts, challenge, identity.curve());
                self.state = State::Signature(half);
                Ok(Next::Say(message))
            }
            Wanted::Decrypt { form, content, .. } => {
                let point = if *form == DecryptForm::Age {
                    content.get(..SHARE_BYTES).unwrap_or_default()
                } else {
                    content.as_slice()
                };
                let why = "this is no point of the key's curve";
                let peer = half.peer(point).ok_or(Fault::NotForThis { why })?;
                let curve = identity.curve();
                let message = messages::ask_session_key(&self.parts, &peer, curve);
                self.state = State::Point(half);
                Ok(Next::Say(message))
            }
        }
    }

    /// The 64 bytes, of the key that the device showed before.
    fn signature(&self, half: &PublicHalf, node: &[u8], given: &[u8]) -> Result<Vec<u8>, Fault> {
        let identity = self.wanted.identity();
        if PublicHalf::of(&identity, node).as_ref() != Some(half) {
            return Err(Fault::Misbehaved {
                what: "it signed with another key than it showed".to_owned(),
            });
        }
        // Of a `Failure` in between nothing is left: 65 bytes, the first of which says nothing.
        match given {
            [_, signature @ ..] if signature.len() == SIGNATURE_BYTES => Ok(signature.to_vec()),
            _ => Err(false_signature()),
        }
    }

    fn take_signature(&mut self, half: PublicHalf, signature: Vec<u8>) -> Result<Next, Fault> {
        let identity = self.wanted.identity();
        let Wanted::Sign { signed, .. } = &self.wanted else {
            return Err(unexpected());
        };
        let challenge = signed.challenge(&identity);
        let holds = match signed {
            ToSign::Digest(_) => half.has_signed_digest(challenge, &signature),
            ToSign::Ssh(_) | ToSign::Minisign(_) => half.has_signed(challenge, &signature),
        };
        if !holds {
            return Err(false_signature());
        }
        match signed {
            ToSign::Ssh(_) => {
                let signature = half.ssh_signature(&signature);
                Ok(done(ResponseBody::Signature(signature)))
            }
            ToSign::Digest(_) => Ok(done(ResponseBody::Signature(signature))),
            ToSign::Minisign(signed) => {
                let global = signed.global(&signature);
                let message = messages::sign_identity(&self.parts, &global, identity.curve());
                self.state = State::Global(half, signature);
                Ok(Next::Say(message))
            }
        }
    }

    fn take_point(
        &self,
        half: &PublicHalf,
        given: &keystead_core::SecretBytes,
    ) -> Result<Next, Fault> {
        let Wanted::Decrypt { form, content, .. } = &self.wanted else {
            return Err(unexpected());
        };
        let shared = half.shared(given).ok_or_else(|| Fault::Misbehaved {
            what: "what it shares is no point of the curve".to_owned(),
        })?;
        let opened = if *form == DecryptForm::Age {
            let (ephemeral, wrapped) = content.split_at_checked(SHARE_BYTES).unwrap_or_default();
            match half.file_key(&shared, ephemeral, wrapped) {
                Some(file_key) => file_key,
                None => return Ok(Next::Done(Given::UnknownKey)),
            }
        } else {
            shared
        };
        Ok(done(ResponseBody::Plaintext(Plaintext::new(opened))))
    }

    fn is_minisign(&self) -> bool {
        let Wanted::Sign { signed, .. } = &self.wanted else {
            return false;
        };
        matches!(signed, ToSign::Minisign(_))
    }
}

impl Wanted {
    fn identity(&self) -> Identity {
        match self {
            Self::Wallet => Identity::of_wallet(),
            Self::PublicKey { identity, .. }
            | Self::Sign { identity, .. }
            | Self::Decrypt { identity, .. } => identity.clone(),
        }
    }
}

impl ToSign {
    /// What the device is given, and signs as its protocol says.
    fn challenge(&self, identity: &Identity) -> &[u8] {
        match self {
            Self::Ssh(blob) => blob,
            Self::Minisign(signed) => signed.content(),
            // An EdDSA key takes the digest as the message; ECDSA its first 32 bytes.
            Self::Digest(digest) if identity.algorithm() == Algorithm::Ed25519 => digest,
            Self::Digest(digest) => digest.get(..DIGEST_BYTES_MIN).unwrap_or(digest),
        }
    }

    /// The longest of what it is given.
    fn bytes_max(&self) -> usize {
        match self {
            Self::Ssh(bytes) | Self::Digest(bytes) => bytes.len(),
            Self::Minisign(signed) => signed.bytes_max(),
        }
    }
}

fn sign(asked: &SignRequest) -> Result<Wanted, Fault> {
    let identity = asked.identity.clone().ok_or(Fault::NoIdentity)?;
    let content = &asked.content;
    let signed = match (identity.protocol(), asked.form) {
        (Protocol::Ssh, SignForm::Ssh) => ToSign::Ssh(content.clone()),
        (Protocol::Gpg, SignForm::OpenPgp) if identity.derivation() == Derivation::Sign => {
            let (_, digest) = content.split_first().ok_or(TOO_SHORT)?;
            if digest.len() < DIGEST_BYTES_MIN {
                return Err(TOO_SHORT);
            }
            ToSign::Digest(digest.to_vec())
        }
        (Protocol::Signify, SignForm::Minisign) => {
            let why = "this is nothing that minisign signs";
            let signed = minisign::read(content).ok_or(Fault::NotForThis { why })?;
            ToSign::Minisign(signed)
        }
        (protocol, _) => {
            return Err(Fault::NotForThis {
                why: only(protocol),
            });
        }
    };
    Ok(Wanted::Sign {
        identity,
        key: asked.key,
        signed,
    })
}

fn decrypt(asked: &DecryptRequest) -> Result<Wanted, Fault> {
    let identity = asked.identity.clone().ok_or(Fault::NoIdentity)?;
    let is_its = match (identity.protocol(), asked.form) {
        (Protocol::Gpg, DecryptForm::Point) => identity.derivation() == Derivation::Agree,
        (Protocol::Age, DecryptForm::Age) => asked.content.len() == SHARE_BYTES + WRAPPED_BYTES,
        _ => false,
    };
    if !is_its {
        let why = only(identity.protocol());
        return Err(Fault::NotForThis { why });
    }
    Ok(Wanted::Decrypt {
        identity,
        key: asked.key,
        form: asked.form,
        content: asked.content.clone(),
    })
}

/// The first 4 bytes of SHA-256 of the compressed public key (`spec/identity.md` section 1).
fn fingerprint(node: &[u8]) -> WalletFingerprint {
    let [a, b, c, d, ..] = sha256(node);
    WalletFingerprint([a, b, c, d])
}

fn done(body: ResponseBody) -> Next {
    Next::Done(Given::Body(body))
}

fn unexpected() -> Fault {
    Fault::Misbehaved {
        what: "it answers something that was not asked".to_owned(),
    }
}

fn false_signature() -> Fault {
    Fault::Misbehaved {
        what: "its signature is false".to_owned(),
    }
}

const fn only(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ssh => "an ssh identity signs logins and SSHSIG alone",
        Protocol::Gpg => "a gpg identity signs or decrypts for OpenPGP alone",
        Protocol::Age => "an age identity opens file keys alone",
        Protocol::Signify => "a signify identity signs for minisign alone",
        Protocol::Keystead => "the wallet's own key signs nothing",
    }
}

const NOT_SUCH: &str = "a Trezor is not asked for that";

const TOO_SHORT: Fault = Fault::NotForThis {
    why: "a digest of less than 32 bytes is not signed",
};

/// 32 bytes of a digest are what ECDSA on a curve of 256 bits signs.
const DIGEST_BYTES_MIN: usize = 32;

/// 64 bytes: r ‖ s, or as of RFC 8032.
const SIGNATURE_BYTES: usize = 64;

/// 32 bytes: age's ephemeral share.
const SHARE_BYTES: usize = 32;

/// 32 bytes: a file key of 16 and its tag.
const WRAPPED_BYTES: usize = 32;
