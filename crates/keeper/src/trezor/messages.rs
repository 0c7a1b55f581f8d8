//! The messages that are spoken with a Trezor, as its public definitions have them.
//!
//! Source: trezor-firmware, `common/protob/messages.proto` (numbers), `messages-common.proto`,
//! `messages-management.proto`, `messages-bitcoin.proto`, `messages-crypto.proto` (fields).
//!
//! **Invariant:** what a device says is read by the fields that are needed, each of its kind and
//! within its length; what is said to it is what the older firmwares' definitions take too.

use keystead_core::{Curve, Identity, IdentityParts, Protocol, SecretBytes};

use super::protobuf::{Field, ProtobufError, Writer, fields};
use super::report::Message;

/// Begins or takes up a session; without an id the device forgets the passphrase that it holds
/// for the one before.
#[must_use]
pub fn initialize(session: Option<&[u8]>) -> Message {
    let body = Writer::new();
    let body = match session {
        Some(session) => body.bytes(1, session),
        None => body,
    };
    message(INITIALIZE, body)
}

/// The public key of a path; nothing is shown on the device.
#[must_use]
pub fn ask_public_key(path: &[u32], curve: Curve) -> Message {
    let steps = path.iter().fold(Writer::new(), |body, step| {
        // Not packed, as of proto2.
        body.number(1, u64::from(*step))
    });
    let body = steps.text(2, curve.as_str()).number(3, 0);
    message(GET_PUBLIC_KEY, body)
}

/// A signature of an identity's key over what its protocol says.
#[must_use]
pub fn sign_identity(parts: &DeviceIdentity, challenge: &[u8], curve: Curve) -> Message {
    let body = Writer::new()
        .message(1, &parts.written())
        .bytes(2, challenge)
        .text(3, "")
        .text(4, curve.as_str());
    message(SIGN_IDENTITY, body)
}

/// The point that an identity's key and `peer` share.
#[must_use]
pub fn ask_session_key(parts: &DeviceIdentity, peer: &[u8], curve: Curve) -> Message {
    let body = Writer::new()
        .message(1, &parts.written())
        .bytes(2, peer)
        .text(3, curve.as_str());
    message(GET_ECDH_SESSION_KEY, body)
}

/// The person is being told to look at the device.
#[must_use]
pub fn button_ack() -> Message {
    message(BUTTON_ACK, Writer::new())
}

/// Where on the device's matrix the digits of the PIN stand.
#[must_use]
pub fn pin_matrix_ack(positions: &SecretBytes) -> Message {
    message(PIN_MATRIX_ACK, Writer::new().bytes(1, positions.expose()))
}

/// The device's passphrase; none where it is typed on the device.
#[must_use]
pub fn passphrase_ack(passphrase: Option<&SecretBytes>) -> Message {
    let body = match passphrase {
        Some(passphrase) => Writer::new().bytes(1, passphrase.expose()),
        None => Writer::new().number(3, 1),
    };
    message(PASSPHRASE_ACK, body)
}

/// To a firmware before 2.3.0 that asked the person itself: the empty acknowledgement.
#[must_use]
pub fn passphrase_ack_of_old() -> Message {
    message(PASSPHRASE_ACK, Writer::new())
}

/// Of firmwares before 2.3.0, behind the passphrase.
#[must_use]
pub fn passphrase_state_ack() -> Message {
    message(PASSPHRASE_STATE_ACK, Writer::new())
}

/// Gives up what the device asks for.
#[must_use]
pub fn cancel() -> Message {
    message(CANCEL, Writer::new())
}

/// Has the device forget the passphrase of this session.
#[must_use]
pub fn end_session() -> Message {
    message(END_SESSION, Writer::new())
}

/// Has the device want its PIN again.
#[must_use]
pub fn lock_device() -> Message {
    message(LOCK_DEVICE, Writer::new())
}

