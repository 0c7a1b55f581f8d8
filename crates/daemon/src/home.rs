//! Where a program keeps its things: configuration, state, sockets.
//!
//! **Invariant:** a folder of ours is 0700 and belongs to us before anything is
//! put in it.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, Mode, OFlags};

/// The three folders of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// What a person writes.
    pub config: PathBuf,
    /// What the program writes and must find again.
    pub state: PathBuf,
    /// Sockets; gone after a reboot.
    pub runtime: PathBuf,
}

/// The programs that have folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `keystead` and its agent.
    Agent,
    /// `keystead-authenticator`.
    Authenticator,
    /// `keystead-relay`.
    Relay,
    /// `keystead-server`.
    Server,
    /// `keystead-custody`.
    Custody,
}

impl Program {
    /// The folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Authenticator => "authenticator",
            Self::Relay => "relay",
            Self::Server => "server",
            Self::Custody => "custody",
        }
    }
}

impl Folders {
    /// The folders by this process's environment; nothing is made yet.
    ///
    /// # Errors
    /// [`FolderError::NoHome`].
    pub fn of(program: Program) -> Result<Self, FolderError> {
        Self::by(program, |name| std::env::var_os(name), std::env::home_dir())
    }

    /// The folders by any environment.
    ///
    /// `KEYSTEAD_HOME=DIR`: `DIR/PROGRAM/{config,state,run}`. Else by the XDG base
    /// directories: `keystead/PROGRAM` in `XDG_CONFIG_HOME` (`~/.config`),
    /// `XDG_STATE_HOME` (`~/.local/state`) and `XDG_RUNTIME_DIR`; without that last
    /// one, or when it is not ours (`su` keeps the variable), the state folder.
    ///
    /// # Errors
    /// [`FolderError::NoHome`] when neither a variable nor a home folder is known.
    pub fn by(
        program: Program,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, FolderError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(top) = variable("KEYSTEAD_HOME") {
            let top = std::path::absolute(&top)
                .map_err(|source| FolderError::System {
                    path: PathBuf::from(&top),
                    source,
                })?
                .join(program.name());
            return Ok(Self {
                config: top.join("config"),
                state: top.join("state"),
                runtime: top.join("run"),
            });
        }
        // The XDG specification: a relative path is to be ignored.
        let xdg = |name: &str| {
            variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = home.filter(|path| path.is_absolute());
        let under_home = |below: &str| {
            home.as_ref()
                .map(|home| home.join(below))
                .ok_or(FolderError::NoHome)
        };
        let ours = |base: PathBuf| base.join("keystead").join(program.name());
        let config = match xdg("XDG_CONFIG_HOME") {
            Some(base) => ours(base),
            None => ours(under_home(".config")?),
        };
        let state = match xdg("XDG_STATE_HOME") {
            Some(base) => ours(base),
            None => ours(under_home(".local/state")?),
        };
        let runtime = xdg("XDG_RUNTIME_DIR").filter(|base| belongs_to_us(base));
        let runtime = runtime.map_or_else(|| state.clone(), ours);
        Ok(Self {
            config,
            state,
            runtime,
        })
    }

    /// Makes all three, 0700.
    ///
    /// # Errors
    /// [`FolderError`] of the first that cannot be made private.
    pub fn make(&self) -> Result<(), FolderError> {
        for folder in [&self.config, &self.state, &self.runtime] {
            private_folder(folder)?;
        }
        Ok(())
    }
}

/// Makes `path` (and what lacks above it) 0700 and opens it.
///
/// A folder of ours that others could enter is mended, and that is said in the
/// trace. Only for folders that carry our name: the folder of a socket path that
/// a person typed may be `/tmp`, so [`crate::socket`] refuses instead.
///
/// # Errors
/// [`FolderError`].
pub fn private_folder(path: &Path) -> Result<OwnedFd, FolderError> {
    let folder = make_folder(path, Link::Refuse)?;
    let mode = check_owner(path, &folder)?;
    if mode & STICKY != 0 {
        // Root's `/tmp`, by a mistaken setting: it is not for us to close.
        return Err(FolderError::Open {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    if mode & 0o777 != 0o700 {
        tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "folder made private");
        fs::fchmod(&folder, Mode::RWXU).map_err(|errno| system(path, errno.into()))?;
    }
    Ok(folder)
}

/// As [`private_folder`], but a folder that is there with other permissions than
/// 0700 is refused.
///
/// # Errors
/// [`FolderError`].
pub fn require_private_folder(path: &Path) -> Result<OwnedFd, FolderError> {
    let folder = make_folder(path, Link::Refuse)?;
    let mode = check_owner(path, &folder)?;
    if mode & 0o777 != 0o700 {
        return Err(FolderError::Open {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(folder)
}

/// As [`private_folder`], for a folder that a person named and that holds no
/// secret: others may look into it, but not write. It may be a link, as a service
/// manager's state folders are: what it leads to is checked.
///
/// # Errors
/// [`FolderError`].
pub fn named_folder(path: &Path) -> Result<OwnedFd, FolderError> {
    let folder = make_folder(path, Link::Follow)?;
    let mode = check_owner(path, &folder)?;
    if mode & 0o022 != 0 {
        return Err(FolderError::Open {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(folder)
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Neither `KEYSTEAD_HOME`, nor XDG variables, nor a home folder.
    #[error("no home folder is known")]
    NoHome,
    /// It belongs to another user.
    #[error("{} belongs to uid {owner_uid}, and this process is uid {own_uid}", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Who owns it.
        owner_uid: u32,
        /// Who we are.
        own_uid: u32,
    },
    /// Others may enter it, and it is not ours to change.
    #[error("{} has mode {mode:04o}, so others could reach what is in it", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system's error.
    #[error("{}", path.display())]
    System {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FolderError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoHome => "set KEYSTEAD_HOME to a folder of yours".to_owned(),
            Self::NotOurs { .. } => {
                "run as the folder's owner, or name another folder with KEYSTEAD_HOME".to_owned()
            }
            Self::Open { path, .. } => format!("chmod 700 {}", path.display()),
            Self::System { path, .. } => {
                format!("check that {} can be made and is a folder", path.display())
            }
        }
    }
}

/// What to do with a link in a folder's place.
#[derive(Clone, Copy)]
enum Link {
    Follow,
    Refuse,
}

fn make_folder(path: &Path, link: Link) -> Result<OwnedFd, FolderError> {
    // The XDG specification asks for 0700 on every folder that is made.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| system(path, source))?;
    let links = match link {
        Link::Follow => OFlags::empty(),
        Link::Refuse => OFlags::NOFOLLOW,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | links;
    fs::open(path, flags, Mode::empty()).map_err(|errno| system(path, errno.into()))
}

/// The folder's mode, when it is ours.
fn check_owner(path: &Path, folder: &OwnedFd) -> Result<u32, FolderError> {
    let stat = fs::fstat(folder).map_err(|errno| system(path, errno.into()))?;
    let own_uid = own_uid();
    if stat.st_uid != own_uid {
        return Err(FolderError::NotOurs {
            path: path.to_owned(),
            owner_uid: stat.st_uid,
            own_uid,
        });
    }
    debug_assert!(FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    Ok(stat.st_mode)
}

fn belongs_to_us(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == own_uid())
}

/// The uid that owns what this process makes.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Set on folders where everyone may write and nobody may rename others' files.
const STICKY: u32 = 0o1000;

fn system(path: &Path, source: io::Error) -> FolderError {
    FolderError::System {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(variables: &[(&str, &str)], home: Option<&str>, expected: Option<[&str; 3]>) {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let found = Folders::by(Program::Agent, lookup, home.map(PathBuf::from)).ok();
        let expected = expected.map(|[config, state, runtime]| Folders {
            config: config.into(),
            state: state.into(),
            runtime: runtime.into(),
        });
        assert_eq!(found, expected, "{variables:?}");
    }

    #[test]
    fn folders_follow_keystead_home_then_xdg_then_home() {
        let by_home = [
            "/home/a/.config/keystead/agent",
            "/home/a/.local/state/keystead/agent",
            "/home/a/.local/state/keystead/agent",
        ];
        let home = Some("/home/a");
        check(&[], home, Some(by_home));
        check(&[], None, None);
        check(&[], Some("relative"), None);
        check(&[("KEYSTEAD_HOME", "")], home, Some(by_home));
        check(&[("XDG_STATE_HOME", "relative")], home, Some(by_home));
        check(
            &[("XDG_RUNTIME_DIR", "/nowhere/at/all")],
            home,
            Some(by_home),
        );
        check(
            &[("KEYSTEAD_HOME", "/k"), ("XDG_STATE_HOME", "/s")],
            None,
            Some(["/k/agent/config", "/k/agent/state", "/k/agent/run"]),
        );
        let by_xdg = [
            "/c/keystead/agent",
            "/s/keystead/agent",
            "/s/keystead/agent",
        ];
        let xdg = [("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "/s")];
        check(&xdg, None, Some(by_xdg));
    }

    #[test]
    fn a_runtime_folder_of_ours_is_used() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().to_str().unwrap();
        let variables = [("XDG_RUNTIME_DIR", path)];
        let runtime = format!("{path}/keystead/agent");
        let state = "/home/a/.local/state/keystead/agent";
        let expected = ["/home/a/.config/keystead/agent", state, &runtime];
        check(&variables, Some("/home/a"), Some(expected));
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folders_are_made_0700_with_all_above_and_mended_when_ours() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        private_folder(&path).unwrap();
        let above = mode_of(path.parent().unwrap());
        assert_eq!((mode_of(&path), above), (0o700, 0o700));
        set_mode(&path, 0o755);
        let refused = require_private_folder(&path).unwrap_err();
        assert_eq!(refused.hint(), format!("chmod 700 {}", path.display()));
        assert_eq!(mode_of(&path), 0o755);
        named_folder(&path).unwrap();
        private_folder(&path).unwrap();
        assert_eq!(mode_of(&path), 0o700);
    }

    #[test]
    fn a_sticky_or_writable_folder_a_file_and_a_link_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("folder");
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o1777);
        let open = |result: Result<OwnedFd, FolderError>| {
            let refused = result.unwrap_err();
            assert!(
                matches!(refused, FolderError::Open { mode: 0o1777, .. }),
                "{refused:?}"
            );
        };
        open(private_folder(&path));
        open(named_folder(&path));
        let system = |path: &Path| {
            let refused = private_folder(path).unwrap_err();
            assert!(matches!(refused, FolderError::System { .. }), "{refused:?}");
        };
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        system(&file);
        let link = base.path().join("link");
        std::os::unix::fs::symlink(base.path(), &link).unwrap();
        system(&link);
        named_folder(&link).unwrap();
    }
}
