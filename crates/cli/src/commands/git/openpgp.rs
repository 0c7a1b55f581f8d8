//! `git setup --format openpgp`: gpg signs, by a key that a keeper holds, and the holder sees what.

use crate::commands::gpg;
use crate::failure::{Failure, Status};
use crate::git_gpg;

use super::config::Config;
use super::{program, shown};

/// The settings that make git sign by gpg, called as ours.
pub(super) fn settings(
    config: &Config,
    key: Option<&str>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let program = shown(&program(git_gpg::NAME)?)?;
    for name in PROGRAMS {
        let values = config.values(name)?;
        if let Some(other) = values.iter().find(|it| **it != program) {
            return Err(Failure::new(format!("{name} is {other} already"))
                .hint(format!(
                    "`git config --global --unset {name}` lets gpg be found by its name"
                ))
                .status(Status::Usage));
        }
    }
    let yes = || "true".to_owned();
    Ok(vec![
        ("gpg.format", "openpgp".to_owned()),
        ("gpg.program", program),
        ("user.signingKey", gpg::signing_key(key)?),
        ("commit.gpgSign", yes()),
        ("tag.gpgSign", yes()),
    ])
}

/// git-config(1): the second is the newer name of the first.
const PROGRAMS: [&str; 2] = ["gpg.program", "gpg.openpgp.program"];
