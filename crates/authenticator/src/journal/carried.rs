//! What a new log file takes over from the one before.
//!
//! **Invariant**: whoever recalls a log from its newest file alone knows the same of
//! every pairing's receipts, of the ids of the last 24 h and what was spent with them, of the
//! uses of every grant that lives and of the hosts as from all.

use std::collections::BTreeSet;

use keystead_channel::link::answers::FORGET_MS;
use keystead_channel::wire::HOSTS_MAX;
use keystead_core::{Outcome, RequestHash};

use super::kept_name;
use crate::LoadError;
use crate::entry::{Carried, Entry};
use crate::grants::LASTS_S_MAX;

/// The first entry of a new file, behind the entries of the old one.
pub(super) fn first_entry(
    entries: Vec<Entry>,
    kept: u64,
    head: &[u8; 32],
    now_unix_s: u64,
) -> Entry {
    let file = kept_name(kept);
    let mut needed: Vec<Entry> = Vec::new();
    let mut pairings = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut grants = BTreeSet::new();
    for entry in flat(entries).into_iter().rev() {
        let mut own = Entry {
            unix_s: entry.unix_s,
            kind: entry.kind,
            decision: entry.decision,
            pairing: entry.pairing,
            ..Entry::default()
        };
        let mut is_needed = false;
        if entry.receipt.is_some() && pairings.insert(own.pairing.clone()) {
            own.receipt_seq = entry.receipt_seq;
            own.receipt = entry.receipt;
            is_needed = true;
        }
        // A clock that was set back makes an entry young, never forgotten too soon.
        let age_s = now_unix_s.saturating_sub(own.unix_s);
        if entry.request_id.is_some() && age_s.saturating_mul(1_000) < FORGET_MS {
            own.request_id = entry.request_id;
            own.request_hash = entry.request_hash;
            own.approved_nonce = entry.approved_nonce;
            is_needed = true;
        }
        // Older than the longest grant it counts for none that lives.
        if let (Some(grant), Some(_)) = (entry.grant, entry.grant_used)
            && age_s <= LASTS_S_MAX
            && grants.insert(grant)
        {
            own.grant = entry.grant;
            own.grant_used = entry.grant_used;
            is_needed = true;
        }
        if own.decision == Outcome::Approve.as_str()
            && let (Some(user), Some(host)) = (&entry.user, &entry.host)
            && hosts.len() < HOSTS_MAX
            && hosts.insert((user.clone(), host.clone()))
        {
            own.user = entry.user;
            own.host = entry.host;
            own.host_key = entry.host_key;
            is_needed = true;
        }
        if is_needed {
            needed.push(own);
        }
    }
    needed.reverse();
    Entry {
        reason: Some(format!("goes on from {file}")),
        carried: Some(Carried {
            kept,
            head: RequestHash(*head).to_string(),
            entries: needed,
        }),
        ..Entry::own(now_unix_s, "log", Outcome::Approve)
    }
}

/// All entries, with those that were carried before those of the file itself.
pub(super) fn flat(mut entries: Vec<Entry>) -> Vec<Entry> {
    let carried = entries.first_mut().and_then(|it| it.carried.take());
    match carried {
        Some(carried) => carried.entries.into_iter().chain(entries).collect(),
        None => entries,
    }
}

