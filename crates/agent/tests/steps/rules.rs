//! The rules of this machine, and certificates beside their keys.

use keystead_agent::control::{Certificate, Command, FailureKind, PolicyRule, Reply};
use keystead_agent::evidence::Seen;
use keystead_agent::{Action, Agent, Here, LoadError, Setup};
use keystead_core::{Name, RequestBody};
use keystead_daemon::{Disk, Io, MemoryDisk, Now};
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::line::KeyLine;
use keystead_keeper as keeper;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::fixture::{Bench, PAIRING, approve, captured, key_entry, noted, one_answer};

const LOGIN: &str = "login-ed25519";

fn reply(actions: &[Action]) -> Reply {
    let mut replies = actions.iter().filter_map(|action| match action {
        Action::Reply { reply, .. } => Some(reply.clone()),
        _ => None,
    });
    let reply = replies.next().unwrap();
    assert!(replies.next().is_none());
    reply
}

fn set(bench: &mut Bench, key: Option<&str>, rule: &str, value: &str) -> Reply {
    let actions = bench.command(&Command::SetPolicy {
        key: key.map(str::to_owned),
        rule: rule.to_owned(),
        value: value.to_owned(),
    });
    reply(&actions)
}

fn rules_set(reply: Reply) -> Vec<PolicyRule> {
    let Reply::Policy { rules, .. } = reply else {
        panic!("{reply:?}");
    };
    rules.into_iter().filter(|it| !it.is_default).collect()
}

/// Does the agent ask its keeper for what a program wants signed?
fn asks(bench: &mut Bench, step: &str, seen: Seen) -> bool {
    for message in captured(step, ">") {
        bench.frame(&message);
    }
    let before = bench.keeper.lock().unwrap().told.len();
    bench.looked(seen);
    bench.keeper.lock().unwrap().told.len() > before
}

#[test]
fn a_rule_refuses_before_a_keeper_is_asked() {
    let check = |rule: &str, value: &str, seen: Seen, reason: &str| {
        let mut bench = Bench::new();
        assert_eq!(rules_set(set(&mut bench, None, rule, value)).len(), 1);
        for message in captured(LOGIN, ">") {
            bench.frame(&message);
        }
        let actions = bench.looked(seen);
        assert_eq!(one_answer(&actions), Response::Failure);
        let entry = bench.last_entry();
        assert_eq!(entry.reason.as_deref(), Some(reason));
        assert!(bench.keeper.lock().unwrap().told.is_empty());
    };
    let against = |what: &str, rule: &str| {
        format!("the policy of this machine is against {what} (rule `{rule}`)")
    };
    check(
        "users",
        "alex",
        Seen::default(),
        &against("logins as \"root\"", "users"),
    );
    let background = Seen {
        is_background: true,
        ..Seen::default()
    };
    let what = "programs without a terminal";
    check(
        "background",
        "refuse",
        background,
        &against(what, "background"),
    );
    let what = "logins to a host without a proved name";
    check("hosts", "*.test", Seen::default(), &against(what, "hosts"));
    check(
        "purposes",
        "git-commit",
        Seen::default(),
        &against("a ssh-login", "purposes"),
    );
}

#[test]
fn bytes_that_nobody_can_read_are_asked_for_only_where_a_rule_says_so() {
    let mut bench = Bench::new();
    assert!(!asks(&mut bench, "test", Seen::default()));
    let fingerprint = KeyLine::parse(noted("ed25519")).unwrap().key.fingerprint();
    set(&mut bench, Some(&fingerprint), "opaque", "ask");
    assert!(asks(&mut bench, "test", Seen::default()));
}

#[test]
fn rules_outlive_a_restart_and_are_taken_back() {
    let mut bench = Bench::new();
    set(&mut bench, None, "users", "alex,r*");
    set(&mut bench, Some("main"), "unbound", "refuse");
    let mut bench = Bench::on(bench.disk);
    let shown = rules_set(reply(&bench.command(&Command::Policy {})));
    let shown: Vec<_> = shown
        .iter()
        .map(|it| (it.key.as_deref(), it.rule.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (None, "users", "alex,r*"),
            (Some("main"), "unbound", "refuse")
        ]
    );
    assert!(asks(&mut bench, LOGIN, Seen::default()));
    let unset = |key: Option<&str>, rule: &str| Command::UnsetPolicy {
        key: key.map(str::to_owned),
        rule: rule.to_owned(),
    };
    bench.command(&unset(None, "users"));
    let left = rules_set(reply(&bench.command(&unset(Some("main"), "unbound"))));
    assert_eq!(left, []);
    // Two were set, two taken back; each is in the log.
    let entries = bench.log().into_iter().filter(|it| it.kind == "policy");
    assert_eq!(entries.count(), 4);
}

#[test]
fn what_is_no_rule_changes_nothing() {
    let check = |rule: &str, value: &str, message: &str| {
        let mut bench = Bench::new();
        let Reply::Failed(failure) = set(&mut bench, None, rule, value) else {
            panic!("{rule}={value} is taken");
        };
        assert_eq!(failure.kind, FailureKind::Usage);
        assert!(failure.message.contains(message), "{}", failure.message);
        assert!(failure.hint.is_some());
        assert_eq!(bench.disk.read("policy.toml").unwrap(), None);
    };
    check("user", "alex", "no rule called \"user\"");
    check("users", "", "neither a pattern nor a name");
    check("users", "a,,b", "neither a pattern nor a name");
    check("users", "a\u{1b}", "neither a pattern nor a name");
    check("unbound", "any", "takes `ask` or `refuse`");
    check("purposes", "login", "takes `ssh-login`");
    check("hosts", &["a"; 65].join(","), "too many");
}

