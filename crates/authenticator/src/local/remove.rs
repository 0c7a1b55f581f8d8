//! What leaves: `ssh-add -d`, `-D` and `-e`, and lifetimes that end.

use keystead_core::{KeyId, Outcome, ResponseBody};
use keystead_daemon::Now;

use super::identity::Identity;
use super::{Action, Asked, Local, respond};

impl Local {
    /// None named: all. Else those named that are there.
    pub(super) fn remove(
        &mut self,
        now: Now,
        asked: Asked,
        keys: &[KeyId],
        actions: &mut Vec<Action>,
    ) {
        let before = self.identities.len();
        actions.extend(self.drop_named(|id, _| keys.is_empty() || keys.contains(id)));
        let is_none_there = !keys.is_empty() && self.identities.len() == before;
        actions.push(if is_none_there {
            respond(now, asked, Outcome::UnknownKey, None)
        } else {
            respond(now, asked, Outcome::Approve, Some(ResponseBody::Empty))
        });
    }

    pub(super) fn drop_identities(&mut self, drop: impl Fn(&Identity) -> bool) -> Vec<Action> {
        self.drop_named(|_, identity| drop(identity))
    }

    fn drop_named(&mut self, drop: impl Fn(&KeyId, &Identity) -> bool) -> Vec<Action> {
        let providers = self.identities.remove(drop);
        self.close_unused(providers)
    }
}
