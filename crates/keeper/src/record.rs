//! A pairing's file: what is known of a keeper, and the channel keys for it.
//!
//! Invariant: a file is read whole or not at all. Its last line is a hash of
//! all others, so a cut or altered file is told from a good one, and the
//! secrets in it are in locked memory from the moment they are read.

use std::sync::Arc;

use keystead_channel::curve::{KeyPair, PublicKey};
use keystead_core::{
    KeyEntry, KeyId, Name, PairingId, Purpose, ReceiptChain, Secret, SecretBytes,
    WalletFingerprint, hex, labelled_hash,
};
use keystead_transport::RelayUrl;
use serde::{Deserialize, Serialize};

/// What is known of a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its name on this machine.
    pub(crate) name: Name,
    /// What it calls itself.
    pub(crate) authenticator: Name,
    pub(crate) keys: Vec<KeyEntry>,
    pub(crate) wallets: Vec<WalletFingerprint>,
    pub(crate) relays: Vec<RelayUrl>,
    /// `host:port`, or `unix:PATH`.
    pub(crate) addresses: Vec<String>,
    pub(crate) receipt_key: [u8; 32],
    pub(crate) paired_unix_s: u64,
    /// When keys and addresses were last asked for.
    pub(crate) me_unix_s: u64,
    pub(crate) is_used: bool,
    /// When the pairing was ended here, if it was.
    pub(crate) unpaired_unix_s: Option<u64>,
    pub(crate) receipts: ReceiptChain,
}

/// The secrets of a pairing, and whom they are for.
#[derive(Clone)]
pub(crate) struct Secrets {
    /// C, Cs.
    pub(crate) keys: Arc<KeyPair>,
    /// S.
    pub(crate) server: PublicKey,
    pub(crate) pair_key: Arc<Secret<32>>,
}

/// Why a file is no pairing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordFault {
    #[error("it is not the file of a pairing")]
    Foreign,
    #[error("it was written by a newer version")]
    Newer,
    #[error("it is cut off or altered")]
    Damaged,
    #[error("it cannot be understood: {0}")]
    Unreadable(String),
}

impl Secrets {
    pub(crate) fn id(&self) -> PairingId {
        PairingId::of(self.keys.public().as_bytes(), self.server.as_bytes())
    }
}

/// Where a pairing is stored, within the state folder.
pub(crate) fn file_of(pairing: PairingId) -> String {
    format!("{FOLDER}/{pairing}")
}

/// The file's bytes.
pub(crate) fn encode(record: &Record, secrets: &Secrets) -> SecretBytes {
    let json = serde_json::to_string(&Stored::from(record, &secrets.server)).unwrap_or_default();
    let head = format!("{FIRST_LINE}\n{json}\n{SECRETS}");
    let secrets_len = SECRET_DIGITS + 1;
    let body_len = head.len() + secrets_len;
    let len = body_len + CHECK.len() + HASH_DIGITS + 1;
    SecretBytes::fill(len, |file| {
        let (body, check) = file.split_at_mut(body_len);
        let (text, secret) = body.split_at_mut(head.len());
        text.copy_from_slice(head.as_bytes());
        write_secrets(secrets, secret);
        let line = format!("{CHECK}{}\n", hex::encode(&hash(body)));
        check.copy_from_slice(line.as_bytes());
    })
}

/// Reads a file, whole or not at all.
pub(crate) fn decode(file: &SecretBytes) -> Result<(Record, Secrets), RecordFault> {
    let file = file.expose();
    let first = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first != FIRST_LINE.as_bytes() {
        return Err(if FIRST_LINE.as_bytes().starts_with(first) {
            RecordFault::Damaged
        } else if first.starts_with(ANY_FIRST_LINE.as_bytes()) {
            RecordFault::Newer
        } else {
            RecordFault::Foreign
        });
    }
    let check_len = CHECK.len() + HASH_DIGITS + 1;
    let body_len = file.len().checked_sub(check_len);
    let (body, check) = body_len
        .and_then(|len| file.split_at_checked(len))
        .ok_or(RecordFault::Damaged)?;
    if check != format!("{CHECK}{}\n", hex::encode(&hash(body))).as_bytes() {
        return Err(RecordFault::Damaged);
    }
    let mut lines = body.split(|byte| *byte == b'\n').skip(1);
    let (Some(json), Some(secrets)) = (lines.next(), lines.next()) else {
        return Err(RecordFault::Damaged);
    };
    let stored: Stored =
        serde_json::from_slice(json).map_err(|error| RecordFault::Unreadable(error.to_string()))?;
    let unreadable = |what: &str| RecordFault::Unreadable(what.to_owned());
    let server = hex::decode_array(&stored.server).ok_or_else(|| unreadable("server"))?;
    let (client, pair_key) = read_secrets(secrets).ok_or_else(|| unreadable("secrets"))?;
    let record = stored.into_record()?;
    let secrets = Secrets {
        keys: Arc::new(KeyPair::from_secret(client)),
        server: PublicKey::new(server),
        pair_key: Arc::new(pair_key),
    };
    Ok((record, secrets))
}

