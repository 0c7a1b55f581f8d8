//! What a client believes of a log, told by a server that can lie.

#![expect(
    clippy::as_conversions,
    reason = "indices of a log that lies in memory"
)]

use super::*;
use keystead_channel::log::proof::View;
use keystead_channel::log::tree::{Frontier, Growth};
use keystead_channel::log::{Action, Detail};
use keystead_channel::session::requests::{
    AuditPage, Entry, Head, HeadPage, KeyType, Label, Policy, Proof,
};
use keystead_channel::session::{KeyId, List, NoticeKind, Octets, Text};
use keystead_core::Secret;
use keystead_vault::LogKey;

const SERVER: ServerId = ServerId([3; 16]);
const US: UserId = UserId([1; 32]);
const OTHER: UserId = UserId([2; 32]);

/// A log in memory; a copy of it is a fork.
#[derive(Clone)]
struct Log {
    epoch: u64,
    leaves: Vec<Leaf>,
    seed: u8,
}

impl Log {
    fn new() -> Self {
        Self {
            epoch: 0,
            leaves: Vec::new(),
            seed: 7,
        }
    }

    fn key(&self) -> LogKey {
        LogKey::from_seed(Secret::fill(|it| it.fill(self.seed))).unwrap()
    }

    fn seen(&self) -> Seen {
        Seen::new(SERVER, *self.key().public())
    }

    /// Adds an entry; its index.
    fn add(&mut self, user: &UserId, request: u8) -> u64 {
        self.tell(user, request, Method::Sign, Detail::NONE)
    }

    /// Likewise, of another method.
    fn tell(&mut self, user: &UserId, request: u8, method: Method, detail: Detail) -> u64 {
        let log = LogId::of(user);
        let mut own = self.leaves.iter().filter(|it| it.log == log);
        let last = own.next_back();
        let leaf = Leaf {
            log,
            user_seq: last.map_or(0, |it| it.user_seq + 1),
            before: last.map_or([0; 32], Leaf::hash),
            time_unix_ms: 1,
            action: Action::Method(method).number(),
            outcome: Status::Done.number(),
            actor: [1; 8],
            key: [2; 16],
            request_hash: [request; 32],
            detail: detail.encode(),
        };
        self.leaves.push(leaf);
        self.leaves.len() as u64 - 1
    }

    fn tree(&self, size: usize) -> View<Growth> {
        let mut growth = Growth::new(&Frontier::default());
        for leaf in &self.leaves[..size] {
            growth.push(leaf.hash());
        }
        View::new(growth, size as u64).unwrap()
    }

    fn note(&self, size: usize) -> Octets<4_096> {
        let checkpoint = Checkpoint {
            server: SERVER,
            epoch: self.epoch,
            size: size as u64,
            root: self.tree(size).root(),
        };
        let key = self.key();
        let signature = key.sign(checkpoint.text().as_bytes()).unwrap();
        Octets(checkpoint.note(key.public(), &signature))
    }

    /// The receipt of an entry in the tree of all.
    fn receipt(&self, index: u64) -> Receipt {
        let size = self.leaves.len();
        Receipt {
            index,
            leaf: Octets(self.leaves[index as usize].encode()),
            path: List(self.tree(size).inclusion(index).unwrap()),
            checkpoint: self.note(size),
        }
    }

    /// A login: its own entry is the chain head.
    fn opened(&mut self, seen: &Seen) -> OpenedResult {
        let index = self.add(&US, 0xff);
        self.told(seen, index)
    }

    fn told(&self, seen: &Seen, index: u64) -> OpenedResult {
        let size = self.leaves.len();
        let known = seen.known().0.filter(|it| it.size <= size as u64);
        let proof = known.map(|it| self.tree(size).consistency(it.size).unwrap());
        OpenedResult {
            user: US,
            checkpoint: Some(self.note(size)),
            consistency: proof.map(List),
            chain_head: Some(self.receipt(index)),
            limits: keystead_channel::session::Limits::DEFAULT,
            pass: None,
            failed_logins: None,
        }
    }

