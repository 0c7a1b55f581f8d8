//! Verdicts on destination-constrained keys, beside OpenSSH's own agent: the same key with the same
//! constraint, the same binds on a connection, then the same questions to both.

#![expect(
    clippy::disallowed_types,
    reason = "the test plays hosts and authorities, whose keys it draws"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fixture that does not work fails the test"
)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use keystead_formats::ssh::constraint::{Destinations, Forbidden, Hop, Path, Side, SideKey};
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::wire::{Reader, Writer};
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned, signature};

/// The cases of OpenSSH's `regress/agent-restrict.sh`, by hosts `a` to `e` and an authority.
#[test]
fn verdicts_of_the_regression_script() {
    let agent = Agent::start("table");
    let single = [hop("", "a", "")];
    agent.check(&single, &[login("a")], "u", true);
    agent.check(&single, &[login("b")], "u", false);
    agent.check(&single, &[], "u", false);
    let user = [hop("", "a", "al*x")];
    agent.check(&user, &[login("a")], "alex", true);
    agent.check(&user, &[login("a")], "alexa", false);
    let two = [hop("", "a", ""), hop("", "b", "")];
    agent.check(&two, &[login("b")], "u", true);
    agent.check(&two, &[forward("a"), login("b")], "u", false);
    let path = [hop("", "a", ""), hop("a", "b", ""), hop("b", "c", "")];
    agent.check(&path, &[forward("a"), login("b")], "u", true);
    agent.check(&path, &[forward("a"), forward("b"), login("c")], "u", true);
    agent.check(&path, &[forward("a"), login("c")], "u", false);
    agent.check(&path, &[login("b")], "u", false);
    agent.check(&path, &[forward("a")], "u", false);
    agent.check(&path, &[forward("c")], "u", false);
    let later = [hop("", "a", ""), hop("a", "b", "alex")];
    agent.check(&later, &[forward("a"), login("b")], "alex", true);
    agent.check(&later, &[forward("a"), login("b")], "root", false);
    // A key to log in to `b` with, and not to be seen beyond.
    agent.check(&two, &[forward("b")], "u", false);
    let certified = [hop("", "CA:cert.test", ""), hop("CA:cert.test", "b", "")];
    agent.check(&certified, &[login("cert:cert.test")], "u", true);
    agent.check(&certified, &[login("cert:other.test")], "u", false);
    agent.check(&certified, &[login("a")], "u", false);
    agent.check(
        &certified,
        &[forward("cert:cert.test"), login("b")],
        "u",
        true,
    );
    agent.check(&[hop("", "a", "")], &[login("cert:a")], "u", false);
}

/// Where OpenSSH 9.2 and 10.3 differ, the later one holds: the host's name fits the principal and
/// not the other way round, and a certificate without principals is good for no name.
#[test]
fn principals_are_patterns_and_names_are_not() {
    let check = |host_name: &str, certified: &str, expected| {
        let destinations = Destinations::of(&[hop("", host_name, "")]);
        let binds = [Bind::of(certified).evidence(0)];
        let path = Path {
            binds: &binds,
            has_refused_bind: false,
        };
        let lists = destinations.may_list(path, NOW);
        assert_eq!(lists.is_ok(), expected, "{host_name} {certified}");
    };
    check("CA:db.wild.test", "cert:*.wild.test", true);
    check("CA:db.wild.test", "cert:db.wild.test", true);
    check("CA:*.wild.test", "cert:db.wild.test", false);
    check("CA:db.wild.test", "cert:", false);
    check("db.wild.test", "cert:db.wild.test", false);
}

/// Chains and constraints drawn from a seed that is printed.
#[test]
fn verdicts_on_drawn_constraints() {
    let agent = Agent::start("drawn");
    let mut draw = Draw(0x6b65_7973_7465_6164);
    let mut signed = 0;
    for round in 0..400 {
        let (hops, binds) = draw.route();
        let user = ["alex", "root"][draw.below(2)];
        let what = format!("round {round}");
        signed += usize::from(agent.compare(&hops, &binds, user, draw.login(), &what));
    }
    assert!(signed > 20, "too few drawn cases are permitted: {signed}");
    assert!(signed < 300, "too few drawn cases are forbidden: {signed}");
}

