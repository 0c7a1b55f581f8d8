//! What any database must do.

use keystead_channel::session::{KeyId, SessionId, UserId};

use crate::rows::{
    AccountNo, AccountState, Head, LogBlock, LogIndex, LogTile, NameTag, RowFault, Table,
};
use crate::sealing::{MasterSource, Sealing};
use crate::store::{Loaded, Restoring, Store, StoreError, Sweep, Wanted, Writes};

use super::Place;
use super::place::{
    account, act, count, counted, guess, invitation, look, pass, register, secret, session,
};

pub(super) async fn what_is_written_is_read(place: &Place) {
    let (store, sealing, system) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    assert_eq!(no, AccountNo(1));
    let mut wanted = Wanted::new();
    wanted.chain(no).secret(no, KeyId([9; 16]));
    act(&store, &sealing, wanted.clone(), move |rows| {
        rows.put_secret(secret(no, 9))
    })
    .await
    .unwrap();
    wanted.tag(NameTag([1; 16])).user(UserId([1; 32]));
    wanted.secret(no, KeyId([8; 16])).tag(NameTag([2; 16]));
    look(&store, &sealing, wanted, |rows| {
        let found = rows.account_by_tag(NameTag([1; 16])).unwrap().unwrap();
        assert_eq!(found.name.as_str(), "alex");
        let found = rows.account_by_user(UserId([1; 32])).unwrap().unwrap();
        assert_eq!(found.no, no);
        assert!(rows.account_by_tag(NameTag([2; 16])).unwrap().is_none());
        let held = rows.secret(no, KeyId([9; 16])).unwrap().unwrap();
        assert_eq!(held.value.expose(), [9; 32]);
        assert!(rows.secret(no, KeyId([8; 16])).unwrap().is_none());
        let not_asked = rows.secret(no, KeyId([7; 16])).map(|it| it.is_some());
        assert_eq!(not_asked, Err(RowFault::NotWanted(Table::Secret)));
        assert_eq!(rows.chain(no).unwrap().unwrap().secrets, 1);
    })
    .await
    .unwrap();
    drop(store);
    let (store, sealing, again) = place.open().await;
    assert_eq!(again.server_id(), system.server_id());
    let page = store.secrets(&sealing, no, None, 10).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(register(&store, &sealing, "beth").await, AccountNo(2));
}

pub(super) async fn a_batch_sees_its_own_changes(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    let mut wanted = Wanted::new();
    wanted
        .account(no)
        .secret(no, KeyId([1; 16]))
        .secret(no, KeyId([2; 16]));
    wanted.tag(NameTag([1; 16]));
    act(&store, &sealing, wanted.clone(), move |rows| {
        rows.put_secret(secret(no, 1));
        rows.put_secret(secret(no, 2));
        assert_eq!(rows.chain(no).unwrap().unwrap().secrets, 2);
        rows.delete_secret(no, KeyId([1; 16]));
        assert!(rows.secret(no, KeyId([1; 16])).unwrap().is_none());
        rows.secret_mut(no, KeyId([2; 16]))
            .unwrap()
            .unwrap()
            .revision = 5;
        assert_eq!(rows.chain(no).unwrap().unwrap().secrets, 1);
        rows.account_mut(no).unwrap().unwrap().state = AccountState::Locked;
        let found = rows.account_by_tag(NameTag([1; 16])).unwrap().unwrap();
        assert_eq!(found.state, AccountState::Locked);
    })
    .await
    .unwrap();
    look(&store, &sealing, wanted, |rows| {
        assert_eq!(
            rows.account(no).unwrap().unwrap().state,
            AccountState::Locked
        );
        assert!(rows.secret(no, KeyId([1; 16])).unwrap().is_none());
        let second = rows.secret(no, KeyId([2; 16])).unwrap().unwrap();
        assert_eq!((second.revision, second.version), (5, 1));
    })
    .await
    .unwrap();
}

