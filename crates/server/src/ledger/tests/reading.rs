//! Pages, heads, what a session opens with; erasing; a new epoch; a new key.

use std::collections::BTreeSet;

use keystead_channel::log::{Action, Leaf};
use keystead_channel::session::requests::{
    Audit, Entry, Head, KeyType, Label, Method, OpenedResult, Scope,
};
use keystead_channel::session::{KeyId, List, Octets, Status, Text};
use keystead_keeper::server::seen::{AuditError, Listed, Seen, SeenError, Subject};

use crate::sealing::MasterSource;
use crate::store::{Restoring, Wanted};

use super::NAME_BYTES_MAX;
use super::place::{Delete, Entries, Holder, Place, Sign, asked, pages, register, seen, sign};
use crate::ledger::{Detail, Ledger, NO_KEY, NewEntry, Opened, raise_epoch};
use crate::rows::Rows;

on_both_databases! {
    sessions_open_on_a_log_that_continues_the_one_before,
    all_pages_are_proved_and_whole,
    scopes_keys_and_times_choose,
    heads_prove_what_is_asked_and_pass_over_what_is_not_there,
    a_list_is_what_the_log_says_was_made_renamed_and_deleted,
    leaves_that_are_erased_leave_every_proof,
    an_epoch_is_raised_with_what_the_backup_held,
    who_saw_more_than_the_backup_held_stops_and_names_what_is_missing,
}

pub(super) fn no_paths() -> Head {
    Head {
        from_size: None,
        indices: List(Vec::new()),
    }
}

pub(super) fn opened(holder: Holder, opened: Opened) -> OpenedResult {
    OpenedResult {
        user: holder.user,
        checkpoint: Some(Octets(opened.checkpoint)),
        consistency: opened.consistency.map(List),
        chain_head: opened.chain_head,
        limits: crate::settings::Settings::default().limits(),
        pass: None,
        failed_logins: None,
    }
}

fn listed(entries: &[Entry]) -> Listed<'_> {
    Listed {
        entries,
        request_hash: None,
    }
}

/// Opens a session, so to speak.
pub(super) async fn open(
    ledger: &Ledger,
    holder: Holder,
    seen: &mut Seen,
) -> Result<(), SeenError> {
    let login = Entries {
        holder,
        entries: vec![NewEntry {
            action: Action::Login,
            key: NO_KEY,
            ..Sign {
                holder,
                request: [8; 32],
            }
            .entry()
        }],
    };
    let committed = ledger.commit(login).await.unwrap();
    let told = ledger.opened(&committed, seen.known()).await.unwrap();
    seen.opened(&holder.user, &opened(holder, told))
}

/// As `keystead audit verify` does.
pub(super) async fn verify(
    ledger: &Ledger,
    holder: Holder,
    seen: &mut Seen,
    entries: &[Entry],
) -> Result<usize, keystead_keeper::server::seen::AuditFault> {
    let pages = pages(ledger, holder).await;
    let audited = seen.audit(&holder.user, &pages, listed(entries))?;
    let asked = seen.head_request();
    let head = ledger.head(&asked).await.unwrap();
    seen.take_head(&asked, &head).unwrap();
    Ok(audited.leaves.len())
}

async fn sessions_open_on_a_log_that_continues_the_one_before(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let other = register(&ledger, 2).await;
    let mut seen = seen(&ledger);
    for count in [0, 1, 255, 3, 400, 0] {
        open(&ledger, holder, &mut seen).await.unwrap();
        sign(&ledger, other, count).await;
    }
    let (last, _) = seen.last_own().unwrap();
    assert_eq!(last, 6);
}

async fn all_pages_are_proved_and_whole(place: &Place) {
    let ledger = place.ledger().await;
    let (one, two) = (register(&ledger, 1).await, register(&ledger, 2).await);
    let mut seen = seen(&ledger);
    open(&ledger, one, &mut seen).await.unwrap();
    for _ in 0..4 {
        let (a, b) = tokio::join!(sign(&ledger, one, 150), sign(&ledger, two, 110));
        assert_eq!((a.len(), b.len()), (150, 110));
    }
    assert_eq!(verify(&ledger, one, &mut seen, &[]).await, Ok(602));
    let pages = pages(&ledger, one).await;
    assert_eq!(pages.len(), 3, "256 entries a page");
}

