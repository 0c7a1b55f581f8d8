//! What the operator sets: `config.toml` in the server's folder.
//!
//! **Invariant**: a setting that is not known here, or out of its range, is a mistake that
//! is named with file and line, never passed over; a file that says nothing is the
//! defaults of `spec/session.md`, and those keep every promise of the server.

mod ranges;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use keystead_channel::session::{self, BindingKind, Registration};
use serde::Deserialize;

use ranges::between;

/// The settings; without a file, the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where sessions are taken.
    pub listen: SocketAddr,
    /// Where health, readiness and metrics are told, in clear; left out: nowhere.
    pub metrics: Option<SocketAddr>,
    /// Host and port as clients reach it, for invitations; left out: the first name of the
    /// certificate and the port that is listened at.
    pub address: Option<String>,
    /// `sqlite:FILE` (relative to the folder) or `postgres://…`.
    pub database: String,
    /// Whether sessions must be bound to their TLS connection.
    pub binding: Bind,
    /// Who may register.
    pub registration: Register,
    /// In how many parts of all accounts each stretching profile is shown for a name that
    /// no account has: profile 1, 2, 3.
    pub profile_shares: [u32; 3],
    /// Certificates.
    pub tls: Tls,
    /// Browsers.
    pub websocket: WebSocket,
    /// What stands in front.
    pub proxy: Proxy,
    /// Numbers of sessions.
    pub sessions: Sessions,
    /// Numbers of guesses.
    pub guesses: Guesses,
    /// Numbers of registrations.
    pub registrations: Registrations,
    /// Numbers of what a user keeps.
    pub secrets: Secrets,
    /// Numbers of connections.
    pub connections: Connections,
}

/// Whether sessions must be bound to their TLS connection (section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bind {
    /// They must.
    #[default]
    Required,
    /// A browser, or a proxy that ends TLS, may be in between; registration still needs it.
    Optional,
}

/// Who may register (section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    /// Nobody.
    Closed,
    /// Who has an invitation.
    #[default]
    Invitation,
    /// Everyone.
    Open,
}

/// Certificates; paths are relative to the folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The private authority that `init` made: sent along, and it renews the leaf. Left out
    /// where certificates come from elsewhere.
    pub authority: Option<PathBuf>,
    /// For which names and addresses the private authority signs.
    pub names: Vec<String>,
    /// Authorities of client certificates, PEM; left out: none is asked for.
    pub client_authorities: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub client_certificate: ClientCertificate,
}

/// Whether a client without a certificate is turned away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// It is taken all the same.
    Optional,
    /// It is turned away.
    #[default]
    Required,
}

/// Browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocket {
    /// Whose pages may connect, as `https://keys.example.org`; empty: none.
    pub origins: Vec<String>,
}

/// What stands in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// Whose connections begin with a PROXY header, and nobody else's.
    pub from: Vec<IpAddr>,
}

/// Numbers of sessions (section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Requests a login; 1 is the seeds' rule, 0 none.
    pub requests_max: u32,
    /// Without a frame for so long, the traffic keys are dropped.
    #[serde(deserialize_with = "between::<_, 1, DAY_S>")]
    pub idle_s: u32,
    /// Resumable for so long after the last frame.
    #[serde(deserialize_with = "between::<_, 0, MONTH_S>")]
    pub resumable_s: u32,
    /// And at most for so long after login.
    #[serde(deserialize_with = "between::<_, 1, MONTH_S>")]
    pub life_s: u32,
    /// Sessions a user.
    #[serde(deserialize_with = "between::<_, 1, 256>")]
    pub per_user_max: u32,
    /// How old a login may be for what needs a fresh one.
    #[serde(deserialize_with = "between::<_, 1, DAY_S>")]
    pub fresh_login_s: u32,
    /// How long an approval is waited for.
    #[serde(deserialize_with = "between::<_, 1, 3_600>")]
    pub approval_s: u32,
    /// Approvals that are waited for at once.
    #[serde(deserialize_with = "between::<_, 0, 10_000>")]
    pub approvals_max: u32,
}

