//! The step, by tables: no socket, no thread, no clock.

mod destinations;
mod limits;
mod locking;
mod messages;
mod security_keys;
mod signatures;
#[cfg(feature = "pkcs11")]
mod tokens;

use keystead_channel::wire;
use keystead_core::{
    Constraints, Evidence, ImportRequest, KeyEntry, KeyForm, KeyId, Kind, Name, Outcome, Request,
    RequestBody, RequestId, Response, ResponseBody, SecretBytes, SignForm, SignRequest,
};
use keystead_daemon::Now;
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::wire::Writer;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

/// A local authenticator, its clock, and who asks it.
struct World {
    local: Local,
    now: Now,
    rng: ChaCha20Rng,
    asked: Vec<(RequestId, Kind)>,
}

impl World {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self {
            local: Local::new(options),
            now: Now {
                mono_ms: 1_000_000,
                unix_s: 1_700_000_000,
            },
            rng: ChaCha20Rng::seed_from_u64(1),
            asked: Vec::new(),
        }
    }

    fn step(&mut self, event: Event<'_>) -> Told {
        let canonical = |path: &str| path.starts_with("/usr/").then(|| path.replace("/./", "/"));
        let mut io = Io {
            rng: &mut self.rng,
            canonical: &canonical,
        };
        Told::read(self.local.step(self.now, event, &mut io), &self.asked)
    }

    fn ask(&mut self, body: RequestBody) -> (RequestId, Told) {
        self.ask_for(body, 60, false)
    }

    fn ask_for(&mut self, body: RequestBody, wait_s: u16, want_ack: bool) -> (RequestId, Told) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.asked.len().to_be_bytes());
        let id = RequestId(id);
        self.asked.push((id, body.kind()));
        let request = Request {
            id,
            unix_s: self.now.unix_s,
            wait_s,
            want_ack,
            body,
        };
        let told = self.step(Event::Request(&wire::encode_request(&request)));
        (id, told)
    }

    /// The one answer, given at once.
    fn outcome(&mut self, body: RequestBody) -> Outcome {
        let (_, told) = self.ask(body);
        told.only().0
    }

    fn add(&mut self, key: Vec<u8>, constraints: Constraints) -> KeyEntry {
        let (_, told) = self.ask(import(key, constraints));
        match told.only() {
            (Outcome::Approve, Some(ResponseBody::Keys(keys))) => keys[0].clone(),
            (outcome, _) => panic!("{outcome:?}"),
        }
    }

    fn listed(&mut self) -> Vec<KeyId> {
        let (_, told) = self.ask(RequestBody::Me { nonce_c: None });
        match told.only() {
            (Outcome::Approve, Some(ResponseBody::Me(me))) => {
                me.keys.iter().map(|key| key.id).collect()
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }

    fn later_ms(&mut self, ms: u64) -> Told {
        self.now.mono_ms += ms;
        self.step(Event::Tick)
    }

    /// Runs to the next wake, as the edge does.
    fn wake(&mut self) -> Told {
        let at = self.local.next_wake_ms().expect("something has an end");
        self.now.mono_ms = self.now.mono_ms.max(at);
        self.step(Event::Tick)
    }
}

/// What a step told its edge.
struct Told {
    answers: Vec<Response>,
    started: Vec<(Job, Work)>,
    stopped: Vec<Job>,
    closed: Vec<PathBuf>,
    is_end: bool,
}

impl Told {
    fn read(actions: Vec<Action>, asked: &[(RequestId, Kind)]) -> Self {
        let mut told = Self {
            answers: Vec::new(),
            started: Vec::new(),
            stopped: Vec::new(),
            closed: Vec::new(),
            is_end: false,
        };
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    let kind = |id: &RequestId| {
                        asked
                            .iter()
                            .find(|(own, _)| own == id)
                            .map(|(_, kind)| *kind)
                    };
                    let response = wire::decode_local_response(&bytes, kind).unwrap();
                    assert!(response.receipt.is_none());
                    told.answers.push(response);
                }
                Action::Start(job, work) => told.started.push((job, work)),
                Action::Stop(job) => told.stopped.push(job),
                Action::Close(provider) => told.closed.push(provider),
                Action::End => told.is_end = true,
            }
        }
        told
    }

    fn only(mut self) -> (Outcome, Option<ResponseBody>) {
        assert_eq!(self.answers.len(), 1, "{:?}", self.outcomes());
        let answer = self.answers.remove(0);
        (answer.outcome, answer.body)
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.answers.iter().map(|it| it.outcome).collect()
    }

    fn job(&self) -> Job {
        assert_eq!(self.started.len(), 1, "{:?}", self.outcomes());
        self.started[0].0
    }

    fn signature(self) -> Vec<u8> {
        match self.only() {
            (Outcome::Approve, Some(ResponseBody::Signature(signature))) => signature,
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}

fn import(key: Vec<u8>, constraints: Constraints) -> RequestBody {
    import_as(KeyForm::Agent, key, constraints)
}

fn import_as(form: KeyForm, mut key: Vec<u8>, constraints: Constraints) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form,
        key: SecretBytes::take(&mut key),
        passphrase: None,
        name: Some(Name::new("alex@laptop").unwrap()),
        constraints,
        purposes: Vec::new(),
    })
}

