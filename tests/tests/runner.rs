//! The runner fails where it must: a script that cannot fail tests nothing.

use keystead_tests::{Failure, Play, Result};

/// Plays lines that must fail, for this reason.
fn check(lines: &str, reason: &str) -> Result<()> {
    let mut play = Play::new()?;
    let why = match play.lines("lines", lines).and_then(|()| play.finish()) {
        Ok(()) => return Err(Failure::new(format!("it did not fail: {lines}"))),
        Err(why) => why.to_string(),
    };
    if why.contains(reason) {
        Ok(())
    } else {
        Err(Failure::new(format!("{lines}: {why}")))
    }
}

#[test]
fn what_is_not_so_is_noticed() -> Result<()> {
    check("false", "it ended with status 1")?;
    check("! true", "it ended with status 0")?;
    check("true\nstatus 1", "it ended with status 0")?;
    check("echo a\nstdout b", "it does not say so")?;
    check("echo a\n! stdout a", "it says so")?;
    check("echo a\nstderr a", "it does not say so")?;
    check("echo a\nterminal a", "it does not say so")?;
    check("there x", "there: false")?;
    check("write x ''\n! there x", "there: true")?;
    check("write x a\nfile x b", "it does not say so")?;
    check("at-once 3 false", "one ended with status 1")?;
    check("echo a &x\nwait-for x stdout b", "ended without")?;
    check("kill x", "no program &x")?;
    check("no-such-program", "it ended with status 127")?;
    check("echo $NOBODY", "nothing has set $NOBODY")?;
    check("echo a\nkeep X stdout b", "nothing matches")
}

#[test]
fn a_passphrase_that_is_said_or_kept_is_noticed() -> Result<()> {
    check("echo correct horse", "the passphrase was said")?;
    check(
        "sh -c 'echo correct horse >&2' &x\nwait-for x stderr horse",
        "the passphrase was said",
    )?;
    check(
        "sh -c 'echo correct horse >/dev/tty'",
        "the passphrase was said",
    )?;
    check(
        "mkdir -p $STATE/agent\nsh -c 'echo correct horse >$STATE/agent/x'",
        "the passphrase is in",
    )?;
    check("sh -c 'echo thread panicked at x'", "a panic was said")
}

#[test]
fn a_program_that_goes_on_is_noticed() -> Result<()> {
    if std::env::var_os("NEXTEST").is_none() {
        return Err(Failure::new("this needs nextest: a process for each test"));
    }
    check(
        "env KEYSTEAD_HOME=$PLACE/elsewhere\nkeystead agent start",
        "left running: ",
    )
}
