//! Each way in which gpg-agent is started, and the places where its home folder may be.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;

use crate::house::{House, Process};

#[test]
fn over_a_pipe() {
    let house = House::new();
    let mut agent = house
        .command(&["gpg-agent", "--server"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = agent.stdin.take().unwrap();
    // More than one at once: each is answered, in its order.
    stdin
        .write_all(b"GETINFO version\nGETINFO socket_name\nBOGUS\nHAVEKEY x\nBYE\n")
        .unwrap();
    let output = agent.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let starts: Vec<&str> = said.lines().map(|it| &it[..it.len().min(6)]).collect();
    let expected = [
        "OK Ple", "D 2.", "OK", "ERR 67", "ERR 67", "ERR 67", "OK clo",
    ];
    assert_eq!(starts.len(), expected.len(), "{said}");
    for (start, expected) in starts.iter().zip(expected) {
        assert!(start.starts_with(expected), "{said}");
    }
    // A client that just leaves ends it, too.
    let left = house.run(&["gpg-agent", "--server"]);
    assert!(left.status.success());
}

/// As systemd starts it (sd_listen_fds(3)).
fn supervised(house: &House, listener: UnixListener, names: &str) -> Process {
    let agent = house.path("bin/gpg-agent");
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" --supervised";
    let child = house
        .command(&["sh", "-c", script, &agent.to_string_lossy()])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", names)
        .stdin(OwnedFd::from(listener))
        .spawn()
        .unwrap();
    let process = Process::of(i32::try_from(child.id()).unwrap());
    // It is waited for by its handle.
    drop(child);
    process
}

#[test]
fn at_a_socket_of_a_service_manager() {
    for names in ["std", ""] {
        let house = House::new();
        let listener = UnixListener::bind(house.socket()).unwrap();
        let agent = supervised(&house, listener, names);
        let agents = house.agents();
        assert_eq!(agents.ours.pid, agent.pid);
        assert!(house.talk(&["GETINFO version"]).starts_with("D "));
        agent.signal(Signal::TERM);
        agent.ends("asked to");
        agents.behind.ends("ours has ended");
        // It is not this program's to remove.
        assert!(house.socket().exists());
        std::fs::remove_file(house.socket()).unwrap();
    }
}

#[test]
fn a_service_manager_that_gives_no_socket() {
    let house = House::new();
    let output = house.run(&["gpg-agent", "--supervised"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.is_empty());
}

#[test]
fn a_second_one_is_not_started() {
    let house = House::new();
    let agents = house.start();
    let second = house.run(&["gpg-agent", "--daemon"]);
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        said.contains("already running - not starting a new one"),
        "{said}"
    );
    let again = house.agents();
    assert_eq!(again.ours.pid, agents.ours.pid);
}

#[test]
fn ssh_is_told_where_and_answered() {
    let house = House::new();
    let socket = house.home().join("S.gpg-agent.ssh").display().to_string();
    let told = house.must(&["gpg-agent", "--daemon", "--sh", "--enable-ssh-support"]);
    assert_eq!(
        told,
        format!("SSH_AUTH_SOCK={socket}; export SSH_AUTH_SOCK;\n")
    );
    let agents = house.agents();
    let mut list = house.command(&["ssh-add", "-l"]);
    let list = list.env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&list.stdout),
        "The agent has no identities.\n"
    );
    house.must(&["gpgconf", "--kill", "gpg-agent"]);
    agents.ours.ends("KILLAGENT");
    let told = house.must(&["gpg-agent", "--daemon", "--csh", "--enable-ssh-support"]);
    assert_eq!(told, format!("setenv SSH_AUTH_SOCK {socket};\n"));
}

/// libassuan's way out where a folder takes no sockets, or has too long a path.
fn redirect(house: &House, sockets: &Path) {
    std::fs::create_dir(sockets).unwrap();
    for name in ["", ".extra", ".browser", ".ssh"] {
        let name = format!("S.gpg-agent{name}");
        let place = sockets.join(&name);
        let text = format!("%Assuan%\nsocket={}\n", place.display());
        std::fs::write(house.home().join(name), text).unwrap();
    }
}

#[test]
fn sockets_that_are_elsewhere() {
    let house = House::new();
    let sockets = house.path("s");
    redirect(&house, &sockets);
    let agents = house.start();
    assert!(sockets.join("S.gpg-agent").exists());
    assert!(sockets.join("S.keystead.std").exists());
    assert!(!house.home().join("S.keystead.std").exists());
    assert!(house.talk(&["GETINFO version"]).starts_with("D "));
    // Their folder is watched, too.
    std::fs::remove_dir_all(&sockets).unwrap();
    agents.ours.ends("the sockets are removed");
    agents.behind.ends("the sockets are removed");
}

#[test]
fn a_home_folder_with_a_long_path() {
    let mut house = House::new();
    let ordinary = House::ordinary();
    // 130 bytes: more than a socket's path has (unix(7)).
    let long = house.path(&"l".repeat(130));
    house.move_home(&long);
    let output = house.run(&["gpg-agent", "--daemon"]);
    let expected = {
        let mut ordinary = ordinary;
        let long = ordinary.path(&"l".repeat(130));
        ordinary.move_home(&long);
        ordinary.run(&["gpg-agent", "--daemon"])
    };
    assert_eq!(output.status.code(), expected.status.code());
    assert!(!output.stderr.is_empty());
    redirect(&house, &house.path("s"));
    let agents = house.start();
    assert!(house.talk(&["GETINFO version"]).starts_with("D "));
    house.must(&["gpgconf", "--kill", "gpg-agent"]);
    agents.ours.ends("KILLAGENT");
}

#[test]
#[ignore = "needs root"]
fn a_home_folder_that_cannot_be_written() {
    let house = House::new();
    let home = house.home().display().to_string();
    // Sockets are made elsewhere, as where the system has folders for them.
    redirect(&house, &house.path("s"));
    let read_only =
        "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\"";
    let within = |words: &[&str]| {
        let before = ["unshare", "--mount", "sh", "-c", read_only, "sh", &home];
        house
            .command(&[&before[..], words].concat())
            .output()
            .unwrap()
    };
    let agent = house.path("bin/gpg-agent").display().to_string();
    let started = within(&[&agent, "--daemon"]);
    assert!(started.status.success(), "{started:?}");
    let agents = house.agents();
    assert!(house.talk(&["GETINFO version"]).starts_with("D "));
    // It cannot be kept: an error, and both go on.
    let made = house.talk(&[
        "/let key (6:genkey(3:ecc(5:curve7:Ed25519)(5:flags5:eddsa)))",
        "/definq KEYPARAM key",
        "GENKEY --no-protection",
    ]);
    assert!(
        made.contains("ERR 67141713 No such file or directory"),
        "{made}"
    );
    assert!(agents.behind.is_running());
}
