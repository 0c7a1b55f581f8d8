//! Unix sockets that speak to their own user alone.
//!
//! **Invariant:** a socket is 0600 in a 0700 folder of ours, and whatever its
//! permissions become, a connection from another uid gets no byte.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::{Errno, FdFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{UnixListener, UnixStream};

use crate::home::{self, FolderError};

/// A listening socket. Dropping it removes its file, if that is still its own.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that we made; `None` when the service
    /// manager made it.
    own_file: Option<(u64, u64)>,
    own_uid: u32,
    /// The administrator may connect too.
    admits_root: bool,
}

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCred {
    /// The process that connected; `None` where the system does not tell.
    pub pid: Option<i32>,
    /// Its effective uid when it connected.
    pub uid: u32,
}

impl Listener {
    /// Listens at `path`: makes its folder 0700, or requires it to be so and
    /// ours; takes the place of a dead socket; refuses a live one.
    ///
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let path = std::path::absolute(path).map_err(|source| system(path, source))?;
        check_path(&path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = home::require_private_folder(folder)?;
        // Two programs that start at once must not each remove the other's fresh
        // socket as dead: one looks and binds at a time.
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)
            .map_err(|errno| system(&path, errno.into()))?;
        clear_dead(&path)?;
        let inner = UnixListener::bind(&path).map_err(|source| system(&path, source))?;
        let own_file = own_file(&path).map_err(|source| system(&path, source))?;
        Ok(Self {
            inner,
            path,
            own_file: Some(own_file),
            own_uid: home::own_uid(),
            admits_root: false,
        })
    }

    /// The socket that the service manager opened for us (`LISTEN_FDS`, see
    /// sd_listen_fds(3)), if it did.
    ///
    /// # Errors
    /// [`ListenError::System`] when what it passed is not a listening Unix socket.
    pub fn from_service_manager() -> Result<Option<Self>, ListenError> {
        let passed = listenfd::ListenFd::from_env().take_unix_listener(0);
        let unnamed = Path::new("the service manager's socket");
        let Some(listener) = passed.map_err(|source| system(unnamed, source))? else {
            return Ok(None);
        };
        let address = listener
            .local_addr()
            .map_err(|source| system(unnamed, source))?;
        let path = address.as_pathname().unwrap_or(unnamed).to_owned();
        Self::passed(listener, path).map(Some)
    }

    /// All sockets that the service manager opened for us, with their names
    /// (`LISTEN_FDNAMES`); `unknown` where it gave none, as sd_listen_fds(3) has it.
    ///
    /// # Errors
    /// [`ListenError::System`] when one of them is not a listening Unix socket.
    pub fn all_from_service_manager() -> Result<Vec<(String, Self)>, ListenError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|it| !it.is_empty());
        let mut passed = listenfd::ListenFd::from_env();
        let mut listeners = Vec::new();
        for place in 0..passed.len() {
            let name = names.next().unwrap_or("unknown");
            let unnamed = Path::new("the service manager's socket");
            let listener = passed.take_unix_listener(place);
            let Some(listener) = listener.map_err(|source| system(unnamed, source))? else {
                continue;
            };
            let address = listener
                .local_addr()
                .map_err(|source| system(unnamed, source))?;
            let path = address.as_pathname().unwrap_or(unnamed).to_owned();
            listeners.push((name.to_owned(), Self::passed(listener, path)?));
        }
        Ok(listeners)
    }

    /// A socket that another program made for us and passed on. Its file and folder are that
    /// program's business; the peer's uid is ours.
    ///
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn passed(
        listener: std::os::unix::net::UnixListener,
        path: PathBuf,
    ) -> Result<Self, ListenError> {
        let inner = listener
            .set_nonblocking(true)
            // The service manager passes it open to whatever we start (sd_listen_fds(3)).
            .and_then(|()| Ok(rustix::io::fcntl_setfd(&listener, FdFlags::CLOEXEC)?))
            .and_then(|()| UnixListener::from_std(listener))
            .map_err(|source| system(&path, source))?;
        Ok(Self {
            inner,
            path,
            own_file: None,
            own_uid: home::own_uid(),
            admits_root: false,
        })
    }

    /// Admits uid 0 too, as OpenSSH's agent does: `sudo` keeps `SSH_AUTH_SOCK` where it is told to.
    #[must_use]
    pub const fn admitting_root(mut self) -> Self {
        self.admits_root = true;
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection of our own uid. Others are closed without a byte and
    /// named in the trace. Dropping the future loses no connection.
    ///
    /// # Errors
    /// The system's, when accepting cannot go on. Being out of descriptors is not
    /// one: it waits [`PAUSE`] and tries again.
    pub async fn accept(&self) -> io::Result<(UnixStream, PeerCred)> {
        loop {
            let stream = match self.inner.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "no connection can be taken now");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match peer(&stream) {
                Ok(peer) if self.admits(peer.uid) => return Ok((stream, peer)),
                Ok(peer) => tracing::warn!(uid = peer.uid, pid = peer.pid, "another user, closed"),
                Err(error) => tracing::warn!(%error, "peer unknown, closed"),
            }
        }
    }
}

