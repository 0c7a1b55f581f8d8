//! Identities: the URI, curve, index and path from which a wallet derives a key (`spec/identity.md`).
//!
//! **Invariant**: an [`Identity`] names a key that can exist: printable ASCII, a protocol that is
//! known, on a curve that this protocol uses, along the path that this use has. What a holder is
//! shown is the text that is hashed.

use std::fmt;

use crate::Algorithm;

/// Which key of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    uri: String,
    curve: Curve,
    index: u32,
    derivation: Derivation,
}

impl Identity {
    /// 1,024 bytes of text: four lines of a terminal's width, so it can be shown whole.
    pub const URI_BYTES_MAX: usize = 1_024;

    /// Checks what names a key. The text is taken as it is and hashed so: nothing is folded,
    /// added or dropped.
    ///
    /// # Errors
    /// [`IdentityError`] names the first rule broken.
    pub fn new(
        uri: impl Into<String>,
        curve: Curve,
        index: u32,
        derivation: Derivation,
    ) -> Result<Self, IdentityError> {
        let uri = uri.into();
        check_text(&uri)?;
        let protocol = Protocol::of_uri(&uri)?;
        if !protocol.has(curve, derivation) {
            return Err(IdentityError::Curve {
                protocol,
                curve,
                derivation,
            });
        }
        Ok(Self {
            uri,
            curve,
            index,
            derivation,
        })
    }

    /// All identities of a text and an index: one for each curve of `curves`, and each use, that its
    /// protocol has.
    ///
    /// # Errors
    /// As [`Identity::new`], but for its curve; none where these curves are not the protocol's.
    pub fn all_of(
        uri: &str,
        curves: impl IntoIterator<Item = Curve>,
        index: u32,
    ) -> Result<Vec<Self>, IdentityError> {
        check_text(uri)?;
        let protocol = Protocol::of_uri(uri)?;
        let uses = curves.into_iter().flat_map(|curve| {
            [Derivation::Sign, Derivation::Agree].map(|derivation| (curve, derivation))
        });
        uses.filter(|(curve, derivation)| protocol.has(*curve, *derivation))
            .map(|(curve, derivation)| Self::new(uri, curve, index, derivation))
            .collect()
    }

    /// A wallet's own identity: the public key that its fingerprint is taken of.
    #[must_use]
    pub fn of_wallet() -> Self {
        Self {
            uri: WALLET_URI.to_owned(),
            curve: Curve::Nist256p1,
            index: 0,
            derivation: Derivation::Sign,
        }
    }

    /// The text that is hashed, with its protocol.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The text behind `proto://`.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.uri
            .split_once("://")
            .map_or(self.uri.as_str(), |(_, rest)| rest)
    }

    /// Its curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// Which key of this text, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// To sign, or to agree on a key.
    #[must_use]
    pub fn derivation(&self) -> Derivation {
        self.derivation
    }

    /// What the key is for.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        // The constructors have read it.
        Protocol::of_uri(&self.uri).unwrap_or(Protocol::Keystead)
    }

    /// What kind of key it is, by which its public key is encoded.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match (self.derivation, self.curve) {
            (Derivation::Sign, Curve::Nist256p1) => Algorithm::EcdsaP256,
            (Derivation::Sign, Curve::Ed25519) => Algorithm::Ed25519,
            (Derivation::Sign, Curve::Secp256k1) => Algorithm::EcdsaSecp256k1,
            (Derivation::Agree, Curve::Nist256p1) => Algorithm::EcdhP256,
            (Derivation::Agree, Curve::Secp256k1) => Algorithm::EcdhSecp256k1,
            // `Protocol::has` lets no other pair through.
            (_, Curve::Curve25519) | (Derivation::Agree, Curve::Ed25519) => Algorithm::X25519,
        }
    }
}

impl fmt::Display for Identity {
    /// The text; behind it what differs from the usual.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)?;
        if self.index != 0 {
            write!(f, " index {}", self.index)?;
        }
        write!(f, " {}", self.curve)
    }
}

