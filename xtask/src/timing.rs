//! `cargo xtask timing`: whether the time of a login tells anything about a name or a
//! password, as a statistical test with a control.

use crate::console::step;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

/// The command: `timing [PAIRS]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let pairs = match arguments {
        [] => PAIRS,
        [pairs] => pairs.as_str(),
        _ => return Err(Failure::new("usage: cargo xtask timing [PAIRS]")),
    };
    let root = workspace::root()?;
    step("Logins in pairs, on a machine that does nothing else. (It compiles first.)");
    Program::cargo(&root)
        .args(["run", "--quiet", "--locked", "--release"])
        .args(["--package", "keystead-server", "--example", "ke2_time"])
        .args(["--", pairs])
        .must()
}

/// As many as tell a difference of 2 % from the noise of a quiet machine.
const PAIRS: &str = "20000";
