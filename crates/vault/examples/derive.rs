//! How long a wallet takes for a key, on each curve: derived, and one signature or shared point.

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
        let derived = mean_us(|index| drop(wallet.public_key(&key(index)).unwrap()));
        let used = match derivation {
            Derivation::Sign => {
                let leaf = wallet.signer(&key(0)).unwrap();
                mean_us(|_| assert!(leaf.sign_digest(&[7; 32]).is_ok()))
            }
            Derivation::Agree => {
                let own = wallet.agreement(&key(0)).unwrap();
                let peer = own.public().to_blob();
                mean_us(|_| assert!(own.agree(&peer).is_ok()))
            }
        };
        let purpose = derivation.number();
        println!("{purpose} {curve}: derived in {derived} µs, used in {used} µs");
    }
}

fn mean_us(mut once: impl FnMut(u32)) -> u128 {
    let start = Instant::now();
    (0..RUNS).for_each(&mut once);
    start.elapsed().as_micros() / u128::from(RUNS)
}

/// 500: a tenth of a second for each figure.
const RUNS: u32 = 500;
