//! Keys that the server holds: made, imported, exported, signing.

use crate::on_both;

on_both! {
    what_the_server_makes_signs,
    what_was_imported_comes_back_byte_for_byte,
    keys_that_are_none_do_not_come_in,
    purposes_are_fixed_when_made,
    a_signing_key_leaves_after_a_fresh_login_alone,
    an_rsa_key_is_made_and_signs,
    ten_random_messages_verify,
}

mod cases {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA3_256_FIXED, ECDSA_P256K1_SHA256_FIXED, ED25519,
        UnparsedPublicKey, VerificationAlgorithm,
    };
    use keystead_channel::log::Action;
    use keystead_channel::session::requests::{
        Bytes, DigestName, Intent, KeyPurpose, KeyType, Method, OpenPgp, Request, Sign, SignFields,
        SignPurpose,
    };
    use keystead_channel::session::{Octets, Status};
    use rand_core::RngCore;

    use crate::wants::*;
    use crate::world::{Database, World, leaf};

    const MESSAGE: &[KeyPurpose] = &[KeyPurpose::Message];

    fn verifies(
        algorithm: &'static dyn VerificationAlgorithm,
        public: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let public = UnparsedPublicKey::new(algorithm, public);
        public.verify(message, signature).is_ok()
    }

    pub(super) async fn what_the_server_makes_signs(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let kinds: [(_, _, &'static dyn VerificationAlgorithm); 3] = [
            (KeyType::Ed25519, DigestName::None, &ED25519),
            (KeyType::P256, DigestName::Sha256, &ECDSA_P256_SHA256_FIXED),
            (
                KeyType::Secp256k1,
                DigestName::Sha256,
                &ECDSA_P256K1_SHA256_FIXED,
            ),
        ];
        for (kind, digest, algorithm) in kinds {
            let made = make(&mut anna, kind, MESSAGE);
            let (key, public) = anna.new_key(&Request::Make(made)).await;
            let leaf = anna.last_leaf().await;
            assert_eq!((leaf.key, leaf.detail.key_type), (key.0, Some(kind)));
            assert!(leaf.detail.public_key.is_some());
            let signature = anna.signature(&message(key, b"text", digest)).await;
            assert!(verifies(algorithm, &public, b"text", &signature));
            let entry = anna.entry(key).await;
            assert_eq!(entry.public_key, Some(Octets(public)));
            assert_eq!((entry.kind, entry.context), (kind, None));
            assert_eq!(entry.purposes.0, MESSAGE);
        }
        let made = make(&mut anna, KeyType::Arbitrary, &[]);
        let (secret, public) = anna.new_key(&Request::Make(made)).await;
        assert!(public.is_empty());
        let (context, value) = anna.value(&export(secret, KeyType::Arbitrary)).await;
        assert_eq!((context, value.len()), (None, 32));
    }

    pub(super) async fn ten_random_messages_verify(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let made = make(&mut anna, KeyType::Secp256k1, MESSAGE);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        for _ in 0..10 {
            let mut text = [0; 100];
            keystead_daemon::SystemRng.fill_bytes(&mut text);
            let answer = anna.ask(&message(key, &text, DigestName::Sha256)).await;
            let leaf = leaf(&answer.receipt.expect("a signature has a receipt"));
            assert_eq!(leaf.action, Action::Method(Method::Sign));
            assert_eq!(leaf.detail.purpose, Some(SignPurpose::Message));
            let signed = answer.result.unwrap();
            let signed =
                keystead_channel::session::requests::Signed::decode(signed.expose()).unwrap();
            let algorithm = &ECDSA_P256K1_SHA256_FIXED;
            assert!(verifies(algorithm, &public, &text, &signed.signature.0));
        }
        // Keccak-256 is not SHA3-256, which pads otherwise.
        let signature = anna
            .signature(&message(key, b"text", DigestName::Keccak256))
            .await;
        let sha3 = &ECDSA_P256K1_SHA3_256_FIXED;
        assert!(!verifies(sha3, &public, b"text", &signature));
    }

    pub(super) async fn what_was_imported_comes_back_byte_for_byte(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        for (kind, value) in [
            (KeyType::Arbitrary, vec![9; 512]),
            (KeyType::Ed25519, vec![3; 32]),
            (KeyType::P256, vec![3; 32]),
            (KeyType::Secp256k1, vec![3; 32]),
        ] {
            let purposes = if kind == KeyType::Arbitrary {
                &[]
            } else {
                MESSAGE
            };
            let asked = import(&mut anna, kind, &value, purposes);
            let (key, public) = anna.new_key(&Request::Import(asked)).await;
            assert_eq!(public.is_empty(), kind == KeyType::Arbitrary);
            for intent in [Intent::Export, Intent::LocalOnly] {
                let found = anna.value(&retrieve(key, intent, kind)).await;
                assert_eq!(found, (None, value.clone()));
            }
        }
    }

    pub(super) async fn keys_that_are_none_do_not_come_in(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let order = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c,
            0xd0, 0x36, 0x41, 0x41,
        ];
        for (kind, value, expected) in [
            (KeyType::Secp256k1, order.to_vec(), Status::InvalidKey),
            (KeyType::Secp256k1, vec![0; 32], Status::InvalidKey),
            (KeyType::P256, vec![0xff; 32], Status::InvalidKey),
            (KeyType::Ed25519, vec![1; 31], Status::InvalidKey),
            (KeyType::Rsa, vec![0x30; 600], Status::InvalidKey),
            (KeyType::Arbitrary, vec![], Status::InvalidKey),
        ] {
            let asked = import(&mut anna, kind, &value, &[]);
            anna.refused(&Request::Import(asked), expected).await;
            assert_eq!(anna.last_leaf().await.outcome, expected);
        }
        let mut sized = make(&mut anna, KeyType::P256, MESSAGE);
        sized.size = Some(32);
        anna.refused(&Request::Make(sized), Status::Malformed).await;
        let mut short = make(&mut anna, KeyType::Rsa, MESSAGE);
        short.size = Some(2_048);
        anna.refused(&Request::Make(short), Status::InvalidKey)
            .await;
        assert!(anna.entries(&list(None, 10)).await.entries.0.is_empty());
    }

    pub(super) async fn purposes_are_fixed_when_made(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        use KeyPurpose::{Digest, Message, OpenPgp as Pgp, SshLogin, SshSig};
        for (kind, purposes, expected) in [
            (KeyType::Ed25519, vec![SshSig, SshLogin], Status::Done),
            (KeyType::Ed25519, vec![], Status::Done),
            (KeyType::Ed25519, vec![SshLogin, Message], Status::WrongType),
            (KeyType::Ed25519, vec![Message, Digest], Status::WrongType),
            (
                KeyType::Ed25519,
                vec![SshLogin, SshLogin],
                Status::Malformed,
            ),
            (
                KeyType::Ed25519,
                vec![SshLogin, SshSig, Pgp],
                Status::Malformed,
            ),
            (KeyType::Secp256k1, vec![SshLogin], Status::WrongType),
            (KeyType::Secp256k1, vec![Pgp], Status::WrongType),
            (KeyType::Secp256k1, vec![Digest], Status::Done),
            (KeyType::Arbitrary, vec![Message], Status::WrongType),
        ] {
            let made = make(&mut anna, kind, &purposes);
            let answer = anna.ask(&Request::Make(made)).await;
            assert_eq!(answer.status, expected, "{kind:?} {purposes:?}");
        }
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        anna.signature(&login(key, &public, "alex", Some(b"host")))
            .await;
        anna.signature(&sshsig(key, "git")).await;
        let digest = SignFields::Digest(Bytes {
            bytes: Octets(vec![1; 32]),
        });
        let pgp = SignFields::OpenPgp(OpenPgp {
            hash: 8,
            digest: Octets(vec![1; 32]),
        });
        for fields in [digest, pgp] {
            let request = Request::Sign(Sign { key, fields });
            anna.refused(&request, Status::WrongType).await;
        }
        anna.refused(&message(key, b"m", DigestName::None), Status::WrongType)
            .await;
    }

    pub(super) async fn a_signing_key_leaves_after_a_fresh_login_alone(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        let made = make(&mut anna, KeyType::Arbitrary, &[]);
        let (secret, _) = anna.new_key(&Request::Make(made)).await;
        anna.value(&export(key, KeyType::Ed25519)).await;
        anna.resume().await;
        anna.refused(&export(key, KeyType::Ed25519), Status::FreshLogin)
            .await;
        let leaf = anna.last_leaf().await;
        assert_eq!((leaf.outcome, leaf.key), (Status::FreshLogin, key.0));
        anna.value(&retrieve(key, Intent::Null, KeyType::Ed25519))
            .await;
        anna.value(&export(secret, KeyType::Arbitrary)).await;
        anna.signature(&sshsig(key, "git")).await;
        anna.log_in().await;
        anna.value(&export(key, KeyType::Ed25519)).await;
    }

    pub(super) async fn an_rsa_key_is_made_and_signs(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let made = make(&mut anna, KeyType::Rsa, MESSAGE);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        let (_, encoding) = anna.value(&export(key, KeyType::Rsa)).await;
        let asked = import(&mut anna, KeyType::Rsa, &encoding, MESSAGE);
        let (again, same) = anna.new_key(&Request::Import(asked)).await;
        assert_eq!(same, public);
        for which in [key, again] {
            for digest in [DigestName::Sha256, DigestName::Sha384, DigestName::Sha512] {
                let signature = anna.signature(&message(which, b"m", digest)).await;
                assert_eq!(signature.len(), 384);
            }
            anna.refused(
                &message(which, b"m", DigestName::Keccak256),
                Status::WrongType,
            )
            .await;
            anna.refused(&message(which, b"m", DigestName::None), Status::WrongType)
                .await;
        }
    }
}
