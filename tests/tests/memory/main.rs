//! No secret in memory: the agent and the relay never have one, and the
//! authenticator has none once it is locked. Looked for: every 16-byte window
//! of the private keys, of what opens them, and of the passphrase.

mod scan;
mod store;

use keystead_tests::{Failure, Play, Result};

use scan::Secrets;

/// As `with_phone.script` writes it.
const PASSPHRASE: &str = "correct horse battery staple";

/// Of the wallet that is added.
const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

#[test]
#[ignore = "needs root"]
fn no_secret_where_none_belongs() -> Result<()> {
    let mut play = Play::new()?;
    play.lines(
        "setup",
        "include approving\n\
         ssh sshd true\n\
         keystead-authenticator key new --name second --type p256\n\
         write words 'legal winner thank year wave sausage worth useful legal winner thank yellow\\n'\n\
         keystead-authenticator wallet add --words-fd 0 <words",
    )?;
    let keys = play.place().read("k/authenticator/state/keys.json")?;
    let mut secrets = store::secrets(&keys, PASSPHRASE)?;
    secrets.add("words", WORDS.as_bytes());
    if secrets.names()
        != [
            "passphrase",
            "passphrase key",
            "store key",
            "key main",
            "key second",
            "wallet seed",
            "words",
        ]
    {
        return Err(Failure::new(format!(
            "looked for {:?} alone",
            secrets.names()
        )));
    }
    control(&secrets)?;
    for program in ["agent", "relay"] {
        none_in(&secrets, program, play.pid(program)?)?;
    }
    let authenticator = play.pid("phone")?;
    let before = scan::found(&secrets, authenticator)?;
    let has = |start: &str| before.iter().any(|name| name.starts_with(start));
    if !has("key ") || !has("wallet seed") {
        return Err(Failure::new(
            "the unlocked authenticator's keys are not found: a blind scan",
        ));
    }
    if has("words") {
        return Err(Failure::new("the words stayed behind the wallet"));
    }
    play.lines("lock", "keystead-authenticator lock\n! ssh sshd true")?;
    none_in(&secrets, "locked authenticator", authenticator)?;
    play.lines(
        "unlock",
        "keystead-authenticator unlock --passphrase-fd 3 3<passphrase\n\
         ssh sshd true\n\
         keystead-authenticator lock",
    )?;
    none_in(&secrets, "authenticator locked again", authenticator)
}

/// A key that `ssh-add` brings is in the local authenticator, not in the agent
/// that passed it on, and nowhere once it is taken away.
#[test]
#[ignore = "needs root"]
fn an_added_key_is_in_the_local_authenticator_alone() -> Result<()> {
    let mut play = Play::new()?;
    play.lines(
        "setup",
        "include dropped_in\n\
         ssh-keygen -q -t ed25519 -N '' -f added\n\
         ssh-add -q added\n\
         ssh-add -T added.pub",
    )?;
    let secrets = store::seed(&play.place().read("home/added")?)?;
    control(&secrets)?;
    let agent = play.pid("ours")?;
    none_in(&secrets, "agent", agent)?;
    let children = scan::children(agent)?;
    let [local] = children.as_slice() else {
        return Err(Failure::new(format!("the agent started {children:?}")));
    };
    if scan::found(&secrets, *local)?.is_empty() {
        return Err(Failure::new(
            "the key is not where it is held: a blind scan",
        ));
    }
    play.lines("removal", "ssh-add -q -d added\n! ssh-add -T added.pub")?;
    none_in(&secrets, "agent", agent)?;
    none_in(&secrets, "local authenticator", *local)?;
    play.finish()
}

/// This process has every secret on purpose: the scan finds each of them.
fn control(secrets: &Secrets) -> Result<()> {
    let mut expected = secrets.names();
    expected.sort_unstable();
    let found = scan::found(secrets, std::process::id())?;
    if found == expected {
        Ok(())
    } else {
        Err(Failure::new(format!("found of its own secrets: {found:?}")))
    }
}

fn none_in(secrets: &Secrets, program: &str, pid: u32) -> Result<()> {
    match scan::found(secrets, pid)?.as_slice() {
        [] => Ok(()),
        found => Err(Failure::new(format!(
            "{program} has in its memory: {}",
            found.join(", ")
        ))),
    }
}