fn write_secrets(secrets: &Secrets, line: &mut [u8]) {
    let (client, rest) = line.split_at_mut(SECRET_DIGITS / 2);
    let (pair_key, end) = rest.split_at_mut(SECRET_DIGITS / 2);
    hex::encode_into(secrets.keys.secret().expose(), client);
    hex::encode_into(secrets.pair_key.expose(), pair_key);
    end.copy_from_slice(b"\n");
}

fn read_secrets(line: &[u8]) -> Option<(Secret<32>, Secret<32>)> {
    let digits = line.strip_prefix(SECRETS.as_bytes())?;
    let (client, pair_key) = digits.split_at_checked(SECRET_DIGITS / 2)?;
    let read = |digits: &[u8]| {
        Secret::try_fill(|bytes| hex::decode_into(digits, bytes).then_some(()).ok_or(()))
    };
    Some((read(client).ok()?, read(pair_key).ok()?))
}

fn hash(body: &[u8]) -> [u8; 32] {
    labelled_hash("keystead-pairing-file-1", body)
}

/// The line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    authenticator: String,
    server: String,
    relays: Vec<String>,
    addresses: Vec<String>,
    receipt_key: String,
    paired_unix_s: u64,
    me_unix_s: u64,
    is_used: bool,
    unpaired_unix_s: Option<u64>,
    receipt_seq: u64,
    receipt_prev: String,
    keys: Vec<StoredKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wallets: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: String,
    algorithm: String,
    public_key: String,
    name: String,
    purposes: Vec<u8>,
}

impl Stored {
    fn from(record: &Record, server: &PublicKey) -> Self {
        Self {
            name: record.name.as_str().to_owned(),
            authenticator: record.authenticator.as_str().to_owned(),
            server: hex::encode(server.as_bytes()),
            relays: record.relays.iter().map(ToString::to_string).collect(),
            addresses: record.addresses.clone(),
            receipt_key: hex::encode(&record.receipt_key),
            paired_unix_s: record.paired_unix_s,
            me_unix_s: record.me_unix_s,
            is_used: record.is_used,
            unpaired_unix_s: record.unpaired_unix_s,
            receipt_seq: record.receipts.seq,
            receipt_prev: hex::encode(&record.receipts.prev),
            keys: record.keys.iter().map(StoredKey::from).collect(),
            wallets: record.wallets.iter().map(ToString::to_string).collect(),
        }
    }

    fn into_record(self) -> Result<Record, RecordFault> {
        let unreadable = |what: &str| RecordFault::Unreadable(what.to_owned());
        let name = |text: &str| Name::new(text).map_err(|error| unreadable(&error.to_string()));
        let relays = self.relays.iter().map(|text| text.parse::<RelayUrl>());
        let relays: Result<Vec<RelayUrl>, _> = relays.collect();
        let keys: Option<Vec<KeyEntry>> = self.keys.iter().map(StoredKey::entry).collect();
        let wallets = self.wallets.iter().map(|text| text.parse().ok());
        let wallets: Option<Vec<WalletFingerprint>> = wallets.collect();
        Ok(Record {
            name: name(&self.name)?,
            authenticator: name(&self.authenticator)?,
            keys: keys.ok_or_else(|| unreadable("keys"))?,
            wallets: wallets.ok_or_else(|| unreadable("wallets"))?,
            relays: relays.map_err(|error| unreadable(&error.to_string()))?,
            addresses: self.addresses,
            receipt_key: hex::decode_array(&self.receipt_key)
                .ok_or_else(|| unreadable("receipt_key"))?,
            paired_unix_s: self.paired_unix_s,
            me_unix_s: self.me_unix_s,
            is_used: self.is_used,
            unpaired_unix_s: self.unpaired_unix_s,
            receipts: ReceiptChain {
                seq: self.receipt_seq,
                prev: hex::decode_array(&self.receipt_prev)
                    .ok_or_else(|| unreadable("receipt_prev"))?,
            },
        })
    }
}

