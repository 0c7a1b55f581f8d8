//! `git commit -S` with `gpg.format=openpgp`.

use std::process::Command;

use keystead_tests::{Place, Play, Result};

use super::gpg::{Home, Homes};
use super::{command, granted, in_turns, once, told};
use crate::{Bound, figure};

pub(super) fn measure(play: &mut Play, homes: &Homes) -> Result<()> {
    for name in ["ours-git", "theirs-git"] {
        once(&mut command(play.place(), &["git", "init", "-q", name]))?;
    }
    granted(
        play,
        commits(play.place(), &homes.ours, "ours-git"),
        "-bsau",
    )?;
    let [ours, theirs] = in_turns(
        COMMITS,
        commits(play.place(), &homes.ours, "ours-git"),
        commits(play.place(), &homes.theirs, "theirs-git"),
    )?;
    let ratio = told("git commit -S by a grant", &ours, &theirs);
    figure("git commit -S / with gpg-agent", ratio, "×", Bound::None);
    Ok(())
}

fn commits(place: &Place, home: &Home, repository: &str) -> Command {
    let mut command = home.command(place, &["git", "-C", repository]);
    command.args(WORDS);
    command
}

const WORDS: [&str; 11] = [
    "-c",
    "user.name=Alex",
    "-c",
    "user.email=alex@example.org",
    "-c",
    "gc.auto=0",
    "commit",
    "-q",
    "--allow-empty",
    "-S",
    "-mone more",
];

/// With those of [`super::gpg`], as many as one grant is for.
const COMMITS: usize = 60;
