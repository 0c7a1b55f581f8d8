//! The whole log for an auditor, line by line (`spec/audit.md` section 6).
//!
//! **Invariant**: a leaf is written only when it hashes to its place; one that was erased
//! is its hash; one that should be there and is not ends the export with its name.

use std::collections::{BTreeMap, HashMap, VecDeque};

use keystead_channel::log::export::Line;
use keystead_channel::log::tree::{Nodes, leaf_hash};
use keystead_channel::log::{Hash, LogId};
use keystead_channel::session::UserId;
use keystead_channel::session::requests::{Audit, Scope};

use super::Ledger;
use super::batch::open_block;
use super::block::Kept;
use super::corrupt::{Corrupt, ReadError};
use super::key;
use super::nodes::Needed;
use crate::rows::{AccountNo, Rows};
use crate::store::{Loaded, StoreError, Wanted};

/// An export that is being written: of the whole log, or of one account's entries.
pub struct Export {
    ledger: Ledger,
    of: Of,
    lines: VecDeque<String>,
    /// Lines so far.
    count: u64,
    is_done: bool,
}

/// What is left to be written.
enum Of {
    /// Every leaf up to a size, with the hashes of those that were erased.
    All {
        next: u64,
        /// Known when the first lines are written.
        end: Option<u64>,
        chains: Chains,
    },
    /// An account's, each with its path.
    One {
        account: AccountNo,
        user: UserId,
        cursor: Option<u64>,
        /// Notes so far, and the last one.
        checkpoints: u64,
        last: Vec<u8>,
    },
}

impl Ledger {
    /// Exports the log of all, or of one account.
    #[must_use]
    pub fn export(&self, of: Option<(AccountNo, UserId)>) -> Export {
        let of = match of {
            None => Of::All {
                next: 0,
                end: None,
                chains: Chains::default(),
            },
            Some((account, user)) => Of::One {
                account,
                user,
                cursor: Some(0),
                checkpoints: 0,
                last: Vec::new(),
            },
        };
        Export {
            ledger: self.clone(),
            of,
            lines: VecDeque::new(),
            count: 0,
            is_done: false,
        }
    }
}

impl Export {
    /// The next line, without its end; none behind the last.
    ///
    /// # Errors
    /// [`ReadError`]; what was written so far is not a whole export.
    pub async fn next(&mut self) -> Result<Option<String>, ReadError> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            if self.is_done {
                return Ok(None);
            }
            self.read_on().await?;
        }
    }

    /// Reads some more, or ends.
    async fn read_on(&mut self) -> Result<(), ReadError> {
        if self.count == 0 {
            return self.begin().await;
        }
        let mut lines = Vec::new();
        match &mut self.of {
            Of::All { next, end, chains } => {
                let size = end.unwrap_or_default();
                if *next < size {
                    let end = next.saturating_add(CHUNK).min(size);
                    lines = self.ledger.export_some(*next, end, chains).await?;
                    *next = end;
                } else if size > 0 {
                    self.ledger.check_ends(size, chains).await?;
                }
            }
            Of::One {
                account,
                user,
                cursor,
                checkpoints,
                last,
            } => {
                if cursor.is_some() {
                    let asked = Audit {
                        scope: Scope::All,
                        keys: None,
                        after_unix_ms: None,
                        before_unix_ms: None,
                        cursor: *cursor,
                        proofs: true,
                    };
                    let page = self.ledger.audit(*account, user, &asked).await?;
                    if page.checkpoint.0 != *last {
                        lines.push(Line::Checkpoint(page.checkpoint.0.clone()));
                        *last = page.checkpoint.0;
                        *checkpoints += 1;
                    }
                    let proofs = page.proofs.map(|it| it.0).unwrap_or_default();
                    for (leaf, proof) in page.leaves.0.into_iter().zip(proofs) {
                        lines.push(Line::Leaf {
                            index: proof.index,
                            leaf: leaf.0,
                        });
                        lines.push(Line::Path {
                            checkpoint: checkpoints.saturating_sub(1),
                            path: proof.path.0,
                        });
                    }
                    *cursor = page.next;
                }
            }
        }
        let is_last = lines.is_empty();
        lines.into_iter().for_each(|line| self.put(&line));
        if is_last {
            self.put(&Line::End(self.count));
            self.is_done = true;
        }
        Ok(())
    }

    /// The lines that say what it is.
    async fn begin(&mut self) -> Result<(), ReadError> {
        let ledger = self.ledger.clone();
        let tools = &ledger.tools;
        let (head, key) = key::read(&ledger.store, &tools.sealing).await?;
        self.put(&Line::Title);
        self.put(&Line::Server(tools.server));
        self.put(&Line::Key(*key.key.public()));
        let line = match &mut self.of {
            Of::All { end, .. } => {
                *end = Some(head.size);
                Line::Checkpoint(head.checkpoint)
            }
            Of::One { user, .. } => Line::User(*user),
        };
        self.put(&line);
        Ok(())
    }

    fn put(&mut self, line: &Line) {
        self.count = self.count.saturating_add(1);
        self.lines.push_back(line.write().trim_end().to_owned());
    }
}