fn sign(key: &KeyEntry, content: &[u8]) -> RequestBody {
    sign_with_flags(key, content, 0)
}

fn sign_with_flags(key: &KeyEntry, content: &[u8], flags: u32) -> RequestBody {
    RequestBody::Sign(SignRequest {
        key: key.id,
        form: SignForm::Ssh,
        content: content.to_vec(),
        flags,
        evidence: Evidence::default(),
        identity: None,
    })
}

fn verifies(key: &KeyEntry, content: &[u8], signature: &[u8]) -> bool {
    let public = PublicKey::from_blob(&key.public_key).unwrap();
    public.verify(content, signature).is_ok()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// RFC 8032 section 7.1, test 1.
fn ed25519() -> Vec<u8> {
    let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    Writer::new()
        .string(b"ssh-ed25519")
        .string(&public)
        .string(&[seed, public.clone()].concat())
        .into_bytes()
}

/// RFC 6979 appendix A.2.5.
fn p256() -> Vec<u8> {
    let point = bytes(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    );
    let scalar = bytes("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    Writer::new()
        .string(b"ecdsa-sha2-nistp256")
        .string(b"nistp256")
        .string(&point)
        .positive_mpint(&scalar)
        .into_bytes()
}

/// A key file that the installed ssh-keygen makes.
fn made(arguments: &[&str]) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "", "-f"])
        .arg(&file)
        .args(arguments)
        .status()
        .unwrap();
    assert!(made.success());
    let key = std::fs::read(&file).unwrap();
    (folder, key)
}

fn lasting(lifetime_s: u32) -> Constraints {
    Constraints {
        lifetime_s: Some(lifetime_s),
        ..Constraints::default()
    }
}

fn confirmed() -> Constraints {
    Constraints {
        confirm: true,
        ..Constraints::default()
    }
}

/// A login as `alex`, with the session id of tests.
fn login(public: &[u8], host_key: Option<&[u8]>) -> Vec<u8> {
    let method: &[u8] = match host_key {
        Some(_) => b"publickey-hostbound-v00@openssh.com",
        None => b"publickey",
    };
    let type_name = PublicKey::from_blob(public).unwrap().type_name().to_owned();
    let writer = Writer::new()
        .string(SESSION_ID)
        .u8(50)
        .string(b"alex")
        .string(b"ssh-connection")
        .string(method)
        .bool(true)
        .string(type_name.as_bytes())
        .string(public);
    match host_key {
        Some(host_key) => writer.string(host_key).into_bytes(),
        None => writer.into_bytes(),
    }
}

const SESSION_ID: &[u8] = &[7; 32];
