//! What keepers are asked, over the running agent.
//!
//! **Invariant:** an answer that is none is an error code of GnuPG's and a line that says why;
//! dropping the future takes the question back. A conversation with the agent serves one question
//! at a time, and another one only after a whole answer.

use std::cell::RefCell;
use std::rc::Rc;

use keystead_agent::gpg::{Answer, Ask, Bring, Failure as GpgFailure, Job, MappedKey};
use keystead_agent::key_control::{IdentitySpec, KeyChoice, Shown};
use keystead_core::{DecryptForm, SignForm};
use keystead_formats::assuan::ErrorCode;
use keystead_formats::openpgp::digest::Digest;

use super::{bringing, object};
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use, say_at};

/// Asks on behalf of one client.
pub(super) struct Asker {
    /// Its process: the agent looks at what it is, and speaks at its terminal.
    pub(super) client_pid: Option<i32>,
    pub(super) links: Rc<Links>,
}

/// A conversation with the agent that nobody uses now: the next question needs no new one.
#[derive(Default)]
pub(super) struct Links(RefCell<Option<KeyLink>>);

impl Links {
    async fn open(&self) -> Result<KeyLink, Failure> {
        let kept = self.0.take();
        match kept.filter(KeyLink::is_quiet) {
            Some(link) => Ok(link),
            None => KeyLink::open(Talk::ByAgent).await,
        }
    }

    fn keep(&self, link: KeyLink) {
        self.0.replace(Some(link));
    }
}

impl Asker {
    pub(super) async fn ask(&self, ask: Ask) -> Answer {
        match self.answer(ask).await {
            Ok(answer) => answer,
            Err(failure) => {
                let failed = of_failure(&failure);
                if !is_said(failure.status) {
                    self.say(&failed.text);
                }
                Answer::Failed(failed)
            }
        }
    }

    pub(super) async fn bring(&self, bring: Bring) -> Answer {
        let talk = self.client_pid.map_or(Talk::ByAgent, Talk::At);
        match bringing::bring(bring, talk).await {
            Ok(key) => Answer::Brought(Box::new(key)),
            Err(failure) => Answer::Failed(of_failure(&failure)),
        }
    }

    /// A line at the client's terminal, if it has one.
    pub(super) fn say(&self, text: &str) {
        if let Some(pid) = self.client_pid {
            say_at(pid, text);
        }
    }

    async fn answer(&self, ask: Ask) -> Result<Answer, Failure> {
        let mut link = self.links.open().await?;
        let shown = Shown {
            user_id: Some(ask.key.user_id.clone()).filter(|it| !it.is_empty()),
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
                let signature = link.sign(SignForm::OpenPgp, wanted).await?;
                self.links.keep(link);
                Ok(Answer::Signed(signature))
            }
            Job::Agree { point } => {
                let wanted = Use {
                    key,
                    content: &point,
                    preimage: None,
                    shown,
                };
                let shared = link.decrypt(DecryptForm::Point, wanted).await?;
                self.links.keep(link);
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

/// How a question ended the agent says at the client's terminal; not what came of none. gpg shows
/// the code alone.
const fn is_said(status: Status) -> bool {
    matches!(
        status,
        Status::Refused | Status::NotReached | Status::Forbidden
    )
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
