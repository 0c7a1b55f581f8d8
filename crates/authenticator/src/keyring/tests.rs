//! The keyring on a disk in memory, and what it signs before the installed `ssh-keygen`.

use std::path::Path;
use std::process::{Command, Stdio};

use keystead_core::{ImportRequest, KeyForm};
use keystead_daemon::MemoryDisk;
use keystead_formats::ssh::sshsig::{Detached, HashAlgorithm, SshSig};
use keystead_formats::ssh::wire::Writer;
use keystead_vault::Presence;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

fn secret(text: &str) -> SecretBytes {
    SecretBytes::take(&mut text.as_bytes().to_vec())
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

struct World {
    keys: Keyring,
    disk: MemoryDisk,
    rng: ChaCha20Rng,
}

impl World {
    /// With one key, `main`.
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let disk = MemoryDisk::default();
        let keys = Keyring::create(name("phone"), &secret("open"), Cost::LEAST, &mut rng).unwrap();
        let mut world = Self { keys, disk, rng };
        world.make("main", KeyType::Ed25519).unwrap();
        world
    }

    fn make(&mut self, text: &str, key_type: KeyType) -> Result<KeyEntry, MakeKeyError> {
        self.keys
            .make_key(&name(text), key_type, &mut self.rng, &mut self.disk)
    }

    fn import(
        &mut self,
        candidate: Candidate,
        pairing: Option<PairingId>,
    ) -> Result<KeyEntry, ImportKeyError> {
        let (rng, disk) = (&mut self.rng, &mut self.disk);
        self.keys.import(candidate, pairing, NOW_UNIX_S, rng, disk)
    }

    fn sign(&mut self, id: &KeyId, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.keys
            .sign(&Chosen::Stored(*id), message, HOW, &mut self.disk)
    }

    fn signs(&mut self, entry: &KeyEntry) -> bool {
        let signature = self.sign(&entry.id, b"message").unwrap();
        let public = PublicKey::from_blob(&entry.public_key).unwrap();
        public.verify(b"message", &signature).is_ok()
    }

    /// After a restart, unlocked.
    fn restarted(mut self) -> Self {
        self.keys = Keyring::load(&self.disk).unwrap();
        self.keys.unlock(&secret("open")).unwrap();
        self
    }
}

const HOW: How = How {
    flags: 4,
    presence: Some(Presence::USER),
};

const NOW_UNIX_S: u64 = 1_800_000_000;

const LAPTOP: PairingId = PairingId([1; 8]);

/// RFC 8032 section 7.1, test 1: type and fields as an agent's message has them.
fn added() -> SecretBytes {
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let public = keystead_core::hex::decode(public).unwrap();
    let both = [keystead_core::hex::decode(seed).unwrap(), public.clone()].concat();
    let mut bytes = Writer::new()
        .string(b"ssh-ed25519")
        .string(&public)
        .string(&both)
        .into_bytes();
    SecretBytes::take(&mut bytes)
}

fn candidate(constraints: Constraints) -> Result<Candidate, CandidateError> {
    Candidate::of_request(ImportRequest {
        form: KeyForm::Agent,
        key: added(),
        passphrase: None,
        name: Some(name("work")),
        constraints,
        purposes: Vec::new(),
    })
}

fn for_seconds(lifetime_s: u32) -> Candidate {
    candidate(Constraints {
        lifetime_s: Some(lifetime_s),
        ..Constraints::default()
    })
    .unwrap()
}

#[test]
fn keys_sign_when_unlocked_and_only_then() {
    let mut world = World::new();
    for key_type in KeyType::SSH {
        let made = world.make(key_type.as_str(), key_type).unwrap();
        assert!(world.signs(&made), "{key_type:?}");
    }
    world.keys = Keyring::load(&world.disk).unwrap();
    let entries = world.keys.entries().to_vec();
    assert_eq!(entries.len(), 1 + KeyType::SSH.len());
    assert!(world.keys.is_locked());
    let locked = |it: Result<Vec<u8>, SignError>| matches!(it, Err(SignError::Locked));
    assert!(locked(world.sign(&entries[0].id, b"message")));
    let error = world.keys.unlock(&secret("close")).unwrap_err();
    assert_eq!(error.to_string(), "wrong passphrase");
    world.keys.unlock(&secret("open")).unwrap();
    for entry in &entries {
        assert!(world.signs(entry), "{}", entry.name);
    }
    let unknown = world.sign(&KeyId([0; 32]), b"message");
    assert!(matches!(unknown, Err(SignError::Unknown)));
    world.keys.lock();
    assert!(locked(world.sign(&entries[0].id, b"message")));
}

