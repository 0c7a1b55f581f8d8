//! Whatever bytes come, a decoder neither panics nor reads what its encoder would not write.

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
