//! The commands that need no other program than the agent.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::home::Home;

#[test]
fn help_and_version_are_asked_for_and_mistakes_are_usage() {
    let home = Home::new("usage");
    let version = home.check(&["--version"], 0, "");
    assert_eq!(version, format!("keystead {}\n", env!("CARGO_PKG_VERSION")));
    assert!(
        home.check(&["--help"], 0, "")
            .contains("Exit status: 0 done")
    );
    for mistake in [
        &[][..],
        &["unheard-of"],
        &["key"],
        &["key", "new"],
        &["key", "new", "--name", ""],
        &["key", "new", "--name", "a\u{202e}b"],
        &["key", "new", "--name", "a", "--type", "dsa"],
        &["keeper", "rename", "a"],
        &["log", "-n", "many"],
        &["ssh", "setup", "--print", "--undo"],
        &["ssh", "publish"],
        &["ssh", "publish", "--", "-oProxyCommand=x"],
        &["ssh", "publish", "a", "--port", "many"],
        &["ssh", "certificate", "add"],
        &["git", "setup", "--print", "--undo"],
        &["git", "setup", "--signer", "mail-alone"],
        &["key", "import"],
        &["key", "import", "-", "--passphrase-fd", "0"],
        &["policy", "set", "users"],
        &["doctor", "-oProxyCommand=x"],
        &["doctor", "--", "-oProxyCommand=x"],
        &["run"],
        &["completions", "tcl"],
        &["pair"],
    ] {
        let stdout = home.check(mistake, 2, "keystead: error: ");
        assert_eq!(stdout, "", "{mistake:?}");
    }
}

#[test]
fn errors_are_one_line_and_a_hint() {
    let home = Home::new("errors");
    let stderr = home.run(&["pair"]).stderr;
    assert_eq!(
        String::from_utf8(stderr).unwrap(),
        "keystead: error: a person has to compare two codes, and this is no terminal\n\
         keystead: hint: run it in a terminal, or with --yes, which skips that\n"
    );
}

