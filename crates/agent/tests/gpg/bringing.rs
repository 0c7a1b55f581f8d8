//! Keys that gpg makes or imports, where a keeper was chosen for them: messages of gpg 2.2.40.

use keystead_agent::gpg::KeyMap;

use crate::scene::{SIGN, map, own, play, play_with};

/// What `gpg --import` hands over of an Ed25519 key and its subkey on Curve25519, and of a key with
/// the passphrase `abc`, wrapped by 00 … 0f.
const CAPTURED: &str = include_str!("../../../formats/tests/messages/gnupg-2.2.40.txt");

fn with_custody() -> KeyMap {
    let mut map = map();
    map.set_custody(Some("phone".to_owned()));
    map
}

#[track_caller]
fn chosen(text: &str) {
    let text = text
        .replace("$ED25519", &imported("ed25519"))
        .replace("$X25519", &imported("x25519"))
        .replace("$PROTECTED", &imported("protected"));
    play_with(own(), &with_custody(), &format!("{GREETED}{text}"));
}

/// All of it escaped.
fn imported(name: &str) -> String {
    let mut lines = CAPTURED.lines().filter_map(|it| it.strip_prefix("import "));
    let hex = lines.find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
    let pairs = hex.unwrap().as_bytes().chunks(2);
    pairs
        .map(|pair| format!("%{}", std::str::from_utf8(pair).unwrap()))
        .collect()
}

const GREETED: &str = "
    < OK
    ! OK Pleased to meet you, process 4711
";

const WRAPPING: &str = "
    > KEYWRAP_KEY --import
    = KEYWRAP_KEY --import
    < D %00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F
    ! D %00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F
    < OK
    ! OK
    > SETKEYDESC Please+enter:%0A%22Eve+<eve@example.org>%22%0A255-bit
    = SETKEYDESC Please+enter:%0A%22Eve+<eve@example.org>%22%0A255-bit
    < OK
    ! OK
";

/// What the ordinary agent is asked.
const PASSPHRASE: &str = "Please+enter:%0A%22Eve+<eve@example.org>%22%0A255-bit%0A%0A\
    The+key+goes+into+the+custody+of+phone.";

/// The keygrip is as Python computes it; the passphrase goes to nobody but the ordinary agent that asks.
#[test]
fn a_passphrase_is_asked_for_by_the_ordinary_agent() {
    chosen(&format!(
        "{WRAPPING}
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D $PROTECTED
        > END
        = GET_PASSPHRASE --data -- X X X {PASSPHRASE}
        < INQUIRE PINENTRY_LAUNCHED 4712
        ! INQUIRE PINENTRY_LAUNCHED 4712
        > END
        = END
        < D abd
        < OK
        = GET_PASSPHRASE --data -- X Bad+Passphrase+(try+2+of+3) X {PASSPHRASE}
        < D abc
        < OK
        ? take ssh-ed25519 F360495FA5F24611E37C673391169C6A6CB7962D  Eve <eve@example.org>
        @ brought {SIGN}
        ! OK
        "
    ));
    // Three times, as gpg-agent; then the next command is answered.
    let wrong = |nth| {
        format!(
            "= GET_PASSPHRASE --data -- X Bad+Passphrase+(try+{nth}+of+3) X {PASSPHRASE}\n\
             < D x\n< OK\n"
        )
    };
    let (second, third) = (wrong(2), wrong(3));
    chosen(&format!(
        "{WRAPPING}
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D $PROTECTED
        > END
        = GET_PASSPHRASE --data -- X X X {PASSPHRASE}
        < D x
        < OK
        {second}{third}
        ~ not into the custody of phone: the passphrase is wrong
        ! ERR 67108875 not into the custody of phone: the passphrase is wrong <GPG Agent>
        > KEYINFO 0000000000000000000000000000000000000000
        = KEYINFO 0000000000000000000000000000000000000000
        < OK
        ! OK
        "
    ));
}

/// The fingerprints are gpg's own.
#[test]
fn an_imported_key_goes_to_the_keeper() {
    chosen(&format!(
        "{WRAPPING}
        > IMPORT_KEY --timestamp=20261122T153130 --unattended
        ! INQUIRE KEYDATA
        > D $ED25519
        > END
        ? take ssh-ed25519 8156A08FAB6EA3A9E6B3812342DBBBE41051F798 \
          EBDB9DF6BF9F5AF66B66642008096366059F3105 Eve <eve@example.org>
        @ brought {SIGN}
        ! OK
        > IMPORT_KEY --timestamp=20261122T153130 --unattended
        ! INQUIRE KEYDATA
        > D $X25519
        > END
        ? take x25519 806AB2FDD2E80F9EAE8A7F5DEFABFE116A1B4453 \
          B5B8752EE4DEA2B3EB77716489533FB915E9264B Eve <eve@example.org>
        @ refused phone refused
        ~ phone refused
        ! ERR 67108963 phone refused <GPG Agent>
        "
    ));
}

#[test]
fn what_is_not_imported() {
    chosen(
        "
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D $ED25519
        > END
        ! ERR 67108992 Missing value <GPG Agent>
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > CAN
        ! ERR 67109141 IPC call has been cancelled <GPG Agent>
        ",
    );
    chosen(&format!(
        "{WRAPPING}
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D $PROTECTED
        > END
        = GET_PASSPHRASE --data -- X X X {PASSPHRASE}
        < ERR 83886179 Operation cancelled <Pinentry>
        ! ERR 83886179 Operation cancelled <Pinentry>
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D %00%01
        > END
        ~ not into the custody of phone: the key does not unwrap
        ! ERR 67109016 not into the custody of phone: the key does not unwrap <GPG Agent>
        "
    ));
}