    fn head(&self, asked: &Head) -> HeadPage {
        let size = self.leaves.len();
        let tree = self.tree(size);
        let proofs = asked.indices.0.iter().map(|index| Proof {
            index: *index,
            path: List(tree.inclusion(*index).unwrap()),
        });
        HeadPage {
            checkpoint: self.note(size),
            consistency: asked
                .from_size
                .and_then(|it| tree.consistency(it))
                .map(List),
            proofs: List(proofs.collect()),
        }
    }

    /// One page with all of our entries.
    fn page(&self) -> AuditPage {
        let ours = LogId::of(&US);
        let own = (0..self.leaves.len()).filter(|at| self.leaves[*at].log == ours);
        let receipts: Vec<Receipt> = own.map(|at| self.receipt(at as u64)).collect();
        let proofs = receipts.iter().map(|it| Proof {
            index: it.index,
            path: it.path.clone(),
        });
        AuditPage {
            proofs: Some(List(proofs.collect())),
            leaves: List(receipts.into_iter().map(|it| it.leaf).collect()),
            next: None,
            checkpoint: self.note(self.leaves.len()),
        }
    }
}

fn expected(request: &Hash) -> Expected<'_> {
    Expected {
        user: &US,
        method: Method::Sign,
        status: Status::Done,
        request_hash: request,
    }
}

/// A log with some entries and a client that knows it.
fn known() -> (Log, Seen) {
    let mut log = Log::new();
    log.add(&OTHER, 0);
    log.add(&US, 1);
    log.add(&OTHER, 2);
    let mut seen = log.seen();
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
    (log, seen)
}

/// Asks for a signature and takes its receipt.
fn sign(log: &mut Log, seen: &mut Seen, request: u8, now_ms: u64) -> Result<(), SeenError> {
    let index = log.add(&US, request);
    seen.receipt(&expected(&[request; 32]), &log.receipt(index), now_ms)
}

#[test]
fn a_log_that_goes_on_is_believed() {
    let (mut log, mut seen) = known();
    for request in 0..20 {
        log.add(&OTHER, request);
        assert_eq!(sign(&mut log, &mut seen, request, 5), Ok(()));
        let asked = seen.head_request();
        assert_eq!(asked.indices.0.len(), 1, "each entry proves the one before");
        assert_eq!(seen.take_head(&asked, &log.head(&asked)), Ok(()));
    }
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
    assert_eq!(seen.last_own().unwrap().0, 22);
}

#[test]
fn receipts_of_other_requests_and_users_are_refused() {
    let (mut log, mut seen) = known();
    let index = log.add(&US, 9);
    let receipt = log.receipt(index);
    let before = seen.clone();
    let mut check = |expected: Expected<'_>, receipt: &Receipt, error: SeenError| {
        assert_eq!(seen.receipt(&expected, receipt, 0), Err(error));
        assert_eq!(seen, before, "nothing is kept of it");
    };
    check(expected(&[8; 32]), &receipt, SeenError::OtherRequest);
    let other = Expected {
        method: Method::Delete,
        ..expected(&[9; 32])
    };
    check(other, &receipt, SeenError::OtherRequest);
    let other = Expected {
        status: Status::Policy,
        ..expected(&[9; 32])
    };
    check(other, &receipt, SeenError::OtherRequest);
    let other = Expected {
        user: &OTHER,
        ..expected(&[9; 32])
    };
    check(other, &receipt, SeenError::OtherLog { index });
    let mut unproved = receipt.clone();
    unproved.path.0[0][0] ^= 1;
    check(expected(&[9; 32]), &unproved, SeenError::Unproved { index });
    let mut cut = receipt.clone();
    cut.leaf.0.pop();
    let error = SeenError::Leaf(keystead_channel::log::LeafFault::Truncated);
    check(expected(&[9; 32]), &cut, error);
    let mut stranger = log.clone();
    stranger.seed = 8;
    let error = SeenError::Checkpoint(keystead_channel::log::CheckpointFault::NotSigned);
    check(expected(&[9; 32]), &stranger.receipt(index), error);
}

