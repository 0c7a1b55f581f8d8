//! For any value: decode undoes encode. For any bytes: what is read is written back.

use keystead_channel::mailbox::{ConnId, Conns, Item, MailboxId};
use keystead_channel::pairing::Offer;
use keystead_channel::wire::{
    decode_receipt, decode_request, decode_response, encode_receipt, encode_request,
    encode_response, fit_evidence, showable,
};
use keystead_core::{
    ApproveServerRequest, Certificates, Constraints, Curve, DecryptForm, DecryptRequest,
    Derivation, Evidence, Identity, ImportRequest, Intent, KeyForm, KeyId, Kind, LockRequest,
    MakeApprovalKeyRequest, MakeKeyRequest, Name, OpenLocalRequest, Protocol, PublicKeyRequest,
    Purpose, Request, RequestBody, RequestId, SecretBytes, SessionBind, SignForm, SignRequest,
    WalletFingerprint, is_unsafe_to_show,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{bytes, secret, vectors};

fn name() -> impl Strategy<Value = Name> {
    "[a-zé📱 ]{1,16}".prop_filter_map("no name", |text| Name::new(text).ok())
}

fn bind() -> impl Strategy<Value = SessionBind> {
    (
        vec(any::<u8>(), 0..300),
        vec(any::<u8>(), 0..=128),
        vec(any::<u8>(), 0..300),
        any::<bool>(),
    )
        .prop_map(
            |(host_key, session_id, signature, forwarding)| SessionBind {
                host_key,
                session_id,
                signature,
                forwarding,
            },
        )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let preimage = proptest::option::of(vec(any::<u8>(), 0..600));
    let path = proptest::option::of("[a-z/é]{1,60}");
    let proved = (vec(bind(), 0..=16), vec("[a-z.-]{1,60}", 0..=16), preimage);
    let intent = (any::<[u8; 16]>(), "[a-z ]{1,40}", any::<Option<u32>>())
        .prop_map(|(id, what, count)| Intent { id, what, count });
    let told = (
        path,
        vec("[a-z é-]{1,40}", 0..=64),
        vec("[a-z/]{1,40}", 0..=16),
        vec("[a-z/]{1,40}", 0..=8),
        proptest::option::of(intent),
        any::<bool>(),
        proptest::option::of("[A-Za-z <>@.é]{1,60}"),
    );
    (proved, told).prop_map(|((binds, host_names, preimage), told)| {
        let (process_path, arguments, files, parents, intent, is_background, user_id) = told;
        Evidence {
            binds,
            host_names,
            preimage,
            process_path,
            arguments,
            files,
            parents,
            intent,
            is_background,
            user_id,
        }
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    let kinds = [
        (Protocol::Ssh, Curve::Nist256p1, Derivation::Sign),
        (Protocol::Ssh, Curve::Ed25519, Derivation::Sign),
        (Protocol::Gpg, Curve::Secp256k1, Derivation::Sign),
        (Protocol::Gpg, Curve::Curve25519, Derivation::Agree),
        (Protocol::Age, Curve::Curve25519, Derivation::Agree),
        (Protocol::Signify, Curve::Ed25519, Derivation::Sign),
    ];
    let text = "[ -~]{1,100}";
    (prop::sample::select(kinds.to_vec()), text, any::<u32>()).prop_map(
        |((protocol, curve, derivation), text, index)| {
            Identity::new(protocol.uri_of(&text), curve, index, derivation).unwrap()
        },
    )
}

fn constraints() -> impl Strategy<Value = Constraints> {
    let certificates = (any::<bool>(), vec(vec(any::<u8>(), 0..80), 0..5))
        .prop_map(|(only, blobs)| Certificates { only, blobs });
    let destinations = proptest::option::of(vec(any::<u8>(), 0..300));
    let provider = proptest::option::of("[a-z/.]{1,60}");
    (
        any::<Option<u32>>(),
        any::<bool>(),
        destinations,
        provider,
        proptest::option::of(certificates),
    )
        .prop_map(
            |(lifetime_s, confirm, destinations, sk_provider, certificates)| Constraints {
                lifetime_s,
                confirm,
                destinations,
                sk_provider,
                certificates,
            },
        )
}

/// A body that can be printed: [`RequestBody`] cannot, for it may hold a secret.
#[derive(Clone, Debug)]
enum Body {
    Me(Option<[u8; 16]>),
    Sign(SignRequest),
    Hosts,
    Unpair,
    Confirm([u8; 32]),
    Cancel(RequestId),
    Decrypt(DecryptRequest),
    PublicKey(PublicKeyRequest),
    MakeKey(MakeKeyRequest),
    Import(
        usize,
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Name>,
        Constraints,
        Vec<Purpose>,
    ),
    Remove(Vec<[u8; 32]>),
    Lock(bool, Vec<u8>),
    ApproveServer(Vec<u8>),
    MakeApprovalKey([u8; 16], Name),
    OpenLocal([u8; 32], Name),
}

impl Body {
    fn into_request_body(self) -> RequestBody {
        match self {
            Self::Me(nonce_c) => RequestBody::Me { nonce_c },
            Self::Sign(sign) => RequestBody::Sign(sign),
            Self::Decrypt(decrypt) => RequestBody::Decrypt(decrypt),
            Self::PublicKey(asked) => RequestBody::PublicKey(asked),
            Self::Hosts => RequestBody::Hosts,
            Self::Unpair => RequestBody::Unpair,
            Self::Confirm(key) => RequestBody::Confirm {
                pair_key: secret(key),
            },
            Self::Cancel(target) => RequestBody::Cancel { target },
            Self::MakeKey(make) => RequestBody::MakeKey(make),
            Self::Import(form, key, passphrase, name, constraints, purposes) => {
                RequestBody::Import(ImportRequest {
                    form: KeyForm::ALL[form],
                    key: opaque(key),
                    passphrase: passphrase.map(opaque),
                    name,
                    constraints,
                    purposes,
                })
            }
            Self::Remove(keys) => RequestBody::Remove {
                keys: keys.into_iter().map(KeyId).collect(),
            },
            Self::Lock(lock, passphrase) => RequestBody::Lock(LockRequest {
                lock,
                passphrase: opaque(passphrase),
            }),
            Self::ApproveServer(text) => RequestBody::ApproveServer(ApproveServerRequest { text }),
            Self::MakeApprovalKey(server_id, server) => {
                RequestBody::MakeApprovalKey(MakeApprovalKeyRequest { server_id, server })
            }
            Self::OpenLocal(salt, what) => RequestBody::OpenLocal(OpenLocalRequest { salt, what }),
        }
    }
}

fn opaque(mut bytes: Vec<u8>) -> SecretBytes {
    SecretBytes::take(&mut bytes)
}

fn body() -> impl Strategy<Value = Body> {
    let sign = (
        any::<[u8; 32]>(),
        vec(any::<u8>(), 0..2_000),
        any::<u32>(),
        evidence(),
        0..SignForm::ALL.len(),
        proptest::option::of(identity()),
    );
    let decrypt = (
        any::<[u8; 32]>(),
        0..DecryptForm::ALL.len(),
        vec(any::<u8>(), 0..2_000),
        evidence(),
        proptest::option::of(identity()),
    );
    prop_oneof![
        proptest::option::of(any::<[u8; 16]>()).prop_map(Body::Me),
        sign.prop_map(
            |(key, content, flags, evidence, form, identity)| Body::Sign(SignRequest {
                key: KeyId(key),
                form: SignForm::ALL[form],
                content,
                flags,
                evidence,
                identity,
            })
        ),
        decrypt.prop_map(|(key, form, content, evidence, identity)| Body::Decrypt(
            DecryptRequest {
                key: KeyId(key),
                form: DecryptForm::ALL[form],
                content,
                evidence,
                identity,
            }
        )),
        (identity(), any::<Option<[u8; 4]>>()).prop_map(|(identity, wallet)| {
            Body::PublicKey(PublicKeyRequest {
                identity,
                wallet: wallet.map(WalletFingerprint),
            })
        }),
        Just(Body::Hosts),
        Just(Body::Unpair),
        any::<[u8; 32]>().prop_map(Body::Confirm),
        any::<[u8; 16]>().prop_map(|id| Body::Cancel(RequestId(id))),
        (name(), "[a-z0-9-]{1,64}", purposes()).prop_map(|(name, algorithm, purposes)| {
            Body::MakeKey(MakeKeyRequest {
                name,
                algorithm,
                purposes,
            })
        }),
        import(),
        vec(any::<[u8; 32]>(), 0..40).prop_map(Body::Remove),
        (any::<bool>(), vec(any::<u8>(), 0..100)).prop_map(|(lock, it)| Body::Lock(lock, it)),
        vec(any::<u8>(), 0..3_000).prop_map(Body::ApproveServer),
        (any::<[u8; 16]>(), name()).prop_map(|(id, name)| Body::MakeApprovalKey(id, name)),
        (any::<[u8; 32]>(), name()).prop_map(|(salt, what)| Body::OpenLocal(salt, what)),
    ]
}

fn import() -> impl Strategy<Value = Body> {
    let import = (
        0..KeyForm::ALL.len(),
        vec(any::<u8>(), 0..3_000),
        proptest::option::of(vec(any::<u8>(), 0..100)),
        proptest::option::of(name()),
        constraints(),
        purposes(),
    );
    import.prop_map(|(form, key, passphrase, name, constraints, purposes)| {
        Body::Import(form, key, passphrase, name, constraints, purposes)
    })
}

fn purposes() -> impl Strategy<Value = Vec<Purpose>> {
    prop::sample::subsequence(Purpose::ALL.to_vec(), 0..=8)
}

/// Messages of the vectors with bytes changed, put in and taken out: near to
/// what is right, where a decoder's mistakes are.
fn nearly(list: &'static str) -> impl Strategy<Value = (Option<Kind>, Vec<u8>)> {
    let vectors = vectors();
    let golden: Vec<_> = vectors[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let kind = it["kind"].as_u64().map(|kind| u8::try_from(kind).unwrap());
            (kind.and_then(Kind::from_number), bytes(it, "bytes"))
        })
        .collect();
    let edits = vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4);
    (prop::sample::select(golden), edits).prop_map(|((kind, mut bytes), edits)| {
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len().max(1));
            match edit {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        (kind, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_there_and_back(
        body in body(), id: [u8; 16], unix_s: u64, wait_s in 1..=300_u16, want_ack: bool,
    ) {
        let body = body.into_request_body();
        let request = Request { id: RequestId(id), unix_s, wait_s, want_ack, body };
        let encoded = encode_request(&request);
        let decoded = decode_request(&encoded).unwrap();
        prop_assert_eq!(decoded.id, request.id);
        prop_assert_eq!((decoded.unix_s, decoded.wait_s), (unix_s, wait_s));
        prop_assert_eq!(decoded.want_ack, want_ack);
        prop_assert_eq!(decoded.body.kind(), request.body.kind());
        prop_assert_eq!(encode_request(&decoded), encoded);
    }

    #[test]
    fn a_request_that_is_read_has_one_encoding((_, bytes) in nearly("requests")) {
        if let Ok(request) = decode_request(&bytes) {
            prop_assert_eq!(encode_request(&request), bytes);
        }
    }

    #[test]
    fn a_response_that_is_read_has_one_encoding((kind, bytes) in nearly("responses")) {
        if let Ok(response) = decode_response(&bytes, |_| kind) {
            let written = encode_response(&response);
            // What later versions add is left out of what is read.
            prop_assert!(written == bytes || written.len() < bytes.len());
            let again = decode_response(&written, |_| kind).unwrap();
            prop_assert_eq!(again.body, response.body);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), kind in 0..Kind::ALL.len()) {
        if let Ok(request) = decode_request(&bytes) {
            prop_assert_eq!(encode_request(&request), bytes.clone());
        }
        if let Ok(response) = decode_response(&bytes, |_| Some(Kind::ALL[kind])) {
            prop_assert!(encode_response(&response).len() <= bytes.len());
        }
        if let Ok(receipt) = decode_receipt(&bytes) {
            prop_assert_eq!(encode_receipt(&receipt), bytes.clone());
        }
        if let Ok(item) = Item::decode(&bytes) {
            prop_assert_eq!(item.encode(), bytes);
        }
    }

    #[test]
    fn any_text_is_an_offer_or_none(text in "\\PC*") {
        if let Ok(offer) = Offer::parse(&text) {
            prop_assert!(Offer::parse(&offer.link()).is_ok());
        }
    }

    #[test]
    fn words_that_were_fitted_may_stand_in_a_message(
        words in vec(any::<String>(), 0..80), path: String, what: String,
    ) {
        let mut evidence = Evidence {
            process_path: Some(path),
            arguments: words.clone(),
            files: words.clone(),
            parents: words.clone(),
            host_names: words,
            intent: Some(Intent { id: [1; 16], what, count: None }),
            ..Evidence::default()
        };
        fit_evidence(&mut evidence);
        let sign = SignRequest {
            key: KeyId([2; 32]),
            form: SignForm::Ssh,
            content: Vec::new(),
            flags: 0,
            evidence, identity: None, };
        let encoded = encode_request(&Request {
            id: RequestId([1; 16]),
            unix_s: 0,
            wait_s: 1,
            want_ack: false,
            body: RequestBody::Sign(sign.clone()),
        });
        let RequestBody::Sign(read) = decode_request(&encoded).unwrap().body else {
            panic!("another kind");
        };
        prop_assert_eq!(read, sign);
    }

    #[test]
    fn what_is_showable_may_stand_in_a_message(text in any::<String>(), bytes_max in 0..100_usize) {
        let clean = showable(&text, bytes_max);
        prop_assert!(clean.len() <= bytes_max);
        prop_assert!(!clean.chars().any(is_unsafe_to_show));
    }

    /// Whatever a relay does to the order and number of items, frames come
    /// out in order, each once, and all of them if the last gap closes.
    #[test]
    fn frames_come_out_in_order(
        arrive in vec(0..20_u32, 0..120),
    ) {
        let mut conns = Conns::default();
        let mut got = Vec::new();
        for seq in arrive {
            let frame = [0, 5, 1, 0, 0, 0, u8::try_from(seq).unwrap()];
            let item = Item { conn: ConnId([1; 8]), seq, frame: &frame }.encode();
            if let Ok(received) = conns.receive(0, MailboxId([0; 16]), &item, |it| it == 1) {
                got.extend(received.frames.into_iter().map(|it| u32::from(it[6])));
            }
        }
        let expected: Vec<u32> = (0..u32::try_from(got.len()).unwrap()).collect();
        prop_assert_eq!(got, expected);
    }
}
