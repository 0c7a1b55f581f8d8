//! `login` and `unlock`: a session for the agent.
//!
//! **Invariant:** the session's ticket goes to the agent, and the master key only by the
//! person's word; neither is written anywhere. The device pass alone is kept, 0600.

use std::cell::Cell;
use std::sync::Arc;

use keystead_channel::session::requests::{RecoveryCode as Replace, Request, recovery_hash};
use keystead_channel::session::{Extras, Unlock as SignedUnlock, UnlockText};
use keystead_daemon::{Clock, SystemClock, SystemRng};
use keystead_keeper::server::{LoggedIn, Login as Who, Watch};
use keystead_vault::client::{MasterKey, RecoveryCode};

use crate::access::{self, Wish, of_server};
use crate::agent::{self, Link};
use crate::arguments::{Login, Unlock};
use crate::failure::{Failure, Status};
use crate::prompt::Given;
use crate::recovery;
use crate::register::Door;
use crate::runtime;
use crate::servers::{self, Server};
use crate::talk::{harmless, say};

/// Logs in.
pub(crate) fn run(wanted: &Login) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    give(wanted, &mut given, Lift::Nothing)
}

/// Lifts a lock, by an approver's word or by the recovery code.
pub(crate) fn unlock(wanted: &Unlock) -> Result<(), Failure> {
    let answers = wanted.login.at.answers;
    let mut given = Given::read(answers, wanted.recovery_code_fd)?;
    if let Some(approver) = &wanted.approver {
        give(&wanted.login, &mut given, Lift::Word(approver))?;
        say(format_args!(
            "the lock is lifted, by the word of {}",
            harmless(approver)
        ));
        return Ok(());
    }
    recovery::check_can_show(wanted.yes)?;
    let typed = given.recovery_code()?;
    let code = RecoveryCode::read(typed.expose()).map_err(|error| {
        Failure::of(&error)
            .status(Status::Usage)
            .hint("it was shown when the account was opened")
    })?;
    let next = RecoveryCode::draw(&mut SystemRng);
    give(&wanted.login, &mut given, Lift::Code { code, next: &next })?;
    say("the lock is lifted, and the code that lifted it is used up; here is the next one");
    recovery::hand_over(&next, wanted.yes)
}

/// What a login brings to lift a lock.
enum Lift<'a> {
    Nothing,
    /// The recovery code, which is used up by it and replaced.
    Code {
        code: RecoveryCode,
        next: &'a RecoveryCode,
    },
    /// Of the paired authenticator that is called so.
    Word(&'a str),
}

/// Logs in, replaces the recovery code if there is a new one, and gives the agent the session.
fn give(wanted: &Login, given: &mut Given, lift: Lift<'_>) -> Result<(), Failure> {
    let is_used_up = Cell::new(false);
    let done = runtime::run(async |ended| {
        let giving = async {
            let mut agent = Link::to_running().await?.ok_or_else(agent::not_running)?;
            let mut next = None;
            let extras = match lift {
                Lift::Nothing => Extras::default(),
                Lift::Code { code, next: drawn } => {
                    next = Some(drawn);
                    Extras {
                        recovery_code: Some(code.into_secret()),
                        ..Extras::default()
                    }
                }
                Lift::Word(approver) => Extras {
                    unlock: Some(word(&mut agent, wanted, approver).await?),
                    ..Extras::default()
                },
            };
            let (server, logged_in) = log_in(wanted, given, extras).await?;
            is_used_up.set(next.is_some());
            finish(agent, &server, logged_in, next, wanted.keep).await
        };
        tokio::select! {
            done = giving => done,
            signal = ended.wait() => Err(Failure::interrupted(signal)),
        }
    });
    // By ^C, too: the next one is shown only behind this.
    if done.is_err() && is_used_up.get() {
        say(
            "note: the recovery code is used up, and no other one is known to you;\nnext: keystead server recovery-code",
        );
    }
    done
}

/// What follows a login: what is kept here, the next recovery code if there is one, the agent.
async fn finish(
    agent: Link,
    server: &Server,
    logged_in: LoggedIn,
    next: Option<&RecoveryCode>,
    keeps: bool,
) -> Result<(), Failure> {
    server.keep_seen()?;
    if let Some(pass) = &logged_in.opened.pass {
        server.keep_pass(Some(pass))?;
    }
    if let Some(next) = next {
        let request = Request::RecoveryCode(Replace {
            recovery_hash: recovery_hash(next.secret()),
        });
        let replaced = logged_in.session.done(&request).await;
        replaced.map_err(of_server)?;
    }
    hand(agent, server, logged_in, keeps).await
}

