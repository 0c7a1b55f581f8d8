//! What a server wants to have approved: to the paired authenticators, and back.
//!
//! **Invariant:** an approval goes to the request that waits for it and to no other; a no ends
//! that request at once.

use keystead_core::{Name, Outcome};
use keystead_keeper::server::protocol::ApproverId;
use keystead_keeper::{KeeperError, Progress};

use super::endings::{NO_APPROVAL, end, keeper_answer};
use super::event::{Approved, Do, Errand, Target, Told, Trouble, TroubleKind};
use super::open::{APPROVAL_WAIT_S, Asker};
use super::{Servers, Step, replies};

impl Servers {
    /// A request waits for an approval: the paired authenticators are asked.
    pub(super) fn wants_approval(&mut self, step: &mut Step<'_>, errand: Errand, text: Vec<u8>) {
        let Some(open) = self.errands.get_mut(&errand) else {
            return;
        };
        // The session went on elsewhere meanwhile: the text before is worth nothing.
        if std::mem::replace(&mut open.is_approving, true) {
            step.told.push(Told::ApprovalOver(Target::Errand(errand)));
        }
        let left_ms = open.ends_ms.saturating_sub(step.now.mono_ms);
        let left_s = u16::try_from(left_ms.div_ceil(1_000)).unwrap_or(u16::MAX);
        step.told.push(Told::Approve {
            target: Target::Errand(errand),
            by: None,
            text,
            wait_s: left_s.min(APPROVAL_WAIT_S),
        });
    }

    /// A person at an authenticator is being asked for it.
    pub(crate) fn asking(&mut self, step: &mut Step<'_>, target: Target, by: &Name) {
        match target {
            Target::Errand(errand) => {
                let Some(open) = self.errands.get(&errand) else {
                    return;
                };
                let left_ms = open.ends_ms.saturating_sub(step.now.mono_ms);
                match &open.asker {
                    Asker::Sign { ask, .. } => step.told.push(Told::Progress {
                        ask: *ask,
                        progress: Progress::Asking {
                            authenticator: by.clone(),
                        },
                    }),
                    Asker::Command { client, .. } | Asker::LogOut { client } => {
                        replies::waiting(step, *client, by, left_ms / 1_000);
                    }
                    Asker::List => {}
                }
            }
            Target::Client(client) => {
                replies::waiting(step, client, by, u64::from(APPROVAL_WAIT_S));
            }
        }
    }

    /// What became of an approval.
    pub(crate) fn approved(&mut self, step: &mut Step<'_>, target: Target, end: Approved) {
        let errand = match target {
            Target::Errand(errand) => errand,
            Target::Client(client) => return replies::approved(step, client, end),
        };
        match end {
            Approved::Yes {
                approver,
                signature,
                ..
            } => step.carry(Do::Approve {
                errand,
                approver: ApproverId(approver),
                signature,
            }),
            Approved::No { by } => {
                if let Some(open) = self.errands.get_mut(&errand) {
                    open.refused_by = Some(by);
                }
                self.give_up(step, errand, None);
            }
            Approved::Nobody { why } => self.give_up(step, errand, Some(why)),
        }
    }

    /// No approval will come: whoever waits is told now, not when the server's time is over.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>, errand: Errand, why: Option<String>) {
        if let Some(open) = self.errands.get_mut(&errand) {
            open.is_approving = false;
        }
        let Some(open) = self.forget(step, errand) else {
            return;
        };
        let keeper = super::shown(&open.server);
        let (message, kind) = match (&open.refused_by, why) {
            (Some(by), _) => (format!("refused by {by}"), TroubleKind::Other),
            (None, Some(why)) => (why, TroubleKind::Late),
            (None, None) => (NO_APPROVAL.to_owned(), TroubleKind::Late),
        };
        match &open.asker {
            Asker::Sign { ask, .. } => {
                let ended = match open.refused_by.clone() {
                    Some(by) => Ok(keeper_answer(Outcome::Refuse, None, open.hash, by)),
                    None => Err(KeeperError::NotApproved {
                        keeper,
                        why: message,
                    }),
                };
                end(step, *ask, ended);
            }
            Asker::Command { client, .. } => {
                let is_no = open.refused_by.is_some();
                replies::not_approved(step, *client, message, is_no);
            }
            Asker::List | Asker::LogOut { .. } => {
                let hint = "approve it on the authenticator";
                let trouble = Trouble {
                    kind,
                    message,
                    hint,
                };
                self.finish(step, open, Err(trouble));
            }
        }
    }
}
