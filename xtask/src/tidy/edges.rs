//! Who may use whom: the workspace table of ARCHITECTURE.md as a program.
//!
//! Invariant: every package of ours stands in `RULES`; what a rule does not
//! name is forbidden. Edges are normal and build dependencies; tests are free.

use std::path::Path;

use super::Findings;
use super::graph::{Graph, tree};
use crate::failure::Result;

/// What one package may and may not depend on.
struct Rule {
    package: &'static str,
    /// Ours that it may name in its manifest.
    uses: &'static [&'static str],
    /// Packages that no path of dependencies may lead to.
    never_reaches: &'static [&'static [&'static str]],
}

pub(super) fn check(root: &Path, graph: &Graph, findings: &mut Findings) -> Result<()> {
    for package in graph.ours() {
        let Some(rule) = RULES.iter().find(|rule| rule.package == package.name) else {
            findings.add(format!("edge: no rule names the package {}", package.name));
            continue;
        };
        for other in graph.ours() {
            if package.declares.contains(&other.name) && !rule.uses.contains(&other.name.as_str()) {
                findings.add(format!(
                    "edge: {} must not use {}",
                    package.name, other.name
                ));
            }
        }
        for forbidden in rule.never_reaches.iter().copied().flatten() {
            if let Some(way) = graph.path(rule.package, forbidden) {
                // The features of all members together may draw in what this
                // package alone does not.
                if is_in_own_tree(root, rule.package, forbidden)? {
                    findings.add(format!("edge: {}", way.join(" → ")));
                }
            }
        }
    }
    for rule in RULES {
        if !graph.ours().any(|package| package.name == rule.package) {
            findings.add(format!(
                "edge: the rule for {} has no package",
                rule.package
            ));
        }
    }
    one_version_each(graph, findings);
    Ok(())
}

fn is_in_own_tree(root: &Path, package: &str, forbidden: &str) -> Result<bool> {
    Ok(tree(root, package, "normal,build")?
        .iter()
        .any(|line| line.split(' ').next() == Some(forbidden)))
}

/// Two versions of one curve crate are two sets of types that look alike.
fn one_version_each(graph: &Graph, findings: &mut Findings) {
    for name in ONE_VERSION {
        let mut versions: Vec<&str> = graph
            .packages
            .iter()
            .filter(|package| package.name == *name)
            .map(|package| package.version.as_str())
            .collect();
        versions.sort_unstable();
        if versions.len() > 1 {
            findings.add(format!("edge: {name} in versions {}", versions.join(", ")));
        }
    }
}

