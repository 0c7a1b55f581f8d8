//! User certificates that are offered with their key: `-cert.pub` files beside the `.pub` files.
//!
//! **Invariant:** a certificate is offered only with a key that a keeper holds, while it is valid
//! and if its authority signed it; a signature that names it is asked of its key.

use std::io;

use keystead_core::KeyId;
use keystead_daemon::Disk;
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::certificate::{Role, Terms};
use keystead_formats::ssh::line::KeyLine;

/// All that lie in the folder and can be used.
#[derive(Debug, Default)]
pub struct Certificates {
    /// In the order of their files' names.
    kept: Vec<Kept>,
}

/// A certificate and where it lies.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The file in [`FOLDER`].
    pub file: String,
    /// The certificate.
    pub certificate: PublicKey,
    /// The key inside.
    plain: PublicKey,
}

impl Certificates {
    /// Reads the folder; what cannot be used is named in the second value, for the person.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn load(disk: &mut dyn Disk) -> io::Result<(Self, Vec<String>)> {
        let mut certificates = Self::default();
        let mut notices = Vec::new();
        let mut files = disk.list(FOLDER)?;
        files.retain(|file| file.ends_with(SUFFIX));
        files.sort();
        if files.len() > CERTIFICATES_MAX {
            notices.push(format!(
                "of the certificates only the first {CERTIFICATES_MAX} are offered"
            ));
        }
        for file in files.into_iter().take(CERTIFICATES_MAX) {
            let bytes = disk.read(&format!("{FOLDER}/{file}"))?;
            let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
            match Kept::parse(&file, &text) {
                Ok(kept) => certificates.kept.push(kept),
                Err(error) => notices.push(format!("{FOLDER}/{file}: {error}")),
            }
        }
        Ok((certificates, notices))
    }

    /// The certificates of `key` that are valid now.
    pub fn offered(&self, key: &PublicKey, now_unix_s: u64) -> impl Iterator<Item = &PublicKey> {
        self.kept
            .iter()
            .filter(move |kept| kept.plain == *key && kept.is_valid(now_unix_s))
            .map(|kept| &kept.certificate)
    }

    /// The key inside the certificate of this blob, if it is one of these.
    #[must_use]
    pub fn plain(&self, blob: &[u8]) -> Option<&PublicKey> {
        let kept = self.kept.iter().find(|it| it.certificate.blob() == blob)?;
        Some(&kept.plain)
    }

    /// All, in the order of their files' names.
    #[must_use]
    pub fn all(&self) -> &[Kept] {
        &self.kept
    }

    /// Keeps the certificate of this line for one of `keys`, which are given with the names of
    /// their `.pub` files. One that the key had in the same file is replaced.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn add(
        &mut self,
        line: &str,
        keys: &[(PublicKey, String)],
        disk: &mut dyn Disk,
    ) -> Result<&Kept, CertificateError> {
        let mut kept = Kept::parse("", line)?;
        let (_, key_file) = keys
            .iter()
            .find(|(key, _)| *key == kept.plain)
            .ok_or(CertificateError::NoKey)?;
        let stem = key_file.strip_suffix(".pub").unwrap_or(key_file);
        kept.file = format!("{stem}{SUFFIX}");
        let is_new = !self.kept.iter().any(|it| it.file == kept.file);
        if is_new && self.kept.len() == CERTIFICATES_MAX {
            return Err(CertificateError::TooMany);
        }
        let text = format!("{}\n", line.trim());
        disk.replace(&format!("{FOLDER}/{}", kept.file), text.as_bytes())
            .map_err(|source| CertificateError::Disk { source })?;
        self.kept.retain(|it| it.file != kept.file);
        let at = self.kept.partition_point(|it| it.file < kept.file);
        self.kept.insert(at, kept);
        self.kept.get(at).ok_or(CertificateError::NoKey)
    }

    /// Removes the certificates of the key with this fingerprint, or the one in this file.
    ///
    /// # Errors
    /// [`CertificateError`]; none of that name is one.
    pub fn remove(&mut self, named: &str, disk: &mut dyn Disk) -> Result<(), CertificateError> {
        let is_named = |it: &Kept| it.file == named || it.plain.fingerprint() == named;
        let files = self.kept.iter().filter(|it| is_named(it));
        let files: Vec<String> = files.map(|it| it.file.clone()).collect();
        if files.is_empty() {
            return Err(CertificateError::Unknown);
        }
        for file in files {
            disk.remove(&format!("{FOLDER}/{file}"))
                .map_err(|source| CertificateError::Disk { source })?;
            self.kept.retain(|it| it.file != file);
        }
        Ok(())
    }
}

impl Kept {
    fn parse(file: &str, text: &str) -> Result<Self, CertificateError> {
        let line = KeyLine::parse(text).map_err(|_| CertificateError::Unreadable)?;
        let Some(certificate) = line.key.certificate() else {
            return Err(CertificateError::Unreadable);
        };
        if certificate.terms.role != Role::User {
            return Err(CertificateError::OfAHost);
        }
        if !certificate.is_signed_in(line.key.blob()) {
            return Err(CertificateError::False);
        }
        Ok(Self {
            file: file.to_owned(),
            plain: line.key.without_certificate(),
            certificate: line.key,
        })
    }

    /// The id of the key inside.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.plain.id()
    }

    /// What it says.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.certificate.certificate().map(|it| &it.terms)
    }

    /// Is it valid at this moment?
    #[must_use]
    pub fn is_valid(&self, now_unix_s: u64) -> bool {
        self.terms().is_some_and(|terms| {
            (terms.valid_after_unix_s..terms.valid_before_unix_s).contains(&now_unix_s)
        })
    }
}

