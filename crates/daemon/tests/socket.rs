//! Real sockets: who may connect, which path is taken, which is refused.
#![expect(
    clippy::unwrap_used,
    reason = "the switch for tests does not reach their helpers"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_daemon::home::FolderError;
use keystead_daemon::socket::{ConnectError, ListenError, Listener, PATH_BYTES_MAX, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A path in a folder that is made by whoever needs it.
fn fresh() -> (tempfile::TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run/agent.sock");
    (base, path)
}

/// A path where a process that is gone left its socket.
fn dead() -> (tempfile::TempDir, PathBuf) {
    let (base, path) = fresh();
    let folder = path.parent().unwrap();
    fs::create_dir(folder).unwrap();
    set_mode(folder, 0o700);
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    (base, path)
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_socket_is_0600_in_a_0700_folder_and_knows_its_peer() {
    let (_base, path) = fresh();
    let listener = Listener::bind(&path).unwrap();
    let folder = path.parent().unwrap();
    assert_eq!((mode_of(&path), mode_of(folder)), (0o600, 0o700));
    let (client, accepted) = tokio::join!(connect(&path), listener.accept());
    let (mut server, peer) = accepted.unwrap();
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    let own_pid = rustix::process::getpid().as_raw_nonzero().get();
    assert_eq!(peer.pid, Some(own_pid));
    client.unwrap().write_all(b"hello").await.unwrap();
    let mut came = [0; 5];
    server.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"hello");
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_refused() {
    let (_base, path) = dead();
    let nobody = connect(&path).await;
    assert!(matches!(nobody, Err(ConnectError::NobodyListens { .. })));
    let listener = Listener::bind(&path).unwrap();
    let live = Listener::bind(&path).unwrap_err();
    assert!(matches!(live, ListenError::Live { .. }), "{live:?}");
    let said = format!("another process listens at {}", path.display());
    assert_eq!(live.to_string(), said);
    drop(listener);
    assert!(!path.exists(), "a socket goes with its listener");
    let nobody = connect(&path).await;
    assert!(matches!(nobody, Err(ConnectError::NobodyListens { .. })));
}

#[tokio::test]
async fn a_listener_whose_queue_is_full_is_alive() {
    // A queue of 1,024 is as long as many a person's limit of open descriptors.
    let limit = keystead_daemon::process::raise_descriptor_limit();
    assert!(
        limit > 2_048,
        "{limit} descriptors are too few to fill a queue"
    );
    let (_base, path) = fresh();
    let _listener = Listener::bind(&path).unwrap();
    // Nobody accepts: fill the queue until the system says no.
    let mut waiting = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_millis(50), connect(&path)).await;
        match next {
            Ok(Ok(stream)) => waiting.push(stream),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let live = Listener::bind(&path);
    assert!(matches!(live, Err(ListenError::Live { .. })), "{live:?}");
}

#[tokio::test]
async fn a_listener_leaves_a_socket_that_took_its_place() {
    let (_base, path) = fresh();
    let first = Listener::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = Listener::bind(&path).unwrap();
    drop(first);
    connect(&path).await.unwrap();
}

#[tokio::test]
async fn of_many_that_start_at_once_over_a_dead_socket_one_wins() {
    let (_base, path) = dead();
    let runtime = tokio::runtime::Handle::current();
    let start = |_| {
        let (path, runtime) = (path.clone(), runtime.clone());
        std::thread::spawn(move || {
            let _inside = runtime.enter();
            Listener::bind(&path)
        })
    };
    let threads: Vec<_> = (0..8).map(start).collect();
    let tried = threads.into_iter().map(|thread| thread.join().unwrap());
    let bound: Vec<_> = tried.filter_map(Result::ok).collect();
    assert_eq!(bound.len(), 1);
    connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_was_passed_is_passed_no_further() {
    use rustix::io::{FdFlags, fcntl_setfd};
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("socket");
    let passed = StdListener::bind(&path).unwrap();
    fcntl_setfd(&passed, FdFlags::empty()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&passed);
    let _listener = Listener::passed(passed, path).unwrap();
    let shown = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    // O_CLOEXEC (open(2)), octal.
    let flags = shown
        .lines()
        .find_map(|it| it.strip_prefix("flags:"))
        .unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    assert_ne!(flags & 0o2_000_000, 0, "{shown}");
}

#[tokio::test]
async fn a_path_may_have_107_bytes_and_no_more() {
    let base = tempfile::tempdir().unwrap();
    set_mode(base.path(), 0o700);
    let room = PATH_BYTES_MAX - base.path().as_os_str().len() - 1;
    Listener::bind(&base.path().join("s".repeat(room))).unwrap();
    let path = base.path().join("s".repeat(room + 1));
    let refused = Listener::bind(&path).unwrap_err();
    let ListenError::PathTooLong { bytes: 108, .. } = refused else {
        panic!("{refused:?}")
    };
    let said = refused.to_string();
    assert!(
        said.contains("has 108 bytes, and at most 107 fit"),
        "{said}"
    );
    assert!(connect(&path).await.is_err());
}

#[tokio::test]
async fn a_folder_that_others_may_enter_is_refused_with_a_hint() {
    let (_base, path) = fresh();
    let folder = path.parent().unwrap();
    fs::create_dir(folder).unwrap();
    for mode in [0o755, 0o710, 0o701, 0o777, 0o1777] {
        set_mode(folder, mode);
        let refused = Listener::bind(&path).unwrap_err();
        let open = matches!(refused, ListenError::Folder(FolderError::Open { .. }));
        assert!(open, "{mode:o}: {refused:?}");
        assert_eq!(refused.hint(), format!("chmod 700 {}", folder.display()));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_file_in_the_way_is_not_removed() {
    let (_base, path) = fresh();
    drop(Listener::bind(&path).unwrap());
    fs::write(&path, "precious").unwrap();
    let refused = Listener::bind(&path);
    assert!(matches!(refused, Err(ListenError::InTheWay { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

/// Another uid than ours; 65534 is `nobody` everywhere.
const OTHER_UID: u32 = 65_534;

/// Runs as another uid, in a process of its own: connects, speaks, and says how
/// many bytes came back.
#[test]
#[ignore = "a part of a_socket_opened_to_all_answers_nobody_else"]
fn part_another_uid() {
    let path = std::env::var_os("KEYSTEAD_TEST_SOCKET").unwrap();
    let mut stream = StdStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = stream.write_all(b"\0\0\0\x01\x0b");
    let mut came = Vec::new();
    // An end or a reset is what a stranger is to see; waiting in vain is not.
    let read = stream.read_to_end(&mut came);
    let in_vain = matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!in_vain, "the connection stayed open");
    println!("stranger got {} bytes", came.len());
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_socket_opened_to_all_answers_nobody_else() {
    assert!(
        rustix::process::geteuid().is_root(),
        "another uid needs root"
    );
    let (base, path) = fresh();
    let listener = Listener::bind(&path).unwrap();
    for opened in [base.path(), path.parent().unwrap(), &path] {
        set_mode(opened, 0o777);
    }
    // The stranger must be able to run this program wherever it was built.
    let program = base.path().join("stranger");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    let mut command = std::process::Command::new(&program);
    command.args(["--exact", "part_another_uid", "--ignored", "--nocapture"]);
    command.env("KEYSTEAD_TEST_SOCKET", &path).current_dir("/");
    command.uid(OTHER_UID).gid(OTHER_UID);
    let stranger = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::select! {
        accepted = listener.accept() => panic!("answered {:?}", accepted.unwrap().1),
        output = stranger => output.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("stranger got 0 bytes"), "{said}");
    // The socket still serves its own user.
    let (client, accepted) = tokio::join!(connect(&path), listener.accept());
    client.unwrap();
    accepted.unwrap();
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_folder_of_another_user_is_refused() {
    assert!(
        rustix::process::geteuid().is_root(),
        "another uid needs root"
    );
    let (_base, path) = fresh();
    let folder = path.parent().unwrap();
    fs::create_dir(folder).unwrap();
    std::os::unix::fs::chown(folder, Some(OTHER_UID), None).unwrap();
    let refused = Listener::bind(&path).unwrap_err();
    let theirs = matches!(refused, ListenError::Folder(FolderError::NotOurs { .. }));
    assert!(theirs, "{refused:?}");
}
