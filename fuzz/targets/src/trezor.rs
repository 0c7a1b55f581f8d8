//! What a hardware wallet says.

use keystead_core::SecretBytes;
use keystead_keeper::trezor::messages::Said;
use keystead_keeper::trezor::report::{Assembler, BODY_BYTES_MAX, Message, REPORT_BYTES};

/// Reports, one behind the other: what comes whole is within its limit and comes back from its
/// own reports.
#[expect(clippy::expect_used, reason = "this is how a fuzzer tells of a bug")]
pub(crate) fn reports(bytes: &[u8]) {
    let mut assembler = Assembler::default();
    for report in bytes.chunks(REPORT_BYTES) {
        if let Ok(Some(message)) = assembler.take(report) {
            assert!(
                message.body.len() <= BODY_BYTES_MAX,
                "longer than its limit"
            );
            let mut again = Assembler::default();
            let mut back = None;
            for report in message.reports().iter() {
                back = again.take(report).expect("its own reports");
            }
            let back = back.expect("a whole message");
            assert!(back.body.ct_eq(&message.body), "another message");
        }
    }
}

/// One message: its number, then its body.
pub(crate) fn message(bytes: &[u8]) {
    let Some((number, body)) = bytes.split_first_chunk() else {
        return;
    };
    let message = Message {
        number: u16::from_be_bytes(*number),
        body: SecretBytes::take(&mut body.to_vec()),
    };
    match Said::read(&message) {
        Ok(Said::PublicKey { key }) => assert_eq!(key.len(), 33, "a node's key"),
        Ok(Said::SignedIdentity { signature, .. }) => assert!(signature.len() <= 65, "too long"),
        Ok(Said::Failure { message, .. }) => {
            assert!(!message.contains('\u{1b}'), "it steers a terminal");
        }
        Ok(_) | Err(_) => {}
    }
}
