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
    assert_eq!(
        mine.status.code(),
        theirs.status.code(),
        "{words:?}: {}",
        String::from_utf8_lossy(&mine.stderr)
    );
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
        &["--nonsense"],
        &["--daemon", "--nonsense"],
        &["--default-cache-ttl"],
        &["-x"],
        // Is one running?
        &[],
    ] {
        check(&ours, &ordinary, words);
    }
    let _agents = ours.start();
    ordinary.start_ordinary();
    check(&ours, &ordinary, &[]);
    check(&ours, &ordinary, &["--daemon"]);
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
            Some((_, value)) => check(&ours, &ordinary, &[name, value, "--server"]),
            None => check(&ours, &ordinary, &[name, "--server"]),
        }
    }
    assert!(options > 55, "{listed}");
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
