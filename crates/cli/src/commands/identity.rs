//! `ssh connect` and `ssh key`: the keys that a wallet derives for hosts.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_agent::key_control::{HeldKey, IdentitySpec};
use keystead_agent::{identities, serve};
use keystead_core::{Derivation, Identity, IdentityError, IdentityParts, Protocol};
use keystead_daemon::home::private_folder;
use keystead_formats::ssh::PublicKey;
use serde_json::json;

use crate::agent_link::{block_on, folders, status, unexpected};
use crate::arguments::{Connect, IdentityKey, IdentityOptions};
use crate::commands::file;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk};
use crate::terminal::{print, print_json, say};

/// `ssh connect [--index N] [--curve CURVE] [--canonical] [--keeper NAME] [user@]host[:port] [-- ARGS…]`
pub(crate) fn connect(connect: &Connect) -> Result<(), Failure> {
    let parts = parts(&connect.key, &connect.to)?;
    let port = port(&parts)?;
    check_host(&parts)?;
    let derived = Derived::fetch(&connect.key, &parts)?;
    let file = derived.write()?;
    let socket = status()?.ssh_auth_sock;
    let mut ssh = Command::new("ssh");
    for (option, path) in [("IdentityFile", &file), ("IdentityAgent", &socket)] {
        ssh.arg("-o").arg(path_option(option, path)?);
    }
    ssh.args(["-o", "IdentitiesOnly=yes"]);
    if let Some(port) = port {
        ssh.args(["-p", port]);
    }
    if let Some(user) = &parts.user {
        ssh.args(["-l", user]);
    }
    // Not behind `--`: ssh would take options among the arguments for the command.
    ssh.arg(parts.bare_host()).args(&connect.arguments);
    // Only comes back when it could not be run; else ssh takes this process over.
    let error = ssh.exec();
    Err(Failure::not_run(Path::new("ssh"), &error).hint("install the OpenSSH client"))
}

/// `ssh key [--index N] [--curve CURVE] [--canonical] [--keeper NAME] [--json] IDENTITY`
pub(crate) fn key(wanted: &IdentityKey) -> Result<(), Failure> {
    let parts = parts(&wanted.key, &wanted.text)?;
    let derived = Derived::fetch(&wanted.key, &parts)?;
    if wanted.json {
        return print_json(&json!({
            "version": 1,
            "line": derived.line(),
            "fingerprint": derived.public.fingerprint(),
            "key": derived.held,
        }));
    }
    print(derived.line())
}

/// The canonical form of an identity's parts, by the person's choice: the host in small letters
/// and as punycode (UTS #46), no port that is the protocol's own.
pub(crate) fn canonical(parts: &mut IdentityParts) -> Result<(), Failure> {
    // An address in brackets is no domain.
    parts.host = if parts.host.starts_with('[') {
        parts.host.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(&parts.host).map_err(|_| {
            Failure::new(format!("{:?} is no name of a host", parts.host)).status(Status::Usage)
        })?
    };
    parts.port.take_if(|port| port == SSH_PORT);
    Ok(())
}

/// A derived key that was fetched.
struct Derived {
    identity: Identity,
    held: HeldKey,
    public: PublicKey,
}

impl Derived {
    fn fetch(options: &IdentityOptions, parts: &IdentityParts) -> Result<Self, Failure> {
        let curve = match options.curve {
            Some(curve) => curve,
            None => settings()?.wallet_curve,
        };
        let uri = parts.uri(Protocol::Ssh);
        let identity = Identity::new(uri, curve, options.index, Derivation::Sign);
        let identity = identity.map_err(|error| of_identity(&error))?;
        let spec = IdentitySpec {
            canonical: options.canonical,
            ..IdentitySpec::of(&identity)
        };
        let keeper = options.keeper.as_ref().map(ToString::to_string);
        let held = block_on(async {
            let mut link = KeyLink::open(Talk::Here).await?;
            link.identity_key(spec, keeper).await
        })?;
        let blob = held.public_key_bytes();
        let public = blob.and_then(|blob| PublicKey::from_blob(&blob).ok());
        let public = public.ok_or_else(unexpected)?;
        if options.canonical {
            say(format_args!("derived as {}", identity.uri()));
        }
        Ok(Self {
            identity,
            held,
            public,
        })
    }

    fn line(&self) -> String {
        self.public.line(&identities::comment(&self.identity))
    }

    /// A file of the public key for ssh, where nobody else reads.
    fn write(&self) -> Result<PathBuf, Failure> {
        let folder = folders()?.runtime.join(FOLDER);
        private_folder(&folder).map_err(|error| Failure::of(&error).hint(error.hint()))?;
        let path = folder.join(format!("{}.pub", self.held.id));
        let line = format!("{}\n", self.line());
        if file::read(&path)?.as_deref() != Some(line.as_bytes()) {
            file::replace(&path, line.as_bytes())?;
        }
        Ok(path)
    }
}

fn parts(options: &IdentityOptions, text: &str) -> Result<IdentityParts, Failure> {
    let mut parts = IdentityParts::parse(text).map_err(|error| of_identity(&error))?;
    if options.canonical {
        canonical(&mut parts)?;
    }
    Ok(parts)
}

