//! `init`: a folder that a server can run from; `renew-certificate`.
//!
//! **Invariant**: nothing that is there is written over, and the file whose presence makes
//! the folder a server's is written last.

use std::path::Path;

use keystead_core::Secret;
use keystead_daemon::process::Lock;
use keystead_daemon::{Clock, Disk, FolderDisk, SystemClock, SystemRng, utc};
use rand_core::RngCore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::failure::Failure;
use super::files::{AUTHORITY, AUTHORITY_KEY, CERTIFICATE, CERTIFICATE_KEY, MASTER_KEY};
use super::{arguments, print};
use crate::edge::pki::{Authority, Pair};
use crate::edge::validity::Validity;
use crate::settings::{FILE_NAME, Settings};

/// Makes a server in `folder`.
pub(crate) fn init(folder: &Path, init: &arguments::Init) -> Result<(), Failure> {
    let mut disk = FolderDisk::open(folder)?;
    let _lock = Lock::take(folder)?;
    for name in [
        FILE_NAME,
        MASTER_KEY,
        AUTHORITY_KEY,
        AUTHORITY,
        CERTIFICATE_KEY,
    ] {
        if disk.read(name)?.is_some() {
            let message = format!("{} is there already", folder.join(name).display());
            return Err(Failure::new(message, "choose another folder with --dir"));
        }
    }
    let names = names(&init.host);
    let now_unix_s = SystemClock.now().unix_s;
    let (authority, pair) = Authority::generate(now_unix_s)?;
    let leaf = authority.leaf(&names, now_unix_s)?;
    let master_key = Secret::<32>::fill(|bytes| SystemRng.fill_bytes(bytes));
    disk.replace(MASTER_KEY, master_key.expose())?;
    disk.replace(AUTHORITY_KEY, pair.key.as_bytes())?;
    disk.replace(AUTHORITY, pair.certificate.as_bytes())?;
    write(&mut disk, &leaf)?;
    disk.replace(FILE_NAME, configuration(&names).as_bytes())?;
    print::talk(format_args!("made a key server in {}", folder.display()));
    print::talk(format_args!("  {FILE_NAME}: what may be set"));
    print::talk(format_args!(
        "  {MASTER_KEY}: opens the database; keep a copy elsewhere, never with a backup"
    ));
    print::talk(format_args!(
        "  {AUTHORITY}: for clients that register without an invitation (--ca)"
    ));
    print::talk(format_args!(
        "  {CERTIFICATE}: for {}; a running server renews it",
        names.join(", ")
    ));
    let dir = folder.display();
    print::talk(format_args!("next: keystead-server run --dir {dir}"));
    print::talk(format_args!(
        "then: keystead-server invite NAME --dir {dir}"
    ));
    Ok(())
}

/// Signs a new certificate for the names that are configured, or for `names`.
pub(crate) fn renew(folder: &Path, names: &[String]) -> Result<(), Failure> {
    let mut disk = FolderDisk::open(folder)?;
    let settings = Settings::load(folder)?;
    let names = if names.is_empty() {
        &settings.tls.names
    } else {
        names
    };
    sign(&mut disk, names)?;
    print::talk(format_args!(
        "{CERTIFICATE} is new, for {}",
        names.join(", ")
    ));
    Ok(())
}

/// Signs a new leaf with the authority in the folder.
pub(crate) fn sign(disk: &mut FolderDisk, names: &[String]) -> Result<(), Failure> {
    if names.is_empty() {
        let hint = format!("set names in [tls] of {FILE_NAME}, or give --host");
        return Err(Failure::new("for which names is not said", hint));
    }
    let Some(key) = disk.read(AUTHORITY_KEY)? else {
        let hint = "this server's certificates come from elsewhere: replace them there";
        return Err(Failure::new(format!("there is no {AUTHORITY_KEY}"), hint));
    };
    let key = zeroize::Zeroizing::new(key);
    let key = std::str::from_utf8(&key)
        .map_err(|_| Failure::new(format!("{AUTHORITY_KEY} is not PEM"), ""))?;
    let now_unix_s = SystemClock.now().unix_s;
    let authority = Authority::from_pem(key)?;
    if let Some(own) = disk.read(AUTHORITY)? {
        check_authority(&own, now_unix_s)?;
    }
    let leaf = authority.leaf(names, now_unix_s)?;
    write(disk, &leaf)
}

