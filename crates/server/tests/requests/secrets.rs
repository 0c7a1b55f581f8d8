//! Secrets are kept, read, listed, renamed and deleted, by their owner alone.

use crate::on_both;

on_both! {
    what_was_put_comes_back,
    null_gives_nothing_and_is_logged,
    what_is_not_there_is_not_found_and_logged,
    anothers_key_is_as_unknown_as_no_key,
    the_type_must_be_the_one_expected,
    limits_are_kept,
    the_same_again_gives_the_same,
    labels_change_one_by_one,
    pages_follow_each_other,
    what_is_deleted_is_gone,
    a_rotated_secret_names_the_old_one,
    nothing_is_served_after_log_out,
}

mod cases {
    use keystead_channel::log::{Action, Detail};
    use keystead_channel::session::requests::{
        Context, Intent, KeyType, Label, LogOut, Method, Request,
    };
    use keystead_channel::session::{KeyId, Octets, Status, Text};

    use crate::wants::*;
    use crate::world::{Database, World, leaf};

    pub(super) async fn what_was_put_comes_back(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        for (context, len) in [
            (Context::Generated, 32),
            (Context::Imported, 512),
            (Context::Stored, 65_536),
        ] {
            let asked = put(&mut anna, context, len);
            let value = asked.value.0.clone();
            let expected = KeyId::of(&anna.user, &asked.nonce);
            let (key, public) = anna.new_key(&Request::Put(asked)).await;
            assert_eq!((key, public), (expected, vec![]));
            for intent in [Intent::LocalOnly, Intent::Export, Intent::LocalOnly] {
                let found = anna.value(&retrieve(key, intent, KeyType::Arbitrary)).await;
                assert_eq!(found, (Some(context), value.clone()));
            }
        }
    }

