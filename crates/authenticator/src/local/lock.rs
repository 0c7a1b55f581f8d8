//! `ssh-add -x` and `-X` (RFC 9987 section 3.7).
//!
//! **Invariant**: locked, nothing is listed, added, removed or signed. A wrong passphrase is
//! answered late, by a tenth of a second more each time and at most ten seconds, and no other
//! is tried before; nobody else waits for that.

use std::collections::VecDeque;

use keystead_core::{LockRequest, Outcome, Secret, SecretBytes};
use keystead_daemon::Now;
use rand_core::CryptoRngCore;

use super::Asked;

/// Whether it is locked, and who tries to unlock.
#[derive(Default)]
pub(super) struct Lock {
    locked: Option<Locked>,
    failures: u64,
    late: VecDeque<Late>,
}

/// What unlocks. A slow hash would protect nothing: the keys are in the same memory.
struct Locked {
    salt: [u8; SALT_BYTES],
    hash: Secret<HASH_BYTES>,
}

/// A try that waits for its turn, or a failed one for its answer.
enum Late {
    Try(Asked, SecretBytes),
    Failed(Asked, u64),
}

impl Lock {
    pub(super) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Locks or unlocks. None: the answer comes later, by [`Lock::due`].
    pub(super) fn ask(
        &mut self,
        now: Now,
        asked: Asked,
        request: LockRequest,
        rng: &mut dyn CryptoRngCore,
    ) -> Option<Outcome> {
        // As OpenSSH's agent: an empty passphrase neither locks nor unlocks.
        if request.passphrase.is_empty() || request.lock == self.is_locked() {
            return Some(Outcome::Refuse);
        }
        if request.lock {
            let mut salt = [0; SALT_BYTES];
            rng.fill_bytes(&mut salt);
            let hash = hash_of(&salt, &request.passphrase);
            self.locked = Some(Locked { salt, hash });
            return Some(Outcome::Approve);
        }
        if self.late.len() >= LATE_MAX {
            return Some(Outcome::Busy);
        }
        if self.late.is_empty() {
            return self.check(now, asked, &request.passphrase);
        }
        self.late.push_back(Late::Try(asked, request.passphrase));
        None
    }

    /// The answers whose time has come.
    pub(super) fn due(&mut self, now: Now) -> Vec<(Asked, Outcome)> {
        let mut answers = Vec::new();
        while let Some(late) = self.late.pop_front() {
            match late {
                Late::Failed(asked, at_ms) if at_ms <= now.mono_ms => {
                    answers.push((asked, Outcome::Refuse));
                }
                Late::Failed(asked, at_ms) => {
                    self.late.push_front(Late::Failed(asked, at_ms));
                    break;
                }
                // Only a failed one holds those behind it.
                Late::Try(asked, passphrase) => {
                    let rest = std::mem::take(&mut self.late);
                    let outcome = self.check(now, asked, &passphrase);
                    answers.extend(outcome.map(|it| (asked, it)));
                    self.late.extend(rest);
                }
            }
        }
        answers
    }

    pub(super) fn next_check_ms(&self) -> Option<u64> {
        match self.late.front()? {
            Late::Failed(_, at_ms) => Some(*at_ms),
            Late::Try(..) => Some(0),
        }
    }

    fn check(&mut self, now: Now, asked: Asked, passphrase: &SecretBytes) -> Option<Outcome> {
        let Some(locked) = &self.locked else {
            // Another try before it has unlocked.
            return Some(Outcome::Refuse);
        };
        if hash_of(&locked.salt, passphrase).ct_eq(&locked.hash) {
            self.locked = None;
            self.failures = 0;
            return Some(Outcome::Approve);
        }
        self.failures = self.failures.saturating_add(1).min(FAILURES_MAX);
        let at_ms = now.mono_ms.saturating_add(FAILURE_MS * self.failures);
        self.late.push_back(Late::Failed(asked, at_ms));
        None
    }
}

fn hash_of(salt: &[u8], passphrase: &SecretBytes) -> Secret<HASH_BYTES> {
    let mut hasher = keystead_core::Hasher::new("keystead-local-lock");
    hasher.update(salt);
    hasher.update(passphrase.expose());
    Secret::take(&mut hasher.finish())
}

const SALT_BYTES: usize = 16;

const HASH_BYTES: usize = 32;

/// 0.1 s more each time, as OpenSSH's agent.
const FAILURE_MS: u64 = 100;

/// At most 10 s.
const FAILURES_MAX: u64 = 100;

/// 16 people at once who try: more is a program that guesses.
const LATE_MAX: usize = 16;
