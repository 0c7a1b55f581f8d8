//! What the device gives once nothing is missing: a public key, a signature, a shared point.
//!
//! Source: trezor-firmware, `core/src/apps/misc/sign_identity.py` and `get_ecdh_session_key.py`,
//! `core/src/apps/bitcoin/get_public_key.py`, `legacy/firmware/fsm_msg_crypto.h`; sizes of the first
//! model's fields: `legacy/firmware/protob/messages-crypto.options`.

use super::derive::{Curve, Key, path};
use super::numbers::{
    ECDH_SESSION_KEY, GET_PUBLIC_KEY, PUBLIC_KEY, SIGN_IDENTITY, SIGNED_IDENTITY,
};
use super::setup::{Decide, Setup};
use super::wire::{Body, Fields, bytes, fields, numbers, text};

use aws_lc_rs::digest::{SHA256, digest};

/// The answer's number and body, or what a `DataError` says.
pub(super) type Answered = Result<(u16, Vec<u8>), &'static str>;

/// Answers a request.
pub(super) fn answer(setup: &Setup, seed: &[u8], number: u16, fields: &Fields) -> Answered {
    match number {
        GET_PUBLIC_KEY => public_key(seed, fields),
        SIGN_IDENTITY => signed(setup, seed, fields),
        _ => shared(setup, seed, fields),
    }
}

/// Whether a request's fields have room in the first model, which looks before anything else.
pub(super) fn fits(setup: &Setup, number: u16, request: &Fields) -> bool {
    if !setup.is_first_model() || number == GET_PUBLIC_KEY {
        return true;
    }
    let challenge_max = if setup.version < [1, 12, 0] { 256 } else { 512 };
    let challenge = bytes(request, 2).unwrap_or_default();
    let identity = Identity::of(request);
    let has_room = identity.is_some_and(|it| {
        it.proto.len() <= 8
            && it.user.len() <= 63
            && it.host.len() <= 63
            && it.port.len() <= 5
            && it.path.len() <= 255
    });
    has_room && (number != SIGN_IDENTITY || challenge.len() <= challenge_max)
}

/// What is shown for a request.
pub(super) fn screen(number: u16, request: &Fields) -> String {
    let verb = if number == SIGN_IDENTITY {
        "sign"
    } else {
        "decrypt"
    };
    let identity = Identity::of(request).map(|it| it.text());
    format!("{verb} {}", identity.unwrap_or_default())
}

fn public_key(seed: &[u8], fields: &Fields) -> Answered {
    let steps: Vec<u32> = numbers(fields, 1)
        .into_iter()
        .filter_map(|it| it.try_into().ok())
        .collect();
    let curve = Curve::of(&text(fields, 2)).ok_or("Unknown curve")?;
    let key = Key::of(curve, seed, &steps).ok_or("Forbidden key path")?;
    let depth = u64::try_from(steps.len()).unwrap_or_default();
    let last = steps.last().copied().unwrap_or_default();
    let node = Body::default()
        .number(1, depth)
        .number(2, 0x1234_5678)
        .number(3, last.into())
        .bytes(4, &[7; 32])
        .bytes(6, &key.public());
    let body = Body::default()
        .bytes(1, &node.finish())
        .bytes(2, b"xpub")
        .number(3, 0x1234_5678);
    Ok((PUBLIC_KEY, body.finish()))
}

fn signed(setup: &Setup, seed: &[u8], fields: &Fields) -> Answered {
    let identity = Identity::of(fields).ok_or("No identity provided")?;
    let challenge = bytes(fields, 2).unwrap_or_default();
    let curve = Curve::of(&text(fields, 4)).ok_or("Unknown curve")?;
    let index = identity.index + u32::from(setup.decide == Decide::Other);
    let key = Key::of(curve, seed, &path(&identity.text(), index, 13)).ok_or("path")?;
    let content = match (identity.proto.as_str(), curve) {
        ("ssh" | "gpg" | "signify", Curve::Ed25519) => challenge.to_vec(),
        ("ssh", _) => digest(&SHA256, challenge).as_ref().to_vec(),
        ("gpg", _) if challenge.len() == 32 => challenge.to_vec(),
        ("gpg", _) => return Err("Error signing identity"),
        // What Bitcoin's messages look like is no matter here.
        _ => return Err("Unsupported curve"),
    };
    let mut signature = key.sign(&content).ok_or("Error signing identity")?;
    if setup.decide == Decide::False
        && let Some(last) = signature.last_mut()
    {
        *last ^= 1;
    }
    let body = Body::default().bytes(2, &key.public()).bytes(3, &signature);
    Ok((SIGNED_IDENTITY, body.finish()))
}

fn shared(setup: &Setup, seed: &[u8], fields: &Fields) -> Answered {
    let identity = Identity::of(fields).ok_or("No identity provided")?;
    let peer = bytes(fields, 2).ok_or("No peer public key provided")?;
    let curve = Curve::of(&text(fields, 3)).ok_or("Unknown curve")?;
    let steps = path(&identity.text(), identity.index, 17);
    let key = Key::of(curve, seed, &steps).ok_or("path")?;
    let point = key.agree(peer).ok_or("Error getting ECDH session key")?;
    let body = Body::default().bytes(1, &point);
    // The first model never tells its own key here.
    let body = if setup.is_first_model() {
        body
    } else {
        body.bytes(2, &key.public())
    };
    Ok((ECDH_SESSION_KEY, body.finish()))
}

/// `IdentityType`.
struct Identity {
    proto: String,
    user: String,
    host: String,
    port: String,
    path: String,
    index: u32,
}

impl Identity {
    fn of(request: &Fields) -> Option<Self> {
        let inner = fields(bytes(request, 1)?)?;
        let index = numbers(&inner, 6).last().copied().unwrap_or_default();
        Some(Self {
            proto: text(&inner, 1),
            user: text(&inner, 2),
            host: text(&inner, 3),
            port: text(&inner, 4),
            path: text(&inner, 5),
            index: index.try_into().ok()?,
        })
    }

    /// SLIP-0013, as the firmwares put it together.
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.proto.is_empty() {
            text += &format!("{}://", self.proto);
        }
        if !self.user.is_empty() {
            text += &format!("{}@", self.user);
        }
        text += &self.host;
        if !self.port.is_empty() {
            text += &format!(":{}", self.port);
        }
        text + &self.path
    }
}
