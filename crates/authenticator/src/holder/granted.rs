//! `grant list` and `grant revoke`.

use keystead_core::Outcome;
use keystead_daemon::utc;

use super::replies::{DISK_HINT, log_failed};
use super::{Holder, Step};
use crate::control::{BlockLine, GrantLine, GrantLines, JSON_VERSION, Reply, WhichGrants};
use crate::entry::Entry;
use crate::grants::{Block, Grant, Scope};

impl Holder {
    /// What is granted and blocked now.
    pub(super) fn grant_list(&mut self, step: &mut Step<'_, '_>) -> GrantLines {
        self.tick_grants(step);
        GrantLines {
            version: JSON_VERSION,
            grants: self.grants.grants().iter().map(grant_line).collect(),
            blocks: self.grants.blocks().iter().map(block_line).collect(),
        }
    }

    /// The same in lines for the holder's screen.
    pub(super) fn say_grants(&mut self, step: &mut Step<'_, '_>) {
        let lines = self.grant_list(step);
        if lines.grants.is_empty() && lines.blocks.is_empty() {
            step.say("nothing is granted or blocked in advance");
        }
        for it in lines.grants {
            let background = if it.background {
                " in the background"
            } else {
                ""
            };
            step.say(format!(
                "grant {}: {}{background} for {}, used {} of {}, until {}",
                it.id,
                it.what,
                it.workstation,
                it.used,
                it.count_max,
                utc(it.ends_unix_s)
            ));
        }
        for it in lines.blocks {
            step.say(format!(
                "block {}: {} of {}",
                it.id, it.what, it.workstation
            ));
        }
    }

    /// Ends grants and blocks; gives those that ended.
    pub(super) fn grant_revoke(&mut self, which: WhichGrants, step: &mut Step<'_, '_>) -> Reply {
        let mut ended = self.grant_list(step);
        let is_named = |id: u64| match which {
            WhichGrants::All => true,
            WhichGrants::One(one) => id == one,
        };
        ended.grants.retain(|it| is_named(it.id));
        ended.blocks.retain(|it| is_named(it.id));
        if ended.grants.is_empty() && ended.blocks.is_empty() {
            return match which {
                WhichGrants::All => Reply::Grants(ended),
                WhichGrants::One(id) => Reply::failed(
                    format!("there is no grant and no block {id}"),
                    "keystead-authenticator grant list shows them",
                ),
            };
        }
        // Ended first: a revocation that is not logged is better than a grant that lives on.
        if let Err(error) = self.grants.revoke(|id, _| is_named(id), step.io.disk) {
            let hint = DISK_HINT;
            return Reply::failed(format!("it could not be ended: {error}"), hint);
        }
        let grants = ended.grants.iter().map(|it| (it.id, &it.what));
        let blocks = ended.blocks.iter().map(|it| (it.id, &it.what));
        for (id, what) in grants.chain(blocks) {
            let mut entry = Entry::own(step.now.unix_s, "grant-revoke", Outcome::Approve);
            entry.grant = Some(id);
            entry.words = Some(what.clone());
            if let Err(error) = self.log_own(&entry, step) {
                return log_failed(&error);
            }
        }
        Reply::Grants(ended)
    }
}

fn grant_line(grant: &Grant) -> GrantLine {
    let (scope, user, host_key, path) = match &grant.scope {
        Scope::Login {
            user,
            host_key,
            path,
            ..
        } => ("login", Some(user), Some(host_key), path.as_slice()),
        Scope::Git { path, .. } => ("git", None, None, path.as_slice()),
        Scope::Purpose { .. } => ("purpose", None, None, [].as_slice()),
        Scope::Act { path, .. } => ("act", None, None, path.as_slice()),
    };
    GrantLine {
        id: grant.id,
        scope: scope.to_owned(),
        what: grant.words.what.clone(),
        workstation: grant.words.workstation.clone(),
        pairing: grant.pairing.to_string(),
        key: grant.words.key.clone(),
        user: user.cloned(),
        host_key: host_key.cloned(),
        path: path.to_vec(),
        background: grant.is_background,
        made_unix_s: grant.made_unix_s,
        ends_unix_s: grant.ends_unix_s,
        count_max: grant.count_max,
        used: grant.used,
    }
}

fn block_line(block: &Block) -> BlockLine {
    BlockLine {
        id: block.id,
        what: block.words.what.clone(),
        workstation: block.words.workstation.clone(),
        pairing: block.pairing.to_string(),
        made_unix_s: block.made_unix_s,
    }
}