/// What a lying server told stops the client, with both heads, until it is told to go on.
fn stops(mut seen: Seen, told: Result<(), SeenError>, log: &mut Log) {
    let error = told.unwrap_err();
    assert_eq!(seen.disputed(), Some(&error));
    assert_eq!(seen.others().len(), 1);
    let ours = seen.head().unwrap().clone();
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Err(error.clone()));
    let receipt = log.receipt(log.leaves.len() as u64 - 1);
    assert_eq!(
        seen.receipt(&expected(&[0xff; 32]), &receipt, 0),
        Err(error.clone())
    );
    let again = Seen::from_json(&seen.to_json()).unwrap();
    assert_eq!(again, seen);
    seen.accept();
    assert_eq!(seen.disputed(), None);
    assert!(seen.others().contains(&ours), "{error}");
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()), "{error}");
}

#[test]
fn a_log_that_went_back_stops_the_client_and_names_what_is_missing() {
    let (mut log, mut seen) = known();
    let mut older = log.clone();
    for _ in 0..3 {
        let opened = log.opened(&seen);
        seen.opened(&US, &opened).unwrap();
    }
    let index = older.add(&US, 5);
    let opened = older.told(&seen, index);
    let told = seen.opened(&US, &opened);
    let Err(SeenError::WentBack { missing, .. }) = told else {
        panic!("{told:?}");
    };
    assert_eq!((missing.first, missing.last), (Some(2), Some(4)));
    stops(seen, told, &mut older);
}

/// A login after a restoration can say what the lost one said, to the millisecond: only its
/// place tells them apart.
#[test]
fn an_entry_that_was_written_again_elsewhere_is_missing() {
    let (mut log, mut seen) = known();
    let mut older = log.clone();
    for _ in 0..2 {
        let opened = log.opened(&seen);
        seen.opened(&US, &opened).unwrap();
    }
    older.epoch = 1;
    older.add(&OTHER, 9);
    let opened = older.opened(&seen);
    let own = |log: &Log| log.leaves.last().unwrap().user_seq;
    assert_eq!((own(&older), own(&log)), (2, 3));
    let told = seen.opened(&US, &opened);
    let Err(SeenError::Restored { missing, .. }) = told else {
        panic!("{told:?}");
    };
    assert_eq!((missing.first, missing.last), (Some(2), Some(3)));
}

#[test]
fn a_fork_stops_the_client_at_the_next_session() {
    let (mut log, mut seen) = known();
    let mut fork = log.clone();
    let opened = log.opened(&seen);
    seen.opened(&US, &opened).unwrap();
    fork.add(&OTHER, 7);
    for request in 0..4 {
        fork.add(&US, request);
    }
    let opened = fork.opened(&seen);
    let told = seen.opened(&US, &opened);
    assert!(matches!(told, Err(SeenError::Forked { .. })), "{told:?}");
    stops(seen, told, &mut fork);
}

#[test]
fn an_epoch_that_holds_all_we_saw_is_believed_and_another_is_not() {
    let (mut log, mut seen) = known();
    let mut older = log.clone();
    log.epoch = 1;
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
    older.epoch = 2;
    older.add(&OTHER, 1);
    let opened = older.opened(&seen);
    let told = seen.opened(&US, &opened);
    assert!(matches!(told, Err(SeenError::Restored { .. })), "{told:?}");
    stops(seen, told, &mut older);
    let (mut log, mut seen) = known();
    log.epoch = 1;
    let opened = log.opened(&seen);
    seen.opened(&US, &opened).unwrap();
    log.epoch = 0;
    let opened = log.opened(&seen);
    let told = seen.opened(&US, &opened);
    assert!(
        matches!(told, Err(SeenError::WentBack { .. })),
        "an epoch never goes back"
    );
}

