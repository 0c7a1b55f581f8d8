//! What a key may be used for: an identity by its protocol and path, a stored key by its
//! purposes (`spec/identity.md` section 5).
//!
//! **Invariant**: 13 never decrypts, 17 never signs, and a key of one protocol does nothing for
//! another, whatever the bytes are.

use keystead_core::{
    DecryptForm, Derivation, Identity, KeyEntry, Outcome, Protocol, Purpose, SignForm,
};

use super::{No, no};
use crate::words::KeyWords;

/// Whether an identity's key may sign so.
pub(super) fn check_sign(key: &KeyWords, form: SignForm) -> Result<(), No> {
    let KeyWords::Derived { identity, .. } = key else {
        return Ok(());
    };
    if identity.derivation() != Derivation::Sign {
        return refuse(identity, "decrypts, and never signs");
    }
    match (identity.protocol(), form) {
        (Protocol::Ssh, SignForm::Ssh)
        | (Protocol::Gpg, SignForm::OpenPgp)
        | (Protocol::Signify, SignForm::Minisign) => Ok(()),
        (protocol, _) => refuse(identity, signs_alone(protocol)),
    }
}

/// Whether an identity's key may decrypt so.
pub(super) fn check_decrypt(key: &KeyWords, form: DecryptForm) -> Result<(), No> {
    let KeyWords::Derived { identity, .. } = key else {
        return Ok(());
    };
    if identity.derivation() != Derivation::Agree {
        return refuse(identity, "signs, and never decrypts");
    }
    match (identity.protocol(), form) {
        (Protocol::Gpg, DecryptForm::Point) | (Protocol::Age, DecryptForm::Age) => Ok(()),
        (Protocol::Gpg, _) => refuse(identity, "decrypts for OpenPGP alone"),
        (Protocol::Age, _) => refuse(identity, "opens age files alone"),
        (Protocol::Ssh | Protocol::Signify | Protocol::Keystead, _) => {
            refuse(identity, "decrypts nothing")
        }
    }
}

/// Whether the key is for that.
pub(super) fn check_purpose(key: &KeyEntry, purpose: Purpose) -> Result<(), No> {
    if key.purposes.contains(&purpose) {
        return Ok(());
    }
    let reason = format!("the key {} is not for {}", key.name, purpose.as_str());
    Err(no(Outcome::Refuse, reason))
}

fn refuse(identity: &Identity, what: &str) -> Result<(), No> {
    Err(no(Outcome::Refuse, format!("{identity} {what}")))
}

const fn signs_alone(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ssh => "signs for SSH alone",
        Protocol::Gpg => "signs for OpenPGP alone",
        Protocol::Signify => "signs for minisign alone",
        Protocol::Age => "signs nothing",
        Protocol::Keystead => "is the wallet's own, and signs nothing",
    }
}
