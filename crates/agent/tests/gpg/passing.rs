//! What is the ordinary agent's.

use keystead_agent::gpg::{Conversation, Event, KeyMap, Own};

use crate::scene::{map, own, play, play_with};

const GREETED: &str = "
    < OK Pleased to meet you, process 9
    ! OK Pleased to meet you, process 4711
";

#[track_caller]
fn greeted(text: &str) {
    play(&format!("{GREETED}{text}"));
}

/// `gpg --detach-sign` with a key of the ordinary agent, as recorded.
#[test]
fn a_signature_of_another_key() {
    greeted(
        "
        > RESET
        = RESET
        ! OK
        < OK
        > OPTION ttytype=xterm
        = OPTION ttytype=xterm
        ! OK
        < OK
        > GETINFO version
        = GETINFO version
        < D 2.2.40
        ! D 2.2.40
        < OK
        ! OK
        > SCD SERIALNO
        = SCD SERIALNO
        < ERR 67108983 No SmartCard daemon <GPG Agent>
        ! ERR 67108983 No SmartCard daemon <GPG Agent>
        > HAVEKEY $OTHER
        = HAVEKEY $OTHER
        < OK
        ! OK
        > SIGKEY $OTHER
        = SIGKEY $OTHER
        < OK
        ! OK
        > SETKEYDESC Please+enter
        = SETKEYDESC Please+enter
        < OK
        ! OK
        > SETHASH 8 DCA7586272887CEA4FC089B589C64F33217BD9D6B8EA906F140157B4DD33F396
        = SETHASH 8 DCA7586272887CEA4FC089B589C64F33217BD9D6B8EA906F140157B4DD33F396
        < OK
        ! OK
        > PKSIGN
        = PKSIGN
        < S PROGRESS x
        ! S PROGRESS x
        < D (7:sig-val)
        ! D (7:sig-val)
        < OK
        ! OK
        ",
    );
}

/// What the ordinary agent only notes is answered before it has; what it says of that is nobody's.
#[test]
fn what_cannot_be_refused_is_not_waited_for() {
    greeted(
        "
        > RESET
        = RESET
        ! OK
        > OPTION ttyname=/dev/pts/1
        = OPTION ttyname=/dev/pts/1
        ! OK
        > option display :0
        = option display :0
        ! OK
        > GETINFO version
        = GETINFO version
        < OK
        < # a comment
        < ERR 67109115 Forbidden <GPG Agent>
        < OK
        < D 2.2.40
        ! D 2.2.40
        < OK
        ! OK
        ",
    );
    greeted(
        "
        > OPTION lc-ctype=C
        = OPTION lc-ctype=C
        ! OK
        > NOP
        = NOP
        < (dies)
        ! ERR 67108941 the ordinary gpg-agent does not run <GPG Agent>
        > RESET
        ! OK
        ",
    );
    // What it may refuse is waited for.
    for option in ["pinentry-mode=loopback", "displays=:0", "putenv=A", ""] {
        greeted(&format!(
            "
            > OPTION {option}
            = OPTION {option}
            < ERR 67109139 no
            ! ERR 67109139 no
            "
        ));
    }
    let far_away = Own {
        restricted: true,
        ..own()
    };
    play_with(
        far_away,
        &map(),
        &format!(
            "{GREETED}
            > OPTION display=:0
            = OPTION display=:0
            < ERR 67109115 Forbidden <GPG Agent>
            ! ERR 67109115 Forbidden <GPG Agent>
            "
        ),
    );
}

