//! The clipboard, for a while.
//!
//! **Invariant:** when the time is over, or ^C, or the program's end by a signal comes first, the
//! clipboard is cleared if it still holds the secret; what was copied since stays. The secret
//! goes through pipes alone: it is in no argument and no variable.

use std::env;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keystead_core::SecretBytes;
use keystead_daemon::process::Termination;
use tokio::runtime::Builder;

use crate::failure::Failure;
use crate::talk::say;

/// A program that reads and writes the clipboard of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clipboard {
    /// `wl-copy` and `wl-paste`, under Wayland.
    Wayland,
    /// `xclip`, under X.
    Xclip,
    /// `xsel`, under X.
    Xsel,
}

impl Clipboard {
    /// The one that fits this session and is installed.
    pub(crate) fn find() -> Result<Self, Failure> {
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let path = env::var_os("PATH").unwrap_or_default();
        let is_there = |name: &str| env::split_paths(&path).any(|it| is_program(&it.join(name)));
        Self::choose(is_set, is_there).ok_or_else(|| {
            Failure::usage("there is no clipboard that can be reached").hint(
                "install wl-clipboard (Wayland), xclip or xsel (X), and run this in the session",
            )
        })
    }

    fn choose(is_set: impl Fn(&str) -> bool, is_there: impl Fn(&str) -> bool) -> Option<Self> {
        if is_set("WAYLAND_DISPLAY") && is_there("wl-copy") && is_there("wl-paste") {
            return Some(Self::Wayland);
        }
        if !is_set("DISPLAY") {
            return None;
        }
        match (is_there("xclip"), is_there("xsel")) {
            (true, _) => Some(Self::Xclip),
            (false, true) => Some(Self::Xsel),
            (false, false) => None,
        }
    }

    /// Puts the secret there and waits; then takes it away again.
    pub(crate) fn hold(self, secret: &SecretBytes, seconds: u16) -> Result<(), Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut ended = {
            let _inside = runtime.enter();
            Termination::catch()?
        };
        self.set(secret)?;
        say(format_args!(
            "it is in the clipboard for {seconds} s; ^C clears it at once"
        ));
        let wait = Duration::from_secs(u64::from(seconds));
        runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = ended.wait() => {}
            }
        });
        match self.holds(secret) {
            Ok(false) => say("the clipboard holds something else by now; it stays"),
            // Not knowing is no reason to leave it there.
            Ok(true) | Err(_) => {
                self.clear()?;
                say("the clipboard is cleared");
            }
        }
        Ok(())
    }

    fn set(self, secret: &SecretBytes) -> Result<(), Failure> {
        let mut child = self.start(self.words(Act::Set), Stdio::piped(), Stdio::null())?;
        let written = match child.stdin.take() {
            Some(mut pipe) => pipe.write_all(secret.expose()),
            None => Ok(()),
        };
        let ended = child.wait()?;
        if written.is_err() || !ended.success() {
            return Err(Failure::new(format!("{} does not take it", self.name())));
        }
        Ok(())
    }

    fn holds(self, secret: &SecretBytes) -> Result<bool, Failure> {
        let mut child = self.start(self.words(Act::Show), Stdio::null(), Stdio::piped())?;
        let mut held = SecretBytes::fill(secret.len() + 1, |_| ());
        let mut len = 0;
        if let Some(mut pipe) = child.stdout.take() {
            while let Some(room) = held.expose_mut().get_mut(len..).filter(|it| !it.is_empty()) {
                match pipe.read(room)? {
                    0 => break,
                    more => len += more,
                }
            }
        }
        // Its status says nothing: an empty clipboard is an error to some.
        child.wait()?;
        held.truncate(len);
        Ok(held.ct_eq(secret))
    }

    fn clear(self) -> Result<(), Failure> {
        let mut child = self.start(self.words(Act::Clear), Stdio::null(), Stdio::null())?;
        child.wait()?;
        Ok(())
    }

    fn start(self, words: &[&str], input: Stdio, output: Stdio) -> Result<Child, Failure> {
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        Command::new(program)
            .args(arguments)
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Failure::new(format!("{program} cannot be run: {error}")))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Wayland => "wl-copy",
            Self::Xclip => "xclip",
            Self::Xsel => "xsel",
        }
    }

    /// The manual pages of the three.
    const fn words(self, act: Act) -> &'static [&'static str] {
        match (self, act) {
            (Self::Wayland, Act::Set) => &["wl-copy", "--type", "text/plain"],
            (Self::Wayland, Act::Show) => &["wl-paste", "--no-newline"],
            (Self::Wayland, Act::Clear) => &["wl-copy", "--clear"],
            (Self::Xclip, Act::Set | Act::Clear) => &["xclip", "-selection", "clipboard", "-in"],
            (Self::Xclip, Act::Show) => &["xclip", "-selection", "clipboard", "-out"],
            (Self::Xsel, Act::Set) => &["xsel", "--clipboard", "--input"],
            (Self::Xsel, Act::Show) => &["xsel", "--clipboard", "--output"],
            (Self::Xsel, Act::Clear) => &["xsel", "--clipboard", "--clear"],
        }
    }
}

#[derive(Clone, Copy)]
enum Act {
    Set,
    Show,
    Clear,
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &[&str], there: &[&str], expected: Option<Clipboard>) {
        let chosen = Clipboard::choose(|it| set.contains(&it), |it| there.contains(&it));
        assert_eq!(chosen, expected);
    }

    #[test]
    fn the_session_chooses() {
        let all = ["wl-copy", "wl-paste", "xclip", "xsel"];
        let both = ["WAYLAND_DISPLAY", "DISPLAY"];
        check(&both, &all, Some(Clipboard::Wayland));
        check(&both, &["wl-copy", "xsel"], Some(Clipboard::Xsel));
        check(&["DISPLAY"], &all, Some(Clipboard::Xclip));
        check(&["DISPLAY"], &["xsel"], Some(Clipboard::Xsel));
        check(&["DISPLAY"], &[], None);
        check(&["WAYLAND_DISPLAY"], &["xclip"], None);
        check(&[], &all, None);
    }
}
