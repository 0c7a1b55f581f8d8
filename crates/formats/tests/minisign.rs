//! Keys and signatures of minisign: what Trezor's owners have, and minisign's own.
#![cfg(test)]

use keystead_formats::ParseError;
use keystead_formats::age::identity;
use keystead_formats::minisign::{Message, Prehash, PublicKey, Signature, ToSign};
use keystead_formats::ssh::signature::VerifyError;
use serde_json::Value;

fn vectors() -> Value {
    let file = include_str!("../../../spec/vectors/age_signify_from_seed.json");
    serde_json::from_str(file).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn of_a_seed() {
    let vectors = vectors();
    let row = &vectors["signify"];
    let key = PublicKey::of(unhex(text(&row["public"])).try_into().unwrap());
    assert_eq!(key.number.to_vec(), unhex(text(&row["keynum"])));
    assert_eq!(key.line(), text(&row["pubkey_line"]));
    assert_eq!(PublicKey::parse(&key.line()), Ok(key));
    assert_eq!(PublicKey::parse(&key.file()), Ok(key));
    let file = b"data\n".to_vec();
    let mut hash = Prehash::default();
    file.chunks(2).for_each(|piece| hash.update(piece));
    for (message, signature, global) in [
        (Message::Whole(file), "sig_Ed", "global_sig_Ed"),
        (hash.finish(), "sig_ED_blake2b512", "global_sig_ED"),
    ] {
        let comment = text(&row["trusted_comment"]);
        let file = format!(
            "untrusted comment: c\n{}\ntrusted comment: {comment}\n{}\n",
            text(&row[signature]),
            text(&row[global])
        );
        let read = Signature::parse(&file).unwrap();
        assert_eq!(read.file("c").as_deref(), Ok(file.as_str()));
        assert_eq!(read.verify(&key, &message), Ok(()));
        assert_eq!(read.trusted_comment(), comment);
        for len in 0..file.len() {
            assert!(Signature::parse(&file[..len]).is_err(), "{len}");
        }
        asked_of_a_holder(&key, &message, &file, comment);
    }
}

fn asked_of_a_holder(key: &PublicKey, message: &Message, file: &str, comment: &str) {
    let asked = ToSign::new(message.clone(), comment).unwrap();
    let content = asked.encode();
    assert_eq!(ToSign::parse(&content), Ok(asked.clone()));
    for len in 0..content.len() {
        assert_eq!(
            ToSign::parse(&content[..len]),
            Err(ParseError::Truncated),
            "{len}"
        );
    }
    let lines: Vec<&str> = file.lines().collect();
    let decode = |line: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(line)
            .unwrap()
    };
    let both = [&decode(lines[1])[10..], &decode(lines[3])].concat();
    let made = asked.finish(key, &both).unwrap();
    assert_eq!(made.file("c").as_deref(), Ok(file));
    for at in 0..both.len() {
        let mut wrong = both.clone();
        wrong[at] ^= 1;
        assert_eq!(asked.finish(key, &wrong), Err(VerifyError::False), "{at}");
    }
    assert!(asked.finish(key, &both[1..]).is_err());
    let other = ToSign::new(message.clone(), "other").unwrap();
    assert_eq!(other.finish(key, &both), Err(VerifyError::False));
}

