//! What an operation touches does not grow with what is stored (fault W1).

use crate::on_both;

on_both! {
    an_operation_changes_one_row_of_many,
}

mod cases {
    use std::collections::BTreeMap;
    use std::ops::Range;

    use keystead_channel::session::requests::{Context, KeyType, Label, Request};
    use keystead_channel::session::{KeyId, Octets};
    use keystead_core::SecretBytes;
    use keystead_server::rows::{AccountNo, HeldSecret, Record, Table};
    use keystead_server::store::{Wanted, Writes};

    use crate::wants::*;
    use crate::world::{Database, World};

    /// Key ids and versions of all rows of an account: a row that is written again has
    /// another version.
    async fn versions(world: &World, account: AccountNo) -> BTreeMap<KeyId, u32> {
        let (store, sealing) = (&world.server.store, &world.server.sealing);
        let secrets = store.secrets(sealing, account, None, 1_000_000).await;
        let secrets = secrets.unwrap().into_iter().map(Result::unwrap);
        secrets.map(|it| (it.key, it.version)).collect()
    }

    /// Loads so many secrets of this account, and some of another one.
    async fn load(world: &World, account: AccountNo, count: u64) {
        for from in (0..count).step_by(BATCH) {
            let writes = batch(world, account, from..count.min(from + 10_000));
            let loaded = world
                .server
                .store
                .transact(Wanted::new(), move |_, _, _| (writes, ()));
            loaded.await.unwrap();
        }
    }

    fn batch(world: &World, account: AccountNo, numbers: Range<u64>) -> Writes {
        let mut writes = Writes::new();
        for number in numbers {
            let mut key = [0xee; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            let other = (number < 1_000).then_some(AccountNo(1_000));
            for account in [Some(account), other].into_iter().flatten() {
                let secret = HeldSecret {
                    account,
                    key: KeyId(key),
                    kind: 1,
                    context: 2,
                    revision: 0,
                    version: 0,
                    made_ms: 1,
                    value: SecretBytes::take(&mut [1; 77]),
                    public_key: vec![],
                    label: vec![1; 47],
                    purposes: 0,
                    policy: None,
                    replaces: None,
                    retrieved: 0,
                    made: [0; 16],
                };
                writes.put(Table::Secret, secret.to_row(&world.server.sealing));
            }
        }
        writes
    }

    /// 10,000 rows a transaction.
    const BATCH: usize = 10_000;

    pub(super) async fn an_operation_changes_one_row_of_many(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        let mut wanted = Wanted::new();
        wanted.user(anna.user);
        let loaded = world.server.store.read(wanted).await.unwrap();
        let rows = keystead_server::rows::Rows::new(loaded, &world.server.sealing);
        let account = rows.account_by_user(anna.user).unwrap().unwrap().no;
        drop(rows);
        let mut revision = 0;
        // What is counted is rows that are written again; the bench has times, to 10^7 rows.
        for stored in [1_000, 20_000] {
            load(&world, account, stored).await;
            revision += 1;
            let sealed = Label::Sealed(Octets(vec![u8::try_from(revision).unwrap(); 50]));
            let before = versions(&world, account).await;
            for request in [
                export(secret, KeyType::Arbitrary),
                export(secret, KeyType::Arbitrary),
                export(key, KeyType::Ed25519),
                sshsig(key, "git"),
                sshsig(key, "git"),
                show(key),
                list(None, 100),
                policy(key, NO_POLICY),
                label(secret, revision, sealed),
            ] {
                anna.done(&request).await;
            }
            let after = versions(&world, account).await;
            assert_eq!(after.len(), before.len());
            for (key_id, version) in &after {
                // The first retrieval of each is marked, one policy and one label changed.
                let first = u32::from(revision == 1);
                let expected = match *key_id {
                    it if it == secret || it == key => before[key_id] + first + 1,
                    _ => 0,
                };
                assert_eq!(*version, expected, "{key_id} of {stored}");
            }
            let others = versions(&world, AccountNo(1_000)).await;
            assert!(others.values().all(|version| *version == 0));
        }
    }
}
