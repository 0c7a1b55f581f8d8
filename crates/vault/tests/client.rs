//! What a client of a key server seals, before `spec/vectors/client.json`, which was made
//! without this code; and that nothing else opens.
#![expect(clippy::unwrap_used, reason = "a test; what its functions do fails it")]

use keystead_core::{Secret, SecretBytes};
use keystead_vault::Cost;
use keystead_vault::client::{
    AuthenticatorSlot, Copied, LocalCopy, LocalError, LocalKey, MasterKey, NamesKey, NotOpened,
    Place, Portable, RecoveryCode, StorageKey, Value,
};
use keystead_vault::held::Kind;
use rand_core::{CryptoRng, RngCore};
use serde_json::Value as Json;

/// Randomness that is known: these bytes, one behind the other.
struct Given(Vec<u8>);

impl RngCore for Given {
    fn next_u32(&mut self) -> u32 {
        unreachable!("nothing here draws numbers")
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("nothing here draws numbers")
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&std::mem::replace(&mut self.0, rest));
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Given {}

fn vectors() -> Json {
    serde_json::from_str(include_str!("../../../spec/vectors/client.json")).unwrap()
}

fn hex(json: &Json) -> Vec<u8> {
    let text = json.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn array<const N: usize>(json: &Json) -> [u8; N] {
    hex(json).try_into().unwrap()
}

fn secret<const N: usize>(json: &Json) -> Secret<N> {
    Secret::take(&mut array(json))
}

fn bytes(mut bytes: Vec<u8>) -> SecretBytes {
    SecretBytes::take(&mut bytes)
}

fn storage_key(all: &Json) -> StorageKey {
    StorageKey::draw(&mut Given(hex(&all["storage_key"])))
}

fn kind(json: &Json) -> Kind {
    Kind::from_number(json.as_u64().unwrap().try_into().unwrap()).unwrap()
}

#[test]
fn the_storage_key_hangs_on_the_export_key() {
    let all = vectors();
    let user = array(&all["user_id"]);
    let master = MasterKey::derive(secret(&all["export_key"]));
    assert_eq!(master.to_keep().expose()[..], hex(&all["master_key"]));
    let key = storage_key(&all);
    let rng = &mut Given(hex(&all["storage_key_nonce"]));
    let sealed = master.seal_storage_key(&user, &key, rng);
    assert_eq!(sealed[..], hex(&all["sealed_storage_key"]));

    // What is opened seals as the one that was sealed.
    let opened = master.open_storage_key(&user, &sealed).ok().unwrap();
    let nonce = &all["labels"][0]["nonce"];
    let (user_id, key_id) = (array(&all["user_id"]), array(&all["key_id"]));
    let place = Place {
        user: &user_id,
        key: &key_id,
    };
    let label = |key: &StorageKey| key.seal_label(place, 0, "mail", &mut Given(hex(nonce)));
    assert_eq!(label(&opened), label(&key));

    let mut other = user;
    other[31] ^= 1;
    assert!(master.open_storage_key(&other, &sealed).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(master.open_storage_key(&user, &altered).is_err(), "{bit}");
    }
    let kept = MasterKey::kept(secret(&all["master_key"]));
    assert!(kept.open_storage_key(&user, &sealed).is_ok());
}

#[test]
fn values_are_sealed_for_their_place_context_and_kind() {
    let all = vectors();
    let key = storage_key(&all);
    let (user, key_id) = (array(&all["user_id"]), array(&all["key_id"]));
    let place = Place {
        user: &user,
        key: &key_id,
    };
    for vector in all["values"].as_array().unwrap() {
        let context = vector["context"].as_str().unwrap();
        let kind = kind(&vector["type"]);
        let value = Value::of(kind, bytes(hex(&vector["secret"]))).ok().unwrap();
        let nonce = hex(&vector["nonce"]);
        let sealed = key.seal_value(place, context, &value, &mut Given(nonce));
        assert_eq!(sealed, hex(&vector["sealed"]));
        let open = |place, context, kind, sealed: &[u8]| {
            let opened = key.open_value(place, context, kind, sealed);
            opened.map(|it| it.bytes().expose().to_vec())
        };
        assert_eq!(
            open(place, context, kind, &sealed),
            Ok(hex(&vector["secret"]))
        );
        // Fault W12: another of the user's secrets, another user's, in another role.
        let (other_user, other_key) = ([0x12; 32], [0; 16]);
        let others = [
            Place {
                user: &other_user,
                ..place
            },
            Place {
                key: &other_key,
                ..place
            },
        ];
        for other in others {
            assert_eq!(open(other, context, kind, &sealed), Err(NotOpened));
        }
        for other in ["client-generated", "imported key", "stored", "", "label"] {
            if other != context {
                assert_eq!(open(place, other, kind, &sealed), Err(NotOpened));
            }
        }
        for other in Kind::ALL.into_iter().filter(|it| *it != kind) {
            assert_eq!(open(place, context, other, &sealed), Err(NotOpened));
        }
        for len in 0..sealed.len() {
            assert_eq!(open(place, context, kind, &sealed[..len]), Err(NotOpened));
        }
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(place, context, kind, &altered), Err(NotOpened));
        }
        let associated = [&user[..], &key_id, context.as_bytes()].concat();
        let portable = Portable::write(value.bytes(), &associated);
        assert_eq!(portable.expose(), hex(&vector["portable"]));
    }
}