/// minisign 0.11 wrote these for a key without a password, thrown away since.
#[test]
fn of_minisign_itself() {
    let public = "untrusted comment: minisign public key 805B2E23A76AE081\n\
                  RWSB4GqnIy5bgIAjiTo2p6YTUVo3lmZM83THKLJj207oK8aWENixKAZB\n";
    let key = PublicKey::parse(public).unwrap();
    assert_eq!(key.file(), public);
    let hashed = "untrusted comment: signature from minisign secret key\n\
                  RUSB4GqnIy5bgDQcE5ZhEWikCq+riKYxyYdllrCtlDDMLH5KjQHz2DajIatzw7/AXI14Amjyq3BW9AvixNAUB34hG1+Trb6dhww=\n\
                  trusted comment: cmt\n\
                  JyvSZbhbJmTx7qJjUspWEKB8Bid2Qj+C7UvbBpWtc4/EYz27jjfC83uYYMVBO0grdYKMkz1g843aikU2eDSNBg==\n";
    let whole = "untrusted comment: signature from minisign secret key\n\
                 RWSB4GqnIy5bgDYTORmIf4ZjgMyLcxiHZBNJyp8IggneolybrQFicQK3cl7qiGPN2/8Z+xtnV3A+mvB8zTBGkOakCjmcQlBEOQM=\n\
                 trusted comment: timestamp:1795348247\tfile:f\n\
                 xtVEJNBtz0F8v2lQxCNsjE/QY5aaSEZuhGq134wUdPfpxnh3dUhuKTsrL9KOXCYCavRLns/4udckem8pPTHNAg==\n";
    let mut prehash = Prehash::default();
    prehash.update(b"data\n");
    let prehashed = prehash.finish();
    let written = Message::Whole(b"data\n".to_vec());
    let hashed = Signature::parse(hashed).unwrap();
    let whole = Signature::parse(whole).unwrap();
    assert_eq!(hashed.verify(&key, &prehashed), Ok(()));
    assert_eq!(whole.verify(&key, &written), Ok(()));
    assert_eq!(
        whole.verify(&key, &prehashed),
        Err(VerifyError::WrongAlgorithm)
    );
    let other = Message::Whole(b"date\n".to_vec());
    assert_eq!(whole.verify(&key, &other), Err(VerifyError::False));
}

#[test]
fn what_is_no_key_and_no_comment() {
    let check = |text: &str, expected| assert_eq!(PublicKey::parse(text), Err(expected), "{text}");
    check("", ParseError::Value);
    check("untrusted comment: x", ParseError::Truncated);
    check(
        "RWSB4GqnIy5bgIAjiTo2p6YTUVo3lmZM83THKLJj207oK8aWENixKAZ",
        ParseError::Text,
    );
    check(
        "RUSB4GqnIy5bgIAjiTo2p6YTUVo3lmZM83THKLJj207oK8aWENixKAZB",
        ParseError::Unknown,
    );
    check(&"x".repeat(3_000), ParseError::TooLong);
    let comment = |text: &str| ToSign::new(Message::Whole(Vec::new()), text).err();
    assert_eq!(comment("a\tb"), None);
    assert_eq!(comment("a\nb"), Some(ParseError::Text));
    assert_eq!(comment("a\u{202e}b"), Some(ParseError::Text));
    assert_eq!(comment(&"x".repeat(1_025)), Some(ParseError::TooLong));
    let long = Message::Whole(vec![0; 128 * 1024 + 1]);
    assert_eq!(ToSign::new(long, "").err(), Some(ParseError::TooLong));
}

/// What a holder reads is all that it signs.
#[test]
fn what_a_holder_is_asked_is_read_whole() {
    // {1: prehashed, 2: bytes, 3: text}
    let content = |prehashed: u8, message: &[u8]| {
        let len = u8::try_from(message.len()).unwrap();
        let head = [0xa3, 1, 0xf4 + prehashed, 2, 0x58, len];
        [&head, message, &[3, 0x61, b'c']].concat()
    };
    let check = |content: &[u8], expected| {
        assert_eq!(ToSign::parse(content).err(), expected, "{content:?}");
    };
    check(&content(0, &[7; 63]), None);
    check(&content(1, &[7; 64]), None);
    for len in [32, 63, 65] {
        check(&content(1, &vec![7; len]), Some(ParseError::Value));
    }
    let longer = [content(0, &[7; 63]), vec![0]].concat();
    check(&longer, Some(ParseError::LeftOver));
    let mut more = content(0, &[7; 63]);
    more[0] = 0xa4;
    more.extend([4, 0xf4]);
    check(&more, Some(ParseError::Value));
    // The number one byte longer than it has to be.
    let wide = [&[0xa3, 1, 0xf4, 2, 0x58, 1, 7][..], &[3, 0x61, b'c']].concat();
    assert!(ToSign::parse(&wide).is_err());
}

#[test]
fn the_recipient_of_a_seed() {
    let vectors = vectors();
    let row = &vectors["age"];
    let public: [u8; 32] = unhex(text(&row["public"])).try_into().unwrap();
    assert_eq!(identity::recipient(&public), text(&row["recipient"]));
}
