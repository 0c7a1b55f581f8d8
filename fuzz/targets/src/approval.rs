//! The text of a key server, on its way to a person.

use keystead_authenticator::judge::{
    Judged, ServerRules, judge_approval, judge_unlock, read_approval,
};
use keystead_authenticator::keyring::ApprovalEntry;
use keystead_authenticator::pins::Pins;
use keystead_channel::session::UnlockText;
use keystead_core::{Name, is_unsafe_to_show};

/// What is read is written back byte for byte, and shown in words that play no tricks.
pub(crate) fn text(bytes: &[u8]) {
    let Ok((approval, request)) = read_approval(bytes) else {
        return;
    };
    assert!(!UnlockText::is_meant(bytes), "it is two things");
    assert_eq!(approval.encode(), bytes);
    let Some(own) = own(approval.server.0) else {
        return;
    };
    let pins = Pins::default();
    let Ok(judged) = judge_approval(&approval, &request, &own, ServerRules { pins: &pins }) else {
        return;
    };
    is_shown(&judged);
}

/// The same of the text that lifts a lock.
pub(crate) fn unlock(bytes: &[u8]) {
    let Ok(unlock) = UnlockText::read(bytes) else {
        return;
    };
    assert!(UnlockText::is_meant(bytes));
    assert_eq!(unlock.encode(), bytes);
    if let Some(own) = own(unlock.server.0) {
        is_shown(&judge_unlock(&unlock, &own));
    }
}

fn own(server_id: [u8; 16]) -> Option<ApprovalEntry> {
    let server = Name::new("work").ok()?;
    Some(ApprovalEntry {
        server_id,
        server,
        public: [9; 32],
    })
}

fn is_shown(judged: &Judged) {
    let rows = judged.asked.rows();
    assert!(rows.len() > 1, "nothing is shown");
    let shown = rows.iter().map(|row| row.value.as_str());
    for text in shown.chain([judged.asked.line().as_str()]) {
        assert!(!text.contains(is_unsafe_to_show), "{text:?}");
    }
}
