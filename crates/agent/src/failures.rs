//! What a command is told that did not work.

use keystead_keeper::KeeperError;

use crate::control::{Failure, FailureKind};

pub(crate) fn usage(message: &str, hint: &str) -> Failure {
    Failure {
        kind: FailureKind::Usage,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

pub(crate) fn failure(message: &str, hint: &str) -> Failure {
    Failure {
        kind: FailureKind::Error,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

pub(crate) const fn kind_of_error(error: &KeeperError) -> FailureKind {
    match error {
        KeeperError::Unreachable { .. }
        | KeeperError::DeviceAway { .. }
        | KeeperError::NoAnswer { .. }
        | KeeperError::NotApproved { .. } => FailureKind::NoAnswer,
        KeeperError::Forbidden { .. } => FailureKind::Policy,
        KeeperError::NoSuchKeeper
        | KeeperError::LoginRequired { .. }
        | KeeperError::Server { .. }
        | KeeperError::Unpaired { .. }
        | KeeperError::PeerMisbehaved { .. }
        | KeeperError::TooLong { .. }
        | KeeperError::TooMany { .. }
        | _ => FailureKind::Error,
    }
}