#[test]
fn an_entry_that_contradicts_ours_stops_the_client() {
    let (mut log, mut seen) = known();
    sign(&mut log, &mut seen, 1, 0).unwrap();
    let mut fork = log.clone();
    // Our last entry is another one there.
    fork.leaves.pop();
    let index = fork.add(&US, 2);
    fork.add(&OTHER, 3);
    let told = seen.receipt(&expected(&[2; 32]), &fork.receipt(index), 0);
    assert_eq!(told, Err(SeenError::OtherChain { user_seq: 2 }));
    stops(seen, told, &mut fork);
}

#[test]
fn receipts_that_come_in_another_order_are_one_chain() {
    let (mut log, mut seen) = known();
    let first = log.add(&US, 1);
    let early = log.receipt(first);
    let second = log.add(&US, 2);
    let late = log.receipt(second);
    assert_eq!(seen.receipt(&expected(&[2; 32]), &late, 0), Ok(()));
    assert_eq!(seen.receipt(&expected(&[1; 32]), &early, 0), Ok(()));
    assert_eq!(
        seen.receipt(&expected(&[1; 32]), &early, 0),
        Ok(()),
        "twice is the same"
    );
    assert_eq!(seen.last_own().unwrap().0, 3);
    let asked = seen.head_request();
    assert_eq!(asked.indices.0, [second], "the later one proves both");
    assert_eq!(seen.take_head(&asked, &log.head(&asked)), Ok(()));
}

#[test]
fn a_head_is_due_after_a_thousand_receipts_or_ten_minutes() {
    let (mut log, mut seen) = known();
    assert!(!seen.is_due(u64::MAX), "nothing is to be proved");
    let index = log.add(&US, 1);
    let receipt = log.receipt(index);
    let take = |seen: &mut Seen| seen.receipt(&expected(&[1; 32]), &receipt, 1_000).unwrap();
    take(&mut seen);
    assert!(!seen.is_due(600_999));
    assert!(seen.is_due(601_000));
    for _ in 1..999 {
        take(&mut seen);
    }
    assert!(!seen.is_due(1_000));
    take(&mut seen);
    assert!(seen.is_due(1_000));
    let asked = seen.head_request();
    seen.take_head(&asked, &log.head(&asked)).unwrap();
    assert!(!seen.is_due(u64::MAX));
}

#[test]
fn a_head_that_lacks_what_receipts_showed_stops_the_client() {
    let (mut log, mut seen) = known();
    let mut fork = log.clone();
    sign(&mut log, &mut seen, 1, 0).unwrap();
    fork.add(&OTHER, 1);
    fork.add(&OTHER, 2);
    let asked = seen.head_request();
    let told = seen.take_head(&asked, &fork.head(&asked));
    assert_eq!(told, Err(SeenError::Unproved { index: 4 }));
    assert!(seen.disputed().is_some());
    let (mut log, mut seen) = known();
    sign(&mut log, &mut seen, 1, 0).unwrap();
    let asked = seen.head_request();
    let mut page = log.head(&asked);
    page.proofs.0.clear();
    assert_eq!(seen.take_head(&asked, &page), Err(SeenError::Incomplete));
}

/// Opens a session and asks for a head where receipts want one.
fn opens(log: &mut Log, seen: &mut Seen) -> Result<(), SeenError> {
    let opened = log.opened(seen);
    seen.opened(&US, &opened)?;
    if seen.is_unconfirmed() {
        let asked = seen.head_request();
        seen.take_head(&asked, &log.head(&asked))?;
    }
    assert!(!seen.is_unconfirmed());
    Ok(())
}

