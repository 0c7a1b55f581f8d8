//! `wallet add`, `wallet show`, `wallet remove`, `wallet export`, `wallet import`, `wallet find`.

use std::io::{Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::{IdentityParts, Protocol, SecretBytes};
use keystead_daemon::home::Folders;
use keystead_daemon::{Disk, FolderDisk, utc};
use keystead_formats::ssh::PublicKey;

use super::keys::{confirm, joined, passphrase_where_locked};
use super::words::Given;
use super::{ask, converse, say_done, strange};
use crate::control::{Command, IdentityLine, JSON_VERSION, Reply, WalletDeed, WalletLine};
use crate::entry::to_hex;
use crate::identities::{RECORD_BYTES_MAX, file_name};
use crate::keyring::Keyring;
use crate::program::arguments::{WalletCommand, WordsOptions};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::passphrase::Source;
use crate::program::print;

pub(crate) fn run(
    folders: &Folders,
    command: WalletCommand,
    source: Source,
) -> Result<(), Failure> {
    match command {
        WalletCommand::Add { words } => add(folders, &words, source),
        WalletCommand::Show { json } => show(folders, json, source),
        WalletCommand::Remove { fingerprint, yes } => remove(folders, fingerprint, yes),
        WalletCommand::Export { file, wallet } => export(folders, &file, wallet.as_deref()),
        WalletCommand::Import { file } => import(folders, &file, source),
        WalletCommand::Find {
            hosts,
            users,
            keys,
            index,
            json,
        } => {
            let uris = uris_of(&hosts, &users)?;
            let keys = keys.map(|file| key_ids(&file)).transpose()?;
            let command = Command::Wallet {
                deed: WalletDeed::Find {
                    uris,
                    index_max: index,
                    keys: keys.unwrap_or_default(),
                },
            };
            find(folders, command, json, source)
        }
    }
}

fn add(folders: &Folders, options: &WordsOptions, source: Source) -> Result<(), Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    let keys = Keyring::load(&disk)?;
    let names = keys
        .entries()
        .iter()
        .map(|it| it.name.to_string())
        .collect::<Vec<_>>();
    let Some(given) = Given::of(options, &names)? else {
        return Err(Failure::new(
            "no words",
            "--words 24 makes new ones; --words-fd 0 asks for yours",
        ));
    };
    if keys.wallets().any(|it| it == given.wallet.fingerprint()) {
        return Err(Failure::new(
            format!("wallet {} is here already", given.wallet.fingerprint()),
            "another words' passphrase is another wallet",
        ));
    }
    let words = given.line();
    let command = Command::Wallet {
        deed: WalletDeed::Add {
            words_bytes: words.len(),
            words_passphrase_bytes: given.passphrase.len(),
        },
    };
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        let parts = [Some(&words), Some(&given.passphrase), passphrase.as_ref()];
        ask(talk, command, Some(joined(&parts))).await
    })?)
}

fn show(folders: &Folders, json: bool, source: Source) -> Result<(), Failure> {
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = match source.is_there() {
            true => passphrase_where_locked(talk, source).await?,
            false => None,
        };
        ask(
            talk,
            Command::Wallet {
                deed: WalletDeed::Show,
            },
            passphrase,
        )
        .await
    })?;
    let Reply::Wallets(lines) = reply else {
        return Err(strange());
    };
    if json {
        return print::json(&lines);
    }
    if lines.wallets.is_empty() {
        return print::line("no wallet; keystead-authenticator wallet add makes or takes one");
    }
    for wallet in &lines.wallets {
        show_wallet(wallet)?;
    }
    Ok(())
}

fn show_wallet(wallet: &WalletLine) -> Result<(), Failure> {
    let count = match wallet.identities.as_deref() {
        None => "locked: what it was used for is not shown".to_owned(),
        Some([]) => "not used yet".to_owned(),
        Some([_]) => "1 identity".to_owned(),
        Some(all) => format!("{} identities", all.len()),
    };
    print::line(format_args!("wallet {}: {count}", wallet.fingerprint))?;
    let identities = wallet.identities.as_deref().unwrap_or_default();
    print::table(&identities.iter().map(row).collect::<Vec<_>>())
}

fn row(line: &IdentityLine) -> Vec<String> {
    let index = match line.index {
        0 => String::new(),
        index => format!(" index {index}"),
    };
    vec![
        format!("  {}", line.identity),
        format!("{}{index}", line.curve),
        line.key.fingerprint.clone(),
        line.first_unix_s
            .map_or_else(String::new, |unix_s| format!("since {}", utc(unix_s))),
    ]
}

fn remove(folders: &Folders, fingerprint: String, yes: bool) -> Result<(), Failure> {
    let keys = Keyring::load(&FolderDisk::open(&folders.state)?)?;
    if !keys.wallets().any(|it| it.to_string() == fingerprint) {
        return Err(Failure::new(
            "there is no such wallet here",
            "keystead-authenticator wallet show lists them",
        ));
    }
    if !yes {
        print::talk("Its keys are gone from here with it; only its words bring them back.");
        confirm(&format!("Forget wallet {fingerprint}?"))?;
    }
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        ask(
            talk,
            Command::Wallet {
                deed: WalletDeed::Remove { fingerprint },
            },
            None,
        )
        .await
    })?)
}

