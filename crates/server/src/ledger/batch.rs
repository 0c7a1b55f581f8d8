//! What one transaction decides: acts in order over one overlay, their leaves, the tree,
//! one checkpoint. Pure: rows in, rows out.
//!
//! **Invariant**: every entry that an act decided is a leaf of the same transaction as the
//! rows that the act changed; of an act whose entry cannot be written nothing is, and the
//! others of the batch go on.

use std::ops::Range;

use keystead_channel::log::proof::View;
use keystead_channel::log::tile::{self, Tile};
use keystead_channel::log::tree::{Frontier, leaf_hash};
use keystead_channel::log::{Action, Checkpoint, Detail, Hash, LogId};
use keystead_channel::session::ServerId;
use keystead_vault::LogKey;

use super::act::{Batch, Log, NewEntry, OPERATOR};
use super::block::{self, Kept};
use super::edge::{Edge, Grown};
use super::nodes::Growing;
use crate::rows::{AccountNo, Head, LogBlock, LogIndex, LogTile, Rows, Table};
use crate::sealing::Sealing;
use crate::store::{Loaded, Now, StoreError, Writes};

/// What a batch is made with.
pub(super) struct Tools {
    pub(super) server: ServerId,
    pub(super) sealing: Sealing,
}

/// The log's key, and its number: the first has 0.
pub(super) struct NumberedKey {
    pub(super) number: u32,
    pub(super) key: LogKey,
}

/// The edge of the tree in memory, of the epoch that it belongs to.
pub(super) struct Held {
    pub(super) epoch: u32,
    pub(super) edge: Edge,
}

/// One that takes part in a batch.
pub(super) trait Member {
    fn decide(&mut self, now: Now, rows: &mut Rows<'_>) -> Vec<NewEntry>;

    /// Where its entries stand in the batch.
    fn placed(&mut self, entries: Range<usize>);

    /// Nothing of it was done.
    fn refused(&mut self, error: StoreError);
}

/// What is to be written, and what goes on from it.
pub(super) struct Decision {
    pub(super) writes: Writes,
    pub(super) batch: Batch,
    pub(super) held: Held,
    pub(super) size: u64,
    /// Tiles that are full now.
    pub(super) filled: Vec<(Tile, Vec<Hash>)>,
}

/// Decides a whole batch.
pub(super) fn decide<M: Member + ?Sized>(
    members: &mut [Box<M>],
    held: Option<Held>,
    (now, head, loaded): (Now, Head, Loaded),
    key: &NumberedKey,
    tools: &Tools,
) -> Result<Decision, StoreError> {
    let held = up_to_date(held, &head, &loaded, &tools.sealing)?;
    let mut rows = Rows::new(loaded, &tools.sealing);
    if rows.chain(AccountNo::SYSTEM)?.is_none() {
        rows.new_chain(AccountNo::SYSTEM);
    }
    let mut leaves = Leaves::new(now, head.size);
    if let Some(jump) = now.jump {
        let detail = Detail {
            before_unix_ms: Some(jump.before_ms),
            after_unix_ms: Some(jump.after_ms),
            ..Detail::NONE
        };
        let entry = NewEntry::system(Action::Clock, OPERATOR, detail);
        leaves.push(entry, &mut rows)?;
    }
    for member in members {
        let start = leaves.bytes.len();
        rows.begin();
        let entries = member.decide(now, &mut rows);
        if let Err(error) = have_chains(&entries, &rows) {
            rows.undo();
            member.refused(error);
            continue;
        }
        rows.keep();
        for entry in entries {
            leaves.push(entry, &mut rows)?;
        }
        member.placed(start..leaves.bytes.len());
    }
    let writes = rows.into_writes();
    if leaves.bytes.is_empty() {
        let (batch, size) = (Batch::default(), head.size);
        return Ok(Decision {
            writes,
            batch,
            held,
            size,
            filled: Vec::new(),
        });
    }
    grow(writes, leaves, held, head, key, tools)
}

/// Whether each entry has a chain to stand in.
fn have_chains(entries: &[NewEntry], rows: &Rows<'_>) -> Result<(), StoreError> {
    for entry in entries {
        let account = entry.log.account();
        let chain = rows.chain(account).map_err(StoreError::from);
        let chain = chain.and_then(|it| it.ok_or(StoreError::Corrupt(Table::Chain)));
        chain.inspect_err(|error| {
            tracing::error!(account = account.0, %error, "a request cannot be logged, so it is refused");
        })?;
    }
    Ok(())
}

/// The leaves of a batch, in order.
struct Leaves {
    now: Now,
    first: u64,
    bytes: Vec<Vec<u8>>,
    kept: Vec<(Kept, Hash)>,
    index: Vec<LogIndex>,
}

impl Leaves {
    fn new(now: Now, first: u64) -> Self {
        Self {
            now,
            first,
            bytes: Vec::new(),
            kept: Vec::new(),
            index: Vec::new(),
        }
    }

