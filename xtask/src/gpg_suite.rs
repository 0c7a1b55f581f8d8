//! `cargo xtask gpg-suite`: GnuPG's own OpenPGP tests, with our agent program in the place of
//! gpg's.
//!
//! Invariant: nothing of the system changes. The tests are those of the gpg that is installed, and
//! what they start has ended when this ends.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::binaries::{self, Profile};
use crate::console::{say, step};
use crate::failure::{self, About, Failure, Result};
use crate::run::Program;
use crate::workspace;

mod source;

/// The command: `gpg-suite [TEST…]`; a test is one of its files, such as `signencrypt.scm`.
pub(crate) fn command(tests: &[String]) -> Result<()> {
    if let Some(option) = tests.iter().find(|it| it.starts_with('-')) {
        return Err(Failure::new(format!(
            "no option {option}; usage: cargo xtask gpg-suite [TEST…]"
        )));
    }
    let root = workspace::root()?;
    let source = source::prepare(&workspace::target(&root).join("gpg-suite"))?;
    let programs = binaries::build(&root, Profile::Dev)?;
    step("Running GnuPG's tests with keystead as gpg-agent.");
    let place = Place::make(&programs)?;
    let counts = run(&source, &place, tests)?;
    let left = place.left();
    for (pid, line) in &left {
        say(&format!("left running: {line}"));
        Program::new("kill").arg(pid.to_string()).quietly();
    }
    if !left.is_empty() {
        return Err(Failure::new("programs outlived the tests"));
    }
    counts.verdict()
}

/// A throw-away folder: home folders, sockets, and the two programs that differ.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn make(programs: &Path) -> Result<Self> {
        // A socket's path may be 107 bytes long (unix(7)): a folder under `target` is too deep.
        let name = format!("keystead-gpg-{}", std::process::id());
        let place = Self {
            folder: std::env::temp_dir().join(name),
        };
        for name in ["bin", "homes", "tests/openpgp"] {
            let folder = place.folder.join(name);
            std::fs::create_dir_all(&folder).about(folder.display())?;
        }
        let agent = place.folder.join("bin/gpg-agent");
        symlink(programs.join("keystead"), &agent).about(agent.display())?;
        let conf = place.gpgconf();
        failure::write(&conf, &gpgconf(&agent.to_string_lossy()))?;
        let mode = std::fs::Permissions::from_mode(PROGRAM_MODE);
        std::fs::set_permissions(&conf, mode).about(conf.display())?;
        Ok(place)
    }

    fn gpgconf(&self) -> PathBuf {
        self.folder.join("bin/gpgconf")
    }

    /// What runs for one of its home folders, a while after the last test.
    fn left(&self) -> Vec<(u32, String)> {
        let folder = self.folder.to_string_lossy();
        let end = Instant::now() + GOODBYE;
        loop {
            let left = running(&folder);
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Processes that name `folder`, this one apart.
fn running(folder: &str) -> Vec<(u32, String)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            // Empty when it has ended (proc_pid_cmdline(5)).
            let line = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let line = line.trim_end_matches('\0').replace('\0', " ");
            (line.contains(folder) && pid != std::process::id()).then_some((pid, line))
        })
        .collect()
}

fn run(source: &Path, place: &Place, tests: &[String]) -> Result<Counts> {
    let gpgscm = source.join("tests/gpgscm");
    let openpgp = source.join("tests/openpgp");
    // It says all it says on standard error.
    let suite = Program::new("sh")
        .args([
            "-c",
            "unset GNUPGHOME SSH_AUTH_SOCK; exec \"$0\" \"$@\" 2>&1",
        ])
        .arg(gpgscm.join("gpgscm"))
        .arg(openpgp.join("run-tests.scm"))
        .args(tests)
        .folder(&place.folder)
        .variable("LC_ALL", "C")
        .variable("EXEEXT", "")
        .variable("TMPDIR", place.folder.join("homes"))
        .variable("KEYSTEAD_HOME", place.folder.join("keystead"))
        .variable("abs_top_srcdir", source)
        .variable("objdir", &place.folder)
        .variable("GPGSCM_PATH", &gpgscm)
        .variable("BIN_PREFIX", "/usr/bin")
        .variable("GPGCONF", place.gpgconf())
        .variable("PINENTRY", openpgp.join("fake-pinentry"))
        .variable("GPG_PRESET_PASSPHRASE", PRESET);
    let mut counts = Counts::default();
    let went_well = suite.watched(&mut |line| {
        say(line);
        counts.read(line);
    })?;
    counts.went_well = went_well;
    Ok(counts)
}

/// What the suite says at its end.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    run: u32,
    succeeded: u32,
    went_well: bool,
}

impl Counts {
    /// Takes the line `60 tests run, 60 succeeded, 0 failed, …`.
    fn read(&mut self, line: &str) {
        let number = |of: &str| {
            let part = line.split(", ").find_map(|it| it.strip_suffix(of));
            part.and_then(|it| it.parse().ok())
        };
        if let (Some(run), Some(succeeded)) = (number(" tests run"), number(" succeeded")) {
            (self.run, self.succeeded) = (run, succeeded);
        }
    }

    fn verdict(&self) -> Result<()> {
        let Self { run, succeeded, .. } = self;
        say(&format!("{succeeded} of {run} tests succeeded."));
        if self.went_well && *run > 0 && run == succeeded {
            Ok(())
        } else {
            Err(Failure::new("GnuPG's tests do not pass"))
        }
    }
}

/// `gpgconf` as the suite asks it where the programs are: ours is the gpg-agent.
fn gpgconf(agent: &str) -> String {
    format!(
        "#!/bin/sh\n\
         case \"$*\" in\n\
         *--list-components*) gpgconf \"$@\" | sed 's|^\\(gpg-agent:[^:]*:\\)[^:]*|\\1{agent}|' ;;\n\
         *) exec gpgconf \"$@\" ;;\n\
         esac\n"
    )
}

/// Debian's place for it, where gpgconf's `libexecdir` is.
const PRESET: &str = "/usr/lib/gnupg/gpg-preset-passphrase";

/// chmod(2): everybody may run it.
const PROGRAM_MODE: u32 = 0o755;

/// An agent whose home folder has gone is given this long.
const GOODBYE: Duration = Duration::from_secs(10);

/// Nothing tells of the end of another's child.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_and_judged() {
        let check = |line: &str, expected: (u32, u32), passes: bool| {
            let mut counts = Counts {
                went_well: true,
                ..Counts::default()
            };
            counts.read(line);
            assert_eq!((counts.run, counts.succeeded), expected, "{line}");
            assert_eq!(counts.verdict().is_ok(), passes, "{line}");
        };
        let rest = "0 failed expectedly, 0 succeeded unexpectedly, 0 skipped.";
        check(
            &format!("60 tests run, 60 succeeded, 0 failed, {rest}"),
            (60, 60),
            true,
        );
        check(
            &format!("60 tests run, 59 succeeded, 1 failed, {rest}"),
            (60, 59),
            false,
        );
        check("PASS: tests/openpgp/version.scm", (0, 0), false);
        let counts = Counts {
            run: 60,
            succeeded: 60,
            went_well: false,
        };
        assert!(counts.verdict().is_err());
    }

    #[test]
    fn gpgconf_is_a_shell_script() {
        let script = gpgconf("/a/gpg-agent");
        assert!(Program::new("sh").args(["-n", "-c", &script]).quietly());
    }
}