/// Whether ssh takes the host: no holder is asked for the key of one that it refuses.
fn check_host(parts: &IdentityParts) -> Result<(), Failure> {
    let host = parts.bare_host();
    let usage = |message: String| Err(Failure::new(message).status(Status::Usage));
    if host.starts_with('-') {
        return usage("a host does not begin with a hyphen".to_owned());
    }
    if host == parts.host && host.contains(':') {
        return usage("an IPv6 address stands in brackets: user@[::1]".to_owned());
    }
    match host.chars().find(|it| NOT_IN_HOSTS.contains(it)) {
        Some(wrong) => usage(format!("ssh takes no host with {wrong:?} in it")),
        None => Ok(()),
    }
}

/// The port, if there is one and ssh can use it.
fn port(parts: &IdentityParts) -> Result<Option<&str>, Failure> {
    match parts.port.as_deref() {
        Some(port) if !port.parse::<u16>().is_ok_and(|it| it != 0) => {
            Err(Failure::new(format!("{port:?} is no port"))
                .hint("`keystead ssh key` prints the key of any identity")
                .status(Status::Usage))
        }
        port => Ok(port),
    }
}

/// `OPTION=PATH` as ssh reads it: quoted, its tokens escaped (ssh_config(5), TOKENS).
fn path_option(option: &str, path: &Path) -> Result<OsString, Failure> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(['"', '\\', '\n']) && !text.contains("${"));
    let Some(text) = text else {
        let shown = path.display();
        return Err(Failure::new(format!(
            "ssh cannot be told of the path {shown}"
        )));
    };
    Ok(format!("{option}=\"{}\"", text.replace('%', "%%")).into())
}

/// What ssh refuses in the name of a host besides blanks (`valid_hostname` of OpenSSH 9.6 and later).
const NOT_IN_HOSTS: &[char] = &[
    ' ', '\'', '`', '"', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}',
];

pub(crate) fn settings() -> Result<keystead_agent::settings::Settings, Failure> {
    serve::read_settings(&folders()?).map_err(|error| Failure::of(&error).hint(error.hint()))
}

pub(crate) fn of_identity(error: &IdentityError) -> Failure {
    Failure::of(error).hint(error.hint()).status(Status::Usage)
}

/// In the runtime folder, which is the state folder where the system has none: the agent keeps a
/// file `identities` there.
const FOLDER: &str = "identity-keys";

/// RFC 4251 section 4: what a login goes to unless it says otherwise.
const SSH_PORT: &str = "22";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        let check = |text: &str, expected: Option<&str>| {
            let mut parts = IdentityParts::parse(text).unwrap();
            let done = canonical(&mut parts).ok();
            let uri = done.map(|()| parts.uri(Protocol::Ssh));
            assert_eq!(uri.as_deref(), expected, "{text}");
        };
        check(
            "Alex@DB1.Example.COM:22",
            Some("ssh://Alex@db1.example.com"),
        );
        check("alex@db1:2222", Some("ssh://alex@db1:2222"));
        check(
            "alex@bücher.example",
            Some("ssh://alex@xn--bcher-kva.example"),
        );
        check("[2001:DB8::1]:22", Some("ssh://[2001:db8::1]"));
        check("alex@db1:22/Path", Some("ssh://alex@db1/Path"));
        check("alex@xn--\u{0}", None);
    }

    #[test]
    fn paths_as_ssh_reads_them() {
        let check = |path: &str, expected: Option<&str>| {
            let option = path_option("IdentityFile", Path::new(path)).ok();
            assert_eq!(option.as_deref().and_then(|it| it.to_str()), expected);
        };
        check("/run/a b/k.pub", Some("IdentityFile=\"/run/a b/k.pub\""));
        check("/run/50%/k.pub", Some("IdentityFile=\"/run/50%%/k.pub\""));
        check("/run/\"/k.pub", None);
        check("/run/${HOME}/k.pub", None);
    }

    #[test]
    fn hosts_that_ssh_takes() {
        let check = |text: &str, expected: Option<&str>| {
            let parts = IdentityParts::parse(text).unwrap();
            let error = check_host(&parts).err().map(|it| it.message);
            assert_eq!(error.as_deref(), expected, "{text}");
        };
        check("root@db1", None);
        check("root@[fe80::1%eth0]:2222", None);
        check("db_1.example.org", None);
        check("root@-db1", Some("a host does not begin with a hyphen"));
        let bare = Some("an IPv6 address stands in brackets: user@[::1]");
        check("root@::1", bare);
        check("2001:db8::1", bare);
        check("root@db 1", Some("ssh takes no host with ' ' in it"));
        check("root@db;id", Some("ssh takes no host with ';' in it"));
    }

    #[test]
    fn ports_that_ssh_can_use() {
        let check = |text: &str, expected: Option<Option<&str>>| {
            let parts = IdentityParts::parse(text).unwrap();
            assert_eq!(port(&parts).ok(), expected, "{text}");
        };
        check("a@b", Some(None));
        check("a@b:2222", Some(Some("2222")));
        check("a@b:0", None);
        check("git@github.com:org/repo.git", None);
    }
}
