//! Nodes of the tree out of the database, for proofs at a size that was signed.
//!
//! **Invariant**: tiles lie open in the database, so a proof is given out only when it
//! leads to the signed root; which hash was changed then does not matter to who asked.

use std::collections::BTreeSet;
use std::ops::Range;

use keystead_channel::log::proof::{View, check_consistency, check_inclusion};
use keystead_channel::log::tile::{self, Tile, Tiles};
use keystead_channel::log::tree::{Hash, Nodes};

use super::corrupt::{Corrupt, ReadError};
use crate::rows::{LogBlock, LogTile};
use crate::store::{Store, Wanted};

/// Which tiles a set of proofs is computed from.
pub(super) struct Needed {
    size: u64,
    tiles: BTreeSet<Tile>,
}

impl Needed {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            tiles: BTreeSet::new(),
        }
    }

    /// Inclusion of these leaves. Only what is asked for on the way is wanted here.
    pub(super) fn paths(&mut self, indices: impl Iterator<Item = u64>) {
        let wanted = tile::Wanted::default();
        if let Some(view) = View::new(&wanted, self.size) {
            for index in indices {
                let _ = view.inclusion(index);
            }
        }
        self.tiles.extend(wanted.into_tiles());
    }

    /// Consistency with an older tree.
    pub(super) fn consistency(&mut self, from: u64) {
        let wanted = tile::Wanted::default();
        if let Some(view) = View::new(&wanted, self.size) {
            let _ = view.consistency(from);
        }
        let _ = View::new(&wanted, from.min(self.size));
        self.tiles.extend(wanted.into_tiles());
    }

    /// The tile that holds the hash of a leaf.
    pub(super) fn leaf(&mut self, index: u64) {
        self.tiles.insert(Tile::of(0, index));
    }

    pub(super) fn want(&self, wanted: &mut Wanted) {
        for tile in &self.tiles {
            wanted.tiles.push((tile.level, tile.index));
            if let Some(leaves) = self.in_blocks(*tile) {
                wanted.blocks.push(leaves);
            }
        }
    }

    /// The tiles as far as `size` goes, out of what was read.
    pub(super) fn take(&self, tiles: &[LogTile], blocks: &[LogBlock]) -> Tiles {
        let mut taken = Tiles::default();
        for tile in &self.tiles {
            let found = tiles
                .iter()
                .find(|it| (it.level, it.index) == (tile.level, tile.index));
            let hashes = found.and_then(|it| tile::hashes_of(&it.hashes));
            let in_blocks = || {
                self.in_blocks(*tile)
                    .and_then(|leaves| of_blocks(blocks, leaves))
            };
            if let Some(hashes) = hashes.or_else(in_blocks) {
                taken.put(*tile, hashes);
            }
        }
        taken
    }

    /// The leaves of a tile that was not full at this size: their hashes may lie in blocks.
    fn in_blocks(&self, tile: Tile) -> Option<Range<u64>> {
        let width = tile.width(self.size);
        let first = tile.index.checked_mul(tile::WIDTH)?;
        (tile.level == 0 && width < tile::WIDTH).then(|| first..first.saturating_add(width))
    }
}

/// A tree at a size that was signed.
pub(super) struct Signed {
    pub(super) view: View<Tiles>,
    pub(super) root: Hash,
    tiles_of: u64,
}

impl Signed {
    /// The tree of `size` leaves with this root.
    pub(super) fn new(tiles: Tiles, size: u64, root: Hash) -> Result<Self, Corrupt> {
        let view = View::new(tiles, size).filter(|view| view.root() == root);
        let view = view.ok_or(Corrupt::Tree { index: size })?;
        Ok(Self {
            view,
            root,
            tiles_of: size,
        })
    }

    /// The path of a leaf with this hash.
    pub(super) fn path(&self, index: u64, leaf: &Hash) -> Result<Vec<Hash>, Corrupt> {
        let corrupt = Corrupt::Tree { index };
        let path = self.view.inclusion(index).ok_or(corrupt)?;
        let checked = check_inclusion(index, self.tiles_of, leaf, &path, &self.root);
        checked.map(|()| path).map_err(|_| corrupt)
    }

    /// That the first `from` leaves are the same.
    pub(super) fn consistency(&self, from: u64) -> Result<Vec<Hash>, Corrupt> {
        let corrupt = Corrupt::Tree { index: from };
        let proof = self.view.consistency(from).ok_or(corrupt)?;
        let old = View::new(self.view.nodes(), from).ok_or(corrupt)?.root();
        let checked = check_consistency(from, self.tiles_of, &old, &self.root, &proof);
        checked.map(|()| proof).map_err(|_| corrupt)
    }

    /// The hash of a leaf, as the tree has it.
    pub(super) fn leaf_hash(&self, index: u64) -> Result<Hash, Corrupt> {
        self.view
            .nodes()
            .node(0, index)
            .ok_or(Corrupt::Tree { index })
    }
}

/// Reads what is needed.
pub(super) async fn read(store: &Store, needed: &Needed) -> Result<Tiles, ReadError> {
    let mut wanted = Wanted::new();
    needed.want(&mut wanted);
    let loaded = store.read(wanted).await?;
    Ok(needed.take(&loaded.tiles, &loaded.blocks))
}

/// The hashes of these leaves, which stand in blocks one behind the other.
fn of_blocks(blocks: &[LogBlock], leaves: Range<u64>) -> Option<Vec<Hash>> {
    let mut hashes = Vec::new();
    let mut next = leaves.start;
    for block in blocks {
        if block.first != next || next >= leaves.end {
            continue;
        }
        let of_block = tile::hashes_of(&block.hashes)?;
        if of_block.len() != usize::from(block.count) {
            return None;
        }
        hashes.extend(of_block);
        next = next.saturating_add(block.count.into());
    }
    (next >= leaves.end).then_some(hashes)
}