#[test]
fn an_opening_that_follows_what_receipts_showed_confirms_them() {
    let (mut log, mut seen) = known();
    for request in 0..3 {
        log.add(&OTHER, 9);
        sign(&mut log, &mut seen, request, 1_000).unwrap();
    }
    assert!(seen.is_unconfirmed());
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
    assert!(!seen.is_unconfirmed(), "the login names the last of them");
    assert!(!seen.is_due(u64::MAX));
    // Another client's entries stand between: only a head tells.
    sign(&mut log, &mut seen, 4, 1_000).unwrap();
    log.add(&US, 5);
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
    assert!(seen.is_unconfirmed());
    assert_eq!(opens(&mut log, &mut seen), Ok(()));
}

/// A backup that is younger than our head, and older than what receipts showed since.
#[test]
fn who_saw_more_than_a_backup_by_receipts_stops_and_names_what_is_missing() {
    let check = |rewritten: u8, missing: (Option<u64>, Option<u64>)| {
        let (mut log, mut seen) = known();
        log.add(&OTHER, 1);
        let mut restored = log.clone();
        restored.epoch = 1;
        for request in 0..2 {
            sign(&mut log, &mut seen, request, 0).unwrap();
        }
        // What a restoration, and others since, wrote.
        restored.add(&OTHER, 1);
        for request in 0..rewritten {
            restored.add(&US, 100 + request);
        }
        let told = opens(&mut restored, &mut seen);
        let Err(SeenError::Restored {
            seen: (0, 7),
            told: (1, size),
            missing: named,
        }) = &told
        else {
            panic!("{rewritten}: {told:?}");
        };
        assert_eq!(*size, 7 + u64::from(rewritten));
        assert_eq!((named.first, named.last), missing, "{rewritten}");
        let again = Seen::from_json(&seen.to_json()).unwrap();
        assert_eq!(again, seen);
        seen.accept();
        assert_eq!(opens(&mut restored, &mut seen), Ok(()));
        assert!(!seen.others().is_empty());
    };
    // The login itself stands where one of ours was, or behind it.
    check(0, (Some(2), Some(3)));
    check(1, (Some(2), Some(3)));
    check(2, (Some(3), Some(3)));
    // It stands further on, and only the head tells.
    check(3, (Some(3), Some(3)));
    check(9, (Some(3), Some(3)));
}

#[test]
fn what_receipts_showed_one_process_the_other_confirms() {
    let (mut log, mut agent) = known();
    log.add(&OTHER, 1);
    let older = log.clone();
    let mut command = agent.clone();
    sign(&mut log, &mut agent, 1, 7).unwrap();
    // Where the other process logs in, another client's entries stand between.
    let mut whole = log.clone();
    whole.add(&US, 2);
    let opened = whole.opened(&command);
    command.opened(&US, &opened).unwrap();
    assert!(!command.is_unconfirmed());
    let before = command.clone();
    command.also_shown(&agent);
    assert!(command.is_unconfirmed());
    assert!(command.is_due(600_007));
    let once = command.clone();
    command.also_shown(&agent);
    assert_eq!(command, once, "twice is the same");
    assert_eq!(opens(&mut whole, &mut command), Ok(()));
    // What it knows already it takes over from nobody.
    let mut knows = command.clone();
    knows.also_shown(&agent);
    assert_eq!(knows, command);
    // A restored server is found out by it, and is not found out again when that was accepted.
    let mut restored = older;
    restored.epoch = 1;
    (0..4).for_each(|it| {
        restored.add(&US, 100 + it);
    });
    let mut command = before.clone();
    command.head.clone_from(&agent.head);
    command.own.clear();
    let opened = restored.opened(&command);
    command.opened(&US, &opened).unwrap();
    command.also_shown(&agent);
    let told = opens(&mut restored, &mut command);
    assert!(matches!(told, Err(SeenError::Restored { .. })), "{told:?}");
    command.also_shown(&agent);
    assert_eq!(command.disputed(), told.err().as_ref());
    command.accept();
    command.also_shown(&agent);
    assert!(!command.is_unconfirmed(), "the person has left that behind");
}