#[test]
fn ssh_setup_writes_what_it_prints_and_undo_restores_every_byte() {
    let home = Home::new("setup");
    let config = home.0.join(".ssh/config");
    let lines = home.check(&["ssh", "setup", "--print"], 0, "");
    assert!(!config.exists());

    // No file: one is made, private, and taken away again.
    assert_eq!(home.check(&["ssh", "setup"], 0, "written to"), lines);
    assert_eq!(fs::read_to_string(&config).unwrap(), lines);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode(&config), mode(config.parent().unwrap())),
        (0o600, 0o700)
    );
    assert_eq!(home.check(&["ssh", "setup"], 0, "already"), lines);
    assert_eq!(fs::read_to_string(&config).unwrap(), lines);
    home.check(&["ssh", "setup", "--undo"], 0, "removed");
    assert!(!config.exists());
    home.check(&["ssh", "setup", "--undo"], 0, "nothing to undo");

    // A file behind a link, without a last line break, with its own permissions.
    let real = home.0.join("dotfile");
    fs::write(&real, "Host a\n  User b").unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &config).unwrap();
    home.check(&["ssh", "setup"], 0, "written to");
    assert!(
        fs::read_to_string(&real)
            .unwrap()
            .starts_with("Host a\n  User b\n\n# keystead: begin")
    );
    assert_eq!(mode(&real), 0o640);
    home.check(&["ssh", "setup", "--undo"], 0, "as it was");
    assert_eq!(fs::read_to_string(&real).unwrap(), "Host a\n  User b");
    assert_eq!(mode(&real), 0o640);
    assert!(fs::symlink_metadata(&config).unwrap().is_symlink());
    assert_eq!(fs::read_dir(config.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn where_a_refusal_ends_a_login_ssh_is_to_try_no_key_file_by_itself() {
    let home = Home::new("setup-abort");
    let config = home.0.join(".ssh/config");
    let folder = home.0.join("keystead/agent/config");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "Host a\n  User b").unwrap();
    let plain = home.check(&["ssh", "setup"], 0, "written to");
    assert!(!plain.contains("IdentityFile"));

    fs::write(folder.join("config.toml"), "on_refusal = \"abort\"\n").unwrap();
    let lines = home.check(
        &["ssh", "setup"],
        0,
        "note: ssh tries no key file by itself",
    );
    assert!(lines.contains("\n  IdentityFile none\n# keystead: end\n"));
    let file = config.to_str().unwrap();
    let read = home.program("ssh").args(["-F", file, "-G", "a"]).output();
    let read = String::from_utf8(read.unwrap().stdout).unwrap();
    let files: Vec<&str> = read
        .lines()
        .filter(|it| it.starts_with("identityfile "))
        .collect();
    assert_eq!(files, ["identityfile none"]);
    home.check(&["ssh", "setup"], 0, "already");

    // What is not understood is no setting; what was written can be taken out all the same.
    fs::write(folder.join("config.toml"), "\nwait_s = 0\n").unwrap();
    home.check(&["ssh", "setup"], 1, "config.toml: line 2: wait_s");
    home.check(&["ssh", "setup", "--undo"], 0, "as it was");
    assert_eq!(fs::read_to_string(&config).unwrap(), "Host a\n  User b");
}

#[test]
fn ssh_reads_back_the_socket_that_setup_wrote() {
    let home = Home::new("read back");
    let config = home.0.join("config 100%");
    let file = config.to_str().unwrap();
    let socket = "/tmp/a folder/100%/ssh.sock";
    home.check(
        &["ssh", "setup", "--config", file, "--socket", socket],
        0,
        "written to",
    );
    let read = Command::new("ssh")
        .args(["-F", file, "-G", "host"])
        .output()
        .unwrap();
    let read = String::from_utf8(read.stdout).unwrap();
    assert!(
        read.contains(&format!("identityagent {socket}\n")),
        "{read}"
    );
}

#[test]
fn edited_markers_are_left_alone() {
    let home = Home::new("markers");
    let config = home.0.join("config");
    let file = config.to_str().unwrap();
    home.check(&["ssh", "setup", "--config", file], 0, "");
    let edited = fs::read_to_string(&config)
        .unwrap()
        .replace("# keystead: end", "");
    fs::write(&config, &edited).unwrap();
    for arguments in [
        &["ssh", "setup", "--config", file][..],
        &["ssh", "setup", "--undo", "--config", file],
    ] {
        home.check(arguments, 1, "keystead: hint: take the lines between them");
        assert_eq!(fs::read_to_string(&config).unwrap(), edited);
    }
}

#[test]
fn print_env_speaks_every_shell() {
    let home = Home::new("env");
    let socket = home.0.join("keystead/agent/run/ssh.sock");
    let socket = socket.to_str().unwrap();
    for (shell, line) in [
        (
            "sh",
            format!("SSH_AUTH_SOCK='{socket}'; export SSH_AUTH_SOCK;\n"),
        ),
        ("csh", format!("setenv SSH_AUTH_SOCK '{socket}';\n")),
        ("fish", format!("set -gx SSH_AUTH_SOCK '{socket}';\n")),
    ] {
        assert_eq!(
            home.check(&["agent", "print-env", "--shell", shell], 0, ""),
            line
        );
    }
}

#[test]
fn install_prints_what_it_writes_and_uninstall_takes_it_away() {
    let home = Home::new("install");
    let printed = home.check(&["agent", "install", "--print"], 0, "");
    let folder = home.0.join(".config/systemd/user");
    assert!(!folder.exists());
    assert_eq!(home.check(&["agent", "install"], 0, "written to"), printed);
    let socket = fs::read_to_string(folder.join("keystead-agent.socket")).unwrap();
    let service = fs::read_to_string(folder.join("keystead-agent.service")).unwrap();
    let link = home.0.join(".local/bin/age-plugin-keystead");
    let program = fs::read_link(&link).unwrap();
    let (link, program) = (link.display(), program.display());
    assert_eq!(
        printed,
        format!(
            "# keystead-agent.socket\n{socket}\n# keystead-agent.service\n{service}\n\
             # {link} -> {program}\n"
        )
    );
    assert!(service.contains("agent run\n") && service.contains("KEYSTEAD_HOME="));
    home.check(&["agent", "uninstall"], 0, "removed");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    home.check(&["agent", "uninstall"], 0, "nothing is installed");
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let home = Home::new("pages");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.check(&["completions", shell], 0, "");
        for word in ["unpair", "print-env", "verify", "publish", "doctor"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
    let folder = home.0.join("man");
    home.check(&["man", folder.to_str().unwrap()], 0, "");
    let page = fs::read_to_string(folder.join("keystead-keeper-unpair.1")).unwrap();
    assert!(page.contains("End a pairing"));
}

#[test]
fn an_agent_that_does_not_run_need_not_be_stopped() {
    let home = Home::new("stop");
    home.check(&["agent", "stop"], 0, "no agent runs");
}

#[test]
fn an_empty_log_is_an_empty_list() {
    let home = Home::new("log");
    assert_eq!(
        home.check(&["log", "--json"], 0, ""),
        "{\"entries\":[],\"version\":1}\n"
    );
    assert_eq!(home.check(&["log"], 0, "nothing was asked yet"), "");
}

#[test]
fn an_altered_log_is_told_with_its_line() {
    let home = Home::new("audit");
    assert_eq!(
        home.check(&["audit", "verify"], 0, ""),
        "0 entries that follow from each other\n"
    );
    let state = home.0.join("keystead/agent/state");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("log"), format!("{} {{}}\n", "00".repeat(32))).unwrap();
    let stdout = home.check(
        &["audit", "verify"],
        1,
        "keystead: error: the log does not prove itself",
    );
    assert!(stdout.contains("line 1 does not follow"), "{stdout}");
    let json = home.check(&["audit", "verify", "--json"], 1, "keystead: hint: ");
    assert!(
        json.contains("\"altered_from_line\":1") && json.contains("\"version\":1"),
        "{json}"
    );
    home.check(&["log"], 1, "line 1 of the log");
}

#[test]
fn whoever_needs_the_agent_first_starts_it_and_all_speak_to_one() {
    // Short, for a socket's path has at most 107 bytes.
    let home = Home::short("first");
    let statuses: Vec<String> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| home.check(&["status", "--json"], 0, "")))
            .collect();
        started.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let first = statuses.first().unwrap();
    for part in ["\"version\":1", "\"keys\":[]", "\"keepers\":[]", "\"pid\":"] {
        assert!(first.contains(part), "{first}");
    }
    assert!(statuses.iter().all(|it| it == first), "{statuses:?}");
    assert!(
        home.check(&["status"], 0, "no keeper is paired")
            .contains("process")
    );
    home.check(&["keeper", "unpair", "nobody"], 1, "keystead: hint: ");
    home.check(
        &["key", "show", "nothing"],
        1,
        "no key is called \"nothing\"",
    );
    home.check(
        &["doctor", "--json"],
        1,
        "found something that does not work",
    );
    assert!(
        home.check(&["agent", "start"], 0, "the agent runs")
            .starts_with("SSH_AUTH_SOCK=/")
    );
    home.check(&["agent", "stop"], 0, "the agent is stopped");
    home.check(&["agent", "stop"], 0, "no agent runs");
}