/// Outside its authority's life no client takes a leaf: what is shown stays, since it may
/// be the clock that is wrong.
fn check_authority(certificate: &[u8], now_unix_s: u64) -> Result<(), Failure> {
    let der = CertificateDer::from_pem_slice(certificate);
    let Some(life) = der.ok().and_then(|it| Validity::of(&it)) else {
        return Err(Failure::new(
            format!("{AUTHORITY} is no certificate"),
            "put the one back that init made",
        ));
    };
    if (life.from_unix_s..life.until_unix_s).contains(&now_unix_s) {
        return Ok(());
    }
    let (from, until) = (utc(life.from_unix_s), utc(life.until_unix_s));
    Err(Failure::new(
        format!("the private authority is valid from {from} to {until}, not now"),
        "set this machine's clock right, or invite everybody to a server with a new authority",
    ))
}

/// The key first: a chain without its key is noticed, a key without its chain as well.
fn write(disk: &mut FolderDisk, leaf: &Pair) -> Result<(), Failure> {
    disk.replace(CERTIFICATE_KEY, leaf.key.as_bytes())?;
    disk.replace(CERTIFICATE, leaf.certificate.as_bytes())?;
    Ok(())
}

/// What was given, or this machine's name and localhost.
fn names(given: &[String]) -> Vec<String> {
    let mut names = given.to_vec();
    if names.is_empty() {
        let own = rustix::system::uname();
        let own = own.nodename().to_string_lossy().to_ascii_lowercase();
        if !own.is_empty() && own != "localhost" {
            names.push(own);
        }
    }
    // Whoever tries it on the same machine.
    for local in ["localhost", "127.0.0.1", "::1"] {
        if !names.iter().any(|name| name == local) {
            names.push(local.to_owned());
        }
    }
    names
}

/// The first configuration: what is decided here, and what is often changed.
fn configuration(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    format!(
        "\
# keystead-server's settings; `keystead-server run --help` lists all, with their ranges.
# Read at start; certificates again at SIGHUP.

# listen = \"127.0.0.1:7443\"
# metrics = \"127.0.0.1:7444\"
# What invitations tell clients to connect to; without it the first name below.
# address = \"keys.example.org:7443\"
# database = \"sqlite:keystead.db\"        # or postgres://USER@HOST/NAME
# registration = \"invitation\"            # or closed, open
# binding = \"required\"                   # optional: also through a proxy that ends TLS

[tls]
certificate = \"{CERTIFICATE}\"
key = \"{CERTIFICATE_KEY}\"
# The private authority of this folder: sent along, and it renews the certificate.
authority = \"{AUTHORITY}\"
names = [{names}]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_understood() {
        let names = ["keys.example.org".to_owned(), "::1".to_owned()];
        let settings = Settings::parse(&configuration(&names), Path::new(FILE_NAME)).unwrap();
        assert_eq!(settings.tls.names, names);
        assert_eq!(settings.tls.authority, Some(AUTHORITY.into()));
        let mut plain = settings;
        plain.tls = crate::settings::Tls::default();
        assert_eq!(plain, Settings::default());
    }

    #[test]
    fn this_machine_is_always_reached_by_itself() {
        let given = ["keys.example.org".to_owned(), "127.0.0.1".to_owned()];
        let expected = ["keys.example.org", "127.0.0.1", "localhost", "::1"];
        assert_eq!(names(&given), expected);
        assert!(names(&[]).len() >= 3);
    }
}