    pub(super) async fn null_gives_nothing_and_is_logged(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (key, _) = anna.new_key(&Request::Put(asked)).await;
        let found = anna
            .value(&retrieve(key, Intent::Null, KeyType::Arbitrary))
            .await;
        assert_eq!(found, (None, vec![]));
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.action, Action::Method(Method::Retrieve));
        assert_eq!((leaf.outcome, leaf.key), (Status::Done, key.0));
        assert_eq!(leaf.detail.intent, Some(Intent::Null));
    }

    pub(super) async fn what_is_not_there_is_not_found_and_logged(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let key = KeyId([7; 16]);
        let label = label(key, 1, Label::Open(Text("new".into())));
        for request in [
            retrieve(key, Intent::LocalOnly, KeyType::Arbitrary),
            retrieve(key, Intent::Null, KeyType::Arbitrary),
            export(key, KeyType::Ed25519),
            show(key),
            delete(key),
            label,
            policy(key, NO_POLICY),
            sshsig(key, "git"),
        ] {
            anna.refused(&request, Status::NotFound).await;
            let leaf = anna.last_leaf().await;
            assert_eq!(leaf.action, Action::Method(request.method()));
            assert_eq!((leaf.outcome, leaf.key), (Status::NotFound, key.0));
        }
    }

    pub(super) async fn anothers_key_is_as_unknown_as_no_key(database: Database) {
        let world = World::new(database).await;
        let (mut anna, mut eve) = (world.person("anna").await, world.person("eve").await);
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        let unknown = KeyId([7; 16]);
        for (theirs, kind) in [(secret, KeyType::Arbitrary), (key, KeyType::Ed25519)] {
            for (theirs, own) in [
                (export(theirs, kind), export(unknown, kind)),
                (show(theirs), show(unknown)),
                (delete(theirs), delete(unknown)),
                (policy(theirs, NO_POLICY), policy(unknown, NO_POLICY)),
                (sshsig(theirs, "git"), sshsig(unknown, "git")),
                (
                    login(theirs, &public, "root", Some(b"host")),
                    login(unknown, &public, "root", Some(b"host")),
                ),
            ] {
                let (theirs, own) = (eve.ask(&theirs).await, eve.ask(&own).await);
                assert_eq!(theirs.status, Status::NotFound);
                assert_eq!(theirs.status, own.status);
                assert_eq!(
                    (theirs.result.is_none(), own.result.is_none()),
                    (true, true)
                );
                let leaf = eve.last_leaf().await;
                assert_eq!(leaf.outcome, Status::NotFound);
            }
        }
        assert!(eve.entries(&list(None, 100)).await.entries.0.is_empty());
        // What she rotates must be her own, too.
        let mut asked = put(&mut eve, Context::Stored, 32);
        asked.replaces = Some(secret);
        eve.refused(&Request::Put(asked), Status::NotFound).await;
        // It is all still there.
        assert_eq!(anna.entries(&list(None, 100)).await.entries.0.len(), 2);
        anna.signature(&sshsig(key, "git")).await;
    }

    pub(super) async fn the_type_must_be_the_one_expected(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        for kind in KeyType::ALL {
            let expected = |own| {
                if *kind == own {
                    Status::Done
                } else {
                    Status::WrongType
                }
            };
            let answer = anna.ask(&export(secret, *kind)).await;
            assert_eq!(answer.status, expected(KeyType::Arbitrary));
            let answer = anna.ask(&export(key, *kind)).await;
            assert_eq!(answer.status, expected(KeyType::Ed25519));
        }
        // What the client sealed signs nothing and has no policy.
        anna.refused(&sshsig(secret, "git"), Status::WrongType)
            .await;
        anna.refused(&policy(secret, NO_POLICY), Status::WrongType)
            .await;
    }

    pub(super) async fn limits_are_kept(database: Database) {
        let world = World::with(database, |settings| {
            settings.secrets.per_user_max = 3;
            settings.secrets.value_bytes_max = 1_024;
            settings.secrets.label_bytes_max = 16;
        })
        .await;
        let mut anna = world.person("anna").await;
        let long = put(&mut anna, Context::Stored, 1_025);
        anna.refused(&Request::Put(long), Status::TooLarge).await;
        let leaf = anna.last_leaf().await;
        assert_eq!((leaf.outcome, leaf.key), (Status::TooLarge, [0; 16]));
        let mut named = put(&mut anna, Context::Stored, 32);
        named.label = Octets(vec![1; 40 + 17]);
        anna.refused(&Request::Put(named), Status::TooLarge).await;
        let mut short = put(&mut anna, Context::Stored, 32);
        short.value.0.truncate(45);
        anna.refused(&Request::Put(short), Status::Malformed).await;
        let mut key = put(&mut anna, Context::Generated, 33);
        key.kind = KeyType::Ed25519;
        anna.refused(&Request::Put(key), Status::InvalidKey).await;
        let mut large = make(&mut anna, KeyType::Arbitrary, &[]);
        large.size = Some(1_025);
        anna.refused(&Request::Make(large), Status::TooLarge).await;
        let long = import(&mut anna, KeyType::Arbitrary, &[1; 1_025], &[]);
        anna.refused(&Request::Import(long), Status::TooLarge).await;
        let mut keys = Vec::new();
        for len in [1, 1_023, 1_024] {
            let asked = put(&mut anna, Context::Stored, len);
            keys.push(anna.new_key(&Request::Put(asked)).await.0);
        }
        let fourth = put(&mut anna, Context::Stored, 32);
        let fourth = Request::Put(fourth);
        anna.refused(&fourth, Status::Quota).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        anna.refused(&Request::Make(made), Status::Quota).await;
        assert_eq!(anna.ask(&delete(keys[0])).await.status, Status::Done);
        anna.new_key(&fourth).await;
        // Somebody else has a count of their own.
        let mut ben = world.person("ben").await;
        let asked = put(&mut ben, Context::Stored, 32);
        ben.new_key(&Request::Put(asked)).await;
    }

    pub(super) async fn the_same_again_gives_the_same(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = Request::Put(put(&mut anna, Context::Stored, 32));
        let first = anna.new_key(&asked).await;
        assert_eq!(anna.new_key(&asked).await, first);
        let made = Request::Make(make(&mut anna, KeyType::Ed25519, SSH));
        let first = anna.new_key(&made).await;
        assert_eq!(
            anna.new_key(&made).await,
            first,
            "the same key, not another"
        );
        let mut ed25519 = import(&mut anna, KeyType::Ed25519, &[3; 32], SSH);
        let nonce = ed25519.nonce;
        let first = anna.new_key(&Request::Import(ed25519)).await;
        ed25519 = import(&mut anna, KeyType::Ed25519, &[3; 32], SSH);
        ed25519.nonce = nonce;
        assert_eq!(anna.new_key(&Request::Import(ed25519)).await, first);
        // Under that nonce stands one thing.
        let mut other = import(&mut anna, KeyType::Ed25519, &[4; 32], SSH);
        other.nonce = nonce;
        anna.refused(&Request::Import(other), Status::Conflict)
            .await;
        let mut other = make(&mut anna, KeyType::Ed25519, SSH);
        other.nonce = nonce;
        anna.refused(&Request::Make(other), Status::Conflict).await;
        let mut other = put(&mut anna, Context::Imported, 32);
        other.nonce = nonce;
        anna.refused(&Request::Put(other), Status::Conflict).await;
        assert_eq!(anna.entries(&list(None, 100)).await.entries.0.len(), 3);
    }

    pub(super) async fn labels_change_one_by_one(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        let sealed = |byte| Label::Sealed(Octets(vec![byte; 50]));
        let open = |text: &str| Label::Open(Text(text.into()));
        // (which, revision, label, what comes of it)
        let steps = [
            (secret, 1, sealed(1), Status::Done),
            (secret, 1, sealed(1), Status::Done),
            (secret, 1, sealed(2), Status::Conflict),
            (secret, 3, sealed(3), Status::Conflict),
            (secret, 0, sealed(3), Status::Conflict),
            (secret, 2, sealed(4), Status::Done),
            (secret, 3, open("readable"), Status::Malformed),
            (key, 1, sealed(5), Status::Malformed),
            (key, 1, open("laptop"), Status::Done),
            (key, 2, open(&"l".repeat(256)), Status::Done),
        ];
        for (which, revision, text, expected) in steps {
            let answer = anna.ask(&label(which, revision, text.clone())).await;
            assert_eq!(answer.status, expected, "{revision} {text:?}");
        }
        let entry = anna.entry(secret).await;
        assert_eq!((entry.revision, entry.label), (2, sealed(4)));
        let entry = anna.entry(key).await;
        assert_eq!((entry.revision, entry.label), (2, open(&"l".repeat(256))));
        // The value is what it was.
        anna.value(&export(secret, KeyType::Arbitrary)).await;
        anna.signature(&sshsig(key, "git")).await;
    }

    pub(super) async fn pages_follow_each_other(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let mut keys = Vec::new();
        for _ in 0..7 {
            let asked = put(&mut anna, Context::Stored, 32);
            keys.push(anna.new_key(&Request::Put(asked)).await.0);
        }
        keys.sort();
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..3 {
            let page = anna.entries(&list(after, 3)).await;
            found.extend(page.entries.0.iter().map(|it| it.key));
            after = found.last().copied();
            assert_eq!(page.more, found.len() < 7);
        }
        assert_eq!(found, keys);
        let page = anna.entries(&list(after, 3)).await;
        assert_eq!((page.entries.0.len(), page.more), (0, false));
        let page = anna.entries(&list(None, u32::MAX)).await;
        assert_eq!((page.entries.0.len(), page.more), (7, false));
        anna.refused(&list(None, 0), Status::Malformed).await;
    }

    pub(super) async fn what_is_deleted_is_gone(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        anna.value(&export(key, KeyType::Ed25519)).await;
        for (which, kind) in [(secret, KeyType::Arbitrary), (key, KeyType::Ed25519)] {
            let answer = anna.ask(&delete(which)).await;
            assert_eq!(answer.status, Status::Done);
            let leaf = leaf(&answer.receipt.expect("a delete has a receipt"));
            assert_eq!(leaf.action, Action::Method(Method::Delete));
            assert_eq!((leaf.key, leaf.detail), (which.0, Detail::NONE));
            anna.refused(&export(which, kind), Status::NotFound).await;
            anna.refused(&show(which), Status::NotFound).await;
            anna.refused(&sshsig(which, "git"), Status::NotFound).await;
            anna.refused(&delete(which), Status::NotFound).await;
        }
        assert!(anna.entries(&list(None, 100)).await.entries.0.is_empty());
    }

    pub(super) async fn a_rotated_secret_names_the_old_one(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (old, _) = anna.new_key(&Request::Make(made)).await;
        let mut next = make(&mut anna, KeyType::Ed25519, SSH);
        next.replaces = Some(old);
        let (new, _) = anna.new_key(&Request::Make(next)).await;
        assert_eq!(anna.last_leaf().await.detail.replaces, Some(old));
        assert_eq!(anna.entry(new).await.replaces, Some(old));
        assert_eq!(anna.entry(old).await.replaces, None);
        anna.signature(&sshsig(old, "git")).await;
        let mut other = make(&mut anna, KeyType::P256, SSH);
        other.replaces = Some(old);
        anna.refused(&Request::Make(other), Status::WrongType).await;
    }

    pub(super) async fn nothing_is_served_after_log_out(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        let put = Request::Put(put(&mut anna, Context::Stored, 32));
        let made = Request::Make(make(&mut anna, KeyType::Ed25519, SSH));
        let imported = Request::Import(import(&mut anna, KeyType::Ed25519, &[3; 32], SSH));
        for request in [
            put,
            made,
            imported,
            export(secret, KeyType::Arbitrary),
            export(key, KeyType::Ed25519),
            sshsig(key, "git"),
            show(secret),
            list(None, 10),
            delete(secret),
            policy(key, NO_POLICY),
        ] {
            let mut other = crate::world::Person::again(&anna);
            other.log_in().await;
            // Another session ends this one at the same moment.
            anna.done(&Request::LogOut(LogOut { everywhere: true }))
                .await;
            other.refused(&request, Status::LoginRequired).await;
            anna.log_in().await;
        }
        assert_eq!(anna.entries(&list(None, 100)).await.entries.0.len(), 2);
    }
}
