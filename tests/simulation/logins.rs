//! Programs that want signatures, and what they get.
//!
//! **Invariant:** checked as it happens: every frame is answered once and in
//! its turn, every signature request within its wait; a signature is the key's
//! over those very bytes, and its approval was durable before it was on its way.

use std::collections::{BTreeMap, VecDeque};

use keystead_agent::{ConnectionId, Event};
use keystead_core::hex;
use keystead_core::{KeyEntry, KeyType};
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, SessionBind, key, signature};
use keystead_vault::{RawSignature, SignOptions, SigningKey};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::machine::Site;
use crate::world::World;

pub(crate) struct Logins {
    host: SigningKey,
    programs: BTreeMap<ConnectionId, Program>,
    pub(crate) all: Vec<Login>,
}

/// A program at the agent's socket.
struct Program {
    workstation: usize,
    /// What it waits for, in order.
    awaits: VecDeque<Awaited>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Bind,
    Signature(usize),
}

/// One signature that is asked for.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) authenticator: usize,
    message: Vec<u8>,
    /// By the workstation's steady clock; none while others are before it.
    began_mono_ms: Option<u64>,
    pub(crate) end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Signature,
    Failure,
    /// The program went away, or the agent did.
    Nobody,
}

impl Logins {
    pub(crate) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            host: SigningKey::generate(KeyType::Ed25519, rng).unwrap(),
            programs: BTreeMap::new(),
            all: Vec::new(),
        }
    }

    pub(crate) fn count(&self, end: End) -> usize {
        self.all.iter().filter(|it| it.end == Some(end)).count()
    }

    pub(crate) fn open(&self) -> usize {
        self.all.iter().filter(|it| it.end.is_none()).count()
    }

    /// Programs that wait.
    pub(crate) fn programs(&self) -> Vec<ConnectionId> {
        self.programs.keys().copied().collect()
    }

    fn bind(&self, session_id: &[u8]) -> Vec<u8> {
        let keystead_vault::PublicKey::Ed25519(public) = self.host.public() else {
            panic!("another key")
        };
        let RawSignature::Ed25519(raw) =
            self.host.sign(session_id, SignOptions::default()).unwrap()
        else {
            panic!("another key")
        };
        let bind = SessionBind {
            host_key: PublicKey::ed25519(public),
            session_id: session_id.to_vec(),
            signature: signature::ed25519(&raw),
            forwarding: false,
        };
        let contents = bind.encode();
        let name = SessionBind::EXTENSION;
        let contents = contents.as_slice();
        Request::Extension { name, contents }.encode()
    }
}

impl World {
    /// A program logs in `count` times over one connection, without waiting between.
    pub(crate) fn log_in(&mut self, workstation: usize, authenticator: usize, count: usize) {
        if self.workstations[workstation].agent.is_none() {
            return;
        }
        let id = u64::try_from(self.logins.all.len()).unwrap();
        let connection = ConnectionId(id);
        let session_id: [u8; 32] = self.random();
        let key = self.authenticators[authenticator].key.clone();
        let bind = self.logins.bind(&session_id);
        let awaits = VecDeque::from([Awaited::Bind]);
        let program = Program {
            workstation,
            awaits,
        };
        self.logins.programs.insert(connection, program);
        let pid = Some(4_242);
        self.step_agent(workstation, Event::Connect { connection, pid });
        self.send_frame_to_agent(workstation, connection, bind);
        for _ in 0..count {
            self.sign(workstation, authenticator, connection, &key, &session_id);
        }
    }

    fn sign(
        &mut self,
        workstation: usize,
        authenticator: usize,
        connection: ConnectionId,
        key: &KeyEntry,
        session_id: &[u8],
    ) {
        let at = self.logins.all.len();
        let user = format!("user{at}");
        let public = PublicKey::from_blob(&key.public_key).unwrap();
        let message = UserAuth {
            session_id: session_id.to_vec(),
            user: user.clone(),
            algorithm: public.type_name().to_owned(),
            key: public,
            host_key: None,
        }
        .encode();
        let frame = Request::Sign {
            key: &key.public_key,
            message: &message,
            flags: 0,
        }
        .encode();
        self.logins.all.push(Login {
            user,
            authenticator,
            message,
            began_mono_ms: None,
            end: None,
        });
        let Some(program) = self.logins.programs.get_mut(&connection) else {
            return;
        };
        program.awaits.push_back(Awaited::Signature(at));
        self.begin_next(connection);
        self.send_frame_to_agent(workstation, connection, frame);
    }

    fn send_frame_to_agent(&mut self, at: usize, connection: ConnectionId, frame: Vec<u8>) {
        let frame = Zeroizing::new(frame);
        self.step_agent(at, Event::Frame { connection, frame });
    }

    /// The clock of the first that waits runs.
    fn begin_next(&mut self, connection: ConnectionId) {
        let Some(program) = self.logins.programs.get(&connection) else {
            return;
        };
        if let Some(Awaited::Signature(login)) = program.awaits.front() {
            let machine = &self.workstations[program.workstation].machine;
            let mono_ms = machine.now(self.now_ms).mono_ms;
            let login = &mut self.logins.all[*login];
            login.began_mono_ms.get_or_insert(mono_ms);
        }
    }

