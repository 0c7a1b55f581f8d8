//! `register`, and the first words with a server that this machine does not know.

use std::path::Path;
use std::sync::Arc;

use keystead_channel::session::requests::{Complete, Request, recovery_hash};
use keystead_channel::session::{
    AccountName, InvitationLink, Pin, Profile, Registration, ServerAddress,
};
use keystead_core::{Secret, hex};
use keystead_daemon::SystemRng;
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{
    Authorities, Authority, Binds, Endpoint, Page, Register as Who, Remote, ServerError,
    ServerName, Watch,
};
use keystead_vault::client::{MasterKey, RecoveryCode, StorageKey};

use crate::access::of_server;
use crate::arguments::{Register, Stretch};
use crate::failure::{Failure, Status};
use crate::prompt::Given;
use crate::recovery;
use crate::runtime;
use crate::servers;
use crate::talk::{harmless, say};

/// Opens an account.
pub(crate) fn run(wanted: &Register) -> Result<(), Failure> {
    let mut given = Given::read(wanted.answers, None)?;
    let door = Door::of(
        &wanted.address,
        wanted.account.as_deref(),
        wanted.server.as_deref(),
        wanted.ca.as_deref(),
    )?;
    let invitation = door.invitation(wanted.invite.as_deref())?;
    let book = servers::book()?;
    if book.page(&door.name).is_ok() {
        return Err(
            Failure::usage(format!("this machine knows a server {} already", door.name))
                .hint("choose another name for this one: --server NAME"),
        );
    }
    recovery::check_can_show(wanted.yes)?;
    let password = given.first_password()?;
    let profile = profile(&wanted.stretch);
    let code = RecoveryCode::draw(&mut SystemRng);
    let page = runtime::run(async |ended| {
        let registering = register(&door, password, invitation, profile, &code);
        tokio::select! {
            page = registering => page,
            signal = ended.wait() => Err(Failure::interrupted(signal)),
        }
    })?;
    say(format_args!(
        "{} is registered at {} ({})",
        harmless(page.account.as_str()),
        page.name,
        page.address
    ));
    recovery::hand_over(&code, wanted.yes)?;
    say(format_args!(
        "log in: keystead server login --server {}",
        page.name
    ));
    Ok(())
}

/// Registration, up to the entry that the server has made of it.
async fn register(
    door: &Door,
    password: keystead_channel::session::Password,
    invitation: Option<Secret<16>>,
    profile: Profile,
    code: &RecoveryCode,
) -> Result<Page, Failure> {
    let remote = door.connect().await?;
    match remote.hello().registration {
        Registration::Closed => return Err(of_server(ServerError::NotInvited)),
        Registration::Invitation if invitation.is_none() => {
            return Err(Failure::usage("this server registers by invitation alone")
                .hint("ask its operator for a link: keystead-server invite NAME")
                .status(Status::Forbidden));
        }
        Registration::Invitation | Registration::Open => {}
    }
    let watch = Arc::new(Watch::new(door.seen(&remote)));
    let who = Who {
        account: door.account.clone(),
        password,
        invitation,
        profile,
        keeping: None,
    };
    let registered = remote.register(who, Arc::clone(&watch)).await;
    let registered = registered.map_err(of_server)?;
    let user = registered.user;
    // Both keys live until the end of this block.
    let complete = {
        let rng = &mut SystemRng;
        let master = MasterKey::derive(registered.export_key);
        let storage = StorageKey::draw(rng);
        Request::Complete(Complete {
            storage_key: master.seal_storage_key(&user.0, &storage, rng),
            user,
            recovery_hash: recovery_hash(code.secret()),
        })
    };
    let page = door.page(&remote, user);
    let completed = registered.session.done(&complete).await;
    completed.map_err(of_server)?;
    // From here on the account is there: what is known of it is kept, whatever follows.
    let book = servers::book()?;
    watch.with(|seen| servers::add(&book, &page, seen))?;
    Ok(page)
}

/// A server that this machine has no account at yet: where it is, and whom to believe.
pub(crate) struct Door {
    address: String,
    authority: Authority,
    pin: Pin,
    pub(crate) account: AccountName,
    pub(crate) name: ServerName,
    token: Option<Secret<16>>,
}

