//! What the holder approved or blocked in advance: a scope, an end and a count.
//!
//! **Invariant**: a grant is made here by an answer at the authenticator alone, and ends by its
//! time, its count, its revocation or its pairing, whichever comes first. Its uses are counted
//! by the log: the entry of an answer says how often its grant has been used, and is durable
//! before the answer leaves; what the file says is older, never younger. What cannot be written
//! is not granted.

mod file;
mod scope;

use std::io;

use keystead_core::{KeyId, PairingId};
use keystead_daemon::{Disk, Now};

use crate::LoadError;
use crate::entry::Entry;
use crate::question::Term;

pub use file::GRANTS_FILE;
pub use scope::{Blocked, KeyUse, Scope, block_words, grant_words, granted_words};

/// All grants and blocks.
#[derive(Debug, Default)]
pub struct Grants {
    grants: Vec<Grant>,
    blocks: Vec<Block>,
    /// The next id: above every one that a file or a log knows.
    next: u64,
}

/// A standing approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub id: u64,
    /// Who may ask.
    pub pairing: PairingId,
    /// Which key signs.
    pub key: KeyId,
    /// For what.
    pub scope: Scope,
    /// It was made from a question of a program in the background, and is for such alone; else
    /// it is for the others alone.
    pub is_background: bool,
    /// For the person: workstation, key and scope.
    pub words: Words,
    /// When it was made, seconds since 1970.
    pub made_unix_s: u64,
    /// When it ends.
    pub ends_unix_s: u64,
    /// How often it may be used.
    pub count_max: u32,
    /// How often it was.
    pub used: u32,
    /// When last, or when it was made.
    pub last_unix_s: u64,
    /// When it ends on the clock that does not jump.
    ends_ms: u64,
}

/// A standing refusal, until it is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub id: u64,
    /// Who is not to ask.
    pub pairing: PairingId,
    /// What for.
    pub blocked: Blocked,
    /// For the person.
    pub words: Words,
    /// When it was made, seconds since 1970.
    pub made_unix_s: u64,
}

/// A grant or a block in words, safe to show.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Words {
    /// The workstation's name.
    pub workstation: String,
    /// The key's name; a block has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it covers.
    pub what: String,
}

/// What a request would need a grant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Who asks.
    pub pairing: PairingId,
    /// With which key.
    pub key: KeyId,
    /// In the background.
    pub is_background: bool,
    /// For what; none where nothing may be granted.
    pub scope: Option<Scope>,
    /// The announced act that it is part of, where one may be approved whole.
    pub act: Option<Scope>,
}

/// Why there is no grant, or no block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Nothing of the kind may be granted.
    #[error("nothing like this can be granted in advance")]
    NotGrantable,
    /// [`GRANTS_MAX`] are there.
    #[error("there are {GRANTS_MAX} already")]
    Full,
    /// It could not be written.
    #[error("it could not be written: {0}")]
    Disk(#[from] io::Error),
}

impl Grants {
    /// Reads them; none when there is no file yet.
    ///
    /// # Errors
    /// [`LoadError`] names the file.
    pub fn load(now: Now, disk: &dyn Disk) -> Result<Self, LoadError> {
        let mut grants = file::load(disk)?;
        for grant in &mut grants.grants {
            grant.ends_ms = grant.ends_ms(now);
        }
        Ok(grants)
    }

    /// Takes in what the log says of a grant's use.
    pub fn recall(&mut self, entry: &Entry) {
        let Some(id) = entry.grant else { return };
        self.next = self.next.max(id.saturating_add(1));
        let own = self.grants.iter_mut().find(|it| it.id == id);
        if let (Some(grant), Some(used)) = (own, entry.grant_used) {
            grant.used = grant.used.max(used);
            grant.last_unix_s = grant.last_unix_s.max(entry.unix_s);
        }
    }

    /// The grant that covers a request, if any.
    #[must_use]
    pub fn find(&self, wanted: &Wanted, now: Now) -> Option<&Grant> {
        let live = |scope: &Option<Scope>| {
            let scope = scope.as_ref()?;
            self.of(wanted, scope).find(|it| it.is_live(now))
        };
        live(&wanted.scope).or_else(|| live(&wanted.act))
    }