/// Numbers of guesses (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guesses {
    /// Wrong passwords before the first wait.
    #[serde(deserialize_with = "between::<_, 1, 100>")]
    pub free: u32,
    /// The longest wait.
    #[serde(deserialize_with = "between::<_, 1, DAY_S>")]
    pub wait_s_max: u32,
    /// Wrong passwords that lock.
    #[serde(deserialize_with = "between::<_, 2, 10_000>")]
    pub lock_after: u32,
    /// Counters kept of names that no account has.
    #[serde(deserialize_with = "between::<_, 1_024, 16_777_216>")]
    pub unknown_names_max: u32,
    /// How long a device pass lives.
    #[serde(deserialize_with = "between::<_, 0, 3_650>")]
    pub pass_days: u32,
    /// Device passes a user.
    #[serde(deserialize_with = "between::<_, 0, 256>")]
    pub passes_max: u32,
    /// Wrong passwords with a pass that make it void.
    #[serde(deserialize_with = "between::<_, 1, 100>")]
    pub pass_wrong_max: u32,
    /// Logins and registrations a second from one source (IPv6 by /56), ten seconds' worth
    /// at once; 0: no limit.
    pub per_source_s: u32,
    /// The same in all; 0: no limit.
    pub per_s: u32,
}

/// Numbers of registrations (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registrations {
    /// How long an invitation lives.
    #[serde(deserialize_with = "between::<_, 1, 365>")]
    pub invitation_days: u32,
    /// Open registrations an hour from one source; 0: no limit.
    pub per_source_hour: u32,
}

/// Numbers of what a user keeps (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Bytes of a value, before it is sealed.
    #[serde(deserialize_with = "between::<_, 1, 65_536>")]
    pub value_bytes_max: u32,
    /// Bytes of a label, before it is sealed.
    #[serde(deserialize_with = "between::<_, 1, 256>")]
    pub label_bytes_max: u32,
    /// Secrets a user.
    #[serde(deserialize_with = "between::<_, 0, 100_000_000>")]
    pub per_user_max: u32,
}

/// Numbers of connections (sections 4 and 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// Open in all.
    #[serde(deserialize_with = "between::<_, 1, 1_000_000>")]
    pub max: u32,
    /// Open from one source (IPv6 by /56).
    #[serde(deserialize_with = "between::<_, 1, 1_000_000>")]
    pub per_source_max: u32,
    /// Connections that have not said hello, and logins that wait for their second frame.
    #[serde(deserialize_with = "between::<_, 1, 1_000_000>")]
    pub half_open_max: u32,
    /// Logins of one connection that wait for their second frame; the oldest is dropped.
    #[serde(deserialize_with = "between::<_, 1, 1_024>")]
    pub half_open_each: u32,
    /// For TLS and hello.
    #[serde(deserialize_with = "between::<_, 1, 3_600>")]
    pub hello_s: u32,
    /// For a peer to take anything of what is written.
    #[serde(deserialize_with = "between::<_, 1, 3_600>")]
    pub stall_s: u32,
    /// A connection without a session is closed after so long without a frame.
    #[serde(deserialize_with = "between::<_, 1, DAY_S>")]
    pub idle_s: u32,
}

