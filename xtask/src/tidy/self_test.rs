//! Tidy against planted faults: a check that never fails is none.
//!
//! Each fault is planted into a copy of the workspace and taken out again; tidy
//! must name it, and must name nothing new once it is out.

use std::path::Path;

use super::run;
use crate::console::say;
use crate::failure::{About, Failure, Result, read, write};
use crate::workspace;

/// One fault, and how the finding that it must cause begins.
struct Fault {
    file: &'static str,
    plant: Plant,
    finding: &'static str,
}

enum Plant {
    /// A dependency of ours, into a manifest.
    Uses(&'static str),
    /// Somebody else's dependency, into a manifest.
    Needs(&'static str),
    /// Text at the end of a file, which need not be there before.
    Append(&'static str),
    /// Text repeated at the end of a file: head, line, times, tail.
    Repeat(&'static str, &'static str, usize, &'static str),
    /// Something taken out of a file.
    Remove(&'static str),
}

/// `cargo xtask tidy --self-test`.
pub(crate) fn check_itself(root: &Path) -> Result<()> {
    let copy = workspace::target(root).join(format!("tidy-copy-{}", std::process::id()));
    std::fs::create_dir_all(&copy).about(copy.display())?;
    let result = try_all(root, &copy);
    std::fs::remove_dir_all(&copy).about(copy.display())?;
    result
}

/// Works on a copy under the target folder, which the caller removes.
fn try_all(root: &Path, copy: &Path) -> Result<()> {
    for file in workspace::files(root)? {
        let to = copy.join(&file);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).about(folder.display())?;
        }
        std::fs::copy(root.join(&file), &to).about(file.display())?;
    }
    let before = run(copy)?.0;
    for fault in FAULTS {
        let path = copy.join(fault.file);
        let original = path.exists().then(|| read(&path)).transpose()?;
        let lock = read(&copy.join("Cargo.lock"))?;
        write(
            &path,
            &fault.planted(original.as_deref().unwrap_or_default())?,
        )?;
        let found = run(copy)?.0;
        let is_named = found
            .iter()
            .any(|text| text.starts_with(fault.finding) && !before.contains(text));
        if !is_named {
            return Err(Failure::new(format!(
                "tidy does not see “{}” planted into {}",
                fault.finding, fault.file
            )));
        }
        say(&format!(
            "tidy sees “{}…” when it is planted.",
            fault.finding
        ));
        match original {
            Some(text) => write(&path, &text)?,
            None => std::fs::remove_file(&path).about(path.display())?,
        }
        write(&copy.join("Cargo.lock"), &lock)?;
    }
    if run(copy)?.0 == before {
        Ok(())
    } else {
        Err(Failure::new(
            "tidy finds something in a copy that is as before",
        ))
    }
}

impl Fault {
    fn planted(&self, text: &str) -> Result<String> {
        Ok(match self.plant {
            Plant::Uses(package) => {
                let folder = package.trim_start_matches("keystead-");
                with_dependency(text, &format!("{package} = {{ path = \"../{folder}\" }}"))
            }
            Plant::Needs(line) => with_dependency(text, line),
            Plant::Append(line) => format!("{text}\n{line}\n"),
            Plant::Repeat(head, line, times, tail) => {
                format!(
                    "{text}\n{head}\n{}{tail}\n",
                    format!("{line}\n").repeat(times)
                )
            }
            Plant::Remove(piece) if text.contains(piece) => text.replacen(piece, "", 1),
            Plant::Remove(piece) => {
                return Err(Failure::new(format!("{} has no “{piece}”", self.file)));
            }
        })
    }
}

fn with_dependency(manifest: &str, line: &str) -> String {
    let start = "[dependencies]\n";
    manifest.replacen(start, &format!("{start}{line}\n"), 1)
}

const FAULTS: &[Fault] = &[
    Fault {
        file: "crates/agent/Cargo.toml",
        plant: Plant::Uses("keystead-vault"),
        finding: "edge: keystead-agent must not use keystead-vault",
    },
    Fault {
        file: "crates/keeper/Cargo.toml",
        plant: Plant::Uses("keystead-vault"),
        finding: "edge: keystead-cli → keystead-keeper → keystead-vault",
    },
    Fault {
        file: "crates/transport/Cargo.toml",
        plant: Plant::Uses("keystead-channel"),
        finding: "edge: keystead-transport must not use keystead-channel",
    },
    Fault {
        file: "crates/relay/Cargo.toml",
        plant: Plant::Uses("keystead-sodium"),
        finding: "edge: keystead-relay → keystead-sodium",
    },
    Fault {
        file: "crates/daemon/Cargo.toml",
        plant: Plant::Needs("aws-lc-rs = { version = \"1.19\", default-features = false }"),
        finding: "edge: keystead-relay → keystead-daemon → aws-lc-rs",
    },
    Fault {
        file: "crates/core/Cargo.toml",
        plant: Plant::Needs("tokio = { version = \"1.54\" }"),
        finding: "edge: keystead-core → tokio",
    },
    Fault {
        file: "crates/keeper/src/lib.rs",
        plant: Plant::Append("type Key = aws_lc_rs::signature::Ed25519KeyPair;"),
        finding: "key: crates/keeper/src/lib.rs",
    },
    Fault {
        file: "clippy.toml",
        plant: Plant::Remove("aws_lc_rs::rsa::KeyPair"),
        finding: "key: clippy.toml does not refuse aws_lc_rs::rsa::KeyPair",
    },
    Fault {
        file: "crates/core/src/lib.rs",
        plant: Plant::Append("struct DeviceKeys;"),
        finding: "name: crates/core/src/lib.rs",
    },
    Fault {
        file: "crates/core/src/lib.rs",
        plant: Plant::Repeat("fn long() {", "    1 + 1;", 71, "}"),
        finding: "length: crates/core/src/lib.rs",
    },
    Fault {
        file: "crates/core/src/lib.rs",
        plant: Plant::Repeat("", "const _: u8 = 0;", 701, ""),
        finding: "length: crates/core/src/lib.rs",
    },
    Fault {
        file: "crates/core/src/key.rs",
        plant: Plant::Append("fn round(_: crate::request::Request) {}"),
        finding: "circle: crates/core/src/key.rs -> crates/core/src/request.rs",
    },
    Fault {
        file: "crates/core/src/forgotten.rs",
        plant: Plant::Append("fn never() {}"),
        finding: "dead: nothing uses crates/core/src/forgotten.rs",
    },
    Fault {
        file: "tests/scripts/forgotten_one.script",
        plant: Plant::Append("# Nobody runs this."),
        finding: "dead: nothing uses tests/scripts/forgotten_one.script",
    },
    Fault {
        file: "spec/curve.md",
        plant: Plant::Append(concat!("See `spec/session.md` ", "section 99.")),
        finding: "citation: spec/curve.md",
    },
    Fault {
        file: "deny.toml",
        plant: Plant::Remove("    \"ISC\",\n"),
        finding: "licence: ",
    },
    Fault {
        file: "CHANGELOG.md",
        plant: Plant::Append(concat!("See /work", "/main.")),
        finding: "machine: CHANGELOG.md",
    },
];
