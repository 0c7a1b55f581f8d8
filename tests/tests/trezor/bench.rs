//! A device in a thread, a machine, the cable between them, and a person who answers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc as threads;
use std::time::Duration;

use keystead_core::{
    Curve, DecryptForm, DecryptRequest, Derivation, Evidence, Identity, KeyEntry, KeyId, Name,
    PublicKeyRequest, RequestBody, ResponseBody, SecretBytes, SignForm, SignRequest,
    WalletFingerprint,
};
use keystead_daemon::{Clock, Now, SystemClock};
use keystead_keeper::trezor::{
    Action, Answer as Typed, Event, LinkEvent, LinkFault, Machine, Opened, Question, SecretReport,
    Setup as Known, TrezorDown, TrezorEvent, TrezorLink, TrezorPath,
};
use keystead_keeper::{Answer, AskId, KeeperError, Progress};
use tokio::sync::mpsc;

use crate::device::{Device, Out};
use crate::numbers::{GET_PUBLIC_KEY, PASSPHRASE_REQUEST};
use crate::setup::Setup;
use crate::wire::{self, Assembler};

/// All of it.
pub(crate) struct Bench {
    machine: Machine,
    path: TrezorPath,
    link: Option<TrezorLink>,
    came: mpsc::Receiver<TrezorEvent>,
    screens: threads::Receiver<String>,
    last: u64,
    /// The steady clock is so far ahead.
    pub(crate) ahead_ms: u64,
    /// What the person types, the next last.
    pub(crate) typed: Vec<Reply>,
    /// What the person was told.
    pub(crate) said: Vec<String>,
    /// What the person was asked.
    pub(crate) asked: Vec<Question>,
}

/// What the person does when asked.
pub(crate) enum Reply {
    Text(&'static str),
    OnDevice,
    Cancel,
    /// Nothing; the request is taken back.
    Leave,
}

/// How an ask ended; none when it was taken back.
pub(crate) type End = Option<Result<Answer, KeeperError>>;

impl Bench {
    pub(crate) fn new(setup: Setup) -> Self {
        let (path, screens) = plug_in(setup);
        Self::at(TrezorPath::Udp(path), screens)
    }