/// The record as it lies on the disk: sealed, so no passphrase is needed.
fn export(folders: &Folders, file: &Path, wallet: Option<&str>) -> Result<(), Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    let keys = Keyring::load(&disk)?;
    let mut named = keys
        .wallets()
        .filter(|it| wallet.is_none_or(|wallet| wallet == it.to_string()));
    let fingerprint = match (named.next(), named.next()) {
        (Some(one), None) => one,
        (None, _) => {
            return Err(Failure::new(
                "there is no such wallet here",
                "keystead-authenticator wallet show lists them",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                "there is more than one wallet here",
                "name one: --wallet FINGERPRINT",
            ));
        }
    };
    let Some(sealed) = disk.read(&file_name(fingerprint))? else {
        return Err(Failure::new(
            format!("wallet {fingerprint} was not used yet: there is nothing to keep"),
            "",
        ));
    };
    if file == Path::new("-") {
        return Ok(std::io::stdout().lock().write_all(&sealed)?);
    }
    std::fs::write(file, &sealed)?;
    print::talk(format_args!(
        "{} holds which identities wallet {fingerprint} was used for; its words open it anywhere.",
        file.display()
    ));
    Ok(())
}

fn import(folders: &Folders, file: &Path, source: Source) -> Result<(), Failure> {
    let record = read_bounded(file)?;
    let record = SecretBytes::fill(record.len(), |place| place.copy_from_slice(&record));
    let command = Command::Wallet {
        deed: WalletDeed::Import {
            record_bytes: record.len(),
        },
    };
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        ask(
            talk,
            command,
            Some(joined(&[Some(&record), passphrase.as_ref()])),
        )
        .await
    })?)
}

fn find(folders: &Folders, command: Command, json: bool, source: Source) -> Result<(), Failure> {
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        ask(talk, command, passphrase).await
    })?;
    let Reply::Identities { identities } = reply else {
        return Err(strange());
    };
    if json {
        return print::json(&serde_json::json!({
            "version": JSON_VERSION,
            "identities": identities,
        }));
    }
    if identities.is_empty() {
        print::talk("none of these keys is of an identity that was looked for");
    }
    for it in identities {
        print::line(format_args!("{} {}", it.key.public_key, details(&it)))?;
    }
    Ok(())
}

fn details(line: &IdentityLine) -> String {
    match line.index {
        0 => format!("({})", line.curve),
        index => format!("({}, index {index})", line.curve),
    }
}

/// `ssh://HOST` and `ssh://USER@HOST` of each host, as trezor-agent writes them, without and
/// with the usual port.
fn uris_of(hosts: &[String], users: &[String]) -> Result<Vec<String>, Failure> {
    let mut uris = Vec::new();
    for host in hosts {
        let parts = IdentityParts::parse(host)
            .map_err(|error| Failure::new(error.to_string(), error.hint()))?;
        let named = parts.user.iter().chain(users).map(|it| Some(it.clone()));
        let all = named.chain(std::iter::once(None));
        for user in all {
            for port in [parts.port.clone(), Some(SSH_PORT.to_owned())] {
                let uri = IdentityParts {
                    protocol: None,
                    user: user.clone(),
                    port,
                    ..parts.clone()
                }
                .uri(Protocol::Ssh);
                if !uris.contains(&uri) {
                    uris.push(uri);
                }
            }
        }
    }
    Ok(uris)
}

/// The key ids of all public keys in an `authorized_keys` or `.pub` file.
fn key_ids(file: &Path) -> Result<Vec<String>, Failure> {
    let text = read_bounded(file)?;
    let text = String::from_utf8_lossy(&text);
    let mut ids: Vec<String> = text.lines().filter_map(key_id_of).collect();
    ids.truncate(KEYS_MAX);
    match ids.is_empty() {
        true => Err(Failure::new(
            format!("{} holds no public key of ssh", file.display()),
            "name an authorized_keys file, or one that ssh-keygen or trezor-agent wrote",
        )),
        false => Ok(ids),
    }
}

/// The first word of a line behind which a key follows: options may stand before it.
fn key_id_of(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| {
        let [type_name, encoded] = pair else {
            return None;
        };
        let key = PublicKey::from_blob(&STANDARD.decode(encoded).ok()?).ok()?;
        (key.type_name() == *type_name).then(|| to_hex(&key.id().0))
    })
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(
            format!("{} cannot be read: {error}", file.display()),
            "name a file, or - for standard input",
        )
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX);
    if file == Path::new("-") {
        std::io::stdin()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        opened
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    Ok(bytes)
}

/// RFC 4253 section 4.1.
const SSH_PORT: &str = "22";

/// 500 keys of a file: their ids fit one line to the authenticator.
const KEYS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_users_make_identities() {
        let uris = uris_of(&["git@example.com".into()], &["root".into()]).unwrap();
        assert_eq!(
            uris,
            [
                "ssh://git@example.com",
                "ssh://git@example.com:22",
                "ssh://root@example.com",
                "ssh://root@example.com:22",
                "ssh://example.com",
                "ssh://example.com:22",
            ]
        );
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
            assert_eq!(key_id_of(&line), Some(id.clone()), "{line}");
        }
        for line in ["", "# comment", "ssh-ed25519", "ssh-ed25519 AAAA"] {
            assert_eq!(key_id_of(line), None, "{line}");
        }
    }
}
