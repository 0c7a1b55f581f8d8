//! What the device does with messages: asks for PIN, passphrase and button, then answers.
//!
//! Source: trezor-firmware, `common/protob/messages*.proto` for numbers and fields; for the order
//! of questions `legacy/firmware/fsm_msg_crypto.h`, `protect.c` and `config.c` (model 1: button,
//! PIN, passphrase), `core/src/apps/base.py`, `common/passphrase.py` and `misc` (the others: PIN and
//! passphrase, then the button); for what else comes while one is open `legacy/firmware/messages.c`
//! (model 1 passes over it) and `core/src/trezor/wire` (the others end what is open).

use super::answers::{answer, fits, screen};
use super::derive::seed;
use super::numbers::*;
use super::setup::{Decide, Setup, State};
use super::wire::{Body, Fields, bytes, fields, numbers, text};

/// What the device does.
pub(super) enum Out {
    Screen(String),
    Message(u16, Vec<u8>),
    Garbage,
    Unplug,
}

/// The device.
pub(super) struct Device {
    setup: Setup,
    is_unlocked: bool,
    sessions: Vec<Session>,
    session: usize,
    pending: Option<Pending>,
}

struct Session {
    id: [u8; 32],
    passphrase: Option<String>,
}

/// A request that waits for the person.
struct Pending {
    number: u16,
    body: Fields,
    waits: Waits,
    is_confirmed: bool,
    /// Screens about a passphrase that are still to be confirmed.
    passphrase_screens: u8,
    /// Pages of a long text behind the first, each with a request for the button.
    pages: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Nothing,
    Pin,
    PinOnDevice,
    Passphrase,
    PassphraseOnDevice,
    /// Of old firmwares: that the state was heard.
    PassphraseState,
    PassphraseScreen,
    Button,
}

impl Device {
    pub(super) fn new(setup: Setup) -> Self {
        let mut device = Self {
            is_unlocked: setup.pin.is_none(),
            setup,
            sessions: Vec::new(),
            session: 0,
            pending: None,
        };
        device.begin_session();
        device
    }

    /// A message came.
    pub(super) fn take(&mut self, number: u16, body: &[u8]) -> Vec<Out> {
        let mut out = Vec::new();
        let Some(fields) = fields(body) else {
            self.fail(&mut out, NOT_TAKEN, "Failed to decode message");
            return out;
        };
        if self.setup.state == State::NewProtocol {
            // Firmware 2.9.3: a code and no text, and zeros in its place.
            let mut body = Body::default().number(1, INVALID_PROTOCOL).finish();
            body.resize(20, 0);
            out.push(Out::Message(FAILURE, body));
            return out;
        }
        if self.setup.is_first_model() && self.is_closed_to(&mut out, number) {
            return out;
        }
        match number {
            INITIALIZE if self.setup.state == State::Busy => self.fail(&mut out, BUSY, "Busy"),
            INITIALIZE => {
                self.give_up(&mut out);
                self.initialize(bytes(&fields, 1));
                self.features(&mut out);
            }
            GET_FEATURES => self.features(&mut out),
            CANCEL => {
                let pending = self.pending.as_ref();
                let is_pin = pending.is_some_and(|it| it.waits == Waits::Pin);
                let code = if is_pin {
                    PIN_CANCELLED
                } else {
                    ACTION_CANCELLED
                };
                self.give_up(&mut out);
                self.fail(&mut out, code, "Cancelled");
            }
            PING if !numbers(&fields, 2).contains(&1) => {
                out.push(Out::Message(SUCCESS, text_body(1, &text(&fields, 1))));
            }
            END_SESSION => {
                self.begin_session();
                out.push(Out::Message(SUCCESS, text_body(1, "Session ended")));
            }
            LOCK_DEVICE => {
                self.is_unlocked = self.setup.pin.is_none();
                out.push(Out::Message(SUCCESS, text_body(1, "Session cleared")));
            }
            PING | APPLY_FLAGS | GET_PUBLIC_KEY | SIGN_IDENTITY | GET_ECDH_SESSION_KEY => {
                self.asked(&mut out, number, fields);
            }
            BUTTON_ACK | PIN_MATRIX_ACK | PASSPHRASE_ACK | PASSPHRASE_STATE_ACK => {
                self.acknowledged(&mut out, number, &fields);
            }
            _ => self.fail(&mut out, UNEXPECTED_MESSAGE, "Unexpected message"),
        }
        out
    }