/// Why a certificate is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not the line of a certificate.
    #[error("this is not an SSH certificate")]
    Unreadable,
    /// A host's.
    #[error("this certificate is for a host")]
    OfAHost,
    /// The authority did not sign it.
    #[error("the signature of the certificate is false")]
    False,
    /// Nobody holds its key.
    #[error("no keeper holds the key of this certificate")]
    NoKey,
    /// There are enough.
    #[error("there are too many certificates")]
    TooMany,
    /// None of that name.
    #[error("there is no such certificate")]
    Unknown,
    /// The disk.
    #[error("the certificate's file cannot be changed")]
    Disk {
        /// Why.
        source: io::Error,
    },
}

impl CertificateError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable => "pass the `-cert.pub` file that `ssh-keygen -s` wrote",
            Self::OfAHost => "put it beside the host's key, as `HostCertificate` of sshd",
            Self::False => "have it made again",
            Self::NoKey => "`keystead key list` shows the keys that have a keeper",
            Self::TooMany => "remove those that have expired",
            Self::Unknown => "`keystead ssh certificate list` shows them",
            Self::Disk { .. } => "see that the state folder can be written",
        }
    }
}

/// In the state folder.
pub const FOLDER: &str = "keys";

/// As OpenSSH looks for them beside a key.
pub const SUFFIX: &str = "-cert.pub";

/// Each is one more identity in the list, and servers count tries.
const CERTIFICATES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use keystead_core::KeyType;
    use keystead_daemon::MemoryDisk;
    use keystead_formats::ssh::signature;
    use keystead_formats::ssh::wire::Writer;
    use keystead_vault::{RawSignature, SignOptions, SigningKey};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const KEY: [u8; 32] = [1; 32];

    /// A certificate of [`KEY`] by an authority that is drawn.
    fn certificate(after_unix_s: u64, before_unix_s: u64) -> PublicKey {
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let authority = SigningKey::generate(KeyType::Ed25519, &mut rng).unwrap();
        let signed = Writer::new()
            .string(b"ssh-ed25519-cert-v01@openssh.com")
            .string(&[5; 32])
            .string(&KEY)
            .u64(7)
            .u32(1)
            .string(b"alex@work")
            .string(&Writer::new().string(b"alex").into_bytes())
            .u64(after_unix_s)
            .u64(before_unix_s)
            .string(b"")
            .string(b"")
            .string(b"")
            .string(&authority.public().to_blob())
            .into_bytes();
        let made = authority.sign(&signed, SignOptions::default()).unwrap();
        let RawSignature::Ed25519(made) = made else {
            unreachable!("it is an Ed25519 key");
        };
        let made = Writer::new().string(&signature::ed25519(&made));
        PublicKey::from_blob(&[signed, made.into_bytes()].concat()).unwrap()
    }

    fn keys() -> Vec<(PublicKey, String)> {
        vec![(PublicKey::ed25519(&KEY), "main.pub".to_owned())]
    }

    #[test]
    fn a_certificate_is_offered_while_it_is_valid() {
        let mut disk = MemoryDisk::new();
        let mut certificates = Certificates::default();
        let line = certificate(100, 200).line("");
        certificates.add(&line, &keys(), &mut disk).unwrap();
        let key = PublicKey::ed25519(&KEY);
        let check = |now_unix_s, expected| {
            assert_eq!(certificates.offered(&key, now_unix_s).count(), expected);
        };
        check(99, 0);
        check(100, 1);
        check(199, 1);
        check(200, 0);
        let other = PublicKey::ed25519(&[2; 32]);
        assert_eq!(certificates.offered(&other, 150).count(), 0);
        // One that has expired still leads to its key: the server says what is wrong with it.
        assert_eq!(certificates.plain(certificate(100, 200).blob()), Some(&key));
        assert_eq!(certificates.plain(key.blob()), None);
    }

    #[test]
    fn the_later_certificate_of_a_key_takes_the_place_of_the_earlier() {
        let mut disk = MemoryDisk::new();
        let mut certificates = Certificates::default();
        for end in [200, 300] {
            let line = certificate(100, end).line("comment");
            certificates.add(&line, &keys(), &mut disk).unwrap();
        }
        let (loaded, notices) = Certificates::load(&mut disk).unwrap();
        assert_eq!((loaded.all().len(), notices.len()), (1, 0));
        let terms = loaded.all()[0].terms().unwrap();
        assert_eq!((terms.valid_before_unix_s, terms.serial), (300, 7));
        assert_eq!(loaded.all()[0].file, "main-cert.pub");
        certificates.remove("main-cert.pub", &mut disk).unwrap();
        assert_eq!(disk.list(FOLDER).unwrap(), Vec::<String>::new());
        let gone = certificates.remove("main-cert.pub", &mut disk);
        assert!(matches!(gone, Err(CertificateError::Unknown)));
    }

    #[test]
    fn a_changed_certificate_is_not_kept() {
        let mut blob = certificate(100, 200).blob().to_vec();
        let at = blob.windows(4).position(|it| it == b"alex").unwrap();
        blob[at] = b'b';
        let changed = PublicKey::from_blob(&blob).unwrap().line("");
        let kept = Certificates::default()
            .add(&changed, &keys(), &mut MemoryDisk::new())
            .map(|_| ());
        assert!(matches!(kept, Err(CertificateError::False)));
    }

    #[test]
    fn a_full_disk_keeps_what_was_there() {
        let mut disk = MemoryDisk::new();
        disk.faults.full_above_bytes = Some(10);
        let mut certificates = Certificates::default();
        let line = certificate(100, 200).line("");
        let kept = certificates.add(&line, &keys(), &mut disk).map(|_| ());
        assert!(matches!(kept, Err(CertificateError::Disk { .. })));
        assert_eq!(certificates.all().len(), 0);
    }
}
