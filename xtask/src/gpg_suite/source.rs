//! GnuPG's source by apt, and of it the one program that runs its tests.
//!
//! Invariant: apt's lists and sources are our own copies, under `target`; apt checks the signature
//! of what it fetches.

use std::path::{Path, PathBuf};

use crate::console::{say, step};
use crate::failure::{self, About, Failure, Result};
use crate::run::Program;

/// The unpacked source of the gpg that is installed, with its test program built.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf> {
    let version = Program::new("dpkg-query")
        .args(["-W", "-f", "${source:Version}", "gpg"])
        .output()?;
    // Debian's own part of a version stands behind its last hyphen.
    let upstream = version.rsplit_once('-').map_or(&*version, |(it, _)| it);
    let source = folder.join(format!("gnupg-{upstream}"));
    if !source.join("configure").exists() {
        step(&format!(
            "Fetching the source of GnuPG {upstream} by apt-get."
        ));
        fetch(folder, &version)?;
        unpack(folder, upstream)?;
    }
    if !source.join("tests/gpgscm/gpgscm").exists() {
        step("Building the program that runs GnuPG's tests.");
        build(&source)?;
    }
    Ok(source)
}

fn fetch(folder: &Path, version: &str) -> Result<()> {
    let apt = folder.join("apt");
    let parts = apt.join("sources.list.d");
    for made in [
        &parts,
        &apt.join("lists/partial"),
        &apt.join("archives/partial"),
    ] {
        std::fs::create_dir_all(made).about(made.display())?;
    }
    let system = Path::new("/etc/apt");
    let mut known = vec![system.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(system.join("sources.list.d")) {
        known.extend(entries.flatten().map(|it| it.path()));
    }
    for file in known {
        let extension = file.extension().and_then(|it| it.to_str());
        let (Some(name), Some("list" | "sources"), Ok(text)) =
            (file.file_name(), extension, std::fs::read_to_string(&file))
        else {
            continue;
        };
        failure::write(&parts.join(name), &sources(&text))?;
    }
    let apt_get = || {
        let option = |name: &str, path: &Path| format!("Dir::{name}={}", path.display());
        Program::new("apt-get")
            .args(["-q", "-o", "Dir::Etc::sourcelist=/dev/null"])
            .args(["-o", &option("Etc::sourceparts", &parts)])
            .args(["-o", &option("State::lists", &apt.join("lists"))])
            .args(["-o", &option("Cache::archives", &apt.join("archives"))])
            // Its own files elsewhere are root's; and no other user need write here.
            .args(["-o", "Dir::Cache::pkgcache="])
            .args(["-o", "Dir::Cache::srcpkgcache="])
            .args(["-o", "APT::Sandbox::User=root"])
            .folder(folder)
    };
    apt_get().arg("update").must()?;
    apt_get()
        .args(["source", "--download-only"])
        .arg(format!("gnupg2={version}"))
        .must()
}

/// A list of apt's, of sources in the place of packages (sources.list(5)).
fn sources(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("deb ") {
        Some(rest) => format!("deb-src {rest}\n"),
        None if line.starts_with("Types:") => "Types: deb-src\n".to_owned(),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The authors' archive alone: what Debian changes of it is not what is tested.
fn unpack(folder: &Path, upstream: &str) -> Result<()> {
    let archive = ["bz2", "xz", "gz"]
        .map(|it| folder.join(format!("gnupg2_{upstream}.orig.tar.{it}")))
        .into_iter()
        .find(|it| it.exists());
    let Some(archive) = archive else {
        return Err(Failure::new(format!("no archive of GnuPG {upstream} came")));
    };
    Program::new("tar")
        .args(["-x", "-f"])
        .arg(&archive)
        .folder(folder)
        .must()
}

fn build(source: &Path) -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|it| !Program::new("dpkg-query").args(["-s", it]).quietly())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!(
            "the program is built with these packages, which are not installed: {}",
            missing.join(" ")
        )));
    }
    let without = WITHOUT.map(|it| format!("--disable-{it}"));
    say("It takes a minute.");
    let steps = [
        Program::new("./configure").args(without).folder(source),
        Program::new("make").folder(&source.join("common")),
        Program::new("make").folder(&source.join("tests/gpgscm")),
        Program::new("make")
            .arg("fake-pinentry")
            .folder(&source.join("tests/openpgp")),
    ];
    for step in steps {
        step.output()?;
    }
    Ok(())
}

/// Packages of Debian and Ubuntu.
const NEEDED: [&str; 7] = [
    "gcc",
    "make",
    "libassuan-dev",
    "libgcrypt20-dev",
    "libgpg-error-dev",
    "libksba-dev",
    "libnpth0-dev",
];

/// Parts of GnuPG that its tests of OpenPGP need not.
const WITHOUT: [&str; 12] = [
    "gpgsm",
    "scdaemon",
    "dirmngr",
    "doc",
    "ldap",
    "sqlite",
    "gnutls",
    "ntbtls",
    "photo-viewers",
    "card-support",
    "wks-tools",
    "nls",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_become_sources() {
        let check = |text: &str, expected: &str| assert_eq!(sources(text), expected);
        check(
            "# ours\ndeb [arch=amd64] http://mirror.example/debian stable main\n",
            "# ours\ndeb-src [arch=amd64] http://mirror.example/debian stable main\n",
        );
        check(
            "deb-src http://mirror.example/debian stable main",
            "deb-src http://mirror.example/debian stable main\n",
        );
        check(
            "Types: deb deb-src\nURIs: http://mirror.example/debian\n",
            "Types: deb-src\nURIs: http://mirror.example/debian\n",
        );
        check("", "");
    }
}
