//! The text behind a digest that gpg wants signed.
//!
//! **Invariant:** what is given on has the digest, whoever says what the text is: a text of which
//! that cannot be shown is left away.

use keystead_formats::openpgp::digest::{Digest, HashAlgorithm};
use keystead_formats::openpgp::trailer::{DocumentKind, Trailer};

use super::keys::MappedKey;

/// All that was hashed for `digest`, if it was `text` and what gpg puts behind it: the fields of a
/// signature over a document (RFC 4880 section 5.2.4). gpg says none of them before it has the
/// signature, so they are tried: each second of the last few, without a user id and with each mail
/// of `words`.
///
/// None: it was something else, or gpg was told to put more into its signatures.
#[must_use]
pub fn preimage(text: &[u8], digest: &Digest, by: &Signer, now_unix_s: u32) -> Option<Vec<u8>> {
    let hash = digest.algorithm();
    let mails = by.mails.iter().map(|it| Some(it.as_str()));
    let user_ids: Vec<Option<&str>> = std::iter::once(None).chain(mails).collect();
    for ago_s in 0..=AGO_S_MAX {
        let created_unix_s = now_unix_s.checked_sub(ago_s)?;
        for user_id in &user_ids {
            let hashed = hashed(text, by, hash, (created_unix_s, *user_id));
            if hash.hash(&[&hashed]) == digest.bytes() {
                return Some(hashed);
            }
        }
    }
    None
}

/// Who signs, as its signatures say.
pub struct Signer {
    key_algorithm: u8,
    fingerprint: keystead_formats::openpgp::Fingerprint,
    mails: Vec<String>,
}

impl Signer {
    /// A key of the map, and the words of the command line that calls gpg; none if the key's
    /// fingerprint is not known.
    #[must_use]
    pub fn of(key: &MappedKey, words: &[String]) -> Option<Self> {
        let public =
            keystead_formats::openpgp::PublicKey::of_keeper(key.algorithm, &key.public_key).ok()?;
        let mut mails: Vec<String> = Vec::new();
        for mail in std::iter::once(&key.user_id)
            .chain(words)
            .filter_map(|it| mail_in(it))
        {
            if mails.len() < MAILS_MAX && !mails.contains(&mail) {
                mails.push(mail);
            }
        }
        Some(Self {
            key_algorithm: public.algorithm_id(),
            fingerprint: key.fingerprint?,
            mails,
        })
    }
}

fn hashed(
    text: &[u8],
    by: &Signer,
    hash: HashAlgorithm,
    (created_unix_s, user_id): (u32, Option<&str>),
) -> Vec<u8> {
    let trailer = Trailer {
        kind: DocumentKind::Binary,
        key_algorithm: by.key_algorithm,
        hash,
        created_unix_s,
        expires_after_s: None,
        issuer: Some(by.fingerprint),
        signers_user_id: user_id.map(str::to_owned),
    };
    [text, &trailer.encode()].concat()
}

/// The mail of a user id, or a mail alone, in small letters as gpg has it (`mailbox_from_userid`).
fn mail_in(text: &str) -> Option<String> {
    let inner = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>')?,
        None => text,
    };
    let is_mail = inner.split('@').filter(|it| !it.is_empty()).count() == 2
        && !inner
            .chars()
            .any(|it| it.is_whitespace() || it.is_control());
    is_mail.then(|| inner.to_ascii_lowercase())
}

/// 10 s back: between gpg's look at the clock and its question to the agent lies a hash of the
/// text and the start of an agent.
const AGO_S_MAX: u32 = 10;

/// Four mails: that of the key's first user id, and those that a command line names.
const MAILS_MAX: usize = 4;