pub(super) async fn pages_are_in_order_and_end(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    let other = register(&store, &sealing, "beth").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        (1..=25)
            .rev()
            .for_each(|byte| rows.put_secret(secret(no, byte)));
        rows.put_secret(secret(other, 99));
    })
    .await
    .unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.secrets(&sealing, no, after, 10).await.unwrap();
        let keys: Vec<KeyId> = page.into_iter().map(|it| it.unwrap().key).collect();
        assert!(keys.len() <= 10);
        after = keys.last().copied();
        if after.is_none() {
            break;
        }
        seen.extend(keys);
    }
    let expected: Vec<KeyId> = (1..=25).map(|byte| KeyId([byte; 16])).collect();
    assert_eq!(seen, expected);
    assert_eq!(store.accounts(&sealing, None, 9).await.unwrap().len(), 2);
    assert_eq!(
        store.accounts(&sealing, Some(no), 9).await.unwrap().len(),
        1
    );
}

/// The ledger's rows: its tail, ranges of blocks, tiles and indices.
pub(super) async fn the_log_is_read_by_ranges(place: &Place) {
    let (store, ..) = place.open().await;
    store.transact(Wanted::new(), grown).await.unwrap();
    let tail = |held| Wanted {
        log_tail: Some(held),
        ..Wanted::new()
    };
    let upper = vec![(1, 1), (2, 0)];
    let whole = (vec![0x1_02_00, 0x1_02_03], upper.clone(), vec![]);
    assert_eq!(ranges(&store, tail(0)).await, whole);
    let rest = (vec![0x1_02_03], vec![], vec![]);
    assert_eq!(ranges(&store, tail(0x1_02_03)).await, rest);
    let nothing = (vec![], vec![], vec![]);
    assert_eq!(ranges(&store, tail(0x1_02_05)).await, nothing);
    let wanted = Wanted {
        blocks: vec![0x1_01_80..0x1_02_01, 255..256],
        tiles: vec![(0, 0x102), (1, 0), (3, 0)],
        seqs: vec![(AccountNo(5), 3..6), (AccountNo(6), 0..9)],
        ..Wanted::new()
    };
    let found = (
        vec![0x1_01_00, 0x1_02_00, 0],
        vec![(0, 0x102), (1, 0)],
        vec![3, 4, 5],
    );
    assert_eq!(ranges(&store, wanted).await, found);
    let merge = move |_, _, _| {
        let writes = Writes {
            blocks_delete: std::iter::once(0x1_02_00..0x1_02_05).collect(),
            blocks_put: vec![block(0x1_02_00, 5)],
            index_delete: vec![(AccountNo(5), 0..19)],
            ..Writes::new()
        };
        (writes, ())
    };
    store.transact(Wanted::new(), merge).await.unwrap();
    let wanted = Wanted {
        seqs: vec![(AccountNo(5), 0..99)],
        ..tail(0)
    };
    let merged = (vec![0x1_02_00], upper, vec![19]);
    assert_eq!(ranges(&store, wanted).await, merged);
}

/// A log of a few blocks and tiles.
fn grown(_: crate::store::Now, head: Head, _: Loaded) -> (Writes, ()) {
    let tile = |(level, index)| LogTile {
        level,
        index,
        hashes: vec![3; 64],
    };
    let entry = |seq| LogIndex {
        account: AccountNo(5),
        seq,
        index: seq * 3,
    };
    let writes = Writes {
        head: Some(Head {
            size: 0x1_02_05,
            frontier: vec![[7; 32]; 3],
            checkpoint: b"note".to_vec(),
            ..head
        }),
        blocks_put: vec![
            block(0, 256),
            block(0x1_01_00, 256),
            block(0x1_02_00, 3),
            block(0x1_02_03, 2),
        ],
        tiles_put: [(1, 0), (1, 1), (2, 0), (0, 0x102)].map(tile).to_vec(),
        index_put: (0..20).map(entry).collect(),
        ..Writes::new()
    };
    (writes, ())
}

fn block(first: u64, count: u16) -> LogBlock {
    LogBlock {
        first,
        count,
        hashes: vec![1; usize::from(count) * 32],
        sealed: vec![2; 60],
    }
}

/// What is found: first leaves of blocks, tiles, sequence numbers.
async fn ranges(store: &Store, wanted: Wanted) -> (Vec<u64>, Vec<(u8, u64)>, Vec<u64>) {
    let loaded = store.read(wanted).await.unwrap();
    let firsts = loaded.blocks.iter().map(|it| it.first).collect();
    let tiles = loaded.tiles.iter().map(|it| (it.level, it.index));
    let mut tiles: Vec<(u8, u64)> = tiles.collect();
    tiles.sort_unstable();
    let seqs = loaded.seqs.iter().map(|it| it.seq).collect();
    let head = &loaded.head;
    assert_eq!((head.size, head.frontier.len()), (0x1_02_05, 3));
    (firsts, tiles, seqs)
}

