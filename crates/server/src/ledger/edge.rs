//! The right edge of the tree, which each commit moves: the frontier, the leaves and
//! hashes of the tile that is not full yet, and the growing tiles above it.
//!
//! **Invariant**: what lies in the database under one size is a pure function of the
//! leaves: a block for each commit behind the last full tile, one block of 256 and one
//! tile for each full one, and the roots of full tiles in the tiles above.

use keystead_channel::log::Hash;
use keystead_channel::log::tile::{HEIGHT, Tile, WIDTH};
use keystead_channel::log::tree::{Frontier, Growth};

use super::block::Kept;

/// The edge of a tree of a certain size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    frontier: Frontier,
    /// Of the leaves behind the last full tile.
    hashes: Vec<Hash>,
    leaves: Vec<Option<Kept>>,
    /// The growing tiles of levels 1, 2, …
    above: Vec<Vec<Hash>>,
}

/// What a commit writes of the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) blocks: Vec<Block>,
    /// First leaves of tiles that became full: older blocks in them go.
    pub(super) full: Vec<u64>,
    pub(super) tiles: Vec<GrownTile>,
}

impl Grown {
    /// The tiles that grow no more.
    pub(super) fn filled(&self) -> Vec<(Tile, Vec<Hash>)> {
        let full = self.tiles.iter().filter(|it| it.hashes.len() == TILE);
        let filled = full.map(|it| {
            let (level, index) = (it.level, it.index);
            (Tile { level, index }, it.hashes.clone())
        });
        filled.collect()
    }
}

/// Leaves one behind the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) first: u64,
    pub(super) leaves: Vec<Option<Kept>>,
    /// Empty where the tile has them.
    pub(super) hashes: Vec<Hash>,
}

/// A tile with all that it holds so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GrownTile {
    pub(super) level: u8,
    pub(super) index: u64,
    pub(super) hashes: Vec<Hash>,
}

impl Edge {
    /// The edge that the database holds; absent where its parts contradict each other.
    pub(super) fn new(
        frontier: Frontier,
        leaves: Vec<Option<Kept>>,
        hashes: Vec<Hash>,
        above: Vec<Vec<Hash>>,
    ) -> Option<Self> {
        let edge = Self {
            frontier,
            hashes,
            leaves,
            above,
        };
        edge.is_whole().then_some(edge)
    }

