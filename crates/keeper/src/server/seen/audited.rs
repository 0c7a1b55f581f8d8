//! The account's whole log, read and checked against what is kept and what is listed.
//!
//! **Invariant**: the verdict is about every entry from the first to the last; the first
//! that is changed, missing, out of order or not proved is named.

use std::collections::BTreeMap;

use keystead_channel::log::proof::check_inclusion;
use keystead_channel::log::{Action, Detail, Hash, Leaf, LogId};
use keystead_channel::session::requests::{AuditPage, Entry, KeyType, Method};
use keystead_channel::session::{KeyId, Status, UserId};

use super::{Own, Seen, SeenError, Unproven};

/// What the server lists, to be compared with what its log says.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// All that `list` gave.
    pub entries: &'a [Entry],
    /// The request hash of the last `list`: what the log says later is not compared.
    pub request_hash: Option<&'a Hash>,
}

/// A log that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Every entry, from the first.
    pub leaves: Vec<Leaf>,
    /// The tree that the last page was proved in.
    pub size: u64,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {error}")]
pub struct AuditFault {
    /// Which.
    pub subject: Subject,
    /// What is wrong with it.
    pub error: AuditError,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A check that a single answer gets too.
    #[error("{0}")]
    Seen(SeenError),
    /// Another number than the one behind the entry before.
    #[error("the log goes on with entry {found}")]
    Order {
        /// What stands there.
        found: u64,
    },
    /// It does not name the hash of the entry before.
    #[error("it does not follow the entry before")]
    Chain,
    /// We saw another entry there.
    #[error("another entry was seen there before")]
    Changed,
    /// We saw it, and the log ends before.
    #[error("it was seen before and is missing now")]
    Missing,
    /// It is listed, and the log says nothing of it, or that it was deleted.
    #[error("it is listed, but the log does not say that it was made")]
    NotMade,
    /// It was made and not deleted, and is not listed.
    #[error("it was made and never deleted, but is not listed")]
    NotListed,
    /// Its label was changed more or less often than the log says.
    #[error("its label has revision {listed}, the log says {logged}")]
    Revision {
        /// In the list.
        listed: u32,
        /// In the log.
        logged: u32,
    },
    /// It has another policy than the log says, or one where the log says none.
    #[error("it has another policy than the log says")]
    Policy,
    /// It has another type or public key than when it was made.
    #[error("it is another key than the one that was made")]
    OtherKey,
}

/// What a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One of the account's entries.
    Entry(u64),
    /// A key.
    Key(KeyId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entry(user_seq) => write!(f, "entry {user_seq}"),
            Self::Key(key) => write!(f, "key {key}"),
        }
    }
}

impl Seen {
    /// Checks all pages of `audit` (scope all, with proofs, from the first entry on) and
    /// that what is listed is what the log says. Ask [`Seen::head_request`] next: the last
    /// entry is still to be proved in a head that continues ours.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn audit(
        &mut self,
        user: &UserId,
        pages: &[AuditPage],
        listed: Listed<'_>,
    ) -> Result<Audited, AuditFault> {
        let mut chain = Chain::default();
        let mut size = 0;
        for page in pages {
            size = self.audit_page(user, page, &mut chain)?;
        }
        self.all_there(&chain)?;
        let leaves: Vec<Leaf> = chain.entries.into_iter().map(|it| it.1).collect();
        compare(&leaves, listed)?;
        if let Some(last) = chain.last {
            self.unproven.push(Unproven {
                index: last.index,
                hash: last.hash,
            });
            self.keep_own(last);
        }
        Ok(Audited { leaves, size })
    }

    fn audit_page(
        &self,
        user: &UserId,
        page: &AuditPage,
        chain: &mut Chain,
    ) -> Result<u64, AuditFault> {
        let at = Subject::Entry(chain.next);
        let seen = |error| fault(at, AuditError::Seen(error));
        let head = self.open(&page.checkpoint.0).map_err(seen)?.checkpoint;
        let fits = self
            .head
            .as_ref()
            .is_none_or(|ours| ours.checkpoint.epoch == head.epoch);
        if !fits {
            return Err(seen(self.went_back(&head, None)));
        }
        let proofs = page
            .proofs
            .as_ref()
            .map(|it| it.0.as_slice())
            .unwrap_or_default();
        if proofs.len() != page.leaves.0.len() {
            return Err(seen(SeenError::Incomplete));
        }
        for (bytes, proof) in page.leaves.0.iter().zip(proofs) {
            let at = Subject::Entry(chain.next);
            let seen = |error| fault(at, AuditError::Seen(error));
            let leaf = Leaf::decode(&bytes.0).map_err(|it| seen(it.into()))?;
            let index = proof.index;
            if leaf.log != LogId::of(user) {
                return Err(seen(SeenError::OtherLog { index }));
            }
            let own = chain.follow(at, &leaf, index)?;
            check_inclusion(index, head.size, &own.hash, &proof.path.0, &head.root)
                .map_err(|_| seen(SeenError::Unproved { index }))?;
            chain.entries.push((own.clone(), leaf));
            chain.last = Some(own);
        }
        Ok(head.size)
    }

    /// Every entry that we saw is there as we saw it.
    fn all_there(&self, chain: &Chain) -> Result<(), AuditFault> {
        for ours in &self.own {
            let at = Subject::Entry(ours.user_seq);
            let place = usize::try_from(ours.user_seq).unwrap_or(usize::MAX);
            match chain.entries.get(place) {
                None => return Err(fault(at, AuditError::Missing)),
                Some((own, _)) if own.hash != ours.hash || own.index != ours.index => {
                    return Err(fault(at, AuditError::Changed));
                }
                Some(_) => (),
            }
        }
        Ok(())
    }
}