#[test]
fn flags_and_presence_are_wanted_where_they_are_needed() {
    let mut world = World::new();
    let rsa = world.make("rsa", KeyType::Rsa3072).unwrap();
    let present = world.make("sk", KeyType::SkEd25519).unwrap();
    let mut error = |id: &KeyId, how: How| {
        let signed = world
            .keys
            .sign(&Chosen::Stored(*id), b"message", how, &mut world.disk);
        signed.unwrap_err().to_string()
    };
    let sha_1 = How { flags: 0, ..HOW };
    assert_eq!(
        error(&rsa.id, sha_1),
        "RSA key signs with SHA-256 or SHA-512 alone"
    );
    let absent = How {
        presence: None,
        ..HOW
    };
    assert_eq!(
        error(&present.id, absent),
        "key signs only with a statement of presence"
    );
}

/// The counter stands in the last four bytes of a signature with presence.
#[test]
fn no_number_is_stated_twice() {
    let mut world = World::new();
    let key = world.make("sk", KeyType::SkEcdsaP256).unwrap();
    let mut stated = Vec::new();
    for round in 0..6 {
        // A full disk: no signature, and its number is not given again.
        world.disk.faults.full_above_bytes = (round == 3).then_some(0);
        let signed = world.sign(&key.id, b"message");
        assert_eq!(signed.is_err(), round == 3);
        stated.extend(signed.ok().and_then(|it| it.last_chunk().copied()));
        world.disk.faults.full_above_bytes = None;
        if round % 2 == 1 {
            world = world.restarted();
        }
    }
    let stated: Vec<u32> = stated.into_iter().map(u32::from_be_bytes).collect();
    assert!(stated.is_sorted_by(|a, b| a < b), "{stated:?}");
}

#[test]
fn a_key_that_cannot_be_written_is_not_there() {
    let mut world = World::new();
    world.disk.faults.full_above_bytes = Some(10);
    let made = world.make("b", KeyType::Ed25519);
    assert!(matches!(made, Err(MakeKeyError::Disk(_))));
    let imported = world.import(for_seconds(10), Some(LAPTOP));
    assert!(matches!(imported, Err(ImportKeyError::Disk(_))));
    assert_eq!(world.keys.entries().len(), 1);
    world.disk.faults.full_above_bytes = None;
    world.make("b", KeyType::Ed25519).unwrap();
    let loaded = Keyring::load(&world.disk).unwrap();
    assert_eq!(loaded.entries(), world.keys.entries());
}

#[test]
fn names_are_taken_once_and_locked_makes_none() {
    let mut world = World::new();
    let again = world.make("main", KeyType::Ed25519);
    assert!(matches!(again, Err(MakeKeyError::Taken { .. })));
    world.keys.lock();
    let locked = world.make("b", KeyType::Ed25519);
    assert!(matches!(locked, Err(MakeKeyError::Locked)));
    let locked = world.import(for_seconds(1), None);
    assert!(matches!(locked, Err(ImportKeyError::Locked)));
}

#[test]
fn a_cut_file_is_named_and_a_missing_one_is_no_damage() {
    let World { mut disk, .. } = World::new();
    let whole = disk.read(KEYS_FILE).unwrap().unwrap();
    for len in 0..whole.len() - 1 {
        disk.plant(KEYS_FILE, &whole[..len]);
        let error = Keyring::load(&disk).err().unwrap().to_string();
        assert!(
            error.starts_with("the state file keys.json is damaged: "),
            "{error}"
        );
    }
    disk.remove(KEYS_FILE).unwrap();
    assert!(matches!(Keyring::load(&disk), Err(LoadError::NotMade)));
}

