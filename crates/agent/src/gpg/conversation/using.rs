//! What a client does with a key of ours.
//!
//! **Invariant:** a keeper is asked for one thing at a time, of which all was read first.

use keystead_formats::ParseError;
use keystead_formats::assuan::ErrorCode;
use keystead_formats::assuan::line;
use keystead_formats::openpgp::Transferred;
use keystead_formats::openpgp::values;

use super::super::deeds::{self, Inquiry, Pending};
use super::super::events::{Action, Answer, Ask, Job};
use super::super::keys::MappedKey;
use super::{Conversation, Inquired, State};

impl Conversation {
    pub(super) fn describe(&mut self, text: &[u8]) {
        let text = text
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        if text.is_empty() {
            return self.error(ErrorCode::ASS_PARAMETER);
        }
        self.description = line::unescape_plus(text)
            .ok()
            .map(|it| String::from_utf8_lossy(it.expose()).into_owned());
        self.ok();
    }

    pub(super) fn hash(&mut self, arguments: &[u8]) {
        self.digest = None;
        match values::sethash(arguments) {
            Ok(digest) if digest.algorithm().bytes() < DIGEST_BYTES_MIN => {
                let name = digest.algorithm().name();
                let text = format!("no keeper signs a digest of {name}");
                self.actions.push(Action::Say(text.clone()));
                self.tell(line::err_with(ErrorCode::UNSUPPORTED_ALGORITHM, &text));
            }
            Ok(digest) => {
                self.digest = Some(digest);
                self.ok();
            }
            Err(ParseError::Unknown) => self.error(ErrorCode::UNSUPPORTED_ALGORITHM),
            Err(_) => self.error(ErrorCode::ASS_PARAMETER),
        }
    }

    pub(super) fn sign(&mut self) {
        let Some(key) = self.selected.clone() else {
            return self.error(ErrorCode::NO_SECKEY);
        };
        let Some(digest) = &self.digest else {
            return self.error(ErrorCode::MISSING_VALUE);
        };
        if key.agrees() {
            return self.error(ErrorCode::WRONG_KEY_USAGE);
        }
        let job = Job::Sign {
            hash: digest.algorithm().id(),
            digest: digest.bytes().to_vec(),
        };
        self.ask(Pending::Signature(key.clone()), key, job);
    }

    pub(super) fn decrypt(&mut self, kem: Option<&[u8]>) {
        if !matches!(kem, None | Some(b"PGP")) {
            return self.error(ErrorCode::UNSUPPORTED_OPERATION);
        }
        self.tell(line::status(
            "INQUIRE_MAXLEN",
            &Inquiry::BYTES_MAX.to_string(),
        ));
        self.tell(line::inquire("CIPHERTEXT", ""));
        self.begin_inquiry(Inquired::Ciphertext);
    }

    pub(super) fn begin_inquiry(&mut self, what: Inquired) {
        let bytes_max = match what {
            Inquired::Ciphertext => Inquiry::BYTES_MAX,
            Inquired::KeyData(_) => Transferred::WRAPPED_BYTES_MAX,
            Inquired::KeyParam(_) => Inquiry::PARAMETERS_BYTES_MAX,
        };
        self.state = State::Inquire(what, Inquiry::new(bytes_max));
        while let Some(line) = self.next_waiting(|state| matches!(state, State::Inquire(..))) {
            self.of_client(Ok(&line));
        }
    }

    pub(super) fn inquired(&mut self, what: Inquired, outcome: Result<Vec<u8>, ErrorCode>) {
        self.state = State::Idle;
        match (what, outcome) {
            (Inquired::Ciphertext, outcome) => self.deciphered(outcome),
            (Inquired::KeyData(created), Ok(wrapped)) => self.import(&wrapped, created),
            (Inquired::KeyParam(created), Ok(parameters)) => self.generate(&parameters, created),
            (Inquired::KeyData(_) | Inquired::KeyParam(_), Err(code)) => self.error(code),
        }
    }

    fn deciphered(&mut self, outcome: Result<Vec<u8>, ErrorCode>) {
        let Some(key) = self.selected.clone() else {
            return self.error(ErrorCode::NO_SECKEY);
        };
        match outcome.and_then(|bytes| deeds::agreement(&key, &bytes)) {
            Ok((pending, point)) => self.ask(pending, key, Job::Agree { point }),
            Err(code) => {
                self.forget();
                self.error(code);
            }
        }
    }

    fn ask(&mut self, pending: Pending, key: MappedKey, job: Job) {
        let description = self.description.take();
        self.state = State::Ask(Box::new(pending));
        self.actions.push(Action::Ask(Box::new(Ask {
            key,
            job,
            description,
        })));
    }

    pub(super) fn answered(&mut self, answer: Answer) {
        if !matches!(self.state, State::Ask(_)) {
            return;
        }
        let State::Ask(pending) = std::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        match answer {
            Answer::Failed(failure) => {
                // Of what is asked with a key the agent tells the person itself.
                if matches!(*pending, Pending::Taken | Pending::Made) {
                    self.actions.push(Action::Say(failure.text.clone()));
                }
                self.tell(line::err_with(failure.code, &failure.text));
            }
            answer @ (Answer::Signed(_) | Answer::Agreed(_) | Answer::Brought(_)) => {
                match pending.finish(answer) {
                    Ok(bytes) => {
                        if !bytes.is_empty() {
                            let lines = line::secret_data(bytes.expose());
                            self.tell(lines.expose().to_vec());
                        }
                        self.ok();
                    }
                    Err(code) => self.error(code),
                }
            }
        }
    }
}

/// SHA-256's: shorter ones are refused without a question (`spec/pairing.md` section 5).
const DIGEST_BYTES_MIN: usize = 32;
