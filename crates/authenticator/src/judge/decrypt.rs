//! From a decrypt request to what a person is asked.

use keystead_core::{DecryptForm, DecryptRequest, Outcome, Purpose};

use super::uses::{check_decrypt, check_purpose};
use super::{No, Rules, no};
use crate::words::{Asked, Decrypt, DecryptWords, Origin};

/// Judges a decrypt request. Whether the key opens it is found out by trying, elsewhere.
///
/// # Errors
/// [`No`]: an identity or a key that is not for that; content of another length.
pub fn judge_decrypt(request: &DecryptRequest, rules: Rules<'_>) -> Result<Asked, No> {
    check_decrypt(rules.key_words, request.form)?;
    let (form, purpose) = match request.form {
        DecryptForm::Point => (DecryptWords::OpenPgp, Purpose::OpenPgpDecrypt),
        DecryptForm::Age => (DecryptWords::Age, Purpose::AgeUnwrap),
        _ => return Err(no(Outcome::Unsupported, "unknown form")),
    };
    check_purpose(rules.key, purpose)?;
    let expected_bytes = match request.form {
        DecryptForm::Age => AGE_BYTES,
        // A point is as long as the key's own.
        DecryptForm::Point | _ => rules.key.public_key.len(),
    };
    if request.content.len() != expected_bytes {
        let bytes = request.content.len();
        let reason = format!("{bytes} bytes to decrypt, where there should be {expected_bytes}");
        return Err(no(Outcome::Refuse, reason));
    }
    Ok(Asked::Decrypt(Decrypt {
        form,
        user_id: request.evidence.user_id.clone(),
        key: rules.key_words.clone(),
        origin: Origin::of(&request.evidence),
    }))
}

/// Ephemeral share and wrapped file key (age-encryption.org/v1, "The X25519 recipient type").
const AGE_BYTES: usize = 64;