    /// The first model, while it asks the person: it takes what it waits for, or what ends it.
    fn is_closed_to(&mut self, out: &mut Vec<Out>, number: u16) -> bool {
        let Some(waits) = self.pending.as_ref().map(|it| it.waits) else {
            return false;
        };
        match (number, waits) {
            // It ends without a word.
            (INITIALIZE | CANCEL, Waits::Passphrase) => self.give_up(out),
            (INITIALIZE, _) => {
                self.give_up(out);
                self.begin_session();
                self.features(out);
            }
            (CANCEL, _)
            | (PIN_MATRIX_ACK, Waits::Pin)
            | (PASSPHRASE_ACK, Waits::Passphrase)
            | (PASSPHRASE_STATE_ACK, Waits::PassphraseState)
            | (BUTTON_ACK, Waits::Button | Waits::PassphraseScreen) => return false,
            _ => {}
        }
        true
    }

    fn asked(&mut self, out: &mut Vec<Out>, number: u16, fields: Fields) {
        if self.setup.state == State::Loader {
            return self.fail(out, UNEXPECTED_MESSAGE, "Unexpected message");
        }
        if self.setup.state == State::Empty {
            return self.fail(out, NOT_INITIALIZED, "Device not initialized");
        }
        if !is_own(number) && !fits(&self.setup, number, &fields) {
            return self.fail(out, NOT_TAKEN, "bytes overflow");
        }
        // Firmware 2.4.1 and later.
        let has_pages = self.setup.version >= [2, 4, 1] && !is_own(number);
        let pages = screen(number, &fields).len() / PAGE_BYTES;
        self.pending = Some(Pending {
            number,
            body: fields,
            waits: Waits::Nothing,
            is_confirmed: matches!(number, GET_PUBLIC_KEY | APPLY_FLAGS),
            passphrase_screens: 0,
            pages: if has_pages { pages } else { 0 },
        });
        self.go_on(out);
    }

    /// What was asked before is asked no more.
    fn give_up(&mut self, out: &mut Vec<Out>) {
        if self.pending.take().is_some() {
            out.push(Out::Screen("home".to_owned()));
        }
    }

    fn begin_session(&mut self) {
        let mut id = [0; 32];
        // Without randomness there is no session, as on the device.
        let _ = aws_lc_rs::rand::fill(&mut id);
        self.sessions.push(Session {
            id,
            passphrase: None,
        });
        self.session = self.sessions.len() - 1;
    }

    /// The first model remembers the last session alone; old firmwares none.
    fn initialize(&mut self, id: Option<&[u8]>) {
        let mut known = self.sessions.iter().enumerate();
        let found = known.find(|(_, it)| Some(it.id.as_slice()) == id);
        let found = found.map(|(at, _)| at);
        let is_first = self.setup.is_first_model();
        match found.filter(|at| !is_first || *at == self.session) {
            Some(at) => self.session = at,
            None => self.begin_session(),
        }
    }

    fn features(&self, out: &mut Vec<Out>) {
        let [major, minor, patch] = self.setup.version;
        let is_first = self.setup.is_first_model();
        let internal: &[u8] = if is_first { b"T1B1" } else { b"T2T1" };
        let mut body = Body::default()
            .bytes(1, b"trezor.io")
            .number(2, major)
            .number(3, minor)
            .number(4, patch)
            .number(5, u64::from(self.setup.state == State::Loader))
            .bytes(6, b"0123456789ABCDEF01234567")
            .number(7, u64::from(self.setup.pin.is_some()));
        // Which wallets there are is nobody's business while it is locked.
        if self.is_unlocked {
            body = body.number(8, u64::from(self.setup.has_passphrase));
        }
        body = body
            .bytes(9, b"en-US")
            .bytes(10, b"Test")
            .number(12, u64::from(self.setup.state != State::Empty))
            .bytes(13, b"abcdef")
            .number(16, u64::from(self.is_unlocked))
            .bytes(21, self.setup.model.as_bytes());
        if !self.setup.is_old() {
            body = body.number(30, 1).number(30, 5);
            if !is_first {
                body = body.number(30, 17);
            }
            if let Some(session) = self.sessions.get(self.session) {
                body = body.bytes(35, &session.id);
            }
        }
        if self.is_unlocked && self.setup.is_passphrase_on_device {
            body = body.number(36, 1);
        }
        out.push(Out::Message(FEATURES, body.bytes(44, internal).finish()));
    }

