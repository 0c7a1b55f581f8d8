//! What is answered for keys that keepers hold.

use keystead_agent::gpg::Own;

use crate::scene::{map, own, play, play_with};

const GREETED: &str = "
    < OK
    ! OK Pleased to meet you, process 4711
";

const DIGEST: &str = "dca7586272887cea4fc089b589c64f33217bd9d6b8ea906f140157b4dd33f396";

#[track_caller]
fn greeted(text: &str) {
    play(&format!("{GREETED}{}", text.replace("$DIGEST", DIGEST)));
}

/// The base point of P-256: r and s of a signature may be any numbers here.
const R: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

#[test]
fn a_signature() {
    let chosen = "
        > HAVEKEY $OTHER $SIGN
        ! OK
        > SIGKEY $SIGN
        ! OK
        > SETKEYDESC Please+enter%0A%22Alex%22
        ! OK
        > SETHASH 8 $DIGEST
        ! OK
        > PKSIGN
        ? $SIGN sign 8 $DIGEST Please enter / \"Alex\"
    ";
    greeted(&format!(
        "{chosen}
        @ signature {R}{R}
        ! D (7:sig-val(5:ecdsa(1:r32:k\\x17\\xd1\\xf2\\xe1,BG\\xf8\\xbc\\xe6\\xe5c\\xa4@\\xf2w\\x03}}\\x81-\\xeb3\\xa0\\xf4\\xa19E\\xd8\\x98\\xc2\\x96)(1:s32:k\\x17\\xd1\\xf2\\xe1,BG\\xf8\\xbc\\xe6\\xe5c\\xa4@\\xf2w\\x03}}\\x81-\\xeb3\\xa0\\xf4\\xa19E\\xd8\\x98\\xc2\\x96)))
        ! OK
        > PKSIGN
        ? $SIGN sign 8 $DIGEST
        @ refused phone refused
        ! ERR 67108963 phone refused <GPG Agent>
        > PKSIGN
        ? $SIGN sign 8 $DIGEST
        > (leaves)
        - withdraw
        - hang up
        @ signature {R}{R}
        "
    ));
    greeted(&format!(
        "{chosen}
        @ signature 00
        ! ERR 67108940 Invalid response <GPG Agent>
        > RESET
        = RESET
        ! OK
        < OK
        > PKSIGN
        = PKSIGN
        "
    ));
}

#[test]
fn what_cannot_be_signed() {
    greeted(
        "
        > SIGKEY $SIGN
        ! OK
        > PKSIGN
        ! ERR 67108992 Missing value <GPG Agent>
        > SETHASH 8 00
        ! ERR 67109144 IPC parameter error <GPG Agent>
        > SETHASH 3 $DIGEST
        ! ERR 67108948 Unsupported algorithm <GPG Agent>
        > SETHASH 2 0101010101010101010101010101010101010101
        ~ no keeper signs a digest of sha1
        ! ERR 67108948 no keeper signs a digest of sha1 <GPG Agent>
        > PKSIGN
        ! ERR 67108992 Missing value <GPG Agent>
        > SETHASH --hash=whirl $DIGEST
        ! ERR 67109144 IPC parameter error <GPG Agent>
        > SETHASH
        ! ERR 67109144 IPC parameter error <GPG Agent>
        > SETKEYDESC
        ! ERR 67109144 IPC parameter error <GPG Agent>
        > SETHASH --hash=sha256 $DIGEST
        ! OK
        > SIGKEY $AGREE
        ! OK
        > PKSIGN
        ! ERR 67108989 Wrong key usage <GPG Agent>
        > SIGKEY $OTHER
        = SIGKEY $OTHER
        < OK
        ! OK
        > PKSIGN
        = PKSIGN
        ",
    );
}

const POINT: &str = "0101010101010101010101010101010101010101010101010101010101010101";

