//! Is the log whole, and did the keepers sign for what it says they answered?
//!
//! **Invariant:** nothing but the log's bytes is believed: the keys that check
//! receipts come from the entries that tell of a pairing, so that receipts can
//! be checked long after it ended.
//!
//! A receipt that is not in this log is no fault: an answer that never arrived
//! leaves such a gap, and so do answers that this log has no entry for (the
//! keys that an authenticator tells of). The authenticator's own log says which
//! (`spec/pairing.md` section 6).

use std::collections::BTreeMap;

use keystead_core::{LogChain, LogTail, Outcome, Receipt, ReceiptChain, SignedReceipt, hex};
use keystead_keeper::{decode_receipt, is_receipt_signed};
use serde::Serialize;

use crate::log::Entry;

/// What a log was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Entries that stand in the chain.
    pub entries: u64,
    /// How the log ends.
    pub tail: LogTail,
    /// Each pairing that the log tells of.
    pub keepers: Vec<KeeperReport>,
    /// What is wrong with receipts, by line.
    pub faults: Vec<Fault>,
}

/// The receipts of one pairing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeeperReport {
    /// The pairing's id.
    pub pairing: String,
    /// The keeper's last known name.
    pub name: String,
    /// Receipts in this log that are good.
    pub receipts: usize,
    /// Numbers that are not in this log, first and last of each gap.
    pub missing: Vec<(u64, u64)>,
}

/// An entry whose receipt does not prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which line of the log, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub message: FaultKind,
}

/// What is wrong with a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// An answer that must have one has none.
    #[error("the keeper's receipt is not there")]
    Missing,
    /// Hex or CBOR that is none.
    #[error("the keeper's receipt cannot be read")]
    Unreadable,
    /// The log tells of no pairing that it could belong to.
    #[error("no pairing in this log has the key that checks the receipt")]
    UnknownPairing,
    /// Signed by somebody else, or altered.
    #[error("the signature on the keeper's receipt is false")]
    Signature,
    /// It is about another request or another decision.
    #[error("the keeper's receipt is about another answer")]
    OtherAnswer,
    /// It does not follow from the receipt before it.
    #[error("the keeper's receipt does not follow from the one before")]
    OtherChain,
    /// Two receipts have one number.
    #[error("the keeper gave two receipts one number")]
    Twice,
}

/// Checks a log from its first byte.
#[must_use]
pub fn verify(log: &[u8]) -> Report {
    let checked = LogChain::check(log);
    let mut pairings = BTreeMap::new();
    let mut faults = Vec::new();
    // An entry that a later version wrote in another form proves nothing here.
    let entries = (1..)
        .zip(&checked.entries)
        .filter_map(|(line, entry)| Some((line, serde_json::from_str(entry.json).ok()?)));
    let entries: Vec<(u64, Entry)> = entries.collect();
    // While pairing, answers are logged before the pairing is: keys come first.
    for (line, entry) in &entries {
        if let Err(message) = take_key(&mut pairings, entry) {
            faults.push(Fault {
                line: *line,
                message,
            });
        }
    }
    for (line, entry) in entries {
        if let Err(message) = take(&mut pairings, line, &entry) {
            faults.push(Fault { line, message });
        }
    }
    let keepers = pairings
        .into_iter()
        .map(|(id, pairing)| pairing.finish(id, &mut faults));
    let keepers = keepers.collect();
    faults.sort_by_key(|fault| fault.line);
    let (entries, tail) = (checked.chain.entries(), checked.tail);
    Report {
        entries,
        tail,
        keepers,
        faults,
    }
}

/// A pairing, as far as the log was read.
#[derive(Default)]
struct Pairing {
    name: String,
    receipt_key: Option<[u8; 32]>,
    /// By number: the line, the receipt, its bytes.
    receipts: BTreeMap<u64, (u64, Receipt, Vec<u8>)>,
}

fn take_key(pairings: &mut BTreeMap<String, Pairing>, entry: &Entry) -> Result<(), FaultKind> {
    if let (Some(id), Some(key)) = (&entry.pairing, &entry.receipt_key) {
        let key = hex::decode(key).and_then(|key| key.try_into().ok());
        let key = key.ok_or(FaultKind::Unreadable)?;
        pairings.entry(id.clone()).or_default().receipt_key = Some(key);
    }
    Ok(())
}

