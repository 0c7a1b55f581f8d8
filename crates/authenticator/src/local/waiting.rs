//! Requests that wait: for a person, a slow signature, a token.
//!
//! **Invariant**: each has one end: done, expired or withdrawn; the second finds nothing.

use std::path::{Path, PathBuf};

use keystead_core::{Constraints, RequestId, SignRequest};
use keystead_daemon::Now;
use keystead_formats::ssh::PublicKey;

use super::{Asked, Job, Wait};

/// All that wait, the oldest first.
#[derive(Default)]
pub(super) struct Waiting {
    open: Vec<Open>,
    next: u64,
}

/// What a request waits for.
pub(super) enum What {
    /// A person's word, before this is signed.
    Confirm(Box<SignRequest>),
    /// A signature by a key of this process.
    Own,
    /// A signature by a foreign program or library.
    Foreign(Box<Expected>),
    /// A token's keys.
    Token(Box<TokenImport>),
}

impl What {
    /// The library that is loaded for it.
    pub(super) fn provider(self) -> Vec<PathBuf> {
        match self {
            Self::Token(import) => vec![import.provider],
            Self::Confirm(_) | Self::Own | Self::Foreign(_) => Vec::new(),
        }
    }
}

/// A foreign signature counts only if it is this key's over this content.
pub(super) struct Expected {
    pub(super) key: PublicKey,
    pub(super) content: Vec<u8>,
    /// RSA with SHA-1 was asked for.
    pub(super) is_sha1: bool,
}

/// How a token's keys are taken once they are known.
pub(super) struct TokenImport {
    pub(super) provider: PathBuf,
    pub(super) constraints: Constraints,
}

struct Open {
    job: Job,
    asked: Asked,
    wait: Wait,
    what: What,
}

impl Waiting {
    /// A new one; none when [`OPEN_MAX`] wait already.
    pub(super) fn open(&mut self, asked: Asked, wait: Wait, what: What) -> Option<Job> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        let job = Job(self.next);
        self.next += 1;
        self.open.push(Open {
            job,
            asked,
            wait,
            what,
        });
        Some(job)
    }

    pub(super) fn is_open(&self, id: &RequestId) -> bool {
        self.open.iter().any(|it| it.asked.id == *id)
    }

    /// Ends one that is done.
    pub(super) fn end(&mut self, job: Job) -> Option<(Asked, Wait, What)> {
        let at = self.open.iter().position(|it| it.job == job)?;
        let open = self.open.remove(at);
        Some((open.asked, open.wait, open.what))
    }

    /// Ends one that is withdrawn.
    pub(super) fn take(&mut self, id: &RequestId) -> Option<(Job, Asked, What)> {
        let at = self.open.iter().position(|it| it.asked.id == *id)?;
        let open = self.open.remove(at);
        Some((open.job, open.asked, open.what))
    }

    /// Ends those that waited too long.
    pub(super) fn take_over(&mut self, now: Now) -> Vec<(Job, Asked, What)> {
        self.open
            .extract_if(.., |it| it.wait.until_ms <= now.mono_ms)
            .map(|it| (it.job, it.asked, it.what))
            .collect()
    }

    pub(super) fn next_end_ms(&self) -> Option<u64> {
        self.open.iter().map(|it| it.wait.until_ms).min()
    }

    /// Whether a token's keys are waited for that this library brings.
    pub(super) fn opens(&self, provider: &Path) -> bool {
        self.open
            .iter()
            .any(|it| matches!(&it.what, What::Token(import) if import.provider == provider))
    }
}

/// 1,024 requests wait at once: as many as connections that an agent serves in the bench.
const OPEN_MAX: usize = 1_024;
