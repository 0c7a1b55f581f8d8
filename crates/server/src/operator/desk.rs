//! The control socket's other end: one question a connection, answered to its end.
//!
//! **Invariant**: only the server's own uid is heard (`daemon::socket`); nothing is done
//! without its entry.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use keystead_channel::session::{AccountName, Authority, InvitationLink, ServerAddress, Status};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_daemon::home::FolderError;
use keystead_daemon::line::{Limits, LineReader};
use keystead_daemon::socket::Listener;
use rand_core::RngCore;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Mutex;

use super::acts::{Invite, Note, OnAccount, Verb};
use super::message::{Ask, Tell, User};
use crate::edge::tls::{Certificate, TlsError};
use crate::ledger::ReadError;
use crate::login;
use crate::program::{in_one_line, sealing_hint};
use crate::rows::{Account, AccountState, NameTag};
use crate::sealing::{MasterSource, SealingError};
use crate::server::Server;
use crate::store::{StoreError, Wanted};

/// What answers the operator.
pub struct Desk {
    pub(super) server: Arc<Server>,
    certificate: Arc<Certificate>,
    pub(super) folder: PathBuf,
    pub(super) master: MasterSource,
    /// Where sessions are taken.
    address: SocketAddr,
    /// Held while the master key is replaced.
    pub(super) rotation: Mutex<()>,
}

/// Why something was not done: for the operator.
pub(super) struct Refused {
    message: String,
    hint: String,
}

pub(super) type Out = OwnedWriteHalf;

impl Desk {
    /// For a server that listens at `address` and whose files are in `folder`.
    #[must_use]
    pub fn new(
        server: Arc<Server>,
        certificate: Arc<Certificate>,
        folder: PathBuf,
        master: MasterSource,
        address: SocketAddr,
    ) -> Self {
        Self {
            server,
            certificate,
            folder,
            master,
            address,
            rotation: Mutex::new(()),
        }
    }

    async fn answer(&self, ask: Ask, out: &mut Out) -> Result<(), Refused> {
        match ask {
            Ask::Users => self.users(out).await,
            Ask::Lock { name } => self.change(&name, Verb::Lock).await,
            Ask::Unlock { name } => self.change(&name, Verb::Unlock).await,
            Ask::Delete { name } => self.change(&name, Verb::Delete).await,
            Ask::Invite { name } => self.invite(&name, out).await,
            Ask::Backup => self.backup(out).await,
            Ask::RotateMasterKey => self.rotate(out).await,
            Ask::AuditExport { user } => self.export(user.as_deref(), out).await,
            Ask::Reload => self.reload(),
        }
    }

