//! Nodes of the tree out of the database, for proofs at a size that was signed.
//!
//! **Invariant**: tiles lie open in the database, so a proof is given out only when it
//! leads to the signed root; which hash was changed then does not matter to who asked.
//! Tiles that this process filled itself are not read again while they are in memory; nodes
//! of others serve again only over the very hashes that were read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use keystead_channel::log::proof::{View, check_consistency, check_inclusion};
use keystead_channel::log::tile::{self, Tile, TileNodes, Tiles};
use keystead_channel::log::tree::{Hash, Nodes};

use super::corrupt::{Corrupt, ReadError};
use crate::rows::{LogBlock, LogTile};
use crate::store::{Store, Wanted};

/// Which tiles a set of proofs is computed from.
pub(super) struct Needed {
    size: u64,
    tiles: BTreeSet<Tile>,
    /// Those that need not be read.
    at_hand: Vec<(Tile, Arc<TileNodes>)>,
}

impl Needed {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            tiles: BTreeSet::new(),
            at_hand: Vec::new(),
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

    /// Takes what is wanted so far from the edge of the tree of that very size.
    pub(super) fn have(&mut self, growing: &Growing) {
        for (tile, nodes) in growing.nodes() {
            if self.tiles.remove(tile) {
                self.at_hand.push((*tile, Arc::clone(nodes)));
            }
        }
    }

    /// Takes what is wanted so far of tiles that this process filled.
    fn have_filled(&mut self, epoch: u64, full: &Full) {
        for tile in std::mem::take(&mut self.tiles) {
            match full.own(epoch, tile).filter(|_| self.is_full(tile)) {
                Some(nodes) => self.at_hand.push((tile, nodes)),
                None => {
                    self.tiles.insert(tile);
                }
            }
        }
    }

    /// Whether a tile of this size is one that grows no more.
    fn is_full(&self, tile: Tile) -> bool {
        tile.width(self.size) == tile::WIDTH
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
        self.take_known(tiles, blocks, &Full::default())
    }

