//! `gpg --detach-sign`: our agent program and a key of the wallet, beside an ordinary gpg-agent
//! and a key of the same kind without a passphrase, which is the fastest that it has.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use keystead_tests::{About, Failure, Place, Play, Result, wait_until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{ROUNDS, command, granted, in_turns, told};
use crate::agents::resident_kib;
use crate::{Bound, figure, say};

/// Two home folders of gpg.
pub(super) struct Homes {
    pub(super) ours: Home,
    pub(super) theirs: Home,
}

pub(super) struct Home {
    pub(super) folder: PathBuf,
    /// Its agent's process.
    agent: Option<u32>,
}

impl Homes {
    /// Makes both, each with a key that signs and a subkey that decrypts.
    pub(super) fn make(play: &mut Play) -> Result<Self> {
        let link = play.place().path("bin/gpg-agent");
        let program = play.place().binaries().join("keystead");
        std::os::unix::fs::symlink(program, &link).about(link.display())?;
        play.lines("load", MAKE)?;
        let home = play.place().home();
        let homes = Self {
            ours: Home::of(home.join("ours")),
            theirs: Home::of(home.join("theirs")),
        };
        granted(play, homes.ours.command(play.place(), &INIT), "OpenPGP")?;
        Ok(homes)
    }

    pub(super) fn measure(&mut self, play: &mut Play) -> Result<()> {
        granted(play, self.ours.signs(play.place()), "detach-sign")?;
        let [ours, theirs] = in_turns(
            ROUNDS,
            self.ours.signs(play.place()),
            self.theirs.signs(play.place()),
        )?;
        let ratio = told("gpg --detach-sign by a grant", &ours, &theirs);
        let most = Bound::AtMost(1.2);
        figure("gpg --detach-sign / with gpg-agent", ratio, "×", most);
        let mut memory = Vec::new();
        for home in [&mut self.ours, &mut self.theirs] {
            let pid = home.agent(play.place())?;
            memory.push(resident_kib(pid)? / 1_024.0);
        }
        let [ours, theirs] = memory.as_slice() else {
            return Err(Failure::new("two agents are measured"));
        };
        say(&format!(
            "memory of the agent program {ours:.1} MiB, of gpg-agent {theirs:.1} MiB"
        ));
        figure("memory as gpg-agent", *ours, "MiB", Bound::None);
        Ok(())
    }

    /// Ends both agents, if gpg has started them.
    pub(super) fn end(&mut self) -> Result<()> {
        for home in [&self.ours, &self.theirs] {
            let pid = home.agent.and_then(|it| i32::try_from(it).ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                kill_process(pid, Signal::TERM).about("an agent of gpg")?;
                wait_until("an agent of gpg ends", || {
                    // It is this process's child once who started it has ended.
                    let _ =
                        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
                    test_kill_process(pid).is_err()
                })?;
            }
        }
        Ok(())
    }
}

impl Home {
    fn of(folder: PathBuf) -> Self {
        let agent = None;
        Self { folder, agent }
    }

    pub(super) fn command(&self, place: &Place, words: &[&str]) -> Command {
        let mut command = command(place, words);
        command.env("GNUPGHOME", &self.folder);
        command
    }

    fn signs(&self, place: &Place) -> Command {
        let words = ["gpg", "--batch", "--yes", "--detach-sign", "-o"];
        let mut command = self.command(place, &words);
        command.arg(self.folder.join("signature")).arg("file");
        command
    }

    /// The process of its agent, by the agent's own word.
    fn agent(&mut self, place: &Place) -> Result<u32> {
        let words = ["gpg-connect-agent", "GETINFO pid", "/bye"];
        let mut command = self.command(place, &words);
        let output = command.stdout(Stdio::piped()).output();
        let output = output.about("gpg-connect-agent")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let pid = text
            .lines()
            .find_map(|line| line.strip_prefix("D ")?.parse().ok());
        self.agent = pid;
        pid.ok_or_else(|| Failure::new(format!("no process of gpg's agent:\n{text}")))
    }
}

/// In both, gpg asks nobody.
const MAKE: &str = "mkdir -m 0700 ours theirs
write file 'what was meant\\n'
env GNUPGHOME=$HOME/theirs
gpg --batch --passphrase '' --quick-gen-key 'Alex <alex@example.org>' ed25519 sign 0
sh -c 'gpg --batch --passphrase \"\" --quick-add-key $(gpg --list-keys --with-colons | sed -n \"s/^fpr:*\\([^:]*\\):.*/\\1/p\" | head -1) cv25519 encr 0'
unset GNUPGHOME";

const INIT: [&str; 7] = [
    "keystead",
    "gpg",
    "init",
    "--curve",
    "ed25519",
    "--no-authentication",
    "Alex <alex@example.org>",
];
