//! `restrict-destination-v00@openssh.com` (OpenSSH `PROTOCOL.agent` §2): where a key may be used.
//!
//! **Invariant:** what is permitted here is permitted by OpenSSH's own agent, and the other way
//! round, for the binds that both take (`ssh-agent.c`: `identity_permitted`,
//! `permitted_by_dest_constraints`, `match_key_hop`, `process_sign_request2`). An empty list is no
//! constraint there; here it is refused when it is read.

use super::bind::SessionBind;
use super::key::{BLOB_BYTES_MAX, PublicKey};
use super::pattern;
use super::to_be_signed::ToBeSigned;
use super::wire::{ParseError, Reader, Writer};

/// The hops that a key may be used for; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destinations {
    hops: Vec<Hop>,
}

impl Destinations {
    /// The name of the constraint.
    pub const EXTENSION: &'static str = "restrict-destination-v00@openssh.com";

    /// Reads the content of the constraint, its outer string taken off
    /// (`core::Constraints::destinations`).
    ///
    /// # Errors
    /// [`ParseError`], also for an empty list.
    pub fn parse(contents: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(contents);
        let mut hops = Vec::new();
        while !reader.is_empty() {
            if hops.len() == HOPS_MAX {
                return Err(ParseError::TooLong);
            }
            hops.push(Hop::parse(reader.string()?)?);
        }
        if hops.is_empty() {
            return Err(ParseError::Truncated);
        }
        Ok(Self { hops })
    }

    /// Puts hops together; none without one.
    #[must_use]
    pub fn new(hops: Vec<Hop>) -> Option<Self> {
        (1..=HOPS_MAX)
            .contains(&hops.len())
            .then_some(Self { hops })
    }

    /// The content again.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let hops = self.hops.iter().map(Hop::encode);
        hops.fold(Writer::new(), |writer, hop| writer.string(&hop))
            .into_bytes()
    }

    /// The hops, in their order.
    #[must_use]
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// May the key be listed, or removed, on a connection that has proved `path`? A key that may
    /// be used to log in *to* a host which the agent is forwarded to, but not beyond, is hidden.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn may_list(&self, path: Path<'_>, now_unix_s: u64) -> Result<(), Forbidden> {
        self.permitted(path, None, now_unix_s).map(|_| ())
    }

    /// May `content` be signed by the key, which the request names as `key` (perhaps by a
    /// certificate of it)?
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn may_sign(
        &self,
        path: Path<'_>,
        key: &PublicKey,
        content: &ToBeSigned,
        now_unix_s: u64,
    ) -> Result<Permitted<'_>, Forbidden> {
        let last = path.binds.last().ok_or(Forbidden::Unbound)?;
        let ToBeSigned::UserAuth(login) = content else {
            return Err(Forbidden::NoLogin);
        };
        if login.key != *key {
            return Err(Forbidden::NoLogin);
        }
        let permitted = self.permitted(path, Some(&login.user), now_unix_s)?;
        if login.session_id != last.session_id {
            return Err(Forbidden::OtherSession);
        }
        match &login.host_key {
            // The first hop is this machine's own client, which may be of before OpenSSH 8.9.
            None if path.binds.len() > 1 => Err(Forbidden::NoHostKey),
            Some(host_key) if *host_key != last.host_key => Err(Forbidden::OtherHostKey),
            None | Some(_) => Ok(permitted),
        }
    }

    /// May the key be used on a connection that has proved `path`, to log in as `user`, or at all?
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn permitted(
        &self,
        path: Path<'_>,
        user: Option<&str>,
        now_unix_s: u64,
    ) -> Result<Permitted<'_>, Forbidden> {
        let Some((last, earlier)) = path.binds.split_last() else {
            // A program of this machine that has not tried to bind.
            return if path.has_refused_bind {
                Err(Forbidden::BindRefused)
            } else {
                Ok(Permitted::default())
            };
        };
        let mut permitted = Permitted::default();
        let mut from = None;
        for bind in earlier {
            if !bind.forwarding {
                return Err(Forbidden::ForwardedLogin);
            }
            let hop = self.find(from, Some(&bind.host_key), None, now_unix_s)?;
            if from.is_none() {
                permitted.through = Some(&hop.to.host);
            }
            from = Some(&bind.host_key);
        }
        if last.forwarding && user.is_some() {
            return Err(Forbidden::Forwarding);
        }
        let hop = self.find(from, Some(&last.host_key), user, now_unix_s)?;
        permitted.to = Some(&hop.to.host);
        if last.forwarding {
            self.find(Some(&last.host_key), None, None, now_unix_s)?;
        }
        Ok(permitted)
    }

    /// The first hop that leads from one host key (none: from here) to another (none: to any).
    fn find(
        &self,
        from: Option<&PublicKey>,
        to: Option<&PublicKey>,
        user: Option<&str>,
        now_unix_s: u64,
    ) -> Result<&Hop, Forbidden> {
        let fits = |hop: &&Hop| {
            let from_fits = match (from, &hop.from) {
                (None, from) => from.is_none(),
                (Some(key), Some(side)) => side.is_of(key, now_unix_s),
                (Some(_), None) => false,
            };
            let user_fits = match (user, &hop.user) {
                (Some(user), Some(pattern)) => pattern::matches(pattern, user),
                _ => true,
            };
            from_fits && user_fits && to.is_none_or(|key| hop.to.is_of(key, now_unix_s))
        };
        self.hops.iter().find(fits).ok_or(Forbidden::Destination)
    }
}