impl Listener {
    const fn admits(&self, uid: u32) -> bool {
        uid == self.own_uid || (self.admits_root && uid == ROOT_UID)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another program may have taken the place; its socket stays.
        if self.own_file.is_some() && file_id(&self.path).ok() == self.own_file {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Connects to a socket of ours, and checks that a process of ours listens.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(path: &Path) -> Result<UnixStream, ConnectError> {
    let broken = |source| ConnectError::System {
        path: path.to_owned(),
        source,
    };
    // Where nobody can listen, nobody does; whoever tries to is told why not.
    check_path(path).map_err(|_| ConnectError::NobodyListens {
        path: path.to_owned(),
    })?;
    let stream = UnixStream::connect(path).await.map_err(|source| {
        let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        if nobody.contains(&source.kind()) {
            let path = path.to_owned();
            return ConnectError::NobodyListens { path };
        }
        broken(source)
    })?;
    let peer = peer(&stream).map_err(broken)?;
    if peer.uid == home::own_uid() {
        return Ok(stream);
    }
    Err(ConnectError::NotOurs {
        path: path.to_owned(),
        peer_uid: peer.uid,
    })
}

/// Who is at the other end of a connection.
///
/// # Errors
/// The system's.
pub fn peer(stream: &UnixStream) -> io::Result<PeerCred> {
    let cred = stream.peer_cred()?;
    Ok(PeerCred {
        pid: cred.pid(),
        uid: cred.uid(),
    })
}

/// Why a socket cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system's addresses hold no longer path.
    #[error("the socket path has {bytes} bytes, and at most {PATH_BYTES_MAX} fit: {}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// Its folder is not private.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A living process listens there.
    #[error("another process listens at {}", path.display())]
    Live {
        /// The path.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{} is there and is not a socket of ours", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The system's error.
    #[error("no socket at {}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::PathTooLong { .. } => {
                "choose a shorter path, or a shorter KEYSTEAD_HOME or XDG_RUNTIME_DIR".to_owned()
            }
            Self::Folder(error) => error.hint(),
            Self::Live { .. } => "stop the other one first, or use that one".to_owned(),
            Self::InTheWay { path } => {
                format!(
                    "look at {} and remove it if you do not need it",
                    path.display()
                )
            }
            Self::System { .. } => "choose another socket path".to_owned(),
        }
    }
}

/// Why no connection to a socket of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No socket, or a dead one.
    #[error("nobody listens at {}", path.display())]
    NobodyListens {
        /// The path.
        path: PathBuf,
    },
    /// Someone else's process listens there.
    #[error("uid {peer_uid} listens at {}", path.display())]
    NotOurs {
        /// The path.
        path: PathBuf,
        /// Whose process it is.
        peer_uid: u32,
    },
    /// The system's error.
    #[error("no connection to {}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Linux and every Unix: the administrator, who can read our memory anyway.
const ROOT_UID: u32 = 0;

/// Longest path of a Unix socket: `sun_path` has 108 bytes, one is a NUL (unix(7)).
pub const PATH_BYTES_MAX: usize = 107;

/// How long [`Listener::accept`] rests when the process has no descriptor left:
/// long enough not to spin, short enough that no `ssh` gives up.
pub const PAUSE: Duration = Duration::from_millis(50);

fn check_path(path: &Path) -> Result<(), ListenError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > PATH_BYTES_MAX {
        return Err(ListenError::PathTooLong {
            path: path.to_owned(),
            bytes,
        });
    }
    Ok(())
}

/// Removes the socket of a process that is gone.
fn clear_dead(path: &Path) -> Result<(), ListenError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(system(path, source)),
    };
    if !found.file_type().is_socket() || found.uid() != home::own_uid() {
        return Err(ListenError::InTheWay {
            path: path.to_owned(),
        });
    }
    match probe(path) {
        Err(Errno::CONNREFUSED) => {
            tracing::info!(path = %path.display(), "a dead socket is replaced");
            std::fs::remove_file(path).map_err(|source| system(path, source))
        }
        // AGAIN: its queue is full, so somebody has it.
        Ok(()) | Err(Errno::AGAIN) => Err(ListenError::Live {
            path: path.to_owned(),
        }),
        Err(other) => Err(system(path, other.into())),
    }
}

/// Connects without waiting, and hangs up.
fn probe(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

/// Closes the fresh socket to others and remembers which file it is.
fn own_file(path: &Path) -> io::Result<(u64, u64)> {
    // The folder is 0700, so nobody came between bind and this.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    file_id(path)
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Errors of accept(2) that pass by themselves.
fn passes(error: &io::Error) -> bool {
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::CONNABORTED,
        Errno::INTR,
    ];
    Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

fn system(path: &Path, source: io::Error) -> ListenError {
    ListenError::System {
        path: path.to_owned(),
        source,
    }
}
