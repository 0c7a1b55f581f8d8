//! `ssh-agent` by name, side by side with the installed OpenSSH's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::home::{Home, KEYSTEAD};

/// A group that is not this process's.
const OTHER_GID: u32 = 65_534;

/// Both agents: the installed one, and ours by that name.
fn both(home: &Home) -> [PathBuf; 2] {
    let ours = home.0.join("ssh-agent");
    symlink(KEYSTEAD, &ours).unwrap();
    [PathBuf::from("/usr/bin/ssh-agent"), ours]
}

/// Output and status with what differs from run to run replaced; agents that came up are ended.
fn seen(command: &mut Command) -> (String, String, Option<i32>) {
    let output: Output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    if let Some(pid) = value(&stdout, "SSH_AGENT_PID") {
        let ended = Command::new("kill").arg(pid).status().unwrap();
        assert!(ended.success());
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    (
        without_numbers(&stdout),
        without_numbers(&stderr),
        output.status.code(),
    )
}

/// `NAME=value;` or `setenv NAME value;`
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let is_there =
        |line: &&str| line.contains(&format!("{name}=")) || line.contains(&format!("{name} "));
    let line = text
        .lines()
        .find(|line| line.ends_with(';') && is_there(line))?;
    let (_, rest) = line.split_once(name)?;
    rest.get(1..)?.split(';').next()
}

/// Numbers become `N`, the twelve characters of a folder `X`.
fn without_numbers(text: &str) -> String {
    let mut shown = String::new();
    for (at, part) in text.split("/ssh-").enumerate() {
        if at > 0 {
            shown.push_str("/ssh-X");
        }
        let part = if at > 0 { &part[12..] } else { part };
        shown.push_str(part);
    }
    let mut text = String::new();
    for character in shown.chars() {
        if !character.is_ascii_digit() {
            text.push(character);
        } else if !text.ends_with('N') {
            text.push('N');
        }
    }
    text
}

/// Runs both with the same arguments: everything that they show is the same.
#[track_caller]
fn check(arguments: &[&str], variables: &[(&str, &str)]) -> (String, String, Option<i32>) {
    let home = Home::short("aa");
    let [theirs, ours] = both(&home).map(|agent| {
        let mut command = home.program(agent);
        command.env("SHELL", "/bin/sh").env_remove("TMPDIR");
        command.args(arguments).envs(variables.iter().copied());
        seen(&mut command)
    });
    assert_eq!(ours, theirs, "{arguments:?} {variables:?}");
    ours
}

#[test]
fn what_is_printed_is_openssh_s_byte_for_byte() {
    for arguments in [&[][..], &["-s"], &["-c"], &["-cc"], &["-t", "1h30m"]] {
        let (stdout, stderr, status) = check(arguments, &[]);
        assert_eq!((stderr.as_str(), status), ("", Some(0)));
        assert_eq!(stdout.lines().count(), 3, "{stdout}");
    }
    check(&[], &[("SHELL", "/bin/tcsh")]);
    check(&["-s"], &[("SHELL", "/bin/tcsh")]);
}

/// As Debian installs OpenSSH's agent: setgid, so that nobody traces it.
#[test]
#[ignore = "needs root"]
fn the_group_of_a_setgid_binary_goes_to_no_command_and_to_no_agent() {
    let home = Home::short("sg");
    let agent = home.0.join("ssh-agent");
    fs::copy(KEYSTEAD, &agent).unwrap();
    std::os::unix::fs::chown(&agent, None, Some(OTHER_GID)).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o2755)).unwrap();
    let groups = "id -g; grep ^Gid: /proc/$SSH_AGENT_PID/status";
    let output = home.program(&agent).args(["sh", "-c", groups]).output();
    let shown = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(shown, "0\nGid:\t0\t0\t0\t0\n");
}

#[test]
fn mistakes_are_refused_in_openssh_s_words() {
    let none: &[(&str, &str)] = &[];
    for arguments in [
        &["-x"][..],
        &["-h"],
        &["--help"],
        &["-t"],
        &["-t", "x"],
        &["-t", ""],
        &["-t", "2147483648"],
        &["-E", "x"],
        &["-E"],
        &["-O", "x"],
        &["-P", "a", "-P", "b"],
        &["-s", "-c"],
        &["-d", "-D"],
        &["-k", "true"],
        &["-D", "true"],
        &["-a", "/nonexistent/socket"],
        &["-a", "/etc/passwd"],
        &["-a", &"/long".repeat(30)],
        &["/nonexistent/command"],
        &["/etc/passwd"],
    ] {
        let (_, stderr, status) = check(arguments, none);
        assert!(!stderr.is_empty() && status != Some(0), "{arguments:?}");
    }
}

