//! `wallet add`, `wallet show`, `wallet remove`, `wallet export`, `wallet import`.

use std::io::Write;
use std::path::Path;

use keystead_core::SecretBytes;
use keystead_daemon::home::Folders;
use keystead_daemon::{Disk, FolderDisk, utc};

use super::keys::{confirm, joined, passphrase_where_locked};
use super::words::Given;
use super::{ask, converse, find, say_done, strange};
use crate::control::{Command, IdentityLine, Reply, WalletDeed, WalletLine};
use crate::identities::file_name;
use crate::keyring::Keyring;
use crate::program::arguments::{WalletCommand, WordsOptions};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::file;
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
            names,
            users,
            keys,
            index,
            json,
        } => {
            let wanted = find::Wanted {
                names: &names,
                users: &users,
                keys: keys.as_deref(),
                index_max: index,
                json,
            };
            find::find(folders, &wanted, source)
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
    // A fingerprint beside them is too much for a terminal of 80 columns.
    let rows = print::columns(&identities.iter().map(row).collect::<Vec<_>>());
    for (row, identity) in rows.iter().zip(identities) {
        print::line(row)?;
        print::line(format_args!("    {}", identity.key.fingerprint))?;
    }
    Ok(())
}

fn row(line: &IdentityLine) -> Vec<String> {
    let since = line
        .first_unix_s
        .map_or_else(String::new, |unix_s| format!("since {}", day(unix_s)));
    vec![format!("  {}", line.identity), line.details(), since]
}

fn day(unix_s: u64) -> String {
    let mut time = utc(unix_s);
    time.truncate(time.find(' ').unwrap_or(time.len()));
    time
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
    let record = file::read(file)?;
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