/// `gpg --decrypt`, and a passphrase that gpg is asked for (loopback).
/// But for what an ordinary agent would hang at.
#[test]
fn inquiries_pass_both_ways() {
    greeted(
        "
        > PKDECRYPT
        = PKDECRYPT
        < S INQUIRE_MAXLEN 4096
        ! S INQUIRE_MAXLEN 4096
        < INQUIRE CIPHERTEXT
        ! INQUIRE CIPHERTEXT
        > D (7:enc-val%0A
        = D (7:enc-val%0A
        > D (%4
        > END
        = END
        < INQUIRE PASSPHRASE
        ! INQUIRE PASSPHRASE
        > CAN
        = CAN
        < ERR 67109141 IPC call has been cancelled <GPG Agent>
        ! ERR 67109141 IPC call has been cancelled <GPG Agent>
        > NOP
        = NOP
        < OK
        ! OK
        ",
    );
}

#[test]
fn what_came_too_early_waits_its_turn() {
    greeted(
        "
        > OPTION a=b
        = OPTION a=b
        > HAVEKEY $SIGN
        > NOP
        < OK
        ! OK
        ! OK
        = NOP
        < OK
        ! OK
        ",
    );
    greeted(
        "
        > PKDECRYPT
        = PKDECRYPT
        > D x
        > END
        < INQUIRE CIPHERTEXT
        ! INQUIRE CIPHERTEXT
        = D x
        = END
        ",
    );
    play(
        "
        > NOP
        < # a comment
        < OK hello
        ! OK Pleased to meet you, process 4711
        = NOP
        ",
    );
}

#[test]
fn the_end_of_a_client_and_of_the_agent() {
    greeted(
        "
        > BYE
        = BYE
        < OK closing connection
        ! OK closing connection
        - hang up
        > NOP
        ",
    );
    greeted(
        "
        > NOP
        = NOP
        > (leaves)
        - hang up
        < OK
        ",
    );
    // The sockets are gone before the client hears of it.
    greeted(
        "
        > KILLAGENT
        = KILLAGENT
        < OK closing connection
        - kill
        ! OK closing connection
        - hang up
        ",
    );
    // One that was forwarded from far away must not end it.
    greeted(
        "
        > KILLAGENT
        = KILLAGENT
        < ERR 67109115 Forbidden <GPG Agent>
        ! ERR 67109115 Forbidden <GPG Agent>
        > RELOADAGENT
        = RELOADAGENT
        < OK
        ! OK
        ",
    );
}

#[test]
fn odd_lines_are_the_ordinary_agents_to_refuse() {
    greeted(
        "
        >
        > # a comment
        > BOGUS $SIGN
        = BOGUS $SIGN
        < ERR 67109139 Unknown IPC command <GPG Agent>
        ! ERR 67109139 Unknown IPC command <GPG Agent>
        > END
        = END
        < ERR 67109138 Unexpected IPC command <GPG Agent>
        ! ERR 67109138 Unexpected IPC command <GPG Agent>
        > SIGKEY $SIGN0
        = SIGKEY $SIGN0
        < ERR 67109144 IPC parameter error <GPG Agent>
        ! ERR 67109144 IPC parameter error <GPG Agent>
        > (too long)
        ! ERR 67109127 Line passed to IPC too long <GPG Agent>
        > NOP
        = NOP
        ",
    );
}

#[test]
fn a_client_that_never_listens_is_hung_up() {
    let mut conversation = Conversation::new(own());
    let keys = KeyMap::default();
    let mut actions = Vec::new();
    for _ in 0..100 {
        actions.extend(conversation.step(Event::Client(Ok(b"NOP")), &keys));
    }
    assert_eq!(actions.len(), 1, "hung up, once");
}

#[test]
fn with_no_keys_every_command_passes() {
    let mut text = GREETED.to_owned();
    for command in COMMANDS {
        text.push_str(&format!("> {command}\n= {command}\n< OK\n! OK\n"));
    }
    play_with(own(), &KeyMap::default(), &text);
}

/// All that gpg-agent 2.2 has, but for those that end the talk and those about this process.
const COMMANDS: [&str; 33] = [
    "GETEVENTCOUNTER",
    "ISTRUSTED 00",
    "HAVEKEY $OTHER",
    "KEYINFO $OTHER",
    "KEYINFO --list",
    "KEYINFO --ssh-list",
    "SIGKEY $OTHER",
    "SETKEY $OTHER",
    "SETKEYDESC x",
    "SETHASH 8 00",
    "PKSIGN",
    "PKDECRYPT",
    "GENKEY",
    "READKEY $OTHER",
    "READKEY --card x",
    "GET_PASSPHRASE a b c d",
    "PRESET_PASSPHRASE a -1",
    "CLEAR_PASSPHRASE a",
    "GET_CONFIRMATION a",
    "LISTTRUSTED",
    "MARKTRUSTED a",
    "LEARN",
    "PASSWD $OTHER",
    "SCD LEARN",
    "KEYWRAP_KEY --export",
    "IMPORT_KEY",
    "EXPORT_KEY $OTHER",
    "DELETE_KEY $OTHER",
    "GETVAL a",
    "PUTVAL a b",
    "UPDATESTARTUPTTY",
    "RELOADAGENT",
    "KEYTOCARD $OTHER x y z",
];

#[test]
fn input_that_ends_is_answered_first() {
    let over_a_pipe = Own {
        client_pid: None,
        socket: None,
        ssh_socket: None,
        ..own()
    };
    play_with(
        over_a_pipe.clone(),
        &map(),
        "
        < OK Pleased to meet you
        ! OK Pleased to meet you
        > GETINFO version
        = GETINFO version
        > HAVEKEY $SIGN
        > (leaves)
        < D 2.2.40
        ! D 2.2.40
        < OK
        ! OK
        ! OK
        - hang up
        ",
    );
    // Nobody hears what a keeper would answer, or gives what is inquired.
    play_with(
        over_a_pipe,
        &map(),
        "
        < OK Pleased to meet you
        ! OK Pleased to meet you
        > GENKEY
        = GENKEY
        > (leaves)
        < INQUIRE KEYPARAM
        ! INQUIRE KEYPARAM
        - hang up
        ",
    );
    // At a socket the client has gone; but who asked for the end of the agent gets it.
    greeted(
        "
        > KILLAGENT
        = KILLAGENT
        > (leaves)
        < OK closing connection
        - kill
        ! OK closing connection
        - hang up
        ",
    );
}