    /// The same, where nodes of full tiles may be known.
    fn take_known(&self, tiles: &[LogTile], blocks: &[LogBlock], full: &Full) -> Tiles {
        let mut taken = Tiles::default();
        for (tile, nodes) in &self.at_hand {
            taken.share(*tile, Arc::clone(nodes));
        }
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
                taken.share(*tile, full.nodes(*tile, hashes));
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

/// The tiles at the edge of a tree, which the writer has in memory and has checked; their
/// nodes are computed once for all that a commit answers, and for none where nobody asks.
#[derive(Default)]
pub(super) struct Growing {
    tiles: Vec<(Tile, Vec<Hash>)>,
    nodes: OnceLock<Vec<(Tile, Arc<TileNodes>)>>,
}

impl Growing {
    pub(super) fn new(tiles: Vec<(Tile, Vec<Hash>)>) -> Self {
        Self {
            tiles,
            nodes: OnceLock::new(),
        }
    }

    fn nodes(&self) -> &[(Tile, Arc<TileNodes>)] {
        self.nodes.get_or_init(|| {
            let tiles = self.tiles.iter();
            let nodes = tiles.map(|(tile, hashes)| {
                let nodes = TileNodes::new(hashes.clone());
                (*tile, Arc::new(nodes))
            });
            nodes.collect()
        })
    }
}

/// Nodes of full tiles, at most [`FULL_TILES_MAX`]: most clients come back from the newest.
#[derive(Default)]
pub(super) struct Full(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Of which the tiles are that this process filled.
    epoch: u64,
    tiles: BTreeMap<Tile, FullTile>,
}

struct FullTile {
    nodes: Arc<TileNodes>,
    /// This process filled it: it is what was signed, whatever the database says by now.
    is_own: bool,
}

impl Full {
    /// Tiles that a commit of this process filled.
    pub(super) fn filled(&self, epoch: u64, tiles: Vec<(Tile, Vec<Hash>)>) {
        let mut known = self.lock();
        if known.epoch != epoch {
            *known = Known {
                epoch,
                ..Known::default()
            };
        }
        for (tile, hashes) in tiles {
            known.keep(tile, Arc::new(TileNodes::new(hashes)), true);
        }
    }

    fn own(&self, epoch: u64, tile: Tile) -> Option<Arc<TileNodes>> {
        let known = self.lock();
        let found = known.tiles.get(&tile).filter(|it| it.is_own);
        let found = found.filter(|_| known.epoch == epoch);
        found.map(|it| Arc::clone(&it.nodes))
    }

    /// The nodes over these hashes, which were just read: what lies in the database is
    /// compared, so a tile that was changed is never passed over.
    fn nodes(&self, tile: Tile, hashes: Vec<Hash>) -> Arc<TileNodes> {
        let known = self.lock();
        let found = known.tiles.get(&tile).map(|it| Arc::clone(&it.nodes));
        drop(known);
        if let Some(found) = found.filter(|it| it.hashes() == hashes) {
            return found;
        }
        let nodes = Arc::new(TileNodes::new(hashes));
        if u64::try_from(nodes.hashes().len()) == Ok(tile::WIDTH) {
            self.lock().keep(tile, Arc::clone(&nodes), false);
        }
        nodes
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn keep(&mut self, tile: Tile, nodes: Arc<TileNodes>, is_own: bool) {
        // What was read does not take the place of what is known.
        if is_own || self.tiles.get(&tile).is_none_or(|it| !it.is_own) {
            self.tiles.insert(tile, FullTile { nodes, is_own });
        }
        if self.tiles.len() > FULL_TILES_MAX {
            // The oldest of the leaves'.
            self.tiles.pop_first();
        }
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

/// Reads what is needed of the tree of this epoch.
pub(super) async fn read(
    store: &Store,
    mut needed: Needed,
    epoch: u64,
    full: &Full,
) -> Result<Tiles, ReadError> {
    needed.have_filled(epoch, full);
    if needed.tiles.is_empty() {
        return Ok(needed.take_known(&[], &[], full));
    }
    let mut wanted = Wanted::new();
    needed.want(&mut wanted);
    let loaded = store.read(wanted).await?;
    Ok(needed.take_known(&loaded.tiles, &loaded.blocks, full))
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

/// 32 tiles of 16 KiB: the newest 8,192 entries.
const FULL_TILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const TILE: Tile = Tile { level: 0, index: 7 };

    fn hashes(count: u8) -> Vec<Hash> {
        (0..=count).map(|at| [at; 32]).collect()
    }

    #[test]
    fn nodes_that_are_known_serve_the_same_hashes_alone() {
        let full = Full::default();
        let first = full.nodes(TILE, hashes(255));
        assert!(Arc::ptr_eq(&first, &full.nodes(TILE, hashes(255))));
        for at in [0, 100, 255] {
            let mut changed = hashes(255);
            changed[at][31] ^= 1;
            let nodes = full.nodes(TILE, changed.clone());
            assert_eq!(*nodes, TileNodes::new(changed), "{at}");
        }
        // One that is cut, or not full yet, neither is answered from it nor kept.
        let cut = full.nodes(TILE, hashes(254));
        assert_eq!(*cut, TileNodes::new(hashes(254)));
        assert!(!Arc::ptr_eq(&cut, &full.nodes(TILE, hashes(254))));
    }

    #[test]
    fn a_tile_that_was_filled_here_is_had_in_its_epoch_and_when_it_is_full() {
        let full = Full::default();
        full.filled(3, vec![(TILE, hashes(255))]);
        let check = |epoch, size, expected: usize| {
            let mut needed = Needed::new(size);
            needed.leaf(7 * 256 + 9);
            needed.have_filled(epoch, &full);
            assert_eq!(needed.at_hand.len(), expected, "{epoch} {size}");
            assert_eq!(needed.tiles.len(), 1 - expected, "{epoch} {size}");
        };
        check(3, 8 * 256, 1);
        check(3, 20 * 256, 1);
        check(3, 8 * 256 - 1, 0);
        check(4, 8 * 256, 0);
        // What is read neither takes its place nor passes for it.
        let mut changed = hashes(255);
        changed[0][0] ^= 1;
        full.nodes(TILE, changed);
        check(3, 8 * 256, 1);
        let tile = Tile { level: 0, index: 8 };
        full.nodes(tile, hashes(255));
        assert!(full.own(3, tile).is_none());
        full.filled(4, Vec::new());
        check(3, 8 * 256, 0);
    }

    #[test]
    fn the_newest_tiles_stay() {
        let full = Full::default();
        for index in 0..100 {
            full.nodes(Tile { level: 0, index }, hashes(255));
        }
        let kept: Vec<u64> = full.lock().tiles.keys().map(|it| it.index).collect();
        assert_eq!(kept, (68..100).collect::<Vec<_>>());
    }
}