/// An identity in the parts that the device puts together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdentity {
    proto: String,
    user: String,
    host: String,
    port: String,
    path: String,
    index: u32,
}

impl DeviceIdentity {
    /// The parts of an identity: those of `user@host:port/path` for ssh, as trezor-agent takes
    /// them apart; all of a user id or name as the host.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        let whole = || Self {
            proto: identity.protocol().as_str().to_owned(),
            user: String::new(),
            host: identity.rest().to_owned(),
            port: String::new(),
            path: String::new(),
            index: identity.index(),
        };
        if identity.protocol() != Protocol::Ssh {
            return whole();
        }
        // The text is what is hashed: parts that would give another one are none.
        IdentityParts::parse(identity.rest())
            .ok()
            .filter(|parts| parts.protocol.is_none())
            .filter(|parts| parts.uri(Protocol::Ssh) == identity.uri())
            .map_or_else(whole, |parts| Self {
                proto: Protocol::Ssh.as_str().to_owned(),
                user: parts.user.unwrap_or_default(),
                host: parts.host,
                port: parts.port.unwrap_or_default(),
                path: parts.path.unwrap_or_default(),
                index: identity.index(),
            })
    }

    /// Each part with its name, for limits.
    pub(super) fn named(&self) -> [(&'static str, &str); 4] {
        [
            ("user", &self.user),
            ("host", &self.host),
            ("port", &self.port),
            ("path", &self.path),
        ]
    }

    fn written(&self) -> Writer {
        let parts = [&self.proto, &self.user, &self.host, &self.port, &self.path];
        let body = (1..).zip(parts).fold(Writer::new(), |body, (field, part)| {
            if part.is_empty() {
                body
            } else {
                body.text(field, part)
            }
        });
        body.number(6, u64::from(self.index))
    }
}

/// What a device says.
pub enum Said {
    /// What it is.
    Features(Box<Features>),
    /// To `GetPublicKey`.
    PublicKey {
        /// 33 bytes: compressed, or behind a byte that says nothing.
        key: Vec<u8>,
    },
    /// To `SignIdentity`.
    SignedIdentity {
        /// As of [`Said::PublicKey`].
        key: Vec<u8>,
        /// 65 bytes, the first of which says nothing.
        signature: Vec<u8>,
    },
    /// To `GetECDHSessionKey`.
    SessionKey(SecretBytes),
    /// The person is asked on the device, once [`button_ack`] has come.
    ButtonRequest {
        /// A number of `ButtonRequestType`.
        code: Option<u32>,
    },
    /// The PIN is wanted, by its places on the matrix that the device shows.
    PinMatrixRequest {
        /// A number of `PinMatrixRequestType`.
        kind: Option<u32>,
    },
    /// The passphrase is wanted.
    PassphraseRequest {
        /// Of firmwares before 2.3.0: the person types it on the device.
        is_on_device: bool,
    },
    /// Of firmwares before 2.3.0.
    PassphraseStateRequest,
    /// It will not do it.
    Failure {
        /// A number of `FailureType`.
        code: Option<u32>,
        /// In the device's words.
        message: String,
    },
    /// Done.
    Success,
    /// Another message.
    Other(u16),
}

