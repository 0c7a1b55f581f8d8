//! `wallet find`: what a wallet was used for, where no record says it: by the names that a person
//! remembers, and by the public keys that are still about.
//!
//! **Invariant**: what a file says names candidates and nothing more: a key is found when the
//! wallet derives the very same.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::{Curve, Identity, IdentityParts, KeyId, Protocol, hex};
use keystead_daemon::home::Folders;
use keystead_formats::age::PluginIdentity;
use keystead_formats::age::identity::parse_recipient;
use keystead_formats::minisign;
use keystead_formats::openpgp::{KeyPacket, Transferable};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::key_id;
use keystead_formats::trezor_agent;

use super::keys::passphrase_where_locked;
use super::{ask, converse, strange};
use crate::control::{Command, IdentityLine, JSON_VERSION, Reply, WalletDeed};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::file;
use crate::program::passphrase::Source;
use crate::program::print;
use crate::show::Safe;

/// What is looked for, as it was typed.
pub(super) struct Wanted<'a> {
    pub(super) names: &'a [String],
    pub(super) users: &'a [String],
    pub(super) keys: Option<&'a Path>,
    pub(super) index_max: u32,
    pub(super) json: bool,
}

/// `wallet find [--user NAME]… [--keys FILE] [--index N] [NAME]…`
pub(super) fn find(folders: &Folders, wanted: &Wanted<'_>, source: Source) -> Result<(), Failure> {
    let mut uris = uris_of(wanted.names, wanted.users)?;
    let found_in = wanted.keys.map(Exported::read).transpose()?;
    let exported = found_in.unwrap_or_default();
    for uri in &exported.uris {
        push_new(&mut uris, uri.clone());
    }
    if uris.is_empty() {
        return Err(Failure::new(
            "nothing in the file says what its keys were derived from",
            "name the hosts, user ids or names to try",
        ));
    }
    let command = Command::Wallet {
        deed: WalletDeed::Find {
            uris,
            index_max: wanted.index_max,
            keys: exported.ids.iter().map(|id| hex::encode(&id.0)).collect(),
        },
    };
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        ask(talk, command, passphrase).await
    })?;
    let Reply::Identities { identities } = reply else {
        return Err(strange());
    };
    if wanted.json {
        return print::json(&serde_json::json!({
            "version": JSON_VERSION,
            "identities": identities,
        }));
    }
    if identities.is_empty() {
        print::talk("none of these keys is of an identity that was looked for");
    }
    for it in &identities {
        print::line(line_of(it))?;
    }
    exported.say_how_to_go_on(&identities);
    Ok(())
}

/// The key as its programs take it, and what it is derived from.
fn line_of(line: &IdentityLine) -> String {
    let details = line.details();
    match protocol_of(&line.identity) {
        // The comment of the key says it.
        Some(Protocol::Ssh) => format!("{} ({details})", line.key.public_key),
        // No program takes such a key without the rest of it.
        Some(Protocol::Gpg) => {
            let fingerprint = &line.key.fingerprint;
            format!("{} {fingerprint} ({details})", line.identity)
        }
        _ => format!("{} {} ({details})", line.key.public_key, line.identity),
    }
}

/// What a file of public keys tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct Exported {
    ids: Vec<KeyId>,
    /// Texts that its keys may have been derived from, by its own word.
    uris: Vec<String>,
    /// User ids of an OpenPGP key and when it was made: with another time it is another key.
    openpgp: Option<(Vec<String>, u32)>,
}

