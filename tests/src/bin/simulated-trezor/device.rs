//! What the device does with messages: asks for PIN, passphrase and button, then answers.
//!
//! Source: trezor-firmware, `common/protob/messages*.proto` for numbers and fields; for the order
//! of questions `legacy/firmware/fsm_msg_crypto.h` (model 1: button, PIN, passphrase) and
//! `core/src/apps/misc` (the others: PIN and passphrase, then the button).

use super::derive::{Curve, Key, path, seed};
use super::wire::{Body, Fields, bytes, fields, numbers, text};

use aws_lc_rs::digest::{SHA256, digest};

/// How the device was set up, and what its person does.
pub(super) struct Setup {
    pub(super) words: String,
    pub(super) model: String,
    pub(super) version: [u64; 3],
    pub(super) pin: Option<String>,
    pub(super) has_passphrase: bool,
    pub(super) is_set_up: bool,
    pub(super) decide: Decide,
}

impl Default for Setup {
    fn default() -> Self {
        // trezor-firmware's own words for tests.
        let words = "alcohol woman abuse must during monitor noble actual mixed trade anger aisle";
        Self {
            words: words.to_owned(),
            model: "T".to_owned(),
            version: [2, 6, 0],
            pin: None,
            has_passphrase: false,
            is_set_up: true,
            decide: Decide::Yes,
        }
    }
}

/// What the person does at the button, or the device in the place of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Decide {
    Yes,
    No,
    Never,
    /// The cable is pulled.
    Unplug,
    /// Bytes that are no message.
    Garbage,
    /// A signature with a wrong bit.
    False,
    /// A signature of another key.
    Other,
}

