//! `approver …`: authenticators whose word a key server wants.

use std::ffi::OsString;

use keystead_core::Name;
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::{Command, Reply};
use keystead_keeper::server::protocol::ApproverId;
use keystead_keeper::server::protocol::requests::{
    Approver, ApproverChange, Approvers, RecoveryStep, Request,
};
use serde_json::json;

use crate::agent_link::{block_on, unexpected};
use crate::arguments::{AddApprover, RemoveApprover, ServerReading, Which};
use crate::commands::custody;
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink};
use crate::terminal::{Table, print_json, say};

/// `approver add [AUTHENTICATOR] [--name NAME] [--server NAME]`
pub(crate) fn add(wanted: &AddApprover) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, wanted.which.server.as_deref())?;
    let command = Command::ServerApprovalKey {
        server: page.name.to_string(),
        keeper: wanted.keeper.as_ref().map(Name::to_string),
    };
    let (public_key, keeper) = block_on(async {
        let mut link = ServerLink::open().await?;
        let Reply::ApprovalKey { public_key, keeper } = link.say(&command, &[]).await?.0 else {
            return Err(unexpected());
        };
        Ok((public_key, keeper))
    })?;
    let label = wanted.name.as_ref().map_or(keeper, Name::to_string);
    let words = ["add", "--public-key", &public_key, "--label", &label];
    right_after_login(&page.name, &words, wanted.password_fd)
}

/// `approver list [--server NAME] [--json]`
pub(crate) fn list(reading: &ServerReading) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, reading.which.server.as_deref())?;
    let all = block_on(async { all(&mut ServerLink::open().await?, &page.name).await })?;
    if reading.json {
        let line = |it: &Approver| json!({ "id": ApproverId::of(&it.public_key).to_string(), "name": it.label.0 });
        let approvers: Vec<_> = all.approvers.0.iter().map(line).collect();
        return print_json(&json!({
            "version": 1,
            "server": page.name.as_str(),
            "approvers": approvers,
            "recovery_unix_s": all.recovery_unix_ms.map(|it| it / 1_000),
        }));
    }
    if all.approvers.0.is_empty() {
        say("nobody approves; `keystead approver add` lets a paired authenticator do it");
    } else {
        let mut table = Table::default();
        table.row(["APPROVER", "ID"]);
        for approver in &all.approvers.0 {
            table.row([
                &approver.label.0,
                &ApproverId::of(&approver.public_key).to_string(),
            ]);
        }
        table.print()?;
    }
    if let Some(unix_ms) = all.recovery_unix_ms {
        let from = keystead_daemon::utc(unix_ms / 1_000);
        say(format_args!(
            "a recovery was begun: from {from} on no approval is needed"
        ));
        say("if that was not you: keystead approver cancel");
    }
    Ok(())
}

/// `approver remove APPROVER [--server NAME]`
pub(crate) fn remove(wanted: &RemoveApprover) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, wanted.which.server.as_deref())?;
    let id = block_on(async {
        let all = all(&mut ServerLink::open().await?, &page.name).await?;
        one_of(&all.approvers.0, &wanted.approver)
    })?;
    let words = ["remove", "--id", &id.to_string()];
    right_after_login(&page.name, &words, wanted.password_fd)
}

/// The server takes it right after a login alone, and that is `keystead-custody`'s.
fn right_after_login(
    server: &ServerName,
    words: &[&str],
    password_fd: Option<u32>,
) -> Result<(), Failure> {
    let mut line = vec![OsString::from("approver")];
    line.extend(words.iter().map(OsString::from));
    line.extend(["--server", server.as_str()].map(OsString::from));
    if let Some(fd) = password_fd {
        line.extend(["--password-fd".into(), OsString::from(fd.to_string())]);
    }
    custody::become_custody("keystead", line.into_iter())
}

/// `approver cancel [--server NAME]`
pub(crate) fn cancel(which: &Which) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, which.server.as_deref())?;
    let request = change(|it| it.recovery = Some(RecoveryStep::Cancel));
    block_on(async { ServerLink::open().await?.ask(&page.name, &request).await })?;
    say(format_args!("the recovery at {} is called off", page.name));
    Ok(())
}

/// All approvers of the account.
pub(crate) async fn all(link: &mut ServerLink, server: &ServerName) -> Result<Approvers, Failure> {
    link.result(server, &change(|_| ()), Approvers::decode)
        .await
}

/// The approver of this name or id.
pub(crate) fn one_of(all: &[Approver], wanted: &str) -> Result<ApproverId, Failure> {
    let is_wanted = |it: &&Approver| {
        it.label.0 == wanted || ApproverId::of(&it.public_key).to_string() == wanted
    };
    let found: Vec<&Approver> = all.iter().filter(is_wanted).collect();
    match found.as_slice() {
        [one] => Ok(ApproverId::of(&one.public_key)),
        [] => Err(Failure::new(format!("no approver is called {wanted:?}"))
            .hint("`keystead approver list` lists all")),
        _ => Err(
            Failure::new(format!("several approvers are called {wanted:?}"))
                .hint("name it by its id (`keystead approver list`)")
                .status(Status::Usage),
        ),
    }
}

fn change(set: impl FnOnce(&mut ApproverChange)) -> Request {
    let mut change = ApproverChange {
        add: None,
        remove: None,
        recovery_code: None,
        recovery: None,
    };
    set(&mut change);
    Request::Approvers(change)
}
