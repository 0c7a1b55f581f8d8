//! Logins through each lie, then without one; each is one signature.

use keystead_tests::{Failure, Play, Result};

use crate::liar::{Liar, Lie};

/// Logs in through the lie, then without one; each login is one signature.
fn check(lies: &[Lie]) -> Result<()> {
    let mut play = Play::new()?;
    play.script("with_relay")?;
    let (liar, address) = Liar::start(play.variable("RELAY_ADDRESS")?)?;
    let up = "include pair_by_relay
sshd
sh -c 'ssh-add -L >authorized_keys'
keystead-authenticator run --decide approve --passphrase-fd 3 3<passphrase &phone
wait-for phone stdout '^ready'
include with_patient_agent
ssh sshd true";
    play.lines("up", &format!("env RELAY_ADDRESS={address}\n{up}"))?;
    let mut logins = 1;
    for lie in lies {
        liar.tell(*lie);
        let release = liar.release();
        let name = format!("{lie:?}");
        play.lines(&name, "ssh sshd echo in\nstdout '^in$'")?;
        let items = liar.items();
        let least = if let Lie::Drop(number) = lie {
            *number
        } else {
            2
        };
        if items < least {
            return Err(Failure::new(format!(
                "{lie:?} had {items} items to lie about"
            )));
        }
        liar.tell(Lie::Honest);
        play.lines(&name, "ssh sshd echo in\nstdout '^in$'")?;
        let ended = release.join();
        ended.map_err(|_| Failure::new("the liar panicked"))?;
        logins += 2;
        let count = format!(
            "keystead-authenticator log --json\n\
             stdout '(?s)\\A((.*?)\"kind\": *\"sign\"){{{logins}}}'\n\
             ! stdout '(?s)\\A((.*?)\"kind\": *\"sign\"){{{}}}'",
            logins + 1
        );
        play.lines(&name, &count)?;
    }
    play.finish()
}

#[test]
fn it_repeats_replays_and_reflects() -> Result<()> {
    check(&[Lie::Repeat, Lie::Replay, Lie::Reflect])
}

#[test]
fn it_reorders() -> Result<()> {
    check(&[Lie::Reorder])
}

#[test]
fn it_drops_the_request() -> Result<()> {
    check(&[Lie::Drop(1)])
}

#[test]
fn it_drops_the_answer() -> Result<()> {
    check(&[Lie::Drop(2)])
}