#[test]
fn an_agent_that_is_stopped_is_gone() {
    let home = Home::new("stop-start");
    for _ in 0..STOPS {
        home.check(&["agent", "start"], 0, "the agent runs");
        home.check(&["agent", "stop"], 0, "the agent is stopped");
    }
}

#[test]
fn a_setting_that_is_not_understood_is_told_by_whoever_starts_the_agent() {
    let home = Home::new("setting");
    let folder = home.0.join("keystead/agent/config");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "wait = 1\n").unwrap();
    let line = "keystead: error: the agent does not start: ";
    home.check(&["status"], 1, line);
    home.check(&["status"], 1, "line 1: unknown field `wait`");
    home.check(&["agent", "run"], 1, "keystead: hint: correct ");
}

#[test]
fn what_is_no_certificate_is_not_remembered() {
    let home = Home::new("no-certificate");
    let file = home.0.join("ca.pem");
    fs::write(&file, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let pair = ["pair", "--yes", "--ca", file.to_str().unwrap()];
    home.check(&pair, 1, "ca.pem: no certificate in it");
    assert!(!home.0.join("keystead/agent/config/config.toml").exists());
}

/// The trace file of an agent in the background lies on the disk that fills.
#[test]
fn an_agent_that_cannot_write_its_trace_lives_on() {
    let home = Home::new("full-trace");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_keystead"))
        .args(["agent", "run"])
        .env("KEYSTEAD_HOME", home.0.join("keystead"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(full)
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut stdout = BufReader::new(agent.stdout.take().unwrap());
    stdout.read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready SSH_AUTH_SOCK="), "{ready:?}");
    // What it traces, the one who pairs is told.
    let mut pair = Command::new(env!("CARGO_BIN_EXE_keystead"))
        .args(["pair", "--yes", "--relay", "http://127.0.0.1:1"])
        .env("KEYSTEAD_HOME", home.0.join("keystead"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(pair.stderr.take().unwrap()).lines();
    let away = |line: &String| line.starts_with("relay http://127.0.0.1:1 is away: ");
    assert!(said.map_while(Result::ok).any(|line| away(&line)));
    pair.kill().unwrap();
    pair.wait().unwrap();
    let id = agent.id().to_string();
    let status = home.check(&["status"], 0, "");
    assert!(status.contains(&format!("process {id}")), "{status}");
    home.check(&["agent", "stop"], 0, "");
    assert!(agent.wait().unwrap().success());
}

/// Of so many, one would start before the one before it has ended, if `stop` did not wait.
const STOPS: usize = 5;
