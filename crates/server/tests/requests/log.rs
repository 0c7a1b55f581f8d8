//! Every request has its entry, and no answer leaves without it.

use crate::on_both;

on_both! {
    every_request_has_one_entry,
    the_log_is_read_through_requests,
}

mod cases {
    use keystead_channel::log::Action;
    use keystead_channel::session::requests::{
        Audit, AuditPage, Context, Head, HeadPage, Intent, KeyType, Request, Scope,
    };
    use keystead_channel::session::{KeyId, List, RequestId, Status, request_hash};

    use crate::wants::*;
    use crate::world::{Database, World};

    pub(super) async fn every_request_has_one_entry(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (stored, none) = (KeyId::of(&anna.user, &asked.nonce), KeyId([0; 16]));
        let unknown = KeyId([1; 16]);
        let before = anna.leaves().await.len();
        let requests = [
            (Request::Put(asked), Status::Done, stored),
            (export(secret, KeyType::Arbitrary), Status::Done, secret),
            (export(secret, KeyType::Ed25519), Status::WrongType, secret),
            (
                retrieve(unknown, Intent::Null, KeyType::Rsa),
                Status::NotFound,
                unknown,
            ),
            (sshsig(key, "git"), Status::Done, key),
            (sshsig(unknown, "git"), Status::NotFound, unknown),
            (show(key), Status::Done, key),
            (list(None, 5), Status::Done, none),
            (list(None, 0), Status::Malformed, none),
            (policy(key, NO_POLICY), Status::Done, key),
            (delete(key), Status::Done, key),
        ];
        let id = |at: usize| RequestId([u8::try_from(at).unwrap(); 16]);
        for (at, (request, status, _)) in requests.iter().enumerate() {
            let sub = anna.begin_as(request, id(at));
            assert_eq!(anna.answer(sub).await.status, *status);
            assert_eq!(anna.ask(&Request::Ping).await.status, Status::Done);
        }
        let leaves = anna.leaves().await;
        // Of the first reading of the log, too; of pings there is none.
        assert_eq!(leaves.len(), before + 1 + requests.len());
        for (at, (request, status, key)) in requests.iter().enumerate() {
            let leaf = &leaves[before + 1 + at];
            assert_eq!((leaf.key, leaf.actor), (key.0, anna.actor()), "{at}");
            let (method, body) = (request.method().number(), request.encode(id(at)));
            let hash = request_hash(&anna.user, method, &body);
            assert_eq!(leaf.request_hash, hash, "{at}");
            assert_eq!(leaf.action, Action::Method(request.method()));
            assert_eq!(leaf.outcome, *status);
        }
    }

    pub(super) async fn the_log_is_read_through_requests(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let asked = put(&mut anna, Context::Stored, 32);
        let (secret, _) = anna.new_key(&Request::Put(asked)).await;
        anna.value(&export(secret, KeyType::Arbitrary)).await;
        let audit = |scope, keys| {
            Request::Audit(Audit {
                scope,
                keys,
                after_unix_ms: None,
                before_unix_ms: None,
                cursor: None,
                proofs: true,
            })
        };
        let page = anna.done(&audit(Scope::Keys, None)).await;
        let page = AuditPage::decode(&page).unwrap();
        assert_eq!(page.leaves.0.len(), 2);
        assert_eq!(page.proofs.unwrap().0.len(), 2);
        let other = Some(List(vec![KeyId([1; 16])]));
        let page = anna.done(&audit(Scope::Keys, other)).await;
        assert!(AuditPage::decode(&page).unwrap().leaves.0.is_empty());
        let head = Request::Head(Head {
            from_size: Some(1),
            indices: List(vec![0]),
        });
        let head = HeadPage::decode(&anna.done(&head).await).unwrap();
        assert!(head.consistency.is_some());
        assert_eq!(head.proofs.0.len(), 1);
        let leaves = anna.leaves().await;
        let last = leaves.iter().rev().take(3).map(|it| it.action);
        let reads: Vec<_> = last.map(|it| it.number()).collect();
        assert_eq!(reads, [17, 16, 16]);
    }
}

/// Nothing is signed or read while it cannot be logged, and all goes on when it can be again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_nothing_is_signed_or_read() {
    use keystead_channel::session::Status;
    use keystead_channel::session::requests::{Context, DigestName, KeyPurpose, KeyType, Request};

    use crate::wants::*;
    use crate::world::{Database, World};

    let mut world = World::new(Database::Postgres).await;
    let mut anna = world.person("anna").await;
    let asked = put(&mut anna, Context::Stored, 32);
    let (secret, _) = anna.new_key(&Request::Put(asked)).await;
    let made = make(&mut anna, KeyType::Ed25519, &[KeyPurpose::Message]);
    let (key, _) = anna.new_key(&Request::Make(made)).await;
    let requests = [
        export(secret, KeyType::Arbitrary),
        message(key, b"text", DigestName::None),
        show(key),
        list(None, 10),
    ];
    world.database().stop().unwrap();
    for request in &requests {
        let answer = anna.ask(request).await;
        assert_eq!(answer.status, Status::Unavailable, "{:?}", request.method());
        assert!(answer.result.is_none() && answer.receipt.is_none());
    }
    world.database().start_again().unwrap();
    for request in &requests {
        anna.done(request).await;
    }
}
