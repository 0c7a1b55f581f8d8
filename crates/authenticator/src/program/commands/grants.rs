//! `grant list` and `grant revoke`.

use keystead_daemon::home::Folders;
use keystead_daemon::utc;

use super::{ask, converse, strange};
use crate::control::{BlockLine, Command, GrantLine, GrantLines, Reply, WhichGrants};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::print;

/// `grant list`
pub(crate) fn list(folders: &Folders, json: bool) -> Result<(), Failure> {
    let lines = talk(folders, Command::GrantList)?;
    if json {
        return print::json(&lines);
    }
    if lines.grants.is_empty() && lines.blocks.is_empty() {
        print::talk("nothing is granted or blocked in advance");
    }
    table(&lines)
}

/// `grant revoke`; without a number, all of them.
pub(crate) fn revoke(folders: &Folders, id: Option<u64>, json: bool) -> Result<(), Failure> {
    let which = id.map_or(WhichGrants::All, WhichGrants::One);
    let lines = talk(folders, Command::GrantRevoke { which })?;
    if json {
        return print::json(&lines);
    }
    let grants = lines.grants.iter().map(|it| (it.id, &it.what));
    let blocks = lines.blocks.iter().map(|it| (it.id, &it.what));
    for (id, what) in grants.chain(blocks) {
        print::talk(format_args!("{id} is ended: {what}"));
    }
    Ok(())
}

fn talk(folders: &Folders, command: Command) -> Result<GrantLines, Failure> {
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        ask(talk, command, None).await
    })?;
    let Reply::Grants(lines) = reply else {
        return Err(strange());
    };
    Ok(lines)
}

fn table(lines: &GrantLines) -> Result<(), Failure> {
    let grants = lines.grants.iter().map(grant_row);
    let rows: Vec<Vec<String>> = grants.chain(lines.blocks.iter().map(block_row)).collect();
    print::table(&rows)
}

fn grant_row(grant: &GrantLine) -> Vec<String> {
    let background = if grant.background {
        ", in the background"
    } else {
        ""
    };
    let key = grant.key.as_deref().unwrap_or("a key that is gone");
    vec![
        grant.id.to_string(),
        "grant".to_owned(),
        grant.workstation.clone(),
        format!("{}, key {key}{background}", grant.what),
        format!("used {} of {}", grant.used, grant.count_max),
        format!("until {}", utc(grant.ends_unix_s)),
    ]
}

fn block_row(block: &BlockLine) -> Vec<String> {
    vec![
        block.id.to_string(),
        "block".to_owned(),
        block.workstation.clone(),
        block.what.clone(),
        String::new(),
        "until it is revoked".to_owned(),
    ]
}