impl Door {
    /// By a link or an address.
    pub(crate) fn of(
        address: &str,
        account: Option<&str>,
        name: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Self, Failure> {
        let link =
            match InvitationLink::is_one(address) {
                true => Some(InvitationLink::parse(address).map_err(|error| {
                    Failure::of(&error).hint(error.hint()).status(Status::Usage)
                })?),
                false => None,
            };
        let account = account.map(account_name).transpose()?;
        let account = match (account, link.as_ref().map(|it| &it.name)) {
            (Some(account), Some(invited)) if account != *invited => {
                return Err(Failure::usage(format!(
                    "the invitation is for {}, not for {}",
                    harmless(invited.as_str()),
                    harmless(account.as_str())
                )));
            }
            (Some(account), _) => account,
            (None, Some(invited)) => invited.clone(),
            (None, None) => {
                return Err(Failure::usage("which account?").hint("name it with --account NAME"));
            }
        };
        let authority = authority(ca, link.as_ref())?;
        let server = match &link {
            Some(link) => link.address.clone(),
            None => server_address(address)?,
        };
        let name = name.unwrap_or_else(|| server.host());
        Ok(Self {
            address: format!("https://{server}"),
            authority,
            pin: link
                .as_ref()
                .map_or(Pin::Nothing, |it| Pin::Server(it.server)),
            account,
            name: servers::server_name(&name.replace(':', "-"))?,
            token: link.map(|it| it.token),
        })
    }

    /// The invitation that was typed, else the link's.
    fn invitation(&self, typed: Option<&str>) -> Result<Option<Secret<16>>, Failure> {
        let copied = |token: &Secret<16>| Secret::fill(|out| *out = *token.expose());
        let Some(typed) = typed else {
            return Ok(self.token.as_ref().map(copied));
        };
        let token = hex::typed_array::<16>(typed).map(|mut bytes| Secret::take(&mut bytes));
        match token {
            Some(token) => Ok(Some(token)),
            None if InvitationLink::is_one(typed) => {
                let link = InvitationLink::parse(typed);
                let link = link.map_err(|error| Failure::of(&error).hint(error.hint()))?;
                Ok(Some(link.token))
            }
            None => Err(Failure::usage("an invitation has 32 hexadecimal digits")),
        }
    }

    /// Connects; the server is the one that the link names, if there is one.
    pub(crate) async fn connect(&self) -> Result<Remote, Failure> {
        let trust = self.authority.trust();
        let endpoint = Endpoint::new(&self.address, &trust, self.pin, Binds::Always);
        let endpoint = endpoint.map_err(|error| of_server(error.into()))?;
        Remote::connect(&endpoint).await.map_err(of_server)
    }

    /// A log of which nothing was seen.
    pub(crate) fn seen(&self, remote: &Remote) -> Seen {
        Seen::new(remote.server(), remote.hello().log_key)
    }

    /// What is kept of it from now on.
    pub(crate) fn page(&self, remote: &Remote, user: keystead_channel::session::UserId) -> Page {
        Page {
            name: self.name.clone(),
            address: self.address.clone(),
            authority: self.authority.clone(),
            server: remote.server(),
            log_key: remote.hello().log_key,
            account: self.account.clone(),
            user,
            binds: Binds::Always,
        }
    }
}

/// A name in its one spelling.
fn account_name(typed: &str) -> Result<AccountName, Failure> {
    AccountName::canonicalise(typed).map_err(|error| {
        Failure::of(&error)
            .status(Status::Usage)
            .hint("a name has 1 to 254 bytes without white space, such as alex@example.org")
    })
}

/// How a new password is stretched.
pub(crate) fn profile(stretch: &Stretch) -> Profile {
    match stretch.memory_mib {
        256 => Profile::Strong,
        2048 => Profile::Strongest,
        _ => Profile::Standard,
    }
}

fn authority(ca: Option<&Path>, link: Option<&InvitationLink>) -> Result<Authority, Failure> {
    if let Some(path) = ca {
        let read = Authorities::read(path);
        let read = read.map_err(|error| Failure::of(&error).hint(error.hint()))?;
        let certificates = read.certificates().map(<[u8]>::to_vec).collect();
        return Ok(Authority::These(certificates));
    }
    let pinned = link.and_then(|it| it.authority);
    Ok(pinned.map_or(Authority::System, |it| Authority::Hash(it.0)))
}

/// `https://HOST[:PORT]`, or `HOST:PORT`.
fn server_address(typed: &str) -> Result<ServerAddress, Failure> {
    let bare = typed.strip_prefix("https://").unwrap_or(typed);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let has_port = bare
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit()));
    let whole = match has_port {
        true => bare.to_owned(),
        false => format!("{bare}:{HTTPS_PORT}"),
    };
    ServerAddress::new(&whole).map_err(|error| {
        Failure::of(&error)
            .status(Status::Usage)
            .hint("give https://HOST:PORT, or an invitation link whole")
    })
}

/// RFC 9110 section 4.2.2.
const HTTPS_PORT: u16 = 443;