impl Decide {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "yes" => Some(Self::Yes),
            "no" => Some(Self::No),
            "never" => Some(Self::Never),
            "unplug" => Some(Self::Unplug),
            "garbage" => Some(Self::Garbage),
            "false" => Some(Self::False),
            "other" => Some(Self::Other),
            _ => None,
        }
    }
}

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
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Nothing,
    Pin,
    PinOnDevice,
    Passphrase,
    PassphraseOnDevice,
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
            self.fail(&mut out, 3, "Failed to decode message");
            return out;
        };
        match number {
            INITIALIZE => {
                self.pending = None;
                self.initialize(bytes(&fields, 1));
                self.features(&mut out);
            }
            GET_FEATURES => self.features(&mut out),
            CANCEL => {
                let is_pin = self
                    .pending
                    .as_ref()
                    .is_some_and(|it| it.waits == Waits::Pin);
                self.fail(&mut out, if is_pin { 6 } else { 4 }, "Cancelled");
            }
            PING | END_SESSION | LOCK_DEVICE => {
                if number == LOCK_DEVICE {
                    self.is_unlocked = self.setup.pin.is_none();
                }
                if number == END_SESSION {
                    self.begin_session();
                }
                out.push(Out::Message(SUCCESS, text_body(1, "")));
            }
            GET_PUBLIC_KEY | SIGN_IDENTITY | GET_ECDH_SESSION_KEY => {
                if !self.setup.is_set_up {
                    self.fail(&mut out, 11, "Device not initialized");
                    return out;
                }
                self.pending = Some(Pending {
                    number,
                    body: fields,
                    waits: Waits::Nothing,
                    is_confirmed: number == GET_PUBLIC_KEY,
                    passphrase_screens: 0,
                });
                self.go_on(&mut out);
            }
            BUTTON_ACK | PIN_MATRIX_ACK | PASSPHRASE_ACK => {
                self.acknowledged(&mut out, number, &fields);
            }
            _ => self.fail(&mut out, 1, "Unexpected message"),
        }
        out
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

    /// The first model remembers the last session alone.
    fn initialize(&mut self, id: Option<&[u8]>) {
        let mut known = self.sessions.iter().enumerate();
        let found = known.find(|(_, it)| Some(it.id.as_slice()) == id);
        let found = found.map(|(at, _)| at);
        match found.filter(|at| !self.is_first_model() || *at == self.session) {
            Some(at) => self.session = at,
            None => self.begin_session(),
        }
    }

    fn features(&self, out: &mut Vec<Out>) {
        let [major, minor, patch] = self.setup.version;
        let mut body = Body::default()
            .bytes(1, b"trezor.io")
            .number(2, major)
            .number(3, minor)
            .number(4, patch)
            .bytes(6, b"0123456789ABCDEF01234567")
            .number(7, u64::from(self.setup.pin.is_some()))
            .number(8, u64::from(self.setup.has_passphrase))
            .bytes(9, b"en-US")
            .bytes(10, b"Test")
            .number(12, u64::from(self.setup.is_set_up))
            .bytes(13, b"abcdef")
            .bytes(21, self.setup.model.as_bytes())
            .number(30, 1)
            .number(30, 5);
        if !self.is_first_model() {
            body = body.number(30, 17);
        }
        if let Some(session) = self.sessions.get(self.session) {
            body = body.bytes(35, &session.id);
        }
        out.push(Out::Message(FEATURES, body.finish()));
    }

    fn is_first_model(&self) -> bool {
        self.setup.model == "1"
    }

    fn acknowledged(&mut self, out: &mut Vec<Out>, number: u16, fields: &Fields) {
        let Some(pending) = &mut self.pending else {
            return self.fail(out, 1, "Unexpected message");
        };
        match (pending.waits, number) {
            (Waits::Pin, PIN_MATRIX_ACK) => {
                // The matrix is not scrambled here: places are digits.
                self.is_unlocked = Some(text(fields, 1)) == self.setup.pin;
                if !self.is_unlocked {
                    return self.fail(out, 7, "PIN invalid");
                }
            }
            (Waits::PinOnDevice, BUTTON_ACK) => self.is_unlocked = true,
            (Waits::Passphrase, PASSPHRASE_ACK) => {
                let is_on_device = numbers(fields, 3).contains(&1);
                match (is_on_device, bytes(fields, 1).is_some()) {
                    (true, false) => pending.waits = Waits::PassphraseOnDevice,
                    (false, true) => {
                        let passphrase = text(fields, 1);
                        let is_shown = !passphrase.is_empty() && self.setup.model != "1";
                        pending.passphrase_screens = if is_shown { 2 } else { 0 };
                        pending.waits = Waits::Nothing;
                        self.open(passphrase);
                    }
                    _ => return self.fail(out, 3, "Passphrase"),
                }
            }
            (Waits::PassphraseOnDevice, BUTTON_ACK) => {
                pending.waits = Waits::Nothing;
                self.open("on device".to_owned());
            }
            (Waits::PassphraseScreen, BUTTON_ACK) => pending.passphrase_screens -= 1,
            (Waits::Button, BUTTON_ACK) => match self.setup.decide {
                Decide::Yes | Decide::False | Decide::Other => pending.is_confirmed = true,
                Decide::No => return self.fail(out, 4, "Action cancelled"),
                Decide::Never => return,
                Decide::Unplug => return out.push(Out::Unplug),
                Decide::Garbage => return out.push(Out::Garbage),
            },
            _ => return self.fail(out, 1, "Unexpected message"),
        }
        self.go_on(out);
    }

    fn open(&mut self, passphrase: String) {
        if let Some(session) = self.sessions.get_mut(self.session) {
            session.passphrase = Some(passphrase);
        }
    }

    /// Asks for what is missing, or answers.
    fn go_on(&mut self, out: &mut Vec<Out>) {
        let Some(pending) = &self.pending else {
            return;
        };
        let needs_pin = !self.is_unlocked;
        let session = self.sessions.get(self.session);
        let has_passphrase = session.is_some_and(|it| it.passphrase.is_some());
        let needs_passphrase = self.setup.has_passphrase && !has_passphrase;
        let needs_button = !pending.is_confirmed;
        let is_typing = pending.waits == Waits::PassphraseOnDevice;
        let screens = pending.passphrase_screens;
        let is_first = self.is_first_model();
        let waits = if needs_button && is_first {
            Waits::Button
        } else if needs_pin && is_first {
            Waits::Pin
        } else if needs_pin {
            Waits::PinOnDevice
        } else if is_typing {
            Waits::PassphraseOnDevice
        } else if needs_passphrase {
            Waits::Passphrase
        } else if screens > 0 {
            Waits::PassphraseScreen
        } else if needs_button {
            Waits::Button
        } else {
            return self.answer(out);
        };
        let screen = self.screen();
        if let Some(pending) = &mut self.pending {
            pending.waits = waits;
        }
        let button = |code| Out::Message(BUTTON_REQUEST, Body::default().number(1, code).finish());
        match waits {
            Waits::Button => out.extend([Out::Screen(screen), button(8)]),
            Waits::PinOnDevice => out.extend([Out::Screen("PIN".to_owned()), button(20)]),
            Waits::PassphraseOnDevice | Waits::PassphraseScreen => {
                out.extend([Out::Screen("passphrase".to_owned()), button(19)]);
            }
            Waits::Pin => {
                let body = Body::default().number(1, 1).finish();
                out.push(Out::Message(PIN_MATRIX_REQUEST, body));
            }
            Waits::Passphrase => out.push(Out::Message(PASSPHRASE_REQUEST, Vec::new())),
            Waits::Nothing => {}
        }
    }

    /// What is shown for a request.
    fn screen(&self) -> String {
        let Some(pending) = &self.pending else {
            return String::new();
        };
        let verb = match pending.number {
            SIGN_IDENTITY => "sign",
            _ => "decrypt",
        };
        let identity = Identity::of(&pending.body);
        format!(
            "{verb} {}",
            identity.map(|it| it.text()).unwrap_or_default()
        )
    }

    fn answer(&mut self, out: &mut Vec<Out>) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let session = self.sessions.get(self.session);
        let passphrase = session
            .and_then(|it| it.passphrase.clone())
            .unwrap_or_default();
        let seed = seed(&self.setup.words, &passphrase);
        let answered = match pending.number {
            GET_PUBLIC_KEY => public_key(&seed, &pending.body),
            SIGN_IDENTITY => self.signed(&seed, &pending.body),
            _ => shared(&seed, &pending.body),
        };
        match answered {
            Ok((number, body)) => out.push(Out::Message(number, body)),
            Err(why) => self.fail(out, 3, why),
        }
    }

    fn signed(&self, seed: &[u8], fields: &Fields) -> Answered {
        let identity = Identity::of(fields).ok_or("No identity provided")?;
        let challenge = bytes(fields, 2).unwrap_or_default();
        if self.is_first_model() && (challenge.len() > 512 || identity.host.len() > 63) {
            return Err("bytes overflow");
        }
        let curve = Curve::of(&text(fields, 4)).ok_or("Unknown curve")?;
        let index = identity.index + u32::from(self.setup.decide == Decide::Other);
        let key = Key::of(curve, seed, &path(&identity.text(), index, 13)).ok_or("path")?;
        let content = match (identity.proto.as_str(), curve) {
            ("ssh" | "gpg" | "signify", Curve::Ed25519) => challenge.to_vec(),
            ("ssh", _) => digest(&SHA256, challenge).as_ref().to_vec(),
            ("gpg", _) if challenge.len() == 32 => challenge.to_vec(),
            ("gpg", _) => return Err("Error signing identity"),
            // What Bitcoin's messages look like is no matter here.
            _ => return Err("Unsupported curve"),
        };
        let mut signature = key.sign(&content).ok_or("Error signing identity")?;
        if self.setup.decide == Decide::False
            && let Some(last) = signature.last_mut()
        {
            *last ^= 1;
        }
        let body = Body::default().bytes(2, &key.public()).bytes(3, &signature);
        Ok((SIGNED_IDENTITY, body.finish()))
    }

    fn fail(&mut self, out: &mut Vec<Out>, code: u64, message: &str) {
        self.pending = None;
        let body = Body::default().number(1, code).bytes(2, message.as_bytes());
        out.push(Out::Message(FAILURE, body.finish()));
    }
}