    pub(crate) fn take_answer(&mut self, connection: ConnectionId, message: &[u8]) {
        let program = self.logins.programs.get_mut(&connection);
        let program = program.expect("an answer to a program that is gone");
        let awaited = program.awaits.pop_front();
        let answer = Response::parse(message).unwrap();
        match (awaited.expect("one answer too many"), answer) {
            (Awaited::Bind, answer) => assert!(matches!(answer, Response::Success)),
            (Awaited::Signature(login), Response::Signature(signature)) => {
                self.check_signature(login, &signature);
                self.end_login(login, End::Signature);
            }
            (Awaited::Signature(login), Response::Failure) => self.end_login(login, End::Failure),
            (awaited, answer) => panic!("{answer:?} to {awaited:?}"),
        }
        self.begin_next(connection);
    }

    fn end_login(&mut self, login: usize, end: End) {
        let login = &mut self.logins.all[login];
        assert_eq!(login.end, None, "{} is answered twice", login.user);
        login.end = Some(end);
    }

    fn check_signature(&self, login: usize, signature: &[u8]) {
        let login = &self.logins.all[login];
        let authenticator = &self.authenticators[login.authenticator];
        let key = PublicKey::from_blob(&authenticator.key.public_key).unwrap();
        key.verify(&login.message, signature).unwrap();
        let user = &login.user;
        let person = &authenticator.person;
        assert!(person.approved.contains(user), "{user} was not approved");
        let hash = hex::encode(&key::key_id(&login.message).0);
        let at_ms = authenticator.approved_ms.get(&hash);
        // A way takes 1 ms at least, so it was durable when the answer left.
        assert!(
            at_ms.is_some_and(|it| *it < self.now_ms),
            "{user} is signed, and the log says {at_ms:?}"
        );
    }

    /// A program hangs up.
    pub(crate) fn hang_up_program(&mut self, connection: ConnectionId) {
        let Some(program) = self.logins.programs.remove(&connection) else {
            return;
        };
        self.nobody_waits(&program);
        self.step_agent(program.workstation, Event::HangUp { connection });
    }

    /// The agent is gone, and its sockets with it.
    pub(crate) fn programs_gone(&mut self, workstation: usize) {
        let all = std::mem::take(&mut self.logins.programs);
        let (gone, left) = all
            .into_iter()
            .partition(|(_, it)| it.workstation == workstation);
        self.logins.programs = left;
        let gone: BTreeMap<ConnectionId, Program> = gone;
        gone.values().for_each(|it| self.nobody_waits(it));
    }

    fn nobody_waits(&mut self, program: &Program) {
        for awaited in &program.awaits {
            if let Awaited::Signature(login) = awaited {
                self.end_login(*login, End::Nobody);
            }
        }
    }

    /// Nobody waits longer than the wait that was set.
    pub(crate) fn check_waits(&self) {
        for program in self.logins.programs.values() {
            let Some(Awaited::Signature(login)) = program.awaits.front() else {
                continue;
            };
            let workstation = &self.workstations[program.workstation];
            if !workstation.machine.is_awake(self.now_ms) {
                continue;
            }
            let login = &self.logins.all[*login];
            let mono_ms = workstation.machine.now(self.now_ms).mono_ms;
            let began_mono_ms = login.began_mono_ms.unwrap();
            let awake_ms = self.now_ms - workstation.machine.asleep_until_ms;
            let waited_ms = (mono_ms - began_mono_ms).min(awake_ms);
            let wait_ms = u64::from(workstation.wait_s) * 1_000 + MARGIN_MS;
            // Of a sleep nobody knows before the first tick behind it.
            let limit_ms = if mono_ms - began_mono_ms > awake_ms {
                MARGIN_MS
            } else {
                wait_ms
            };
            let is_late = mono_ms - began_mono_ms > wait_ms && waited_ms > limit_ms;
            assert!(!is_late, "{} waits for {waited_ms} ms", login.user);
        }
    }

    /// Lets a program log in and waits for the end.
    pub(crate) fn log_in_to_the_end(&mut self, workstation: usize, authenticator: usize) -> End {
        self.log_in(workstation, authenticator, 1);
        let login = self.logins.all.len() - 1;
        self.run_until(200_000, |it| it.logins.all[login].end.is_some());
        self.logins.all[login].end.unwrap()
    }

    /// A refusal, or silence, is no signature: of all that ended.
    pub(crate) fn check_ends(&self) {
        for login in &self.logins.all {
            let person = &self.authenticators[login.authenticator].person;
            if login.end == Some(End::Signature) {
                assert!(!person.refused.contains(&login.user), "{}", login.user);
            }
        }
    }

    pub(crate) fn site_is_up(&self, site: Site) -> bool {
        match site {
            Site::Workstation(at) => self.workstations[at].agent.is_some(),
            Site::Authenticator(at) => self.authenticators[at].holder.is_some(),
        }
    }
}

/// How much longer than its wait a program waits: the agent looks at it first,
/// and gives the authenticator's signed `expired` a second to arrive.
const MARGIN_MS: u64 = 1_500;
