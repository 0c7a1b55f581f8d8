//! `key import`: a private key that a server shall hold, and sign with.
//!
//! **Invariant:** the key is checked here before it leaves; the encoding stays here, the server
//! gets the key's numbers alone.

use keystead_channel::session::requests::{Import, KeyPurpose, Label, Request};
use keystead_channel::session::{KeyId, List, SecretOctets, Text};
use keystead_daemon::SystemRng;
use keystead_vault::held::Kind;
use rand_core::RngCore;

use crate::access::{self, Need};
use crate::agent;
use crate::arguments::{ImportKey, Key};
use crate::failure::Failure;
use crate::input;
use crate::names::{Known, Names};
use crate::prompt::Given;
use crate::secret::catalogue::{check_new, find_there};
use crate::secret::kind_of;
use crate::secret::make::{brought, copy, new_entry, put, type_of};
use crate::servers::Server;
use crate::talk::{harmless, print, say};

/// Does what was asked for.
pub(crate) fn run(key: &Key) -> Result<(), Failure> {
    match key {
        Key::Import(wanted) => import(wanted),
    }
}

fn import(wanted: &ImportKey) -> Result<(), Failure> {
    let mut given = Given::read(wanted.answers, None)?;
    let server = Server::find(Some(&wanted.keeper))?;
    let names = Names::open()?;
    let home = server.home();
    check_new(&names, home, &wanted.name, wanted.replaces.as_deref())?;
    let purposes = purposes(&wanted.purpose)?;
    let bytes = input::read(&wanted.input, &mut given, None)?;
    let value = brought(&bytes, wanted.kind.map(kind_of), &mut given)?;
    drop(bytes);
    if value.kind() == Kind::Arbitrary {
        return Err(Failure::usage("this is no private key that is known here")
            .hint("OpenSSH, PKCS#8 and PEM files are; for 32 raw bytes name --type"));
    }
    let key = access::with(server, Need::Session, &mut given, async |access| {
        let replaces = match &wanted.replaces {
            Some(old) => Some(find_there(access, None, &names, old).await?.key),
            None => None,
        };
        let mut nonce = [0; 32];
        SystemRng.fill_bytes(&mut nonce);
        let key = KeyId::of(&access.user(), &nonce);
        let request = Request::Import(Import {
            nonce,
            kind: type_of(value.kind()),
            label: Label::Open(Text(wanted.name.clone())),
            replaces,
            value: SecretOctets(copy(value.bytes())),
            purposes: List(purposes),
            policy: None,
        });
        put(access, &request, key).await?;
        names.put(Known {
            replaces,
            signs: true,
            ..new_entry(Some(home), key, &wanted.name, value.kind())
        })?;
        Ok(key)
    })?;
    if let Err(failure) = agent::look_again(&wanted.keeper) {
        say(format_args!("note: the agent: {}", failure.message));
    }
    let (keeper, name) = (harmless(&wanted.keeper), harmless(&wanted.name));
    say(format_args!(
        "{keeper} holds {name} from now on; remove the file once you have seen that it works"
    ));
    say(format_args!(
        "its public key: keystead key show {name} --keeper {keeper}"
    ));
    print(key)
}

/// What the server may sign with it.
fn purposes(typed: &[String]) -> Result<Vec<KeyPurpose>, Failure> {
    let mut purposes = Vec::new();
    for word in typed {
        let meant: &[KeyPurpose] = match word.as_str() {
            "ssh" => &[KeyPurpose::SshLogin, KeyPurpose::SshSig],
            "ssh-login" => &[KeyPurpose::SshLogin],
            "sshsig" => &[KeyPurpose::SshSig],
            "openpgp" => &[KeyPurpose::OpenPgp],
            "message" => &[KeyPurpose::Message],
            "digest" => &[KeyPurpose::Digest],
            other => {
                return Err(
                    Failure::usage(format!("no purpose is called {}", harmless(other)))
                        .hint("ssh, ssh-login, sshsig, openpgp, message, digest"),
                );
            }
        };
        purposes.extend(meant);
    }
    purposes.sort_unstable();
    purposes.dedup();
    let is_alone = purposes.len() == 1;
    let is_ssh = |it: &KeyPurpose| matches!(it, KeyPurpose::SshLogin | KeyPurpose::SshSig);
    match is_alone || purposes.iter().all(is_ssh) {
        true => Ok(purposes),
        false => Err(Failure::usage("only ssh-login and sshsig may share a key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &[&str], expected: Option<&[KeyPurpose]>) {
        let typed: Vec<String> = typed.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(purposes(&typed).ok().as_deref(), expected, "{typed:?}");
    }

    #[test]
    fn only_ssh_purposes_share_a_key() {
        let ssh = [KeyPurpose::SshLogin, KeyPurpose::SshSig];
        check(&["ssh"], Some(&ssh));
        check(&["sshsig", "ssh-login", "ssh"], Some(&ssh));
        check(&["digest"], Some(&[KeyPurpose::Digest]));
        check(&["ssh", "digest"], None);
        check(&["message", "digest"], None);
        check(&["signing"], None);
    }
}