    async fn users(&self, out: &mut Out) -> Result<(), Refused> {
        self.note("user list", None).await?;
        let mut after = None;
        loop {
            let server = &self.server;
            let page = server.store.accounts(&server.sealing, after, PAGE).await?;
            for account in &page {
                let account = account
                    .as_ref()
                    .map_err(|fault| Refused::from(StoreError::from(*fault)))?;
                after = Some(account.no);
                let told = self.user(account).await?;
                tell(out, &Tell::User(told)).await?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    async fn user(&self, account: &Account) -> Result<User, Refused> {
        let mut wanted = Wanted::new();
        wanted.chain(account.no);
        let server = &self.server;
        let loaded = server.store.read(wanted).await?;
        let rows = crate::rows::Rows::new(loaded, &server.sealing);
        let secrets = rows.chain(account.no).ok().flatten();
        let state = match account.state {
            AccountState::Active => "active",
            AccountState::Locked => "locked",
            AccountState::Pending => "pending",
        };
        Ok(User {
            name: account.name.as_str().to_owned(),
            state: state.to_owned(),
            user_id: account.user.to_string(),
            made_unix_s: account.made_ms / MS_PER_S,
            secrets: secrets.map_or(0, |chain| chain.secrets),
        })
    }

    async fn change(&self, name: &str, verb: Verb) -> Result<(), Refused> {
        let (name, tag) = self.named(name)?;
        let account = self.find(&name, tag).await?;
        let act = OnAccount {
            verb,
            tag,
            no: account.no,
        };
        let done = self.server.ledger.commit(act).await?;
        let no = done.answer.map_err(|status| refused(status, &name))?;
        match verb {
            Verb::Lock => self.server.live.close_account(no, None, Status::Locked),
            Verb::Delete => {
                let live = &self.server.live;
                live.close_account(no, None, Status::LoginRequired);
                if let Err(error) = self.server.store.delete_secrets_of(no).await {
                    tracing::warn!(%error, "secrets of a deleted account are left for later");
                    self.server.met(&error);
                }
            }
            Verb::Unlock => {}
        }
        Ok(())
    }

    async fn invite(&self, name: &str, out: &mut Out) -> Result<(), Refused> {
        let (name, tag) = self.named(name)?;
        let token = Secret::<16>::fill(|bytes| SystemRng.fill_bytes(bytes));
        let act = Invite {
            hash: login::registration::invitation_hash(&token),
            name: name.clone(),
            tag,
        };
        let done = self.server.ledger.commit(act).await?;
        let made_ms = done.answer.map_err(|status| refused(status, &name))?;
        let days = u64::from(self.server.settings.registrations.invitation_days);
        let link = InvitationLink {
            address: self.reached()?,
            server: self.server.server_id,
            token,
            name,
            authority: self.certificate.authority_hash().map(Authority),
        };
        let told = Tell::Invitation {
            link: link.encode(),
            until_unix_s: made_ms / MS_PER_S + days * DAY_S,
        };
        tell(out, &told).await
    }

    /// What clients connect to.
    fn reached(&self) -> Result<ServerAddress, Refused> {
        let settings = &self.server.settings;
        let port = self.address.port();
        let text = match (&settings.address, settings.tls.names.first()) {
            (Some(address), _) => address.clone(),
            // An address of version 6 stands in brackets before a port.
            (None, Some(name)) if name.contains(':') => format!("[{name}]:{port}"),
            (None, Some(name)) => format!("{name}:{port}"),
            (None, None) => self.address.to_string(),
        };
        ServerAddress::new(&text).map_err(|_| {
            Refused::new(
                format!("{text:?} is no address that a client can connect to"),
                "set address = \"HOST:PORT\" in config.toml",
            )
        })
    }

    async fn export(&self, user: Option<&str>, out: &mut Out) -> Result<(), Refused> {
        let account = match user {
            None => None,
            Some(name) => {
                let (name, tag) = self.named(name)?;
                Some(self.find(&name, tag).await?)
            }
        };
        let of = account.as_ref().map(|account| (account.no, account.user));
        self.note("audit export", account).await?;
        let mut export = self.server.ledger.export(of);
        while let Some(text) = export.next().await? {
            tell(out, &Tell::Line { text }).await?;
        }
        Ok(())
    }

    fn reload(&self) -> Result<(), Refused> {
        Ok(self.certificate.reload()?)
    }

    /// Logged before it is done: an export that nobody knows of is none.
    pub(super) async fn note(
        &self,
        verb: &'static str,
        of: Option<Account>,
    ) -> Result<(), Refused> {
        let act = Note { verb, of };
        self.server.ledger.commit(act).await?;
        Ok(())
    }

    fn named(&self, typed: &str) -> Result<(AccountName, NameTag), Refused> {
        let name = AccountName::canonicalise(typed).map_err(|fault| {
            Refused::new(
                format!("{typed:?} is no account name: {fault}"),
                "names are 1 to 254 bytes without white space",
            )
        })?;
        let tag = NameTag(name.tag(&self.server.names.k_name));
        Ok((name, tag))
    }

    async fn find(&self, name: &AccountName, tag: NameTag) -> Result<Account, Refused> {
        let mut wanted = Wanted::new();
        wanted.tag(tag);
        let server = &self.server;
        let loaded = server.store.read(wanted).await?;
        let rows = crate::rows::Rows::new(loaded, &server.sealing);
        match rows.account_by_tag(tag) {
            Ok(Some(account)) => Ok(account.clone()),
            Ok(None) => Err(refused(Status::NotFound, name)),
            Err(_) => Err(refused(Status::Corrupt, name)),
        }
    }
}

/// Answers commands until it is dropped.
pub async fn serve(listener: Listener, desk: Arc<Desk>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, desk.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "the control socket broke");
                return;
            }
        }
    }
}

async fn converse(stream: UnixStream, desk: Arc<Desk>) {
    let (reader, mut out) = stream.into_split();
    let mut reader = LineReader::new(reader, Limits::CONTROL);
    let ask = match reader.next().await {
        Ok(Some(line)) => serde_json::from_slice::<Ask>(&line).map_err(|error| error.to_string()),
        Ok(None) => return,
        Err(error) => Err(error.to_string()),
    };
    let last = match ask {
        Err(why) => Tell::failed(why, "see that both are of one version"),
        Ok(ask) => match desk.answer(ask, &mut out).await {
            Ok(()) => Tell::Done,
            Err(Refused { message, hint }) => Tell::Failed { message, hint },
        },
    };
    let _ = tell(&mut out, &last).await;
}

/// One line of an answer.
pub(super) async fn tell(out: &mut Out, tell: &Tell) -> Result<(), Refused> {
    let mut line = serde_json::to_vec(tell).unwrap_or_default();
    line.push(b'\n');
    Ok(out.write_all(&line).await?)
}

impl Refused {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

macro_rules! from_error_with_hint {
    ($($error:ty => $hint:expr),*) => {
        $(impl From<$error> for Refused {
            fn from(error: $error) -> Self {
                let hint: fn(&$error) -> String = $hint;
                let hint = hint(&error);
                Self::new(in_one_line(&error), hint)
            }
        })*
    };
}

from_error_with_hint!(
    StoreError => |error| error.hint().to_owned(),
    SealingError => |error| sealing_hint(error).to_owned(),
    ReadError => |_| "what was printed is not the whole log".to_owned(),
    FolderError => FolderError::hint,
    TlsError => TlsError::hint,
    std::io::Error => |_| "see that the server's folder has room".to_owned()
);

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "three are about the name; the others say what they say to everyone"
)]
fn refused(status: Status, name: &AccountName) -> Refused {
    let name = name.as_str();
    let message = match status {
        Status::NotFound => format!("no account is called {name}"),
        Status::NameTaken => format!("an account is called {name} already"),
        Status::Corrupt => format!("the row of {name} does not open"),
        other => format!("the server answers with code {}", other.number()),
    };
    let hint = match status {
        Status::NotFound => "see `keystead-server user list`",
        Status::Corrupt => "restore a backup, or find who changed the database",
        other => other.hint(),
    };
    Refused::new(message, hint)
}

/// 100 accounts a page.
const PAGE: usize = 100;

const MS_PER_S: u64 = 1_000;

const DAY_S: u64 = 86_400;