const RULES: &[Rule] = &[
    Rule {
        package: "keystead-sodium",
        uses: &[],
        never_reaches: &[OUTSIDE],
    },
    Rule {
        package: "keystead-core",
        uses: &["keystead-sodium"],
        never_reaches: &[OUTSIDE],
    },
    Rule {
        package: "keystead-formats",
        uses: &["keystead-core"],
        never_reaches: &[OUTSIDE, VAULT],
    },
    Rule {
        package: "keystead-channel",
        uses: &["keystead-core", "keystead-sodium"],
        never_reaches: &[OUTSIDE, VAULT],
    },
    Rule {
        package: "keystead-vault",
        uses: &["keystead-core", "keystead-sodium"],
        never_reaches: &[OUTSIDE],
    },
    Rule {
        package: "keystead-daemon",
        uses: &[],
        never_reaches: &[CIPHERS, VAULT],
    },
    Rule {
        package: "keystead-transport",
        uses: &["keystead-daemon"],
        never_reaches: &[VAULT],
    },
    Rule {
        package: "keystead-keeper",
        uses: &[
            "keystead-core",
            "keystead-channel",
            "keystead-daemon",
            "keystead-transport",
        ],
        never_reaches: &[VAULT],
    },
    Rule {
        package: "keystead-agent",
        uses: &[
            "keystead-core",
            "keystead-formats",
            "keystead-keeper",
            "keystead-daemon",
        ],
        never_reaches: &[VAULT, SERVER, &["keystead-custody"]],
    },
    Rule {
        package: "keystead-authenticator",
        uses: &[
            "keystead-core",
            "keystead-formats",
            "keystead-channel",
            "keystead-vault",
            "keystead-daemon",
            "keystead-transport",
        ],
        never_reaches: &[],
    },
    Rule {
        package: "keystead-relay",
        uses: &["keystead-daemon"],
        never_reaches: &[CIPHERS, VAULT],
    },
    Rule {
        package: "keystead-server",
        uses: &[
            "keystead-core",
            "keystead-sodium",
            "keystead-formats",
            "keystead-channel",
            "keystead-vault",
            "keystead-daemon",
        ],
        never_reaches: &[CLIENTS],
    },
    Rule {
        package: "keystead-custody",
        uses: &[
            "keystead-core",
            "keystead-formats",
            "keystead-channel",
            "keystead-vault",
            "keystead-keeper",
            "keystead-daemon",
        ],
        never_reaches: &[SERVER, &["keystead-agent", "keystead-cli"]],
    },
    Rule {
        package: "keystead-cli",
        uses: &[
            "keystead-core",
            "keystead-formats",
            "keystead-keeper",
            "keystead-agent",
            "keystead-daemon",
        ],
        never_reaches: &[VAULT, SERVER, &["keystead-custody"]],
    },
    Rule {
        package: "keystead-fuzz-targets",
        uses: &[
            "keystead-core",
            "keystead-formats",
            "keystead-channel",
            "keystead-vault",
            "keystead-daemon",
            "keystead-keeper",
            "keystead-agent",
            "keystead-authenticator",
            "keystead-server",
        ],
        never_reaches: &[],
    },
    // It starts programs, as a person does, and links nothing of theirs. The simulated Trezor in it
    // is another party: its keys are its own.
    Rule {
        package: "keystead-tests",
        uses: &[],
        never_reaches: &[&["keystead-vault"]],
    },
    Rule {
        package: "xtask",
        uses: &[],
        never_reaches: &[],
    },
];

/// The only crate that can hold a private key, and crates that can as well.
const VAULT: &[&str] = &[
    "keystead-vault",
    "ed25519-dalek",
    "ecdsa",
    "p256",
    "k256",
    "rsa",
    "ssh-agent-lib",
];

/// The key server, and what keeps its rows.
const SERVER: &[&str] = &["keystead-server", "rusqlite", "tokio-postgres"];

/// What a key server serves: it calls nobody.
const CLIENTS: &[&str] = &[
    "keystead-transport",
    "keystead-keeper",
    "keystead-agent",
    "keystead-authenticator",
    "keystead-custody",
    "keystead-cli",
];

/// I/O, tasks, clocks and the system's randomness, kept out of deciding code. `rand`
/// without `getrandom` under it only reshapes what it is given.
const OUTSIDE: &[&str] = &[
    "keystead-daemon",
    "tokio",
    "mio",
    "async-std",
    "smol",
    "hyper",
    "socket2",
    "getrandom",
    "chrono",
    "time",
];

/// Ciphers and key agreement. The relay cannot read what it carries, and what
/// serving programs share knows no keys. Hashes are none of these.
const CIPHERS: &[&str] = &[
    "keystead-core",
    "keystead-sodium",
    "keystead-channel",
    "libsodium-sys-stable",
    "aws-lc-rs",
    "aws-lc-sys",
    "ring",
    "rustls",
    "openssl",
    "aes",
    "aes-gcm",
    "chacha20",
    "chacha20poly1305",
    "crypto_box",
    "crypto_secretbox",
    "salsa20",
    "x25519-dalek",
    "curve25519-dalek",
    "elliptic-curve",
    "ml-kem",
];

const ONE_VERSION: &[&str] = &[
    "curve25519-dalek",
    "ed25519-dalek",
    "x25519-dalek",
    "elliptic-curve",
    "p256",
    "k256",
];
