//! `spec/vectors/wallet.json`: every row of the public documents' vectors.

use aws_lc_rs::digest::{SHA256, digest};
use keystead_core::{Identity, SecretBytes};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;

use super::*;
use crate::sealed::SealedKeyError;
use crate::{AgreementKey, Cost, RawSignature, SigningError};

fn table() -> Value {
    serde_json::from_str(include_str!("../../../../spec/vectors/wallet.json")).unwrap()
}

fn rows<'a>(table: &'a Value, name: &str, count: usize) -> &'a Vec<Value> {
    let rows = table[name].as_array().unwrap();
    assert_eq!(rows.len(), count, "rows of {name}");
    rows
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn bytes(row: &Value, name: &str) -> Vec<u8> {
    unhex(text(row, name))
}

fn curve(row: &Value) -> Curve {
    text(row, "curve").parse().unwrap()
}

fn path(row: &Value) -> Vec<u32> {
    let steps = row["path"].as_array().unwrap().iter();
    steps
        .map(|it| u32::try_from(it.as_u64().unwrap()).unwrap())
        .collect()
}

fn seed(row: &Value) -> Seed {
    let words = Words::read(text(row, "words").as_bytes()).unwrap();
    let passphrase = SecretBytes::take(&mut text(row, "passphrase").as_bytes().to_vec());
    words.seed(&passphrase).unwrap()
}

fn derivation(row: &Value) -> Derivation {
    Derivation::from_number(row["purpose"].as_u64().unwrap()).unwrap()
}

fn index(row: &Value) -> u32 {
    row["index"].as_u64().unwrap().try_into().unwrap()
}

#[test]
fn words_and_seeds_of_bip_39() {
    let table = table();
    let mut extended = 0;
    for row in rows(&table, "words", 97) {
        let seed = seed(row);
        assert_eq!(seed.expose(), bytes(row, "seed"), "{row}");
        let master = Node::master(Curve::Secp256k1, seed.expose());
        assert_eq!(master.key().as_slice(), bytes(row, "master"));
        assert_eq!(master.chain().as_slice(), bytes(row, "master_chain"));
        // The table's rows from elsewhere have none.
        if row.get("xprv").is_some() {
            extended += 1;
            let private = Extended::read(text(row, "xprv"));
            assert_eq!((private.version, private.depth), (XPRV, 0));
            assert_eq!(private.number, 0);
            assert_eq!(private.chain, bytes(row, "master_chain"));
            assert_eq!(private.key, [&[0], &bytes(row, "master")[..]].concat());
        }
    }
    assert_eq!(extended, 96);
}

