//! What gpg makes or imports, where the person has chosen a keeper for it.
//!
//! **Invariant:** a private key goes to the keeper that was chosen or nowhere: the ordinary agent
//! sees none of it, and what the keeper does not take gpg is told as an error.

use keystead_formats::assuan::{self, ErrorCode, line};
use keystead_formats::openpgp::transfer::wanted_key;
use keystead_formats::openpgp::{KeyPacket, TransferError, Transferred};
use keystead_formats::ssh::key::key_id;
use zeroize::Zeroizing;

use super::super::deeds::Pending;
use super::super::events::{Action, Bring};
use super::super::keys::{KeyMap, MappedKey};
use super::super::requests::Bringing;
use super::{Conversation, Ending, Inquired, State};

/// What is known of a key before it comes.
#[derive(Default)]
pub(super) struct Coming {
    /// The bytes of `KEYWRAP_KEY`, as the ordinary agent has drawn them.
    pub(super) wrapping: Zeroizing<Vec<u8>>,
    /// The user id of the last description: it is of the key that follows.
    pub(super) user_id: String,
    /// The keeper that was chosen.
    pub(super) keeper: String,
}

impl Conversation {
    /// The ordinary agent answers with a key that wraps: it is ours to know, too.
    pub(super) fn note_wrapping_key(&mut self, escaped: &[u8]) {
        if let Ok(part) = line::unescape(escaped)
            && self.coming.wrapping.len() + part.len() <= WRAPPING_KEY_BYTES
        {
            self.coming.wrapping.extend_from_slice(part.expose());
        }
    }

    /// What gpg says of another's key: perhaps of one that it brings next. The user id stands in
    /// quotes.
    pub(super) fn note_description(&mut self, text: &[u8], line: &[u8]) {
        let word = text.split(u8::is_ascii_whitespace).next();
        let said = word.and_then(|it| assuan::line::unescape_plus(it).ok());
        let said = said.map(|it| String::from_utf8_lossy(it.expose()).into_owned());
        self.coming.user_id = said.as_deref().map_or("", quoted).to_owned();
        self.pass(line, Ending::Relay);
    }

    /// A command that brings a key.
    pub(super) fn bring_in(&mut self, what: Bringing, line: &[u8], keys: &KeyMap) {
        match what {
            Bringing::WrappingKey => {
                self.coming = Coming::default();
                self.pass(line, Ending::NoteWrappingKey);
            }
            Bringing::Import(created) => self.inquire_key(Inquired::KeyData(created), keys),
            Bringing::Generate(created) => self.inquire_key(Inquired::KeyParam(created), keys),
        }
    }

    /// What it is about is inquired.
    fn inquire_key(&mut self, what: Inquired, keys: &KeyMap) {
        self.coming.keeper = keys.custody().unwrap_or_default().to_owned();
        let keyword = match what {
            Inquired::KeyData(_) => "KEYDATA",
            Inquired::Ciphertext | Inquired::KeyParam(_) => "KEYPARAM",
        };
        self.tell(line::inquire(keyword, ""));
        self.begin_inquiry(what);
    }

    /// A wrapped key came.
    pub(super) fn import(&mut self, wrapped: &[u8], created_unix_s: Option<u32>) {
        // Wrapped by the same key come the subkeys.
        let wrapping = self.coming.wrapping.clone();
        let Ok(wrapping) = <&[u8; WRAPPING_KEY_BYTES]>::try_from(wrapping.as_slice()) else {
            return self.error(ErrorCode::MISSING_VALUE);
        };
        let key = match Transferred::unwrap(wrapping, wrapped) {
            Ok(key) => key,
            Err(error) => return self.not_taken(&error),
        };
        let public = key.public_key();
        let mapped = MappedKey {
            keygrip: key.public().keygrip(),
            algorithm: key.algorithm(),
            public_key: public.to_vec(),
            key_id: key_id(public),
            identity: None,
            keeper: Some(self.coming.keeper.clone()),
            user_id: self.coming.user_id.clone(),
            created_unix_s: created_unix_s.unwrap_or_default(),
            fingerprint: created_unix_s
                .map(|it| KeyPacket::new(key.public().clone(), it).fingerprint()),
        };
        let private = key.pkcs8();
        self.bring(
            Pending::Taken,
            Bring::Take {
                key: Box::new(mapped),
                private,
            },
        );
    }

    /// What is to be made was said.
    pub(super) fn generate(&mut self, parameters: &[u8], created_unix_s: Option<u32>) {
        match wanted_key(parameters) {
            Ok(key_type) => {
                let keeper = self.coming.keeper.clone();
                self.bring(
                    Pending::Made,
                    Bring::Make {
                        keeper,
                        key_type,
                        created_unix_s,
                    },
                );
            }
            Err(error) => self.not_taken(&error),
        }
    }

    fn bring(&mut self, pending: Pending, bring: Bring) {
        self.state = State::Ask(Box::new(pending));
        self.actions.push(Action::Bring(Box::new(bring)));
    }

    fn not_taken(&mut self, error: &TransferError) {
        let (code, hint) = match error {
            TransferError::Algorithm(_) => (
                ErrorCode::UNSUPPORTED_ALGORITHM,
                "; keepers take Ed25519, Curve25519 and, of what is imported, P-256",
            ),
            TransferError::Protected => (
                ErrorCode::NOT_SUPPORTED,
                "; take it off before (gpg --change-passphrase), or `keystead gpg custody off`",
            ),
            TransferError::Unwrap => (ErrorCode::DECRYPT_FAILED, ""),
            TransferError::Malformed => (ErrorCode::INV_SEXP, ""),
        };
        let keeper = &self.coming.keeper;
        let text = format!("{error} into the custody of {keeper}{hint}");
        self.tell(line::err_with(code, &text));
    }
}

/// What stands in the first pair of quotes.
fn quoted(text: &str) -> &str {
    let mut parts = text.split('"');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(inner), Some(_)) => inner,
        _ => "",
    }
}

/// AES-128's (GnuPG, `agent/command.c`, `KEYWRAP_KEYSIZE`).
const WRAPPING_KEY_BYTES: usize = 16;
