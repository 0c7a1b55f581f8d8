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
    wrapping: Zeroizing<Vec<u8>>,
    /// The last description, and the user id in it: it is of the key that follows.
    description: String,
    user_id: String,
    /// The keeper that was chosen.
    keeper: String,
    /// The key whose passphrase is asked for.
    pub(super) locked: Option<Locked>,
    /// What opened the key before: its subkeys mostly have the same.
    passphrase: Option<Zeroizing<Vec<u8>>>,
    /// Nobody knew it: gpg brings the subkeys all the same, and nobody is asked again.
    is_unknown: bool,
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
        self.coming.description = said.unwrap_or_default();
        self.pass(line, Ending::Relay);
    }

    /// A command that brings a key.
    pub(super) fn bring_in(&mut self, what: Bringing, line: &[u8], keys: &KeyMap) {
        match what {
            Bringing::WrappingKey => {
                self.coming = Coming {
                    wrapping: Zeroizing::new(Vec::with_capacity(WRAPPING_KEY_BYTES)),
                    ..Coming::default()
                };
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
                let known = self.coming.passphrase.as_ref();
                if let Some(Ok(key)) = known.map(|it| key.open(it)) {
                    return self.take(&key, created_unix_s);
                }
                if self.coming.is_unknown {
                    return self.error(ErrorCode::BAD_PASSPHRASE);
                }
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
        locked.asked += 1;
        let again = match locked.asked {
            1 => "X".to_owned(),
            nth => format!("Bad+Passphrase+(try+{nth}+of+{PASSPHRASE_TRIES})"),
        };
        // One that grew would leave a part behind.
        locked.passphrase = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX));
        let command = |about: &str| {
            let about = line::escape_plus(&shown(about));
            let keeper = line::escape_plus(&self.coming.keeper);
            let where_to = format!("The+key+goes+into+the+custody+of+{keeper}.");
            format!("GET_PASSPHRASE --data -- X {again} X {about}{where_to}")
        };
        // gpg's own words, which name the key.
        let mut command_line = match self.coming.description.trim_end() {
            "" => command(UNDESCRIBED),
            described => command(&format!("{described}\n\n")),
        };
        if command_line.len() > line::LINE_BYTES_MAX {
            command_line = command(UNDESCRIBED);
        }
        let command = command_line;
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
            Ok(key) => {
                self.coming.passphrase = Some(locked.passphrase);
                self.take(&key, locked.created_unix_s);
            }
            Err(TransferError::Passphrase) if locked.asked < PASSPHRASE_TRIES => {
                self.coming.locked = Some(locked);
                self.ask_for_passphrase();
            }
            Err(error) => {
                self.coming.is_unknown = error == TransferError::Passphrase;
                self.not_taken(&error);
            }
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
            Err(error) => {
                let keeper = &self.coming.keeper;
                let what = match &error {
                    TransferError::Algorithm(curve) if curve == "NIST P-256" => format!(
                        "gpg does not say what a key on {curve} is for; `keystead gpg init \
                         --keeper {keeper} --curve nist256p1 \"Name <mail>\"` makes one"
                    ),
                    TransferError::Algorithm(kind) => format!(
                        "{keeper} makes no keys of type {kind}; `gpg --quick-gen-key \
                         \"Name <mail>\" future-default` asks for such as it makes"
                    ),
                    TransferError::Unwrap
                    | TransferError::Malformed
                    | TransferError::Passphrase
                    | TransferError::Protection(_) => error.to_string(),
                };
                self.fail(code_of(&error), &what);
            }
        }
    }

    fn bring(&mut self, pending: Pending, bring: Bring) {
        self.state = State::Ask(Box::new(pending));
        self.actions.push(Action::Bring(Box::new(bring)));
    }

    fn not_taken(&mut self, error: &TransferError) {
        let hint = match error {
            TransferError::Algorithm(_) => {
                "; keepers take Ed25519, Curve25519 and P-256, `keystead gpg custody off` leaves \
                 others to gpg"
            }
            TransferError::Protection(_) => {
                "; imported under `keystead gpg custody off` and exported again it has AES's"
            }
            TransferError::Passphrase | TransferError::Unwrap | TransferError::Malformed => "",
        };
        let keeper = &self.coming.keeper;
        let text = format!("not into the custody of {keeper}: {error}{hint}");
        self.fail(code_of(error), &text);
    }

    /// gpg shows the code alone, so the person is told the rest.
    fn fail(&mut self, code: ErrorCode, text: &str) {
        self.actions.push(Action::Say(text.to_owned()));
        self.tell(line::err_with(code, text));
    }
}

const fn code_of(error: &TransferError) -> ErrorCode {
    match error {
        TransferError::Algorithm(_) | TransferError::Protection(_) => {
            ErrorCode::UNSUPPORTED_ALGORITHM
        }
        TransferError::Passphrase => ErrorCode::BAD_PASSPHRASE,
        TransferError::Unwrap => ErrorCode::DECRYPT_FAILED,
        TransferError::Malformed => ErrorCode::INV_SEXP,
    }
}

/// Foreign text moves no cursor of a pinentry at a terminal.
fn shown(text: &str) -> String {
    let is_shown = |it: char| it == '\n' || !keystead_core::is_unsafe_to_show(it);
    let shown = text.chars().map(|it| if is_shown(it) { it } else { '?' });
    shown.collect()
}

/// What stands in quotes; it may have some of its own.
fn quoted(text: &str) -> &str {
    let inner = text.split_once('"').map(|(_, rest)| rest);
    inner
        .and_then(|it| it.rsplit_once('"'))
        .map_or("", |(inner, _)| inner)
}

/// As often as gpg-agent asks (GnuPG, `agent/call-pinentry.c`, `max_tries`).
const PASSPHRASE_TRIES: u8 = 3;

/// Where the description is missing or too long for one line.
const UNDESCRIBED: &str = "Please enter the passphrase of the OpenPGP key. ";

/// `MAX_PASSPHRASE_LEN` of gpg-agent.
const PASSPHRASE_BYTES_MAX: usize = 255;

/// AES-128's (GnuPG, `agent/command.c`, `KEYWRAP_KEYSIZE`).
const WRAPPING_KEY_BYTES: usize = 16;
