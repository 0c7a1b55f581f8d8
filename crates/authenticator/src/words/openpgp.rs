//! A signature as OpenPGP makes them: of a commit or tag, where that is proved, or of a digest.

use keystead_daemon::utc;
use keystead_formats::openpgp::trailer::Trailer;

use super::origin::THEIR_WORD;
use super::sign::{content_rows, message_rows, what_is_signed};
use super::{Content, DIGEST_CHARS_MAX, GitForm, KeyWords, Origin, Row, plain, shown, warn};
use crate::entry::Entry;
use crate::show::Safe;
use crate::show::clip;

/// An OpenPGP signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPgp {
    /// The user id, by the workstation's word.
    pub user_id: Option<String>,
    /// `sha256`, for example.
    pub hash_name: String,
    /// Hex of the digest.
    pub digest: String,
    /// What is known of what was hashed.
    pub content: Content,
    /// What the signature says of itself, where what was hashed is proved.
    pub trailer: Option<Trailer>,
    /// The key that signs.
    pub key: KeyWords,
    /// The program that asks.
    pub origin: Origin,
}

impl OpenPgp {
    /// Commit or tag, where the content is proved to be one.
    #[must_use]
    pub fn git_form(&self) -> Option<GitForm> {
        self.content.git_form()
    }

    pub(super) fn line(&self) -> String {
        let what = match self.git_form() {
            Some(_) => what_is_signed(&self.content),
            None => format!("digest {}", clip(&self.digest, DIGEST_CHARS_MAX)),
        };
        format!("OpenPGP signature of {what} with {}", self.key)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = match self.git_form() {
            Some(form) => content_rows(&self.content, &format!("{}, by OpenPGP", form.one())),
            None => vec![
                plain("Sign", format!("a {} digest, by OpenPGP", self.hash_name)),
                plain("Digest", &*self.digest),
            ],
        };
        rows.extend(self.content.warning());
        rows.extend(user_id_row(self.user_id.as_deref(), &self.key));
        rows.extend(self.key.rows(""));
        rows.extend(self.trailer.iter().flat_map(trailer_rows));
        rows.extend(self.origin.rows());
        rows.extend(message_rows(&self.content));
        rows
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.user_id.clone_from(&self.user_id);
        self.key.describe(entry);
    }
}

/// What the signature says of itself beside who made it, which verifiers find out.
fn trailer_rows(trailer: &Trailer) -> Vec<Row> {
    let made_unix_s = u64::from(trailer.created_unix_s);
    let mut dated = utc(made_unix_s);
    // 0 says: never (RFC 4880 section 5.2.3.10).
    if let Some(after_s) = trailer.expires_after_s.filter(|it| *it > 0) {
        dated = format!("{dated}, ends {}", utc(made_unix_s + u64::from(after_s)));
    }
    let mut rows = vec![plain("Dated", dated)];
    let signed_as = trailer.signers_user_id.as_ref();
    rows.extend(signed_as.map(|it| plain("Signed as", Safe(it).to_string())));
    rows
}

/// The user id by the workstation's word, where the identity does not prove the same.
pub(super) fn user_id_row(user_id: Option<&str>, key: &KeyWords) -> Option<Row> {
    let user_id = user_id?;
    let words = format!("{} {THEIR_WORD}", shown(user_id));
    match key.identity_text() {
        Some(text) if text == user_id => None,
        Some(_) => Some(warn("User id", format!("{words}; the identity is another"))),
        None => Some(plain("User id", words)),
    }
}
