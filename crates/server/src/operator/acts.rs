//! What the operator changes: each an act with its entry.
//!
//! **Invariant**: an entry about an account stands in that account's own log, where its
//! owner sees it; names stand nowhere in the log.

use keystead_channel::session::{AccountName, Status, Text};

use crate::account;
use crate::ledger::{Act, Action, Decided, Detail, Log, NO_KEY, NO_REQUEST, NewEntry, OPERATOR};
use crate::rows::{Account, AccountNo, AccountState, Guess, Invitation, NameTag, RowFault, Rows};
use crate::store::{Now, Wanted};

/// What is done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Lock,
    Unlock,
    Delete,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Lock => "user lock",
            Self::Unlock => "user unlock",
            Self::Delete => "user delete",
        }
    }
}

/// Something done to an account that was found before.
pub(super) struct OnAccount {
    pub(super) verb: Verb,
    pub(super) tag: NameTag,
    pub(super) no: AccountNo,
}

impl Act for OnAccount {
    type Answer = Result<AccountNo, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.account(self.no).guess(self.tag);
        match self.verb {
            Verb::Lock => {
                wanted.sessions_of(self.no);
            }
            Verb::Unlock => {}
            Verb::Delete => account::want_erased(wanted, self.no, self.tag),
        }
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let found = match rows.account(self.no) {
            Ok(Some(account)) if account.tag == self.tag => Ok(account.user),
            Ok(_) => Err(Status::NotFound),
            Err(_) => Err(Status::Corrupt),
        };
        let (log, outcome) = match found {
            Err(status) => (Log::System, status),
            Ok(user) => {
                let done = self.change(now, rows);
                let outcome = done.map_or(Status::Corrupt, |()| Status::Done);
                (Log::Of(self.no, user), outcome)
            }
        };
        let tag = (log == Log::System).then_some(self.tag.0);
        let entry = NewEntry {
            log,
            action: Action::OperatorAct,
            outcome,
            actor: OPERATOR,
            key: NO_KEY,
            request_hash: NO_REQUEST,
            detail: Detail {
                verb: verb(self.verb.name()),
                tag,
                ..Detail::NONE
            },
        };
        let answer = if outcome == Status::Done {
            Ok(self.no)
        } else {
            Err(outcome)
        };
        Decided {
            entries: vec![entry],
            answer,
        }
    }
}

impl OnAccount {
    fn change(&self, now: Now, rows: &mut Rows<'_>) -> Result<(), RowFault> {
        match self.verb {
            Verb::Lock => {
                // Every process sees at its next request that its sessions are over.
                account::end_all(rows, self.no, None)?;
                set_state(rows, self.no, AccountState::Locked)
            }
            Verb::Unlock => {
                set_state(rows, self.no, AccountState::Active)?;
                self.clear_guesses(now, rows)
            }
            Verb::Delete => account::erase(rows, self.no, now.ms),
        }
    }
}

impl OnAccount {
    /// From now on there are free guesses again, after a restoration too.
    fn clear_guesses(&self, now: Now, rows: &mut Rows<'_>) -> Result<(), RowFault> {
        let kept = rows
            .guess(self.tag)?
            .map(|it| (it.failed, it.lifted_unix_s));
        let (failed, lifted_unix_s) = kept.unwrap_or_default();
        rows.put_guess(Guess {
            tag: self.tag,
            is_known: true,
            last_ms: now.ms.max(rows.head().restored_ms.saturating_add(1)),
            count: 0,
            failed,
            refused: 0,
            waits_logged_ms: 0,
            lifted_unix_s,
            version: 0,
        });
        Ok(())
    }
}

fn set_state(rows: &mut Rows<'_>, no: AccountNo, state: AccountState) -> Result<(), RowFault> {
    let Some(account) = rows.account_mut(no)? else {
        return Ok(());
    };
    // What is pending becomes active by its owner alone.
    if account.state != AccountState::Pending {
        account.state = state;
    }
    Ok(())
}

/// Makes an invitation.
pub(super) struct Invite {
    pub(super) hash: [u8; 32],
    pub(super) name: AccountName,
    pub(super) tag: NameTag,
}

impl Act for Invite {
    type Answer = Result<u64, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.invitation(self.hash).tag(self.tag);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let is_taken = rows.account_by_tag(self.tag).map(|it| it.is_some());
        let answer = match is_taken {
            Ok(false) => {
                rows.put_invitation(Invitation {
                    hash: self.hash,
                    made_ms: now.ms,
                    used: false,
                    name: self.name,
                });
                Ok(now.ms)
            }
            Ok(true) => Err(Status::NameTaken),
            Err(_) => Err(Status::Corrupt),
        };
        let detail = Detail {
            verb: verb("invite"),
            tag: Some(self.tag.0),
            ..Detail::NONE
        };
        let mut entry = NewEntry::system(Action::OperatorAct, OPERATOR, detail);
        entry.outcome = answer.as_ref().err().copied().unwrap_or(Status::Done);
        Decided {
            entries: vec![entry],
            answer,
        }
    }
}

/// Something that changes no row, and is logged before it is done.
pub(super) struct Note {
    pub(super) verb: &'static str,
    /// Whose log is read, where it is one account's.
    pub(super) of: Option<Account>,
}

impl Act for Note {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        if let Some(account) = &self.of {
            wanted.account(account.no);
        }
    }

    fn decide(self, _: Now, rows: &mut Rows<'_>) -> Decided<()> {
        let detail = Detail {
            verb: verb(self.verb),
            ..Detail::NONE
        };
        let mut entry = NewEntry::system(Action::OperatorAct, OPERATOR, detail);
        if let Some(account) = self.of
            && matches!(rows.chain(account.no), Ok(Some(_)))
        {
            entry.log = Log::Of(account.no, account.user);
        }
        Decided {
            entries: vec![entry],
            answer: (),
        }
    }
}

fn verb(name: &str) -> Option<Text<64>> {
    Some(Text(name.to_owned()))
}
