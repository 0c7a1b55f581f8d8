//! `key … --keeper SERVER`: keys that a key server holds and signs with.

use keystead_agent::control::Key as AgentKey;
use keystead_core::hex;
use keystead_daemon::{SystemRng, utc};
use keystead_keeper::server::control::Command;
use keystead_keeper::server::protocol::requests::{
    Approver, Entry, Generate, KeyPurpose, KeyType, Label, LabelChange, NewKey, Request, Show,
};
use keystead_keeper::server::protocol::{KeyId, List, Text};
use keystead_keeper::server::{Page, ServerName};
use rand_core::RngCore;
use serde_json::json;

use crate::agent_link::{AgentLink, block_on};
use crate::arguments::{DeleteKey, RenameKey, RotateKey, ServerKeyNew};
use crate::commands::server::agrees;
use crate::commands::server_entry::{is_key, label_of, one_of};
use crate::commands::server_policy;
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink};
use crate::terminal::{Table, harmless, print, print_json, say};

/// `key new --name NAME --keeper SERVER [--type TYPE] [--purpose PURPOSE]`
pub(crate) fn new(server: &str, wanted: &ServerKeyNew<'_>) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(server))?;
    let (kind, size) = kind_of(wanted.key_type)?;
    let purposes = purposes_of(wanted.purposes)?;
    check_purposes(kind, &purposes)?;
    let request = generate(wanted.name, kind, size, purposes, None);
    let made = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        if entries.iter().any(|it| label_of(it) == Some(wanted.name)) {
            return Err(taken(&page.name, wanted.name));
        }
        let made = link.result(&page.name, &request, NewKey::decode).await?;
        shown(&mut link, &page, made.key, wanted.name).await
    })?;
    say(format_args!(
        "{} made {} and holds it",
        page.name, wanted.name
    ));
    if made.1.is_none() {
        say(format_args!(
            "its public key: keystead key show {} --keeper {}",
            wanted.name, page.name
        ));
    }
    print_made(made)
}

/// `key rotate KEY --keeper SERVER`: a new key like it, that names it.
pub(crate) fn rotate(wanted: &RotateKey) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(wanted.keeper.as_str()))?;
    let made = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let old = one_of(&entries, &wanted.key)?.clone();
        let name = label_of(&old).unwrap_or_default().to_owned();
        let retired = format!("{name} (old)");
        if entries.iter().any(|it| label_of(it) == Some(&retired)) {
            return Err(taken(&page.name, &retired)
                .hint("delete it, or give it another name (`keystead key rename`)"));
        }
        let size = rsa_bits(&old);
        let mut request = generate(&name, old.kind, size, old.purposes.0.clone(), Some(old.key));
        if let Request::Make(generate) = &mut request {
            generate.policy = old.policy.clone();
        }
        let made = link.result(&page.name, &request, NewKey::decode).await?;
        link.ask(&page.name, &label(&old, &retired)).await?;
        shown(&mut link, &page, made.key, &name).await
    })?;
    say(format_args!(
        "{} made a new {}; the old one is {} (old) until you delete it",
        page.name,
        harmless(&wanted.key),
        harmless(&wanted.key)
    ));
    print_made(made)
}

/// `key rename KEY NAME --keeper SERVER`
pub(crate) fn rename(wanted: &RenameKey) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(wanted.keeper.as_str()))?;
    let to = wanted.to.to_string();
    block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        if entries.iter().any(|it| label_of(it) == Some(&to)) {
            return Err(taken(&page.name, &to));
        }
        let request = label(one_of(&entries, &wanted.key)?, &to);
        link.ask(&page.name, &request).await?;
        refresh(&mut link, &page.name).await
    })?;
    say(format_args!("{} is called {to} now", harmless(&wanted.key)));
    Ok(())
}

/// `key delete KEY --keeper SERVER [--yes]`
pub(crate) fn delete(wanted: &DeleteKey) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(wanted.keeper.as_str()))?;
    let key = block_on(async {
        let entries = ServerLink::open().await?.list(&page.name).await?.entries;
        Ok(one_of(&entries, &wanted.key)?.key)
    })?;
    let name = harmless(&wanted.key);
    if !wanted.yes
        && !agrees(&format!(
            "Delete {name} at {}? There is no way back.",
            page.name
        ))?
    {
        return Err(Failure::new("nothing was deleted").status(Status::Refused));
    }
    block_on(async {
        let mut link = ServerLink::open().await?;
        link.ask(&page.name, &Request::Delete(Show { key })).await?;
        refresh(&mut link, &page.name).await
    })?;
    say(format_args!(
        "{name} is deleted; the server's backups lose it when they expire"
    ));
    Ok(())
}