    fn at(path: TrezorPath, screens: threads::Receiver<String>) -> Self {
        let known = Known {
            name: Name::new("trezor").unwrap(),
            wallet: None,
            is_passphrase_on_device: false,
        };
        let (_, came) = mpsc::channel(1);
        Self {
            machine: Machine::new(known),
            path,
            link: None,
            came,
            screens,
            last: 0,
            ahead_ms: 0,
            typed: Vec::new(),
            said: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Where no device is.
    pub(crate) fn without() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = TrezorPath::Udp(socket.local_addr().unwrap());
        let (_, screens) = threads::channel();
        Self::at(path, screens)
    }

    pub(crate) fn expecting(mut self, wallet: WalletFingerprint) -> Self {
        self.machine.expect(wallet);
        self
    }

    /// The passphrase is typed on the device.
    pub(crate) fn on_device(mut self) -> Self {
        self.machine = Machine::new(Known {
            name: Name::new("trezor").unwrap(),
            wallet: None,
            is_passphrase_on_device: true,
        });
        self
    }

    /// Has the person type these, the first first.
    pub(crate) fn typing(mut self, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.typed = replies.into_iter().collect();
        self.typed.reverse();
        self
    }

    /// What the device has shown since the last time.
    pub(crate) fn screens(&self) -> Vec<String> {
        // What is shown stands before the message that says so.
        self.screens.try_iter().collect()
    }

    pub(crate) async fn key(&mut self, identity: &Identity) -> KeyEntry {
        let body = RequestBody::PublicKey(PublicKeyRequest {
            identity: identity.clone(),
            wallet: None,
        });
        let answered = body_of(self.ask(body).await);
        let ResponseBody::Key(key) = answered else {
            panic!("no key: {answered:?}");
        };
        key
    }

    pub(crate) async fn sign(
        &mut self,
        identity: &Identity,
        form: SignForm,
        content: &[u8],
    ) -> End {
        let key = self.key(identity).await.id;
        self.sign_by(identity, key, form, content).await
    }

    pub(crate) async fn sign_by(
        &mut self,
        identity: &Identity,
        key: KeyId,
        form: SignForm,
        content: &[u8],
    ) -> End {
        let body = RequestBody::Sign(SignRequest {
            key,
            form,
            content: content.to_vec(),
            flags: 0,
            evidence: Evidence::default(),
            identity: Some(identity.clone()),
        });
        self.ask(body).await
    }

    pub(crate) async fn decrypt(
        &mut self,
        identity: &Identity,
        form: DecryptForm,
        content: &[u8],
    ) -> End {
        let key = self.key(identity).await.id;
        let body = RequestBody::Decrypt(DecryptRequest {
            key,
            form,
            content: content.to_vec(),
            evidence: Evidence::default(),
            identity: Some(identity.clone()),
        });
        self.ask(body).await
    }

    pub(crate) async fn ask(&mut self, body: RequestBody) -> End {
        let ask = self.next();
        let wait_s = 60;
        let event = Event::Ask { ask, body, wait_s };
        match self.run(ask, event).await {
            Some(Ended::Ask(end)) => Some(*end),
            Some(Ended::Command(end)) => panic!("a command's end: {end:?}"),
            None => None,
        }
    }

    pub(crate) async fn open(&mut self) -> Result<Opened, KeeperError> {
        let ask = self.next();
        match self.run(ask, Event::Open { ask, wait_s: 60 }).await {
            Some(Ended::Command(end)) => end.map(Option::unwrap),
            _ => panic!("no end of a command"),
        }
    }

    pub(crate) async fn lock(&mut self) -> Result<(), KeeperError> {
        let ask = self.next();
        match self.run(ask, Event::Lock { ask }).await {
            Some(Ended::Command(end)) => end.map(|_| ()),
            _ => panic!("no end of a command"),
        }
    }

    /// Lets the time that is due pass, and all that follows from it.
    pub(crate) async fn pass(&mut self, ms: u64) {
        self.ahead_ms += ms;
        let mut ended = None;
        self.step(Event::Tick, AskId(0), &mut ended);
        self.settle().await;
    }

    /// Until the cable is closed.
    pub(crate) async fn settle(&mut self) {
        let mut ended = None;
        while self.link.is_some() {
            let event = self.came().await;
            self.step(event, AskId(0), &mut ended);
        }
    }

    /// Another program asks for a key, and goes when it is asked for the passphrase.
    pub(crate) fn leave_open(&self) {
        let TrezorPath::Udp(device) = self.path else {
            panic!("no port");
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for report in wire::reports(GET_PUBLIC_KEY, &[]) {
            socket.send_to(&report, device).unwrap();
        }
        let mut report = [0; 64];
        socket.recv(&mut report).unwrap();
        assert_eq!(report[3..5], PASSPHRASE_REQUEST.to_be_bytes());
    }

    fn next(&mut self) -> AskId {
        self.last += 1;
        AskId(self.last)
    }

    /// Until `ask` has ended. Whoever never answers is waited for by taking the ask back.
    async fn run(&mut self, ask: AskId, event: Event) -> Option<Ended> {
        let mut ended = None;
        self.step(event, ask, &mut ended);
        while ended.is_none() {
            let event = self.came().await;
            self.step(event, ask, &mut ended);
            if matches!(self.typed.last(), Some(Reply::Leave)) && self.is_at_button() {
                self.typed.pop();
                self.step(Event::Withdraw { ask }, ask, &mut ended);
                self.settle().await;
                return None;
            }
        }
        ended
    }

    fn is_at_button(&self) -> bool {
        self.said.last().is_some_and(|it| it.starts_with("look at"))
    }

    async fn came(&mut self) -> Event {
        let wake_ms = self.machine.next_wake_ms();
        let now_ms = self.now().mono_ms;
        let pause = wake_ms.map_or(60_000, |it| it.saturating_sub(now_ms));
        tokio::select! {
            came = self.came.recv() => match came {
                Some(TrezorEvent::Up) => Event::Link(LinkEvent::Up),
                Some(TrezorEvent::Report(mut report)) => {
                    Event::Link(LinkEvent::Report(SecretReport(SecretBytes::take(&mut report))))
                }
                Some(TrezorEvent::Down(TrezorDown::Away(why))) => {
                    Event::Link(LinkEvent::Down(LinkFault::Away(why)))
                }
                Some(TrezorEvent::Down(other)) => panic!("{other:?}"),
                None => panic!("the cable has said that it is down"),
            },
            () = tokio::time::sleep(Duration::from_millis(pause)) => Event::Tick,
        }
    }

    fn now(&self) -> Now {
        let now = SystemClock.now();
        Now {
            mono_ms: now.mono_ms + self.ahead_ms,
            ..now
        }
    }

    fn step(&mut self, event: Event, ask: AskId, ended: &mut Option<Ended>) {
        for action in self.machine.step(self.now(), event) {
            match action {
                Action::OpenLink => {
                    let (told, came) = mpsc::channel(64);
                    self.came = came;
                    self.link = Some(TrezorLink::open(self.path.clone(), told));
                }
                Action::Send(reports) => {
                    for report in reports.iter() {
                        self.link.as_ref().unwrap().send(report.try_into().unwrap());
                    }
                }
                Action::CloseLink => self.link = None,
                Action::Progress {
                    ask: its,
                    progress: Progress::Done(end),
                } if its == ask => *ended = Some(Ended::Ask(Box::new(end))),
                Action::Progress { .. } | Action::QuestionOver(_) => {}
                Action::Finished { ask: its, end } if its == ask => {
                    *ended = Some(Ended::Command(end));
                }
                Action::Finished { .. } => {}
                Action::Say { text, .. } => self.said.push(text),
                Action::Ask { question, what, .. } => {
                    self.asked.push(what);
                    let answer = match self.typed.pop() {
                        Some(Reply::Text(text)) => {
                            Typed::Text(SecretBytes::take(&mut text.as_bytes().to_vec()))
                        }
                        Some(Reply::OnDevice) => Typed::OnDevice,
                        Some(Reply::Cancel) => Typed::Cancel,
                        Some(Reply::Leave) | None => panic!("asked for {what:?}"),
                    };
                    self.step(Event::Answer { question, answer }, ask, ended);
                }
            }
        }
        // A cable that went down is one no more.
        if self.came.is_closed() && self.came.is_empty() {
            self.link = None;
        }
    }
}

enum Ended {
    Ask(Box<Result<Answer, KeeperError>>),
    Command(Result<Option<Opened>, KeeperError>),
}

/// What was approved.
#[track_caller]
pub(crate) fn body_of(end: End) -> ResponseBody {
    end.expect("not taken back")
        .expect("an answer")
        .body
        .expect("a body")
}

#[track_caller]
pub(crate) fn signature(end: End) -> Vec<u8> {
    let answered = body_of(end);
    let ResponseBody::Signature(signature) = answered else {
        panic!("no signature: {answered:?}");
    };
    signature
}

#[track_caller]
pub(crate) fn plaintext(end: End) -> Vec<u8> {
    let answered = body_of(end);
    let ResponseBody::Plaintext(plaintext) = answered else {
        panic!("no plaintext: {answered:?}");
    };
    plaintext.secret().expose().to_vec()
}

#[track_caller]
pub(crate) fn error(end: End) -> String {
    match end.expect("not taken back") {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{:?}", answer.outcome),
    }
}

pub(crate) fn identity(uri: &str, curve: Curve, index: u32, derivation: Derivation) -> Identity {
    Identity::new(uri, curve, index, derivation).unwrap()
}

pub(crate) fn ssh() -> Identity {
    identity("ssh://alex@host", Curve::Ed25519, 0, Derivation::Sign)
}

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let digits = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(digits, 16).unwrap()
    };
    pairs.iter().map(byte).collect()
}

/// A device at a port of its own, for as long as the process lives.
fn plug_in(setup: Setup) -> (SocketAddr, threads::Receiver<String>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (shown, screens) = threads::channel();
    std::thread::spawn(move || {
        let mut device = Device::new(setup);
        let mut assembler = Assembler::default();
        let mut buffer = [0; 256];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let bytes = &buffer[..length];
            if bytes == b"PINGPING" {
                socket.send_to(b"PONGPONG", from).unwrap();
                continue;
            }
            let Some((number, body)) = assembler.take(bytes) else {
                continue;
            };
            for out in device.take(number, &body) {
                match out {
                    Out::Screen(text) => drop(shown.send(text)),
                    Out::Message(number, body) => {
                        for report in wire::reports(number, &body) {
                            socket.send_to(&report, from).unwrap();
                        }
                    }
                    Out::Garbage => drop(socket.send_to(&[0x3f; 64], from).unwrap()),
                    Out::Unplug => return,
                }
            }
        }
    });
    (address, screens)
}
