//! Looks at the process at the other end of a connection, by `/proc`, and reaches the person's
//! terminal.
//!
//! **Invariant:** all of it is best effort and proves nothing; a process that is gone, or is not
//! what it seems, gives empty answers. A line is written to a terminal or nowhere: never into a
//! file or pipe that a person redirected.

mod act;
mod files;
mod hosts;
mod processes;
mod short;
mod terminal;

use std::path::Path;

use crate::evidence::{Look, Seen};

use processes::Processes;

pub use terminal::say;

/// The text of a file of the person's own; none where it is not there, too long, or no text.
#[must_use]
pub fn read_text(path: &Path) -> Option<String> {
    short::read_text(path, FILE_BYTES_MAX)
}

/// Looks at process `pid`. `home` is the person's home folder.
#[must_use]
pub fn look(pid: i32, look: Look, home: Option<&Path>) -> Seen {
    look_in(&Processes::of_system(), pid, look, home)
}

fn look_in(processes: &Processes, pid: i32, look: Look, home: Option<&Path>) -> Seen {
    if look == Look::Program {
        return Seen {
            process_path: processes.link(pid, "exe"),
            ..Seen::default()
        };
    }
    let Some(process) = processes.read(pid) else {
        return Seen::default();
    };
    let ancestors = processes.ancestors(&process);
    let mut seen = Seen {
        process_path: process.path.clone(),
        arguments: process.arguments.clone(),
        parents: ancestors.iter().filter_map(|it| it.path.clone()).collect(),
        intent: act::intent(processes, &process, &ancestors),
        is_background: !terminal::has_terminal(processes, &process, &ancestors),
        ..Seen::default()
    };
    match look {
        Look::Program | Look::Process => {}
        Look::Hosts => hosts::look(processes, &process, &mut seen, home),
        Look::Files => files::look(processes, &process, &mut seen),
    }
    seen
}

/// 1 MiB: 4,096 identities of 200 bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_seen() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let seen = look(pid, Look::Process, None);
        let own = std::env::current_exe().unwrap();
        assert_eq!(seen.process_path.as_deref(), own.to_str());
        assert!(!seen.arguments.is_empty());
        assert!(!seen.parents.is_empty());
        assert!(seen.intent.is_some());
        assert_eq!(look(i32::MAX, Look::Hosts, None), Seen::default());
        let program = look(pid, Look::Program, None);
        assert_eq!(program.process_path.as_deref(), own.to_str());
        assert_eq!(program.arguments, Vec::<String>::new());
    }
}