    /// The next entry of its account's chain.
    fn push(&mut self, entry: NewEntry, rows: &mut Rows<'_>) -> Result<(), StoreError> {
        let account = entry.log.account();
        let log = match entry.log {
            Log::System => LogId::SYSTEM,
            Log::Of(_, user) => LogId::of(&user),
        };
        let chain = rows.chain_mut(account)?;
        let chain = chain.ok_or(StoreError::Corrupt(Table::Chain))?;
        let kept = Kept {
            account: u64::try_from(account.0).unwrap_or_default(),
            time_unix_ms: self.now.ms,
            action: entry.action.number(),
            outcome: entry.outcome.number(),
            actor: entry.actor,
            key: entry.key,
            request_hash: entry.request_hash,
            detail: entry.detail.encode(),
        };
        let bytes = kept.leaf(log, chain.next_seq, chain.last_hash).encode();
        let hash = leaf_hash(&bytes);
        let behind = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let index = self.first.saturating_add(behind);
        self.index.push(LogIndex {
            account,
            seq: chain.next_seq,
            index,
        });
        chain.next_seq = chain.next_seq.saturating_add(1);
        chain.last_hash = hash;
        chain.last_index = index;
        self.kept.push((kept, hash));
        self.bytes.push(bytes);
        Ok(())
    }
}

/// Puts the leaves into the tree and signs its head.
fn grow(
    mut writes: Writes,
    leaves: Leaves,
    mut held: Held,
    head: Head,
    key: &NumberedKey,
    tools: &Tools,
) -> Result<Decision, StoreError> {
    let (grown, growth) = held.edge.append(leaves.kept);
    let filled = grown.filled();
    write_tree(&mut writes, grown, &tools.sealing);
    writes.index_put = leaves.index;
    let size = growth.size();
    let frontier = held.edge.frontier();
    let checkpoint = sign(tools.server, head.epoch, frontier, key)?;
    writes.head = Some(Head {
        size,
        frontier: frontier.hashes().to_vec(),
        checkpoint: checkpoint.clone(),
        key_no: key.number,
        ..head
    });
    let batch = Batch {
        tree: View::new(growth, size),
        first: leaves.first,
        leaves: leaves.bytes,
        checkpoint,
        growing: Growing::new(held.edge.tiles()),
    };
    Ok(Decision {
        writes,
        batch,
        held,
        size,
        filled,
    })
}

/// The note that says where the log stands.
pub(super) fn sign(
    server: ServerId,
    epoch: u32,
    frontier: &Frontier,
    key: &NumberedKey,
) -> Result<Vec<u8>, StoreError> {
    let checkpoint = Checkpoint {
        server,
        epoch: epoch.into(),
        size: frontier.size(),
        root: frontier.root(),
    };
    let signature = key.key.sign(checkpoint.text().as_bytes());
    let signature = signature.map_err(|it| StoreError::Unavailable(it.to_string()))?;
    Ok(checkpoint.note(key.key.public(), &signature))
}

fn write_tree(writes: &mut Writes, grown: Grown, sealing: &Sealing) {
    for first in grown.full {
        writes
            .blocks_delete
            .push(first..first.saturating_add(tile::WIDTH));
    }
    for block in grown.blocks {
        writes.blocks_put.push(seal_block(
            block.first,
            &block.leaves,
            &block.hashes,
            sealing,
        ));
    }
    for tile in grown.tiles {
        writes.tiles_put.push(LogTile {
            level: tile.level,
            index: tile.index,
            hashes: tile.hashes.concat(),
        });
    }
}

/// A block as the database has it.
pub(super) fn seal_block(
    first: u64,
    leaves: &[Option<Kept>],
    hashes: &[Hash],
    sealing: &Sealing,
) -> LogBlock {
    let count = u16::try_from(leaves.len()).unwrap_or(u16::MAX);
    let bound = LogBlock::bound(first, count);
    LogBlock {
        first,
        count,
        hashes: hashes.concat(),
        sealed: sealing.seal(Table::Block, &bound, &block::encode(leaves)),
    }
}

/// The leaves of a block; absent where it does not open.
pub(super) fn open_block(block: &LogBlock, sealing: &Sealing) -> Option<Vec<Option<Kept>>> {
    let bound = LogBlock::bound(block.first, block.count);
    let plain = sealing.open(Table::Block, &bound, &block.sealed).ok()?;
    block::decode(plain.as_slice(), usize::from(block.count))
}

impl Held {
    fn is_of(&self, head: &Head) -> bool {
        self.epoch == head.epoch
            && self.edge.size() == head.size
            && self.edge.frontier().hashes() == head.frontier
    }
}

/// The edge of the head that was found: the one in memory, if nobody else wrote since.
fn up_to_date(
    held: Option<Held>,
    head: &Head,
    loaded: &Loaded,
    sealing: &Sealing,
) -> Result<Held, StoreError> {
    let corrupt = |table| StoreError::Corrupt(table);
    let held = match held.filter(|it| it.epoch == head.epoch) {
        // Nearly always: it is some hundred leaves, so it is moved.
        Some(held) if held.is_of(head) => return Ok(held),
        held => held,
    };
    let frontier = Frontier::new(head.size, head.frontier.clone());
    let frontier = frontier.ok_or(corrupt(Table::Head))?;
    let tail = head.size - head.size % tile::WIDTH;
    // Only what is behind the size that was held was read, unless that is of another tile.
    let held = held.filter(|it| (tail..=head.size).contains(&it.edge.size()));
    let first = held.as_ref().map_or(tail, |it| it.edge.size());
    let (leaves, hashes) = read_behind(first, loaded, sealing)?;
    let edge = match held {
        Some(held) => held.edge.extended(frontier, leaves, hashes),
        None => Edge::new(frontier, leaves, hashes, read_above(head, loaded)),
    };
    let Some(edge) = edge else {
        let (first, end) = (tail, head.size);
        tracing::error!(first, end, "hashes of the log do not lead to its head");
        return Err(corrupt(Table::Tile));
    };
    Ok(Held {
        epoch: head.epoch,
        edge,
    })
}

/// The leaves from `first` on, and their hashes.
fn read_behind(
    first: u64,
    loaded: &Loaded,
    sealing: &Sealing,
) -> Result<(Vec<Option<Kept>>, Vec<Hash>), StoreError> {
    let corrupt = StoreError::Corrupt(Table::Block);
    let (mut leaves, mut hashes) = (Vec::new(), Vec::new());
    let mut next = first;
    for block in loaded.blocks.iter().filter(|it| it.first >= first) {
        let opened = open_block(block, sealing).filter(|_| block.first == next);
        let Some(opened) = opened else {
            tracing::error!(leaf = next, "leaves of the log are not what was written");
            return Err(corrupt);
        };
        leaves.extend(opened);
        let of_block = tile::hashes_of(&block.hashes);
        hashes.extend(of_block.ok_or_else(|| corrupt.clone())?);
        next = next.saturating_add(block.count.into());
    }
    Ok((leaves, hashes))
}

/// The growing tiles above the leaves.
fn read_above(head: &Head, loaded: &Loaded) -> Vec<Vec<Hash>> {
    let levels = (1..=u8::MAX).map_while(|level| {
        let bits = tile::HEIGHT.saturating_mul(level.into());
        let nodes = head.size.unbounded_shr(bits);
        (nodes > 0).then_some((level, nodes / tile::WIDTH))
    });
    let tiles = levels.map(|place| {
        let found = loaded.tiles.iter().find(|it| (it.level, it.index) == place);
        found
            .and_then(|it| tile::hashes_of(&it.hashes))
            .unwrap_or_default()
    });
    tiles.collect()
}