/// As OpenSSH's agent since 9.3; the one before shows the key.
#[test]
fn a_refused_bind_leaves_no_constrained_key() {
    let check = |has_refused_bind, expected| {
        let path = Path {
            binds: &[],
            has_refused_bind,
        };
        let destinations = Destinations::of(&[hop("", "a", "")]);
        assert_eq!(destinations.may_list(path, NOW), expected);
    };
    check(true, Err(Forbidden::BindRefused));
    check(false, Ok(()));
}

#[test]
fn a_constraint_is_read_whole_or_refused() {
    let hops = [
        hop("", "a", "alex"),
        hop("a", "CA:db.test", ""),
        hop("CA:x", "b", ""),
    ];
    let bytes = Destinations::of(&hops).encode();
    let read = Destinations::parse(&bytes).unwrap();
    assert_eq!((read.hops(), read.encode()), (&hops[..], bytes.clone()));
    let ends: Vec<usize> = (1..=hops.len())
        .map(|count| Destinations::of(&hops[..count]).encode().len())
        .collect();
    for len in 0..bytes.len() {
        let is_whole = ends.contains(&len);
        assert_eq!(
            Destinations::parse(&bytes[..len]).is_ok(),
            is_whole,
            "{len}"
        );
    }
}

/// What OpenSSH refuses to take, and the empty list, which it takes for none.
#[test]
fn constraints_that_make_no_sense_are_refused_by_both() {
    let agent = Agent::start("senseless");
    let key = host("a").blob().to_vec();
    let side = |user: &str, host: &str, extension: &[u8], keys: &[&[u8]]| {
        let writer = Writer::new()
            .string(user.as_bytes())
            .string(host.as_bytes())
            .string(extension);
        let keys = keys
            .iter()
            .fold(writer, |it, key| it.string(key).bool(false));
        keys.into_bytes()
    };
    let hop = |from: &[u8], to: &[u8], extension: &[u8]| {
        let hop = Writer::new().string(from).string(to).string(extension);
        Writer::new().string(&hop.into_bytes()).into_bytes()
    };
    let (here, to) = (side("", "", b"", &[]), side("", "a", b"", &[&key]));
    let check = |contents: &[u8], expected: bool| {
        assert_eq!(Destinations::parse(contents).is_ok(), expected);
        assert_eq!(agent.add_raw(contents), expected);
    };
    check(&hop(&here, &to, b""), true);
    check(&hop(&here, &here, b""), false);
    check(&hop(&here, &to, b"x"), false);
    check(&hop(&here, &side("", "a", b"x", &[&key]), b""), false);
    check(&hop(&here, &side("", "a", b"", &[]), b""), false);
    check(&hop(&here, &side("", "", b"", &[&key]), b""), false);
    check(&hop(&side("", "a", b"", &[]), &to, b""), false);
    check(&hop(&side("alex", "a", b"", &[&key]), &to, b""), false);
    check(&hop(&here, &side("", "a", b"", &[b"key"]), b""), false);
    check(&[&hop(&here, &to, b"")[..], &[0]].concat(), false);
    assert!(Destinations::parse(b"").is_err());
}

/// A key known to `ssh-agent` and to us.
const SEED: [u8; 32] = [77; 32];

/// Certificates here hold for ever, but OpenSSH's agent goes by the real clock.
const NOW: u64 = 1_800_000_000;

/// OpenSSH's agent, ended with the test.
struct Agent {
    child: Child,
    folder: PathBuf,
}

impl Agent {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ks-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let mut child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(folder.join("s"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("OpenSSH's ssh-agent is needed");
        // It says so once it listens.
        let mut line = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut line).unwrap();
        Self { child, folder }
    }

    fn connect(&self) -> Connection {
        Connection(UnixStream::connect(self.folder.join("s")).unwrap())
    }

    fn add_raw(&self, contents: &[u8]) -> bool {
        let public = pair(&SEED).public_key().as_ref().to_vec();
        let message = Writer::new()
            .u8(25)
            .string(b"ssh-ed25519")
            .string(&public)
            .string(&[&SEED[..], &public].concat())
            .string(b"twin")
            .u8(255)
            .string(Destinations::EXTENSION.as_bytes())
            .string(contents);
        self.connect().ask(&message.into_bytes())[0] == 6
    }

