//! `recovery-code`, and how a code is handed to its person.
//!
//! **Invariant:** a code is shown once, with what it can and cannot do; its hash alone has left
//! this machine.

use keystead_channel::session::requests::{RecoveryCode as Replace, Request, recovery_hash};
use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_vault::client::RecoveryCode;

use crate::access::{self, Need};
use crate::arguments::RecoveryCode as Wanted;
use crate::failure::Failure;
use crate::prompt::Given;
use crate::servers::Server;
use crate::talk::{print, say};
use crate::terminal;

/// Replaces the code of an account.
pub(crate) fn run(wanted: &Wanted) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let server = Server::find(wanted.at.server.as_deref())?;
    check_can_show(wanted.yes)?;
    let code = RecoveryCode::draw(&mut SystemRng);
    let request = Request::RecoveryCode(Replace {
        recovery_hash: recovery_hash(code.secret()),
    });
    access::with(server, Need::FreshLogin, &mut given, async |access| {
        access.ask(&request).await.map(drop)
    })?;
    say("the old recovery code is void");
    hand_over(&code, wanted.yes)
}

/// Whether there is a place where a code can be shown: found out before there is one.
pub(crate) fn check_can_show(yes: bool) -> Result<(), Failure> {
    match yes || terminal::is_there() {
        true => Ok(()),
        false => Err(
            Failure::usage("the recovery code is shown at a terminal, and there is none")
                .hint("--yes prints it to standard output"),
        ),
    }
}

/// Shows a code to its person and checks that it was written down; with `yes` it goes to
/// standard output, unchecked.
pub(crate) fn hand_over(code: &RecoveryCode, yes: bool) -> Result<(), Failure> {
    let text = code.to_text();
    if yes {
        say(WORDS);
        return print_code(&text);
    }
    terminal::show(b"\n")?;
    terminal::show(WORDS.as_bytes())?;
    terminal::show(b"\n\n    ")?;
    terminal::show(text.expose())?;
    terminal::show(b"\n\n")?;
    for _ in 0..TRIES_MAX {
        let typed = terminal::answer("Type its last two groups, from the paper: ")?;
        if is_end(&typed, &text) {
            say("written down; it is not shown again");
            return Ok(());
        }
        say("these are not its last two groups");
    }
    say(
        "note: the account stands, but nobody has this code for sure;\nnext: keystead server recovery-code",
    );
    Ok(())
}

/// Whether these are the last two groups of the code.
fn is_end(typed: &str, text: &SecretBytes) -> bool {
    let typed = typed.bytes().filter(u8::is_ascii_alphanumeric);
    let typed: Vec<u8> = typed.map(|it| it.to_ascii_uppercase()).collect();
    let bare = text.expose().iter().copied().filter(|it| *it != b'-');
    let end: Vec<u8> = bare.skip(DIGITS - END).collect();
    typed == end
}

fn print_code(text: &SecretBytes) -> Result<(), Failure> {
    // It was drawn as ASCII.
    let shown = std::str::from_utf8(text.expose()).unwrap_or_default();
    print(shown)
}

/// What a person must know of it.
const WORDS: &str = "\
Recovery code. Write it down and keep it away from this machine.
It lifts a lock of the account (too many wrong passwords), once.
It does NOT replace the password: who forgets the password loses the secrets
that are sealed under it, and nobody can bring them back.";

/// How often the person may look again.
const TRIES_MAX: usize = 3;

/// Characters of a code without its hyphens.
const DIGITS: usize = 28;

/// Two groups of four.
const END: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_groups_are_asked_for() {
        let text = SecretBytes::take(&mut b"008J-4CT4-ANK7-F24S-NAXW-SQFE-ZY5Z".to_vec());
        for (typed, expected) in [
            ("SQFE-ZY5Z", true),
            ("sqfe zy5z", true),
            ("SQFEZY5Z", true),
            ("ZY5Z", false),
            ("SQFE-ZY5Y", false),
            ("", false),
            ("NAXW-SQFE-ZY5Z", false),
        ] {
            assert_eq!(is_end(typed, &text), expected, "{typed}");
        }
    }
}