impl Exported {
    fn read(file: &Path) -> Result<Self, Failure> {
        let mut exported = Self::of(&file::read(file)?);
        if exported.ids.len() > KEYS_MAX {
            exported.ids.truncate(KEYS_MAX);
            print::talk(format_args!(
                "note: {} holds more than {KEYS_MAX} keys; those behind them are not looked for",
                file.display()
            ));
        }
        match exported.ids.is_empty() {
            true => Err(Failure::new(
                format!("{} holds no public key", file.display()),
                "name an authorized_keys or .pub file, what `gpg --export` wrote, a list of age \
                 recipients, or minisign's .pub",
            )),
            false => Ok(exported),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        if let Ok(key) = Transferable::read(bytes) {
            return Self::of_openpgp(&key);
        }
        let text = String::from_utf8_lossy(bytes);
        let mut exported = Self::default();
        for named in trezor_agent::identities(&text) {
            push_new_some(&mut exported.uris, uri_in_comment(named.identity));
        }
        for line in text.lines() {
            let age = line
                .split_whitespace()
                .find_map(|word| PluginIdentity::parse(word).ok());
            let derived = age.as_ref().and_then(|it| it.identity.as_ref());
            push_new_some(&mut exported.uris, derived.map(|it| it.uri().to_owned()));
            let id = key_id_of(line).or(age.map(|it| it.key));
            exported.ids.extend(id);
        }
        exported
    }

    fn of_openpgp(key: &Transferable) -> Self {
        let packets = std::iter::once(key.primary()).chain(key.subkeys());
        let id = |packet: &KeyPacket| Some(key_id(&packet.key()?.to_keeper()));
        let user_ids: Vec<String> = key
            .user_ids()
            .iter()
            .filter_map(|it| String::from_utf8(it.clone()).ok())
            .collect();
        let mut uris = Vec::new();
        for text in &user_ids {
            for uri in of_user_id(text).into_iter().filter(|it| is_identity(it)) {
                push_new(&mut uris, uri);
            }
        }
        Self {
            ids: packets.filter_map(id).collect(),
            uris,
            openpgp: Some((user_ids, key.primary().created_unix_s())),
        }
    }

    /// The one thing about an OpenPGP key that no words bring back stands in the file.
    fn say_how_to_go_on(&self, found: &[IdentityLine]) {
        let Some((user_ids, created_unix_s)) = &self.openpgp else {
            return;
        };
        let uri_of = |it: &&String| Protocol::Gpg.uri_of(it);
        let is_found = |it: &&String| found.iter().any(|line| line.identity == uri_of(it));
        for text in user_ids.iter().filter(is_found) {
            print::talk(format_args!(
                "on the workstation: keystead gpg init --time {created_unix_s} \"{}\"",
                Safe(text)
            ));
        }
    }
}

/// What trezor-agent writes behind a key: with a protocol the whole text, else one of ssh.
fn uri_in_comment(words: &str) -> Option<String> {
    let uri = match protocol_of(words) {
        Some(Protocol::Ssh) | None => IdentityParts::parse(words).ok()?.uri(Protocol::Ssh),
        Some(_) => words.to_owned(),
    };
    is_identity(&uri).then_some(uri)
}

/// The texts that may be hashed for what a person types: of a host `ssh://HOST` and
/// `ssh://USER@HOST` as trezor-agent writes them, without and with the usual port; of a user id
/// that of its OpenPGP key and that of the subkey for logins; else what stands there.
fn uris_of(names: &[String], users: &[String]) -> Result<Vec<String>, Failure> {
    let mut uris = Vec::new();
    for name in names {
        let more = match protocol_of(name) {
            Some(Protocol::Gpg) => of_user_id(name.trim_start_matches("gpg://")),
            Some(Protocol::Age | Protocol::Signify) => vec![name.clone()],
            // A host has no space in its name.
            None if name.contains(' ') => of_user_id(name),
            Some(Protocol::Ssh | Protocol::Keystead) | None => of_host(name, users)?,
        };
        more.into_iter().for_each(|uri| push_new(&mut uris, uri));
    }
    Ok(uris)
}

/// `spec/identity.md` section 6.
fn of_user_id(text: &str) -> Vec<String> {
    vec![Protocol::Gpg.uri_of(text), Protocol::Ssh.uri_of(text)]
}

fn of_host(host: &str, users: &[String]) -> Result<Vec<String>, Failure> {
    let parts = IdentityParts::parse(host)
        .map_err(|error| Failure::new(error.to_string(), error.hint()))?;
    let named = parts.user.iter().chain(users).map(|it| Some(it.clone()));
    let mut uris = Vec::new();
    for user in named.chain(std::iter::once(None)) {
        for port in [parts.port.clone(), Some(SSH_PORT.to_owned())] {
            let parts = IdentityParts {
                protocol: None,
                user: user.clone(),
                port,
                ..parts.clone()
            };
            push_new(&mut uris, parts.uri(Protocol::Ssh));
        }
    }
    Ok(uris)
}

fn protocol_of(text: &str) -> Option<Protocol> {
    let (protocol, _) = text.split_once("://")?;
    let mut all = Protocol::ALL.into_iter();
    all.find(|it| it.as_str() == protocol)
}

fn is_identity(uri: &str) -> bool {
    Identity::all_of(uri, Curve::ALL, 0).is_ok()
}

/// The public key in a line: SSH's behind its type, where options may stand before it; a
/// recipient of age; minisign's.
fn key_id_of(line: &str) -> Option<KeyId> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let of_ssh = words.windows(2).find_map(|pair| {
        let [type_name, encoded] = pair else {
            return None;
        };
        let key = PublicKey::from_blob(&STANDARD.decode(encoded).ok()?).ok()?;
        (key.type_name() == *type_name).then(|| key.id())
    });
    let of_age = || words.iter().find_map(|word| parse_recipient(word).ok());
    let of_minisign = || {
        words
            .iter()
            .find_map(|it| minisign::PublicKey::parse(it).ok())
    };
    of_ssh
        .or_else(|| of_age().map(|recipient| key_id(&recipient)))
        .or_else(|| of_minisign().map(|key| PublicKey::ed25519(&key.public).id()))
}