type Answered = Result<(u16, Vec<u8>), &'static str>;

fn public_key(seed: &[u8], fields: &Fields) -> Answered {
    let steps: Vec<u32> = numbers(fields, 1)
        .into_iter()
        .filter_map(|it| it.try_into().ok())
        .collect();
    let curve = Curve::of(&text(fields, 2)).ok_or("Unknown curve")?;
    let key = Key::of(curve, seed, &steps).ok_or("Forbidden key path")?;
    let depth = u64::try_from(steps.len()).unwrap_or_default();
    let last = steps.last().copied().unwrap_or_default();
    let node = Body::default()
        .number(1, depth)
        .number(2, 0x1234_5678)
        .number(3, last.into())
        .bytes(4, &[7; 32])
        .bytes(6, &key.public());
    let body = Body::default()
        .bytes(1, &node.finish())
        .bytes(2, b"xpub")
        .number(3, 0x1234_5678);
    Ok((PUBLIC_KEY, body.finish()))
}

fn shared(seed: &[u8], fields: &Fields) -> Answered {
    let identity = Identity::of(fields).ok_or("No identity provided")?;
    let peer = bytes(fields, 2).ok_or("No peer public key provided")?;
    let curve = Curve::of(&text(fields, 3)).ok_or("Unknown curve")?;
    let steps = path(&identity.text(), identity.index, 17);
    let key = Key::of(curve, seed, &steps).ok_or("path")?;
    let point = key.agree(peer).ok_or("Error getting ECDH session key")?;
    let body = Body::default().bytes(1, &point).bytes(2, &key.public());
    Ok((ECDH_SESSION_KEY, body.finish()))
}

