//! What keepers are asked, over the running agent.
//!
//! **Invariant:** an answer that is none is an error code of GnuPG's and a line that says why;
//! dropping the future takes the question back.

use keystead_agent::gpg::{Answer, Ask, Failure as GpgFailure, Job, MappedKey};
use keystead_agent::key_control::{IdentitySpec, KeyChoice, Shown};
use keystead_core::{DecryptForm, SignForm};
use keystead_formats::assuan::ErrorCode;
use keystead_formats::openpgp::digest::Digest;

use super::object;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use};

/// Asks on behalf of one client.
pub(super) struct Asker {
    /// Its process: the agent looks at what it is, and speaks at its terminal.
    pub(super) client_pid: Option<i32>,
}

impl Asker {
    pub(super) async fn ask(&self, ask: Ask) -> Answer {
        match self.answer(ask).await {
            Ok(answer) => answer,
            Err(failure) => Answer::Failed(of_failure(&failure)),
        }
    }

    async fn answer(&self, ask: Ask) -> Result<Answer, Failure> {
        let mut link = KeyLink::open(Talk::ByAgent).await?;
        let shown = Shown {
            user_id: Some(ask.key.user_id.clone()),
            peer_pid: self.client_pid,
            ..Shown::default()
        };
        let key = choice(&ask.key);
        match ask.job {
            Job::Sign { hash, digest } => {
                let content = [&[hash], digest.as_slice()].concat();
                let digest = Digest::parse(&content).ok();
                let preimage = digest.and_then(|it| object::proved(self.client_pid, &ask.key, &it));
                let wanted = Use {
                    key,
                    content: &content,
                    preimage: preimage.as_deref(),
                    shown,
                };
                Ok(Answer::Signed(link.sign(SignForm::OpenPgp, wanted).await?))
            }
            Job::Agree { point } => {
                let wanted = Use {
                    key,
                    content: &point,
                    preimage: None,
                    shown,
                };
                let shared = link.decrypt(DecryptForm::Point, wanted).await?;
                Ok(Answer::Agreed(shared))
            }
        }
    }
}

fn choice(key: &MappedKey) -> KeyChoice {
    KeyChoice {
        id: Some(key.key_id.to_string()),
        identity: key.identity.as_ref().map(IdentitySpec::of),
        // A stored key is found by its id, whatever its keeper is called by now.
        keeper: key.keeper.clone().filter(|_| key.identity.is_some()),
    }
}

fn of_failure(failure: &Failure) -> GpgFailure {
    let code = match failure.status {
        Status::Refused => ErrorCode::CANCELED,
        Status::NotReached => ErrorCode::TIMEOUT,
        Status::Forbidden => ErrorCode::FORBIDDEN,
        Status::UnknownKey => ErrorCode::NO_SECKEY,
        Status::Usage => ErrorCode::NOT_SUPPORTED,
        Status::Error
        | Status::NobodyReads
        | Status::NotRun
        | Status::NotFound
        | Status::Interrupted => ErrorCode::AGENT,
    };
    let text = match &failure.hint {
        Some(hint) => format!("{}; {hint}", failure.message),
        None => failure.message.clone(),
    };
    GpgFailure { code, text }
}
