//! `grant list` and `grant revoke`.

use keystead_daemon::home::Folders;
use keystead_daemon::{Clock, SystemClock};

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
    let now_unix_s = SystemClock.now().unix_s;
    let grants = lines.grants.iter().map(|it| grant_row(it, now_unix_s));
    let rows: Vec<Vec<String>> = grants.chain(lines.blocks.iter().map(block_row)).collect();
    print::table(&rows)
}

fn grant_row(grant: &GrantLine, now_unix_s: u64) -> Vec<String> {
    let background = if grant.background {
        ", in the background"
    } else {
        ""
    };
    let key = grant.key.as_deref().unwrap_or("a key that is gone");
    let with_key = match grant.what.ends_with(&format!(" with {key}")) {
        true => String::new(),
        false => format!(", key {key}"),
    };
    vec![
        grant.id.to_string(),
        "grant".to_owned(),
        grant.workstation.clone(),
        format!("{}{with_key}{background}", grant.what),
        format!("used {} of {}", grant.used, grant.count_max),
        left(grant, now_unix_s),
    ]
}

/// What a person wants to know of its end: how long it may still be used.
fn left(grant: &GrantLine, now_unix_s: u64) -> String {
    if grant.used >= grant.count_max {
        return "used up".to_owned();
    }
    let minutes = grant
        .ends_unix_s
        .saturating_sub(now_unix_s)
        .div_ceil(MINUTE_S);
    match minutes.checked_div(HOUR_MINUTES) {
        None | Some(0) => format!("{minutes} min left"),
        Some(hours) => format!("{hours} h {} min left", minutes % HOUR_MINUTES),
    }
}

fn block_row(block: &BlockLine) -> Vec<String> {
    vec![
        block.id.to_string(),
        "block".to_owned(),
        block.workstation.clone(),
        block.what.clone(),
        String::new(),
        "until revoked".to_owned(),
    ]
}

/// What a grant's end is counted in.
const MINUTE_S: u64 = 60;
const HOUR_MINUTES: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_says_how_long_it_is_left() {
        #[track_caller]
        fn check(ends_unix_s: u64, used: u32, expected: &str) {
            let grant = GrantLine {
                ends_unix_s,
                used,
                ..line()
            };
            assert_eq!(left(&grant, 1_000), expected);
        }
        check(999, 0, "0 min left");
        check(1_001, 0, "1 min left");
        check(1_000 + 3_540, 9, "59 min left");
        check(1_000 + 3_541, 9, "1 h 0 min left");
        check(1_000 + 28_800, 9, "8 h 0 min left");
        check(1_000 + 28_800, 10, "used up");
    }

    /// A host may be called as a key is.
    #[test]
    fn a_grant_names_its_key_once() {
        let check = |what: &str, key: &str, expected: &str| {
            let grant = GrantLine {
                what: what.to_owned(),
                key: Some(key.to_owned()),
                ..line()
            };
            let row = grant_row(&grant, 0);
            assert_eq!(row.get(3).map(String::as_str), Some(expected));
        };
        check("root@db1", "main", "root@db1, key main");
        check("root@db1", "db1", "root@db1, key db1");
        let opening = "opening age files with backup";
        check(opening, "backup", opening);
    }

    fn line() -> GrantLine {
        GrantLine {
            id: 1,
            scope: "login".to_owned(),
            what: "root@db1".to_owned(),
            workstation: "laptop".to_owned(),
            pairing: String::new(),
            key: None,
            user: None,
            host_key: None,
            path: Vec::new(),
            background: false,
            made_unix_s: 0,
            ends_unix_s: 0,
            count_max: 10,
            used: 0,
        }
    }
}