    fn add(&self, destinations: &Destinations) {
        assert!(self.add_raw(&destinations.encode()));
    }

    /// Both agree, and on what is expected of a signature.
    #[track_caller]
    fn check(&self, hops: &[Hop], binds: &[Bind], user: &str, expected: bool) {
        let signed = self.compare(hops, binds, user, Login::Bound, &format!("{binds:?}"));
        assert_eq!(signed, expected, "{binds:?}");
    }

    /// Both give the same verdict on listing and signing.
    #[track_caller]
    fn compare(&self, hops: &[Hop], binds: &[Bind], user: &str, how: Login, what: &str) -> bool {
        let destinations = Destinations::of(hops);
        self.add(&destinations);
        let mut connection = self.connect();
        let mut proved: Vec<SessionBind> = Vec::new();
        let mut has_refused_bind = false;
        for (at, bind) in binds.iter().enumerate() {
            let bind = bind.evidence(at);
            if connection.bind(&bind) {
                proved.push(bind);
            } else {
                has_refused_bind = true;
            }
        }
        let path = Path {
            binds: &proved,
            has_refused_bind,
        };
        let key = PublicKey::ed25519(pair(&SEED).public_key().as_ref().try_into().unwrap());
        let lists = destinations.may_list(path, NOW);
        assert_eq!(
            connection.lists(),
            lists.is_ok(),
            "{what}: {lists:?} {hops:?} {binds:?} {user}"
        );
        let message = how.message(&key, &proved, user);
        let content = ToBeSigned::parse(&message);
        let signs = destinations.may_sign(path, &key, &content, NOW);
        assert_eq!(
            connection.signs(&key, &message),
            signs.is_ok(),
            "{what}: {signs:?} {how:?}"
        );
        signs.is_ok()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Connection(UnixStream);

impl Connection {
    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        let framed = Writer::new().string(message).into_bytes();
        self.0.write_all(&framed).unwrap();
        let mut len = [0; 4];
        self.0.read_exact(&mut len).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(len).try_into().unwrap()];
        self.0.read_exact(&mut answer).unwrap();
        answer
    }

    fn bind(&mut self, bind: &SessionBind) -> bool {
        let message = Writer::new()
            .u8(27)
            .string(SessionBind::EXTENSION.as_bytes())
            .raw(&bind.encode());
        self.ask(&message.into_bytes())[0] == 6
    }

    fn lists(&mut self) -> bool {
        let answer = self.ask(&[11]);
        Reader::new(&answer[1..]).u32() == Ok(1)
    }

    fn signs(&mut self, key: &PublicKey, message: &[u8]) -> bool {
        let request = Writer::new().u8(13).string(key.blob()).string(message);
        self.ask(&request.u32(0).into_bytes())[0] == 14
    }
}

/// A hop that a client proves.
#[derive(Debug, Clone)]
struct Bind {
    host: String,
    forwarding: bool,
}

fn login(host: &str) -> Bind {
    Bind::of(host)
}

fn forward(host: &str) -> Bind {
    Bind {
        forwarding: true,
        ..Bind::of(host)
    }
}

impl Bind {
    fn of(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            forwarding: false,
        }
    }

    fn evidence(&self, session: usize) -> SessionBind {
        let session_id = vec![u8::try_from(session).unwrap() + 1; 32];
        let own = match self.host.strip_prefix("cert:") {
            Some(_) => "certified",
            None => &self.host,
        };
        let made = pair(&seed(own)).sign(&session_id);
        SessionBind {
            host_key: host(&self.host),
            signature: signature::ed25519(made.as_ref().try_into().unwrap()),
            session_id,
            forwarding: self.forwarding,
        }
    }
}

/// How the login that is to be signed relates to the last bind.
#[derive(Debug, Clone, Copy)]
enum Login {
    /// It names the host key.
    Bound,
    /// It is of a client that cannot.
    Unbound,
    OtherHost,
    OtherSession,
    /// Not a login at all.
    Opaque,
}