impl Settings {
    /// Reads them from `folder`; without the file, the defaults.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(folder: &Path) -> Result<Self, SettingsError> {
        let file = folder.join(FILE_NAME);
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Unreadable { file, source }),
        }
    }

    /// Reads them from a text; `file` is for the message.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, SettingsError> {
        let wrong = |line, why: String| SettingsError::Wrong {
            file: file.to_owned(),
            line,
            why,
        };
        let settings: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            wrong(line, ranges::in_one_line(error.message()))
        })?;
        settings
            .check()
            .map_err(|(key, why)| wrong(line_of(text, key), why.to_owned()))?;
        Ok(settings)
    }

    /// The same again, after what was said on the command line took its place.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn checked(self, folder: &Path) -> Result<Self, SettingsError> {
        let file = folder.join(FILE_NAME);
        let wrong = |(_, why): (_, &str)| SettingsError::Wrong {
            file,
            line: None,
            why: why.to_owned(),
        };
        self.check().map_err(wrong)?;
        Ok(self)
    }

    /// What no single number shows.
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.profile_shares.iter().all(|share| *share == 0) {
            return Err(("profile_shares", "one share at least must be above 0"));
        }
        if self.guesses.lock_after <= self.guesses.free {
            return Err(("lock_after", "lock_after must be above free"));
        }
        let is_origin = |it: &String| {
            let rest = it.strip_prefix("https://").or(it.strip_prefix("http://"));
            rest.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
        };
        if !self.websocket.origins.iter().all(is_origin) {
            return Err(("origins", "an origin is https://HOST or https://HOST:PORT"));
        }
        let is_database = ["sqlite:", "postgres://", "postgresql://"]
            .iter()
            .any(|scheme| self.database.starts_with(scheme));
        if !is_database {
            return Err(("database", "a database is sqlite:FILE or postgres://…"));
        }
        if self.tls.client_authorities.is_none()
            && self.tls.client_certificate == ClientCertificate::Optional
        {
            let why = "client_certificate needs client_authorities";
            return Err(("client_certificate", why));
        }
        Ok(())
    }

    /// What every hello and every login tells the client.
    #[must_use]
    pub fn limits(&self) -> session::Limits {
        session::Limits {
            requests_max: self.sessions.requests_max,
            idle_s: self.sessions.idle_s,
            resumable_s: self.sessions.resumable_s,
            life_s: self.sessions.life_s,
            sessions_max: self.sessions.per_user_max,
            value_bytes_max: self.secrets.value_bytes_max,
            label_bytes_max: self.secrets.label_bytes_max,
            secrets_max: self.secrets.per_user_max,
        }
    }

    /// The lowest binding that is taken.
    #[must_use]
    pub const fn lowest_binding(&self) -> BindingKind {
        match self.binding {
            Bind::Required => BindingKind::Exporter,
            Bind::Optional => BindingKind::Unbound,
        }
    }

    /// Who may register.
    #[must_use]
    pub const fn registration(&self) -> Registration {
        match self.registration {
            Register::Closed => Registration::Closed,
            Register::Invitation => Registration::Invitation,
            Register::Open => Registration::Open,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            metrics: None,
            address: None,
            database: DATABASE.to_owned(),
            binding: Bind::default(),
            registration: Register::default(),
            // What clients register with by themselves.
            profile_shares: [1, 0, 0],
            tls: Tls::default(),
            websocket: WebSocket::default(),
            proxy: Proxy::default(),
            sessions: Sessions::default(),
            guesses: Guesses::default(),
            registrations: Registrations::default(),
            secrets: Secrets::default(),
            connections: Connections::default(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: PathBuf::from("server.pem"),
            key: PathBuf::from("server.key"),
            authority: None,
            names: Vec::new(),
            client_authorities: None,
            client_certificate: ClientCertificate::default(),
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        let limits = session::Limits::DEFAULT;
        Self {
            requests_max: limits.requests_max,
            idle_s: limits.idle_s,
            resumable_s: limits.resumable_s,
            life_s: limits.life_s,
            per_user_max: limits.sessions_max,
            // Section 8.1.
            fresh_login_s: 5 * 60,
            // Section 8.3.
            approval_s: 60,
            approvals_max: 100,
        }
    }
}

/// Section 5.2.
impl Default for Guesses {
    fn default() -> Self {
        Self {
            free: 5,
            wait_s_max: 3_600,
            lock_after: 100,
            unknown_names_max: 1 << 20,
            pass_days: 90,
            passes_max: 16,
            pass_wrong_max: 10,
            per_source_s: 10,
            // Half of what one processor evaluates, so that sessions go on under a flood.
            per_s: 1_000,
        }
    }
}

/// Section 5.1.
impl Default for Registrations {
    fn default() -> Self {
        Self {
            invitation_days: 7,
            per_source_hour: 10,
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        let limits = session::Limits::DEFAULT;
        Self {
            value_bytes_max: limits.value_bytes_max,
            label_bytes_max: limits.label_bytes_max,
            per_user_max: limits.secrets_max,
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            // Above the half-open ones, so that a flood of those leaves room.
            max: 50_000,
            // A company behind one address; a flood from one source stays below a fifth.
            per_source_max: 10_000,
            // Section 3.
            half_open_max: 20_000,
            half_open_each: 4,
            hello_s: 30,
            // A peer that takes nothing for so long is gone.
            stall_s: 30,
            // A client that will log in again soon; the session's own idle time is longer.
            idle_s: 5 * 60,
        }
    }
}

/// Why the settings do not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says something that cannot be.
    #[error("{}{}: {why}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: Option<usize>,
        /// What is wrong with it.
        why: String,
    },
}

impl SettingsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "check its owner and permissions".to_owned(),
            Self::Wrong { .. } => {
                "`keystead-server run --help` lists every setting and its range".to_owned()
            }
        }
    }
}

/// The line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    1 + text
        .bytes()
        .take(byte)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// The line that sets `key`.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(sets).map(|line| line + 1)
}

/// Every setting at its default, as the manual shows it.
pub const EXAMPLE: &str = include_str!("settings/example.toml");

/// In the server's folder.
pub const FILE_NAME: &str = "config.toml";

/// Where a key server listens unless told otherwise: beside the relay's.
pub const PORT: u16 = 7_443;

/// A file of the server's folder.
const DATABASE: &str = "sqlite:keystead.db";

const DAY_S: u32 = 86_400;

/// The longest that a session may be resumable.
const MONTH_S: u32 = 31 * DAY_S;

#[cfg(test)]
mod tests;