/// `key list --keeper SERVER [--json]`
pub(crate) fn list(server: &str, as_json: bool) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(server))?;
    let (listing, approvers) = block_on(async {
        let mut link = ServerLink::open().await?;
        let listing = link.list(&page.name).await?;
        let are_wanted = as_json && listing.entries.iter().any(has_quorum);
        let approvers = server_policy::named(&mut link, &page.name, are_wanted).await?;
        Ok((listing, approvers))
    })?;
    let mut held: Vec<&Entry> = listing.entries.iter().filter(|it| is_key(it)).collect();
    held.sort_by_key(|it| (label_of(it), it.key));
    if as_json {
        let keys = held.iter().map(|it| entry_json(it, &page, &approvers));
        let keys: Vec<_> = keys.collect();
        print_json(&json!({ "version": 1, "keys": keys }))?;
        return listing.check(&page.name);
    }
    if held.is_empty() {
        say(format_args!(
            "no keys there; `keystead key new --keeper {}` has one made",
            page.name
        ));
        return listing.check(&page.name);
    }
    let mut table = Table::default();
    table.row(["KEY", "TYPE", "SIGNS", "ID", "POLICY"]);
    for entry in held {
        let policy = entry.policy.as_ref().map_or("none", |_| "yes");
        table.row([
            label_of(entry).unwrap_or("?"),
            &type_of(entry),
            &purpose_words(entry),
            &entry.key.to_string(),
            policy,
        ]);
    }
    table.print()?;
    listing.check(&page.name)
}

/// `key show KEY --keeper SERVER [--json]`
pub(crate) fn show(server: &str, key: &str, as_json: bool) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(server))?;
    let (entry, ssh, approvers) = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let entry = one_of(&entries, key)?.clone();
        let approvers = server_policy::named(&mut link, &page.name, has_quorum(&entry)).await?;
        let name = label_of(&entry).unwrap_or_default().to_owned();
        let ssh = ssh_key(&page.name, &name).await?;
        Ok((entry, ssh, approvers))
    })?;
    let line = ssh.map(|it| it.public_key);
    if as_json {
        let mut object = entry_json(&entry, &page, &approvers);
        if let Some(object) = object.as_object_mut() {
            object.insert("public_key".to_owned(), json!(line));
        }
        return print_json(&json!({ "version": 1, "keys": [object] }));
    }
    let mut table = Table::default();
    table.row(["key", label_of(&entry).unwrap_or("?")]);
    table.row(["id", &entry.key.to_string()]);
    table.row(["type", &type_of(&entry)]);
    table.row(["signs", &purpose_words(&entry)]);
    table.row(["made", &utc(entry.created_unix_ms / 1_000)]);
    if let Some(public) = public_of(&entry).filter(|_| line.is_none()) {
        table.row(["public", &public]);
    }
    if let Some(replaces) = &entry.replaces {
        table.row(["replaces", &replaces.to_string()]);
    }
    table.print()?;
    if let Some(policy) = &entry.policy {
        print("")?;
        server_policy::print_rules(policy, &approvers)?;
    }
    if let Some(line) = line {
        print("")?;
        print(line)?;
    }
    Ok(())
}

fn generate(
    name: &str,
    kind: KeyType,
    size: Option<u32>,
    purposes: Vec<KeyPurpose>,
    replaces: Option<KeyId>,
) -> Request {
    let mut nonce = [0; 32];
    SystemRng.fill_bytes(&mut nonce);
    Request::Make(Generate {
        nonce,
        kind,
        label: Label::Open(Text(name.to_owned())),
        replaces,
        size,
        purposes: List(purposes),
        policy: None,
    })
}

fn label(entry: &Entry, to: &str) -> Request {
    Request::Label(LabelChange {
        key: entry.key,
        revision: entry.revision.saturating_add(1),
        label: Label::Open(Text(to.to_owned())),
    })
}

/// Has the agent look at the server's keys again, and gives the line of the one that was made.
async fn shown(
    link: &mut ServerLink,
    page: &Page,
    key: KeyId,
    name: &str,
) -> Result<(KeyId, Option<AgentKey>), Failure> {
    refresh(link, &page.name).await?;
    Ok((key, ssh_key(&page.name, name).await?))
}

async fn refresh(link: &mut ServerLink, server: &ServerName) -> Result<(), Failure> {
    let command = Command::ServerRefresh {
        server: server.to_string(),
    };
    link.done(&command).await
}

/// As ssh sees it, where it may sign for ssh.
async fn ssh_key(server: &ServerName, name: &str) -> Result<Option<AgentKey>, Failure> {
    let status = AgentLink::open().await?.status().await?;
    let mut keys = status.keys.into_iter();
    Ok(keys.find(|it| it.keeper == server.as_str() && it.name == name))
}

fn print_made((key, ssh): (KeyId, Option<AgentKey>)) -> Result<(), Failure> {
    match ssh {
        Some(ssh) => print(ssh.public_key),
        None => print(key),
    }
}

/// Type, and the bits of an RSA key.
fn kind_of(text: &str) -> Result<(KeyType, Option<u32>), Failure> {
    Ok(match text {
        "ed25519" => (KeyType::Ed25519, None),
        "p256" => (KeyType::P256, None),
        "secp256k1" => (KeyType::Secp256k1, None),
        "rsa3072" => (KeyType::Rsa, Some(3_072)),
        "rsa4096" => (KeyType::Rsa, Some(4_096)),
        other => {
            return Err(
                Failure::new(format!("a key server makes no keys of type {other:?}"))
                    .hint("ed25519, p256, secp256k1, rsa3072 or rsa4096")
                    .status(Status::Usage),
            );
        }
    })
}