#[test]
fn labels_are_sealed_for_their_place_and_revision() {
    let all = vectors();
    let key = storage_key(&all);
    let (user, key_id) = (array(&all["user_id"]), array(&all["key_id"]));
    let place = Place {
        user: &user,
        key: &key_id,
    };
    for vector in all["labels"].as_array().unwrap() {
        let label = vector["label"].as_str().unwrap();
        let revision = u32::try_from(vector["revision"].as_u64().unwrap()).unwrap();
        let nonce = hex(&vector["nonce"]);
        let sealed = key.seal_label(place, revision, label, &mut Given(nonce));
        assert_eq!(sealed, hex(&vector["sealed"]));
        let open = |place, revision| {
            let opened = key.open_label(place, revision, &sealed);
            opened.map(|it| it.expose().to_vec())
        };
        assert_eq!(open(place, revision), Ok(label.as_bytes().to_vec()));
        assert_eq!(open(place, revision + 1), Err(NotOpened));
        let other = Place {
            key: &[0; 16],
            ..place
        };
        assert_eq!(open(other, revision), Err(NotOpened));
    }
}

#[test]
fn the_local_key_opens_by_passphrase_or_authenticator() {
    let all = vectors();
    let local = &all["local"];
    let key = LocalKey::draw(&mut Given(hex(&local["key"])));
    let passphrase = bytes(local["passphrase"].as_str().unwrap().into());
    let drawn = [hex(&local["salt"]), hex(&local["passphrase_nonce"])].concat();
    let file = key.seal_by_passphrase(&passphrase, Cost::LEAST, &mut Given(drawn));
    let file = file.unwrap();
    assert_eq!(file, hex(&local["by_passphrase"]));

    let slot = AuthenticatorSlot {
        keeper: local["keeper"].as_str().unwrap().to_owned(),
        salt: array(&local["authenticator_salt"]),
    };
    let derived = secret(&local["derived"]);
    let nonce = hex(&local["authenticator_nonce"]);
    let by_authenticator = slot.seal(&key, &derived, &mut Given(nonce));
    assert_eq!(by_authenticator, hex(&local["by_authenticator"]));
    assert_eq!(AuthenticatorSlot::of_file(&by_authenticator), Ok(slot));

    // Both give the key that opens what either has sealed.
    let copy = LocalCopy::decode(&hex(&all["copy"]["file"])).unwrap();
    let wanted = copy.copied().clone();
    for opened in [
        LocalKey::open_by_passphrase(&passphrase, &file)
            .ok()
            .unwrap(),
        AuthenticatorSlot::open(&by_authenticator, &derived)
            .ok()
            .unwrap(),
    ] {
        assert!(copy.open(&opened, &wanted).is_ok());
    }

    let wrong = bytes(b"open sesam".to_vec());
    let opened = LocalKey::open_by_passphrase(&wrong, &file);
    assert_eq!(opened.err(), Some(LocalError::WrongKey));
    let wrong = secret(&local["key"]);
    let opened = AuthenticatorSlot::open(&by_authenticator, &wrong);
    assert_eq!(opened.err(), Some(LocalError::WrongKey));
    let opened = LocalKey::open_by_passphrase(&passphrase, &by_authenticator);
    assert_eq!(opened.err(), Some(LocalError::Damaged));
    assert_eq!(AuthenticatorSlot::of_file(&file), Err(LocalError::Damaged));
    for len in 0..file.len() {
        let opened = LocalKey::open_by_passphrase(&passphrase, &file[..len]);
        assert_eq!(opened.err(), Some(LocalError::Damaged), "{len}");
    }
    for len in 0..by_authenticator.len() {
        let read = AuthenticatorSlot::of_file(&by_authenticator[..len]);
        assert_eq!(read, Err(LocalError::Damaged), "{len}");
    }
}

