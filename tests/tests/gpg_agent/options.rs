//! Every option of the gpg-agent that is installed: taken as it takes it, or refused as it does.

use crate::house::House;

/// Starts both with the same words; what they print and how they end must be the same.
#[track_caller]
fn check(ours: &House, ordinary: &House, words: &[&str]) {
    let words = [&["gpg-agent"], words].concat();
    let (mine, theirs) = (ours.run(&words), ordinary.run(&words));
    let text = |house: &House, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.replace(&*house.home().to_string_lossy(), "HOME")
    };
    let printed = text(ours, &mine.stdout);
    assert_eq!(printed, text(ordinary, &theirs.stdout), "{words:?}");
    let said = text(ours, &mine.stderr);
    assert_eq!(
        mine.status.code(),
        theirs.status.code(),
        "{words:?}: {said}"
    );
    if !mine.status.success() {
        let said = without_pid(&said);
        assert_eq!(
            said,
            without_pid(&text(ordinary, &theirs.stderr)),
            "{words:?}"
        );
    }
}

/// `gpg-agent[123]: why` without the number.
fn without_pid(said: &str) -> String {
    let lines = said.lines().map(|line| match line.split_once("]: ") {
        Some((_, why)) => format!("{why}\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn what_is_asked_of_it_is_what_the_ordinary_agent_answers() {
    let (ours, ordinary) = (House::new(), House::ordinary());
    for words in [
        &["--version"][..],
        &["--help"],
        &["-h"],
        &["--warranty"],
        &["--dump-options"],
        &["--dump-option-table"],
        &["--gpgconf-list"],
        &["--gpgconf-test"],
        &["--use-standard-socket-p"],
        &["--version=1"],
        &["--nonsense", "--help"],
        &["-v?"],
        &["--nonsense"],
        &["--nonsense", "--version"],
        &["--daemon", "--nonsense"],
        &["--daemon", "--no"],
        &["--daemon", "--gpgconf"],
        &["--daemon", "--=1"],
        &["--daemon", "--no-options=1"],
        &["--daemon", "--homedir="],
        &["--daemon", "--default-cache-ttl=-1"],
        &["--daemon", "--options", "/nowhere/gpg-agent.conf"],
        &["--default-cache-ttl"],
        &["-x"],
        &["-vx", "--daemon"],
        // Is one running?
        &[],
        &["-vq", "--", "--daemon"],
    ] {
        check(&ours, &ordinary, words);
    }
    let _agents = ours.start();
    ordinary.start_ordinary();
    for words in [
        &[][..],
        &["--daemon"],
        // A value too many is passed over.
        &["--daemon=1"],
        &["--daem="],
        &["-sq", "--daemon", "--", "--server"],
    ] {
        check(&ours, &ordinary, words);
    }
    ordinary.must(&["gpgconf", "--kill", "gpg-agent"]);
}

#[test]
fn each_option_is_taken_as_the_ordinary_agent_takes_it() {
    let (ours, ordinary) = (House::new(), House::ordinary());
    let listed = ordinary.must(&["gpg-agent", "--dump-options"]);
    let mut options = 0;
    for name in listed.lines() {
        // A heading; or what has its own test.
        let is_heading =
            name.starts_with(|it: char| it != '-') || name[2..3] != name[2..3].to_lowercase();
        if is_heading || APART.contains(&name) {
            continue;
        }
        options += 1;
        match VALUES.iter().find(|(it, _)| *it == name) {
            Some((_, value)) => {
                check(&ours, &ordinary, &[name, value, "--server"]);
                check(&ours, &ordinary, &[&format!("{name}={value}"), "--server"]);
                check(&ours, &ordinary, &[&format!("{name}="), "--server"]);
            }
            None => {
                check(&ours, &ordinary, &[name, "--server"]);
                check(&ours, &ordinary, &[&format!("{name}=1"), "--server"]);
            }
        }
    }
    assert!(options > 55, "{listed}");
    for words in [
        &["--serv", "--pinentry-prog=/bin/false"][..],
        &["--server=1", "-vqsc"],
        &["--auto-expand-secmem", "5", "--server"],
        &["--auto-expand-secmem", "--server"],
        &["--write-env-file", "--server"],
        &["--server", "--log-file", "--nonsense"],
        &["--server", "--", "--nonsense"],
    ] {
        check(&ours, &ordinary, words);
    }
}

#[test]
fn whatever_starts_an_agent_starts_ours() {
    let house = House::new();
    let started = |words: &[&str]| {
        house.must(&[&["gpg-agent"], words].concat());
        // With the ordinary one behind it, which one that was started in our place has not.
        let agents = house.agents();
        house.must(&["gpgconf", "--kill", "gpg-agent"]);
        agents.ours.ends("KILLAGENT");
    };
    started(&["--daemon=1"]);
    started(&["--daem"]);
    started(&["-q", "--steal-socket", "--daemon", "--"]);
    let conf = house.home().join("gpg-agent.conf");
    std::fs::write(&conf, "pinentry-program /bin/false\ndaemon\n").unwrap();
    started(&[]);
    started(&["-q"]);
    let file = house.path("file").display().to_string();
    std::fs::rename(&conf, &file).unwrap();
    started(&["--options", &file, "--options=/dev/null"]);
}

#[test]
fn a_socket_is_stolen_where_that_is_wanted() {
    let house = House::new();
    let first = house.start();
    house.must(&["gpg-agent", "--daemon", "--steal-socket"]);
    first.ours.ends("its socket was stolen");
    first.behind.ends("its socket was stolen");
    let second = house.agents();
    assert!(second.ours.pid != first.ours.pid && second.behind.is_running());
    // From gpg's own, too, which `gpgconf` starts where none runs: it is ended first.
    house.must(&["gpgconf", "--kill", "gpg-agent"]);
    second.ours.ends("KILLAGENT");
    house.must(&["gpgconf", "--launch", "gpg-agent"]);
    let ordinary = house.process();
    house.must(&["gpg-agent", "--daemon", "--steal-socket"]);
    ordinary.ends("its socket was stolen");
    let third = house.agents();
    assert!(third.behind.is_running());
}

/// They choose the mode, or print something.
const APART: &[&str] = &[
    "--daemon",
    "--server",
    "--supervised",
    "--gpgconf-list",
    "--gpgconf-test",
    "--use-standard-socket-p",
    "--help",
    "--version",
    "--warranty",
    "--dump-options",
    "--dump-option-table",
    // Another home folder, which would be made.
    "--homedir",
    // It waits so long.
    "--debug-wait",
];

/// Options with a value.
const VALUES: &[(&str, &str)] = &[
    ("--browser-socket", "none"),
    ("--check-passphrase-pattern", "/dev/null"),
    ("--check-sym-passphrase-pattern", "/dev/null"),
    ("--debug", "0"),
    ("--debug-level", "none"),
    ("--default-cache-ttl", "1"),
    ("--default-cache-ttl-ssh", "1"),
    ("--display", ":0"),
    ("--extra-socket", "none"),
    ("--faked-system-time", "20200101T000000"),
    ("--lc-ctype", "C"),
    ("--lc-messages", "C"),
    ("--listen-backlog", "5"),
    ("--log-file", "/dev/null"),
    ("--max-cache-ttl", "1"),
    ("--max-cache-ttl-ssh", "1"),
    ("--max-passphrase-days", "1"),
    ("--min-passphrase-len", "1"),
    ("--min-passphrase-nonalpha", "1"),
    ("--options", "/dev/null"),
    ("--pinentry-invisible-char", "*"),
    ("--pinentry-program", "/bin/false"),
    ("--pinentry-timeout", "1"),
    ("--pinentry-touch-file", "/dev/null"),
    ("--s2k-calibration", "1"),
    ("--s2k-count", "65536"),
    ("--scdaemon-program", "/bin/false"),
    ("--ssh-fingerprint-digest", "SHA256"),
    ("--sys-trustlist-name", "/dev/null"),
    ("--ttyname", "/dev/null"),
    ("--ttytype", "dumb"),
    ("--xauthority", "/dev/null"),
];
