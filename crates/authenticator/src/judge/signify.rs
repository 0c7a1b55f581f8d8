//! Form 3: what minisign signs.

use keystead_core::{Outcome, Purpose, SignRequest, hex, is_unsafe_to_show};
use keystead_formats::minisign::{Message, ToSign};
use keystead_formats::ssh::key::key_id;

use super::uses::check_purpose;
use super::{No, Rules, no};
use crate::words::{Asked, Origin, Signify, SignifyContent};

pub(super) fn judge(request: &SignRequest, rules: Rules<'_>, origin: Origin) -> Result<Asked, No> {
    let to_sign = ToSign::parse(&request.content)
        .map_err(|_| no(Outcome::Refuse, "nothing that minisign signs"))?;
    check_purpose(rules.key, Purpose::Signify)?;
    let content = match to_sign.message() {
        Message::Whole(data) => SignifyContent::Whole {
            bytes: data.len(),
            sha256: hex::encode(&key_id(data).0),
            text: text_of(data),
        },
        Message::Prehashed(hash) => SignifyContent::Prehashed(hex::encode(hash)),
    };
    Ok(Asked::Signify(Signify {
        content,
        trusted_comment: to_sign.trusted_comment().to_owned(),
        key: rules.key_words.clone(),
        origin,
    }))
}

/// A file that a person can read: lines of text, and not too many.
fn text_of(data: &[u8]) -> Option<String> {
    if data.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = str::from_utf8(data).ok()?;
    let is_safe = text
        .chars()
        .all(|it| matches!(it, '\n' | '\t') || !is_unsafe_to_show(it));
    is_safe.then(|| text.to_owned())
}

/// 16 KiB: a release's list of hashes; what is longer is for a program to compare.
const TEXT_BYTES_MAX: usize = 16 * 1024;
