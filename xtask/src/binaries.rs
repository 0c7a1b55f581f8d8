//! The programs of the project, built. `try` and `test` use one profile.

use std::path::{Path, PathBuf};

use crate::console::step;
use crate::failure::Result;
use crate::run::Program;
use crate::workspace;

/// How they are built.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds the programs and tells the folder that they are in. Cargo shows what
/// it compiles meanwhile.
pub(crate) fn build(root: &Path, profile: Profile) -> Result<PathBuf> {
    step("Building keystead and the programs beside it.");
    let mut cargo = Program::cargo(root).args(["build", "--locked", "--bins"]);
    for package in PACKAGES {
        cargo = cargo.args(["--package", package]);
    }
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            // Tests compile no USB; who installs a release has a cable.
            cargo = cargo.args(["--release", "--features", "keystead-cli/usb"]);
            "release"
        }
    };
    cargo.must()?;
    Ok(workspace::target(root).join(folder))
}

/// Builds the programs with the tests. What cargo builds for several packages has
/// the features that they want together, so every step of the tests names the
/// whole workspace: a step with a selection of its own compiles the libraries anew.
pub(crate) fn build_with_tests(root: &Path) -> Result<PathBuf> {
    step("Building keystead, the programs beside it, and the tests.");
    Program::cargo(root)
        .args(["build", "--locked", "--workspace", "--bins", "--tests"])
        .args(
            STARTED_EXAMPLES
                .into_iter()
                .flat_map(|name| ["--example", name]),
        )
        .must()?;
    Ok(workspace::target(root).join("debug"))
}

/// Of the examples those that a test starts; clippy compiles the rest.
const STARTED_EXAMPLES: [&str; 2] = ["echo_client", "echo_server"];

/// Packages with a program.
const PACKAGES: [&str; 5] = [
    "keystead-cli",
    "keystead-authenticator",
    "keystead-relay",
    "keystead-server",
    "keystead-custody",
];