/// The entries so far.
#[derive(Default)]
struct Chain {
    next: u64,
    last: Option<Own>,
    entries: Vec<(Own, Leaf)>,
}

impl Chain {
    fn follow(&mut self, at: Subject, leaf: &Leaf, index: u64) -> Result<Own, AuditFault> {
        if leaf.user_seq != self.next {
            let found = leaf.user_seq;
            return Err(fault(at, AuditError::Order { found }));
        }
        let before = self.last.as_ref().map_or([0; 32], |last| last.hash);
        let is_behind = self.last.as_ref().is_none_or(|last| index > last.index);
        if leaf.before != before || !is_behind {
            return Err(fault(at, AuditError::Chain));
        }
        self.next += 1;
        Ok(Own {
            user_seq: leaf.user_seq,
            index,
            hash: leaf.hash(),
            before,
        })
    }
}

/// A key as the log tells of it.
#[derive(Clone, Copy, Default)]
struct Made {
    revision: u32,
    key_type: Option<KeyType>,
    public_key: Option<Hash>,
    replaces: Option<KeyId>,
    policy: Option<Hash>,
}

/// That `listed` is what the log says was made, relabelled, put under a policy and deleted.
fn compare(leaves: &[Leaf], listed: Listed<'_>) -> Result<(), AuditFault> {
    let mut made = BTreeMap::new();
    for leaf in leaves {
        tell(&mut made, leaf);
        if listed
            .request_hash
            .is_some_and(|hash| *hash == leaf.request_hash)
        {
            break;
        }
    }
    for entry in listed.entries {
        let at = Subject::Key(entry.key);
        let told = made.remove(&entry.key);
        let told: Made = told.ok_or(fault(at, AuditError::NotMade))?;
        if told.revision != entry.revision {
            let (listed, logged) = (entry.revision, told.revision);
            return Err(fault(at, AuditError::Revision { listed, logged }));
        }
        if told.policy != entry.policy.as_ref().map(Detail::policy_hash) {
            return Err(fault(at, AuditError::Policy));
        }
        let public_key = entry.public_key.as_ref();
        let public_key = public_key.map(|key| keystead_channel::log::content_hash(&key.0));
        let is_same = told.key_type.is_none_or(|it| it == entry.kind)
            && (told.public_key.is_none() || told.public_key == public_key)
            && told.replaces == entry.replaces;
        if !is_same {
            return Err(fault(at, AuditError::OtherKey));
        }
    }
    match made.into_keys().next() {
        Some(key) => Err(fault(Subject::Key(key), AuditError::NotListed)),
        None => Ok(()),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other methods change nothing that is listed"
)]
fn tell(made: &mut BTreeMap<KeyId, Made>, leaf: &Leaf) {
    let Some(Action::Method(method)) = Action::from_number(leaf.action) else {
        return;
    };
    if leaf.outcome != Status::Done.number() {
        return;
    }
    let key = KeyId(leaf.key);
    let detail = leaf.detail().unwrap_or_default();
    match method {
        Method::Put | Method::Make | Method::Import => {
            // Repeated with its nonce, it is what it was.
            made.entry(key).or_insert(Made {
                revision: 0,
                key_type: detail.key_type,
                public_key: detail.public_key,
                replaces: detail.replaces,
                policy: detail.policy,
            });
        }
        Method::Label => {
            if let Some(made) = made.get_mut(&key) {
                made.revision = detail.revision.unwrap_or(made.revision.saturating_add(1));
            }
        }
        Method::Policy => {
            if let Some(made) = made.get_mut(&key) {
                made.policy = detail.policy;
            }
        }
        Method::Delete => {
            made.remove(&key);
        }
        _ => (),
    }
}

fn fault(subject: Subject, error: AuditError) -> AuditFault {
    AuditFault { subject, error }
}
