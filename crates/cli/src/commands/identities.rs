//! `ssh import-identities`: what trezor-agent knew comes into `identities.toml`.

use std::io::{self, Read};
use std::path::Path;

use keystead_agent::identities::{FILE_NAME, Patterns};
use keystead_core::{Curve, Derivation, Identity, IdentityParts, Protocol};
use keystead_formats::trezor_agent::{self, Named};

use crate::agent_link::folders;
use crate::arguments::ImportIdentities;
use crate::commands::file;
use crate::commands::identity::of_identity;
use crate::failure::{Failure, Status};
use crate::terminal::{harmless, print_raw, say};

/// `ssh import-identities [--print] FILE`
pub(crate) fn import(import: &ImportIdentities) -> Result<(), Failure> {
    let text = read(&import.file)?;
    let blocks = blocks_of(&text)?;
    if blocks.is_empty() {
        return Err(Failure::new("no identity of ssh is in it")
            .hint("a line of an identity file or of an exported key has <ssh://user@host|curve>"));
    }
    let path = folders()?.config.join(FILE_NAME);
    let before = file::read(&path)?.unwrap_or_default();
    let before = String::from_utf8(before)
        .map_err(|_| Failure::new(format!("{} is no text", path.display())))?;
    let is_new = |block: &&String| !before.contains(block.trim_end());
    let added: String = blocks.iter().filter(is_new).cloned().collect();
    if import.print {
        return print_raw(added.as_bytes());
    }
    if added.is_empty() {
        say(format_args!("{} has them already", path.display()));
        return Ok(());
    }
    let gap = if before.is_empty() || before.ends_with("\n\n") {
        ""
    } else if before.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    let after = format!("{before}{gap}{added}");
    // Curves stand in each block: no default counts.
    Patterns::parse(&after, Curve::Nist256p1).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display())).hint("correct the file first")
    })?;
    file::replace(&path, after.as_bytes())?;
    say(format_args!("written to {}:", path.display()));
    print_raw(added.as_bytes())
}

/// A block for each identity, once: a file of them and their exported keys may come together.
fn blocks_of(text: &str) -> Result<Vec<String>, Failure> {
    let mut blocks = Vec::new();
    for named in trezor_agent::identities(text) {
        let block = block(named)?;
        blocks.extend(block.filter(|it| !blocks.contains(it)));
    }
    Ok(blocks)
}

/// One identity as a block of the file; none of what is not for ssh.
fn block(named: Named<'_>) -> Result<Option<String>, Failure> {
    let words = named.identity;
    let parts = IdentityParts::parse(words).map_err(|error| of_identity(&error))?;
    if let Some(other) = parts
        .protocol
        .as_deref()
        .filter(|it| *it != Protocol::Ssh.as_str())
    {
        let (words, other) = (harmless(words), harmless(other));
        say(format_args!("note: {words} is for {other}, and left out"));
        return Ok(None);
    }
    let curve: Curve = named.curve.parse().map_err(|error| {
        Failure::of(&error)
            .hint("trezor-agent has nist256p1 and ed25519 for ssh")
            .status(Status::Usage)
    })?;
    let uri = parts.uri(Protocol::Ssh);
    let identity = Identity::new(uri, curve, named.index, Derivation::Sign);
    let identity = identity.map_err(|error| of_identity(&error))?;
    let host = match &parts.user {
        Some(user) => format!("{user}@{}", parts.bare_host()),
        None => parts.bare_host().to_owned(),
    };
    let index = match named.index {
        0 => String::new(),
        index => format!("index = {index}\n"),
    };
    let block = format!(
        "[[identity]]\nhost = {}\nidentity = {}\ncurve = \"{curve}\"\n{index}\n",
        quoted(&host),
        quoted(identity.uri()),
    );
    if let Err(error) = Patterns::parse(&block, curve) {
        let message = error.message;
        say(format_args!(
            "note: {} is left out: {message}",
            harmless(words)
        ));
        return Ok(None);
    }
    Ok(Some(block))
}

/// A basic string of TOML; what comes here is printable ASCII.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = BYTES_MAX.saturating_add(1);
    let read = if path == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let count = read.map_err(|error| file::failure(path, &error))?;
    let is_long = u64::try_from(count).is_ok_and(|count| count >= limit);
    let text = String::from_utf8(bytes).ok().filter(|_| !is_long);
    text.ok_or_else(|| Failure::new(format!("{}: no text, or too long", path.display())))
}

/// 1 MiB, as much as the agent reads of its own file.
const BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn named<'a>(identity: &'a str, curve: &'a str) -> Named<'a> {
        Named {
            identity,
            curve,
            index: 0,
        }
    }

    #[test]
    fn identities_become_blocks_that_are_read() {
        let check = |words: &str, curve: &str, expected: &str| {
            let block = block(named(words, curve)).unwrap().unwrap();
            assert_eq!(block, expected);
            assert!(!Patterns::parse(&block, Curve::Ed25519).unwrap().is_empty());
        };
        check(
            "ssh://alex@db1",
            "nist256p1",
            "[[identity]]\nhost = \"alex@db1\"\nidentity = \"ssh://alex@db1\"\n\
             curve = \"nist256p1\"\n\n",
        );
        check(
            "db1:2222",
            "ed25519",
            "[[identity]]\nhost = \"db1\"\nidentity = \"ssh://db1:2222\"\ncurve = \"ed25519\"\n\n",
        );
        check(
            "root@[::1]:2222",
            "ed25519",
            "[[identity]]\nhost = \"root@::1\"\nidentity = \"ssh://root@[::1]:2222\"\n\
             curve = \"ed25519\"\n\n",
        );
        // The host of trezor-agent's syntax may be what no login names.
        assert_eq!(
            block(named("ssh://root@[db1]:2:2", "ed25519")).unwrap(),
            None
        );
        let twice = "<ssh://a@b|ed25519>\n<a@b|ed25519>\nssh-ed25519 AAAA <ssh://a@b|ed25519>\n";
        assert_eq!(blocks_of(twice).unwrap().len(), 1);
        let third = "ssh-ed25519 AAAA <ssh://a@b|ed25519> index 3\n";
        let block_of_third = "[[identity]]\nhost = \"a@b\"\nidentity = \"ssh://a@b\"\n\
                              curve = \"ed25519\"\nindex = 3\n\n";
        assert_eq!(blocks_of(third).unwrap(), [block_of_third]);
        let of_third = Patterns::parse(block_of_third, Curve::Nist256p1);
        assert!(!of_third.unwrap().is_empty());
        assert_eq!(block(named("gpg://Alex <a@b>", "nist256p1")).unwrap(), None);
        assert!(block(named("alex@db1", "secp256k1")).is_err());
        assert!(block(named("alex@db1", "p256")).is_err());
        assert!(block(named("", "ed25519")).is_err());
        assert!(block(named("alex@d\u{f6}", "ed25519")).is_err());
    }
}
