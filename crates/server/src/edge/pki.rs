//! The private authority that `init` makes, and the leaf that it signs anew.
//!
//! **Invariant**: the authority's key signs leaves for this server's names and nothing
//! else, and lies in a 0600 file that clients never see; the leaf has a key of its own.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

/// A private authority.
pub struct Authority {
    key: KeyPair,
}

/// PEM texts of a certificate and its key.
pub struct Pair {
    /// For everyone.
    pub certificate: String,
    /// For this server alone; wiped by no type of ours, so it goes to its file at once.
    pub key: String,
}

impl Authority {
    /// Draws one.
    ///
    /// # Errors
    /// The library's.
    pub fn generate(now_unix_s: u64) -> Result<(Self, Pair), PkiError> {
        let authority = Self {
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        };
        let mut params = authority.params();
        set_validity(&mut params, now_unix_s, AUTHORITY_DAYS);
        let certificate = params.self_signed(&authority.key)?;
        let pair = Pair {
            certificate: certificate.pem(),
            key: authority.key.serialize_pem(),
        };
        Ok((authority, pair))
    }

    /// Reads its key.
    ///
    /// # Errors
    /// No PEM of a private key.
    pub fn from_pem(key: &str) -> Result<Self, PkiError> {
        Ok(Self {
            key: KeyPair::from_pem(key)?,
        })
    }

    /// Signs a leaf for `names` (DNS names and addresses), with a new key.
    ///
    /// # Errors
    /// A name that no certificate can have.
    pub fn leaf(&self, names: &[String], now_unix_s: u64) -> Result<Pair, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|it| san(it)).collect::<Result<_, _>>()?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, "keystead key server");
        params.distinguished_name = subject;
        set_validity(&mut params, now_unix_s, LEAF_DAYS);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(self.params(), &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The same at each call, so that the key alone is enough to go on signing.
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        let hash = digest(&SHA256, self.key.public_key_raw());
        let id: String = hash
            .as_ref()
            .iter()
            .take(ID_BYTES)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, format!("keystead authority {id}"));
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A name that no certificate can have.
    #[error("{0:?} is no host name and no address")]
    Name(String),
    /// The library's.
    #[error("no certificate can be made")]
    Library(#[from] rcgen::Error),
}

impl PkiError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) => "give names as clients type them, without https:// and port",
            Self::Library(_) => "see that ca.key is the key that init made",
        }
    }
}

fn san(name: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || PkiError::Name(name.to_owned());
    if !is_host(name) {
        return Err(bad());
    }
    name.try_into().map(SanType::DnsName).map_err(|_| bad())
}

/// Letters, digits and hyphens between dots (RFC 1123 section 2.1).
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn set_validity(params: &mut CertificateParams, now_unix_s: u64, days: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let from_s = now_unix_s.saturating_sub(SLACK_S);
    let until_s = now_unix_s.saturating_add(days * DAY_S);
    params.not_before = epoch + Duration::from_secs(from_s);
    params.not_after = epoch + Duration::from_secs(until_s);
}

/// Ten years: clients keep its hash, and a new one means a new invitation for each.
const AUTHORITY_DAYS: u64 = 3_650;

/// 90 days, as the public authorities have it: a stolen key is of use no longer.
pub const LEAF_DAYS: u64 = 90;

/// A client whose clock is an hour behind takes it too.
const SLACK_S: u64 = 3_600;

const DAY_S: u64 = 86_400;

/// 8 bytes: two authorities of one operator are told apart.
const ID_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::validity::Validity;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, UnixTime};

    const NOW_S: u64 = 1_795_000_000;

    fn der(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn clients_that_know_the_authority_take_the_leaf() {
        let (authority, pair) = Authority::generate(NOW_S).unwrap();
        let names = ["keys.example.org", "127.0.0.1", "::1"].map(str::to_owned);
        // Read back, as a renewal does.
        let again = Authority::from_pem(&pair.key).unwrap();
        for authority in [authority, again] {
            let leaf = authority.leaf(&names, NOW_S).unwrap();
            let mut roots = rustls::RootCertStore::empty();
            roots.add(der(&pair.certificate)).unwrap();
            let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier =
                rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .unwrap();
            let verify = |name: &'static str, now_s| {
                use rustls::client::danger::ServerCertVerifier as _;
                let name = name.try_into().unwrap();
                let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
                verifier.verify_server_cert(&der(&leaf.certificate), &[], &name, &[], now)
            };
            for name in ["keys.example.org", "127.0.0.1", "::1"] {
                verify(name, NOW_S).unwrap();
                verify(name, NOW_S - 1_800).unwrap();
                verify(name, NOW_S + 89 * DAY_S).unwrap();
                verify(name, NOW_S + 91 * DAY_S).unwrap_err();
                verify(name, NOW_S - DAY_S).unwrap_err();
            }
            verify("other.example.org", NOW_S).unwrap_err();
        }
    }

    #[test]
    fn the_validity_is_read_as_it_was_written() {
        let (authority, pair) = Authority::generate(NOW_S).unwrap();
        let leaf = authority.leaf(&["localhost".to_owned()], NOW_S).unwrap();
        for (pem, days) in [
            (&leaf.certificate, LEAF_DAYS),
            (&pair.certificate, AUTHORITY_DAYS),
        ] {
            let expected = Validity {
                from_unix_s: NOW_S - SLACK_S,
                until_unix_s: NOW_S + days * DAY_S,
            };
            assert_eq!(Validity::of(&der(pem)), Some(expected));
        }
    }

    #[test]
    fn names_that_no_certificate_has() {
        let (authority, _) = Authority::generate(NOW_S).unwrap();
        for name in [
            "",
            "a b",
            "-a",
            "a-.org",
            "a..b",
            "*.example.org",
            "ä.org",
            "https://a",
        ] {
            let made = authority.leaf(&[name.to_owned()], NOW_S);
            assert!(
                matches!(made, Err(PkiError::Name(it)) if it == name),
                "{name}"
            );
        }
    }
}