#[test]
fn an_agreement() {
    let raw = "\\x01".repeat(32);
    // As gpg 2.2 sends it, in canonical form; 33 bytes are the point behind 0x40.
    let sent = format!(
        "D (7:enc-val(4:ecdh(1:s2:ab)(1:e33:@{})))",
        "%01".repeat(32)
    );
    greeted(&format!(
        "
        > SETKEY $AGREE
        ! OK
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        > {sent}
        > END
        ? $AGREE agree {POINT}
        @ point {POINT}
        ! D (5:value33:@{raw})\\x00
        ! OK
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        > CAN
        ! ERR 67109141 IPC call has been cancelled <GPG Agent>
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        > D (7:enc-val
        > END
        ! ERR 67108947 Invalid S-expression <GPG Agent>
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        > D (7:enc-val%4
        > D )
        > END
        ! ERR 67109140 IPC syntax error <GPG Agent>
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        > NOP
        ! ERR 67109138 Unexpected IPC command <GPG Agent>
        > PKDECRYPT --kem=CMS
        ! ERR 67108988 Unsupported operation <GPG Agent>
        "
    ));
}

#[test]
fn a_ciphertext_has_a_limit() {
    let part = format!("> D {}\n", "a".repeat(900));
    greeted(&format!(
        "
        > SETKEY $AGREE
        ! OK
        > PKDECRYPT
        ! S INQUIRE_MAXLEN 4096
        ! INQUIRE CIPHERTEXT
        {}
        > END
        ! ERR 67109137 Too much data for IPC layer <GPG Agent>
        ",
        part.repeat(5)
    ));
}

#[test]
fn what_is_told_of_keys() {
    greeted(
        "
        > KEYINFO $SIGN
        ! S KEYINFO $SIGN X - - - - - - -
        ! OK
        > keyinfo --data $SIGN
        ! D $SIGN X - - - - - - -%0A
        ! OK
        > KEYINFO --list
        = KEYINFO --list
        < S KEYINFO $OTHER D - - - C - - -
        ! S KEYINFO $OTHER D - - - C - - -
        < OK
        ! S KEYINFO $SIGN X - - - - - - -
        ! S KEYINFO $AGREE X - - - - - - -
        ! OK
        > KEYINFO --list
        = KEYINFO --list
        < ERR 67141713 No such file or directory <GPG Agent>
        ! S KEYINFO $SIGN X - - - - - - -
        ! S KEYINFO $AGREE X - - - - - - -
        ! OK
        > READKEY --no-data $AGREE
        ! OK
        > GETINFO pid
        ! D 7
        ! OK
        > GETINFO socket_name
        ! D /home/a/.gnupg/S.gpg-agent
        ! OK
        ",
    );
    let point = "\\t".to_owned() + &"\\x00".repeat(31);
    greeted(&format!(
        "
        > READKEY $AGREE
        ! D (10:public-key(3:ecc(5:curve10:Curve25519)(5:flags9:djb-tweak)(1:q33:@{point})))
        ! OK
        "
    ));
}

#[test]
fn a_private_key_stays_where_it_is() {
    greeted(
        "
        > EXPORT_KEY --openpgp $SIGN
        ! ERR 67108924 keeper phone holds this key <GPG Agent>
        > DELETE_KEY --force $AGREE
        ! ERR 67108924 a keeper holds this key <GPG Agent>
        > PASSWD --preset $SIGN
        ! ERR 67108924 keeper phone holds this key <GPG Agent>
        > PASSWD --verify $SIGN
        ! OK
        > PASSWD --verify $OTHER
        = PASSWD --verify $OTHER
        < OK
        ! OK
        > KEYTOCARD $SIGN x y z
        ! ERR 67108924 keeper phone holds this key <GPG Agent>
        ",
    );
}

#[test]
fn what_comes_from_far_away_may_do_less() {
    let text = "
        > KEYINFO $SIGN
        = KEYINFO $SIGN
        < ERR 67109115 Forbidden <GPG Agent>
        ! ERR 67109115 Forbidden <GPG Agent>
        > READKEY $SIGN
        = READKEY $SIGN
        < ERR 67109115 Forbidden <GPG Agent>
        ! ERR 67109115 Forbidden <GPG Agent>
        > GETINFO pid
        = GETINFO pid
        < ERR 67109115 Forbidden <GPG Agent>
        ! ERR 67109115 Forbidden <GPG Agent>
        > SIGKEY $SIGN
        ! OK
    ";
    let restricted = Own {
        restricted: true,
        ..own()
    };
    play_with(restricted, &map(), &format!("{GREETED}{text}"));
    greeted(&format!(
        "
        > OPTION pretend-request-origin=browser
        = OPTION pretend-request-origin=browser
        < OK
        ! OK
        {text}"
    ));
    greeted(
        "
        > OPTION pretend-request-origin=local
        = OPTION pretend-request-origin=local
        < OK
        ! OK
        > GETINFO pid
        ! D 7
        ! OK
        ",
    );
}
