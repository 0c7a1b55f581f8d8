//! `gpg subkey`.

use keystead_agent::gpg::MappedKey;
use keystead_core::{Curve, Identity, Protocol};

use crate::agent_link::block_on;
use crate::arguments::{GpgSubkey, SubkeyUse};
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk};
use crate::terminal::{harmless, print, say};

use super::home::Home;
use super::init::now_unix_s;
use super::place::{Naming, Place, Role};

/// `gpg subkey --for USE [OPTIONS] KEY`
///
/// gpg itself binds it: it knows how its primary signs, wherever that one is.
pub(crate) fn subkey(wanted: &GpgSubkey) -> Result<(), Failure> {
    let home = Home::of(wanted.derived.homedir.as_deref())?;
    let listed = home.gpg_done(&["--with-colons", "--list-keys", &wanted.key], &[])?;
    let primary = Primary::of(&listed)?;
    let derived = &wanted.derived;
    let created_unix_s = derived.time.unwrap_or_else(now_unix_s);
    let place = Place::of(derived.keeper.as_ref())?;
    if !place.is_wallet() && (derived.index.is_some() || derived.identity.is_some()) {
        let message = "that keeper stores its keys: --index and --identity are a wallet's";
        return Err(Failure::new(message)
            .hint("leave them out, or name a keeper with a wallet")
            .status(Status::Usage));
    }
    let curve = curve(wanted, &place)?;
    // Whoever adds the same one at the same moment finds it in the map, and gpg refuses it then.
    let _held = home.hold()?;
    let map = home.map()?;
    let own = map.keys().iter().find(|it| {
        it.fingerprint
            .is_some_and(|it| it.to_string() == primary.fingerprint)
    });
    // gpg may list another user id first by now: by which the primary was made is in the map.
    let made_for = own.map(|it| it.user_id.as_str());
    let user_id = made_for.filter(|it| !it.is_empty());
    let user_id = user_id.unwrap_or(&primary.user_id);
    let identity = own.and_then(|it| it.identity.as_ref());
    let naming = Naming {
        user_id,
        identity: derived.identity.as_deref().or(identity.and_then(text)),
        curve,
        index: index(wanted, own)?,
    };
    let part = place.part(role(wanted.usage), &naming)?;
    let mut mapped = block_on(async {
        let mut link = KeyLink::open(Talk::Here).await?;
        let found = part.fetch(&mut link).await?;
        Ok(found.part_of(user_id, created_unix_s).mapped)
    })?;
    let known = map.find(mapped.keygrip).cloned();
    home.put(std::slice::from_ref(&mapped))?;
    home.use_agent()?;
    let fingerprint = match bind(&home, wanted, &primary, &mapped) {
        Ok(fingerprint) => fingerprint,
        Err(failure) => {
            // gpg has no such key, or had it before: nor has the map, or as it was.
            match known {
                None => home.forget(mapped.keygrip)?,
                Some(known) => home.put(std::slice::from_ref(&known))?,
            }
            return Err(failure);
        }
    };
    mapped.fingerprint = fingerprint.parse().ok().or(mapped.fingerprint);
    home.put(std::slice::from_ref(&mapped))?;
    say(format_args!("added to {}:", harmless(&primary.user_id)));
    print(fingerprint)
}

/// Lets gpg bind it, and gives its fingerprint as gpg has it.
fn bind(
    home: &Home,
    wanted: &GpgSubkey,
    primary: &Primary,
    mapped: &MappedKey,
) -> Result<String, Failure> {
    let days = wanted
        .expire
        .map_or("0".to_owned(), |days| format!("{days}d"));
    let words = dialogue(mapped, wanted.usage, &days);
    let time = format!("--faked-system-time={}!", mapped.created_unix_s);
    let arguments = [
        "--expert",
        "--command-fd=0",
        "--status-fd=2",
        &time,
        "--edit-key",
        &primary.fingerprint,
        "addkey",
    ];
    home.gpg_talk(&arguments, words.as_bytes())?;
    let listed = home.gpg_done(
        &[
            "--with-colons",
            "--with-keygrip",
            "--list-keys",
            &primary.fingerprint,
        ],
        &[],
    )?;
    fingerprint_of(&listed, &mapped.keygrip.to_string()).ok_or_else(|| {
        Failure::new("gpg has not added the subkey").hint("`gpg --edit-key` shows what it says")
    })
}

const fn role(usage: SubkeyUse) -> Role {
    match usage {
        SubkeyUse::Sign => Role::Sign,
        SubkeyUse::Encrypt => Role::Encrypt,
        SubkeyUse::Authenticate => Role::Authenticate,
    }
}

/// On which gpg binds such a subkey.
fn curve(wanted: &GpgSubkey, place: &Place) -> Result<Curve, Failure> {
    match (wanted.derived.curve, wanted.usage) {
        (None, SubkeyUse::Encrypt) => place.usual_curve(),
        (Some(curve), SubkeyUse::Encrypt) => Ok(curve),
        (None | Some(Curve::Ed25519), SubkeyUse::Sign | SubkeyUse::Authenticate) => {
            Ok(Curve::Ed25519)
        }
        // `check_keygrip` of its keygen.c takes every other curve of its agent for ECDH.
        (Some(curve), SubkeyUse::Sign | SubkeyUse::Authenticate) => Err(Failure::new(format!(
            "gpg binds no subkey on {curve} that signs"
        ))
        .hint("use --curve ed25519")
        .status(Status::Usage)),
    }
}

