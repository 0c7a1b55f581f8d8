//! How long a wallet takes for a key, on each curve: derived, and one signature or shared point.
//!
//! It prints `figure NAME VALUE UNIT at-most TARGET` as `cargo xtask bench wallet` reads it: what
//! half of all derivations took at most.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program that measures"
)]

use std::time::Instant;

use keystead_core::{Curve, Derivation, Identity, SecretBytes};
use keystead_vault::wallet::{Wallet, Words};

fn main() {
    let words = Words::read(&b"all ".repeat(12)).unwrap();
    let none = SecretBytes::fill(0, |_| ());
    let wallet = Wallet::new(words.seed(&none).unwrap()).unwrap();
    for (curve, derivation) in [
        (Curve::Nist256p1, Derivation::Sign),
        (Curve::Ed25519, Derivation::Sign),
        (Curve::Secp256k1, Derivation::Sign),
        (Curve::Nist256p1, Derivation::Agree),
        (Curve::Curve25519, Derivation::Agree),
        (Curve::Secp256k1, Derivation::Agree),
    ] {
        let key = |index| Identity::new("gpg://me", curve, index, derivation).unwrap();
        let derived = middle_ms(|index| drop(wallet.public_key(&key(index)).unwrap()));
        let used = match derivation {
            Derivation::Sign => {
                let leaf = wallet.signer(&key(0)).unwrap();
                middle_ms(|_| assert!(leaf.sign_digest(&[7; 32]).is_ok()))
            }
            Derivation::Agree => {
                let own = wallet.agreement(&key(0)).unwrap();
                let peer = own.public().to_blob();
                middle_ms(|_| assert!(own.agree(&peer).is_ok()))
            }
        };
        let purpose = derivation.number();
        println!("{curve}, SLIP-00{purpose}: used in {used:.3} ms");
        println!("figure derivation SLIP-00{purpose} {curve} {derived:.4} ms at-most {TARGET_MS}");
    }
}

fn middle_ms(mut once: impl FnMut(u32)) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|index| {
            let start = Instant::now();
            once(index);
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    *times.get(times.len() / 2).unwrap()
}

/// 500: a tenth of a second for each figure.
const RUNS: u32 = 500;

/// What is promised of each derivation.
const TARGET_MS: u32 = 1;
