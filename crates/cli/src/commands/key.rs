//! `key …`: keys that live with a keeper.

use keystead_agent::control::{Command, Keeper, Key, Reply, Status as AgentStatus};
use keystead_agent::identities;
use keystead_agent::key_control::{self, HeldKey};
use keystead_core::{Algorithm, KeyType, Name, Protocol, Purpose, UnknownKeyType};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::fingerprint;
use serde_json::json;

use crate::agent_link::{self, AgentLink, block_on, unexpected};
use crate::arguments::{ListKeys, NewKey, ServerKeyNew, ShowKey};
use crate::commands::chosen_key::{Service, shown};
use crate::commands::status::print_keys;
use crate::commands::{age, server_key, signify};
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk};
use crate::server_link;
use crate::terminal::{Countdown, Table, harmless, print, print_json, say};

/// `key new --name NAME [--type TYPE] [--purpose PURPOSE] [--keeper NAME]`
pub(crate) fn new(wanted: &NewKey) -> Result<(), Failure> {
    let name = wanted.name.to_string();
    if let Some(server) = server_of(wanted.keeper.as_ref())? {
        let wanted = ServerKeyNew {
            name: &name,
            key_type: wanted.key_type.as_deref().unwrap_or(USUAL_TYPE),
            purposes: &wanted.purpose,
        };
        return server_key::new(server, &wanted);
    }
    let purpose = purpose_of(&wanted.purpose)?;
    let usual = match purpose {
        Some(Purpose::AgeUnwrap | Purpose::OpenPgpDecrypt) => USUAL_TYPE_TO_DECRYPT,
        _ => USUAL_TYPE,
    };
    let key_type = wanted.key_type.as_deref().unwrap_or(usual);
    let key_type: KeyType = key_type.parse().map_err(|error: UnknownKeyType| {
        Failure::new(error.to_string())
            .hint("--type ed25519, for example")
            .status(Status::Usage)
    })?;
    if let Some(purpose) = purpose {
        return new_for(wanted, purpose, key_type);
    }
    let command = Command::NewKey {
        keeper: wanted.keeper.as_ref().map(Name::to_string),
        name,
        algorithm: key_type.as_str().to_owned(),
    };
    let key = block_on(async {
        let mut link = AgentLink::open().await?;
        link.send(&command).await?;
        let Reply::Key(key) = held(&mut link).await? else {
            return Err(unexpected());
        };
        Ok(key)
    });
    let key = key.map_err(why_not_made)?;
    say(format_args!(
        "{} made {}; its public half:",
        key.keeper, key.name
    ));
    print(&key.public_key)
}

/// One that ssh does not use.
fn new_for(wanted: &NewKey, purpose: Purpose, key_type: KeyType) -> Result<(), Failure> {
    let asked = key_control::NewKey {
        keeper: wanted.keeper.as_ref().map(Name::to_string),
        name: wanted.name.to_string(),
        purposes: vec![purpose.as_str().to_owned()],
    };
    let key = block_on(async {
        let mut link = KeyLink::open(Talk::Here).await?;
        link.make_key(asked, key_type.as_str()).await
    });
    let key = key.map_err(why_not_made)?;
    let (keeper, name) = (harmless(&key.keeper), harmless(&key.name));
    say(format_args!("{keeper} made {name}; its public half:"));
    print(public_half(&key)?)?;
    if purpose == Purpose::AgeUnwrap {
        say(format_args!(
            "`keystead age identity {name}` prints what age needs here"
        ));
    }
    Ok(())
}

/// As the program takes it that the key is for.
fn public_half(key: &HeldKey) -> Result<String, Failure> {
    if Service::AGE.has(key) {
        age::recipient_of(key)
    } else if Service::SIGNIFY.has(key) {
        Ok(signify::public_key(key)?.line())
    } else {
        Ok(ssh_line(key).unwrap_or_else(|| key.public_key.clone()))
    }
}

/// As `ssh key` prints it; none of a key that is not for SSH.
fn ssh_line(key: &HeldKey) -> Option<String> {
    let identity = key.identity.as_ref()?.identity().ok()?;
    if identity.protocol() != Protocol::Ssh {
        return None;
    }
    let public = PublicKey::from_blob(&key.public_key_bytes()?).ok()?;
    Some(public.line(&identities::comment(&identity)))
}

/// A keeper gives no reasons to a workstation.
fn why_not_made(failure: Failure) -> Failure {
    match (failure.status, &failure.hint) {
        (Status::Refused, None) => failure.hint(
            "its holder said no, or it has a key of that name already; the log there says which",
        ),
        _ => failure,
    }
}