fn take(
    pairings: &mut BTreeMap<String, Pairing>,
    line: u64,
    entry: &Entry,
) -> Result<(), FaultKind> {
    let Some(id) = &entry.pairing else {
        return Ok(());
    };
    let pairing = pairings.entry(id.clone()).or_default();
    if let Some(name) = &entry.keeper {
        pairing.name.clone_from(name);
    }
    let (Some(bytes), Some(signature)) = (&entry.receipt, &entry.receipt_signature) else {
        let outcome = Outcome::ALL
            .into_iter()
            .find(|it| it.as_str() == entry.decision);
        // What the agent withdraws it logs at once; the keeper's word comes later, by itself.
        let told = outcome.filter(|it| *it != Outcome::Withdraw);
        let must = told.is_some_and(Outcome::has_receipt) && entry.request_hash.is_some();
        return if must {
            Err(FaultKind::Missing)
        } else {
            Ok(())
        };
    };
    let bytes = hex::decode(bytes).ok_or(FaultKind::Unreadable)?;
    let signature = hex::decode(signature).and_then(|it| it.try_into().ok());
    let signature = signature.ok_or(FaultKind::Unreadable)?;
    let key = pairing.receipt_key.ok_or(FaultKind::UnknownPairing)?;
    let signed = SignedReceipt { bytes, signature };
    if !is_receipt_signed(&signed, &key) {
        return Err(FaultKind::Signature);
    }
    let receipt = decode_receipt(&signed.bytes).map_err(|_| FaultKind::Unreadable)?;
    let request = hex::encode(receipt.request_hash.as_bytes());
    if entry.request_hash.as_ref() != Some(&request) || receipt.outcome.as_str() != entry.decision {
        return Err(FaultKind::OtherAnswer);
    }
    let seq = receipt.seq;
    let known = pairing.receipts.insert(seq, (line, receipt, signed.bytes));
    if known.is_some() {
        Err(FaultKind::Twice)
    } else {
        Ok(())
    }
}