impl Login {
    fn message(self, key: &PublicKey, binds: &[SessionBind], user: &str) -> Vec<u8> {
        let last = binds.last();
        let session_id = match (self, last) {
            (Self::OtherSession, _) | (_, None) => vec![99; 32],
            (_, Some(last)) => last.session_id.clone(),
        };
        let host_key = match self {
            Self::Unbound => None,
            Self::OtherHost => Some(host("e")),
            Self::Opaque => return b"neither".to_vec(),
            Self::Bound | Self::OtherSession => last.map(|it| it.host_key.clone()),
        };
        let login = UserAuth {
            session_id,
            user: user.to_owned(),
            algorithm: "ssh-ed25519".to_owned(),
            key: key.clone(),
            host_key,
        };
        login.encode()
    }
}

/// `a`, or `CA:name` for what the authority certifies by that name; no text is here.
fn side(text: &str) -> Option<Side> {
    let (host_name, key, is_authority) = match text.strip_prefix("CA:") {
        Some(name) => (name, host("CA"), true),
        None => (text, host(text), false),
    };
    (!text.is_empty()).then(|| Side {
        host: host_name.to_owned(),
        keys: vec![SideKey {
            blob: key.blob().to_vec(),
            is_authority,
        }],
    })
}

fn hop(from: &str, to: &str, user: &str) -> Hop {
    Hop {
        from: side(from),
        to: side(to).unwrap(),
        user: (!user.is_empty()).then(|| user.to_owned()),
    }
}

/// A host's key; of `cert:principal` its certificate, without a principal for every name.
fn host(name: &str) -> PublicKey {
    let public = |name: &str| pair(&seed(name)).public_key().as_ref().to_vec();
    let Some(principal) = name.strip_prefix("cert:") else {
        return PublicKey::ed25519(&public(name).try_into().unwrap());
    };
    let principals = match principal {
        "" => Writer::new(),
        principal => Writer::new().string(principal.as_bytes()),
    };
    let signed = Writer::new()
        .string(b"ssh-ed25519-cert-v01@openssh.com")
        .string(&[5; 32])
        .string(&public("certified"))
        .u64(1)
        .u32(2)
        .string(b"host")
        .string(&principals.into_bytes())
        .u64(0)
        .u64(u64::MAX)
        .string(b"")
        .string(b"")
        .string(b"")
        .string(host("CA").blob())
        .into_bytes();
    let by = pair(&seed("CA")).sign(&signed);
    let by = signature::ed25519(by.as_ref().try_into().unwrap());
    let blob = [signed, Writer::new().string(&by).into_bytes()].concat();
    PublicKey::from_blob(&blob).unwrap()
}

fn seed(name: &str) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    seed
}

fn pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).unwrap()
}

trait Of {
    fn of(hops: &[Hop]) -> Self;
}

impl Of for Destinations {
    fn of(hops: &[Hop]) -> Self {
        Self::new(hops.to_vec()).unwrap()
    }
}

/// A linear congruential generator (Knuth's MMIX), good enough to draw cases.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 40).unwrap() % end
    }

    /// Hops, and binds that mostly go the same way.
    fn route(&mut self) -> (Vec<Hop>, Vec<Bind>) {
        let sides: Vec<&str> = (0..1 + self.below(3)).map(|_| self.side()).collect();
        let mut hops = Vec::new();
        let mut binds = Vec::new();
        let mut from = "";
        for to in sides {
            let user = ["", "", "alex", "a*"][self.below(4)];
            // One in eight hops leads elsewhere, one in eight binds is another host's.
            let elsewhere = if self.below(8) == 0 { self.side() } else { to };
            hops.push(hop(from, elsewhere, user));
            let host = if self.below(8) == 0 { self.side() } else { to };
            binds.push(forward(&host.replace("CA:", "cert:")));
            from = to;
        }
        if let Some(last) = binds.last_mut() {
            last.forwarding = self.below(4) == 0;
        }
        if self.below(8) == 0 {
            let at = self.below(binds.len());
            binds[at].forwarding ^= true;
        }
        (hops, binds)
    }

    fn side(&mut self) -> &'static str {
        ["a", "b", "c", "CA:n.test", "CA:x"][self.below(5)]
    }

    fn login(&mut self) -> Login {
        match self.below(8) {
            0 => Login::Unbound,
            1 => Login::OtherHost,
            2 => Login::OtherSession,
            3 => Login::Opaque,
            _ => Login::Bound,
        }
    }
}