#[test]
fn a_head_from_a_size_that_is_not_ours_any_more_says_nothing() {
    let (mut log, mut seen) = known();
    sign(&mut log, &mut seen, 1, 0).unwrap();
    let asked = seen.head_request();
    let late = log.head(&asked);
    let opened = log.opened(&seen);
    seen.opened(&US, &opened).unwrap();
    sign(&mut log, &mut seen, 2, 0).unwrap();
    let before = seen.clone();
    assert_eq!(seen.take_head(&asked, &late), Ok(()));
    assert_eq!(seen, before);
    assert_eq!(opens(&mut log, &mut seen), Ok(()));
}

#[test]
fn what_an_opening_leaves_out_is_missed() {
    let (mut log, seen) = known();
    let whole = log.opened(&seen);
    let check = |change: &dyn Fn(&mut OpenedResult)| {
        let mut seen = seen.clone();
        let mut told = log.told(&seen, log.leaves.len() as u64 - 1);
        change(&mut told);
        assert!(seen.opened(&US, &told).is_err());
    };
    assert_eq!(seen.clone().opened(&US, &whole), Ok(()));
    check(&|it| it.checkpoint = None);
    check(&|it| it.chain_head = None);
    check(&|it| it.consistency = None);
    check(&|it| it.consistency = Some(List(Vec::new())));
    check(&|it| it.chain_head.as_mut().unwrap().path.0.clear());
    check(&|it| {
        it.chain_head
            .as_mut()
            .unwrap()
            .checkpoint
            .0
            .pop()
            .map_or((), |_| ())
    });
}

#[test]
fn a_new_key_is_taken_from_the_old_one_alone() {
    let (mut log, mut seen) = known();
    let old = log.key();
    log.seed = 9;
    let new = *log.key().public();
    let signature = old.sign(&key_notice(&SERVER, &new)).unwrap();
    let notice = |log_key, signature| Notice {
        kind: NoticeKind::LogKey,
        code: None,
        log_key,
        signature,
    };
    for bad in [
        notice(None, Some(signature)),
        notice(Some(new), None),
        notice(Some([1; 32]), Some(signature)),
        notice(Some(new), Some([0; 64])),
    ] {
        assert_eq!(seen.take_key(&bad), Err(SeenError::Key));
    }
    assert_eq!(seen.take_key(&notice(Some(new), Some(signature))), Ok(()));
    let opened = log.opened(&seen);
    assert_eq!(seen.opened(&US, &opened), Ok(()));
}

fn audit(seen: &mut Seen, page: AuditPage) -> Result<Audited, AuditFault> {
    let listed = Listed {
        entries: &[],
        request_hash: None,
    };
    seen.audit(&US, &[page], listed)
}

#[test]
fn an_audit_names_the_first_bad_entry() {
    let (mut log, mut seen) = known();
    for request in 0..6 {
        log.add(&OTHER, request);
        sign(&mut log, &mut seen, request, 0).unwrap();
    }
    assert_eq!(
        audit(&mut seen.clone(), log.page()).unwrap().leaves.len(),
        8
    );
    let check = |change: &dyn Fn(&mut AuditPage), at: u64| {
        let mut page = log.page();
        change(&mut page);
        let fault = audit(&mut seen.clone(), page).unwrap_err();
        assert_eq!(fault.subject, Subject::Entry(at), "{fault}");
    };
    fn proofs(page: &mut AuditPage) -> &mut Vec<Proof> {
        &mut page.proofs.as_mut().unwrap().0
    }
    check(&|it| it.leaves.0[3].0[60] ^= 1, 3);
    check(&|it| drop((it.leaves.0.remove(4), proofs(it).remove(4))), 4);
    check(&|it| it.leaves.0.swap(2, 3), 2);
    check(&|it| proofs(it)[5].path.0[1][0] ^= 1, 5);
    check(&|it| proofs(it).swap(6, 7), 6);
    check(&|it| drop((it.leaves.0.pop(), proofs(it).pop())), 7);
    check(&|it| drop(proofs(it).pop()), 0);
    check(&|it| it.checkpoint.0[40] ^= 1, 0);
    // The same server with another entry of ours: whole in itself, but not what we saw.
    let mut fork = log.clone();
    fork.leaves.truncate(fork.leaves.len() - 1);
    fork.add(&US, 77);
    let fault = audit(&mut seen.clone(), fork.page()).unwrap_err();
    assert_eq!(
        (fault.subject, fault.error),
        (Subject::Entry(7), AuditError::Changed)
    );
}