async fn scopes_keys_and_times_choose(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let login = NewEntry {
        action: Action::Login,
        key: NO_KEY,
        ..Sign {
            holder,
            request: [8; 32],
        }
        .entry()
    };
    let other = NewEntry {
        key: [9; 16],
        ..login.clone()
    };
    let entries = vec![login, other];
    ledger.commit(Entries { holder, entries }).await.unwrap();
    sign(&ledger, holder, 2).await;
    let check = async |change: &dyn Fn(&mut Audit), expected: &[u64]| {
        let mut audit = asked(0);
        audit.proofs = false;
        change(&mut audit);
        let page = ledger.audit(holder.no, &holder.user, &audit).await.unwrap();
        assert_eq!(page.proofs, None);
        let leaves = page
            .leaves
            .0
            .iter()
            .map(|it| Leaf::decode(&it.0).unwrap().user_seq);
        assert_eq!(leaves.collect::<Vec<_>>(), expected);
    };
    check(&|_| (), &[0, 1, 2, 3, 4]).await;
    check(&|it| it.scope = Scope::System, &[1]).await;
    check(&|it| it.scope = Scope::Keys, &[0, 2, 3, 4]).await;
    check(&|it| it.keys = Some(List(vec![KeyId([9; 16])])), &[2]).await;
    check(&|it| it.keys = Some(List(Vec::new())), &[]).await;
    check(&|it| it.after_unix_ms = Some(u64::MAX), &[]).await;
    check(&|it| it.before_unix_ms = Some(u64::MAX), &[0, 1, 2, 3, 4]).await;
    check(&|it| it.before_unix_ms = Some(0), &[]).await;
    check(&|it| it.cursor = Some(3), &[3, 4]).await;
    check(&|it| it.cursor = Some(5), &[]).await;
    check(&|it| it.cursor = Some(u64::MAX), &[]).await;
    check(&|it| it.cursor = None, &[0, 1, 2, 3, 4]).await;
    // Until the entries are of three milliseconds: neither end is one of its own.
    let times = loop {
        sign(&ledger, holder, 1).await;
        let page = ledger.audit(holder.no, &holder.user, &asked(0)).await;
        let leaves = page.unwrap().leaves.0;
        let times = leaves
            .iter()
            .map(|it| Leaf::decode(&it.0).unwrap().time_unix_ms);
        let times: Vec<u64> = times.collect();
        if times.iter().collect::<BTreeSet<_>>().len() >= 3 {
            break times;
        }
    };
    for pivot in &times {
        let those = |is: fn(&u64, &u64) -> bool| -> Vec<u64> {
            (0..)
                .zip(&times)
                .filter(|it| is(it.1, pivot))
                .map(|it| it.0)
                .collect()
        };
        check(&|it| it.after_unix_ms = Some(*pivot), &those(u64::gt)).await;
        check(&|it| it.before_unix_ms = Some(*pivot), &those(u64::lt)).await;
    }
}

async fn heads_prove_what_is_asked_and_pass_over_what_is_not_there(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    sign(&ledger, holder, 600).await;
    let asked = Head {
        from_size: Some(257),
        indices: List(vec![0, 255, 256, 600, 601, u64::MAX]),
    };
    let page = ledger.head(&asked).await.unwrap();
    assert!(page.consistency.is_some());
    let found: Vec<u64> = page.proofs.0.iter().map(|it| it.index).collect();
    assert_eq!(found, [0, 255, 256, 600]);
    let beyond = Head {
        from_size: Some(602),
        indices: List(Vec::new()),
    };
    assert_eq!(ledger.head(&beyond).await.unwrap().consistency, None);
}

fn made(holder: Holder, key: u8, method: Method, detail: Detail) -> NewEntry {
    NewEntry {
        action: Action::Method(method),
        key: [key; 16],
        detail,
        ..Sign {
            holder,
            request: [8; 32],
        }
        .entry()
    }
}