/// A key as BIP-32 writes it ("Serialization format"): Base58 with four bytes of SHA-256 twice.
struct Extended {
    version: [u8; 4],
    depth: u8,
    number: u32,
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl Extended {
    fn read(text: &str) -> Self {
        let mut bytes = [0_u8; 82];
        for digit in text.bytes() {
            let mut carry = BASE58.bytes().position(|it| it == digit).unwrap();
            for byte in bytes.iter_mut().rev() {
                carry += usize::from(*byte) * 58;
                *byte = u8::try_from(carry % 256).unwrap();
                carry /= 256;
            }
            assert_eq!(carry, 0, "longer than an extended key: {text}");
        }
        let (body, sum) = bytes.split_at(78);
        let sha256 = |it: &[u8]| digest(&SHA256, it);
        assert_eq!(&sha256(sha256(body).as_ref()).as_ref()[..4], sum, "{text}");
        Self {
            version: body[..4].try_into().unwrap(),
            depth: body[4],
            // Behind it four bytes of the parent's hash, which no derivation needs.
            number: u32::from_be_bytes(body[9..13].try_into().unwrap()),
            chain: body[13..45].to_vec(),
            key: body[45..].to_vec(),
        }
    }
}

fn compressed(point: &[u8]) -> Vec<u8> {
    [&[2 + point[64] % 2], &point[1..33]].concat()
}

/// BIP-32, "Serialization format".
const XPRV: [u8; 4] = [0x04, 0x88, 0xad, 0xe4];
const XPUB: [u8; 4] = [0x04, 0x88, 0xb2, 0x1e];
const BASE58: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

#[test]
fn nodes_of_slip_0010_and_bip_32() {
    let table = table();
    let mut extended = 0;
    for row in rows(&table, "nodes", 69) {
        let master = Node::master(curve(row), &bytes(row, "seed"));
        let node = master.descendant(&path(row)).unwrap();
        assert_eq!(node.key().as_slice(), bytes(row, "private"), "{row}");
        assert_eq!(node.chain().as_slice(), bytes(row, "chain"), "{row}");
        let key = node.into_key();
        let public = match curve(row) {
            Curve::Curve25519 => {
                let key = AgreementKey::from_private(keystead_core::Algorithm::X25519, key);
                key.unwrap().public().clone()
            }
            other @ (Curve::Nist256p1 | Curve::Secp256k1 | Curve::Ed25519) => {
                SigningLeaf::new(other, key).unwrap().public().clone()
            }
        };
        assert_eq!(bare(&public), bytes(row, "public"), "{row}");
        if row.get("xprv").is_some() {
            extended += 1;
            for (name, version, key) in [
                ("xprv", XPRV, [&[0], &bytes(row, "private")[..]].concat()),
                ("xpub", XPUB, compressed(&bare(&public))),
            ] {
                let read = Extended::read(text(row, name));
                assert_eq!((read.version, &read.key), (version, &key), "{row}");
                assert_eq!(usize::from(read.depth), path(row).len());
                assert_eq!(read.number, path(row).last().copied().unwrap_or(0));
                assert_eq!(read.chain, bytes(row, "chain"));
            }
        }
    }
    assert_eq!(extended, 17);
}

#[test]
fn paths_of_slip_0013_and_0017() {
    let table = table();
    for row in rows(&table, "paths", 27) {
        let steps = path::of(text(row, "uri"), index(row), derivation(row));
        assert_eq!(steps.as_slice(), path(row), "{row}");
    }
}

#[test]
fn fingerprints_and_record_keys() {
    let table = table();
    for row in rows(&table, "wallets", 4) {
        let wallet = Wallet::new(seed(row)).unwrap();
        assert_eq!(wallet.fingerprint().to_string(), text(row, "fingerprint"));
        let key = wallet.record_key().unwrap();
        assert_eq!(key.key().as_slice(), bytes(row, "record_key"));
    }
}

#[test]
fn keys_signatures_and_shared_points() {
    let table = table();
    let mut signatures = 0;
    for row in rows(&table, "keys", 16) {
        let steps = path::of(text(row, "uri"), index(row), derivation(row));
        let key = derive(&seed(row), curve(row), &steps).unwrap();
        assert_eq!(key.expose().as_slice(), bytes(row, "private"), "{row}");
        if derivation(row) == Derivation::Agree {
            let identity = identity(row).unwrap();
            let key = AgreementKey::from_private(identity.algorithm(), key).unwrap();
            assert_eq!(bare(key.public()), bytes(row, "public"));
            if row.get("peer").is_some() {
                let shared = key.agree(&bytes(row, "peer")).unwrap();
                assert_eq!(shared.expose(), bytes(row, "shared"), "{row}");
                signatures += 1;
            }
            continue;
        }
        let leaf = SigningLeaf::new(curve(row), key).unwrap();
        assert_eq!(bare(leaf.public()), bytes(row, "public"));
        if row.get("message").is_some() {
            let signature = leaf.sign_digest(&bytes(row, "message")).unwrap();
            assert_eq!(signature.as_slice(), bytes(row, "signature"), "{row}");
            signatures += 1;
        }
        if row.get("blob").is_some() {
            let RawSignature::EcdsaP256 { r, s } = leaf.sign(&bytes(row, "blob")).unwrap() else {
                panic!("{row}");
            };
            assert_eq!([r, s].concat(), bytes(row, "signature"));
        }
    }
    assert_eq!(signatures, 13);
}

fn identity(row: &Value) -> Option<Identity> {
    Identity::new(text(row, "uri"), curve(row), index(row), derivation(row)).ok()
}

/// The same by way of identities, where one can be: `https` has none here.
#[test]
fn wallets_give_the_keys_of_identities() {
    let table = table();
    let mut count = 0;
    for row in rows(&table, "keys", 16) {
        let Some(identity) = identity(row) else {
            continue;
        };
        count += 1;
        let wallet = Wallet::new(seed(row)).unwrap();
        let public = wallet.public_key(&identity).unwrap();
        assert_eq!(bare(&public), bytes(row, "public"));
        assert_eq!(public.algorithm(), identity.algorithm());
        let (signer, agreement) = (wallet.signer(&identity), wallet.agreement(&identity));
        match identity.derivation() {
            Derivation::Sign => assert_eq!(agreement.err(), Some(WalletError::Use)),
            Derivation::Agree => assert_eq!(signer.err(), Some(WalletError::Use)),
        }
    }
    assert_eq!(count, 14);
}

#[test]
fn a_leaf_signs_no_short_digest_and_no_foreign_form() {
    let wallet = wallet();
    let leaf = |uri, curve| {
        let identity = Identity::new(uri, curve, 0, Derivation::Sign).unwrap();
        wallet.signer(&identity).unwrap()
    };
    for curve in [Curve::Nist256p1, Curve::Secp256k1] {
        let leaf = leaf("gpg://a", curve);
        assert_eq!(leaf.sign_digest(&[1; 31]).err(), Some(SigningError::Unfit));
        // A longer one counts by its first 32 bytes.
        let cut = leaf.sign_digest(&[1; 32]);
        assert_eq!(leaf.sign_digest(&[1; 64]), cut);
    }
    let bitcoin = leaf("gpg://a", Curve::Secp256k1);
    assert_eq!(bitcoin.sign(b"ssh").err(), Some(SigningError::Unfit));
    let ed25519 = leaf("gpg://a", Curve::Ed25519);
    assert!(
        ed25519.sign_digest(&[1; 20]).is_ok(),
        "a message of any length"
    );
}

#[test]
fn a_seed_opens_in_its_own_store_alone_and_whole() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let [store, other] = [0, 1].map(|_| {
        let passphrase = SecretBytes::fill(1, |_| ());
        let made = StoreKey::create(&passphrase, Cost::LEAST, &mut rng);
        made.unwrap().0
    });
    let wallet = wallet();
    let sealed = wallet.seal(&store, &mut rng);
    let bytes = sealed.encode();
    let again = SealedSeed::decode(&bytes).unwrap();
    assert_eq!(again, sealed);
    assert_eq!(again.fingerprint(), wallet.fingerprint());
    let opened = again.open(&store).unwrap();
    assert_eq!(opened.fingerprint(), wallet.fingerprint());
    assert_eq!(sealed.open(&other).err(), Some(SealedKeyError::Forged));
    for len in 0..bytes.len() {
        let cut = SealedSeed::decode(&bytes[..len]);
        assert_eq!(cut, Err(SealedKeyError::Malformed), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(SealedSeed::decode(&longer), Err(SealedKeyError::Malformed));
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let opened = SealedSeed::decode(&altered).and_then(|it| it.open(&store));
        assert!(opened.is_err(), "bit {bit}");
    }
}

/// Golden: a seed sealed by this version must open in every later one.
#[test]
fn the_first_version_of_a_sealed_seed_stays_readable() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let passphrase = SecretBytes::fill(1, |_| ());
    let (store, _) = StoreKey::create(&passphrase, Cost::LEAST, &mut rng).unwrap();
    let bytes = wallet().seal(&store, &mut rng).encode();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, SEALED);
}

