//! What an entry is about: a method of a session, or what happens round it.
//!
//! **Invariant**: a number below 0x0100 is the method's own.

use crate::session::requests::Method;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A request.
    Method(Method),
    /// An account was made.
    Registered,
    /// KE2 left: a guess was given out.
    LoginAttempt,
    /// KE3 was good.
    Login,
    /// KE3 was not.
    LoginFailed,
    /// Logins that were not looked at, one entry an hour.
    Waits,
    /// A session went on with another generation.
    Resumed,
    /// A resumption secret was used after its successor: theft.
    TicketReused,
    /// A session ended.
    Closed,
    /// The operator did something.
    OperatorAct,
    /// A backup was restored; the first leaf of an epoch.
    Restored,
    /// The database's clock jumped.
    Clock,
    /// The log has another key.
    KeyChange,
}

impl Action {
    /// Its number in a leaf.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Method(method) => method.number(),
            Self::Registered => 0x0100,
            Self::LoginAttempt => 0x0101,
            Self::Login => 0x0102,
            Self::LoginFailed => 0x0103,
            Self::Waits => 0x0104,
            Self::Resumed => 0x0105,
            Self::TicketReused => 0x0106,
            Self::Closed => 0x0107,
            Self::OperatorAct => 0x0108,
            Self::Restored => 0x0109,
            Self::Clock => 0x010a,
            Self::KeyChange => 0x010b,
        }
    }

    /// What `number` stands for, if anything does in this version.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        if let Some(method) = Method::from_number(u64::from(number)) {
            return Some(Self::Method(method));
        }
        EVENTS.into_iter().find(|it| it.number() == number)
    }

    /// In words, for a person.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Method(method) => method_word(method),
            Self::Registered => "registered",
            Self::LoginAttempt => "login attempt",
            Self::Login => "login",
            Self::LoginFailed => "login failed",
            Self::Waits => "logins made to wait",
            Self::Resumed => "session resumed",
            Self::TicketReused => "session secret used twice",
            Self::Closed => "session closed",
            Self::OperatorAct => "act of the operator",
            Self::Restored => "restored from a backup",
            Self::Clock => "clock jumped",
            Self::KeyChange => "log key changed",
        }
    }
}

fn method_word(method: Method) -> &'static str {
    match method {
        Method::Open => "open",
        Method::Ping => "ping",
        Method::Complete => "complete registration",
        Method::StorageKey => "read the storage key",
        Method::Put => "store",
        Method::Make => "make",
        Method::Import => "import",
        Method::Retrieve => "retrieve",
        Method::List => "list",
        Method::Show => "show",
        Method::Label => "rename",
        Method::Delete => "delete",
        Method::Sign => "sign",
        Method::Approve => "approve",
        Method::Policy => "change the policy",
        Method::Approvers => "approvers",
        Method::Audit => "read the log",
        Method::Head => "read the log's head",
        Method::Sessions => "sessions",
        Method::LogOut => "log out",
        Method::PasswordStart => "begin a change of password",
        Method::PasswordFinish => "change the password",
        Method::RecoveryCode => "replace the recovery code",
        Method::DeleteAccount => "delete the account",
    }
}

/// What is no method.
const EVENTS: [Action; 12] = [
    Action::Registered,
    Action::LoginAttempt,
    Action::Login,
    Action::LoginFailed,
    Action::Waits,
    Action::Resumed,
    Action::TicketReused,
    Action::Closed,
    Action::OperatorAct,
    Action::Restored,
    Action::Clock,
    Action::KeyChange,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_for_one_action() {
        let mut found = 0;
        for number in 0..=u16::MAX {
            if let Some(action) = Action::from_number(number) {
                assert_eq!(action.number(), number);
                found += 1;
            }
        }
        assert_eq!(found, Method::ALL.len() + EVENTS.len());
    }
}
