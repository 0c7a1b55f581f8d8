//! Private-key types of other crates stay in `vault`. Clippy refuses them by
//! type; this check reads names and manifests, and that clippy still refuses.

use std::path::Path;

use super::Findings;
use super::graph::Graph;
use super::lexer::tokens;
use super::source::Source;
use crate::failure::{Result, read};

pub(super) fn check(
    root: &Path,
    graph: &Graph,
    sources: &[Source],
    findings: &mut Findings,
) -> Result<()> {
    for source in sources
        .iter()
        .filter(|source| !source.path.starts_with(VAULT))
    {
        for token in tokens(&source.code) {
            if TYPES.contains(&token.text) && !source.line_is_test(token.line) {
                findings.add(format!(
                    "key: {}:{}: {} outside vault",
                    source.path.display(),
                    token.line,
                    token.text
                ));
            }
        }
    }
    for package in graph
        .ours()
        .filter(|package| !HOLDERS.contains(&package.name.as_str()))
    {
        for declared in &package.declares {
            if PACKAGES.contains(&declared.as_str()) {
                findings.add(format!("key: {} uses {declared}", package.name));
            }
        }
    }
    let clippy = read(&root.join("clippy.toml"))?;
    for path in CLIPPY_REFUSES {
        if !clippy.contains(path) {
            findings.add(format!("key: clippy.toml does not refuse {path}"));
        }
    }
    Ok(())
}

const VAULT: &str = "crates/vault";

/// Names that are a private key's in every crate that has them.
const TYPES: &[&str] = &[
    "Ed25519KeyPair",
    "EcdsaKeyPair",
    "RsaKeyPair",
    "PrivateDecryptingKey",
    "SignedSecretKey",
];

/// Packages that may have private keys: `vault`, and the tests, whose simulated Trezor is another
/// party with a derivation of its own.
const HOLDERS: &[&str] = &["keystead-vault", "keystead-tests"];

/// Packages that have nothing but private keys to offer which we have not.
const PACKAGES: &[&str] = &["ed25519-dalek", "p256", "k256", "rsa", "ssh-agent-lib"];

const CLIPPY_REFUSES: &[&str] = &[
    "aws_lc_rs::signature::Ed25519KeyPair",
    "aws_lc_rs::signature::EcdsaKeyPair",
    "aws_lc_rs::signature::RsaKeyPair",
    "aws_lc_rs::rsa::KeyPair",
];