pub(super) async fn a_head_that_goes_back_stops_the_process(place: &Place, sql: impl Fn(&str)) {
    let (store, sealing, _) = place.open().await;
    let grow = async |size| {
        let decide = move |_, head, _| {
            let head = Head { size, ..head };
            (
                Writes {
                    head: Some(head),
                    ..Writes::new()
                },
                (),
            )
        };
        store.transact(Wanted::new(), decide).await
    };
    grow(5).await.unwrap();
    sql("CREATE TABLE old AS SELECT * FROM head");
    grow(9).await.unwrap();
    sql("DELETE FROM head");
    sql("INSERT INTO head SELECT * FROM old");
    for outcome in [grow(10).await, count(&store, &sealing).await.map(drop)] {
        let error = outcome.unwrap_err();
        assert!(matches!(
            error,
            StoreError::HeadWentBack {
                seen_size: 9,
                found_size: 5,
                ..
            }
        ));
        assert!(error.ends_the_process());
    }
    assert!(store.read(Wanted::new()).await.is_err());
}

/// Every byte of what is stored: changed, it is an error, and never another value.
pub(super) async fn what_was_changed_does_not_open(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        rows.put_secret(secret(no, 1));
        rows.put_guess(guess(NameTag([1; 16])));
    })
    .await
    .unwrap();
    let mut wanted = Wanted::new();
    wanted
        .account(no)
        .secret(no, KeyId([1; 16]))
        .guess(NameTag([1; 16]))
        .system();
    let loaded = store.read(wanted).await.unwrap();
    let mut checked = 0;
    for ((table, key), row) in &loaded.rows {
        for (column, cell) in row.cells.iter().enumerate() {
            for changed in super::place::changed(cell) {
                let mut loaded = loaded.clone();
                let mut row = row.clone();
                row.cells[column] = changed;
                loaded.rows.insert((*table, key.clone()), row);
                let rows = crate::rows::Rows::new(loaded, &sealing);
                let outcomes = [
                    (Table::Account, rows.account(no).map(drop)),
                    (Table::Chain, rows.chain(no).map(drop)),
                    (Table::Secret, rows.secret(no, KeyId([1; 16])).map(drop)),
                    (Table::Guess, rows.guess(NameTag([1; 16])).map(drop)),
                    (Table::System, rows.system().map(drop)),
                ];
                let outcome = outcomes.into_iter().find(|it| it.0 == *table).unwrap().1;
                assert_eq!(outcome, Err(RowFault::Corrupt(*table)), "column {column}");
                checked += 1;
            }
        }
    }
    assert!(checked > 1_000, "{checked}");
}

/// An account's row in an older form does not go with its chain.
pub(super) async fn an_older_account_does_not_pass(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    let mut wanted = Wanted::new();
    wanted.account(no);
    let before = store.read(wanted.clone()).await.unwrap();
    act(&store, &sealing, wanted.clone(), move |rows| {
        rows.account_mut(no).unwrap().unwrap().seed = [9; 32];
    })
    .await
    .unwrap();
    let after = store.read(wanted).await.unwrap();
    for table in [Table::Account, Table::Chain] {
        let mut mixed = after.clone();
        let old = before
            .rows
            .iter()
            .find(|((it, _), _)| *it == table)
            .unwrap();
        mixed.rows.insert(old.0.clone(), old.1.clone());
        let rows = crate::rows::Rows::new(mixed, &sealing);
        assert_eq!(
            rows.account(no).map(drop),
            Err(RowFault::Corrupt(Table::Account))
        );
    }
    let rows = crate::rows::Rows::new(after, &sealing);
    assert_eq!(rows.account(no).unwrap().unwrap().seed, [9; 32]);
}

