//! The log read: pages of an account's entries, the head, what a session opens with.
//!
//! **Invariant**: a leaf is given out only when it hashes to its place in the tree whose
//! root was signed; what does not is named, and never passed over.

use std::ops::Range;

use keystead_channel::log::{Checkpoint, Hash, Leaf, LogId};
use keystead_channel::session::requests::{
    Audit, AuditPage, Head, HeadPage, INDICES_MAX, Known, LEAF_BYTES_MAX, Proof, Receipt, Scope,
};
use keystead_channel::session::{KeyId, List, Octets, UserId};

use super::Ledger;
use super::act::Committed;
use super::batch::open_block;
use super::block::Kept;
use super::corrupt::{Corrupt, ReadError};
use super::nodes::{self, Needed, Signed};
use crate::rows::{self, AccountNo, LogIndex, Rows, Table};
use crate::store::{Loaded, StoreError, Wanted};

/// What a session opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The head of the commit that opened it.
    pub checkpoint: Vec<u8>,
    /// That it continues the head that the client knew.
    pub consistency: Option<Vec<Hash>>,
    /// The account's newest entry.
    pub chain_head: Option<Receipt>,
}

impl Ledger {
    /// What a session tells its client of the log: `committed` is the login or resumption.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn opened<A>(
        &self,
        committed: &Committed<A>,
        known: Known,
    ) -> Result<Opened, ReadError> {
        let receipt = committed.receipt();
        let checkpoint = receipt.as_ref().map(|it| it.checkpoint.0.clone());
        let checkpoint = checkpoint.unwrap_or_default();
        let consistency = match (known.0, head_of(&checkpoint)) {
            // Of another epoch too: its tree may well be the beginning of this one.
            (Some(known), Some(head)) if known.size <= head.size => {
                Some(self.consistency(known.size, &head, committed).await?)
            }
            _ => None,
        };
        Ok(Opened {
            checkpoint,
            consistency,
            chain_head: receipt,
        })
    }

    /// Method 17: the newest head, that it continues an older one, paths.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn head(&self, asked: &Head) -> Result<HeadPage, ReadError> {
        let head = self.store.read(Wanted::new()).await?.head;
        let signed = signed_head(&head)?;
        let from = asked.from_size.filter(|from| *from <= signed.size);
        let indices = asked
            .indices
            .0
            .iter()
            .copied()
            .filter(|it| *it < signed.size);
        let indices: Vec<u64> = indices.take(INDICES_MAX).collect();
        let mut needed = Needed::new(signed.size);
        needed.consistency(from.unwrap_or_default());
        needed.paths(indices.iter().copied());
        indices.iter().for_each(|index| needed.leaf(*index));
        let tiles = nodes::read(&self.store, needed, signed.epoch, &self.full_tiles).await?;
        let tree = Signed::new(tiles, signed.size, signed.root)?;
        let consistency = from.map(|from| tree.consistency(from)).transpose()?;
        let proofs = indices.into_iter().map(|index| {
            let path = tree.path(index, &tree.leaf_hash(index)?)?;
            Ok(Proof {
                index,
                path: List(path),
            })
        });
        let proofs: Result<Vec<Proof>, Corrupt> = proofs.collect();
        Ok(HeadPage {
            checkpoint: Octets(head.checkpoint),
            consistency: consistency.map(List),
            proofs: List(proofs?),
        })
    }

    /// Method 16: a page of an account's entries. It ends before an entry that cannot be
    /// read; asked for from that one on, the answer is the error.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn audit(
        &self,
        account: AccountNo,
        user: &UserId,
        asked: &Audit,
    ) -> Result<AuditPage, ReadError> {
        let from = asked.cursor.unwrap_or_default().min(SEQ_MAX);
        let place = self
            .places(account, from..from.saturating_add(SCAN_MAX))
            .await?;
        let signed = signed_head(&place.head)?;
        let mut needed = Needed::new(signed.size);
        let indices = || place.before.iter().chain(&place.entries).map(|it| it.index);
        indices().for_each(|index| needed.leaf(index));
        if asked.proofs {
            needed.paths(indices());
        } else {
            needed.consistency(signed.size);
        }
        let mut wanted = Wanted::new();
        needed.want(&mut wanted);
        for entry in &place.entries {
            wanted
                .blocks
                .push(entry.index..entry.index.saturating_add(1));
        }
        let loaded = self.store.read(wanted).await?;
        let tiles = needed.take(&loaded.tiles, &loaded.blocks);
        let tree = Signed::new(tiles, signed.size, signed.root)?;
        let leaves = Leaves::new(self, &loaded);
        let reader = Reader {
            log: LogId::of(user),
            place: &place,
            tree,
            leaves,
        };
        reader.page(asked)
    }

    /// That the tree of `head`, which `committed` left, continues the one of `from` leaves.
    async fn consistency<A>(
        &self,
        from: u64,
        head: &Checkpoint,
        committed: &Committed<A>,
    ) -> Result<Vec<Hash>, ReadError> {
        let mut needed = Needed::new(head.size);
        needed.consistency(from);
        needed.have(committed.growing());
        let tiles = nodes::read(&self.store, needed, head.epoch, &self.full_tiles).await?;
        let tree = Signed::new(tiles, head.size, head.root)?;
        Ok(tree.consistency(from)?)
    }

    /// That an account's chain ends where its row says. Acts that open a session ask so in
    /// their own transaction ([`Wanted::checked_chain`]).
    ///
    /// # Errors
    /// [`ReadError`]; of a row that was put back in an older form, [`Corrupt::Chain`].
    pub async fn check_chain(&self, account: AccountNo) -> Result<(), ReadError> {
        let mut wanted = Wanted::new();
        wanted.checked_chain(account);
        let loaded = self.store.read(wanted).await?;
        let rows = Rows::new(loaded, &self.tools.sealing);
        match rows.chain(account) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(StoreError::Corrupt(Table::Chain).into()),
            Err(_) => Err(Corrupt::Chain { account: account.0 }.into()),
        }
    }

    /// Where these entries of an account are, and the one before them.
    async fn places(&self, account: AccountNo, asked: Range<u64>) -> Result<Places, ReadError> {
        let mut wanted = Wanted::new();
        wanted.chain(account);
        let first = asked.start.saturating_sub(1);
        if !asked.is_empty() {
            wanted.seqs.push((account, first..asked.end));
        }
        let mut loaded = self.store.read(wanted).await?;
        let head = loaded.head.clone();
        let seqs = std::mem::take(&mut loaded.seqs);
        let rows = Rows::new(loaded, &self.tools.sealing);
        let chain = rows.chain(account).map_err(StoreError::from)?;
        let chain = chain.ok_or(StoreError::Corrupt(Table::Chain))?;
        let mut places = Places {
            head,
            account,
            end: chain.next_seq,
            last: (chain.last_hash, chain.last_index),
            before: None,
            entries: Vec::new(),
            missing: None,
        };
        let mut found = seqs.into_iter().peekable();
        for user_seq in first..asked.end.min(places.end) {
            match found.next_if(|it| it.seq == user_seq) {
                Some(entry) if user_seq < asked.start => places.before = Some(entry),
                Some(entry) => places.entries.push(entry),
                None => {
                    places.missing = Some(Corrupt::Index {
                        account: account.0,
                        user_seq,
                    });
                    break;
                }
            }
        }
        Ok(places)
    }
}