#[test]
fn a_record_opens_by_its_words_alone() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let wallet = wallet();
    let sealed = wallet.record_key().unwrap().seal(b"ssh://host", &mut rng);
    let opened = wallet.record_key().unwrap().open(&sealed);
    assert_eq!(opened.unwrap(), b"ssh://host");
    for len in 0..sealed.len() {
        let cut = wallet.record_key().unwrap().open(&sealed[..len]);
        assert_eq!(cut, Err(RecordError::Damaged), "{len}");
    }
    let altered = [&sealed[..], &[0]].concat();
    let opened = wallet.record_key().unwrap().open(&altered);
    assert_eq!(opened, Err(RecordError::Damaged));
    let words = Words::read(ALL.as_bytes()).unwrap();
    let passphrase = SecretBytes::take(&mut b"another".to_vec());
    let other = Wallet::new(words.seed(&passphrase).unwrap()).unwrap();
    let opened = other.record_key().unwrap().open(&sealed);
    let expected = RecordError::OtherWallet {
        theirs: wallet.fingerprint(),
        own: other.fingerprint(),
    };
    assert_eq!(opened, Err(expected));
    let foreign = wallet.record_key().unwrap().open(&[b'x'; 80]);
    assert_eq!(foreign, Err(RecordError::NoRecord));
}

fn wallet() -> Wallet {
    let words = Words::read(ALL.as_bytes()).unwrap();
    let none = SecretBytes::fill(0, |_| ());
    Wallet::new(words.seed(&none).unwrap()).unwrap()
}

/// Without what SSH wraps around it: the last field of a blob.
fn bare(public: &PublicKey) -> Vec<u8> {
    let bytes = if public.algorithm() == keystead_core::Algorithm::Ed25519 {
        32
    } else {
        65
    };
    let blob = public.to_blob();
    blob[blob.len().saturating_sub(bytes)..].to_vec()
}

const ALL: &str = "all all all all all all all all all all all all";

const SEALED: &str = "6b657973746561642d77616c6c65742d3144a58098b93606144264009e561c82d0d0f2ad46188474\
    8de63ad49e624a3893b3dbc276423e8866227788d77bbf53d3b5c2756876598552855fd5b7ea6e39\
    dc0911c48dd63bf28c335f4ace5fd130e603fe6d0864c053129229f68e1486698de6ad552a92712d\
    46655639b8";
