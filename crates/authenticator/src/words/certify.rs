//! An SSH certificate that a key here is to sign as its authority.

use keystead_core::Name;
use keystead_daemon::utc;
use keystead_formats::ssh::certificate::{CertificateOption, Role, Terms, ToBeCertified};

use super::login::way_row;
use super::{Hop, Origin, Row, Tone, plain, shown, spelled, warn};
use crate::commit::LAST_SECOND;
use crate::entry::Entry;
use crate::show::{Safe, clip, safe_bytes};

/// What is certified: all of it is signed, so all of it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certify {
    /// `user` or `host`.
    pub role: &'static str,
    /// Free text of the authority.
    pub key_id: String,
    /// Its number.
    pub serial: u64,
    /// `SHA256:…` of the certified key, and its type.
    pub certified: (String, String),
    /// For whom, or for which hosts; empty is all.
    pub principals: Vec<String>,
    /// First second.
    pub valid_after_unix_s: u64,
    /// First second after it.
    pub valid_before_unix_s: u64,
    /// Critical options, `name` or `name=value`, safe to show.
    pub options: Vec<String>,
    /// Extensions, safe to show.
    pub extensions: Vec<String>,
    /// The hosts that forward the agent, the first one first.
    pub way: Vec<Hop>,
    /// The key that signs.
    pub key: Name,
    /// The program that asks.
    pub origin: Origin,
}

impl Certify {
    /// The words for a certificate.
    #[must_use]
    pub fn of(certificate: &ToBeCertified, way: Vec<Hop>, key: Name, origin: Origin) -> Self {
        let Terms {
            serial,
            role,
            key_id,
            principals,
            valid_after_unix_s,
            valid_before_unix_s,
            critical_options,
            extensions,
            ..
        } = &certificate.terms;
        let certified = &certificate.key;
        Self {
            role: match role {
                Role::User => "user",
                Role::Host => "host",
            },
            key_id: key_id.clone(),
            serial: *serial,
            certified: (certified.fingerprint(), certified.type_name().to_owned()),
            principals: principals.clone(),
            valid_after_unix_s: *valid_after_unix_s,
            valid_before_unix_s: *valid_before_unix_s,
            options: critical_options.iter().map(option_text).collect(),
            extensions: extensions.iter().map(option_text).collect(),
            way,
            key,
            origin,
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let (fingerprint, type_name) = &self.certified;
        let mut rows = vec![
            plain("Certify", format!("a {} key, as an authority", self.role)),
            plain("Key", format!("{} {type_name}", &**fingerprint)),
            self.validity_row(),
            self.principals_row(),
            plain(
                "Key id",
                format!("\"{}\", serial {}", Safe(&self.key_id), self.serial),
            ),
        ];
        rows.extend(list_row("Only", &self.options, Tone::Plain));
        rows.extend(list_row("Permits", &self.extensions, Tone::Plain));
        rows.extend(way_row(&self.way));
        rows.push(plain("With key", self.key.as_str()));
        rows.extend(self.origin.rows());
        rows
    }

    fn principals_row(&self) -> Row {
        if self.principals.is_empty() {
            let all = match self.role {
                "host" => "every host there is: no name is in it",
                _ => "every user there is: no name is in it",
            };
            return warn("For", all);
        }
        plain("For", self.names())
    }

    fn names(&self) -> String {
        let names = self.principals.iter().map(|it| principal(it));
        names.collect::<Vec<_>>().join(", ")
    }

    fn validity_row(&self) -> Row {
        let from = match self.valid_after_unix_s {
            0 => "always".to_owned(),
            at => format!("from {}", utc(at)),
        };
        match self.valid_before_unix_s {
            u64::MAX => warn("Valid", format!("{from}, without an end")),
            at if at > LAST_SECOND => warn("Valid", format!("{from}, without an end in sight")),
            at => plain("Valid", format!("{from} until {}", utc(at))),
        }
    }

    pub(super) fn line(&self) -> String {
        let names = match self.principals.is_empty() {
            true => "everybody".to_owned(),
            false => clip(&self.names(), NAMES_CHARS_MAX),
        };
        format!(
            "{} certificate {} for {names} with {}",
            self.role,
            quoted(&self.key_id),
            self.key
        )
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.key = Some(self.key.to_string());
        entry.path = self.way.iter().map(|hop| hop.host_key.clone()).collect();
    }
}

/// Whole, and so that no name looks like two.
fn principal(name: &str) -> String {
    let shown = match name.is_ascii() {
        true => Safe(name).to_string(),
        false => spelled(name),
    };
    match name.contains([',', ' ', '"']) || name.is_empty() {
        true => format!("\"{shown}\""),
        false => shown,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text))
}

/// A long list is wrapped by the screen, never cut: all of it is signed.
fn list_row(label: &'static str, options: &[String], tone: Tone) -> Option<Row> {
    (!options.is_empty()).then(|| Row {
        label,
        value: options.join(", "),
        tone,
    })
}

fn option_text(option: &CertificateOption) -> String {
    let name = Safe(&option.name);
    if option.value.is_empty() {
        return name.to_string();
    }
    match option.text() {
        Some(text) => format!("{name}=\"{}\"", Safe(text)),
        None => format!("{name}={}", safe_bytes(&option.value)),
    }
}

/// Names in one line of a log.
const NAMES_CHARS_MAX: usize = 200;