/// Where an account's entries are.
struct Places {
    head: rows::Head,
    account: AccountNo,
    /// Behind the account's last entry.
    end: u64,
    /// Hash and index of the last entry.
    last: (Hash, u64),
    /// The entry before the first.
    before: Option<LogIndex>,
    entries: Vec<LogIndex>,
    /// What lacks behind them.
    missing: Option<Corrupt>,
}

/// Reads one page.
struct Reader<'a> {
    log: LogId,
    place: &'a Places,
    tree: Signed,
    leaves: Leaves,
}

impl Reader<'_> {
    fn page(&self, asked: &Audit) -> Result<AuditPage, ReadError> {
        let mut before = match &self.place.before {
            Some(entry) => self.tree.leaf_hash(entry.index)?,
            None => Hash::default(),
        };
        let (mut leaves, mut proofs) = (Vec::new(), Vec::new());
        let mut next = None;
        for (at, entry) in self.place.entries.iter().enumerate() {
            if leaves.len() == INDICES_MAX {
                next = Some(entry.seq);
                break;
            }
            match self.entry(entry, before, asked) {
                Ok(Read { hash, told }) => {
                    before = hash;
                    if let Some((leaf, proof)) = told {
                        leaves.push(leaf);
                        proofs.extend(proof);
                    }
                }
                Err(fault) if at == 0 => return Err(self.told(fault)),
                Err(fault) => {
                    self.told(fault);
                    next = Some(entry.seq);
                    break;
                }
            }
        }
        let next = match next {
            Some(next) => Some(next),
            None => self.behind(&before)?,
        };
        Ok(AuditPage {
            leaves: List(leaves),
            next,
            proofs: asked.proofs.then_some(List(proofs)),
            checkpoint: Octets(self.place.head.checkpoint.clone()),
        })
    }

    /// The cursor behind the entries that were looked up, if there are more.
    fn behind(&self, last: &Hash) -> Result<Option<u64>, ReadError> {
        let behind = self.place.entries.last().map(|it| it.seq.saturating_add(1));
        if let Some(missing) = self.place.missing {
            return match behind {
                Some(behind) => {
                    self.told(missing);
                    Ok(Some(behind))
                }
                None => Err(self.told(missing)),
            };
        }
        let Some(behind) = behind else {
            return Ok(None);
        };
        if behind < self.place.end {
            return Ok(Some(behind));
        }
        let index = self.place.entries.last().map(|it| it.index);
        if self.place.last == (*last, index.unwrap_or_default()) {
            return Ok(None);
        }
        let account = self.place.account.0;
        Err(self.told(Corrupt::Chain { account }))
    }

    /// An entry in its place, or that what lies there is another.
    fn entry(&self, place: &LogIndex, before: Hash, asked: &Audit) -> Result<Read, Corrupt> {
        let index = place.index;
        let corrupt = Corrupt::Leaf { index };
        let kept = self.leaves.find(index).ok_or(corrupt)?;
        if i64::try_from(kept.account) != Ok(self.place.account.0) {
            return Err(corrupt);
        }
        let leaf = kept.leaf(self.log, place.seq, before);
        let bytes = leaf.encode();
        let hash = keystead_channel::log::tree::leaf_hash(&bytes);
        if self.tree.leaf_hash(index)? != hash {
            return Err(corrupt);
        }
        let mut told = None;
        if is_asked(asked, &leaf) {
            let proof = match asked.proofs {
                true => Some(Proof {
                    index,
                    path: List(self.tree.path(index, &hash)?),
                }),
                false => None,
            };
            told = Some((Octets(bytes), proof));
        }
        Ok(Read { hash, told })
    }

    fn told(&self, fault: Corrupt) -> ReadError {
        tracing::error!(%fault, "the log cannot be read");
        ReadError::Corrupt(fault)
    }
}