impl Ledger {
    async fn export_some(
        &self,
        first: u64,
        end: u64,
        chains: &mut Chains,
    ) -> Result<Vec<Line>, ReadError> {
        let mut needed = Needed::new(end);
        (first..end).for_each(|index| needed.leaf(index));
        let mut wanted = Wanted::new();
        wanted.blocks.push(first..end);
        needed.want(&mut wanted);
        let loaded = self.store.read(wanted).await?;
        let tiles = needed.take(&loaded.tiles, &loaded.blocks);
        let mut leaves = self.leaves(&loaded);
        self.name(leaves.values().flatten(), chains).await?;
        let mut lines = Vec::new();
        for index in first..end {
            let corrupt = Corrupt::Leaf { index };
            let hash = tiles.node(0, index).ok_or(corrupt)?;
            let line = match leaves.remove(&index).ok_or(corrupt)? {
                Some(kept) => chains.place(index, &kept, hash).ok_or(corrupt)?,
                None => Line::Erased { index, hash },
            };
            lines.push(line);
        }
        Ok(lines)
    }

    /// That the chains of the first `end` leaves end where their rows say.
    async fn check_ends(&self, end: u64, chains: &Chains) -> Result<(), ReadError> {
        let live = chains.of.iter().filter(|(_, chain)| !chain.is_gone);
        let live = live.map(|(no, chain)| (i64::try_from(*no).unwrap_or_default(), chain));
        let ends: Vec<_> = std::iter::once((AccountNo::SYSTEM.0, &chains.system))
            .chain(live)
            .collect();
        for ends in ends.chunks(CHAINS) {
            let mut wanted = Wanted::new();
            for (account, _) in ends {
                wanted.chain(AccountNo(*account));
            }
            let rows = Rows::new(self.store.read(wanted).await?, &self.tools.sealing);
            for (account, chain) in ends {
                let row = rows.chain(AccountNo(*account)).map_err(StoreError::from)?;
                let ends_there = row.is_some_and(|row| {
                    let is_same = row.next_seq == chain.next && row.last_hash == chain.last;
                    // Entries may have come since.
                    is_same || (row.next_seq > chain.next && row.last_index >= end)
                });
                if !ends_there {
                    let fault = Corrupt::Chain { account: *account };
                    tracing::error!(%fault, "the log is not exported whole");
                    return Err(fault.into());
                }
            }
        }
        Ok(())
    }

    /// By their place: leaves, and those that were erased.
    fn leaves(&self, loaded: &Loaded) -> BTreeMap<u64, Option<Kept>> {
        let mut found = BTreeMap::new();
        for block in &loaded.blocks {
            let leaves = open_block(block, &self.tools.sealing).unwrap_or_default();
            found.extend((block.first..).zip(leaves));
        }
        found
    }

    /// Finds the logs of accounts that come for the first time.
    async fn name(
        &self,
        leaves: impl Iterator<Item = &Kept>,
        chains: &mut Chains,
    ) -> Result<(), ReadError> {
        let mut wanted = Wanted::new();
        let mut new = Vec::new();
        for kept in leaves {
            if kept.account != 0 && !chains.of.contains_key(&kept.account) {
                let account = AccountNo(i64::try_from(kept.account).unwrap_or_default());
                wanted.account(account).gone(account);
                chains.of.insert(kept.account, Chain::default());
                new.push((kept.account, account));
            }
        }
        let rows = Rows::new(self.store.read(wanted).await?, &self.tools.sealing);
        for (number, account) in new {
            let held = rows
                .account(account)
                .map_err(StoreError::from)?
                .map(|it| it.user);
            let gone = rows
                .gone(account)
                .map_err(StoreError::from)?
                .map(|it| it.user);
            let chain = Chain {
                log: held.or(gone).map(|user| LogId::of(&user)),
                is_gone: gone.is_some(),
                ..Chain::default()
            };
            chains.of.insert(number, chain);
        }
        Ok(())
    }
}

/// Where each account's chain stands.
#[derive(Default)]
struct Chains {
    system: Chain,
    of: HashMap<u64, Chain>,
}

#[derive(Default)]
struct Chain {
    /// None of an account that is not there: its leaves were erased, or are to be.
    log: Option<LogId>,
    is_gone: bool,
    next: u64,
    last: Hash,
}

impl Chains {
    /// The line of a leaf, if it hashes to its place; of an account that is gone the hash.
    fn place(&mut self, index: u64, kept: &Kept, hash: Hash) -> Option<Line> {
        let (chain, log) = match kept.account {
            0 => (&mut self.system, Some(LogId::SYSTEM)),
            account => {
                let chain = self.of.get_mut(&account)?;
                let log = chain.log;
                (chain, log)
            }
        };
        let leaf = log.map(|log| kept.leaf(log, chain.next, chain.last).encode());
        let leaf = leaf.filter(|leaf| leaf_hash(leaf) == hash);
        match leaf {
            Some(leaf) => {
                chain.next = chain.next.saturating_add(1);
                chain.last = hash;
                Some(Line::Leaf { index, leaf })
            }
            // Its first leaves are erased already.
            None => chain.is_gone.then_some(Line::Erased { index, hash }),
        }
    }
}

/// 1,024 rows a read: some hundred KiB.
const CHAINS: usize = 1_024;

/// 4,096 entries a read: some hundred KiB.
const CHUNK: u64 = 4_096;