/// What a key is to be for; none of SSH, which is what a key is for that says nothing.
fn purpose_of(words: &[String]) -> Result<Option<Purpose>, Failure> {
    let [word] = words else {
        return Err(
            Failure::new("at an authenticator a key is for one purpose alone")
                .hint("make another key for the other")
                .status(Status::Usage),
        );
    };
    match word.as_str() {
        "ssh" => Ok(None),
        "age" => Ok(Some(Purpose::AgeUnwrap)),
        "signify" => Ok(Some(Purpose::Signify)),
        "openpgp" => Ok(Some(Purpose::OpenPgp)),
        "openpgp-decrypt" => Ok(Some(Purpose::OpenPgpDecrypt)),
        other => Err(
            Failure::new(format!("{other:?} is no purpose of a key there"))
                .hint("--purpose ssh, age, signify, openpgp or openpgp-decrypt")
                .status(Status::Usage),
        ),
    }
}

/// The key server of this name, if one has it here.
pub(crate) fn server_of(keeper: Option<&Name>) -> Result<Option<&str>, Failure> {
    match keeper {
        Some(name) if server_link::is_server(name.as_str())? => Ok(Some(name.as_str())),
        Some(_) | None => Ok(None),
    }
}

/// Waits for the holder; returns the reply that ends the command.
pub(crate) async fn held(link: &mut AgentLink) -> Result<Reply, Failure> {
    let mut countdown = Countdown::default();
    loop {
        let reply = tokio::select! {
            reply = link.next() => reply?,
            () = countdown.tick() => continue,
        };
        let (what, left_s) = if let Reply::Reaching { keeper, left_s } = &reply {
            (format!("no answer from {keeper} yet"), *left_s)
        } else if let Reply::Waiting { keeper, left_s } = &reply {
            (format!("approve on {keeper}"), *left_s)
        } else if reply.is_last() {
            return Ok(reply);
        } else {
            return Err(unexpected());
        };
        countdown.stop();
        countdown.start(what, left_s.saturating_mul(1000));
    }
}

/// `key list [--json]`
pub(crate) fn list(wanted: &ListKeys) -> Result<(), Failure> {
    if let Some(server) = &wanted.keeper {
        return server_key::list(server.as_str(), wanted.json);
    }
    let status = agent_link::fresh_status()?;
    let others = others(&status)?;
    if wanted.json {
        let silent = status.keepers.iter().filter(|it| it.silent);
        let silent: Vec<&str> = silent.map(|it| it.name.as_str()).collect();
        return print_json(&json!({
            "version": 1, "keys": status.keys, "others": others, "silent": silent,
        }));
    }
    if others.is_empty() {
        return print_keys(&status);
    }
    if !status.keys.is_empty() {
        print_keys(&status)?;
        print("")?;
    }
    let mut table = Table::default();
    table.row(["KEY", "TYPE", "KEEPER", "FOR"]);
    for key in &others {
        table.row([
            &identity_or_name(key),
            &short_algorithm(key),
            &keeper_of(key, &status.keepers),
            &used_for(key),
        ]);
    }
    table.print()
}

/// The keys that ssh does not list by itself: those of other programs, and those that wallets
/// derive for identities.
fn others(status: &AgentStatus) -> Result<Vec<HeldKey>, Failure> {
    let is_listed = |key: &HeldKey| {
        let fingerprint = key.public_key_bytes().map(|it| fingerprint(&it));
        status
            .keys
            .iter()
            .any(|it| it.keeper == key.keeper && Some(&it.fingerprint) == fingerprint.as_ref())
    };
    let keys = block_on(async { KeyLink::open(Talk::ByAgent).await?.keys().await })?;
    let others = keys.into_iter().filter(|key| !is_listed(key));
    Ok(others.collect())
}

fn identity_or_name(key: &HeldKey) -> String {
    let Some(spec) = &key.identity else {
        return key.name.clone();
    };
    match spec.index {
        0 => spec.uri.clone(),
        index => format!("{} index {index}", spec.uri),
    }
}

/// Its keeper; of one with several wallets also which of them derives it.
fn keeper_of(key: &HeldKey, keepers: &[Keeper]) -> String {
    let mut keepers = keepers.iter();
    let has_several = keepers.any(|it| it.name == key.keeper && it.wallets.len() > 1);
    match &key.wallet {
        Some(wallet) if has_several => format!("{} ({wallet})", key.keeper),
        Some(_) | None => key.keeper.clone(),
    }
}

/// As `--type` takes it.
fn short_algorithm(key: &HeldKey) -> String {
    let known: Result<Algorithm, _> = key.algorithm.parse();
    known.map_or_else(|_| key.algorithm.clone(), |it| it.short_name().to_owned())
}

