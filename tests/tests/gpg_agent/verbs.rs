//! Every command that a gpg-agent has: who keeps no keys elsewhere sees no difference.

use crate::house::House;

/// Says the same to both agents, and compares what they answer.
#[track_caller]
fn check(ours: &House, ordinary: &House, commands: &[&str]) {
    let answer = ours.talk(commands);
    assert!(answer.lines().any(is_final), "{commands:?}: {answer}");
    assert_eq!(answer, ordinary.talk(commands), "{commands:?}");
}

fn is_final(line: &str) -> bool {
    line == "OK" || line.starts_with("OK ") || line.starts_with("ERR ")
}

#[test]
fn commands_are_answered_as_the_ordinary_agent_answers_them() {
    let (ours, ordinary) = (House::new(), House::ordinary());
    let _agents = ours.start();
    ordinary.start_ordinary();
    let help = ordinary.talk(&["HELP"]);
    let names: Vec<&str> = help
        .lines()
        .filter_map(|it| it.strip_prefix("# ")?.split_whitespace().next())
        .collect();
    assert!(names.len() > 35, "{help}");
    // They end a conversation or an agent, or tell what differs.
    let apart = ["BYE", "KILLAGENT"];
    for name in names.iter().filter(|it| !apart.contains(it)) {
        for arguments in ["", " x", " --nonsense x", NO_GRIP] {
            check(&ours, &ordinary, &[&format!("{name}{arguments}")]);
        }
    }
    // Of 2.4 and 2.5, and of nobody.
    for name in [
        "KEYATTR",
        "KEYTOTPM",
        "HAVEKEY --list=7",
        "BOGUS",
        "sigkey x",
    ] {
        check(&ours, &ordinary, &[name]);
    }
    for commands in SEQUENCES {
        check(&ours, &ordinary, commands);
    }
    // Both are still there.
    check(&ours, &ordinary, &["GETINFO version", "NOP"]);
    ordinary.must(&["gpgconf", "--kill", "gpg-agent"]);
}

#[test]
fn what_it_says_of_itself() {
    let house = House::new();
    let agents = house.start();
    let check = |command: &str, expected: &str| {
        assert_eq!(
            house.talk(&[command]),
            format!("{expected}\nOK\n"),
            "{command}"
        );
    };
    check("GETINFO pid", &format!("D {}", agents.ours.pid));
    check(
        "GETINFO socket_name",
        &format!("D {}", house.socket().display()),
    );
    let ssh = house.home().join("S.gpg-agent.ssh");
    check("GETINFO ssh_socket_name", &format!("D {}", ssh.display()));
}

#[test]
fn gpgconf_finds_it() {
    let house = House::new();
    let agents = house.start();
    house.must(&["gpgconf", "--reload", "gpg-agent"]);
    // What runs is not started again.
    house.must(&["gpgconf", "--launch", "gpg-agent"]);
    let again = house.agents();
    assert_eq!(again.ours.pid, agents.ours.pid);
    assert!(agents.behind.is_running());
    assert!(
        house
            .must(&["gpgconf", "--list-options", "gpg-agent"])
            .contains("max-cache-ttl:")
    );
    // Not all of GnuPG's programs are installed, which is its exit status.
    let checked = house.run(&["gpgconf", "--check-programs"]).stdout;
    let checked = String::from_utf8(checked).unwrap();
    let agent = checked.lines().find(|it| it.starts_with("gpg-agent:"));
    assert!(agent.unwrap().ends_with(":1:1:"), "{checked}");
    let listed = house.must(&["gpgconf", "--list-dirs", "agent-socket"]);
    assert_eq!(listed.trim_end(), house.socket().to_string_lossy());
    house.must(&["gpgconf", "--kill", "gpg-agent"]);
    agents.ours.ends("gpgconf --kill");
    agents.behind.ends("gpgconf --kill");
}

/// Of a key that is nowhere.
const NO_GRIP: &str = " 0123456789012345678901234567890123456789";

/// More than one command, and what is inquired.
const SEQUENCES: &[&[&str]] = &[
    &["SETKEYDESC a+b", "SETHASH 8 00", "PKSIGN"],
    &[
        "SETHASH --hash=sha256 zz",
        "SETHASH --hash=md17 00",
        "SETHASH 99 00",
    ],
    &["SIGKEY 01234567", "SIGKEY x", "RESET", "PKSIGN"],
    &["/let x (7:enc-val", "/definq CIPHERTEXT x", "PKDECRYPT"],
    &[
        "/let x (6:genkey(3:rsa(5:nbits1:1)))",
        "/definq KEYPARAM x",
        "GENKEY",
    ],
    &[
        "OPTION ttyname=/dev/tty",
        "OPTION lc-ctype=C",
        "OPTION nonsense=1",
    ],
    &[
        "OPTION pretend-request-origin=remote",
        "GETINFO version",
        "KEYINFO --list",
    ],
    &[
        "GETINFO cmd_has_option PKDECRYPT kem",
        "GETINFO restricted",
        "GETINFO nonsense",
    ],
    &["PUTVAL a b", "GETVAL a", "GETVAL b"],
];