/// Golden: a file as the first version wrote it, its passphrase a zero byte.
#[test]
fn the_file_of_the_first_version_stays_readable() {
    let mut disk = MemoryDisk::default();
    disk.plant(KEYS_FILE, FIRST_VERSION.as_bytes());
    let mut keys = Keyring::load(&disk).unwrap();
    let passphrase = secret("\0");
    keys.unlock(&passphrase).unwrap();
    let mut world = World {
        keys,
        disk,
        rng: ChaCha20Rng::seed_from_u64(2),
    };
    world.make("second", KeyType::EcdsaP384).unwrap();
    world.keys = Keyring::load(&world.disk).unwrap();
    world.keys.unlock(&passphrase).unwrap();
    let entries = world.keys.entries().to_vec();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert!(world.signs(&entry), "{}", entry.name);
    }
}

const FIRST_VERSION: &str = r#"{
  "version": 1,
  "name": "phone",
  "store": "6b657973746561642d73746f72652d31000000080000000100000001000efec87c5749ec1157912e0e171f60de9e5341348819a2de99f140c59a424c79b11434a5fdc770412f6dfce566ec661a984407e6e62c442314682cf2800c40481bf29e4a9d577d01f6fa5a51868da47306a34fc80b6ccbb33e940cf08fa0d20220b9a3f6a07971c3c1e4e230c7406c33471058862833de",
  "keys": [
    "6b657973746561642d6b65792d3101046d61696e5925ba86e2189444a6c3b437b25d2ef35daecd1abf82c5fb36060f9fc0af428c2cf8ccb495646e17340d11bb581b17d3180d67443ccd0bdd5c97dfab68441418a2a9bac6f1947ff0f44911114d55ae8a8a569744bf010e113e03d4f3efc235ead81851e8ee05fc6e"
  ]
}
"#;

#[test]
fn what_is_brought_is_kept_with_its_limits_until_its_end() {
    let mut world = World::new();
    let entry = world.import(for_seconds(60), Some(LAPTOP)).unwrap();
    assert_eq!(entry.name, name("work"));
    let mut world = world.restarted();
    assert!(world.signs(&entry));
    let custody = world.keys.custody(&entry.id).unwrap();
    assert_eq!(custody.pairing, Some(LAPTOP));
    assert_eq!(custody.expires_unix_s, Some(NOW_UNIX_S + 60));
    assert_eq!(world.keys.brought_by(&LAPTOP), [entry.id]);
    assert_eq!(world.keys.brought_by(&PairingId([2; 8])), []);
    let main = world.keys.entries()[0].clone();
    assert_eq!(world.keys.custody(&main.id), None);

    let disk = &mut world.disk;
    let forgotten = world.keys.forget_expired(NOW_UNIX_S + 59, disk).unwrap();
    assert_eq!(forgotten, []);
    assert_eq!(world.keys.next_expiry_unix_s(), Some(NOW_UNIX_S + 60));
    let forgotten = world.keys.forget_expired(NOW_UNIX_S + 60, disk).unwrap();
    assert_eq!(forgotten, std::slice::from_ref(&entry));
    assert_eq!(world.keys.next_expiry_unix_s(), None);
    let gone = world.sign(&entry.id, b"message");
    assert!(matches!(gone, Err(SignError::Unknown)));
    let world = world.restarted();
    assert_eq!(world.keys.entries(), [main]);
}

#[test]
fn a_key_whose_time_is_over_signs_no_more_though_the_disk_is_full() {
    let mut world = World::new();
    let entry = world.import(for_seconds(60), Some(LAPTOP)).unwrap();
    world.disk.faults.full_above_bytes = Some(10);
    let after = NOW_UNIX_S + 61;
    assert!(world.keys.forget_expired(after, &mut world.disk).is_err());
    assert!(world.sign(&entry.id, b"message").is_err());
    world.disk.faults.full_above_bytes = None;
    let forgotten = world.keys.forget_expired(after, &mut world.disk).unwrap();
    assert_eq!(forgotten, [entry]);
}

#[test]
fn the_same_key_again_gets_other_limits_from_who_brought_it_alone() {
    let mut world = World::new();
    let first = world.import(for_seconds(60), Some(LAPTOP)).unwrap();
    let again = world.import(for_seconds(90), Some(LAPTOP)).unwrap();
    assert_eq!(first, again);
    assert_eq!(world.keys.next_expiry_unix_s(), Some(NOW_UNIX_S + 90));
    assert!(world.signs(&again));
    for other in [Some(PairingId([2; 8])), None] {
        let refused = world.import(for_seconds(900), other).unwrap_err();
        assert_eq!(refused.to_string(), "this key is here already, as work");
    }
    let world = world.restarted();
    assert_eq!(world.keys.entries().len(), 2);
    assert_eq!(world.keys.next_expiry_unix_s(), Some(NOW_UNIX_S + 90));
}