impl Said {
    /// Reads a message.
    ///
    /// # Errors
    /// [`ProtobufError`].
    pub fn read(message: &Message) -> Result<Self, ProtobufError> {
        let body = message.body.expose();
        match message.number {
            FEATURES => Ok(Self::Features(Box::new(Features::read(body)?))),
            PUBLIC_KEY => {
                let node = required(body, 1)?.bytes()?;
                let key = key(&required(node, 6)?)?;
                Ok(Self::PublicKey { key })
            }
            SIGNED_IDENTITY => Ok(Self::SignedIdentity {
                key: key(&required(body, 2)?)?,
                signature: bounded(&required(body, 3)?, SIGNATURE_BYTES)?.to_vec(),
            }),
            ECDH_SESSION_KEY => {
                let point = required(body, 1)?;
                let point = bounded(&point, POINT_BYTES_MAX)?;
                let point = SecretBytes::fill(point.len(), |to| to.copy_from_slice(point));
                Ok(Self::SessionKey(point))
            }
            BUTTON_REQUEST => {
                let code = optional(body, 1)?.map(|it| it.u32()).transpose()?;
                Ok(Self::ButtonRequest { code })
            }
            PIN_MATRIX_REQUEST => {
                let kind = optional(body, 1)?.map(|it| it.u32()).transpose()?;
                Ok(Self::PinMatrixRequest { kind })
            }
            PASSPHRASE_REQUEST => {
                let flag = optional(body, 1)?.map(|it| it.flag()).transpose()?;
                let is_on_device = flag.unwrap_or(false);
                Ok(Self::PassphraseRequest { is_on_device })
            }
            PASSPHRASE_STATE_REQUEST => whole(body, Self::PassphraseStateRequest),
            FAILURE => {
                let body = unpadded(body);
                let code = optional(body, 1)?.map(|it| it.u32()).transpose()?;
                let text = optional(body, 2)?.map(|it| it.bytes()).transpose()?;
                let message = shown(text.unwrap_or_default());
                Ok(Self::Failure { code, message })
            }
            SUCCESS => whole(body, Self::Success),
            other => Ok(Self::Other(other)),
        }
    }
}

/// What a device says of itself, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Its maker.
    pub vendor: String,
    /// Of its firmware: major, minor, patch.
    pub version: (u32, u32, u32),
    /// It runs its loader, not its firmware.
    pub is_in_bootloader: bool,
    /// Its own name, drawn when it was set up.
    pub device: String,
    /// It wants a PIN.
    pub has_pin: bool,
    /// It wants a passphrase.
    pub has_passphrase: bool,
    /// What the person calls it.
    pub label: String,
    /// It has a seed; old firmwares always say so.
    pub is_initialized: Option<bool>,
    /// `1`, `T`, `Safe 3`, …
    pub model: String,
    /// The passphrase can be typed on the device.
    pub can_enter_passphrase: bool,
    /// A number of `Capability` stands for each thing that it can do; none of old firmwares.
    pub can_sign_identities: Option<bool>,
    /// The session; none of old firmwares.
    pub session: Option<Vec<u8>>,
}

impl Features {
    fn read(body: &[u8]) -> Result<Self, ProtobufError> {
        let mut it = Self::default();
        for field in fields(body) {
            let field = field?;
            match field.number {
                1 => it.vendor = shown(field.bytes()?),
                2 => it.version.0 = field.u32()?,
                3 => it.version.1 = field.u32()?,
                4 => it.version.2 = field.u32()?,
                5 => it.is_in_bootloader = field.flag()?,
                6 => it.device = shown(field.bytes()?),
                7 => it.has_pin = field.flag()?,
                8 => it.has_passphrase = field.flag()?,
                10 => it.label = shown(field.bytes()?),
                12 => it.is_initialized = Some(field.flag()?),
                21 => it.model = shown(field.bytes()?),
                30 => {
                    for capability in field.numbers()? {
                        let crypto = it.can_sign_identities.get_or_insert(false);
                        *crypto |= capability == CAPABILITY_CRYPTO;
                        it.can_enter_passphrase |= capability == CAPABILITY_PASSPHRASE_ENTRY;
                    }
                }
                35 => it.session = Some(bounded(&field, SESSION_BYTES_MAX)?.to_vec()),
                _ => {}
            }
        }
        Ok(it)
    }

    /// The first Trezor, whose messages have fields of fixed size.
    #[must_use]
    pub fn is_first_model(&self) -> bool {
        self.version.0 == 1
    }
}

fn message(number: u16, body: Writer) -> Message {
    Message {
        number,
        body: body.finish(),
    }
}