    /// Whether the act that a request is part of was approved whole, and made all the requests
    /// that it announced.
    #[must_use]
    pub fn is_act_over(&self, wanted: &Wanted, now: Now) -> bool {
        let act = wanted.act.as_ref();
        act.is_some_and(|act| {
            self.of(wanted, act)
                .any(|it| now.mono_ms < it.ends_ms && it.used >= it.count_max)
        })
    }

    fn of<'a, 'b>(
        &'a self,
        wanted: &'b Wanted,
        scope: &'b Scope,
    ) -> impl Iterator<Item = &'a Grant> + use<'a, 'b> {
        self.grants.iter().filter(move |it| {
            it.pairing == wanted.pairing
                && it.key == wanted.key
                && it.is_background == wanted.is_background
                && it.scope == *scope
        })
    }

    /// The block that a request falls under, if any.
    #[must_use]
    pub fn block_of(&self, pairing: &PairingId, blocked: &Blocked) -> Option<&Block> {
        let mut blocks = self.blocks.iter();
        blocks.find(|it| it.pairing == *pairing && it.blocked == *blocked)
    }

    /// The number that the next grant or block will have.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.next.max(1)
    }

    /// Makes a grant for `scope`, one of the two that `wanted` has. One that is the same but
    /// for its term makes way.
    ///
    /// # Errors
    /// [`GrantError`]; there is no new grant then.
    pub fn grant(
        &mut self,
        (wanted, scope): (&Wanted, Scope),
        term: Term,
        words: Words,
        now: Now,
        disk: &mut dyn Disk,
    ) -> Result<u64, GrantError> {
        if wanted.scope.as_ref() != Some(&scope) && wanted.act.as_ref() != Some(&scope) {
            return Err(GrantError::NotGrantable);
        }
        let lasts_s = term.lasts_s.min(LASTS_S_MAX);
        let mut grant = Grant {
            id: self.next_id(),
            pairing: wanted.pairing,
            key: wanted.key,
            scope,
            is_background: wanted.is_background,
            words,
            made_unix_s: now.unix_s,
            ends_unix_s: now.unix_s.saturating_add(lasts_s),
            count_max: term.count_max.min(COUNT_MAX),
            used: 0,
            last_unix_s: now.unix_s,
            ends_ms: 0,
        };
        grant.ends_ms = grant.ends_ms(now);
        let id = grant.id;
        self.change(disk, |all| {
            all.grants.retain(|it| !it.is_same_as(&grant));
            if all.grants.len() >= GRANTS_MAX {
                return Err(GrantError::Full);
            }
            all.grants.push(grant);
            all.next = id.saturating_add(1);
            Ok(())
        })?;
        Ok(id)
    }

    /// Makes a block; one that is the same stays.
    ///
    /// # Errors
    /// [`GrantError`]; there is no new block then.
    pub fn block(
        &mut self,
        pairing: PairingId,
        blocked: Blocked,
        words: Words,
        now: Now,
        disk: &mut dyn Disk,
    ) -> Result<u64, GrantError> {
        if let Some(block) = self.block_of(&pairing, &blocked) {
            return Ok(block.id);
        }
        let id = self.next_id();
        let block = Block {
            id,
            pairing,
            blocked,
            words,
            made_unix_s: now.unix_s,
        };
        self.change(disk, |all| {
            if all.blocks.len() >= GRANTS_MAX {
                return Err(GrantError::Full);
            }
            all.blocks.push(block);
            all.next = id.saturating_add(1);
            Ok(())
        })?;
        Ok(id)
    }

    /// Notes a use that the log has durably.
    pub fn note_use(&mut self, id: u64, used: u32, now: Now) {
        if let Some(grant) = self.grants.iter_mut().find(|it| it.id == id) {
            grant.used = grant.used.max(used);
            grant.last_unix_s = grant.last_unix_s.max(now.unix_s);
        }
    }

    /// Ends every grant and block that `which` names by its number and pairing; says how many.
    ///
    /// # Errors
    /// The system's; then they stand as they stood.
    pub fn revoke(
        &mut self,
        which: impl Fn(u64, &PairingId) -> bool,
        disk: &mut dyn Disk,
    ) -> Result<usize, GrantError> {
        let count = |all: &Self| all.grants.len().saturating_add(all.blocks.len());
        let before = count(self);
        let stays = |id: u64, pairing: &PairingId| !which(id, pairing);
        if self.grants.iter().all(|it| stays(it.id, &it.pairing))
            && self.blocks.iter().all(|it| stays(it.id, &it.pairing))
        {
            return Ok(0);
        }
        self.change(disk, |all| {
            all.grants.retain(|it| stays(it.id, &it.pairing));
            all.blocks.retain(|it| stays(it.id, &it.pairing));
            Ok(())
        })?;
        Ok(before.saturating_sub(count(self)))
    }

    /// Ends the grants of keys that are gone. Where the file cannot be written they are over
    /// until a restart all the same.
    pub fn forget_keys(&mut self, is_gone: impl Fn(&KeyId) -> bool, disk: &mut dyn Disk) {
        let count = self.grants.len();
        self.grants.retain(|it| !is_gone(&it.key));
        if self.grants.len() < count {
            let _ = file::save(self, disk);
        }
    }

    /// Takes off the grants whose time or count is over, for somebody to be told.
    pub fn end(&mut self, now: Now, disk: &mut dyn Disk) -> Vec<Grant> {
        let ended = |it: &Grant| match it.scope {
            // Remembered to its end: what the act makes beyond its count is to be asked for.
            Scope::Act { .. } => now.mono_ms >= it.ends_ms,
            Scope::Login { .. } | Scope::Git { .. } | Scope::Purpose { .. } => !it.is_live(now),
        };
        let over: Vec<Grant> = self.grants.iter().filter(|it| ended(it)).cloned().collect();
        if !over.is_empty() {
            self.grants.retain(|it| !ended(it));
            // Over they are whatever the file says: by their times, and by the log's counts.
            let _ = file::save(self, disk);
        }
        over
    }

    /// When the next one ends.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        self.grants.iter().map(|it| it.ends_ms).min()
    }

    /// The grants, the oldest first.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The blocks, the oldest first.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Changes, and writes; or neither.
    fn change(
        &mut self,
        disk: &mut dyn Disk,
        change: impl FnOnce(&mut Self) -> Result<(), GrantError>,
    ) -> Result<(), GrantError> {
        let mut changed = Self {
            grants: self.grants.clone(),
            blocks: self.blocks.clone(),
            next: self.next,
        };
        change(&mut changed)?;
        file::save(&changed, disk)?;
        *self = changed;
        Ok(())
    }
}

