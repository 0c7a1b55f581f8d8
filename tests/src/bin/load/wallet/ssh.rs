//! `keystead ssh key` of an identity that was asked for before, beside `ssh-add -L`.

use keystead_tests::{Play, Result};

use super::{ROUNDS, command, in_turns, once, told};
use crate::agents::Agent;
use crate::{Bound, figure};

pub(super) fn measure(play: &mut Play) -> Result<()> {
    let place = play.place();
    let other = Agent::other(place)?;
    once(&mut command(place, &KEYGEN))?;
    other.add(place, "key")?;
    let ours = || command(place, &["keystead", "ssh", "key", "alex@db1"]);
    // Now it is known.
    once(&mut ours())?;
    let mut theirs = command(place, &["ssh-add", "-L"]);
    theirs.env("SSH_AUTH_SOCK", &other.socket);
    let [ours, theirs] = in_turns(ROUNDS, ours(), theirs)?;
    told("keystead ssh key, ssh-add -L", &ours, &theirs);
    let most = Bound::AtMost(15.0);
    figure("keystead ssh key", ours.p50(), "ms", most);
    Ok(())
}

const KEYGEN: [&str; 8] = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"];
