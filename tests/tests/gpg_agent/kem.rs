//! `PKDECRYPT --kem=PGP`: what gpg from 2.5 on asks of its agent, of which 2.2 knows nothing. The
//! messages are real gpg's, and so is what their session keys are compared with.

use keystead_tests::{About, Play, Result};

const WALLET: &str = r"
include with_wallet
keystead-authenticator run --decide approve --passphrase-fd 3 3<passphrase &phone
wait-for phone stdout '^ready'
sh -c 'mkdir -m 0700 $HOME/gnupg'
env GNUPGHOME=$HOME/gnupg
write $HOME/gnupg/gpg.conf 'no-tty\nbatch\ntrust-model always\n'
write file 'what was meant\n'
";

/// What is sent for a key on `curve`, whose number in messages is `oid`.
fn check(play: &mut Play, curve: &str, oid: &[u8]) -> Result<()> {
    play.lines(
        curve,
        &format!(
            r"
keystead gpg init --curve {curve} '{curve} <a@example.org>'
gpg -K --with-keygrip --with-subkey-fingerprint {curve}
keep SUBKEY stdout '(?s)\[E\].*?([0-9A-F]{{40}})'
keep GRIP stdout '(?s)\[E\].*?Keygrip = ([0-9A-F]{{40}})'
gpg --encrypt -r {curve} -o {curve}.gpg file
gpg --show-session-key --decrypt {curve}.gpg
stdout 'what was meant'
keep SESSION stderr 'session key: .([0-9]+:[0-9A-F]+)'
"
        ),
    )?;
    let home = play.place().home();
    let message = std::fs::read(home.join(format!("{curve}.gpg"))).about("the message")?;
    let (point, wrapped) = session_key_packet(&message);
    let fingerprint = unhex(play.variable("SUBKEY")?);
    // RFC 6637 section 8.
    let head = [u8::try_from(oid.len()).unwrap()];
    let param = [
        &head[..],
        oid,
        &[18, 3, 1, 8, 7],
        b"Anonymous Sender    ",
        &fingerprint,
    ]
    .concat();
    let sexp = [
        b"(7:enc-val(3:ecc(1:c1:7)(1:h1:8)".to_vec(),
        field("e", point),
        field("s", wrapped),
        field("kdf-params", &param),
        b"))".to_vec(),
    ]
    .concat();
    std::fs::write(home.join("ciphertext"), &sexp).about("the ciphertext")?;
    play.lines(
        curve,
        "
sh -c 'rm -f answer'
gpg-connect-agent '/definqfile CIPHERTEXT ciphertext' 'SETKEY '$GRIP '/datafile answer' 'PKDECRYPT --kem=PGP' /bye
! stdout 'ERR'
",
    )?;
    let answer = std::fs::read(home.join("answer")).about("the answer")?;
    assert_eq!(
        answer.strip_suffix(&[0]).unwrap_or(&answer),
        value_of(play.variable("SESSION")?),
        "{curve}"
    );

    // For another key's fingerprint it does not open: an error, and the next command is answered.
    let mut changed = sexp;
    let at = changed.len() - b")))x".len();
    changed[at] ^= 1;
    std::fs::write(home.join("ciphertext"), &changed).about("the ciphertext")?;
    play.lines(
        curve,
        "
gpg-connect-agent '/definqfile CIPHERTEXT ciphertext' 'SETKEY '$GRIP 'PKDECRYPT --kem=PGP' 'NOP' /bye
stdout '(?s)ERR [0-9]+ Decryption failed.*OK$'
gpg-connect-agent '/definqfile CIPHERTEXT ciphertext' 'SETKEY '$GRIP 'PKDECRYPT --kem=CMS' 'NOP' /bye
stdout '(?s)ERR .*OK$'
",
    )
}

/// The agent's answer for a session key as gpg prints it.
fn value_of(session: &str) -> Vec<u8> {
    let (cipher, key) = session.split_once(':').unwrap();
    let key = unhex(key);
    let sum: u16 = key.iter().map(|it| u16::from(*it)).sum();
    // RFC 4880 section 5.1: the cipher, the key, its sum; RFC 6637 section 8 fills it up.
    let plain = [&[cipher.parse().unwrap()], &key[..], &sum.to_be_bytes()].concat();
    let padding = 8 - plain.len() % 8;
    let plain = [plain, vec![u8::try_from(padding).unwrap(); padding]].concat();
    [format!("(5:value{}:", plain.len()).as_bytes(), &plain, b")"].concat()
}

#[test]
fn session_keys_as_gpg_2_5_asks_for_them() -> Result<()> {
    let mut play = Play::new()?;
    play.lines("wallet", WALLET)?;
    // RFC 6637 section 11, and RFC 9580 section 9.2.
    check(&mut play, "ed25519", &unhex("2b060104019755010501"))?;
    check(&mut play, "nist256p1", &unhex("2a8648ce3d030107"))?;
    // SEC 2.
    check(&mut play, "secp256k1", &unhex("2b8104000a"))?;
    play.lines("wallet", "gpgconf --kill gpg-agent\n")?;
    play.finish()
}

/// Point and wrapped key of the packet in front (RFC 6637 section 10), the latter with its length.
fn session_key_packet(message: &[u8]) -> (&[u8], &[u8]) {
    // An old header of one byte's length, version 3, a key's id, ECDH.
    assert_eq!((message[0], message[2], message[11]), (0x84, 3, 18));
    let body = &message[12..2 + usize::from(message[1])];
    let bits = usize::from(u16::from_be_bytes([body[0], body[1]]));
    body[2..].split_at(bits.div_ceil(8))
}

fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("({}:{name}{}:", name.len(), value.len());
    [head.as_bytes(), value, b")"].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap())
        .collect()
}
