//! Whatever bytes come, a decoder neither panics nor reads what its encoder would not write.

use keystead_formats::ParseError;
use keystead_formats::age::{StanzaReader, identity};
use keystead_formats::assuan::{ClientLine, LineBuffer, line};
use keystead_formats::minisign::{Signature, ToSign};
use keystead_formats::openpgp::values::Ciphertext;
use keystead_formats::openpgp::{Trailer, Transferable};
use keystead_formats::sexp::Sexp;
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::destination::Destination;
use keystead_formats::ssh::known_hosts::names_of;
use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::sshsig::Detached;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};
use proptest::prelude::*;

/// Bytes that look like messages often enough to get past the first field.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        &b"ssh-ed25519"[..],
        b"ssh-rsa",
        b"ecdsa-sha2-nistp256",
        b"ssh-connection",
        b"publickey",
        b"session-bind@openssh.com",
        b"SSHSIG",
    ]);
    let length = prop::sample::select(vec![0_u32, 1, 11, 20, 32, 64, 0xffff_ffff]);
    let field = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        length.prop_map(|length| length.to_be_bytes().to_vec()),
        name.prop_map(|name| {
            let length = u32::try_from(name.len()).unwrap_or_default();
            [&length.to_be_bytes()[..], name].concat()
        }),
    ];
    prop::collection::vec(field, 0..8).prop_map(|fields| fields.concat())
}

proptest! {
    #[test]
    fn what_is_decoded_is_encoded_the_same(bytes in message()) {
        if let Ok(request) = Request::parse(&bytes) {
            prop_assert_eq!(request.encode(), &bytes[..]);
        }
        if let Ok(response) = Response::parse(&bytes) {
            prop_assert_eq!(response.encode(), &bytes[..]);
        }
        if let Ok(bind) = SessionBind::parse(&bytes) {
            prop_assert_eq!(bind.encode(), &bytes[..]);
        }
        if let Ok(detached) = Detached::parse(&bytes) {
            prop_assert_eq!(detached.encode(), &bytes[..]);
        }
        if let Ok(key) = PublicKey::from_blob(&bytes) {
            let line = KeyLine::parse(&key.line("comment")).unwrap();
            prop_assert_eq!(line.key, key);
        }
        match ToBeSigned::parse(&bytes) {
            ToBeSigned::UserAuth(login) => prop_assert_eq!(login.encode(), bytes),
            ToBeSigned::SshSig(signed) => prop_assert_eq!(signed.encode(), bytes),
            ToBeSigned::Certificate(it) => prop_assert_eq!(it.encode(), bytes),
            ToBeSigned::Opaque => {}
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(text in ".{0,200}") {
        let key = PublicKey::ed25519(&[7; 32]);
        let _ = names_of(&text, &key, std::slice::from_ref(&text));
        let _ = KeyLine::parse(&text);
        let _ = Detached::from_armour(&text);
        let words: Vec<&str> = text.split(' ').collect();
        let _ = Destination::parse(&words);
    }
}

/// Bytes that look like gpg's, age's and minisign's often enough.
fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        &b"(7:enc-val"[..],
        b"(1:e33:",
        b")",
        b"D ",
        b"%0A",
        b"\n",
        b"-> X25519 ",
        b"AAAA",
        b"untrusted comment: ",
        b"\x98\x33\x04",
        b"\xa3\x01\xf4\x02",
        b"\x04\xff\0\0\0\x08",
    ]);
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        word.prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn lines_of_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let lines = line::data(&bytes);
        let mut buffer = LineBuffer::new();
        let mut rest = lines.as_slice();
        let mut back = Vec::new();
        while let Some(read) = buffer.next_line(&mut rest) {
            let Ok(ClientLine::Data(part)) = ClientLine::parse(read.unwrap()) else {
                panic!("no data line");
            };
            back.extend_from_slice(line::unescape(part).ok().unwrap().expose());
        }
        prop_assert_eq!(back, bytes);
    }

    #[test]
    fn foreign_bytes_are_written_back_or_refused(bytes in foreign()) {
        if let Ok(sexp) = Sexp::parse_canonical(&bytes) {
            prop_assert_eq!(sexp.encode(), bytes.clone());
        }
        let _ = Sexp::parse(&bytes);
        let _ = Ciphertext::parse(&bytes);
        if let Ok(key) = Transferable::read(&bytes) {
            prop_assert_eq!(Transferable::read(key.armor().as_bytes()), Ok(key));
        }
        if let Ok((document, trailer)) = Trailer::split(&bytes) {
            prop_assert!(document.len() + trailer.encode().len() <= bytes.len() + 32);
        }
        if let Ok(asked) = ToSign::parse(&bytes) {
            prop_assert_eq!(asked.encode(), bytes.clone());
        }
        let _ = Signature::parse(&String::from_utf8_lossy(&bytes));
        let mut rest = bytes.as_slice();
        let mut reader = StanzaReader::new();
        while let Ok(Some(stanza)) = reader.next_stanza(&mut rest) {
            prop_assert!(!stanza.tag().is_empty());
        }
    }

    #[test]
    fn a_recipient_has_one_text(public in any::<[u8; 32]>()) {
        let text = identity::recipient(&public);
        prop_assert_eq!(identity::parse_recipient(&text), Ok(public));
        for at in 4..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert_eq!(identity::parse_recipient(&wrong), Err(ParseError::Value));
        }
    }
}