impl Pairing {
    /// Looks at all receipts in the order of their numbers: answers are logged as they come.
    fn finish(self, pairing: String, faults: &mut Vec<Fault>) -> KeeperReport {
        let mut missing = Vec::new();
        let mut chain = ReceiptChain::default();
        for (seq, (line, receipt, bytes)) in &self.receipts {
            if chain.seq < *seq {
                missing.push((chain.seq, seq.saturating_sub(1)));
            } else if receipt.prev != chain.prev {
                faults.push(Fault {
                    line: *line,
                    message: FaultKind::OtherChain,
                });
            }
            chain = ReceiptChain::after(*seq, bytes);
        }
        KeeperReport {
            pairing,
            name: self.name,
            receipts: self.receipts.len(),
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use keystead_channel::wire::{encode_receipt, next_receipt};
    use keystead_core::{RequestHash, Secret};
    use keystead_vault::ReceiptKey;

    use super::*;

    /// An authenticator that answers, and the log that an agent keeps of it.
    struct Scene {
        key: ReceiptKey,
        chain: ReceiptChain,
        entries: Vec<Entry>,
    }

    impl Scene {
        fn new() -> Self {
            let key = ReceiptKey::from_seed(Secret::fill(|seed| seed.fill(7))).unwrap();
            let paired = Entry {
                kind: "pair".to_owned(),
                decision: "approve".to_owned(),
                receipt_key: Some(hex::encode(key.public())),
                ..Self::entry()
            };
            Self {
                key,
                chain: ReceiptChain::default(),
                entries: vec![paired],
            }
        }

        fn entry() -> Entry {
            Entry {
                keeper: Some("phone".to_owned()),
                pairing: Some("0011223344556677".to_owned()),
                ..Entry::default()
            }
        }

        /// One answer; returns its entry, which is not in the log yet.
        fn answer(&mut self, outcome: Outcome) -> Entry {
            let hash = RequestHash([u8::try_from(self.chain.seq).unwrap(); 32]);
            let bytes = encode_receipt(&next_receipt(&self.chain, hash, outcome, None, 1));
            self.chain = ReceiptChain::after(self.chain.seq, &bytes);
            Entry {
                kind: "sign".to_owned(),
                decision: outcome.as_str().to_owned(),
                request_hash: Some(hash.to_string()),
                receipt_signature: Some(hex::encode(&self.key.sign(&bytes).unwrap())),
                receipt: Some(hex::encode(&bytes)),
                ..Self::entry()
            }
        }

        fn logged(mut self, entries: impl IntoIterator<Item = Entry>) -> String {
            self.entries.extend(entries);
            let mut chain = LogChain::default();
            let mut log = String::new();
            for entry in &self.entries {
                let (line, next) = chain.next_line(&serde_json::to_string(entry).unwrap());
                log.push_str(&line);
                chain = next;
            }
            log
        }
    }

    #[track_caller]
    fn check(log: &str, receipts: usize, missing: &[(u64, u64)], faults: &[(u64, FaultKind)]) {
        let report = verify(log.as_bytes());
        let found: Vec<_> = report
            .faults
            .iter()
            .map(|it| (it.line, it.message))
            .collect();
        assert_eq!(found, faults);
        assert_eq!(report.tail, LogTail::Whole);
        assert_eq!(report.keepers.len(), 1);
        assert_eq!(report.keepers[0].name, "phone");
        assert_eq!(
            (report.keepers[0].receipts, &report.keepers[0].missing[..]),
            (receipts, missing)
        );
    }

    #[test]
    fn good_receipts_in_any_order_are_good_and_gaps_are_named() {
        let mut scene = Scene::new();
        let outcomes = [
            Outcome::Approve,
            Outcome::Refuse,
            Outcome::Expire,
            Outcome::Approve,
        ];
        let all = outcomes.map(|outcome| scene.answer(outcome));
        let [a, b, c, d] = all;
        check(
            &scene.logged([b.clone(), a.clone(), c.clone(), d.clone()]),
            4,
            &[],
            &[],
        );
        check(
            &Scene::new().logged([a.clone(), d.clone()]),
            2,
            &[(1, 2)],
            &[],
        );
        check(&Scene::new().logged([b, d]), 2, &[(0, 0), (2, 2)], &[]);
        check(&Scene::new().logged([]), 0, &[], &[]);
    }

    #[test]
    fn what_does_not_prove_its_entry_is_named_by_line() {
        let mut scene = Scene::new();
        let good = scene.answer(Outcome::Refuse);
        let altered = |change: fn(&mut Entry)| {
            let mut entry = good.clone();
            change(&mut entry);
            Scene::new().logged([entry])
        };
        let one = |kind| [(2, kind)];
        let other_decision = altered(|it| it.decision = "approve".to_owned());
        check(&other_decision, 0, &[], &one(FaultKind::OtherAnswer));
        let other_request = altered(|it| it.request_hash = Some("00".repeat(31) + "01"));
        check(&other_request, 0, &[], &one(FaultKind::OtherAnswer));
        let no_receipt = altered(|it| it.receipt = None);
        check(&no_receipt, 0, &[], &one(FaultKind::Missing));
        let no_hex = altered(|it| it.receipt = Some("0g".to_owned()));
        check(&no_hex, 0, &[], &one(FaultKind::Unreadable));
        // Still a receipt, of another time.
        let other_receipt = altered(|it| {
            let mut bytes = it.receipt.as_deref().and_then(hex::decode).unwrap();
            let at = bytes.windows(2).position(|it| it == [5, 1]).unwrap();
            bytes[at + 1] = 2;
            it.receipt = Some(hex::encode(&bytes));
        });
        check(&other_receipt, 0, &[], &one(FaultKind::Signature));
        let other_signature = altered(|it| it.receipt_signature = Some("00".repeat(64)));
        check(&other_signature, 0, &[], &one(FaultKind::Signature));
    }

    #[test]
    fn a_second_history_is_seen() {
        // The authenticator's store was put back to an older state: a number comes twice.
        let mut scene = Scene::new();
        let first = scene.answer(Outcome::Approve);
        let second = scene.answer(Outcome::Approve);
        let mut again = Scene::new();
        let other_first = again.answer(Outcome::Refuse);
        let log = Scene::new().logged([first.clone(), other_first.clone()]);
        check(&log, 1, &[], &[(3, FaultKind::Twice)]);
        let log = Scene::new().logged([other_first, second]);
        check(&log, 2, &[], &[(3, FaultKind::OtherChain)]);
    }

    #[test]
    fn without_its_pairing_a_receipt_proves_nothing() {
        let mut scene = Scene::new();
        let answer = scene.answer(Outcome::Approve);
        scene.entries.clear();
        check(
            &scene.logged([answer]),
            0,
            &[],
            &[(1, FaultKind::UnknownPairing)],
        );
    }

    #[test]
    fn answers_while_pairing_stand_before_the_pairing() {
        let mut scene = Scene::new();
        let me = scene.answer(Outcome::Approve);
        let paired = scene.entries.remove(0);
        check(&scene.logged([me, paired]), 1, &[], &[]);
    }

    #[test]
    fn what_the_agent_withdraws_needs_no_receipt() {
        let mut scene = Scene::new();
        let told = scene.answer(Outcome::Withdraw);
        let withdrawn = Entry {
            receipt: None,
            receipt_signature: None,
            ..told.clone()
        };
        check(&scene.logged([withdrawn, told]), 1, &[], &[]);
    }

    #[test]
    fn every_altered_byte_is_seen() {
        let mut scene = Scene::new();
        let answer = scene.answer(Outcome::Approve);
        let log = scene.logged([answer]).into_bytes();
        for at in 0..log.len() {
            let mut altered = log.clone();
            altered[at] ^= 1;
            assert_ne!(verify(&altered).tail, LogTail::Whole, "byte {at}");
        }
    }
}
