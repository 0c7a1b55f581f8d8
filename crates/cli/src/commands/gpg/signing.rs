//! Which key of gpg's signs and is held by a keeper.

use std::collections::BTreeSet;

use keystead_agent::gpg::KeyMap;

use crate::failure::{Failure, Status};

use super::home::Home;

/// The fingerprint by which gpg signs with a keeper's key: of the one that is named, else of the
/// only one.
pub(crate) fn signing_key(named: Option<&str>) -> Result<String, Failure> {
    let home = Home::of(None)?;
    let mut arguments = vec!["--with-colons", "--with-keygrip", "--list-secret-keys"];
    arguments.extend(named);
    let listed = home.gpg_done(&arguments, &[])?;
    let found = signing(&listed, &home.map()?);
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::new("no key of gpg that signs is held by a keeper")
            .hint("`keystead gpg init \"Name <mail>\"` makes one")),
        _ => Err(Failure::new("which key? there are several")
            .hint("name it with --key (`gpg --list-secret-keys`)")
            .status(Status::Usage)),
    }
}

/// The primaries of which a part signs that is in the map (GnuPG, `doc/DETAILS`).
fn signing(listed: &str, map: &KeyMap) -> Vec<String> {
    let mut found = BTreeSet::new();
    let (mut primary, mut signs, mut is_primary) = (None, false, false);
    for line in listed.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        match field(0) {
            kind @ ("sec" | "ssb") => {
                is_primary = kind == "sec";
                signs = field(CAPABILITIES_FIELD).contains('s') && !is_over(field(VALIDITY_FIELD));
            }
            "fpr" if is_primary => {
                primary = Some(field(VALUE_FIELD).to_owned());
                is_primary = false;
            }
            "grp" if signs => {
                let is_ours = field(VALUE_FIELD)
                    .parse()
                    .is_ok_and(|it| map.find(it).is_some());
                found.extend(primary.clone().filter(|_| is_ours));
            }
            _ => {}
        }
    }
    found.into_iter().collect()
}

/// Expired, revoked, invalid or disabled.
fn is_over(validity: &str) -> bool {
    matches!(validity, "e" | "r" | "i" | "d")
}

// Counted from 0 (GnuPG, `doc/DETAILS`, fields 2, 10 and 12).
const VALIDITY_FIELD: usize = 1;
const VALUE_FIELD: usize = 9;
const CAPABILITIES_FIELD: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1";
    const GRIP: &str = "B0000000000000000000000000000000000000B2";

    /// A key of X25519 in the map, whatever it does in the list.
    fn map() -> KeyMap {
        let json = format!(
            r#"{{"version":1,"keys":[{{"keygrip":"{GRIP}","algorithm":"x25519",
            "public_key":"{}","key_id":"{}","user_id":"Alex","created_unix_s":1}}]}}"#,
            "09".repeat(32),
            "01".repeat(32),
        );
        KeyMap::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn primaries_of_which_a_part_signs() {
        let check = |primary: &str, subkey: &str, expected: &[&str]| {
            let listed = format!(
                "sec:u:255:22:A1:1:::u:::{primary}:::#:::23::0:\nfpr:::::::::{PRIMARY}:\n\
                 grp:::::::::A0000000000000000000000000000000000000A1:\nuid:u::::1::X::Alex::::\n\
                 ssb:{subkey}:::+:::23:\nfpr:::::::::C2C2:\ngrp:::::::::{GRIP}:\n"
            );
            assert_eq!(signing(&listed, &map()), expected, "{listed}");
        };
        check("scESC", "u:255:22:B2:1::::::s", &[PRIMARY]);
        check("scESC", "u:255:18:B2:1::::::e", &[]);
        check("scESC", "e:255:22:B2:1:1:::::s", &[]);
        check("cSC", "r:255:22:B2:1::::::s", &[]);
        assert_eq!(signing("", &map()), [""; 0]);
    }
}