fn push_new(all: &mut Vec<String>, one: String) {
    if !all.contains(&one) {
        all.push(one);
    }
}

fn push_new_some(all: &mut Vec<String>, one: Option<String>) {
    one.into_iter().for_each(|one| push_new(all, one));
}

/// RFC 4253 section 4.1.
const SSH_PORT: &str = "22";

/// 500 keys of a file: their ids fit one line to the authenticator.
const KEYS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_identities() {
        let check = |name: &str, users: &[&str], expected: &[&str]| {
            let users: Vec<String> = users.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(uris_of(&[name.to_owned()], &users).unwrap(), expected);
        };
        check(
            "git@example.com",
            &["root"],
            &[
                "ssh://git@example.com",
                "ssh://git@example.com:22",
                "ssh://root@example.com",
                "ssh://root@example.com:22",
                "ssh://example.com",
                "ssh://example.com:22",
            ],
        );
        check("ssh://db1:2222", &[], &["ssh://db1:2222", "ssh://db1:22"]);
        let alex = [
            "gpg://Alex <alex@example.org>",
            "ssh://Alex <alex@example.org>",
        ];
        check("Alex <alex@example.org>", &["root"], &alex);
        check("gpg://Alex <alex@example.org>", &[], &alex);
        check("age://backup", &[], &["age://backup"]);
        check("signify://release key", &[], &["signify://release key"]);
        assert!(uris_of(&[String::new()], &[]).is_err());
    }

    #[test]
    fn keys_stand_behind_options() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIRaXAhWs1yWIGZ1wHrcPsHvnVGYyXw1AnRgiJ5MqfeT";
        let id = key_id_of(key).unwrap();
        for line in [
            format!("{key} me@here"),
            format!("from=\"10.*\",command=\"echo hi\" {key} me@here"),
        ] {
            assert_eq!(key_id_of(&line), Some(id), "{line}");
        }
        for line in [
            "",
            "# comment",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "age1",
            "RW",
        ] {
            assert_eq!(key_id_of(line), None, "{line}");
        }
    }

    /// The wallet `all all … all` of a Trezor (`spec/vectors/age_signify_from_seed.json`).
    #[test]
    fn files_of_age_and_minisign() {
        let recipient = "age1amnu0t727h2ee3n6jed848w96tw3juqthu7r7hp2fnqpzgw9eyes95e0en";
        let id = key_id(&parse_recipient(recipient).unwrap());
        let identity = PluginIdentity {
            key: id,
            identity: Identity::all_of("age://John Doe", Curve::ALL, 0)
                .unwrap()
                .pop(),
        };
        let listed = Exported::of(format!("# mine\n{recipient}\n").as_bytes());
        assert_eq!((listed.ids, listed.uris), (vec![id], vec![]));
        let own =
            Exported::of(format!("# public key: {recipient}\n{}\n", identity.encode()).as_bytes());
        assert_eq!(own.ids, [id, id]);
        assert_eq!(own.uris, ["age://John Doe"]);
        let minisign = "untrusted comment: minisign public key 47A95ECE6A24458B\n\
                        RWSLRSRqzl6pR58W/GLnOQyWZI58ulIWy+LFEYs1NJMgO4EvdFGeJ5bT\n";
        let minisign = Exported::of(minisign.as_bytes());
        assert_eq!((minisign.ids.len(), minisign.uris.len()), (1, 0));
    }

    #[test]
    fn comments_of_trezor_agent() {
        let check = |words: &str, expected: Option<&str>| {
            assert_eq!(uri_in_comment(words).as_deref(), expected, "{words}");
        };
        check("ssh://alex@db1", Some("ssh://alex@db1"));
        check("alex@db1:22", Some("ssh://alex@db1:22"));
        check("gpg://Alex <a@b>", Some("gpg://Alex <a@b>"));
        check("https://a", Some("ssh://a"));
        check("ssh://d\u{f6}", None);
        check("", None);
    }
}