#[test]
fn a_policy_that_is_not_understood_stops_the_agent() {
    let mut disk = MemoryDisk::new();
    disk.replace("policy.toml", b"[all]\nuser = [\"alex\"]\n")
        .unwrap();
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let mut io = Io {
        rng: &mut rng,
        disk: &mut disk,
    };
    let now = Now {
        mono_ms: 0,
        unix_s: 0,
    };
    let setup = Setup {
        settings: keystead_agent::settings::Settings::default(),
        host_name: Name::new("laptop").unwrap(),
        ssh_auth_sock: "/run/ssh.sock".into(),
        state_folder: "/state".into(),
        pid: 1,
        here: Here::default(),
    };
    let Err(error) = Agent::load(now, setup, &mut io) else {
        panic!("it starts");
    };
    assert!(matches!(error, LoadError::Policy(_)), "{error}");
    assert!(
        error.to_string().contains("unknown field `user`"),
        "{error}"
    );
}

/// The keeper has the key that a captured certificate certifies.
fn with_certified_key() -> Bench {
    let bench = Bench::new();
    let entry = key_entry("work", noted("p256"));
    let mut fake = bench.keeper.lock().unwrap();
    fake.keys = vec![entry.clone()];
    fake.views.first_mut().unwrap().keys = vec![entry];
    drop(fake);
    bench
}

fn add_certificate(bench: &mut Bench, line: &str) -> Reply {
    let line = line.to_owned();
    reply(&bench.command(&Command::AddCertificate { line }))
}

fn listed(bench: &mut Bench) -> Vec<String> {
    let Response::Identities(identities) = bench.ask(&Request::RequestIdentities) else {
        panic!("no list");
    };
    let blob = |key: &[u8]| keystead_formats::ssh::PublicKey::from_blob(key).unwrap();
    identities
        .iter()
        .map(|it| blob(&it.key).type_name().to_owned())
        .collect()
}

const PLAIN: &str = "ecdsa-sha2-nistp256";
const CERTIFIED: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com";

#[test]
fn a_certificate_is_offered_with_its_key() {
    let mut bench = with_certified_key();
    assert_eq!(listed(&mut bench), [PLAIN]);
    let Reply::Certificates { certificates } = add_certificate(&mut bench, noted("user-cert"))
    else {
        panic!("not kept");
    };
    let [certificate] = &certificates[..] else {
        panic!("not one");
    };
    let Certificate {
        key_name,
        key_id,
        principals,
        valid_to_unix_s,
        file,
        is_offered,
        ..
    } = certificate;
    assert_eq!(
        (key_name.as_deref(), key_id.as_str()),
        (Some("work"), "alex")
    );
    assert_eq!(
        (&principals[..], *valid_to_unix_s),
        (&["alex", "root"].map(str::to_owned)[..], None)
    );
    assert_eq!(file.to_str(), Some("/state/keys/work-cert.pub"));
    assert!(is_offered);
    assert_eq!(listed(&mut bench), [PLAIN, CERTIFIED]);
}

#[test]
fn a_signature_that_names_a_certificate_is_asked_of_its_key() {
    let mut bench = with_certified_key();
    add_certificate(&mut bench, noted("user-cert"));
    bench.ask_for_login("login-certificate");
    let fake = bench.keeper.lock().unwrap();
    let asked = fake.told.iter().find_map(|event| match event {
        keeper::Event::Ask {
            pairing,
            body: RequestBody::Sign(sign),
            ..
        } => Some((*pairing, sign.key)),
        _ => None,
    });
    let plain = KeyLine::parse(noted("p256")).unwrap().key;
    assert_eq!(asked, Some((PAIRING, plain.id())));
    drop(fake);
    let actions = bench.progress(approve("login-certificate"));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
}

#[test]
fn certificates_that_are_not_kept() {
    let check = |line: &str, message: &str| {
        let mut bench = with_certified_key();
        let Reply::Failed(failure) = add_certificate(&mut bench, line) else {
            panic!("{line} is kept");
        };
        assert_eq!(failure.message, message);
        assert_eq!(listed(&mut bench), [PLAIN]);
    };
    check("", "this is not an SSH certificate");
    check(noted("p256"), "this is not an SSH certificate");
    check(noted("host_ed25519-cert"), "this certificate is for a host");
    let mut bench = Bench::new();
    let Reply::Failed(failure) = add_certificate(&mut bench, noted("user-cert")) else {
        panic!("kept without its key");
    };
    assert_eq!(
        failure.message,
        "no keeper holds the key of this certificate"
    );
}

#[test]
fn a_certificate_is_removed_by_the_name_of_its_key_and_its_file_is_read_anew() {
    let mut bench = with_certified_key();
    add_certificate(&mut bench, noted("user-cert"));
    let certificate = "work".to_owned();
    let removed = reply(&bench.command(&Command::RemoveCertificate { certificate }));
    assert_eq!(removed, Reply::Done {});
    assert_eq!(listed(&mut bench), [PLAIN]);
    // A person may put the file there; the next look finds it.
    let line = format!("{}\n", noted("user-cert"));
    bench
        .disk
        .replace("keys/work-cert.pub", line.as_bytes())
        .unwrap();
    bench.disk.replace("keys/bad-cert.pub", b"x\n").unwrap();
    let Reply::Certificates { certificates } = reply(&bench.command(&Command::Certificates {}))
    else {
        panic!("no list");
    };
    assert_eq!(certificates.len(), 1);
    assert_eq!(listed(&mut bench), [PLAIN, CERTIFIED]);
    let Reply::Status(status) = reply(&bench.command(&Command::Status {})) else {
        panic!("no status");
    };
    assert_eq!(
        status.notices,
        ["keys/bad-cert.pub: this is not an SSH certificate"]
    );
}