/// What an OpenPGP key's identity is of.
fn text(identity: &Identity) -> Option<&str> {
    let rest = identity.uri().strip_prefix(Protocol::Gpg.as_str())?;
    rest.strip_prefix("://")
}

/// Of a wallet's key.
fn index(wanted: &GpgSubkey, own: Option<&MappedKey>) -> Result<u32, Failure> {
    if let Some(index) = wanted.derived.index {
        return Ok(index);
    }
    let primary = own.and_then(|it| it.identity.as_ref()).map(|it| it.index());
    match (wanted.usage, primary) {
        // Under a primary from elsewhere 0, else the one behind the primary's.
        (SubkeyUse::Sign, Some(primary)) => primary.checked_add(1).ok_or_else(|| {
            Failure::new("the index is too high for a second key").status(Status::Usage)
        }),
        (_, primary) => Ok(primary.unwrap_or(0)),
    }
}

/// What gpg asks behind `addkey`: kind 13 is a key that its agent has; `=` sets what it is for. Of
/// a list of keys that another one writes at the same moment it asks again, and is told the same.
fn dialogue(key: &MappedKey, usage: SubkeyUse, expires: &str) -> String {
    let letter = match usage {
        SubkeyUse::Sign => 's',
        SubkeyUse::Encrypt => 'e',
        SubkeyUse::Authenticate => 'a',
    };
    let saves = "save\n".repeat(SAVE_TRIES);
    format!("13\n{}\n={letter}\n{expires}\n{saves}", key.keygrip)
}

/// What `--list-keys` tells of a key.
struct Primary {
    fingerprint: String,
    user_id: String,
}

impl Primary {
    fn of(listed: &str) -> Result<Self, Failure> {
        let keys = listed.lines().filter(|it| it.starts_with("pub:")).count();
        if keys != 1 {
            let message = format!("{keys} keys have that name");
            return Err(Failure::new(message)
                .hint("name it by its fingerprint")
                .status(Status::Usage));
        }
        let field = |kind: &str| {
            let line = listed.lines().find(|it| it.starts_with(kind))?;
            line.split(':').nth(USER_ID_FIELD).map(unescaped)
        };
        match (field("fpr:"), field("uid:")) {
            (Some(fingerprint), Some(user_id)) => Ok(Self {
                fingerprint,
                user_id,
            }),
            _ => Err(Failure::new("gpg tells no user id of that key")),
        }
    }
}

/// The fingerprint above the line with this keygrip.
fn fingerprint_of(listed: &str, keygrip: &str) -> Option<String> {
    let mut last = None;
    for line in listed.lines() {
        let value = line.split(':').nth(USER_ID_FIELD);
        match line.split(':').next() {
            Some("fpr") => last = value.map(str::to_owned),
            Some("grp") if value == Some(keygrip) => return last,
            _ => {}
        }
    }
    None
}

/// `\x3a` stands for a colon and so on (GnuPG, `doc/DETAILS`).
fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some((before, behind)) = rest.split_once("\\x") {
        text.push_str(before);
        let digits = behind
            .get(..2)
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        match digits {
            Some(byte) if byte.is_ascii() => {
                text.push(char::from(byte));
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                text.push_str("\\x");
                rest = behind;
            }
        }
    }
    text.push_str(rest);
    text
}

/// As often as an import is tried.
const SAVE_TRIES: usize = 4;

/// Counted from 0 (GnuPG, `doc/DETAILS`, field 10).
const USER_ID_FIELD: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "tru::1:1:0:3:1:5\npub:u:255:22:A1:1:::u:::scESC:::::ed25519:::0:\n\
        fpr:::::::::F1:\ngrp:::::::::G1:\nuid:u::::1::X::Al\\x3aex <a@b>::::\n\
        sub:u:255:18:A2:1::::::e:::::cv25519::\nfpr:::::::::F2:\ngrp:::::::::G2:\n";

    #[test]
    fn a_list_of_one_key_names_its_primary_and_whose_grip_is_whose() {
        let primary = Primary::of(LISTED).unwrap_or_else(|error| panic!("{}", error.message));
        assert_eq!(primary.fingerprint, "F1");
        assert_eq!(primary.user_id, "Al:ex <a@b>");
        assert_eq!(fingerprint_of(LISTED, "G1").as_deref(), Some("F1"));
        assert_eq!(fingerprint_of(LISTED, "G2").as_deref(), Some("F2"));
        assert_eq!(fingerprint_of(LISTED, "G3"), None);
        for several in ["", &LISTED.repeat(2)] {
            let error = Primary::of(several).err().map(|it| it.message);
            assert!(error.is_some_and(|it| it.ends_with("keys have that name")));
        }
    }

    #[test]
    fn every_cut_of_a_list_is_read() {
        for cut in (0..LISTED.len()).filter_map(|len| LISTED.get(..len)) {
            if let Ok(primary) = Primary::of(cut) {
                assert!("F1".starts_with(&primary.fingerprint), "{cut}");
            }
            assert!(
                fingerprint_of(cut, "G2").is_none_or(|it| it == "F2"),
                "{cut}"
            );
        }
    }

    #[test]
    fn escapes_of_fields() {
        let check = |field: &str, expected: &str| assert_eq!(unescaped(field), expected);
        check("Alex", "Alex");
        check(r"a\x3ab\x5c", r"a:b\");
        check(r"\x", r"\x");
        check(r"\xz9\x3", r"\xz9\x3");
        check(r"\xff", r"\xff");
        check("\\x\u{f6}9", "\\x\u{f6}9");
    }
}