/// A chain whose account's last entry is elsewhere does not open where that is asked for.
pub(super) async fn a_chain_ends_where_its_row_says(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    let other = register(&store, &sealing, "beth").await;
    let put = async |entries: &[(AccountNo, u64, u64)]| {
        let entries = entries.iter();
        let index_put = entries.map(|(account, seq, index)| LogIndex {
            account: *account,
            seq: *seq,
            index: *index,
        });
        let index_put = index_put.collect();
        let put = move |_, _, _| {
            let writes = Writes {
                index_put,
                ..Writes::new()
            };
            (writes, ())
        };
        store.transact(Wanted::new(), put).await.unwrap();
    };
    let mut wanted = Wanted::new();
    wanted.checked_chain(no).checked_chain(other);
    let check = async |expected: [Result<(), RowFault>; 2]| {
        let found = look(&store, &sealing, wanted.clone(), |rows| {
            [no, other].map(|it| rows.chain(it).map(|chain| assert!(chain.is_some())))
        });
        assert_eq!(found.await.unwrap(), expected);
        // A transaction reads the same.
        let (sealing, wanted) = (sealing.clone(), wanted.clone());
        let found = act(&store, &sealing, wanted, move |rows| {
            [no, other].map(|it| rows.chain(it).map(drop))
        });
        assert_eq!(found.await.unwrap(), expected);
    };
    let corrupt = Err(RowFault::Corrupt(Table::Chain));
    check([Ok(()), Ok(())]).await;
    // An entry that the row does not know of.
    put(&[(other, 0, 5)]).await;
    check([Ok(()), corrupt]).await;
    put(&[(no, 0, 6), (no, 1, 9), (other, 1, 8)]).await;
    for (next_seq, last_index, expected) in [
        (2, 9, Ok(())),
        (2, 6, corrupt),
        (1, 6, corrupt),
        (3, 9, corrupt),
    ] {
        let mut unchecked = Wanted::new();
        unchecked.chain(no);
        let changed = act(&store, &sealing, unchecked, move |rows| {
            let chain = rows.chain_mut(no).unwrap().unwrap();
            (chain.next_seq, chain.last_index) = (next_seq, last_index);
        });
        changed.await.unwrap();
        check([expected, corrupt]).await;
    }
}

/// Reads that are made at once get what each asked for, and nothing else.
pub(super) async fn reads_at_once_are_each_its_own(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        (1..=200).for_each(|byte| rows.put_secret(secret(no, byte)));
    })
    .await
    .unwrap();
    let reads = (1..=220_u8).map(|byte| {
        let (store, sealing) = (store.clone(), sealing.clone());
        tokio::spawn(async move {
            let mut wanted = Wanted::new();
            wanted.secret(no, KeyId([byte; 16]));
            if byte % 3 == 0 {
                wanted.account(no);
            }
            let read = look(&store, &sealing, wanted, |rows| {
                let found = rows.secret(no, KeyId([byte; 16])).unwrap();
                assert_eq!(found.is_some(), byte <= 200);
                let is_its_own = found.is_none_or(|it| it.public_key == [byte; 32]);
                assert!(is_its_own, "{byte}");
                let other = rows.secret(no, KeyId([byte ^ 1; 16])).map(drop);
                assert_eq!(other, Err(RowFault::NotWanted(Table::Secret)));
                let account = rows.account(no).map(|it| it.is_some());
                let not_wanted = Err(RowFault::NotWanted(Table::Account));
                assert_eq!(account, if byte % 3 == 0 { Ok(true) } else { not_wanted });
            });
            read.await.unwrap();
        })
    });
    for read in reads.collect::<Vec<_>>() {
        read.await.unwrap();
    }
}

pub(super) async fn the_oldest_unknown_names_are_dropped(place: &Place) {
    let (store, sealing, _) = place.open().await;
    act(&store, &sealing, Wanted::new(), |rows| {
        for byte in 0..20 {
            let mut guess = guess(NameTag([byte; 16]));
            guess.is_known = byte < 5;
            guess.last_ms = u64::from(byte);
            rows.put_guess(guess);
        }
    })
    .await
    .unwrap();
    let drop_some = |_, _, _| {
        let writes = Writes {
            unknown_guesses_kept: Some(6),
            ..Writes::new()
        };
        (writes, ())
    };
    store.transact(Wanted::new(), drop_some).await.unwrap();
    let mut wanted = Wanted::new();
    (0..20).for_each(|byte| drop(wanted.guess(NameTag([byte; 16])).clone()));
    let left = look(&store, &sealing, wanted, |rows| {
        let is_there = |byte: &u8| rows.guess(NameTag([*byte; 16])).unwrap().is_some();
        (0..20).filter(is_there).collect::<Vec<u8>>()
    });
    assert_eq!(left.await.unwrap(), [0, 1, 2, 3, 4, 14, 15, 16, 17, 18, 19]);
}

