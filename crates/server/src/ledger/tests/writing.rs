//! Commits: receipts, chains, restarts, two processes, refusals.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use keystead_channel::log::{Action, Leaf, LogId};
use keystead_channel::session::Status;
use keystead_channel::session::requests::{Method, Receipt};
use keystead_keeper::server::seen::Expected;

use super::NAME_BYTES_MAX;
use super::place::{Entries, Holder, Place, Register, Sign, note, register, seen, sign};
use crate::ledger::{Act, Decided, Ledger, Log, NewEntry};
use crate::rows::{AccountNo, Chain, Guess, NameTag, Rows, Table};
use crate::store::{Now, StoreError, Wanted};

on_both_databases! {
    every_act_gets_a_receipt_that_leads_to_a_signed_head,
    a_batch_holds_many_acts_and_one_head,
    logs_are_numbered_each_for_itself,
    after_a_restart_the_log_goes_on,
    an_act_without_a_chain_changes_nothing_and_the_next_one_is_written,
    an_act_that_cannot_be_logged_fails_alone,
    what_has_no_entry_is_written_without_one,
    an_act_that_waits_too_long_is_withdrawn,
}

/// Checks a receipt as a client does, with nothing known before.
fn check(ledger: &Ledger, holder: Holder, receipt: &Receipt) -> Leaf {
    let leaf = Leaf::decode(&receipt.leaf.0).unwrap();
    let expected = Expected {
        user: &holder.user,
        method: Method::Sign,
        status: Status::Done,
        request_hash: &leaf.request_hash,
    };
    seen(ledger).receipt(&expected, receipt, 0).unwrap();
    leaf
}

async fn every_act_gets_a_receipt_that_leads_to_a_signed_head(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let mut numbers = Vec::new();
    for committed in sign(&ledger, holder, 700).await {
        let receipts = committed.receipts();
        assert_eq!(receipts.len(), 1);
        assert_eq!(committed.receipt().as_ref(), receipts.first());
        let leaf = check(&ledger, holder, &receipts[0]);
        assert_eq!(leaf.log, LogId::of(&holder.user));
        numbers.push(leaf.user_seq);
    }
    numbers.sort_unstable();
    let expected: Vec<u64> = (1..=700).collect();
    assert_eq!(numbers, expected);
    assert_eq!(ledger.size(), 701);
}

async fn a_batch_holds_many_acts_and_one_head(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let mut heads = BTreeSet::new();
    for committed in sign(&ledger, holder, 600).await {
        heads.insert(committed.receipt().unwrap().checkpoint.0);
    }
    assert!(heads.len() < 100, "{} commits for 600 acts", heads.len());
}

async fn logs_are_numbered_each_for_itself(place: &Place) {
    let ledger = place.ledger().await;
    let (one, two) = (register(&ledger, 1).await, register(&ledger, 2).await);
    ledger.commit(note("first")).await.unwrap();
    sign(&ledger, one, 3).await;
    let both = Entries {
        holder: one,
        entries: vec![
            Sign {
                holder: one,
                request: [9; 32],
            }
            .entry(),
            NewEntry {
                log: Log::System,
                action: Action::Waits,
                ..Sign {
                    holder: one,
                    request: [9; 32],
                }
                .entry()
            },
        ],
    };
    let receipts = ledger.commit(both).await.unwrap().receipts();
    let leaf = |at: usize| Leaf::decode(&receipts[at].leaf.0).unwrap();
    assert_eq!((leaf(0).log, leaf(0).user_seq), (LogId::of(&one.user), 4));
    assert_eq!((leaf(1).log, leaf(1).user_seq), (LogId::SYSTEM, 1));
    let last = sign(&ledger, two, 1).await[0].receipt().unwrap();
    assert_eq!(check(&ledger, two, &last).user_seq, 1);
}

async fn after_a_restart_the_log_goes_on(place: &Place) {
    let mut size = 0;
    let mut known = None;
    // Sizes before, at and behind the end of a tile.
    for (round, count) in [250, 4, 1, 2, 256, 300, 1].into_iter().enumerate() {
        let ledger = place.ledger().await;
        assert_eq!(ledger.size(), size);
        let holder = match round {
            0 => register(&ledger, 1).await,
            _ => Holder {
                no: AccountNo(1),
                ..register_again()
            },
        };
        let seen = known.get_or_insert_with(|| seen(&ledger));
        let last = sign(&ledger, holder, count).await.pop().unwrap();
        size = ledger.size();
        let opened = ledger.opened(&last, seen.known()).await.unwrap();
        let result = super::reading::opened(holder, opened);
        seen.opened(&holder.user, &result).unwrap();
        ledger.stop().await;
    }
    assert_eq!(size, 1 + 250 + 4 + 1 + 2 + 256 + 300 + 1);
}

