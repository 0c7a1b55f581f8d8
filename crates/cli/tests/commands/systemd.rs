//! The units of `agent install`, without a systemd that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::home::{Home, KEYSTEAD};

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let home = Home::short("sv");
    home.check(&["agent", "install"], 0, "written to");
    verify(&home, &home.0.join(".config/systemd/user"));
}

/// What a distribution would install.
#[test]
fn nor_in_those_of_packages() {
    let home = Home::short("sp");
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    for unit in UNITS {
        let text = fs::read_to_string(packaging.join(unit)).unwrap();
        // The program is not installed on every machine that runs tests.
        let text = text.replace("/usr/bin/keystead", KEYSTEAD);
        fs::write(home.0.join(unit), text).unwrap();
    }
    verify(&home, &home.0);
    let installed = home.check(&["agent", "install", "--print"], 0, "");
    let packaged = fs::read_to_string(packaging.join(UNITS[1])).unwrap();
    for line in packaged.lines() {
        let line = line.replace("/usr/bin/keystead", &format!("\"{KEYSTEAD}\""));
        assert!(installed.contains(&line), "{line}");
    }
}

#[test]
fn age_finds_its_plugin_by_a_link() {
    let home = Home::short("sl");
    let link = home.0.join(".local/bin/age-plugin-keystead");
    let printed = home.check(&["agent", "install", "--print"], 0, "");
    let expected = format!("# {} -> {KEYSTEAD}\n", link.display());
    assert!(printed.ends_with(&expected), "{printed}");
    assert!(!link.is_symlink(), "--print writes nothing");
    for _ in 0..2 {
        home.check(&["agent", "install"], 0, "age finds its plugin");
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(KEYSTEAD));
    }
    home.check(&["agent", "uninstall"], 0, "age-plugin-keystead removed");
    assert!(!link.is_symlink());
    home.check(&["agent", "uninstall"], 0, "nothing is installed");
    // What leads nowhere was ours; what leads elsewhere is somebody's.
    std::os::unix::fs::symlink("/nowhere/keystead", &link).unwrap();
    home.check(&["agent", "install"], 0, "age finds its plugin");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(KEYSTEAD));
    fs::remove_file(&link).unwrap();
    fs::write(&link, "another").unwrap();
    home.check(&["agent", "install"], 0, "is something else, and stays");
    home.check(&["agent", "uninstall"], 0, "removed");
    assert_eq!(fs::read_to_string(&link).unwrap(), "another");
}

#[track_caller]
fn verify(home: &Home, folder: &Path) {
    for unit in UNITS {
        let output = home
            .program("systemd-analyze")
            .args(["--user", "verify"])
            .arg(folder.join(unit))
            // It wants a place of its own to look for other units in.
            .env("XDG_RUNTIME_DIR", &home.0)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let is_clean = output.status.success() && !said.contains("keystead");
        assert!(is_clean, "{unit}: {said}");
    }
}

const UNITS: [&str; 2] = ["keystead-agent.socket", "keystead-agent.service"];

/// The service manager, as far as sockets go; killed with the test.
struct Activator(Child);

impl Drop for Activator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_client_that_wakes_the_agent_is_served() {
    let home = Home::short("sa");
    let run = home.0.join("keystead/agent/run");
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    let socket = run.join("ssh.sock");
    // What the socket unit says, typed for the tool that stands in for the manager.
    let _activator = Activator(
        home.program("systemd-socket-activate")
            .arg("--setenv=HOME")
            .arg("--setenv=KEYSTEAD_HOME")
            .arg("-l")
            .arg(&socket)
            .args([KEYSTEAD, "agent", "run"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    for _ in 0..500 {
        if socket.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let listed = Command::new("ssh-add")
        .arg("-l")
        .env("SSH_AUTH_SOCK", &socket)
        .output()
        .unwrap();
    let said = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(said, "The agent has no identities.\n");
    // The commands find that agent, and start no other.
    let status = home.check(&["status", "--json"], 0, "");
    assert!(
        status.contains(&format!("\"ssh_auth_sock\":\"{}\"", socket.display())),
        "{status}"
    );
    home.check(&["agent", "stop"], 0, "the agent is stopped");
    // The manager's socket is not ours to take away.
    assert!(socket.exists());
}
