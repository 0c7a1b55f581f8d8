//! Random wallets, identities, indexes and curves, compared with a second implementation in
//! Python (`tests/interop/identity.py`), which has nothing of this one: public keys, signatures
//! and shared points byte for byte.
#![cfg(test)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use keystead_core::{Algorithm, Curve, Derivation, Identity, Protocol, SecretBytes};
use keystead_vault::PublicKey;
use keystead_vault::wallet::{Wallet, WordCount, Words};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

/// The other implementation, for as long as the test runs.
struct Python {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/identity.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg("-B")
            .arg(program)
            .arg("answer")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            asks: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.asks, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {question}"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Debug)]
struct Case {
    words_seed: u64,
    count: usize,
    passphrase: String,
    identity: Identity,
    message: Vec<u8>,
    peer_seed: [u8; 16],
}

fn case() -> impl Strategy<Value = Case> {
    let identity = (
        prop::sample::select(kinds_of_keys()),
        "[ -~]{1,80}",
        prop_oneof![Just(0), Just(u32::MAX), Just(1 << 31), any::<u32>()],
    );
    let identity = identity.prop_map(|((protocol, curve, derivation), rest, index)| {
        Identity::new(protocol.uri_of(&rest), curve, index, derivation).unwrap()
    });
    (
        any::<u64>(),
        prop::sample::select(vec![12, 15, 18, 21, 24]),
        // Letters that NFKD takes apart; none that one of the two does not know yet.
        "[ -~À-ž가-힣ぁ-ヿﬀ-ﬆ①-⑳]{0,12}",
        identity,
        prop::collection::vec(any::<u8>(), 32..64),
        any::<[u8; 16]>(),
    )
        .prop_map(
            |(words_seed, count, passphrase, identity, message, peer_seed)| Case {
                words_seed,
                count,
                passphrase,
                identity,
                message,
                peer_seed,
            },
        )
}

fn kinds_of_keys() -> Vec<(Protocol, Curve, Derivation)> {
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        for curve in Curve::ALL {
            for derivation in [Derivation::Sign, Derivation::Agree] {
                if protocol.has(curve, derivation) {
                    all.push((protocol, curve, derivation));
                }
            }
        }
    }
    all
}

#[test]
fn random_keys_are_those_of_the_second_implementation() {
    let python = RefCell::new(Python::start());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let seen = RefCell::new(HashSet::new());
    let outcome = runner.run(&case(), |case| {
        seen.borrow_mut().insert(case.identity.algorithm());
        compare(&mut python.borrow_mut(), &case);
        Ok(())
    });
    outcome.unwrap();
    let all = [
        Algorithm::Ed25519,
        Algorithm::EcdsaP256,
        Algorithm::EcdsaSecp256k1,
        Algorithm::X25519,
        Algorithm::EcdhP256,
        Algorithm::EcdhSecp256k1,
    ];
    let seen = seen.into_inner();
    assert!(all.iter().all(|it| seen.contains(it)), "not all: {seen:?}");
}

fn compare(python: &mut Python, case: &Case) {
    let count = WordCount::new(case.count).unwrap();
    let words = Words::make(count, &mut ChaCha20Rng::seed_from_u64(case.words_seed));
    let passphrase = SecretBytes::take(&mut case.passphrase.as_bytes().to_vec());
    let wallet = Wallet::new(words.seed(&passphrase).unwrap()).unwrap();
    let identity = &case.identity;
    let text: Vec<&str> = words.iter().collect();
    let answer = python.ask(&json!({
        "words": text.join(" "),
        "passphrase": case.passphrase,
        "uri": identity.uri(),
        "curve": identity.curve().as_str(),
        "index": identity.index(),
        "purpose": identity.derivation().number(),
        "message": hex(&case.message),
        "peer_seed": hex(&case.peer_seed),
    }));
    let said = |name: &str| answer[name].as_str().unwrap().to_owned();
    assert_eq!(wallet.fingerprint().to_string(), said("fingerprint"));
    let public = wallet.public_key(identity).unwrap();
    assert_eq!(hex(&bare(&public)), said("public"));
    match identity.derivation() {
        Derivation::Sign => {
            let leaf = wallet.signer(identity).unwrap();
            let signature = leaf.sign_digest(&case.message).unwrap();
            assert_eq!(hex(&signature), said("signature"));
        }
        Derivation::Agree => {
            let key = wallet.agreement(identity).unwrap();
            let peer = unhex(&said("peer"));
            assert_eq!(hex(key.agree(&peer).unwrap().expose()), said("shared"));
        }
    }
}

/// Without what SSH wraps around it: the last field of a blob.
fn bare(public: &PublicKey) -> Vec<u8> {
    let bytes = if public.algorithm() == Algorithm::Ed25519 {
        32
    } else {
        65
    };
    let blob = public.to_blob();
    blob[blob.len().saturating_sub(bytes)..].to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// The table of vectors, by the other implementation alone.
#[test]
fn the_second_implementation_agrees_with_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let checked = Command::new("/usr/bin/python3")
        .arg("-B")
        .arg(root.join("tests/interop/identity.py"))
        .arg("check")
        .arg(root.join("spec/vectors/wallet.json"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(checked.stdout, b"578 values agree\n");
}

/// 200 keys: some ten seconds of Python, which doubles points one by one.
const CASES: u32 = 200;