impl StoredKey {
    fn from(key: &KeyEntry) -> Self {
        Self {
            id: key.id.to_string(),
            algorithm: key.algorithm.clone(),
            public_key: hex::encode(&key.public_key),
            name: key.name.as_str().to_owned(),
            purposes: key.purposes.iter().map(|it| it.number()).collect(),
        }
    }

    fn entry(&self) -> Option<KeyEntry> {
        let purposes = self.purposes.iter().map(|it| Purpose::from_number(*it));
        Some(KeyEntry {
            id: self.id.parse::<KeyId>().ok()?,
            algorithm: self.algorithm.clone(),
            public_key: hex::decode(&self.public_key)?,
            name: Name::new(self.name.as_str()).ok()?,
            purposes: purposes.collect::<Option<_>>()?,
        })
    }
}

/// The folder of pairings, within the state folder.
pub(crate) const FOLDER: &str = "pairings";

const ANY_FIRST_LINE: &str = "keystead pairing ";

const FIRST_LINE: &str = "keystead pairing 1";

const SECRETS: &str = "secrets ";

const CHECK: &str = "check ";

/// Cs and pair_key, two digits a byte.
const SECRET_DIGITS: usize = 128;

/// BLAKE2b-256.
const HASH_DIGITS: usize = 64;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> (Record, Secrets) {
        let record = Record {
            name: Name::new("phone 2").unwrap(),
            authenticator: Name::new("phone").unwrap(),
            keys: vec![KeyEntry {
                id: KeyId([7; 32]),
                algorithm: "ssh-ed25519".to_owned(),
                public_key: vec![1, 2, 3],
                name: Name::new("main").unwrap(),
                purposes: vec![Purpose::SshLogin, Purpose::SshSig],
            }],
            wallets: vec![WalletFingerprint([1, 2, 3, 0xfe])],
            relays: vec!["https://relay.test".parse().unwrap()],
            addresses: vec!["192.0.2.7:4000".to_owned()],
            receipt_key: [9; 32],
            paired_unix_s: 1_700_000_000,
            me_unix_s: 1_700_000_001,
            is_used: true,
            unpaired_unix_s: None,
            receipts: ReceiptChain {
                seq: 3,
                prev: [4; 32],
            },
        };
        let secrets = Secrets {
            keys: Arc::new(KeyPair::from_secret(Secret::take(&mut [1; 32]))),
            server: KeyPair::from_secret(Secret::take(&mut [2; 32])).public(),
            pair_key: Arc::new(Secret::take(&mut [3; 32])),
        };
        (record, secrets)
    }

    fn fault(bytes: &[u8]) -> RecordFault {
        let file = SecretBytes::take(&mut bytes.to_vec());
        decode(&file).map(|_| ()).unwrap_err()
    }

    #[test]
    fn there_and_back() {
        let (record, secrets) = example();
        for unpaired_unix_s in [None, Some(1_700_000_002)] {
            let record = Record {
                unpaired_unix_s,
                ..record.clone()
            };
            let (read, read_secrets) = decode(&encode(&record, &secrets)).unwrap();
            assert_eq!(read, record);
            assert_eq!(read_secrets.id(), secrets.id());
            assert!(read_secrets.pair_key.ct_eq(&secrets.pair_key));
            assert!(read_secrets.keys.secret().ct_eq(secrets.keys.secret()));
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_told() {
        let (record, secrets) = example();
        let file = encode(&record, &secrets);
        let file = file.expose();
        for len in 0..file.len() {
            assert_eq!(fault(&file[..len]), RecordFault::Damaged, "{len}");
        }
        for at in 0..file.len() {
            let mut changed = file.to_vec();
            changed[at] ^= 1;
            fault(&changed);
        }
        fault(&[file, b"\n"].concat());
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(fault(b"something else\n"), RecordFault::Foreign);
        assert_eq!(fault(b"keystead pairing 2\n{}\n"), RecordFault::Newer);
    }

    #[test]
    fn secrets_stand_on_their_own_line_only() {
        let (record, secrets) = example();
        let file = encode(&record, &secrets);
        let text = std::str::from_utf8(file.expose()).unwrap();
        let secret = "01".repeat(32);
        let lines: Vec<bool> = text.lines().map(|line| line.contains(&secret)).collect();
        assert_eq!(lines, [false, false, true, false]);
    }
}
