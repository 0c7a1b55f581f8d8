//! Opens an authenticator's key store by the format that `keystead-vault`
//! documents, with libraries alone: what this reads, nobody else may find.

use argon2::{Algorithm, Argon2, Params, Version};
use keystead_sodium::xchacha;
use keystead_tests::{About, Failure, Result};
use serde_json::Value;

use crate::scan::Secrets;

/// All secrets of a `keys.json`.
pub(crate) fn secrets(file: &str, passphrase: &str) -> Result<Secrets> {
    let file: Value = serde_json::from_str(file).about("keys.json")?;
    let mut secrets = Secrets::default();
    secrets.add("passphrase", passphrase.as_bytes());
    let header = unhex(file.get("store").unwrap_or(&Value::Null))?;
    let mut reader = Reader(&header);
    reader.take(b"keystead-store-1".len())?;
    let mut number = || -> Result<u32> {
        let bytes = reader.take(4)?.try_into().about("number")?;
        Ok(u32::from_be_bytes(bytes))
    };
    let (memory_kib, passes, lanes) = (number()?, number()?, number()?);
    let salt = reader.take(16)?;
    let associated = reader.taken(&header);
    let nonce = reader.take(24)?;
    let boxed = reader.take(48)?;
    let mut key = [0; 32];
    Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(memory_kib, passes, lanes, Some(32)).about("Argon2id")?,
    )
    .hash_password_into(passphrase.as_bytes(), salt, &mut key)
    .about("Argon2id")?;
    secrets.add("passphrase key", &key);
    let store = open(&key, nonce, associated, boxed)?;
    secrets.add("store key", &store);
    for sealed in file
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let sealed = unhex(sealed)?;
        let mut reader = Reader(&sealed);
        if reader.take(LABEL.len())? != LABEL {
            return Err(Failure::new("a key of another version"));
        }
        let name = String::from_utf8_lossy(reader.string()?).into_owned();
        let (_public, _certificate, _custody) =
            (reader.string()?, reader.string()?, reader.string()?);
        let associated = reader.taken(&sealed);
        let nonce = reader.take(24)?;
        let private = open(&store, nonce, associated, reader.string()?)?;
        secrets.add(&format!("key {name}"), &private);
    }
    let wallets = file.get("wallets").and_then(Value::as_array);
    for sealed in wallets.into_iter().flatten() {
        let sealed = unhex(sealed)?;
        let mut reader = Reader(&sealed);
        // Label and fingerprint.
        reader.take(b"keystead-wallet-1".len() + 4)?;
        let associated = reader.taken(&sealed);
        let nonce = reader.take(24)?;
        let seed = open(&store, nonce, associated, reader.0)?;
        secrets.add("wallet seed", &seed);
    }
    Ok(secrets)
}

/// The private half in a file of `ssh-keygen -t ed25519 -N ''` (PROTOCOL.key of
/// OpenSSH): string public, then string of seed and public.
pub(crate) fn seed(file: &str) -> Result<Secrets> {
    let lines = file.lines().filter(|line| !line.starts_with("-----"));
    let bytes = unbase64(&lines.collect::<String>());
    let again = |of: &[u8], from: usize| {
        let rest = bytes.get(from..)?;
        rest.windows(of.len())
            .position(|it| it == of)
            .map(|at| from + at)
    };
    let kind = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
    let first = again(kind, 0).and_then(|first| again(kind, first + 1));
    let seed = first.and_then(|at| {
        let seed = at + kind.len() + 32 + 4;
        bytes.get(seed..seed + 32)
    });
    let mut secrets = Secrets::default();
    secrets.add(
        "added key",
        seed.ok_or_else(|| Failure::new("no such key"))?,
    );
    Ok(secrets)
}

fn unbase64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text
        .bytes()
        .filter_map(|it| DIGITS.iter().position(|digit| *digit == it));
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_usize, 0);
    for digit in digits {
        bits = (bits << 6 | digit) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from((bits >> count) & 0xff));
        }
    }
    bytes
}

fn open(key: &[u8], nonce: &[u8], associated: &[u8], boxed: &[u8]) -> Result<Vec<u8>> {
    let key = key.try_into().about("key")?;
    let nonce = nonce.try_into().about("nonce")?;
    xchacha::open(key, nonce, associated, boxed)
        .map(|opened| opened.as_slice().to_vec())
        .map_err(|_| Failure::new("the store does not open"))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(bytes)
            .ok_or_else(|| Failure::new("the store is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Behind its length (RFC 4251 section 5).
    fn string(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().about("length")?);
        self.take(usize::try_from(length).about("length")?)
    }

    /// What has been taken of the whole.
    fn taken<'b>(&self, whole: &'b [u8]) -> &'b [u8] {
        whole.get(..whole.len() - self.0.len()).unwrap_or_default()
    }
}

fn unhex(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().unwrap_or_default();
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).about("hex"))
        .collect()
}

/// What a kept key begins with.
const LABEL: &[u8] = b"keystead-key-2";