/// Checks that a file goes on where the one before it ends, if that is still there.
pub(super) fn check_follows(
    entries: &[Entry],
    before: Option<(u64, [u8; 32])>,
    file: &str,
) -> Result<(), LoadError> {
    let carried = entries.first().and_then(|it| it.carried.as_ref());
    let (Some((number, head)), Some(carried)) = (before, carried) else {
        return Ok(());
    };
    if carried.kept == number && carried.head != RequestHash(head).to_string() {
        let why = format!("it does not follow from {}", kept_name(number));
        return Err(LoadError::damaged(file, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_700_000_000;

    fn answered(time: u64, pairing: &str, seq: Option<u64>) -> Entry {
        Entry {
            pairing: Some(pairing.into()),
            request_id: Some(format!("id {time}")),
            request_hash: Some("hash".into()),
            receipt_seq: seq,
            receipt: seq.map(|_| "a0".into()),
            receipt_signature: seq.map(|_| "a1".into()),
            words: Some("many words".into()),
            user: Some("alex".into()),
            host: Some("db1".into()),
            ..Entry::own(time, "sign", Outcome::Approve)
        }
    }

    #[test]
    fn the_last_use_of_each_grant_is_carried_while_it_may_live() {
        let used = |time: u64, grant: u64, used: u32| Entry {
            grant: Some(grant),
            grant_used: Some(used),
            ..Entry::own(time, "sign", Outcome::Approve)
        };
        let entries = vec![
            used(NOW_S - LASTS_S_MAX - 1, 1, 7),
            used(NOW_S - LASTS_S_MAX, 2, 1),
            used(NOW_S - 9, 3, 1),
            used(NOW_S - 8, 3, 2),
            Entry {
                grant: Some(4),
                ..Entry::own(NOW_S, "grant", Outcome::Approve)
            },
        ];
        let first = first_entry(entries, 1, &[9; 32], NOW_S);
        let again = first_entry(vec![first], 2, &[8; 32], NOW_S);
        let carried = again.carried.unwrap().entries;
        let uses: Vec<_> = carried.iter().map(|it| (it.grant, it.grant_used)).collect();
        assert_eq!(uses, [(Some(2), Some(1)), (Some(3), Some(2))]);
    }

    /// Else a text that was approved once could be approved again behind a restart.
    #[test]
    fn what_is_spent_is_carried_while_its_request_is() {
        let spent = |time: u64| Entry {
            approved_nonce: Some("a0".into()),
            ..answered(time, "a", None)
        };
        let first = first_entry(
            vec![spent(NOW_S - 90_000), spent(NOW_S)],
            1,
            &[9; 32],
            NOW_S,
        );
        let again = first_entry(vec![first], 2, &[8; 32], NOW_S);
        let carried = again.carried.unwrap().entries;
        let nonces = carried.iter().filter(|it| it.approved_nonce.is_some());
        assert_eq!(nonces.map(|it| it.unix_s).collect::<Vec<_>>(), [NOW_S]);
    }

    #[test]
    fn what_is_needed_is_carried_over_any_number_of_files() {
        let day_ago_s = NOW_S - 86_400;
        let entries = vec![
            answered(day_ago_s - 9, "a", Some(0)),
            answered(day_ago_s - 8, "b", Some(7)),
            answered(day_ago_s, "a", Some(1)),
            answered(day_ago_s + 1, "a", Some(2)),
            // Clocks are set back.
            answered(NOW_S + 1_000, "a", None),
            Entry::own(NOW_S, "lock", Outcome::Approve),
        ];
        let first = first_entry(entries, 1, &[9; 32], NOW_S);
        let again = first_entry(vec![first.clone()], 2, &[8; 32], NOW_S);
        for (kept, first) in [(1, first), (2, again)] {
            let carried = first.carried.clone().unwrap();
            assert_eq!(carried.kept, kept);
            let seen: Vec<_> = carried
                .entries
                .iter()
                .map(|it| {
                    (
                        it.unix_s,
                        it.receipt_seq,
                        it.request_id.is_some(),
                        it.user.is_some(),
                    )
                })
                .collect();
            assert_eq!(
                seen,
                [
                    (day_ago_s - 8, Some(7), false, false),
                    (day_ago_s + 1, Some(2), true, false),
                    (NOW_S + 1_000, None, true, true),
                ]
            );
            assert!(carried.entries.iter().all(|it| it.words.is_none()));
            let flat = flat(vec![first]);
            assert_eq!(flat.len(), 4);
            assert_eq!(flat[3].kind, "log");
        }
    }
}
