//! What gpg makes or imports, where the person has chosen a keeper for it.
//!
//! **Invariant:** a private key goes to the keeper that was chosen or nowhere: the ordinary agent
//! sees none of it but a passphrase that it asks for, and what the keeper does not take gpg is told
//! as an error.

use keystead_formats::assuan::{self, ErrorCode, line};
use keystead_formats::openpgp::transfer::wanted_key;
use keystead_formats::openpgp::{Arrived, KeyPacket, Protected, TransferError, Transferred};
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
    /// The key whose passphrase is asked for.
    pub(super) locked: Option<Locked>,
}

/// A key that a passphrase opens.
pub(super) struct Locked {
    key: Protected,
    created_unix_s: Option<u32>,
    passphrase: Zeroizing<Vec<u8>>,
    /// How often it was asked for.
    asked: u8,
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
        match Transferred::unwrap(wrapping, wrapped) {
            Ok(Arrived::Open(key)) => self.take(&key, created_unix_s),
            Ok(Arrived::Protected(key)) => {
                self.coming.locked = Some(Locked {
                    key,
                    created_unix_s,
                    passphrase: Zeroizing::default(),
                    asked: 0,
                });
                self.ask_for_passphrase();
            }
            Err(error) => self.not_taken(&error),
        }
    }

    /// The ordinary agent asks, as it asks for its own: by the pinentry that the person has, or by
    /// the client where that answers (`--pinentry-mode loopback`).
    fn ask_for_passphrase(&mut self) {
        let Some(locked) = &mut self.coming.locked else {
            return;
        };
        let again = match locked.asked {
            0 => "X".to_owned(),
            _ => line::escape_plus("Bad passphrase"),
        };
        locked.asked += 1;
        locked.passphrase = Zeroizing::default();
        let user_id = line::escape_plus(&self.coming.user_id);
        let whose = match user_id.len() {
            1..=USER_ID_BYTES_MAX => format!("of+{user_id}"),
            _ => "of+it".to_owned(),
        };
        let keeper = line::escape_plus(&self.coming.keeper);
        let about = format!("The+key+goes+to+{keeper}.+The+passphrase+{whose}:");
        let command = format!("GET_PASSPHRASE --data -- X {again} X {about}");
        self.pass(command.as_bytes(), Ending::Passphrase);
    }

    /// A part of it.
    pub(super) fn note_passphrase(&mut self, escaped: &[u8]) {
        if let Some(locked) = &mut self.coming.locked
            && let Ok(part) = line::unescape(escaped)
            && locked.passphrase.len() + part.len() <= PASSPHRASE_BYTES_MAX
        {
            locked.passphrase.extend_from_slice(part.expose());
        }
    }

    /// The passphrase is there.
    pub(super) fn unlock(&mut self) {
        let Some(locked) = self.coming.locked.take() else {
            return self.error(ErrorCode::MISSING_VALUE);
        };
        match locked.key.open(&locked.passphrase) {
            Ok(key) => self.take(&key, locked.created_unix_s),
            Err(TransferError::Passphrase) if locked.asked < PASSPHRASE_TRIES => {
                self.coming.locked = Some(locked);
                self.ask_for_passphrase();
            }
            Err(error) => self.not_taken(&error),
        }
    }

    /// An open key is on its way to the keeper.
    fn take(&mut self, key: &Transferred, created_unix_s: Option<u32>) {
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
            TransferError::Passphrase => (ErrorCode::BAD_PASSPHRASE, ""),
            TransferError::Unwrap => (ErrorCode::DECRYPT_FAILED, ""),
            TransferError::Malformed => (ErrorCode::INV_SEXP, ""),
        };
        let keeper = &self.coming.keeper;
        let text = format!("not into the custody of {keeper}: {error}{hint}");
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

/// As often as gpg-agent asks (GnuPG, `agent/call-pinentry.c`, `max_tries`).
const PASSPHRASE_TRIES: u8 = 3;

/// 500 bytes, escaped: the command is one line of Assuan's 1,000.
const USER_ID_BYTES_MAX: usize = 500;

/// `MAX_PASSPHRASE_LEN` of gpg-agent.
const PASSPHRASE_BYTES_MAX: usize = 255;

/// AES-128's (GnuPG, `agent/command.c`, `KEYWRAP_KEYSIZE`).
const WRAPPING_KEY_BYTES: usize = 16;
