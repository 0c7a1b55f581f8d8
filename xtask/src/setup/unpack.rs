//! Debian packages unpacked under `target`, for a person without root: the
//! programs run from there, and nothing of the system changes.

use std::path::{Path, PathBuf};

use crate::console::say;
use crate::failure::{About, Failure, Result};
use crate::run::Program;

/// A folder that packages were, or may be, unpacked into.
pub(super) struct Unpacked {
    folder: PathBuf,
}

impl Unpacked {
    pub(super) fn under(target: &Path) -> Self {
        Self {
            folder: target.join("unpacked"),
        }
    }

    /// Where its programs lie.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        ["usr/sbin", "usr/bin"]
            .iter()
            .map(|f| self.folder.join(f))
            .collect()
    }

    /// Where its libraries lie, if there are any.
    pub(super) fn libraries(&self) -> Option<PathBuf> {
        let folder = self.folder.join("usr/lib").join(TRIPLET);
        folder.exists().then_some(folder)
    }

    /// Unpacks packages, then what their programs' libraries are in.
    pub(super) fn unpack(&self, packages: &[&str]) -> Result<()> {
        std::fs::create_dir_all(&self.folder).about(self.folder.display())?;
        for package in packages {
            self.one(package)?;
        }
        for library in self.missing_libraries()? {
            let Some((_, package)) = LIBRARIES.iter().find(|(name, _)| library.starts_with(name))
            else {
                return Err(Failure::new(format!(
                    "no package known for the library {library}"
                )));
            };
            self.one(package)?;
        }
        Ok(())
    }

    fn one(&self, package: &str) -> Result<()> {
        let archives = self.folder.join("archives");
        std::fs::create_dir_all(&archives).about(archives.display())?;
        say(&format!("Downloading {package}."));
        Program::new("apt-get")
            .args(["download", "-q", package])
            .folder(&archives)
            .must()?;
        for entry in std::fs::read_dir(&archives).about(archives.display())? {
            let archive = entry.about(archives.display())?.path();
            Program::new("dpkg")
                .arg("-x")
                .arg(&archive)
                .arg(&self.folder)
                .must()?;
            std::fs::remove_file(&archive).about(archive.display())?;
        }
        // Where /lib is a link to /usr/lib, a package may still say /lib.
        let old = self.folder.join("lib").join(TRIPLET);
        if old.exists() {
            let new = self.folder.join("usr/lib").join(TRIPLET);
            std::fs::create_dir_all(&new).about(new.display())?;
            for entry in std::fs::read_dir(&old).about(old.display())? {
                let file = entry.about(old.display())?;
                let to = new.join(file.file_name());
                if !to.exists() {
                    std::fs::rename(file.path(), &to).about(to.display())?;
                }
            }
        }
        Ok(())
    }

    /// What the loader does not find for the programs here.
    fn missing_libraries(&self) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for folder in self.folders() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let program = entry.about(folder.display())?.path();
                let mut ldd = Program::new("ldd").arg(&program);
                if let Some(libraries) = self.libraries() {
                    ldd = ldd.variable("LD_LIBRARY_PATH", libraries);
                }
                // A script is not a program of the loader's: ldd says so and fails.
                let text = ldd.captured()?.stdout;
                missing.extend(
                    String::from_utf8_lossy(&text)
                        .lines()
                        .filter(|line| line.ends_with("not found"))
                        .filter_map(|line| line.split_whitespace().next())
                        .map(str::to_owned),
                );
            }
        }
        missing.sort();
        missing.dedup();
        Ok(missing)
    }
}

/// Debian's name for this processor, as its library folders have it.
#[cfg(target_arch = "x86_64")]
const TRIPLET: &str = "x86_64-linux-gnu";
/// Debian's name for this processor, as its library folders have it.
#[cfg(target_arch = "aarch64")]
const TRIPLET: &str = "aarch64-linux-gnu";

/// Libraries that openssh and faketime link, and their packages, in Debian 12
/// and 13 and Ubuntu 24.04; a bare system has most.
const LIBRARIES: &[(&str, &str)] = &[
    ("libwrap.so.0", "libwrap0"),
    ("libnsl.so.2", "libnsl2"),
    ("libtirpc.so.3", "libtirpc3"),
    ("libaudit.so.1", "libaudit1"),
    ("libcap-ng.so.0", "libcap-ng0"),
    ("libpam.so.0", "libpam0g"),
    ("libselinux.so.1", "libselinux1"),
    ("libsystemd.so.0", "libsystemd0"),
    ("libgssapi_krb5.so.2", "libgssapi-krb5-2"),
    ("libkrb5.so.3", "libkrb5-3"),
    ("libk5crypto.so.3", "libk5crypto3"),
    ("libkrb5support.so.0", "libkrb5support0"),
    ("libcom_err.so.2", "libcom-err2"),
    ("libkeyutils.so.1", "libkeyutils1"),
    ("libcrypt.so.1", "libcrypt1"),
    ("libcrypto.so.3", "libssl3"),
    ("libedit.so.2", "libedit2"),
    ("libbsd.so.0", "libbsd0"),
    ("libmd.so.0", "libmd0"),
    ("libfido2.so.1", "libfido2-1"),
    ("libcbor.so.0", "libcbor0.8"),
    ("libz.so.1", "zlib1g"),
];
