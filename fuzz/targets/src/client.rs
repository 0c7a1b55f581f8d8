//! What a client of a key server reads: its own files, people's key files, typed codes.

use keystead_core::SecretBytes;
use keystead_vault::client::{AuthenticatorSlot, Brought, Form, LocalCopy, Portable, RecoveryCode};
use keystead_vault::held::Kind;

use crate::random::Counter;

/// The local store's files, the portable form, a recovery code.
///
/// No passphrase is tried: an input could ask for a gigabyte of work.
pub(crate) fn files(bytes: &[u8]) {
    if let Some(copy) = LocalCopy::decode(bytes) {
        assert_eq!(copy.encode(), bytes);
    }
    if let Some(read) = Portable::read(bytes) {
        let again = Portable::write(&read.key, &read.associated);
        assert_eq!(again.expose(), bytes);
    }
    if let Ok(code) = RecoveryCode::read(bytes) {
        let text = code.to_text();
        let again = RecoveryCode::read(text.expose());
        assert!(again.is_ok_and(|it| it.secret().ct_eq(code.secret())));
    }
    let _ = AuthenticatorSlot::of_file(bytes);
}

/// A file that somebody brings is a whole key or is refused; what it gave goes out and comes
/// in again as it was.
pub(crate) fn forms(bytes: &[u8]) {
    for wanted in [None, Some(Kind::Secp256k1), Some(Kind::Rsa)] {
        let Ok(brought) = Brought::read(bytes, wanted, None) else {
            continue;
        };
        let value = brought.value;
        for form in [Form::Pkcs8, Form::Traditional, Form::OpenSsh] {
            let Ok(written) = value.write(form, "comment", &mut Counter(1)) else {
                continue;
            };
            let again = Brought::read(written.expose(), None, None);
            let is_same = again.is_ok_and(|it| same(it.value.bytes(), value.bytes()));
            assert!(is_same, "{form:?} of {}", value.kind());
        }
    }
}

fn same(a: &SecretBytes, b: &SecretBytes) -> bool {
    a.ct_eq(b)
}