/// Why something names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// No host in it, or no text at all.
    #[error("an identity cannot be empty")]
    Empty,
    /// More than [`Identity::URI_BYTES_MAX`] bytes.
    #[error("an identity has at most {max} bytes, this one has {bytes}", max = Identity::URI_BYTES_MAX)]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Not printable ASCII.
    #[error("an identity is printable ASCII, this one has U+{0:04X}")]
    NotAscii(u32),
    /// No protocol that derives keys here.
    #[error("{0:?} does not begin with ssh://, gpg://, age:// or signify://")]
    Protocol(String),
    /// The protocol has no keys on this curve for this use.
    #[error("{}", wrong_curve(*.protocol, *.curve, *.derivation))]
    Curve {
        /// Whose.
        protocol: Protocol,
        /// On which curve.
        curve: Curve,
        /// For what.
        derivation: Derivation,
    },
}

impl IdentityError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "say whose key: user@host for ssh, any name for age and signify",
            Self::TooLong { .. } => "shorten it; the text is hashed whole",
            Self::NotAscii(_) => {
                "write it in ASCII: for a host name --canonical uses its punycode form, \
                 for a user id `gpg init --identity TEXT` gives the text to hash"
            }
            Self::Protocol(_) => "name one of these protocols",
            Self::Curve { .. } => "choose another one with --curve",
        }
    }
}

/// The curves of SLIP-0010, by the names that Trezor and trezor-agent use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Curve {
    /// P-256.
    Nist256p1,
    /// Ed25519.
    Ed25519,
    /// Bitcoin's.
    Secp256k1,
    /// X25519, to agree on keys.
    Curve25519,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Nist256p1,
        Self::Ed25519,
        Self::Secp256k1,
        Self::Curve25519,
    ];

    /// The name on the wire and in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nist256p1 => "nist256p1",
            Self::Ed25519 => "ed25519",
            Self::Secp256k1 => "secp256k1",
            Self::Curve25519 => "curve25519",
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no curve known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown curve {0:?}; known are nist256p1, ed25519, secp256k1 and curve25519")]
pub struct UnknownCurve(pub String);

impl std::str::FromStr for Curve {
    type Err = UnknownCurve;

    fn from_str(text: &str) -> Result<Self, UnknownCurve> {
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == text)
            .ok_or_else(|| UnknownCurve(text.into()))
    }
}

/// What a derived key is for; the first step of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Derivation {
    /// 13: it signs (SLIP-0013).
    Sign,
    /// 17: it agrees on keys (SLIP-0017).
    Agree,
}

impl Derivation {
    /// The number in the path and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Sign => 13,
            Self::Agree => 17,
        }
    }

    /// The one of a number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            13 => Some(Self::Sign),
            17 => Some(Self::Agree),
            _ => None,
        }
    }
}

