//! What an operation touches does not grow with what is stored (fault W1).

use crate::on_both;

on_both! {
    an_operation_changes_one_row_of_many,
}

mod cases {
    use std::collections::BTreeMap;

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

    /// Loads so many secrets of this account and of another one.
    async fn load(world: &World, account: AccountNo, count: u64) {
        let mut writes = Writes::new();
        for number in 0..count {
            let mut key = [0xee; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            for account in [account, AccountNo(1_000)] {
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
        let loaded = world
            .server
            .store
            .transact(Wanted::new(), move |_, _, _| (writes, ()));
        loaded.await.unwrap();
    }

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
        for stored in [1_000, 10_000] {
            load(&world, account, stored).await;
            let renamed = u32::try_from(stored / 1_000 % 7).unwrap();
            for (request, changed) in [
                (
                    export(secret, KeyType::Arbitrary),
                    usize::from(stored == 1_000),
                ),
                (export(secret, KeyType::Arbitrary), 0),
                (sshsig(key, "git"), 0),
                (show(key), 0),
                (policy(key, NO_POLICY), 1),
                (
                    label(
                        secret,
                        anna.entry(secret).await.revision + 1,
                        Label::Sealed(Octets(vec![u8::try_from(renamed).unwrap(); 50])),
                    ),
                    1,
                ),
            ] {
                let before = versions(&world, account).await;
                anna.done(&request).await;
                let after = versions(&world, account).await;
                let differ = after
                    .iter()
                    .filter(|(key, version)| before[key] != **version);
                let differ: Vec<_> = differ.map(|(key, _)| *key).collect();
                assert_eq!(differ.len(), changed, "{:?}", request.method());
                assert!(differ.iter().all(|it| *it == secret || *it == key));
                let others = versions(&world, AccountNo(1_000)).await;
                assert!(others.values().all(|version| *version == 0));
            }
        }
    }
}
