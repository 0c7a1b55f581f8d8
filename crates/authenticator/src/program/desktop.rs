//! Tells the desktop of a question that nobody looks at.
//!
//! **Invariant**: nothing waits for the desktop and nothing depends on it: it is told what is
//! asked, never what is decided, and no answer comes from there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::question::{Question, QuestionId};

/// A desktop that shows notifications, and the question that it was told of last.
pub(crate) struct Desktop {
    program: PathBuf,
    /// On the screen since, and whether the desktop was told.
    shown: Option<(QuestionId, u64, Told)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    NotYet,
    Already,
}

impl Desktop {
    /// The one of this session, if there is a session bus and `notify-send`.
    pub(crate) fn of_session() -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let has_bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
            || set("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).join("bus").exists());
        let path = set("PATH").filter(|_| has_bus)?;
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join(PROGRAM))
            .find(|program| program.is_absolute() && program.is_file())?;
        Some(Self {
            program,
            shown: None,
        })
    }

    /// Looks at the screen: a question that stands there for a while without a key is told.
    pub(crate) fn look(&mut self, question: Option<&Question>, now_ms: u64) {
        let Some(question) = question else {
            self.shown = None;
            return;
        };
        match &mut self.shown {
            Some((id, since_ms, told)) if *id == question.id => {
                if *told == Told::NotYet && now_ms.saturating_sub(*since_ms) >= UNLOOKED_MS {
                    *told = Told::Already;
                    self.tell(question);
                }
            }
            _ => self.shown = Some((question.id, now_ms, Told::NotYet)),
        }
    }

    /// A key was pressed: somebody is there.
    pub(crate) fn somebody_is_there(&mut self) {
        if let Some((_, _, told)) = &mut self.shown {
            *told = Told::Already;
        }
    }

    fn tell(&self, question: &Question) {
        let mut command = Command::new(&self.program);
        command
            .args(arguments(question))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let spawned = std::thread::Builder::new().spawn(move || {
            // Waited for, so that no zombie is left; with a bus that hangs only this thread does.
            if let Err(error) = command.status() {
                tracing::debug!(%error, "the desktop is not told");
            }
        });
        if let Err(error) = spawned {
            tracing::debug!(%error, "the desktop is not told");
        }
    }
}

/// notify-send(1); the body may hold markup, so what would be some is written out (Desktop
/// Notifications Specification, Markup).
fn arguments(question: &Question) -> Vec<String> {
    let count = match question.count() {
        1 => String::new(),
        count => format!("{count} × "),
    };
    let body = format!("{count}{}", question.asked().line())
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let title = format!("{} asks; answer in the terminal", question.workstation);
    let expire = format!("--expire-time={SHOWN_MS}");
    [
        "--app-name=keystead",
        "--urgency=critical",
        &expire,
        "--",
        &title,
        &body,
    ]
    .map(str::to_owned)
    .into()
}

const PROGRAM: &str = "notify-send";

/// 3 s: who sits before the terminal has pressed a key, or begun to read, by then.
const UNLOOKED_MS: u64 = 3_000;

/// 30 s: half of the time that a question waits.
const SHOWN_MS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Choices, Part, PartId};
    use crate::words::{Asked, MakeKey};
    use keystead_core::Name;

    fn question(id: u64) -> Question {
        let asked = Asked::MakeKey(MakeKey {
            name: Name::new("a<b>&c").unwrap(),
            algorithm: "ed25519",
            purposes: Vec::new(),
        });
        Question {
            id: QuestionId(id),
            workstation: Name::new("laptop").unwrap(),
            first: Part {
                id: PartId(1),
                asked,
                deadline_ms: 60_000,
            },
            others: vec![],
            act: None,
            choices: Choices::default(),
        }
    }

    #[test]
    fn the_body_is_no_markup_and_no_option() {
        let arguments = arguments(&question(1));
        assert_eq!(
            arguments[3..],
            [
                "--",
                "laptop asks; answer in the terminal",
                "a new key a&lt;b&gt;&amp;c, type ed25519"
            ]
        );
    }

    #[test]
    fn a_question_is_told_once_when_nobody_pressed_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let program = folder.path().join("notify-send");
        let script = format!("#!/bin/sh\necho \"$5\" >> {}\n", told.display());
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let mut desktop = Desktop {
            program,
            shown: None,
        };
        let told = || std::fs::read_to_string(&told).unwrap_or_default();
        desktop.look(Some(&question(1)), 0);
        desktop.look(Some(&question(1)), 2_999);
        desktop.somebody_is_there();
        desktop.look(Some(&question(1)), 9_000);
        desktop.look(Some(&question(2)), 10_000);
        desktop.look(Some(&question(2)), 13_000);
        desktop.look(Some(&question(2)), 14_000);
        desktop.look(None, 15_000);
        // The thread and its program need a moment.
        for _ in 0..500 {
            if !told().is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(told(), "laptop asks; answer in the terminal\n");
    }
}
