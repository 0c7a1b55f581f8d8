//! What `try` and `test` need on the machine, and how it gets there.
//!
//! Invariants: nothing of the person's is changed but by packages that they
//! agreed to; no package leaves a service running.

use std::path::{Path, PathBuf};

use crate::console::{confirm, say, step};
use crate::failure::{Failure, Result};
use crate::run::{self, Program};
use crate::workspace;

mod apt;
mod unpack;

/// The programs found, for those whom `PATH` does not lead there.
pub(crate) struct Tools {
    folders: Vec<PathBuf>,
    libraries: Option<PathBuf>,
}

impl Tools {
    /// A program's path.
    pub(crate) fn find(&self, name: &str) -> Result<PathBuf> {
        run::find(name, &self.folders).ok_or_else(|| Failure::new(format!("{name} is not here")))
    }

    /// `PATH` with the folders of what was unpacked.
    pub(crate) fn path(&self, first: &Path) -> Result<std::ffi::OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(first.to_owned())
            .chain(std::env::split_paths(&path))
            .chain(self.folders.iter().cloned());
        std::env::join_paths(folders).map_err(|error| Failure::new(error.to_string()))
    }

    /// `LD_LIBRARY_PATH` for programs that were unpacked and not installed.
    pub(crate) fn libraries(&self) -> Option<&Path> {
        self.libraries.as_deref()
    }
}

/// What is done it is needed for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum For {
    Try,
    Test,
}

/// A program, and the Debian packages that have it.
struct Need {
    /// Its name, or the whole path of what is no program.
    program: &'static str,
    packages: &'static [&'static str],
    /// Unpacking it under `target` is enough to use it.
    unpacks: bool,
    test_only: bool,
}

impl Need {
    fn is_here(&self, folders: &[PathBuf]) -> bool {
        let unpacked = |path: &str| {
            let roots = folders.iter().filter_map(|it| it.parent()?.parent());
            roots.map(|root| root.join(path)).any(|it| it.exists())
        };
        match self.program.strip_prefix('/') {
            Some(path) => Path::new(self.program).exists() || unpacked(path),
            None => run::find(self.program, folders).is_some(),
        }
    }
}

/// Finds what is missing and gets it. `yes`: without asking.
pub(crate) fn run(purpose: For, yes: bool) -> Result<Tools> {
    let root = workspace::root()?;
    let tools = unpack::Unpacked::under(&workspace::target(&root));
    let missing = missing(purpose, &tools.folders());
    if !missing.is_empty() {
        get(&missing, &tools, yes)?;
    }
    let folders = tools.folders();
    let still: Vec<&str> = self::missing(purpose, &folders)
        .iter()
        .map(|need| need.program)
        .collect();
    if !still.is_empty() {
        return Err(Failure::new(format!("still missing: {}", still.join(", "))));
    }
    if purpose == For::Test {
        nextest(&root)?;
    }
    Ok(Tools {
        libraries: tools.libraries(),
        folders,
    })
}

fn missing(purpose: For, folders: &[PathBuf]) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| purpose == For::Test || !need.test_only)
        .filter(|need| !need.is_here(folders))
        .collect()
}

fn get(missing: &[&'static Need], tools: &unpack::Unpacked, yes: bool) -> Result<()> {
    let mut packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let names = packages.join(", ");
    let programs: Vec<&str> = missing.iter().map(|need| need.program).collect();
    step(&format!(
        "Missing here: {} (Debian: {names}).",
        programs.join(", ")
    ));
    if run::find("apt-get", &[]).is_none() {
        return Err(Failure::new(format!(
            "no apt-get here; install what these Debian packages have: {names}"
        )));
    }
    if is_root() {
        return apt::install(&packages, apt::As::Root);
    }
    if has_sudo(yes) && (yes || confirm(&format!("Install {names} by sudo apt-get?"))) {
        return apt::install(&packages, apt::As::Sudo);
    }
    if let Some(need) = missing.iter().find(|need| !need.unpacks) {
        return Err(Failure::new(format!(
            "{} is missing and cannot be unpacked: ask who is root here for the package {}",
            need.program,
            need.packages.join(", ")
        )));
    }
    say(&format!(
        "Unpacking {names} under target, without installing."
    ));
    tools.unpack(&packages)
}

/// With a terminal sudo may ask for a password; without one it must not.
fn has_sudo(yes: bool) -> bool {
    use std::io::IsTerminal;
    let may_ask = !yes && std::io::stdin().is_terminal();
    run::find("sudo", &[]).is_some()
        && (may_ask || Program::new("sudo").args(["-n", "true"]).quietly())
}

/// The person's uid is 0.
pub(crate) fn is_root() -> bool {
    Program::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|uid| uid.trim() == "0")
}