fn rsa_bits(entry: &Entry) -> Option<u32> {
    let is_rsa = entry.kind == KeyType::Rsa;
    let bytes = entry.public_key.as_ref().map_or(0, |it| it.0.len());
    // PKCS#1: 3,072 bits take 398 bytes, 4,096 bits 526.
    is_rsa.then_some(if bytes > 500 { 4_096 } else { 3_072 })
}

/// What people type, and what it is.
const PURPOSES: [(&str, &[KeyPurpose]); 6] = [
    ("ssh", &[KeyPurpose::SshLogin, KeyPurpose::SshSig]),
    ("ssh-login", &[KeyPurpose::SshLogin]),
    ("sshsig", &[KeyPurpose::SshSig]),
    ("openpgp", &[KeyPurpose::OpenPgp]),
    ("message", &[KeyPurpose::Message]),
    ("digest", &[KeyPurpose::Digest]),
];

fn purposes_of(typed: &[String]) -> Result<Vec<KeyPurpose>, Failure> {
    let mut purposes = Vec::new();
    for word in typed {
        let known = PURPOSES.iter().find(|(name, _)| name == word);
        let (_, own) = known.ok_or_else(|| {
            let names = PURPOSES.map(|(name, _)| name).join(", ");
            Failure::new(format!("{word:?} is nothing that a key signs"))
                .hint(names)
                .status(Status::Usage)
        })?;
        purposes.extend_from_slice(own);
    }
    purposes.sort_unstable();
    purposes.dedup();
    Ok(purposes)
}

/// What the server would refuse, in words of the command line (`spec/session.md`, section 8).
fn check_purposes(kind: KeyType, purposes: &[KeyPurpose]) -> Result<(), Failure> {
    let is_raw = |it: &KeyPurpose| matches!(it, KeyPurpose::Message | KeyPurpose::Digest);
    if kind == KeyType::Secp256k1 && !purposes.iter().all(is_raw) {
        return Err(
            Failure::new("a secp256k1 key signs neither for ssh nor for openpgp")
                .hint("--purpose message, or --purpose digest")
                .status(Status::Usage),
        );
    }
    let is_ssh = |it: &KeyPurpose| matches!(it, KeyPurpose::SshLogin | KeyPurpose::SshSig);
    if purposes.len() > 1 && !purposes.iter().all(is_ssh) {
        return Err(Failure::new("these purposes share no key")
            .hint("make a key for each; ssh-login and sshsig alone go together")
            .status(Status::Usage));
    }
    Ok(())
}

/// The public half in hexadecimal digits, as the server gives it (`spec/session.md`): for keys
/// that ssh has no line for.
fn public_of(entry: &Entry) -> Option<String> {
    let public = entry.public_key.as_ref()?;
    Some(hex::encode(&public.0))
}

fn purpose_words(entry: &Entry) -> String {
    let word = |purpose: &KeyPurpose| {
        let mut own = PURPOSES.iter();
        let own = own.find(|(_, all)| *all == [*purpose]);
        own.map_or("?", |(name, _)| *name)
    };
    let words: Vec<&str> = entry.purposes.0.iter().map(word).collect();
    words.join(" ")
}

fn type_of(entry: &Entry) -> String {
    match entry.kind {
        KeyType::Arbitrary => "arbitrary".to_owned(),
        KeyType::Ed25519 => "ed25519".to_owned(),
        KeyType::P256 => "p256".to_owned(),
        KeyType::Secp256k1 => "secp256k1".to_owned(),
        KeyType::Rsa => rsa_bits(entry).map_or_else(|| "rsa".to_owned(), |it| format!("rsa{it}")),
    }
}

fn has_quorum(entry: &Entry) -> bool {
    let policy = entry.policy.as_ref();
    policy.is_some_and(|it| it.quorum.is_some())
}

fn entry_json(entry: &Entry, page: &Page, approvers: &[Approver]) -> serde_json::Value {
    json!({
        "name": label_of(entry),
        "id": entry.key.to_string(),
        "type": type_of(entry),
        "purposes": entry.purposes.0.iter().map(|it| {
            let mut own = PURPOSES.iter();
            own.find(|(_, all)| *all == [*it]).map(|(name, _)| *name)
        }).collect::<Vec<_>>(),
        "keeper": page.name.as_str(),
        "public": public_of(entry),
        "made_unix_s": entry.created_unix_ms / 1_000,
        "replaces": entry.replaces.map(|it| it.to_string()),
        "policy": entry
            .policy
            .as_ref()
            .map(|it| server_policy::rules_json(it, approvers)),
    })
}

fn taken(server: &ServerName, name: &str) -> Failure {
    Failure::new(format!("{server} has a key {} already", harmless(name)))
        .hint("choose another name")
        .status(Status::Usage)
}
