//! The text of a key server, on its way to a person.

use keystead_authenticator::judge::{ServerRules, judge_approval, read_approval};
use keystead_authenticator::keyring::ApprovalEntry;
use keystead_authenticator::pins::Pins;
use keystead_core::{Name, is_unsafe_to_show};

/// What is read is written back byte for byte, and shown in words that play no tricks.
pub(crate) fn text(bytes: &[u8]) {
    let Ok((approval, request)) = read_approval(bytes) else {
        return;
    };
    assert_eq!(approval.encode(), bytes);
    let Ok(server) = Name::new("work") else {
        return;
    };
    let own = ApprovalEntry {
        server_id: approval.server.0,
        server,
        public: [9; 32],
    };
    let pins = Pins::default();
    let Ok(judged) = judge_approval(&approval, &request, &own, ServerRules { pins: &pins }) else {
        return;
    };
    let rows = judged.asked.rows();
    assert!(rows.len() > 1, "nothing is shown");
    let shown = rows.iter().map(|row| row.value.as_str());
    for text in shown.chain([judged.asked.line().as_str()]) {
        assert!(!text.contains(is_unsafe_to_show), "{text:?}");
    }
}
