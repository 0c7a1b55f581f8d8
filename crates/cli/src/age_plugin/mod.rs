//! `age-plugin-keystead` by name: what age starts for an `AGE-PLUGIN-KEYSTEAD-1…` identity.
//!
//! **Invariant:** standard output holds the plugin protocol and nothing else; what goes wrong
//! reaches the person as age's own error. Starting up parses no command line and starts no thread:
//! with a standing approval nobody should notice that the key is elsewhere.

mod conversation;
mod opening;
mod wrapping;

use std::ffi::OsString;
use std::process::ExitCode;

use keystead_formats::age::plugin::{Complaint, Machine, Say};

use crate::agent_link::block_on;
use crate::failure::{Failure, Status};
use crate::report;
use crate::terminal::harmless;

use conversation::Conversation;

/// The name that makes this program age's plugin.
pub(crate) const NAME: &str = "age-plugin-keystead";

/// Whether the arguments are those of a plugin, whatever the name: rage and other programs of
/// Rust's age start what the link leads to.
pub(crate) fn is_asked_for(words: &[OsString]) -> bool {
    machine_of(words).is_some()
}

fn machine_of(words: &[OsString]) -> Option<&str> {
    match words {
        [word] => word.to_str()?.strip_prefix("--age-plugin="),
        _ => None,
    }
}

/// Runs with the arguments behind the name.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let machine = machine_of(words).and_then(Machine::from_name);
    let mut age = Conversation::new();
    let ended = match machine {
        Some(Machine::Identity) => block_on(opening::run(&mut age)),
        Some(Machine::Recipient) => block_on(wrapping::run(&mut age)),
        None => Err(Failure::new("age starts this program by itself")
            .hint("`keystead age identity` prints what goes into an identity file")
            .status(Status::Usage)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.status.code())
        }
    }
}

/// Says all complaints and that this is all.
fn end(age: &mut Conversation, complaints: &[Complaint]) -> Result<(), Failure> {
    for complaint in complaints {
        age.say(&Say::Complain(complaint))?;
    }
    age.end()
}

/// One line for age's person: what failed, and what to do.
fn line_of(failure: &Failure) -> String {
    let message = harmless(&failure.message);
    match &failure.hint {
        Some(hint) => format!("{message} ({})", harmless(hint)),
        None => message,
    }
}
