//! Frame 22 with a KE3 that is none: *login failed*.
//!
//! **Invariant**: the try was counted when it began; nothing is counted here.

use std::sync::Arc;

use keystead_channel::session::{ErrorBody, SetUpError, Status};

use super::start::entry;
use super::status_of;
use crate::ledger::{Act, Action, Decided};
use crate::rows::{AccountNo, Rows};
use crate::server::Server;
use crate::session::{Attempt, Whose};
use crate::store::{Now, Wanted};

/// Writes that a login failed; what the error frame says.
pub(crate) async fn write(
    server: &Arc<Server>,
    attempt: &Attempt,
    error: &SetUpError,
) -> ErrorBody {
    let failed = Failed {
        whose: attempt.whose,
        tag: attempt.tag,
        binding: attempt.binding,
    };
    match server.ledger.commit(failed).await {
        Ok(_) => error.status().into(),
        Err(error) => status_of(&error).into(),
    }
}

struct Failed {
    whose: Option<Whose>,
    tag: crate::rows::NameTag,
    binding: keystead_channel::session::BindingKind,
}

impl Act for Failed {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(AccountNo::SYSTEM);
        if let Some(whose) = self.whose {
            wanted.chain(whose.no);
        }
    }

    fn decide(self, _: Now, rows: &mut Rows<'_>) -> Decided<()> {
        // The account may be gone by now.
        let whose = self
            .whose
            .filter(|it| matches!(rows.chain(it.no), Ok(Some(_))));
        let entry = entry(
            whose,
            self.tag,
            Action::LoginFailed,
            Status::Refused,
            self.binding,
        );
        Decided {
            entries: vec![entry],
            answer: (),
        }
    }
}