#[test]
fn a_key_that_gpg_makes_is_made_by_the_keeper() {
    chosen(&format!(
        "
        > GENKEY --timestamp=20261122T153137 --inq-passwd
        ! INQUIRE KEYPARAM
        > D (genkey(ecc(curve 7:Ed25519)(flags eddsa comp)))
        > END
        ? make ssh-ed25519 at phone Some(1795361497)
        > (leaves)
        - withdraw
        - hang up
        @ brought {SIGN}
        "
    ));
    chosen(
        &"
        > GENKEY
        ! INQUIRE KEYPARAM
        > D (genkey(rsa(nbits 4:3072)))
        > END
        ~ phone makes no keys of type rsa; $FUTURE
        ! ERR 67108948 phone makes no keys of type rsa; $FUTURE <GPG Agent>
        > GENKEY
        ! INQUIRE KEYPARAM
        > D (genkey(ecc(curve 10:NIST P-256)(flags nocomp)))
        > END
        ~ gpg does not say what a key on NIST P-256 is for; $INIT
        ! ERR 67108948 gpg does not say what a key on NIST P-256 is for; $INIT <GPG Agent>
        "
        .replace("$FUTURE", FUTURE)
        .replace("$INIT", INIT),
    );
}

const FUTURE: &str =
    "`gpg --quick-gen-key \"Name <mail>\" future-default` asks for such as it makes";
const INIT: &str = "`keystead gpg init --keeper phone --curve nist256p1 \"Name <mail>\"` makes one";

/// What opened a key is tried with those that come behind it, as gpg-agent does.
#[test]
fn a_subkey_has_the_passphrase_of_its_primary() {
    let again = "> IMPORT_KEY\n! INQUIRE KEYDATA\n> D $PROTECTED\n> END\n";
    let asked = format!("= GET_PASSPHRASE --data -- X X X {PASSPHRASE}\n");
    let came = format!(
        "? take ssh-ed25519 F360495FA5F24611E37C673391169C6A6CB7962D  Eve <eve@example.org>\n\
         @ brought {SIGN}\n! OK\n"
    );
    chosen(&format!(
        "{WRAPPING}{again}{asked}< D abc\n< OK\n{came}{again}{came}{WRAPPING}{again}{asked}"
    ));
    // A wrong one is not kept.
    let refused = "< ERR 83886179 Operation cancelled <Pinentry>\n\
        ! ERR 83886179 Operation cancelled <Pinentry>\n";
    let second = asked.replace("-- X X", "-- X Bad+Passphrase+(try+2+of+3)");
    chosen(&format!(
        "{WRAPPING}{again}{asked}< D abd\n< OK\n{second}{refused}{again}{asked}"
    ));
    // Three that are wrong are so for all of one key, and not for the next one.
    let third = asked.replace("-- X X", "-- X Bad+Passphrase+(try+3+of+3)");
    chosen(&format!(
        "{WRAPPING}{again}{asked}< D abd\n< OK\n{second}< D x\n< OK\n{third}< D y\n< OK\n\
         ~ not into the custody of phone: the passphrase is wrong\n\
         ! ERR 67108875 not into the custody of phone: the passphrase is wrong <GPG Agent>\n\
         {again}! ERR 67108875 Bad passphrase <GPG Agent>\n{WRAPPING}{again}{asked}"
    ));
    // Nor one that a client has left behind.
    chosen(&format!(
        "{WRAPPING}{again}{asked}< D abc\n< OK\n{came}> RESET\n= RESET\n! OK\n< OK\n{again}\
         ! ERR 67108992 Missing value <GPG Agent>\n"
    ));
}

/// What a stranger wrote into a user id moves no cursor, and a long one leaves room for where the
/// key goes.
#[test]
fn what_the_passphrase_is_asked_with() {
    let check = |described: &str, asked: &str| {
        let wrapping = WRAPPING.replace(DESCRIBED, described);
        chosen(&format!(
            "{wrapping}> IMPORT_KEY\n! INQUIRE KEYDATA\n> D $PROTECTED\n> END\n\
             = GET_PASSPHRASE --data -- X X X {asked}The+key+goes+into+the+custody+of+phone.\n"
        ));
    };
    let none = "Please+enter+the+passphrase+of+the+OpenPGP+key.+";
    check("%22a%1B[2Jb%0D%22%0A", "%22a?[2Jb?%22%0A%0A");
    check("%22a+%22b%22+<c>%22", "%22a+%22b%22+<c>%22%0A%0A");
    check(&"a".repeat(950), none);
}

const DESCRIBED: &str = "Please+enter:%0A%22Eve+<eve@example.org>%22%0A255-bit";

#[test]
fn without_a_choice_the_ordinary_agent_has_it() {
    play(&format!(
        "{GREETED}
        > KEYWRAP_KEY --import
        = KEYWRAP_KEY --import
        < OK
        ! OK
        > IMPORT_KEY
        = IMPORT_KEY
        < INQUIRE KEYDATA
        ! INQUIRE KEYDATA
        > CAN
        = CAN
        < ERR 67109141 cancelled
        ! ERR 67109141 cancelled
        > GENKEY
        = GENKEY
        "
    ));
}

#[test]
fn the_choice_is_kept() {
    let map = with_custody();
    let again = KeyMap::parse(&map.encode().unwrap()).unwrap();
    assert_eq!(again.custody(), Some("phone"));
    assert_eq!(again, map);
}