fn entry(key: u8, revision: u32) -> Entry {
    Entry {
        key: KeyId([key; 16]),
        kind: KeyType::Ed25519,
        context: None,
        label: Label::Open(Text("a key".to_owned())),
        revision,
        created_unix_ms: 0,
        replaces: None,
        public_key: None,
        purposes: List(Vec::new()),
        policy: None,
    }
}

async fn a_list_is_what_the_log_says_was_made_renamed_and_deleted(place: &Place) {
    let ledger = place.ledger().await;
    let holder = register(&ledger, 1).await;
    let of_type = Detail {
        key_type: Some(KeyType::Ed25519),
        ..Detail::NONE
    };
    let renamed = |revision| Detail {
        revision: Some(revision),
        ..Detail::NONE
    };
    let refused = NewEntry {
        outcome: Status::Quota,
        ..made(holder, 5, Method::Put, of_type.clone())
    };
    let entries = vec![
        made(holder, 1, Method::Make, of_type.clone()),
        made(holder, 2, Method::Put, of_type.clone()),
        made(holder, 3, Method::Import, of_type.clone()),
        made(holder, 1, Method::Label, renamed(1)),
        made(holder, 1, Method::Label, renamed(2)),
        made(holder, 2, Method::Put, of_type.clone()),
        made(holder, 3, Method::Delete, Detail::NONE),
        refused,
    ];
    ledger.commit(Entries { holder, entries }).await.unwrap();
    let check = async |entries: &[Entry], expected: Option<(u8, AuditError)>| {
        let found = verify(&ledger, holder, &mut seen(&ledger), entries).await;
        let found = found.err().map(|fault| (fault.subject, fault.error));
        let expected = expected.map(|(key, error)| (Subject::Key(KeyId([key; 16])), error));
        assert_eq!(found, expected);
    };
    check(&[entry(1, 2), entry(2, 0)], None).await;
    check(&[entry(1, 2)], Some((2, AuditError::NotListed))).await;
    let more = [entry(1, 2), entry(2, 0), entry(3, 0)];
    check(&more, Some((3, AuditError::NotMade))).await;
    let never = [entry(1, 2), entry(2, 0), entry(5, 0)];
    check(&never, Some((5, AuditError::NotMade))).await;
    let older = AuditError::Revision {
        listed: 1,
        logged: 2,
    };
    check(&[entry(1, 1), entry(2, 0)], Some((1, older))).await;
    let other = Entry {
        kind: KeyType::P256,
        ..entry(2, 0)
    };
    check(&[entry(1, 2), other], Some((2, AuditError::OtherKey))).await;
}

/// How many leaves an account has in the log, and whether it is remembered.
async fn left(ledger: &Ledger, holder: Holder) -> (usize, bool) {
    let mut wanted = Wanted::new();
    wanted.gone(holder.no).chain(holder.no);
    wanted.seqs.push((holder.no, 0..10_000));
    let mut loaded = ledger.store.read(wanted).await.unwrap();
    let entries = std::mem::take(&mut loaded.seqs).len();
    let rows = Rows::new(loaded, &ledger.tools.sealing);
    let is_gone = rows.gone(holder.no).unwrap().is_some();
    let has_chain = rows.chain(holder.no).unwrap().is_some();
    assert_eq!(has_chain, entries > 0 || is_gone);
    (entries, is_gone)
}

