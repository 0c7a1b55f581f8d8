//! A wallet beside the programs whose keys it holds: gpg with an ordinary gpg-agent, age with an
//! identity file, ssh-add. The holder has granted, so nobody is asked.
//!
//! Invariant: each pair of programs runs in turns, one of each, so that a busy machine is busy for
//! both; the same program with the same words, but for where its key is.

mod age;
mod git;
mod gpg;
mod ssh;

use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use keystead_tests::{About, Failure, Place, Play, Result};

use crate::say;
use crate::times::{Times, now, since_ms};

pub(crate) fn measure() -> Result<()> {
    let mut play = Play::new()?;
    play.lines("load", SETUP)?;
    let mut homes = gpg::Homes::make(&mut play)?;
    let measured = homes
        .measure(&mut play)
        .and_then(|()| git::measure(&mut play, &homes))
        .and_then(|()| age::measure(&mut play))
        .and_then(|()| ssh::measure(&mut play));
    homes.end()?;
    measured?;
    play.finish()
}

/// A program as a person starts it, without what a play puts around one.
fn command(place: &Place, words: &[&str]) -> Command {
    let run = place.run(words);
    let (program, arguments) = words
        .split_first()
        .map_or(("true", words), |(p, a)| (*p, a));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(run.variables)
        .current_dir(run.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn once(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    ended_well(&name, command.status().about(&name)?)
}

/// Runs it once. If the holder is asked, the answer is for this, and for what is like it in the
/// next hour; what was asked before that answer is approved by itself. `question` is on the screen
/// for this program alone.
fn granted(play: &mut Play, mut command: Command, question: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().about(&name)?;
    let mut keys = vec![vec!["y"], vec!["k", "1"]];
    let mut since = now();
    while child.try_wait().about(&name)?.is_none() {
        if since_ms(since) > UNASKED_MS
            && let Some(keys) = keys.pop()
        {
            play.lines("load", &format!("wait-for phone terminal '{question}'"))?;
            for key in keys {
                // A key counts once a person may have read what stands there.
                std::thread::sleep(READING);
                play.lines("load", &format!("type phone '{key}'"))?;
            }
            since = now();
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    ended_well(&name, child.wait().about(&name)?)
}

fn ended_well(name: &str, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("{name} ended with {status}")))
    }
}

/// Both in turns, so often.
fn in_turns(rounds: usize, mut ours: Command, mut theirs: Command) -> Result<[Times; 2]> {
    let mut times = [(); 2].map(|()| Times::default());
    for round in 0..WARM_UP + rounds {
        for (command, times) in [&mut ours, &mut theirs].into_iter().zip(&mut times) {
            let start = now();
            once(command)?;
            let time = since_ms(start);
            if round >= WARM_UP {
                times.push(time);
            }
        }
    }
    Ok(times)
}

/// Says both, and half of all times around the middle.
fn told(what: &str, ours: &Times, theirs: &Times) -> f64 {
    let ratio = ours.p50() / theirs.p50();
    say(&format!(
        "{what}: {}; the other {}: {ratio:.2} ×, {:+.2} ms",
        ours.spread(),
        theirs.spread(),
        ours.p50() - theirs.p50(),
    ));
    ratio
}

/// An authenticator with a wallet and a stored key, at a Unix socket; whoever is at its terminal
/// has time. Tracing, which a play switches on, would cost more than what is measured.
const SETUP: &str = "unset KEYSTEAD_TRACE
include with_agent
write passphrase 'correct horse battery staple\\n'
write words 'all all all all all all all all all all all all\\n'
keystead-authenticator init --name test-phone --words-fd 0 --passphrase-fd 3 3<passphrase <words
keystead-authenticator key new --name backup --type x25519 --for age --passphrase-fd 3 3<passphrase
keystead-authenticator run --decide ask --listen unix:$PLACE/phone.sock --passphrase-fd 3 3<passphrase &phone
wait-for phone stdout '^ready'
keystead pair --name laptop --link --yes &pair
wait-for pair stdout '^(keystead:pair#\\S+)$' LINK
write link $LINK\\n
keystead-authenticator pair - --yes <link
wait pair
status 0
include with_patient_agent
keystead key list";

/// Of each program: fewer than the 200 signatures that a grant is for.
const ROUNDS: usize = 100;

/// The first ones fill caches.
const WARM_UP: usize = 5;

/// What has not ended by then waits for the holder.
const UNASKED_MS: f64 = 2_000.0;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Longer than the holder's screen takes a key for one that was meant for something else.
const READING: Duration = Duration::from_millis(1_000);