    fn acknowledged(&mut self, out: &mut Vec<Out>, number: u16, fields: &Fields) {
        let Some(pending) = &mut self.pending else {
            return self.fail(out, UNEXPECTED_MESSAGE, "Unexpected message");
        };
        match (pending.waits, number) {
            (Waits::Pin, PIN_MATRIX_ACK) => {
                // The matrix is not scrambled here: places are digits.
                self.is_unlocked = Some(text(fields, 1)) == self.setup.pin;
                if !self.is_unlocked {
                    return self.fail(out, PIN_INVALID, "PIN invalid");
                }
            }
            (Waits::PinOnDevice, BUTTON_ACK) => self.is_unlocked = true,
            (Waits::Passphrase, PASSPHRASE_ACK) => {
                if let Err(why) = self.passphrase(fields) {
                    return self.fail(out, NOT_TAKEN, why);
                }
            }
            (Waits::PassphraseOnDevice, BUTTON_ACK) => {
                pending.waits = Waits::Nothing;
                self.open("on device".to_owned());
            }
            (Waits::PassphraseState, PASSPHRASE_STATE_ACK) => pending.waits = Waits::Nothing,
            (Waits::PassphraseScreen, BUTTON_ACK) => pending.passphrase_screens -= 1,
            (Waits::Button, BUTTON_ACK) if pending.pages > 0 => pending.pages -= 1,
            (Waits::Button, BUTTON_ACK) => match self.setup.decide {
                Decide::Yes | Decide::False | Decide::Other => pending.is_confirmed = true,
                Decide::No => return self.fail(out, ACTION_CANCELLED, "Action cancelled"),
                Decide::Never => return,
                Decide::Unplug => return out.push(Out::Unplug),
                Decide::Garbage => return out.push(Out::Garbage),
            },
            _ => return self.fail(out, UNEXPECTED_MESSAGE, "Unexpected message"),
        }
        self.go_on(out);
    }