async fn leaves_that_are_erased_leave_every_proof(place: &Place) {
    let ledger = place.ledger().await;
    let (gone, stays) = (register(&ledger, 1).await, register(&ledger, 2).await);
    let mut seen = seen(&ledger);
    open(&ledger, stays, &mut seen).await.unwrap();
    for _ in 0..3 {
        tokio::join!(sign(&ledger, gone, 120), sign(&ledger, stays, 120));
    }
    ledger.commit(Delete(gone)).await.unwrap();
    let deleted_ms = ledger.store.read(Wanted::new()).await.unwrap().now.ms;
    ledger.erase_gone(deleted_ms - 60_000).await.unwrap();
    assert_eq!(
        left(&ledger, gone).await,
        (361, true),
        "its time is not over"
    );
    let later_ms = deleted_ms + 60_000;
    ledger.erase_gone(later_ms).await.unwrap();
    let (entries, is_remembered) = left(&ledger, gone).await;
    assert!(
        (1..256).contains(&entries),
        "the last tile is not full: {entries}"
    );
    assert!(is_remembered);
    sign(&ledger, stays, 256).await;
    ledger.erase_gone(later_ms).await.unwrap();
    assert_eq!(left(&ledger, gone).await, (0, false));
    ledger.erase_gone(later_ms).await.unwrap();
    assert_eq!(left(&ledger, stays).await.0, 618);
    assert_eq!(verify(&ledger, stays, &mut seen, &[]).await, Ok(618));
    let told = pages(&ledger, stays).await;
    let told: usize = told.iter().map(|it| it.leaves.0.len()).sum();
    assert_eq!(told, 618);
    assert!(ledger.audit(gone.no, &gone.user, &asked(0)).await.is_err());
}

async fn an_epoch_is_raised_with_what_the_backup_held(place: &Place) {
    let holder = {
        let ledger = place.ledger().await;
        let holder = register(&ledger, 1).await;
        sign(&ledger, holder, 300).await;
        ledger.stop().await;
        holder
    };
    let mut ahead = {
        let ledger = place.ledger().await;
        let mut seen = seen(&ledger);
        open(&ledger, holder, &mut seen).await.unwrap();
        ledger.stop().await;
        seen
    };
    let (store, sealing) = place.store().await;
    let restored = raise_epoch(&store, &sealing, 0).await.unwrap();
    assert_eq!((restored.epoch, restored.size), (1, 302));
    assert_eq!(raise_epoch(&store, &sealing, 7).await.unwrap().epoch, 7);
    let ledger = Ledger::start(store, sealing).await.unwrap();
    // Nothing is missing: this client's tree is the beginning of the new one.
    open(&ledger, holder, &mut ahead).await.unwrap();
    assert_eq!(ahead.head().unwrap().checkpoint.epoch, 7);
}

async fn who_saw_more_than_the_backup_held_stops_and_names_what_is_missing(place: &Place) {
    let restored = Place::sqlite();
    let copy = restored.folder.path().join("backup");
    let (holder, mut seen) = {
        let (store, sealing) = place.store().await;
        let ledger = Ledger::start(store.clone(), sealing).await.unwrap();
        let holder = register(&ledger, 1).await;
        let mut seen = seen(&ledger);
        open(&ledger, holder, &mut seen).await.unwrap();
        sign(&ledger, holder, 10).await;
        store.backup(&copy).await.unwrap();
        for _ in 0..3 {
            open(&ledger, holder, &mut seen).await.unwrap();
        }
        ledger.stop().await;
        (holder, seen)
    };
    assert_eq!(seen.last_own().unwrap().0, 14);
    let folder = restored.folder.path();
    let source = MasterSource::File(folder.join("master.key"));
    let restoring = Restoring::begin(folder, &copy, &[], source).await.unwrap();
    let raised = raise_epoch(&restoring.store, &restoring.sealing, 0).await;
    raised.unwrap();
    restoring.put_in_place(&restored.address).await.unwrap();
    let (store, sealing) = restored.store().await;
    let ledger = Ledger::start(store, sealing).await.unwrap();
    let stopped = open(&ledger, holder, &mut seen).await.unwrap_err();
    let SeenError::Restored {
        seen: (0, 15),
        told: (1, 14),
        missing,
    } = &stopped
    else {
        panic!("{stopped:?}");
    };
    assert_eq!(
        (missing.first, missing.last),
        (Some(12), Some(14)),
        "{stopped}"
    );
    // It stays so, also for a program that starts again, until the person says otherwise.
    let mut again = Seen::from_json(&seen.to_json()).unwrap();
    assert_eq!(again, seen);
    assert_eq!(open(&ledger, holder, &mut again).await, Err(stopped));
    let ours = again.head().cloned();
    again.accept();
    assert_eq!(again.others().len(), 2, "both heads");
    assert!(again.others().contains(&ours.unwrap()));
    open(&ledger, holder, &mut again).await.unwrap();
}