#[test]
fn a_copy_opens_as_what_it_was_made_for() {
    let all = vectors();
    let (vector, local) = (&all["copy"], &all["local"]);
    let key = LocalKey::draw(&mut Given(hex(&local["key"])));
    let copied = Copied {
        server: array(&vector["server_id"]),
        user: array(&all["user_id"]),
        key: array(&all["key_id"]),
        context: vector["context"].as_str().unwrap().to_owned(),
        kind: kind(&vector["type"]),
    };
    let value = Value::of(copied.kind, bytes(hex(&vector["secret"])));
    let rng = &mut Given(hex(&vector["nonce"]));
    let copy = LocalCopy::seal(&key, copied.clone(), &value.ok().unwrap(), rng);
    let file = copy.encode();
    assert_eq!(file, hex(&vector["file"]));
    let read = LocalCopy::decode(&file).unwrap();
    assert_eq!(read, copy);
    let opened = read.open(&key, &copied).ok().unwrap();
    assert_eq!(opened.bytes().expose(), hex(&vector["secret"]));

    let changes: [fn(&mut Copied); 5] = [
        |it| it.server[0] ^= 1,
        |it| it.user[0] ^= 1,
        |it| it.key[0] ^= 1,
        |it| it.context.push('s'),
        |it| it.kind = Kind::Arbitrary,
    ];
    for change in changes {
        let mut wanted = copied.clone();
        change(&mut wanted);
        assert_eq!(read.open(&key, &wanted).err(), Some(NotOpened));
    }
    for len in 0..file.len() {
        let opened = LocalCopy::decode(&file[..len]).map(|it| it.open(&key, &copied).is_ok());
        assert_ne!(opened, Some(true), "{len}");
    }
    for bit in 0..file.len() * 8 {
        let mut altered = file.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        // What stands in the head is not asked when it is opened for what was wanted.
        let head_bytes = file.len() - 24 - 16 - 37;
        let opened = LocalCopy::decode(&altered).map(|it| it.open(&key, &copied).is_ok());
        let is_in_head = bit / 8 < head_bytes;
        assert!(is_in_head || opened != Some(true), "{bit}");
    }
}

#[test]
fn names_and_recovery_codes() {
    let all = vectors();
    let names = &all["names"];
    let key = NamesKey::from_file(&bytes(hex(&names["key"]))).unwrap();
    let sealed = key.seal(&hex(&names["list"]), &mut Given(hex(&names["nonce"])));
    assert_eq!(sealed, hex(&names["sealed"]));
    assert_eq!(
        key.open(&sealed).ok().unwrap().expose(),
        hex(&names["list"])
    );
    assert!(key.open(&sealed[1..]).is_err());
    assert!(NamesKey::from_file(&bytes(vec![7; 31])).is_none());
    assert!(NamesKey::from_file(&bytes(vec![7; 33])).is_none());

    let code = &all["recovery_code"];
    let drawn = RecoveryCode::draw(&mut Given(hex(&code["code"])));
    let text = code["text"].as_str().unwrap();
    assert_eq!(drawn.to_text().expose(), text.as_bytes());
    let read = RecoveryCode::read(text.as_bytes()).ok().unwrap();
    assert_eq!(read.secret().expose()[..], hex(&code["code"]));
}