/// What a connection has proved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<'a> {
    /// Its binds in order, each verified.
    pub binds: &'a [SessionBind],
    /// A bind was tried and refused. Only where there is none does it matter: who tried is not
    /// taken for a program of this machine.
    pub has_refused_bind: bool,
}

/// The names in the constraint that a use falls under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permitted<'a> {
    /// The first host that the agent is forwarded to, where there is more than one hop.
    pub through: Option<&'a str>,
    /// The last host; none for a program of this machine.
    pub to: Option<&'a str>,
}

/// One hop: from here or from hosts, to hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Where the connection starts; none is this machine.
    pub from: Option<Side>,
    /// Where it leads.
    pub to: Side,
    /// As whom: a pattern; none is anybody.
    pub user: Option<String>,
}

impl Hop {
    fn parse(contents: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(contents);
        let (from_user, from) = read_side(reader.string()?)?;
        let (user, to) = read_side(reader.string()?)?;
        // Extensions of the hop; none is known.
        let extensions = reader.string()?;
        reader.finish()?;
        if !extensions.is_empty() {
            return Err(ParseError::Unknown);
        }
        if from_user.is_some() {
            return Err(ParseError::Value);
        }
        let to = to.ok_or(ParseError::Value)?;
        Ok(Self { from, to, user })
    }

    fn encode(&self) -> Vec<u8> {
        Writer::new()
            .string(&write_side(None, self.from.as_ref()))
            .string(&write_side(self.user.as_deref(), Some(&self.to)))
            .string(&[])
            .into_bytes()
    }
}

/// A host at one end of a hop: a name with at least one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The name that the person typed; a host certificate must be good for it.
    pub host: String,
    /// Its keys, or its authorities'.
    pub keys: Vec<SideKey>,
}

impl Side {
    fn is_of(&self, key: &PublicKey, now_unix_s: u64) -> bool {
        self.keys.iter().any(|side| match key.certificate() {
            None => !side.is_authority && side.blob == key.blob(),
            Some(certificate) => {
                side.is_authority
                    && side.blob == certificate.terms.authority.blob()
                    && certificate.terms.hold_for_host(&self.host, now_unix_s)
            }
        })
    }
}

/// A key of a host. One of a type that is not known here stays, and fits nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SideKey {
    /// SSH wire blob.
    pub blob: Vec<u8>,
    /// It signs host certificates, and does not stand for a host itself.
    pub is_authority: bool,
}

/// Why a key may not be used; the words are for a log and a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// No bind, and one was tried.
    #[error("the host of this connection could not be proved")]
    BindRefused,
    /// No bind.
    #[error("the key is bound to destinations, and this one is not proved")]
    Unbound,
    /// Anything but a login by this very key.
    #[error("the key is bound to destinations, and this is no login")]
    NoLogin,
    /// No hop leads there.
    #[error("the key is not permitted for this destination")]
    Destination,
    /// The last bind only forwards.
    #[error("the connection forwards the agent and does not log in")]
    Forwarding,
    /// A bind before the last one logs in.
    #[error("a connection that logs in does not forward")]
    ForwardedLogin,
    /// The login is of another connection.
    #[error("the login is of another connection than the one that is proved")]
    OtherSession,
    /// A login behind a hop does not name its host.
    #[error("a login behind another host does not name its host key")]
    NoHostKey,
    /// The login names another host.
    #[error("the login names another host key than the one that is proved")]
    OtherHostKey,
}

/// User and host of one side; no host and no key is this machine.
fn read_side(contents: &[u8]) -> Result<(Option<String>, Option<Side>), ParseError> {
    let mut reader = Reader::new(contents);
    let user = reader.text()?;
    let host = reader.text()?;
    let extensions = reader.string()?;
    if !extensions.is_empty() {
        return Err(ParseError::Unknown);
    }
    let mut keys = Vec::new();
    while !reader.is_empty() {
        let blob = reader.string()?;
        let is_authority = reader.bool()?;
        match PublicKey::from_blob(blob) {
            Ok(_) => {}
            Err(ParseError::Unknown) if blob.len() <= BLOB_BYTES_MAX => {}
            Err(error) => return Err(error),
        }
        keys.push(SideKey {
            blob: blob.to_vec(),
            is_authority,
        });
    }
    let side = match (host.is_empty(), keys.is_empty()) {
        (true, true) => None,
        (false, false) => Some(Side {
            host: host.to_owned(),
            keys,
        }),
        (true, false) | (false, true) => return Err(ParseError::Value),
    };
    Ok(((!user.is_empty()).then(|| user.to_owned()), side))
}

fn write_side(user: Option<&str>, side: Option<&Side>) -> Vec<u8> {
    let host = side.map_or("", |side| side.host.as_str());
    let keys = side.map_or(&[][..], |side| side.keys.as_slice());
    let writer = Writer::new()
        .string(user.unwrap_or_default().as_bytes())
        .string(host.as_bytes())
        .string(&[]);
    keys.iter()
        .fold(writer, |writer, key| {
            writer.string(&key.blob).bool(key.is_authority)
        })
        .into_bytes()
}

/// `AGENT_MAX_DEST_CONSTRAINTS` of OpenSSH.
const HOPS_MAX: usize = 1024;