impl Grant {
    /// Whether it may be used once more.
    #[must_use]
    pub fn is_live(&self, now: Now) -> bool {
        // A clock that was set back would make every grant longer.
        let is_clock_back = now.unix_s.saturating_add(CLOCK_BACK_S) < self.last_unix_s;
        self.used < self.count_max
            && now.unix_s < self.ends_unix_s
            && now.mono_ms < self.ends_ms
            && !is_clock_back
    }

    /// How often it may still be used.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.count_max.saturating_sub(self.used)
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.pairing == other.pairing
            && self.key == other.key
            && self.is_background == other.is_background
            && self.scope == other.scope
    }

    fn ends_ms(&self, now: Now) -> u64 {
        let left_s = self
            .ends_unix_s
            .saturating_sub(now.unix_s.max(self.last_unix_s));
        now.mono_ms.saturating_add(left_s.saturating_mul(1_000))
    }
}

/// 256 grants and as many blocks: more than a person oversees.
pub const GRANTS_MAX: usize = 256;

/// 7 days: whoever wants longer decides again.
pub const LASTS_S_MAX: u64 = 7 * 24 * 60 * 60;

/// 1,000 signatures: as above.
pub const COUNT_MAX: u32 = 1_000;

/// 2 minutes: as far as a clock is set back when it is corrected. Beyond that a grant waits
/// until the clock is where it was.
const CLOCK_BACK_S: u64 = 120;

#[cfg(test)]
mod tests;
