//! What counts as an answer of a keeper.
//!
//! **Invariant:** a signature was verified by the key over just the content; a public key is one
//! of its identity's kind; a plaintext has the length that its form has; a key that was made or
//! taken is for just the purposes that were asked for.

use keystead_core::{DecryptForm, KeyEntry, Outcome, Purpose, ResponseBody, SignForm};
use keystead_formats::key_use::PublicHalf;
use keystead_keeper::KeeperError;

use crate::ask::{Ask, Asker, End};
use crate::asked::{AskedIdentity, AskedUse, What};

/// An approval is one only with a signature that holds.
pub(crate) fn checked(open: &Ask, end: End) -> End {
    let Ok(answer) = &end else {
        return end;
    };
    let misbehaved = |what: &str| {
        Err(KeeperError::PeerMisbehaved {
            keeper: open.keeper.clone(),
            what: what.to_owned(),
        })
    };
    if answer.outcome != Outcome::Approve {
        return end;
    }
    let body = answer.body.as_ref();
    let fault = match (&open.asker, body) {
        (Asker::Program { key, message, .. }, Some(ResponseBody::Signature(signature))) => {
            let held = key.verify(message, signature);
            held.err().map(|_| "its signature is false")
        }
        (Asker::Program { .. }, _) => Some("it approved without a signature"),
        (Asker::Identity(asked), _) => identity_fault(asked, body),
        (Asker::KeyBrought { purposes, .. }, _) => brought_fault(purposes, body),
        (Asker::KeyUse { asked, .. }, _) => use_fault(asked, body),
        _ => None,
    };
    match fault {
        Some(what) => misbehaved(what),
        None => end,
    }
}

/// What is wrong with an approval of a public key.
fn identity_fault(asked: &AskedIdentity, body: Option<&ResponseBody>) -> Option<&'static str> {
    let Some(ResponseBody::Key(key)) = body else {
        return Some("it approved without a key");
    };
    // Its id is the hash of it: the decoder has seen to that.
    let wanted = asked.identity.algorithm().as_str();
    let is_one = key.algorithm == wanted && PublicHalf::read(wanted, &key.public_key).is_some();
    (!is_one).then_some("its key is none of this identity's kind")
}

/// What is wrong with an approval of a use.
fn use_fault(asked: &AskedUse, body: Option<&ResponseBody>) -> Option<&'static str> {
    let half = PublicHalf::read(&asked.key.algorithm, &asked.key.public_key);
    let Some(half) = half else {
        return Some("its key is of no kind that is known");
    };
    match (asked.what, body) {
        (What::Sign { form, .. }, Some(ResponseBody::Signature(signature))) => {
            let holds = match form {
                SignForm::OpenPgp => half.holds_openpgp(&asked.content, signature),
                SignForm::Minisign => half.holds_minisign(&asked.content, signature),
                SignForm::Ssh => match &half {
                    PublicHalf::Ssh(key) => key.verify(&asked.content, signature).is_ok(),
                    PublicHalf::EcdsaSecp256k1(_) | PublicHalf::Agrees(_) => false,
                },
                // Core's list of forms and this one grow together.
                _ => false,
            };
            (!holds).then_some("its signature is false")
        }
        (What::Sign { .. }, _) => Some("it approved without a signature"),
        (What::Decrypt(form), Some(ResponseBody::Plaintext(plaintext))) => {
            let wanted = match form {
                DecryptForm::Point => half.shared_bytes(),
                DecryptForm::Age => Some(AGE_FILE_KEY_BYTES),
                _ => None,
            };
            let bytes = plaintext.secret().expose();
            let is_one = wanted == Some(bytes.len()) && bytes.iter().any(|it| *it != 0);
            (!is_one).then_some("what it decrypted has a wrong length, or is nothing")
        }
        (What::Decrypt(_), _) => Some("it approved without a plaintext"),
    }
}

/// What is wrong with an approval of such a command.
fn brought_fault(purposes: &[Purpose], body: Option<&ResponseBody>) -> Option<&'static str> {
    let Some(key) = one_key(body) else {
        return Some("it approved without a key");
    };
    if PublicHalf::read(&key.algorithm, &key.public_key).is_none() {
        return Some("its key is of no kind that is known");
    }
    let is_other = !purposes.is_empty() && key.purposes != purposes;
    is_other.then_some("its key is for something else")
}

pub(crate) fn one_key(body: Option<&ResponseBody>) -> Option<&KeyEntry> {
    let body = body?;
    if let ResponseBody::Key(key) = body {
        return Some(key);
    }
    let ResponseBody::Keys(keys) = body else {
        return None;
    };
    match keys.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// age's specification, "file key".
const AGE_FILE_KEY_BYTES: usize = 16;