/// An entry that is what was written.
struct Read {
    hash: Hash,
    /// The leaf, and its path if that was asked for; none where a filter leaves it out.
    told: Option<(Octets<LEAF_BYTES_MAX>, Option<Proof>)>,
}

/// The leaves of the blocks that were read.
struct Leaves {
    blocks: Vec<(u64, Vec<Option<Kept>>)>,
}

impl Leaves {
    fn new(ledger: &Ledger, loaded: &Loaded) -> Self {
        let blocks = loaded.blocks.iter().filter_map(|block| {
            let leaves = open_block(block, &ledger.tools.sealing)?;
            Some((block.first, leaves))
        });
        Self {
            blocks: blocks.collect(),
        }
    }

    fn find(&self, index: u64) -> Option<&Kept> {
        self.blocks.iter().find_map(|(first, leaves)| {
            let at = usize::try_from(index.checked_sub(*first)?).ok()?;
            leaves.get(at)?.as_ref()
        })
    }
}

fn is_asked(asked: &Audit, leaf: &Leaf) -> bool {
    let is_of_key = leaf.key != [0; 16];
    let is_in_scope = match asked.scope {
        Scope::System => !is_of_key,
        Scope::Keys => is_of_key,
        Scope::All => true,
    };
    let keys = asked.keys.as_ref();
    is_in_scope
        && keys.is_none_or(|keys| keys.0.contains(&KeyId(leaf.key)))
        && asked
            .after_unix_ms
            .is_none_or(|after| leaf.time_unix_ms > after)
        && asked
            .before_unix_ms
            .is_none_or(|before| leaf.time_unix_ms < before)
}

/// What the head row says, which is sealed.
fn signed_head(head: &rows::Head) -> Result<Checkpoint, ReadError> {
    let corrupt = ReadError::Store(StoreError::Corrupt(Table::Head));
    let checkpoint = head_of(&head.checkpoint).ok_or(corrupt.clone())?;
    let is_it = checkpoint.size == head.size && checkpoint.epoch == u64::from(head.epoch);
    if is_it { Ok(checkpoint) } else { Err(corrupt) }
}

fn head_of(note: &[u8]) -> Option<Checkpoint> {
    Checkpoint::read(note).ok()
}

/// 2^62: no log is longer, and databases count to 2^63.
const SEQ_MAX: u64 = 1 << 62;

/// 512 entries looked at for one page: with a filter, a page may tell fewer.
const SCAN_MAX: u64 = 512;