#[test]
fn a_policy_put_back_is_named() {
    let policy = |hourly_max| Policy {
        users: None,
        host_keys: None,
        namespaces: None,
        unproved_destination: None,
        hours: None,
        hourly_max,
        quorum: None,
    };
    let (none, old, new) = (policy(None), policy(Some(9)), policy(Some(3)));
    let key = KeyId([2; 16]);
    // The log says the policies of `said`, the first of them when the key was made.
    let check = |said: &[Option<&Policy>], listed: Option<&Policy>, expected: bool| {
        let (mut log, mut seen) = known();
        for (at, policy) in said.iter().enumerate() {
            let method = [Method::Make, Method::Policy][at.min(1)];
            let policy = policy.map(Detail::policy_hash);
            let detail = Detail {
                policy,
                ..Detail::NONE
            };
            log.tell(&US, 9, method, detail);
        }
        let entry = Entry {
            key,
            kind: KeyType::Ed25519,
            context: None,
            label: Label::Open(Text("key".into())),
            revision: 0,
            created_unix_ms: 1,
            replaces: None,
            public_key: None,
            purposes: List(Vec::new()),
            policy: listed.cloned(),
        };
        let listed = Listed {
            entries: &[entry],
            request_hash: None,
        };
        let verdict = seen.audit(&US, &[log.page()], listed);
        let fault = verdict.err().map(|it| (it.subject, it.error));
        let named = Some((Subject::Key(key), AuditError::Policy));
        assert_eq!(fault, named.filter(|_| !expected), "{said:?}");
    };
    check(&[None], None, true);
    check(&[None], Some(&none), false);
    check(&[None], Some(&old), false);
    check(&[Some(&old)], Some(&old), true);
    check(&[Some(&old)], None, false);
    check(&[Some(&old), Some(&new)], Some(&new), true);
    check(&[Some(&old), Some(&new)], Some(&old), false);
    check(&[Some(&old), Some(&new)], None, false);
    check(&[Some(&new), Some(&old), Some(&none)], Some(&none), true);
    check(&[Some(&new), Some(&old), Some(&none)], None, false);
    check(&[Some(&new), Some(&old), Some(&none)], Some(&old), false);
}

#[test]
fn what_is_kept_reads_back_and_nothing_else_does() {
    let (mut log, mut seen) = known();
    for request in 0..3 {
        log.add(&OTHER, request);
        sign(&mut log, &mut seen, request, 17).unwrap();
    }
    let json = seen.to_json();
    assert_eq!(Seen::from_json(&json), Ok(seen));
    let changed = [
        json.replace("\"version\":1", "\"version\":2"),
        json.replace("\"server\":\"03", "\"server\":\"0"),
        json.replace("\"receipts\"", "\"received\""),
        json.replace("epoch 0", "epoch x"),
        json.replace("\"own\":[", "\"own\":[{},"),
    ];
    for other in changed {
        assert_ne!(other, json);
        assert_eq!(Seen::from_json(&other), Err(UnreadableSeen));
    }
    for (len, _) in json.char_indices() {
        assert!(Seen::from_json(&json[..len]).is_err(), "{len}");
    }
    assert_eq!(Seen::from_json(&log.seen().to_json()), Ok(log.seen()));
}
