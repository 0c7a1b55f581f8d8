//! The programs of the project, built. `try` and `test` use one profile, so
//! that what one has built the other need not build again.

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

/// Packages with a program.
const PACKAGES: [&str; 5] = [
    "keystead-cli",
    "keystead-authenticator",
    "keystead-relay",
    "keystead-server",
    "keystead-custody",
];