/// The programs that a key is for.
fn used_for(key: &HeldKey) -> String {
    let of_purpose = |word: &String| {
        let known = Purpose::ALL.into_iter().find(|it| it.as_str() == word);
        match known {
            Some(Purpose::SshLogin | Purpose::SshSig | Purpose::GitCommit) => "ssh",
            Some(Purpose::SshCertificate) => "ssh (certificates)",
            Some(Purpose::OpenPgp) => "gpg",
            Some(Purpose::OpenPgpDecrypt) => "gpg (decrypts)",
            Some(Purpose::AgeUnwrap) => "age",
            Some(Purpose::Signify) => "signify",
            Some(Purpose::Opaque | _) | None => "nothing known here",
        }
    };
    let mut programs: Vec<&str> = key.purposes.iter().map(of_purpose).collect();
    programs.dedup();
    programs.join(", ")
}

/// `key show KEY [--json]`
pub(crate) fn show(wanted: &ShowKey) -> Result<(), Failure> {
    if let Some(server) = &wanted.keeper {
        return server_key::show(server.as_str(), &wanted.key, wanted.json);
    }
    let status = agent_link::fresh_status()?;
    let mut others = others(&status)?;
    others.retain(|it| identity_or_name(it) == wanted.key || it.name == wanted.key);
    let is_called = |it: &Key| it.name == wanted.key || it.fingerprint == wanted.key;
    if !others.is_empty() && !status.keys.iter().any(is_called) {
        return show_other(&others, wanted);
    }
    let key = one_of(&status.keys, Some(&wanted.key))?;
    if wanted.json {
        return print_json(&json!({ "version": 1, "keys": [key] }));
    }
    print(&key.public_key)
}

/// One that ssh does not use.
fn show_other(called: &[HeldKey], wanted: &ShowKey) -> Result<(), Failure> {
    if wanted.json {
        return print_json(&json!({ "version": 1, "keys": [], "others": called }));
    }
    let [key] = called else {
        let all: Vec<String> = called.iter().map(shown).collect();
        return Err(Failure::new(format!(
            "{} keys are called {:?}: {}",
            called.len(),
            wanted.key,
            all.join(", ")
        ))
        .hint("`keystead key show --json` shows all of them")
        .status(Status::Usage));
    };
    print(public_half(key)?)
}

/// The key of this name or fingerprint; the only one when none is named.
pub(crate) fn one_of<'a>(keys: &'a [Key], wanted: Option<&str>) -> Result<&'a Key, Failure> {
    let is_wanted =
        |key: &&Key| wanted.is_none_or(|wanted| key.name == wanted || key.fingerprint == wanted);
    let found: Vec<&Key> = keys.iter().filter(is_wanted).collect();
    match (found.as_slice(), wanted) {
        ([key], _) => Ok(key),
        ([], Some(wanted)) => Err(Failure::new(format!("no key is called {wanted:?}")).hint(
            "`keystead key list` lists all; for a wallet's see `keystead ssh key user@host`",
        )),
        ([], None) => Err(Failure::new("there is no key").hint(
            "`keystead pair` pairs an authenticator, `keystead key new` has it make a key; \
             a wallet's: `keystead ssh key user@host`",
        )),
        (_, Some(wanted)) => Err(Failure::new(format!(
            "{} keys are called {wanted:?}",
            found.len()
        ))
        .hint("name it by its fingerprint (`keystead key list`)")
        .status(Status::Usage)),
        (_, None) => Err(Failure::new("which key? there are several")
            .hint("name it with --key (`keystead key list`)")
            .status(Status::Usage)),
    }
}

/// What `--type` is without it.
const USUAL_TYPE: &str = "ed25519";

/// For keys that decrypt.
const USUAL_TYPE_TO_DECRYPT: &str = "x25519";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_as_they_are_typed() {
        let check = |words: &[&str], expected: Option<Option<Purpose>>| {
            let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(purpose_of(&words).ok(), expected, "{words:?}");
        };
        check(&["ssh"], Some(None));
        check(&["age"], Some(Some(Purpose::AgeUnwrap)));
        check(&["signify"], Some(Some(Purpose::Signify)));
        check(&["openpgp"], Some(Some(Purpose::OpenPgp)));
        check(&["openpgp-decrypt"], Some(Some(Purpose::OpenPgpDecrypt)));
        check(&["ssh-login"], None);
        check(&["age", "ssh"], None);
        check(&[], None);
    }

    #[test]
    fn what_a_key_is_for_in_words() {
        let check = |purposes: &[Purpose], expected: &str| {
            let key = HeldKey {
                id: String::new(),
                algorithm: "x25519".to_owned(),
                public_key: String::new(),
                name: "a".to_owned(),
                purposes: purposes.iter().map(|it| it.as_str().to_owned()).collect(),
                keeper: "phone".to_owned(),
                identity: None,
                wallet: None,
            };
            assert_eq!(used_for(&key), expected);
            assert_eq!(short_algorithm(&key), "x25519");
        };
        check(
            &[Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit],
            "ssh",
        );
        check(&[Purpose::OpenPgpDecrypt], "gpg (decrypts)");
        check(&[Purpose::AgeUnwrap], "age");
        check(&[], "");
    }
}
