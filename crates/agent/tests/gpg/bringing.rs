//! Keys that gpg makes or imports, where a keeper was chosen for them: messages of gpg 2.2.40.

use keystead_agent::gpg::KeyMap;

use crate::scene::{SIGN, map, own, play, play_with};

/// `gpg --import` of an Ed25519 key and its subkey on Curve25519, wrapped by 00 … 0f.
const ED25519: &str = "9cafc19bb8198de459b6aa91c6dc6e249fe511b2b24dd1ee6f7460c5d8e74a3b579f1c2a118a37b2e021bba9\
6b69ff77a43c08085f168dc3f99e11f58204625af4893e5410679447771d3ef464409f61200441b8b514c560\
f4eff4d371e0dbf8f167b5576434764e96998736e2eb3f535b1d7e9f8bd481998a1931cc92a25657795be18a\
3a392550221ec6033cbe2ac7d020e57366cc031ee8c50201de3d21f5dc45f95aad95de168563b33612588290\
b40d44c637d04e364799cd426e933e061a0d215c6f78685d";
const X25519: &str = "e3835e3d55463a8c776b5f3f2ea47fff705331561d43ad93802eca3ef5e9195b742b020c8fba5fc8d758f99f\
bf3c4be2e06f6e2decaa655193cea1ea87b88fba5f5042d08b6e680c0adfda0b63519ace1f0e1ea617f18586\
84165e10e2f0ff8220c158d38ecd5fc4662e2524a803d1a59d5647cdaa6e1508893bc23024682b53960c9246\
7a7fa6b51ff22bb76d806fbc96143c949290a89c0de28280fae65b3899c0af122134cba92ca5c53edc4fd041\
376450a870284f520810e9ba48da55766553e88ed8271a7e792270cf54e766a9";
/// Of a key with the passphrase `abc`.
const PROTECTED: &str = "44a63bcd03c105884263c71e92ce161ea1d80a3cafba1431b0b87e9761482510742997cd3261cb27076ada1d\
23dd4af14530f260d638d88d161ee07ab69bbc3ae02ccdf931576fdbfe66a9f7ad58c4d56eb04a846191c3eb\
28b3df8836746ea35bc7e3ebb043017dd5b4a1eae7a39dc04eade5ec028a5570ea7b4fdb0cc3bd1a3c3d8c63\
cbbc15a5025335568caefb0d1e553dad031bd2f84727296c81762f63cf8a2525a46e62e31600a8ce5fb3ce9a\
36ee82374113a941741f4be0ff8348148e4da3362e72ba2c5e7c95643a4d0a79b4c857bed29f3cad1d3bfa39\
f8176c7b3e8343ce64ba558911fa28acaea46d687ffc1fc1ca2460e2a208f6e83e9cbb16bdd9049eb990b54b\
b5b28eda402614bf";

fn with_custody() -> KeyMap {
    let mut map = map();
    map.set_custody(Some("phone".to_owned()));
    map
}

#[track_caller]
fn chosen(text: &str) {
    let text = text
        .replace("$ED25519", &escaped(ED25519))
        .replace("$X25519", &escaped(X25519))
        .replace("$PROTECTED", &escaped(PROTECTED));
    play_with(own(), &with_custody(), &format!("{GREETED}{text}"));
}

fn escaped(hex: &str) -> String {
    let pairs = hex.as_bytes().chunks(2);
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
const PASSPHRASE: &str = "The+key+goes+to+phone.+The+passphrase+of+Eve+<eve@example.org>:";

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
        = GET_PASSPHRASE --data -- X Bad+passphrase X {PASSPHRASE}
        < D abc
        < OK
        ? take ssh-ed25519 F360495FA5F24611E37C673391169C6A6CB7962D  Eve <eve@example.org>
        @ brought {SIGN}
        ! OK
        "
    ));
    // Three times, as gpg-agent; then the next command is answered.
    let wrong =
        format!("= GET_PASSPHRASE --data -- X Bad+passphrase X {PASSPHRASE}\n< D x\n< OK\n");
    chosen(&format!(
        "{WRAPPING}
        > IMPORT_KEY
        ! INQUIRE KEYDATA
        > D $PROTECTED
        > END
        = GET_PASSPHRASE --data -- X X X {PASSPHRASE}
        < D x
        < OK
        {wrong}{wrong}
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
        "
        > GENKEY
        ! INQUIRE KEYPARAM
        > D (genkey(rsa(nbits 4:3072)))
        > END
        ! ERR 67108948 not into the custody of phone: keys of type rsa are not taken; keepers take \
          Ed25519, Curve25519 and, of what is imported, P-256 <GPG Agent>
        ",
    );
}

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
