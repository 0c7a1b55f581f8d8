//! Which names in a `known_hosts` text belong to a host key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
//!
//! **Invariant:** a name is given only with a line that joins it to the very key asked for, and
//! never once a `@revoked` line names that key. Names are candidates to be shown: nothing is
//! permitted because of one.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::certificate::Role;
use super::key::PublicKey;
use super::line::KeyLine;
use super::pattern;

/// What a `known_hosts` text says of one host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// The names, in the order of the file, each once; perhaps none.
    Known(Vec<String>),
    /// A `@revoked` line holds the key or its authority.
    Revoked,
}

/// Looks `host_key` up in `text`.
///
/// Plain names are read from the file. A hashed name, a pattern or an authority's domain says
/// nothing by itself; there each of `candidates` is tried. `candidates` have the form of the
/// file: `host`, or `[host]:port` when the port is not 22.
///
/// Lines that cannot be read are passed over, as OpenSSH does.
#[must_use]
pub fn names_of(text: &str, host_key: &PublicKey, candidates: &[String]) -> Names {
    let mut names = Vec::new();
    for entry in text.lines().filter_map(Entry::parse) {
        match entry.marker {
            Marker::Revoked if entry.is_revocation_of(host_key) => return Names::Revoked,
            Marker::Revoked => {}
            Marker::None if entry.key == host_key.without_certificate() => {
                add(&mut names, entry.hosts.names(candidates));
            }
            Marker::None => {}
            Marker::CertAuthority if entry.certifies(host_key) => {
                let certified = candidates
                    .iter()
                    .filter(|candidate| principals_hold(host_key, candidate));
                add(
                    &mut names,
                    certified.filter(|name| entry.hosts.hold(name)).cloned(),
                );
            }
            Marker::CertAuthority => {}
        }
    }
    Names::Known(names)
}

fn add(names: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for name in more {
        if names.len() < NAMES_MAX && !names.contains(&name) {
            names.push(name);
        }
    }
}

/// `host` or `[host]:port`, lower case, as `known_hosts` writes it.
#[must_use]
pub fn name_with_port(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == SSH_PORT {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

struct Entry<'a> {
    marker: Marker,
    hosts: Hosts<'a>,
    key: PublicKey,
}

#[derive(Clone, Copy)]
enum Marker {
    None,
    CertAuthority,
    Revoked,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') || line.len() > LINE_BYTES_MAX {
            return None;
        }
        let (marker, line) = match line.split_once([' ', '\t']) {
            Some(("@cert-authority", rest)) => (Marker::CertAuthority, rest.trim_start()),
            Some(("@revoked", rest)) => (Marker::Revoked, rest.trim_start()),
            // A marker of a later version may mean anything, so the line means nothing.
            Some((first, _)) if first.starts_with('@') => return None,
            _ => (Marker::None, line),
        };
        let (hosts, key) = line.split_once([' ', '\t'])?;
        Some(Self {
            marker,
            hosts: Hosts::parse(hosts)?,
            key: KeyLine::parse(key).ok()?.key,
        })
    }

    /// The revoked key itself, the key inside a certificate, or the authority of one.
    fn is_revocation_of(&self, host_key: &PublicKey) -> bool {
        self.key == *host_key
            || self.key == host_key.without_certificate()
            || self.certifies(host_key)
    }

    fn certifies(&self, host_key: &PublicKey) -> bool {
        host_key
            .certificate()
            .is_some_and(|c| c.terms.authority == self.key && c.is_signed_in(host_key.blob()))
    }
}

/// A host certificate without principals is good for every name; else the bare host must be one
/// of them (ssh-keygen(1), CERTIFICATES).
fn principals_hold(host_key: &PublicKey, candidate: &str) -> bool {
    host_key.certificate().is_some_and(|certificate| {
        let terms = &certificate.terms;
        terms.role == Role::Host
            && (terms.principals.is_empty()
                || terms
                    .principals
                    .iter()
                    .any(|principal| pattern::matches(principal, bare_host(candidate))))
    })
}

fn bare_host(candidate: &str) -> &str {
    candidate
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]:"))
        .map_or(candidate, |(host, _port)| host)
}

enum Hosts<'a> {
    /// `|1|salt|hash`: HMAC-SHA1 of one name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Comma-separated names and patterns; `!` negates.
    Listed(&'a str),
}

impl<'a> Hosts<'a> {
    fn parse(field: &'a str) -> Option<Self> {
        let Some(hashed) = field.strip_prefix("|1|") else {
            return (!field.starts_with('|')).then_some(Self::Listed(field));
        };
        let (salt, hash) = hashed.split_once('|')?;
        Some(Self::Hashed {
            salt: STANDARD.decode(salt).ok()?,
            hash: STANDARD.decode(hash).ok()?,
        })
    }

    fn hold(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Listed(list) => {
                let mut held = false;
                for pattern in list.split(',') {
                    match pattern.strip_prefix('!') {
                        Some(negated) if matches_name(negated, name) => return false,
                        Some(_) => {}
                        None => held |= matches_name(pattern, name),
                    }
                }
                held
            }
        }
    }

    /// The plain names of the list, then the candidates that it holds.
    fn names(&self, candidates: &[String]) -> Vec<String> {
        let plain = match self {
            Self::Hashed { .. } => "",
            Self::Listed(list) => list,
        };
        let plain = plain
            .split(',')
            .filter(|name| !name.is_empty() && !name.contains(['*', '?', '!']))
            .filter(|name| name.len() <= HOST_BYTES_MAX)
            .map(str::to_ascii_lowercase);
        let held = candidates.iter().filter(|name| self.hold(name)).cloned();
        plain.chain(held).collect()
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    pattern::matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

/// RFC 4250 §4.1: names without a port mean this one.
const SSH_PORT: u16 = 22;
/// Evidence takes at most 16 names; more say nothing to a person.
const NAMES_MAX: usize = 16;
/// RFC 1035 §2.3.4: 255 bytes; brackets and a port besides.
const HOST_BYTES_MAX: usize = 263;
/// A certificate authority by RSA-16384 and a long list of hosts; OpenSSH takes any length.
const LINE_BYTES_MAX: usize = 32 * 1024;