    /// The edge with more leaves of the same tile, which another process wrote.
    pub(super) fn extended(
        &self,
        frontier: Frontier,
        leaves: Vec<Option<Kept>>,
        hashes: Vec<Hash>,
    ) -> Option<Self> {
        let leaves = [self.leaves.as_slice(), &leaves].concat();
        let hashes = [self.hashes.as_slice(), &hashes].concat();
        Self::new(frontier, leaves, hashes, self.above.clone())
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The tiles that are not full yet.
    pub(super) fn tiles(&self) -> Vec<(Tile, Vec<Hash>)> {
        let parts = std::iter::once(&self.hashes).chain(&self.above);
        let growing = (0..).zip(parts).filter(|(_, hashes)| !hashes.is_empty());
        let tiles = growing.map(|(level, hashes)| {
            let bits = HEIGHT.saturating_mul(u32::from(level) + 1);
            let index = self.size().unbounded_shr(bits);
            (Tile { level, index }, hashes.clone())
        });
        tiles.collect()
    }

    /// Takes new leaves; what is to be written, and the tree as it grew.
    pub(super) fn append(&mut self, new: Vec<(Kept, Hash)>) -> (Grown, Growth) {
        let mut growth = Growth::new(&self.frontier);
        let mut grown = Grown::default();
        let mut block = self.begin_block();
        for (leaf, hash) in new {
            growth.push(hash);
            self.leaves.push(Some(leaf.clone()));
            self.hashes.push(hash);
            block.leaves.push(Some(leaf));
            block.hashes.push(hash);
            if self.leaves.len() == TILE {
                self.fill(growth.size(), &mut grown);
                block = Block {
                    first: growth.size(),
                    leaves: Vec::new(),
                    hashes: Vec::new(),
                };
            }
        }
        if !block.leaves.is_empty() {
            grown.blocks.push(block);
        }
        self.grow_above(&growth, &mut grown);
        self.frontier = growth.frontier();
        (grown, growth)
    }

    fn begin_block(&self) -> Block {
        Block {
            first: self.size(),
            leaves: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// The tile that ends at `size` is full.
    fn fill(&mut self, size: u64, grown: &mut Grown) {
        let first = size.saturating_sub(WIDTH);
        grown.full.push(first);
        grown.blocks.push(Block {
            first,
            leaves: std::mem::take(&mut self.leaves),
            hashes: Vec::new(),
        });
        grown.tiles.push(GrownTile {
            level: 0,
            index: first / WIDTH,
            hashes: std::mem::take(&mut self.hashes),
        });
    }

    /// Roots of full tiles go into the tiles above.
    fn grow_above(&mut self, growth: &Growth, grown: &mut Grown) {
        for level in 1..=LEVELS_MAX {
            let (mut index, new) = growth.new_nodes(u32::from(level) * HEIGHT);
            if new.is_empty() {
                return;
            }
            let at = usize::from(level - 1);
            if self.above.len() <= at {
                self.above.resize(at + 1, Vec::new());
            }
            let Some(tile) = self.above.get_mut(at) else {
                return;
            };
            for hash in new {
                tile.push(*hash);
                index += 1;
                if tile.len() == TILE {
                    let hashes = std::mem::take(tile);
                    let index = (index - 1) / WIDTH;
                    grown.tiles.push(GrownTile {
                        level,
                        index,
                        hashes,
                    });
                }
            }
            if !tile.is_empty() {
                let (hashes, index) = (tile.clone(), index / WIDTH);
                grown.tiles.push(GrownTile {
                    level,
                    index,
                    hashes,
                });
            }
        }
    }

    /// Whether counts fit the size, and hashes the frontier.
    fn is_whole(&self) -> bool {
        let size = self.size();
        let parts = std::iter::once(&self.hashes).chain(&self.above);
        let mut expected = self.frontier.hashes().iter().rev();
        let mut levels = 0;
        for (level, hashes) in (0_u32..).zip(parts) {
            let within = size.unbounded_shr(level * HEIGHT) % WIDTH;
            if u64::try_from(hashes.len()) != Ok(within) {
                return false;
            }
            let mut growth = Growth::new(&Frontier::default());
            for hash in hashes {
                growth.push(*hash);
            }
            let edge = growth.frontier();
            if !edge
                .hashes()
                .iter()
                .rev()
                .all(|it| expected.next() == Some(it))
            {
                return false;
            }
            levels = level + 1;
        }
        let is_covered = size.unbounded_shr(levels * HEIGHT) == 0;
        is_covered && self.leaves.len() == self.hashes.len()
    }
}

/// 256 hashes a tile.
const TILE: usize = 256;

/// Levels of tiles above the leaves: 8 · 8 bits are more than any size has.
const LEVELS_MAX: u8 = 7;

#[cfg(test)]
#[expect(clippy::as_conversions, reason = "numbers of a test are small")]
mod tests {
    use super::*;
    use keystead_channel::log::proof::View;
    use keystead_channel::log::tile::Tiles;
    use std::collections::BTreeMap;

    fn kept(number: u64) -> Kept {
        Kept {
            account: number,
            time_unix_ms: number,
            action: 1,
            outcome: 0,
            actor: [1; 8],
            key: [0; 16],
            request_hash: [0; 32],
            detail: vec![0xa0],
        }
    }

    fn leaf(number: u64) -> (Kept, Hash) {
        (
            kept(number),
            keystead_channel::log::tree::leaf_hash(&number.to_be_bytes()),
        )
    }

    /// A database: what the commits wrote, one over the other.
    #[derive(Default)]
    struct Written {
        blocks: BTreeMap<u64, Block>,
        tiles: BTreeMap<(u8, u64), Vec<Hash>>,
    }

    impl Written {
        fn take(&mut self, grown: Grown) {
            for first in &grown.full {
                self.blocks
                    .retain(|at, _| !(*first..first + WIDTH).contains(at));
            }
            self.blocks
                .extend(grown.blocks.into_iter().map(|it| (it.first, it)));
            for tile in grown.tiles {
                self.tiles.insert((tile.level, tile.index), tile.hashes);
            }
        }

        /// The root out of full tiles and those of the edge.
        fn root_with(&self, growing: Vec<(Tile, Vec<Hash>)>, size: u64) -> Hash {
            let mut tiles = Tiles::default();
            for ((level, index), hashes) in &self.tiles {
                if hashes.len() == TILE {
                    let (level, index) = (*level, *index);
                    tiles.put(Tile { level, index }, hashes.clone());
                }
            }
            for (tile, hashes) in growing {
                assert!(hashes.len() < TILE);
                tiles.put(tile, hashes);
            }
            View::new(tiles, size).unwrap().root()
        }

        fn edge(&self, frontier: &Frontier) -> Option<Edge> {
            let size = frontier.size();
            let behind = self.blocks.range(size & !0xff..);
            let (mut leaves, mut hashes) = (Vec::new(), Vec::new());
            for (_, block) in behind {
                leaves.extend(block.leaves.clone());
                hashes.extend(block.hashes.clone());
            }
            let above = (1..=2_u8).map_while(|level| {
                let nodes = size >> (8 * u32::from(level));
                let tile = self.tiles.get(&(level, nodes / WIDTH)).cloned();
                (nodes > 0).then(|| tile.unwrap_or_default())
            });
            let above = above.collect();
            Edge::new(frontier.clone(), leaves, hashes, above)
        }
    }

    #[test]
    fn what_is_written_gives_the_same_edge_back_whatever_the_batches() {
        for batch in [1, 7, 100, 255, 256, 257, 512, 70_000] {
            let mut edge = Edge::default();
            let mut written = Written::default();
            let mut number = 0;
            for _ in 0..1 + 1_300 / batch {
                let new = (0..batch).map(|at| leaf(number + at)).collect();
                number += batch;
                let (grown, growth) = edge.append(new);
                assert_eq!(growth.size(), number);
                written.take(grown);
                let again = written.edge(edge.frontier()).unwrap();
                assert_eq!(again.hashes, edge.hashes);
                assert_eq!(again.leaves, edge.leaves);
                assert_eq!(again.frontier, edge.frontier);
                let filled =
                    |above: &[Vec<Hash>]| above.iter().flatten().copied().collect::<Vec<_>>();
                assert_eq!(filled(&again.above), filled(&edge.above));
                assert_eq!(
                    written.root_with(edge.tiles(), number),
                    edge.frontier().root()
                );
            }
            let mut at = 0;
            for (first, block) in &written.blocks {
                assert_eq!(*first, at, "a gap or overlap, batches of {batch}");
                for (offset, leaf) in block.leaves.iter().enumerate() {
                    assert_eq!(leaf.as_ref().unwrap().account, first + offset as u64);
                }
                at += block.leaves.len() as u64;
            }
            assert_eq!(at, number);
            assert_eq!(
                written.tiles.keys().filter(|it| it.0 == 0).count() as u64,
                number / 256
            );
        }
    }

    #[test]
    fn an_edge_whose_parts_contradict_each_other_is_refused() {
        let mut edge = Edge::default();
        edge.append((0..700).map(leaf).collect());
        let parts = || {
            let Edge {
                frontier,
                hashes,
                leaves,
                above,
            } = edge.clone();
            (frontier, leaves, hashes, above)
        };
        let (frontier, leaves, hashes, above) = parts();
        assert_eq!(
            Edge::new(frontier, leaves, hashes, above),
            Some(edge.clone())
        );
        let (frontier, leaves, mut hashes, above) = parts();
        hashes[17][3] ^= 1;
        assert_eq!(Edge::new(frontier, leaves, hashes, above), None);
        let (frontier, leaves, hashes, mut above) = parts();
        above[0][1][31] ^= 1;
        assert_eq!(Edge::new(frontier, leaves, hashes, above), None);
        let (frontier, mut leaves, mut hashes, above) = parts();
        leaves.pop();
        hashes.pop();
        assert_eq!(Edge::new(frontier, leaves, hashes, above), None);
        let (frontier, leaves, hashes, _) = parts();
        assert_eq!(Edge::new(frontier, leaves, hashes, Vec::new()), None);
    }
}
