//! Parts of a secret's row, between what it holds and what is said of it on the wire.
//!
//! **Invariant**: what a row holds was written here; another form is a corrupt row.

use keystead_channel::session::requests::{Context, Entry, KeyPurpose, KeyType, Label, Policy};
use keystead_channel::session::{List, Octets, Status, Text};
use keystead_core::SecretBytes;
use keystead_vault::held::HeldKey;

use crate::rows::{HeldSecret, SERVER_HELD};
use crate::signing::kind_of;

/// What it is.
pub(super) fn kind(secret: &HeldSecret) -> Result<KeyType, Status> {
    KeyType::from_number(secret.kind.into()).ok_or(Status::Corrupt)
}

/// Where it comes from; none where the server holds it.
pub(super) fn context(secret: &HeldSecret) -> Result<Option<Context>, Status> {
    match secret.context {
        SERVER_HELD => Ok(None),
        number => match Context::from_number(number.into()) {
            Some(context) => Ok(Some(context)),
            None => Err(Status::Corrupt),
        },
    }
}

/// Whether it is a key that the server signs with.
pub(super) fn is_held_key(secret: &HeldSecret) -> Result<bool, Status> {
    Ok(secret.context == SERVER_HELD && kind(secret)? != KeyType::Arbitrary)
}

/// Its policy, if it has one.
pub(super) fn policy(secret: &HeldSecret) -> Result<Option<Policy>, Status> {
    let decode = |bytes: &Vec<u8>| Policy::decode(bytes).map_err(|_| Status::Corrupt);
    secret.policy.as_ref().map(decode).transpose()
}

/// What it may sign.
pub(super) fn purposes(secret: &HeldSecret) -> Vec<KeyPurpose> {
    let has = |purpose: &&KeyPurpose| secret.purposes & bit(**purpose) != 0;
    KeyPurpose::ALL.iter().filter(has).copied().collect()
}

/// As a row has them.
pub(super) fn purpose_bits(purposes: &[KeyPurpose]) -> u32 {
    purposes
        .iter()
        .fold(0, |bits, purpose| bits | bit(*purpose))
}

/// The key that the server holds.
pub(super) fn held(secret: &HeldSecret) -> Result<HeldKey, Status> {
    let bytes = secret.value.expose();
    let copy = SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes));
    HeldKey::open(kind_of(kind(secret)?), copy, secret.public_key.clone())
        .map_err(|_| Status::Corrupt)
}

/// A label as a row has it: its form, then its bytes.
pub(super) fn label_bytes(label: &Label) -> Vec<u8> {
    match label {
        Label::Open(text) => [&[OPEN], text.0.as_bytes()].concat(),
        Label::Sealed(bytes) => [&[SEALED], bytes.0.as_slice()].concat(),
    }
}

/// The label of a row.
pub(super) fn label(secret: &HeldSecret) -> Result<Label, Status> {
    match secret.label.split_first() {
        Some((&OPEN, text)) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Label::Open(Text(text.to_owned()))),
            Err(_) => Err(Status::Corrupt),
        },
        Some((&SEALED, bytes)) => Ok(Label::Sealed(Octets(bytes.to_vec()))),
        Some(_) | None => Err(Status::Corrupt),
    }
}

/// Whether a label is short enough, before the client sealed it.
pub(super) fn check_label(label: &Label, bytes_max: u32) -> Result<(), Status> {
    let (len, seal_bytes) = match label {
        Label::Open(text) => (text.0.len(), 0),
        Label::Sealed(bytes) => (bytes.0.len(), SEAL_BYTES),
    };
    let Some(len) = len.checked_sub(seal_bytes) else {
        return Err(Status::Malformed);
    };
    match u32::try_from(len) {
        Ok(len) if len <= bytes_max => Ok(()),
        Ok(_) | Err(_) => Err(Status::TooLarge),
    }
}

/// What is said of it.
pub(super) fn entry(secret: &HeldSecret) -> Result<Entry, Status> {
    let public_key = Some(&secret.public_key).filter(|key| !key.is_empty());
    Ok(Entry {
        key: secret.key,
        kind: kind(secret)?,
        context: context(secret)?,
        label: label(secret)?,
        revision: secret.revision,
        created_unix_ms: secret.made_ms,
        replaces: secret.replaces,
        public_key: public_key.map(|key| Octets(key.clone())),
        purposes: List(purposes(secret)),
        policy: policy(secret)?,
    })
}

fn bit(purpose: KeyPurpose) -> u32 {
    1_u32
        .checked_shl(purpose.number().into())
        .unwrap_or_default()
}

/// 40 bytes: what the client's seal adds, 24 of nonce and 16 of tag.
pub(super) const SEAL_BYTES: usize = 24 + 16;

/// In front of a label that the server may read.
const OPEN: u8 = 0;

/// In front of one that the client sealed.
const SEALED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_form() {
        for label in [
            Label::Open(Text("laptop".into())),
            Label::Sealed(Octets(vec![7; 50])),
        ] {
            let secret = secret(label_bytes(&label));
            assert_eq!(super::label(&secret), Ok(label));
        }
        for broken in [vec![], vec![2, b'a'], vec![OPEN, 0xff]] {
            assert_eq!(super::label(&secret(broken)), Err(Status::Corrupt));
        }
    }

    #[test]
    fn labels_are_measured_without_their_seal() {
        let check = |label, expected| assert_eq!(check_label(&label, 4), expected);
        check(Label::Open(Text("four".into())), Ok(()));
        check(Label::Open(Text("fives".into())), Err(Status::TooLarge));
        check(Label::Sealed(Octets(vec![0; 44])), Ok(()));
        check(Label::Sealed(Octets(vec![0; 40])), Ok(()));
        check(Label::Sealed(Octets(vec![0; 45])), Err(Status::TooLarge));
        check(Label::Sealed(Octets(vec![0; 39])), Err(Status::Malformed));
    }

    #[test]
    fn purposes_are_bits() {
        let mut secret = secret(vec![]);
        for purpose in KeyPurpose::ALL {
            secret.purposes = purpose_bits(&[*purpose]);
            assert_eq!(purposes(&secret), [*purpose]);
        }
        secret.purposes = purpose_bits(KeyPurpose::ALL);
        assert_eq!(purposes(&secret), KeyPurpose::ALL);
    }

    fn secret(label: Vec<u8>) -> HeldSecret {
        HeldSecret {
            account: crate::rows::AccountNo(1),
            key: keystead_channel::session::KeyId([1; 16]),
            kind: 1,
            context: SERVER_HELD,
            revision: 0,
            version: 0,
            made_ms: 0,
            value: SecretBytes::take(&mut [1; 32]),
            public_key: vec![],
            label,
            purposes: 0,
            policy: None,
            replaces: None,
            retrieved: 0,
            made: [0; 16],
        }
    }
}