    /// The passphrase came, or the word that it is typed here.
    fn passphrase(&mut self, fields: &Fields) -> Result<(), &'static str> {
        let Some(pending) = &mut self.pending else {
            return Ok(());
        };
        let is_old = self.setup.is_old();
        let is_on_device =
            numbers(fields, 3).contains(&1) || (is_old && self.setup.is_passphrase_on_device);
        match (is_on_device, bytes(fields, 1).is_some()) {
            (true, false) => pending.waits = Waits::PassphraseOnDevice,
            (false, true) => {
                let passphrase = text(fields, 1);
                if passphrase.len() > 50 {
                    return Err("Maximum passphrase length is 50 bytes");
                }
                let is_shown = !passphrase.is_empty() && self.setup.shows_passphrase();
                pending.passphrase_screens = if is_shown { 2 } else { 0 };
                pending.waits = Waits::Nothing;
                if is_old {
                    pending.waits = Waits::PassphraseState;
                }
                self.open(passphrase);
            }
            _ => return Err("Passphrase provided when it should not be"),
        }
        Ok(())
    }

    fn open(&mut self, passphrase: String) {
        if let Some(session) = self.sessions.get_mut(self.session) {
            session.passphrase = Some(passphrase);
        }
    }

    /// Asks for what is missing, or answers.
    fn go_on(&mut self, out: &mut Vec<Out>) {
        let Some(waits) = self.missing() else {
            return self.answer(out);
        };
        let Some(pending) = &mut self.pending else {
            return;
        };
        pending.waits = waits;
        let number = pending.number;
        let button = |code| Out::Message(BUTTON_REQUEST, Body::default().number(1, code).finish());
        let shown = |text: &str| Out::Screen(text.to_owned());
        match waits {
            Waits::Button => {
                let code = match number {
                    _ if self.setup.is_first_model() => BUTTON_PROTECT_CALL,
                    GET_ECDH_SESSION_KEY => BUTTON_ADDRESS,
                    _ => BUTTON_OTHER,
                };
                let screen = if is_own(number) {
                    "continue?".to_owned()
                } else {
                    screen(number, &pending.body)
                };
                out.extend([Out::Screen(screen), button(code)]);
            }
            Waits::PinOnDevice => out.extend([shown("PIN"), button(BUTTON_PIN)]),
            Waits::PassphraseScreen => out.extend([shown("passphrase"), button(BUTTON_OTHER)]),
            Waits::PassphraseOnDevice => {
                out.extend([shown("passphrase"), button(BUTTON_PASSPHRASE)]);
            }
            Waits::PassphraseState => {
                let body = Body::default().bytes(1, &[7; 64]).finish();
                out.push(Out::Message(PASSPHRASE_STATE_REQUEST, body));
            }
            Waits::Pin => {
                let body = Body::default().number(1, 1).finish();
                out.push(Out::Message(PIN_MATRIX_REQUEST, body));
            }
            Waits::Passphrase => {
                // Of old firmwares: where it is typed is said at once.
                let body = if self.setup.is_old() && !self.setup.is_first_model() {
                    let flag = u64::from(self.setup.is_passphrase_on_device);
                    Body::default().number(1, flag)
                } else {
                    Body::default()
                };
                out.push(Out::Message(PASSPHRASE_REQUEST, body.finish()));
            }
            Waits::Nothing => {}
        }
    }

    /// What is to be asked next; none once everything is there.
    fn missing(&self) -> Option<Waits> {
        let pending = self.pending.as_ref()?;
        let session = self.sessions.get(self.session);
        let has_passphrase = session.is_some_and(|it| it.passphrase.is_some());
        let needs_passphrase =
            self.setup.has_passphrase && !has_passphrase && !is_own(pending.number);
        let needs_button = !pending.is_confirmed;
        let is_first = self.setup.is_first_model();
        let is_always_here = self.setup.is_passphrase_on_device && !self.setup.is_old();
        let is_typed_here = pending.waits == Waits::PassphraseOnDevice || is_always_here;
        if needs_button && is_first {
            Some(Waits::Button)
        } else if !self.is_unlocked && is_first {
            Some(Waits::Pin)
        } else if !self.is_unlocked {
            Some(Waits::PinOnDevice)
        } else if pending.waits == Waits::PassphraseState {
            Some(Waits::PassphraseState)
        } else if needs_passphrase && is_typed_here {
            Some(Waits::PassphraseOnDevice)
        } else if needs_passphrase {
            Some(Waits::Passphrase)
        } else if pending.passphrase_screens > 0 {
            Some(Waits::PassphraseScreen)
        } else {
            needs_button.then_some(Waits::Button)
        }
    }

    fn answer(&mut self, out: &mut Vec<Out>) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        if is_own(pending.number) {
            let message = text(&pending.body, 1);
            return out.push(Out::Message(SUCCESS, text_body(1, &message)));
        }
        let session = self.sessions.get(self.session);
        let passphrase = session.and_then(|it| it.passphrase.clone());
        let seed = seed(&self.setup.words, &passphrase.unwrap_or_default());
        match answer(&self.setup, &seed, pending.number, &pending.body) {
            Ok((number, body)) => out.push(Out::Message(number, body)),
            Err(why) => self.fail(out, NOT_TAKEN, why),
        }
    }

    fn fail(&mut self, out: &mut Vec<Out>, code: u64, message: &str) {
        self.pending = None;
        let body = Body::default().number(1, code).bytes(2, message.as_bytes());
        out.push(Out::Message(FAILURE, body.finish()));
    }
}

/// 100 characters, more or less.
const PAGE_BYTES: usize = 100;

/// Requests that need no seed.
const fn is_own(number: u16) -> bool {
    matches!(number, PING | APPLY_FLAGS)
}

fn text_body(field: u64, text: &str) -> Vec<u8> {
    Body::default().bytes(field, text.as_bytes()).finish()
}