pub(super) async fn a_sweep_takes_what_has_expired(place: &Place) {
    let (store, sealing, _) = place.open().await;
    register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), |rows| {
        let no = rows.new_account_no();
        rows.put_account(account(no, "beth"));
    })
    .await
    .unwrap();
    let sweep = |pending_ms| Sweep {
        pending_ms,
        ..Sweep::default()
    };
    for (before, left) in [(0, 2), (1_000, 2), (1_001, 1)] {
        store.sweep(sweep(before)).await.unwrap();
        assert_eq!(store.accounts(&sealing, None, 9).await.unwrap().len(), left);
    }
    // Two of each, made at 10 and 20; the first session's last frame came after the second's.
    act(&store, &sealing, Wanted::new(), |rows| {
        for (byte, made_ms, last_ms) in [(1, 10, 40), (2, 20, 30)] {
            rows.put_session(session(byte, made_ms, last_ms));
            rows.put_pass(pass(byte, made_ms));
            rows.put_invitation(invitation(byte, made_ms));
        }
    })
    .await
    .unwrap();
    let swept = |sweep: Sweep| (store.clone(), sealing.clone(), sweep);
    let all = [[true; 2]; 3];
    check_sweep(swept(Sweep::default()), all).await;
    let passes_ms = Sweep {
        passes_ms: 20,
        ..Sweep::default()
    };
    check_sweep(
        swept(passes_ms),
        [[true, true], [false, true], [true, true]],
    )
    .await;
    let invitations_ms = Sweep {
        invitations_ms: 20,
        ..Sweep::default()
    };
    check_sweep(
        swept(invitations_ms),
        [[true, true], [false, true], [false, true]],
    )
    .await;
    let sessions_last_ms = Sweep {
        sessions_last_ms: 31,
        ..Sweep::default()
    };
    check_sweep(
        swept(sessions_last_ms),
        [[true, false], [false, true], [false, true]],
    )
    .await;
    let the_rest = Sweep {
        sessions_login_ms: 11,
        passes_ms: 21,
        invitations_ms: 21,
        writers_ms: 9,
        ..Sweep::default()
    };
    check_sweep(swept(the_rest), [[false; 2]; 3]).await;
}

/// Which sessions, passes and invitations, of bytes 1 and 2, are there after a sweep.
async fn check_sweep((store, sealing, sweep): (Store, Sealing, Sweep), expected: [[bool; 2]; 3]) {
    store.sweep(sweep).await.unwrap();
    let mut wanted = Wanted::new();
    for byte in [1, 2] {
        wanted
            .session(SessionId([byte; 16]))
            .pass([byte; 32])
            .invitation([byte; 32]);
    }
    let left = look(&store, &sealing, wanted, |rows| {
        [
            [1, 2].map(|byte| rows.session(SessionId([byte; 16])).unwrap().is_some()),
            [1, 2].map(|byte| rows.pass([byte; 32]).unwrap().is_some()),
            [1, 2].map(|byte| rows.invitation([byte; 32]).unwrap().is_some()),
        ]
    });
    assert_eq!(left.await.unwrap(), expected);
}