#[test]
fn k_ends_the_agent_or_says_why_not() {
    for pid in ["", "1", "x", "5x", "-3", "99999999999", "4194304"] {
        check(&["-k"], &[("SSH_AGENT_PID", pid)]);
    }
    check(&["-k"], &[]);
    let home = Home::short("ak");
    for agent in both(&home) {
        for (shell, expected) in [
            (
                "-s",
                "unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\necho Agent pid N killed;\n",
            ),
            (
                "-c",
                "unsetenv SSH_AUTH_SOCK;\nunsetenv SSH_AGENT_PID;\necho Agent pid N killed;\n",
            ),
        ] {
            let started = home.program(&agent).output().unwrap();
            let started = String::from_utf8(started.stdout).unwrap();
            let socket = PathBuf::from(value(&started, "SSH_AUTH_SOCK").unwrap());
            let pid = value(&started, "SSH_AGENT_PID").unwrap();
            assert!(UnixStream::connect(&socket).is_ok());
            let killed = home
                .program(&agent)
                .args([shell, "-k"])
                .env("SSH_AGENT_PID", pid)
                .output()
                .unwrap();
            let said = String::from_utf8(killed.stdout).unwrap();
            assert_eq!(without_numbers(&said), expected);
            gone(&socket);
        }
    }
}

/// Waits until the socket and its folder are gone.
#[track_caller]
fn gone(socket: &Path) {
    let folder = socket.parent().unwrap();
    for _ in 0..500 {
        if !folder.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn a_command_runs_beside_the_agent_which_ends_with_it() {
    let script = "echo $SSH_AUTH_SOCK; echo $SSH_AGENT_PID; test $PPID != $SSH_AGENT_PID; \
                  ls -l $SSH_AUTH_SOCK | cut -c 1-10; exit 7";
    let (stdout, stderr, status) = check(&["sh", "-c", script], &[]);
    assert_eq!((stderr.as_str(), status), ("", Some(7)), "{stdout}");
    assert!(stdout.ends_with("srw-------\n"), "{stdout}");

    let home = Home::short("ac");
    let [_, ours] = both(&home);
    let output = home
        .program(ours)
        .args([
            "sh",
            "-c",
            "echo $SSH_AUTH_SOCK; ssh-add -l; kill -0 $SSH_AGENT_PID",
        ])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && stdout.contains("no identities"),
        "{stdout}"
    );
    gone(Path::new(stdout.lines().next().unwrap()));
}

#[test]
fn the_socket_is_private_and_where_it_is_asked_for() {
    let home = Home::short("as");
    let [_, ours] = both(&home);
    let named = home.0.join("named");
    let options = ["-a", named.to_str().unwrap()];
    let mut agent = home
        .program(&ours)
        .args(options)
        .arg("-D")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(agent.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let shown = named.display();
    assert_eq!(
        line,
        format!("SSH_AUTH_SOCK={shown}; export SSH_AUTH_SOCK;\n")
    );
    line.clear();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, format!("echo Agent pid {};\n", agent.id()));
    let found = fs::metadata(&named).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    // A second one does not take its place.
    let second = home.program(&ours).args(options).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(
        said,
        format!("unix_listener: cannot bind to path {shown}: Address already in use\r\n")
    );
    // ^C in the foreground is an end like any other.
    let interrupted = Command::new("kill")
        .args(["-INT", &agent.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    assert_eq!(agent.wait().unwrap().code(), Some(2));
    assert!(!named.exists());
}

#[test]
fn a_copy_by_that_name_starts_one_agent_and_no_more() {
    let home = Home::short("ao");
    let ours = home.0.join("ssh-agent");
    fs::copy(KEYSTEAD, &ours).unwrap();
    let output = home
        .program(ours)
        .args([
            "sh",
            "-c",
            "cd /proc/$SSH_AGENT_PID; cat comm task/*/children; ssh-add -l",
        ])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, "ssh-agent\nThe agent has no identities.\n");
}

#[test]
fn later_versions_options_are_taken() {
    let home = Home::short("al");
    let [_, ours] = both(&home);
    let (stdout, _, status) = seen(home.program(&ours).args(["-T", "-U", "-s"]));
    assert_eq!((stdout.lines().count(), status), (3, Some(0)));
    let (stdout, stderr, status) = seen(home.program(&ours).arg("-u"));
    assert_eq!(
        (stdout, stderr, status),
        (String::new(), String::new(), Some(0))
    );
}

#[test]
fn keys_are_added_used_and_forgotten_by_sigusr1() {
    let home = Home::short("ad");
    let [_, ours] = both(&home);
    let key = home.0.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "a key", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let script = "set -e; ssh-add -q $KEY; ssh-add -l; ssh-add -T $KEY.pub; \
                  kill -USR1 $SSH_AGENT_PID; \
                  for i in 1 2 3 4 5 6 7 8 9; do ssh-add -l || exit 0; sleep 0.1; done; exit 9";
    let output = home
        .program(ours)
        .args(["sh", "-c", script])
        .env("KEY", &key)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("a key (ED25519)"), "{stdout}");
    assert!(
        stdout.ends_with("The agent has no identities.\n"),
        "{stdout}"
    );
}