/// The last field of this number, as proto2 has it; the whole message is read.
fn optional(body: &[u8], number: u32) -> Result<Option<Field<'_>>, ProtobufError> {
    let mut found = None;
    for field in fields(body) {
        let field = field?;
        if field.number == number {
            found = Some(field);
        }
    }
    Ok(found)
}

fn required(body: &[u8], number: u32) -> Result<Field<'_>, ProtobufError> {
    optional(body, number)?.ok_or(ProtobufError::Missing(number))
}

fn whole(body: &[u8], said: Said) -> Result<Said, ProtobufError> {
    fields(body).try_for_each(|field| field.map(drop))?;
    Ok(said)
}

/// A `Failure` without the zeros behind it: devices with the newer protocol alone announce 20
/// bytes of one that has two (firmware 2.9.3, `core/src/trezor/wire/thp/interface_context.py`).
fn unpadded(body: &[u8]) -> &[u8] {
    let last = body.iter().rposition(|byte| *byte != 0);
    let length = last.map_or(0, |last| last.saturating_add(1));
    body.get(..length).unwrap_or_default()
}

fn bounded<'a>(field: &Field<'a>, bytes_max: usize) -> Result<&'a [u8], ProtobufError> {
    let bytes = field.bytes()?;
    let is_it = bytes.len() <= bytes_max;
    is_it
        .then_some(bytes)
        .ok_or(ProtobufError::Kind(field.number))
}

fn key(field: &Field<'_>) -> Result<Vec<u8>, ProtobufError> {
    let key = field.bytes()?;
    let is_it = key.len() == KEY_BYTES;
    is_it
        .then(|| key.to_vec())
        .ok_or(ProtobufError::Kind(field.number))
}

/// A device's text on a person's terminal: short, and without what would steer it. Bytes that are
/// no text are marked: a device is not refused for its label.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let clean = text
        .chars()
        .filter(|it| !keystead_core::is_unsafe_to_show(*it));
    clean.take(TEXT_CHARS_MAX).collect()
}

const INITIALIZE: u16 = 0;
const SUCCESS: u16 = 2;
const FAILURE: u16 = 3;
const GET_PUBLIC_KEY: u16 = 11;
const PUBLIC_KEY: u16 = 12;
const FEATURES: u16 = 17;
const PIN_MATRIX_REQUEST: u16 = 18;
const PIN_MATRIX_ACK: u16 = 19;
const CANCEL: u16 = 20;
const LOCK_DEVICE: u16 = 24;
const BUTTON_REQUEST: u16 = 26;
const BUTTON_ACK: u16 = 27;
const PASSPHRASE_REQUEST: u16 = 41;
const PASSPHRASE_ACK: u16 = 42;
const SIGN_IDENTITY: u16 = 53;
const SIGNED_IDENTITY: u16 = 54;
const GET_ECDH_SESSION_KEY: u16 = 61;
const ECDH_SESSION_KEY: u16 = 62;
/// Before 2.3.0; reserved since.
const PASSPHRASE_STATE_REQUEST: u16 = 77;
const PASSPHRASE_STATE_ACK: u16 = 78;
const END_SESSION: u16 = 83;

/// `Capability_Crypto`.
const CAPABILITY_CRYPTO: u64 = 5;
/// `Capability_PassphraseEntry`.
const CAPABILITY_PASSPHRASE_ENTRY: u64 = 17;

/// 33 bytes of a node's public key (SLIP-0010).
const KEY_BYTES: usize = 33;
/// 65 bytes: r ‖ s behind one that says nothing.
const SIGNATURE_BYTES: usize = 65;
/// 65 bytes: a point as SEC 1 section 2.3.3 has it, uncompressed.
const POINT_BYTES_MAX: usize = 65;
/// 32 bytes are a session's id; twice as many are taken.
const SESSION_BYTES_MAX: usize = 64;
/// 120 characters of a device's words: a line and a half.
const TEXT_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests;
