//! Without the ordinary agent: a proper error, and keepers' keys go on.

use crate::scene::play;

const NO_AGENT: &str = "! ERR 67108941 the ordinary gpg-agent does not run <GPG Agent>";

#[test]
fn keys_of_keepers_go_on() {
    play(&format!(
        "
        < (dies)
        ! OK Pleased to meet you, process 4711
        > RESET
        ! OK
        > OPTION ttytype=xterm
        ! OK
        > GETINFO version
        {NO_AGENT}
        > HAVEKEY $OTHER
        {NO_AGENT}
        > HAVEKEY $SIGN
        ! OK
        > SIGKEY $SIGN
        ! OK
        > KEYINFO --list
        ! S KEYINFO $SIGN X - - - - - - -
        ! S KEYINFO $AGREE X - - - - - - -
        ! OK
        > BOGUS
        {NO_AGENT}
        > BYE
        ! OK closing connection
        - hang up
        "
    ));
}

#[test]
fn one_that_dies_leaves_nobody_waiting() {
    play(&format!(
        "
        < OK
        ! OK Pleased to meet you, process 4711
        > GENKEY
        = GENKEY
        < INQUIRE KEYPARAM
        ! INQUIRE KEYPARAM
        < (dies)
        {NO_AGENT}
        > GENKEY
        {NO_AGENT}
        "
    ));
    play(
        "
        < OK
        ! OK Pleased to meet you, process 4711
        > KILLAGENT
        = KILLAGENT
        < (dies)
        - kill
        ! OK closing connection
        - hang up
        ",
    );
    play(
        "
        < (dies)
        ! OK Pleased to meet you, process 4711
        > KILLAGENT
        - kill
        ! OK closing connection
        - hang up
        ",
    );
}