fn register_again() -> Holder {
    Holder {
        no: AccountNo(1),
        user: keystead_channel::session::UserId([1; 32]),
    }
}

/// Decides an entry in a log whose chain it did not ask for.
struct Careless(Holder);

impl Act for Careless {
    type Answer = ();

    fn wanted(&self, _wanted: &mut Wanted) {}

    fn decide(self, _now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        rows.new_account_no();
        Decided {
            entries: vec![
                Sign {
                    holder: self.0,
                    request: [1; 32],
                }
                .entry(),
            ],
            answer: (),
        }
    }
}

async fn an_act_without_a_chain_changes_nothing_and_the_next_one_is_written(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let before = ledger.head(&super::reading::no_paths()).await.unwrap();
    let refused = ledger.commit(Careless(holder)).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    assert_eq!(
        ledger.head(&super::reading::no_paths()).await.unwrap(),
        before
    );
    assert_eq!(*ledger.fault().borrow(), None);
    let next = ledger.commit(Register(2)).await.unwrap().answer;
    assert_eq!(next.no, AccountNo(2), "the number was not used up");
    let last = sign(&ledger, holder, 1).await[0].receipt().unwrap();
    assert_eq!(check(&ledger, holder, &last).user_seq, 1);
}

/// Holds the writer until it is told to go on, so that what comes meanwhile is one batch.
struct Hold {
    holds: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Act for Hold {
    type Answer = ();

    fn wanted(&self, _wanted: &mut Wanted) {}

    fn decide(self, _now: Now, _rows: &mut Rows<'_>) -> Decided<()> {
        self.holds.send(()).unwrap();
        self.go_on.recv().unwrap();
        Decided {
            entries: Vec::new(),
            answer: (),
        }
    }
}

const ASKED_FOR: NameTag = NameTag([1; 16]);
const NOT_ASKED_FOR: NameTag = NameTag([2; 16]);

fn guess(tag: NameTag) -> Guess {
    Guess {
        tag,
        is_known: false,
        last_ms: 1,
        count: 9,
        failed: 9,
        refused: 9,
        waits_logged_ms: 0,
        lifted_unix_s: 0,
        version: 0,
    }
}

/// Changes much, and only then comes to an entry in a log without a chain.
struct Spoilt {
    holder: Holder,
    other: Holder,
}

impl Act for Spoilt {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(self.holder.no).chain(self.other.no);
        wanted.guess(ASKED_FOR);
    }

    fn decide(self, _now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        rows.new_account_no();
        rows.chain_mut(self.other.no).unwrap().unwrap().epoch = 7;
        rows.chain_mut(self.other.no).unwrap().unwrap().secrets = 7;
        rows.put_guess(guess(ASKED_FOR));
        rows.put_guess(guess(NOT_ASKED_FOR));
        let of = |holder| {
            let request = [1; 32];
            Sign { holder, request }.entry()
        };
        Decided {
            entries: vec![of(self.other), of(self.holder)],
            answer: (),
        }
    }
}

/// Says what it sees, and signs.
struct Look(Holder);

impl Act for Look {
    type Answer = (Chain, bool, bool, AccountNo);

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(self.0.no).guess(ASKED_FOR);
    }

    fn decide(self, _now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let request = [2; 32];
        let holder = self.0;
        let answer = (
            rows.chain(holder.no).unwrap().unwrap().clone(),
            rows.guess(ASKED_FOR).unwrap().is_some(),
            rows.guess(NOT_ASKED_FOR).is_ok(),
            rows.new_account_no(),
        );
        Decided {
            entries: vec![Sign { holder, request }.entry()],
            answer,
        }
    }
}