fn nextest(root: &Path) -> Result<()> {
    if Program::cargo(root)
        .args(["nextest", "--version"])
        .quietly()
    {
        return Ok(());
    }
    step("cargo-nextest is missing: cargo builds it now, which takes several minutes.");
    Program::cargo(root)
        .args(["install", "cargo-nextest", "--locked"])
        .must()
}

const NEEDS: &[Need] = &[
    // What cargo compiles with: libsodium and aws-lc are C.
    Need {
        program: "cc",
        packages: &["gcc"],
        unpacks: false,
        test_only: false,
    },
    Need {
        program: "make",
        packages: &["make"],
        unpacks: false,
        test_only: false,
    },
    Need {
        program: "git",
        packages: &["git"],
        unpacks: false,
        test_only: false,
    },
    Need {
        program: "ssh",
        packages: &["openssh-client"],
        unpacks: true,
        test_only: false,
    },
    Need {
        program: "ssh-keygen",
        packages: &["openssh-client"],
        unpacks: true,
        test_only: false,
    },
    Need {
        program: "ssh-agent",
        packages: &["openssh-client"],
        unpacks: true,
        test_only: false,
    },
    Need {
        program: "sshd",
        packages: &["openssh-server"],
        unpacks: true,
        test_only: false,
    },
    // A clock that is off, for one program.
    Need {
        program: "faketime",
        packages: &["faketime", "libfaketime"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "rsync",
        packages: &["rsync", "libpopt0", "libxxhash0"],
        unpacks: true,
        test_only: true,
    },
    // Other clients of an agent than OpenSSH's.
    Need {
        program: "/usr/bin/python3",
        packages: &["python3"],
        unpacks: false,
        test_only: true,
    },
    Need {
        program: "/usr/lib/python3/dist-packages/paramiko",
        packages: &[
            "python3-paramiko",
            "python3-bcrypt",
            "python3-cffi-backend",
            "python3-cryptography",
            "python3-nacl",
            "python3-six",
            "libsodium23",
        ],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "/usr/lib/python3/dist-packages/asyncssh",
        packages: &["python3-asyncssh", "python3-typing-extensions"],
        unpacks: true,
        test_only: true,
    },
    // A client of a key server in another language.
    Need {
        program: "/usr/lib/python3/dist-packages/OpenSSL",
        packages: &["python3-openssl"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "/usr/lib/python3/dist-packages/cbor2",
        packages: &["python3-cbor2"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "/usr/lib/python3/dist-packages/argon2",
        packages: &["python3-argon2", "libargon2-1"],
        unpacks: true,
        test_only: true,
    },
    // Syncs that fail, and their order, as the kernel sees them.
    Need {
        program: "strace",
        packages: &["strace", "libunwind8"],
        unpacks: true,
        test_only: true,
    },
    // Other programs' keys, and their word on ours.
    Need {
        program: "openssl",
        packages: &["openssl"],
        unpacks: true,
        test_only: true,
    },
    // What opens files and verifies signatures by keys that are elsewhere.
    Need {
        program: "gpg",
        packages: &["gnupg"],
        unpacks: false,
        test_only: true,
    },
    Need {
        program: "gpg-agent",
        packages: &["gpg-agent"],
        unpacks: false,
        test_only: true,
    },
    Need {
        program: "age",
        packages: &["age"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "minisign",
        packages: &["minisign", "libsodium23"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "signify-openbsd",
        packages: &["signify-openbsd", "libbsd0", "libmd0"],
        unpacks: true,
        test_only: true,
    },
    // A token without hardware, for what ssh-add -s brings.
    Need {
        program: "softhsm2-util",
        packages: &["softhsm2", "libsofthsm2"],
        unpacks: true,
        test_only: true,
    },
    Need {
        program: "pkcs11-tool",
        packages: &["opensc", "opensc-pkcs11"],
        unpacks: true,
        test_only: true,
    },
    // A FIDO token without hardware, for what ssh-keygen -w and ssh-add bring.
    Need {
        program: "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so",
        packages: &["openssh-tests"],
        unpacks: true,
        test_only: true,
    },
    // A database server that several key servers share; each test starts one of its own, and
    // the package's service is not started.
    Need {
        program: "psql",
        packages: &["postgresql", "postgresql-client"],
        unpacks: false,
        test_only: true,
    },
    Need {
        program: "/usr/lib/postgresql",
        packages: &["postgresql", "postgresql-client"],
        unpacks: false,
        test_only: true,
    },
    // The systemd units are tried with its own tools; it need not run.
    Need {
        program: "systemd-socket-activate",
        packages: &["systemd"],
        unpacks: false,
        test_only: true,
    },
];
