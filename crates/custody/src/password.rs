//! `password`: another password for the same account.
//!
//! **Invariant:** the storage key alone is sealed anew, under the new master key; no secret is
//! touched. Until the server has answered, the old password is the one that counts.

use keystead_channel::session::requests::{
    LogOut, PasswordFinish, PasswordResponse, PasswordStart, Request,
    StorageKey as SealedStorageKey,
};
use keystead_channel::session::{Credentials, NewPassword, Password, Profile};
use keystead_daemon::SystemRng;
use keystead_keeper::server::{Remote, Session};
use keystead_vault::client::MasterKey;

use crate::access::{self, Wish, of_server, result};
use crate::agent;
use crate::arguments::Password as Wanted;
use crate::failure::Failure;
use crate::prompt::Given;
use crate::register;
use crate::runtime;
use crate::servers::Server;
use crate::talk::{harmless, say};

/// Changes the password.
pub(crate) fn run(wanted: &Wanted) -> Result<(), Failure> {
    let mut given = Given::read_passwords(wanted.at.answers, wanted.new_password_fd)?;
    let server = Server::find(wanted.at.server.as_deref())?;
    let profile = register::profile(&wanted.stretch);
    let old = given.password(server.account(), server.name())?;
    let new = given.new_password()?;
    runtime::run(async |ended| {
        tokio::select! {
            done = change(&server, old, new, profile) => done,
            signal = ended.wait() => Err(Failure::interrupted(signal)),
        }
    })?;
    // Its session has ended, and it is to notice; that it says so is no news.
    drop(agent::look_again(server.name()));
    say(format_args!(
        "the password of {} at {} is changed; all other sessions have ended: keystead server login",
        harmless(server.account()),
        server.name()
    ));
    Ok(())
}

async fn change(
    server: &Server,
    old: Password,
    new: Password,
    profile: Profile,
) -> Result<(), Failure> {
    let remote = access::connect(server).await?;
    let mut wish = Wish::default();
    wish.extras.pass = server.pass()?;
    let logged_in = access::log_in_at(&remote, server, old, wish).await?;
    let session = logged_in.session;
    let master = MasterKey::derive(logged_in.export_key);
    let finish = prepare(&remote, server, &session, &master, (new, profile)).await?;
    let done = session.done(&Request::PasswordFinish(finish)).await;
    done.map_err(of_server)?;
    // It was for this alone. A server that is away ends it when it idles.
    let end = Request::LogOut(LogOut { everywhere: false });
    drop(session.done(&end).await);
    // Passes are void with the old password.
    server.keep_pass(None)?;
    server.keep_seen()
}

/// The record of the new password, and the storage key under its master key.
async fn prepare(
    remote: &Remote,
    server: &Server,
    session: &Session,
    master: &MasterKey,
    (new, profile): (Password, Profile),
) -> Result<PasswordFinish, Failure> {
    let user = server.page.user;
    let answer = session
        .done(&Request::StorageKey)
        .await
        .map_err(of_server)?;
    let sealed = result(&answer, SealedStorageKey::decode)?;
    let storage = master.open_storage_key(&user.0, &sealed.storage_key);
    let storage = storage.map_err(|_| {
        Failure::new("the server's answer is not this account's storage key")
            .hint("do not use this server until you know why; see `keystead audit verify`")
    })?;
    let credentials = Credentials {
        name: server.page.account.clone(),
        password: new,
    };
    let broken =
        |error: keystead_channel::session::SetUpError| Failure::of(&error).hint(error.hint());
    let (state, request) = NewPassword::start(credentials, &mut SystemRng).map_err(broken)?;
    let start = Request::PasswordStart(PasswordStart { request });
    let answer = session.done(&start).await.map_err(of_server)?;
    let response = result(&answer, PasswordResponse::decode)?;
    let rng = &mut SystemRng;
    let made = state.finish(&response.response, remote.greeted(), profile, rng);
    let (record, export_key) = made.map_err(broken)?;
    let next = MasterKey::derive(export_key);
    Ok(PasswordFinish {
        record,
        profile,
        storage_key: next.seal_storage_key(&user.0, &storage, rng),
    })
}
