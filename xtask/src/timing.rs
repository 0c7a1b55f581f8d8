//! `cargo xtask timing`: whether the time of a login tells anything about a name or a
//! password, as a statistical test with a control.

use crate::console::step;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

/// The command: `timing [PAIRS [FOLDER]]`. In a folder on tmpfs no disk adds its noise.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let (pairs, folder) = match arguments {
        [] => (PAIRS, None),
        [pairs] => (pairs.as_str(), None),
        [pairs, folder] => (pairs.as_str(), Some(folder)),
        _ => return Err(Failure::new("usage: cargo xtask timing [PAIRS [FOLDER]]")),
    };
    let root = workspace::root()?;
    step("Logins in pairs, on a machine that does nothing else. (It compiles first.)");
    Program::cargo(&root)
        .args(["run", "--quiet", "--locked", "--release"])
        .args(["--package", "keystead-server", "--example", "ke2_time"])
        .args(["--", pairs])
        .args(folder)
        .must()
}

/// As many as tell a difference of 2 % from the noise of a quiet machine.
const PAIRS: &str = "20000";
