//! Whether anybody can still come: the socket that gpg knows, and the home folder.
//!
//! **Invariant:** what is there decides, looked at anew each time; the system's notices only say
//! when to look. A notice that is missed delays the end by [`LOOK`] at the most.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;

use super::socket::{Place, file_id};

/// What an agent must not outlive.
pub(super) struct Watch {
    home: Option<Home>,
    socket: Option<Place>,
    /// None where the system gives no notices: then [`LOOK`] alone.
    notices: Option<Receiver>,
}

struct Home {
    path: PathBuf,
    file: (u64, u64),
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Whole,
    /// The socket is gone or another's: nobody comes any more.
    NoSocket,
    /// The home folder is gone or another one: there are no keys for anybody.
    NoHome,
}

impl Watch {
    /// Watches from now on. What is not there yet cannot go.
    pub(super) fn begin(homedir: &Path, socket: Option<Place>) -> Self {
        let folder = socket.as_ref().and_then(|it| it.path.parent());
        let notices = notices([Some(homedir), folder]).inspect_err(|error| {
            tracing::debug!(%error, "no notice of files that go");
        });
        let home = file_id(homedir).ok().map(|file| Home {
            path: homedir.to_owned(),
            file,
        });
        Self {
            home,
            socket,
            notices: notices.ok(),
        }
    }

    /// What nothing ends but a signal: `--disable-check-own-socket`.
    pub(super) const fn nothing() -> Self {
        Self {
            home: None,
            socket: None,
            notices: None,
        }
    }

    /// Looks.
    pub(super) fn look(&self) -> Found {
        let is_home = |it: &Home| file_id(&it.path).is_ok_and(|now| now == it.file);
        if !self.home.as_ref().is_none_or(is_home) {
            return Found::NoHome;
        }
        if self.socket.as_ref().is_none_or(Place::is_ours) {
            Found::Whole
        } else {
            Found::NoSocket
        }
    }

    /// Returns when it is time to look.
    pub(super) async fn notice(&self) {
        if self.home.is_none() && self.socket.is_none() {
            return std::future::pending().await;
        }
        tokio::select! {
            () = self.noticed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }

    async fn noticed(&self) {
        let Some(notices) = &self.notices else {
            return std::future::pending().await;
        };
        if notices.readable().await.is_err() {
            return std::future::pending().await;
        }
        let mut unread = [0; NOTICES_BYTES];
        while notices.try_read(&mut unread).is_ok_and(|count| count > 0) {}
    }
}

/// What waits for a descriptor to be readable, whatever it is of: of what does so, this alone is
/// made without `unsafe`, and nothing in it is a pipe's alone.
pub(super) fn waited_for(descriptor: OwnedFd) -> io::Result<Receiver> {
    Receiver::from_owned_fd_unchecked(descriptor)
}

/// Of folders out of which something goes, or into which something is moved.
fn notices(folders: [Option<&Path>; 2]) -> io::Result<Receiver> {
    let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let what = WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    for folder in folders.into_iter().flatten() {
        match inotify::add_watch(&notices, folder, what) {
            // The socket may lie elsewhere, and gpg makes its home folder late.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    waited_for(notices)
}

/// gpg-agent looks at its own socket as often (`CHECK_OWN_SOCKET_INTERVAL`).
const LOOK: Duration = Duration::from_secs(60);

/// Some dozens of notices: they are not read, only taken away.
const NOTICES_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::socket::Socket;
    use super::*;

    /// A home folder with its socket in a folder beside it, where `happens` happens.
    #[track_caller]
    fn check(name: &str, happens: impl FnOnce(&Path, &Path), expected: Found) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (home, run) = (folder.path().join("home"), folder.path().join("run"));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&run).unwrap();
        let socket = Socket::open(&run.join("S.gpg-agent")).unwrap();
        runtime.block_on(async {
            let watch = Watch::begin(&home, Some(socket.place.clone()));
            assert_eq!(watch.look(), Found::Whole, "{name}");
            happens(&home, &run);
            // By notice: a minute would be this test's time limit.
            watch.noticed().await;
            assert_eq!(watch.look(), expected, "{name}");
        });
    }

    #[test]
    fn what_goes_is_noticed() {
        let socket = "S.gpg-agent";
        let gone = |_: &Path, run: &Path| fs::remove_file(run.join(socket)).unwrap();
        check("the socket is removed", gone, Found::NoSocket);
        let replaced = |_: &Path, run: &Path| {
            let _other = Socket::open(&run.join("S.other")).unwrap();
            fs::rename(run.join("S.other"), run.join(socket)).unwrap();
        };
        check("the socket is another's", replaced, Found::NoSocket);
        let anew = |_: &Path, run: &Path| {
            fs::remove_file(run.join(socket)).unwrap();
            Socket::open(&run.join(socket)).unwrap();
        };
        check("the socket is made anew", anew, Found::NoSocket);
        let moved = |_: &Path, run: &Path| fs::rename(run, run.with_extension("old")).unwrap();
        check("the socket's folder is moved", moved, Found::NoSocket);
        let no_home = |home: &Path, _: &Path| fs::remove_dir(home).unwrap();
        check("the home folder is removed", no_home, Found::NoHome);
        let moved = |home: &Path, _: &Path| fs::rename(home, home.with_extension("old")).unwrap();
        check("the home folder is moved", moved, Found::NoHome);
        let another = |home: &Path, _: &Path| {
            fs::rename(home, home.with_extension("old")).unwrap();
            fs::create_dir(home).unwrap();
        };
        check("the home folder is another one", another, Found::NoHome);
    }

    #[test]
    fn what_comes_and_goes_beside_them_ends_nothing() {
        let other = |home: &Path, run: &Path| {
            fs::write(run.join("S.gpg-agent.ssh"), "").unwrap();
            fs::write(home.join("pubring.kbx"), "").unwrap();
            fs::remove_file(run.join("S.gpg-agent.ssh")).unwrap();
        };
        check("another file", other, Found::Whole);
    }

    #[test]
    fn a_home_folder_that_is_made_late_is_no_loss() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        runtime.block_on(async {
            let watch = Watch::begin(&home, None);
            assert_eq!(watch.look(), Found::Whole);
            fs::create_dir(&home).unwrap();
            assert_eq!(watch.look(), Found::Whole);
            assert_eq!(Watch::nothing().look(), Found::Whole);
        });
    }
}