#[test]
fn a_taken_name_is_numbered() {
    let mut world = World::new();
    world.make("work", KeyType::Ed25519).unwrap();
    let entry = world.import(for_seconds(60), None).unwrap();
    assert_eq!(entry.name, name("work 2"));
}

#[test]
fn removed_is_gone_from_file_and_memory() {
    let mut world = World::new();
    let main = world.keys.entries()[0].clone();
    let entry = world.import(for_seconds(60), None).unwrap();
    let unknown = [KeyId([0; 32])];
    assert_eq!(world.keys.remove(&unknown, &mut world.disk).unwrap(), []);
    world.disk.faults.full_above_bytes = Some(0);
    assert!(world.keys.remove(&[main.id], &mut world.disk).is_err());
    assert!(world.signs(&main));
    world.disk.faults.full_above_bytes = None;
    let removed = world.keys.remove(&[main.id], &mut world.disk).unwrap();
    assert_eq!(removed, std::slice::from_ref(&main));
    assert!(world.sign(&main.id, b"message").is_err());
    assert!(world.signs(&entry));
    let text = world.disk.read(KEYS_FILE).unwrap().unwrap();
    let mut world = world.restarted();
    assert_eq!(world.keys.entries(), std::slice::from_ref(&entry));
    assert!(world.signs(&entry));
    let public = keystead_core::hex::encode(&main.public_key);
    assert!(!String::from_utf8(text).unwrap().contains(&public));
}

#[test]
fn a_limit_that_is_not_enforced_here_makes_no_candidate() {
    let check = |constraints: Constraints, expected: &str| {
        let error = candidate(constraints).err().unwrap();
        assert_eq!(error.to_string(), expected);
    };
    check(
        Constraints {
            destinations: Some(vec![0, 0, 0, 9]),
            ..Constraints::default()
        },
        "the destinations that the key is limited to cannot be read",
    );
    check(
        Constraints {
            sk_provider: Some("internal".into()),
            ..Constraints::default()
        },
        "the private half of this key is in a security token",
    );
    check(
        Constraints {
            certificates: Some(keystead_core::Certificates {
                only: false,
                blobs: Vec::new(),
            }),
            ..Constraints::default()
        },
        "the keys of a token stay in it",
    );
}

/// `ssh-keygen -Y verify` takes a signature of every kind of key that is made here.
#[test]
fn the_installed_ssh_keygen_verifies_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new();
    for key_type in KeyType::SSH {
        let entry = world.make(key_type.as_str(), key_type).unwrap();
        for flags in [2, 4] {
            let how = How { flags, ..HOW };
            let keys = &mut world.keys;
            let sshsig = sshsig(&entry, |blob| {
                keys.sign(&Chosen::Stored(entry.id), blob, how, &mut world.disk)
                    .unwrap()
            });
            assert!(is_verified(folder.path(), &entry, &sshsig), "{key_type:?}");
        }
    }
}

const MESSAGE: &[u8] = b"what is signed\n";

/// An armoured signature over [`MESSAGE`].
fn sshsig(entry: &KeyEntry, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = SshSig::of("file", HashAlgorithm::Sha512, MESSAGE);
    let detached = Detached {
        key: PublicKey::from_blob(&entry.public_key).unwrap(),
        namespace: signed.namespace.clone(),
        hash_algorithm: signed.hash_algorithm,
        signature: sign(&signed.encode()),
    };
    detached.armour()
}

fn is_verified(folder: &Path, entry: &KeyEntry, sshsig: &str) -> bool {
    let public = PublicKey::from_blob(&entry.public_key).unwrap();
    let signers = folder.join("allowed_signers");
    std::fs::write(&signers, format!("alex {}\n", public.line("alex"))).unwrap();
    let signature = folder.join("signature");
    std::fs::write(&signature, sshsig).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-I", "alex", "-n", "file"])
        .args([
            "-f",
            signers.to_str().unwrap(),
            "-s",
            signature.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), MESSAGE).unwrap();
    child.wait().unwrap().success()
}