/// An approver's word that lifts the lock of the account at this server.
async fn word(agent: &mut Link, wanted: &Login, approver: &str) -> Result<SignedUnlock, Failure> {
    let server = known(wanted)?;
    let text = UnlockText {
        server: server.page.server,
        account: server.page.account.clone(),
        unix_s: SystemClock.now().unix_s,
    };
    let by = Some(approver.to_owned());
    let (approver, signature) = agent.approve(server.name(), by, &text.encode()).await?;
    Ok(SignedUnlock {
        approver,
        unix_s: text.unix_s,
        signature,
    })
}

/// The server that is meant, which this machine knows: an address without an account is its
/// name.
fn known(wanted: &Login) -> Result<Server, Failure> {
    let name = wanted.address.as_ref().or(wanted.at.server.as_ref());
    Server::find(name.map(String::as_str))
}

async fn log_in(
    wanted: &Login,
    given: &mut Given,
    extras: Extras,
) -> Result<(Server, LoggedIn), Failure> {
    let wish = Wish {
        extras,
        device: wanted.device.clone(),
        uses_pass: !wanted.no_pass,
        wants_pass: !wanted.no_pass,
    };
    if let (Some(address), Some(_)) = (&wanted.address, &wanted.account) {
        return first(wanted, address, given, wish).await;
    }
    if let Some(address) = wanted.address.as_ref().filter(|it| is_address(it)) {
        return Err(
            Failure::usage(format!("which account at {}?", harmless(address)))
                .hint("name it with --account NAME; or name a server as this machine calls it"),
        );
    }
    let server = known(wanted)?;
    let logged_in = access::log_in(&server, given, wish).await?;
    Ok((server, logged_in))
}

/// Whether this is an address: no server's name here has a colon in it.
fn is_address(typed: &str) -> bool {
    typed.contains(':')
}

/// A login from a machine that did not know the server: what it shows now is pinned.
async fn first(
    wanted: &Login,
    address: &str,
    given: &mut Given,
    wish: Wish,
) -> Result<(Server, LoggedIn), Failure> {
    let name = wanted.at.server.as_deref();
    let door = Door::of(
        address,
        wanted.account.as_deref(),
        name,
        wanted.ca.as_deref(),
    )?;
    let book = servers::book()?;
    if book.page(&door.name).is_ok() {
        return Err(
            Failure::usage(format!("this machine knows a server {} already", door.name))
                .hint("leave the address out, or choose another name: --server NAME"),
        );
    }
    let password = given.password(door.account.as_str(), door.name.as_str())?;
    let remote = door.connect().await?;
    let watch = Arc::new(Watch::new(door.seen(&remote)));
    let who = Who {
        account: door.account.clone(),
        password,
        extras: wish.extras,
        device: access::machine_name(wish.device.as_deref())?,
        wants_pass: wish.wants_pass,
        keeping: None,
    };
    let logged_in = remote.login(who, Arc::clone(&watch)).await;
    let logged_in = logged_in.map_err(of_server)?;
    let page = door.page(&remote, logged_in.session.user());
    watch.with(|seen| servers::add(&book, &page, seen))?;
    say(format_args!(
        "{} at {} is known from now on; its id is {}",
        page.name, page.address, page.server
    ));
    let server = Server { book, page, watch };
    Ok((server, logged_in))
}

/// The agent goes on with the session.
async fn hand(
    mut agent: Link,
    server: &Server,
    logged_in: LoggedIn,
    keeps: bool,
) -> Result<(), Failure> {
    let master = MasterKey::derive(logged_in.export_key);
    let ticket = logged_in.session.into_ticket();
    let ticket = ticket.ok_or_else(|| Failure::new("the session ended at once"))?;
    let kept = keeps.then_some(&master);
    agent.give(server.name(), &ticket, kept).await?;
    say(format_args!(
        "logged in as {} at {}{}",
        harmless(server.account()),
        server.name(),
        match keeps {
            true => "; the agent keeps the master key while the session lives",
            false => "",
        }
    ));
    Ok(())
}