/// What a derived key is for, by the text before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// SSH logins and SSHSIG.
    Ssh,
    /// OpenPGP.
    Gpg,
    /// age files.
    Age,
    /// minisign signatures.
    Signify,
    /// The wallet's own fingerprint; such a key signs nothing.
    Keystead,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ssh,
        Self::Gpg,
        Self::Age,
        Self::Signify,
        Self::Keystead,
    ];

    /// The text before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Gpg => "gpg",
            Self::Age => "age",
            Self::Signify => "signify",
            Self::Keystead => "keystead",
        }
    }

    /// A key's identity under this protocol whose whole text is one name: a user id, a file's.
    /// Nothing in it is read as an account or a port.
    #[must_use]
    pub fn uri_of(self, text: &str) -> String {
        format!("{}://{text}", self.as_str())
    }

    /// Whether it has keys on this curve for this use (`spec/identity.md` section 5).
    #[must_use]
    pub const fn has(self, curve: Curve, derivation: Derivation) -> bool {
        match self {
            Self::Ssh => matches!(
                (curve, derivation),
                (Curve::Nist256p1 | Curve::Ed25519, Derivation::Sign)
            ),
            Self::Gpg => matches!(
                (curve, derivation),
                (Curve::Nist256p1 | Curve::Secp256k1, _)
                    | (Curve::Ed25519, Derivation::Sign)
                    | (Curve::Curve25519, Derivation::Agree)
            ),
            Self::Age => matches!((curve, derivation), (Curve::Curve25519, Derivation::Agree)),
            Self::Signify => matches!((curve, derivation), (Curve::Ed25519, Derivation::Sign)),
            Self::Keystead => matches!((curve, derivation), (Curve::Nist256p1, Derivation::Sign)),
        }
    }

    fn of_uri(uri: &str) -> Result<Self, IdentityError> {
        let (protocol, rest) = uri
            .split_once("://")
            .ok_or_else(|| IdentityError::Protocol(uri.to_owned()))?;
        if rest.is_empty() {
            return Err(IdentityError::Empty);
        }
        Self::ALL
            .into_iter()
            .find(|it| it.as_str() == protocol)
            .ok_or_else(|| IdentityError::Protocol(uri.to_owned()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `[proto://][user@]host[:port][/path]`, taken apart as trezor-agent does.
///
/// The rules are those of its regular expression, greedy from the left: what stands before the
/// last `://` is the protocol, before the last `@` the user; then the shortest host behind which
/// `[:port][/path]` ends the text. A port is any word. Empty parts are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityParts {
    /// Before `://`; whoever asks for a key of one protocol puts that in its place.
    pub protocol: Option<String>,
    /// Before `@`.
    pub user: Option<String>,
    /// Never empty.
    pub host: String,
    /// Behind `:`.
    pub port: Option<String>,
    /// From `/` on.
    pub path: Option<String>,
}

impl IdentityParts {
    /// Takes a text apart.
    ///
    /// # Errors
    /// [`IdentityError::Empty`] where there is no host. Other characters than ASCII are let
    /// through, for whoever can write them otherwise.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let (protocol, text) = split_last(text, "://");
        let (user, text) = split_last(text, "@");
        let at = text
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| {
                text.get(*at..)
                    .is_some_and(|rest| port_and_path(rest).is_some())
            })
            .unwrap_or(text.len());
        let (host, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        if host.is_empty() {
            return Err(IdentityError::Empty);
        }
        let (port, path) = port_and_path(rest).unwrap_or_default();
        let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        Ok(Self {
            protocol: some(protocol),
            user: some(user),
            host: host.to_owned(),
            port: some(port),
            path: some(path),
        })
    }

    /// The host as ssh takes it: an IPv6 address, which stands in brackets here since a port could
    /// follow it, without them.
    #[must_use]
    pub fn bare_host(&self) -> &str {
        let bare = self.host.strip_prefix('[');
        bare.and_then(|it| it.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// The text that is hashed for a key of this protocol.
    #[must_use]
    pub fn uri(&self, protocol: Protocol) -> String {
        let mut uri = format!("{protocol}://");
        if let Some(user) = &self.user {
            uri.push_str(user);
            uri.push('@');
        }
        uri.push_str(&self.host);
        if let Some(port) = &self.port {
            uri.push(':');
            uri.push_str(port);
        }
        uri.push_str(self.path.as_deref().unwrap_or_default());
        uri
    }
}

/// `:port` and `/path` where these are the whole of a text.
fn port_and_path(text: &str) -> Option<(&str, &str)> {
    let (port, path) = match text.strip_prefix(':') {
        Some(behind) => {
            let end = behind
                .find(|it: char| !(it.is_alphanumeric() || it == '_'))
                .unwrap_or(behind.len());
            behind.split_at_checked(end)?
        }
        None => ("", text),
    };
    (path.is_empty() || path.starts_with('/')).then_some((port, path))
}

/// What stands before and behind the last `mark`.
fn split_last<'t>(text: &'t str, mark: &str) -> (&'t str, &'t str) {
    text.rsplit_once(mark).unwrap_or(("", text))
}

fn check_text(text: &str) -> Result<(), IdentityError> {
    if text.is_empty() {
        return Err(IdentityError::Empty);
    }
    if text.len() > Identity::URI_BYTES_MAX {
        return Err(IdentityError::TooLong { bytes: text.len() });
    }
    match text.chars().find(|it| !matches!(it, ' '..='~')) {
        Some(other) => Err(IdentityError::NotAscii(u32::from(other))),
        None => Ok(()),
    }
}

fn wrong_curve(protocol: Protocol, curve: Curve, derivation: Derivation) -> String {
    match (protocol, curve, derivation) {
        (Protocol::Ssh, Curve::Secp256k1, Derivation::Sign) => {
            "SSH has no type of key on secp256k1".to_owned()
        }
        (_, _, Derivation::Sign) => format!("{protocol} has no keys on {curve} that sign"),
        (_, _, Derivation::Agree) => format!("{protocol} has no keys on {curve} that decrypt"),
    }
}

/// `spec/identity.md` section 1.
const WALLET_URI: &str = "keystead://wallet";

#[cfg(test)]
mod tests;