/// `IdentityType`.
struct Identity {
    proto: String,
    user: String,
    host: String,
    port: String,
    path: String,
    index: u32,
}

impl Identity {
    fn of(request: &Fields) -> Option<Self> {
        let inner = fields(bytes(request, 1)?)?;
        let index = numbers(&inner, 6).last().copied().unwrap_or_default();
        Some(Self {
            proto: text(&inner, 1),
            user: text(&inner, 2),
            host: text(&inner, 3),
            port: text(&inner, 4),
            path: text(&inner, 5),
            index: index.try_into().ok()?,
        })
    }

    /// SLIP-0013, as the firmwares put it together.
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.proto.is_empty() {
            text += &format!("{}://", self.proto);
        }
        if !self.user.is_empty() {
            text += &format!("{}@", self.user);
        }
        text += &self.host;
        if !self.port.is_empty() {
            text += &format!(":{}", self.port);
        }
        text + &self.path
    }
}

fn text_body(field: u64, text: &str) -> Vec<u8> {
    Body::default().bytes(field, text.as_bytes()).finish()
}

const INITIALIZE: u16 = 0;
const PING: u16 = 1;
const SUCCESS: u16 = 2;
const FAILURE: u16 = 3;
const GET_PUBLIC_KEY: u16 = 11;
const PUBLIC_KEY: u16 = 12;
const FEATURES: u16 = 17;
const PIN_MATRIX_REQUEST: u16 = 18;
const PIN_MATRIX_ACK: u16 = 19;
const CANCEL: u16 = 20;
const LOCK_DEVICE: u16 = 24;
const BUTTON_REQUEST: u16 = 26;
const BUTTON_ACK: u16 = 27;
const PASSPHRASE_REQUEST: u16 = 41;
const PASSPHRASE_ACK: u16 = 42;
const SIGN_IDENTITY: u16 = 53;
const SIGNED_IDENTITY: u16 = 54;
const GET_FEATURES: u16 = 55;
const GET_ECDH_SESSION_KEY: u16 = 61;
const ECDH_SESSION_KEY: u16 = 62;
const END_SESSION: u16 = 83;
