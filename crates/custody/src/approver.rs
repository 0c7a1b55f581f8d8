//! `approver add|remove`: who approves for an account is changed right after a login alone.

use keystead_channel::session::requests::{Approver, ApproverChange, Request};
use keystead_channel::session::{ApproverId, Text};
use keystead_core::hex;
use keystead_vault::client::RecoveryCode;

use crate::access::{self, Need};
use crate::arguments::{Approver as Wanted, At};
use crate::failure::{Failure, Status};
use crate::prompt::Given;
use crate::servers::Server;
use crate::talk::{harmless, say};

/// `approver …`
pub(crate) fn run(wanted: &Wanted) -> Result<(), Failure> {
    match wanted {
        Wanted::Add(add) => {
            let public_key: [u8; 32] = hex::typed_array(&add.public_key)
                .ok_or_else(|| Failure::usage("a public key has 64 hex digits"))?;
            let approver = Approver {
                public_key,
                label: Text(add.label.clone()),
            };
            let mut given = Given::read(add.at.answers, None)?;
            let name = ask(&add.at, &mut given, |it| it.add = Some(approver))?;
            say(format_args!(
                "{name} takes the word of {} now, as approver {}",
                harmless(&add.label),
                ApproverId::of(&public_key)
            ));
            say(format_args!(
                "next: keystead policy set --server {name} --key KEY approvers {}",
                word(&harmless(&add.label))
            ));
        }
        Wanted::Remove(remove) => {
            let id = hex::typed_array(&remove.id)
                .map(ApproverId)
                .ok_or_else(|| Failure::usage("an approver's id has 32 hex digits"))?;
            let mut given = Given::read(remove.at.answers, None)?;
            let name = ask(&remove.at, &mut given, |it| it.remove = Some(id))?;
            say(format_args!("approver {id} approves no more at {name}"));
        }
        Wanted::Recover(recover) => {
            let mut given = Given::read(recover.at.answers, recover.recovery_code_fd)?;
            let typed = given.recovery_code()?;
            let code = RecoveryCode::read(typed.expose()).map_err(|error| {
                Failure::of(&error)
                    .status(Status::Usage)
                    .hint("it was shown when the account was opened")
            })?;
            let code = code.into_secret();
            let name = ask(&recover.at, &mut given, |it| it.recovery_code = Some(code))?;
            say(format_args!(
                "{name} wants no approvals from 72 hours on, for 7 days"
            ));
            say("an approver calls it off: keystead approver cancel");
        }
    }
    Ok(())
}

/// A name as a shell takes it: one with a blank is one word.
fn word(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-@".contains(it);
    match name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

/// Asks for one change; gives the server's name.
fn ask(
    at: &At,
    given: &mut Given,
    set: impl FnOnce(&mut ApproverChange),
) -> Result<String, Failure> {
    let server = Server::find(at.server.as_deref())?;
    let name = server.name().to_owned();
    let mut change = ApproverChange {
        add: None,
        remove: None,
        recovery_code: None,
        recovery: None,
    };
    set(&mut change);
    let request = Request::Approvers(change);
    access::with(server, Need::FreshLogin, given, async |access| {
        access.ask(&request).await.map(drop)
    })?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_to_a_shell() {
        for (name, expected) in [
            ("phone", "phone"),
            ("phone 2", "'phone 2'"),
            ("Bo's phone", r"'Bo'\''s phone'"),
        ] {
            assert_eq!(word(name), expected);
        }
    }
}