async fn an_act_that_cannot_be_logged_fails_alone(place: &Place) {
    let ledger = place.ledger().await;
    let (bad, good) = (register(&ledger, 1).await, register(&ledger, 2).await);
    let sealing = ledger.tools.sealing.clone();
    let without = ledger.store.transact(Wanted::new(), move |_, _, loaded| {
        let mut rows = Rows::new(loaded, &sealing);
        rows.delete_chain(bad.no);
        (rows.into_writes(), ())
    });
    without.await.unwrap();
    let (holds, held) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let holding = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.commit(Hold { holds, go_on }).await.map(drop) }
    });
    tokio::task::spawn_blocking(move || held.recv().unwrap())
        .await
        .unwrap();
    let spoilt = Spoilt {
        holder: bad,
        other: good,
    };
    let (before, refused, looked, ()) = tokio::join!(
        ledger.commit(Look(good)),
        ledger.commit(spoilt),
        ledger.commit(Look(good)),
        async { release.send(()).unwrap() }
    );
    holding.await.unwrap().unwrap();
    assert!(matches!(refused, Err(StoreError::Corrupt(Table::Chain))));
    let (before, looked) = (before.unwrap(), looked.unwrap());
    let heads = [&before, &looked].map(|it| it.receipt().unwrap().checkpoint.0);
    assert_eq!(heads[0], heads[1], "one batch");
    let (chain, is_asked_for, is_not_asked_for, no) = looked.answer;
    assert_eq!((chain.epoch, chain.secrets, chain.next_seq), (0, 0, 2));
    assert_eq!((is_asked_for, is_not_asked_for), (false, false));
    assert_eq!(no, AccountNo(before.answer.3.0 + 1));
    assert_eq!(check(&ledger, good, &before.receipts()[0]).user_seq, 1);
    let mut wanted = Wanted::new();
    wanted.chain(good.no).guess(ASKED_FOR).guess(NOT_ASKED_FOR);
    let loaded = ledger.store.read(wanted).await.unwrap();
    let rows = Rows::new(loaded, &ledger.tools.sealing);
    let chain = rows.chain(good.no).unwrap().unwrap();
    assert_eq!((chain.epoch, chain.secrets, chain.next_seq), (0, 0, 3));
    assert!(rows.guess(ASKED_FOR).unwrap().is_none());
    assert!(rows.guess(NOT_ASKED_FOR).unwrap().is_none());
    let last = sign(&ledger, good, 1).await[0].receipt().unwrap();
    assert_eq!(check(&ledger, good, &last).user_seq, 3);
}

async fn what_has_no_entry_is_written_without_one(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let nothing = Entries {
        holder,
        entries: Vec::new(),
    };
    let committed = ledger.commit(nothing).await.unwrap();
    assert!(committed.receipts().is_empty());
    assert_eq!(committed.receipt(), None);
    assert_eq!(ledger.size(), 1);
}

/// Whoever waits behind a transaction that does not end is told so in time, and what he
/// asked is not done afterwards.
async fn an_act_that_waits_too_long_is_withdrawn(place: &Place) {
    let ledger = Arc::new(place.ledger().await);
    let holder = register(&ledger, 1).await;
    let request = |byte| Sign {
        holder,
        request: [byte; 32],
    };
    let ((holds, held), (let_go, go_on)) = (mpsc::channel(), mpsc::channel());
    let holding = Arc::clone(&ledger);
    let hold = tokio::spawn(async move { holding.commit(Hold { holds, go_on }).await.map(drop) });
    let held = tokio::task::spawn_blocking(move || held.recv().unwrap());
    held.await.unwrap();
    let waits = tokio::time::timeout(CLIENTS_WAIT, ledger.commit(request(2)));
    let waited = waits.await.expect("it waits for ever").err().unwrap();
    let late = StoreError::Unavailable("it takes too long".to_owned());
    assert_eq!(waited, late);
    let_go.send(()).unwrap();
    // PostgreSQL itself ends a transaction that is held so long.
    let _ = hold.await.unwrap();
    while let Err(error) = ledger.commit(request(3)).await {
        assert!(!error.ends_the_process(), "{error}");
    }
    // The registration and this one.
    assert_eq!(ledger.size(), 2);
}

/// Two processes, so to speak: each has its own edge of the tree and its own connection.
#[tokio::test(flavor = "multi_thread")]
async fn two_writers_on_one_database_leave_no_gap() {
    let postgres = keystead_tests::Postgres::start().unwrap();
    let places = [Place::at(postgres.address()), Place::at(postgres.address())];
    let (one, two) = (places[0].ledger().await, places[1].ledger().await);
    let (a, b) = (register(&one, 1).await, register(&two, 2).await);
    let mut client = seen(&one);
    super::reading::open(&two, a, &mut client).await.unwrap();
    for _ in 0..4 {
        tokio::join!(
            sign(&one, a, 90),
            sign(&two, a, 60),
            sign(&one, b, 1),
            sign(&two, b, 70),
        );
        super::reading::open(&one, a, &mut client).await.unwrap();
        super::reading::open(&two, a, &mut client).await.unwrap();
    }
    let verified = super::reading::verify(&two, a, &mut client, &[]).await;
    assert_eq!(verified, Ok(1 + 1 + 4 * (150 + 2)));
    let verified = super::reading::verify(&one, b, &mut seen(&one), &[]).await;
    assert_eq!(verified, Ok(1 + 4 * 71));
}

/// 30 s: as long as a client waits for an answer.
const CLIENTS_WAIT: Duration = Duration::from_secs(30);
