//! `age -d` by the plugin, beside an identity file that has its key in itself.

use std::process::Command;

use keystead_tests::{Place, Play, Result};

use super::{ROUNDS, command, granted, in_turns, told};
use crate::{Bound, figure, say};

pub(super) fn measure(play: &mut Play) -> Result<()> {
    play.lines("load", MAKE)?;
    let empty = [(); 2].map(|()| command(play.place(), &["true"]));
    let [once, again] = empty;
    let [empty, _] = in_turns(ROUNDS, once, again)?;
    say(&format!("an empty process: {}", empty.spread()));
    granted(play, opens(play.place(), "wallet"), "-i wallet")?;
    granted(play, opens(play.place(), "stored"), "-i stored")?;
    for (name, what) in [("wallet", "a wallet's key"), ("stored", "a stored key")] {
        let [ours, theirs] = in_turns(
            ROUNDS,
            opens(play.place(), name),
            opens(play.place(), "native"),
        )?;
        told(&format!("age -d by a grant, {what}"), &ours, &theirs);
        let more_ms = ours.p50() - theirs.p50();
        let figure_name = format!("age -d, {what}, over an identity file's");
        figure(&figure_name, more_ms, "ms", Bound::AtMost(5.0));
    }
    Ok(())
}

fn opens(place: &Place, name: &str) -> Command {
    let (identity, file) = (name.to_owned(), format!("{name}.age"));
    command(
        place,
        &["age", "-d", "-i", &identity, "-o", "opened", &file],
    )
}

const MAKE: &str = "sh -c 'ln -s $(command -v keystead) $PLACE/bin/age-plugin-keystead'
write plain 'nobody else reads this\\n'
sh -c 'keystead age identity alex >wallet'
sh -c 'keystead age identity backup >stored'
sh -c 'age-keygen -o native'
sh -c 'age -r $(keystead age recipient alex) -o wallet.age plain'
sh -c 'age -r $(keystead age recipient backup) -o stored.age plain'
sh -c 'age -r $(age-keygen -y native) -o native.age plain'";