/// From one database to another; what was deleted meanwhile stays deleted.
pub(super) async fn a_backup_is_restored(place: &Place, into: &Place) {
    let (store, sealing, system) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    let gone = register(&store, &sealing, "beth").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        [1, 2]
            .into_iter()
            .for_each(|byte| rows.put_secret(secret(no, byte)));
        rows.put_secret(secret(gone, 3));
    })
    .await
    .unwrap();
    let file = place.path().join("backup.db");
    store.backup(&file).await.unwrap();
    assert!(
        store.backup(&file).await.is_err(),
        "a file that is there is kept"
    );
    assert!(!place.path().join("backup.db-wal").exists());
    let mut wanted = Wanted::new();
    wanted.secret(no, KeyId([1; 16])).chain(no).account(gone);
    act(&store, &sealing, wanted, move |rows| {
        rows.delete_secret(no, KeyId([1; 16]));
        rows.delete_account(gone);
        rows.put_gone(crate::rows::Gone {
            account: gone,
            at_ms: 1,
            user: UserId([2; 32]),
        });
    })
    .await
    .unwrap();
    drop(store);
    std::fs::copy(
        place.path().join("tombstones"),
        into.path().join("tombstones"),
    )
    .unwrap();
    let source = MasterSource::File(into.master());
    let begin = || Restoring::begin(into.path(), &file, &[], source.clone());
    let restoring = begin().await.unwrap();
    assert_eq!(
        (restoring.system.server_id(), restoring.deleted.len()),
        (system.server_id(), 2)
    );
    restoring.put_in_place(&into.address).await.unwrap();
    let (store, sealing, _) = into.open().await;
    let left = store.secrets(&sealing, no, None, 9).await.unwrap();
    let left: Vec<KeyId> = left.into_iter().map(|it| it.unwrap().key).collect();
    assert_eq!(left, [KeyId([2; 16])]);
    assert!(
        store
            .secrets(&sealing, gone, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(register(&store, &sealing, "cleo").await.0 > 1 << 32);
    drop(store);
    let again = begin().await.unwrap().put_in_place(&into.address).await;
    assert!(again.is_err(), "only an empty database is filled");
    assert!(!into.path().join("restoring.db").exists());
}

pub(super) async fn keys_are_rotated(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        (1..=250).for_each(|byte| rows.put_secret(secret(no, byte)));
    })
    .await
    .unwrap();
    place.write_master(&[[8; 32], [7; 32]].concat());
    let mut seen = 0;
    store.rotate(&sealing, |rows| seen = rows).await.unwrap();
    assert!(seen >= 2 * 250, "{seen}");
    place.write_master(&[8; 32]);
    count(&store, &sealing).await.unwrap();
    drop(store);
    let (store, sealing, _) = place.open().await;
    let page = store.secrets(&sealing, no, None, 300).await.unwrap();
    assert_eq!(page.into_iter().filter(|it| it.is_ok()).count(), 250);
    assert_eq!(counted(&store, &sealing).await, Ok(1));
    drop(store);
    place.write_master(&[7; 32]);
    let store = place.store().await.unwrap();
    assert!(
        Sealing::begin(&store, MasterSource::File(place.master()))
            .await
            .is_err()
    );
}

/// A tombstone of a secret that is there is of a batch that was not committed.
pub(super) async fn tombstones_are_settled(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let no = register(&store, &sealing, "alex").await;
    act(&store, &sealing, Wanted::new(), move |rows| {
        (1..=2).for_each(|byte| rows.put_secret(secret(no, byte)));
    })
    .await
    .unwrap();
    let mut writes = Writes::new();
    let keys = [1, 3].map(|byte| crate::rows::Key {
        cells: <crate::rows::HeldSecret as crate::rows::Record>::key_cells(&(
            no,
            KeyId([byte; 16]),
        )),
    });
    writes
        .deletes
        .entry(Table::Secret)
        .or_default()
        .extend(keys);
    match &store {
        Store::Sqlite(it) => it.memory().bury(&writes).unwrap(),
        Store::Postgres(it) => it.memory().bury(&writes).unwrap(),
    };
    assert_eq!(store.buried().len(), 2);
    drop(store);
    let (store, _, _) = place.open().await;
    assert_eq!(store.buried().len(), 1, "the one that is not there");
}

/// A database as an earlier version left it.
pub(super) async fn an_earlier_version_is_opened(place: &Place) {
    let (store, sealing, _) = place.open().await;
    let mut wanted = Wanted::new();
    wanted
        .tag(NameTag([1; 16]))
        .secret(AccountNo(1), KeyId([9; 16]));
    look(&store, &sealing, wanted, |rows| {
        let found = rows.account_by_tag(NameTag([1; 16])).unwrap().unwrap();
        assert_eq!(found.name.as_str(), "alex");
        let held = rows.secret(AccountNo(1), KeyId([9; 16])).unwrap();
        assert_eq!(held.unwrap().value.expose(), [9; 32]);
    })
    .await
    .unwrap();
    assert_eq!(count(&store, &sealing).await, Ok(1));
}
