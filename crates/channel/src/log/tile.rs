//! Hashes in tiles of 256, eight levels of the tree at once (C2SP tlog-tiles).
//!
//! **Invariant**: a tile (level, index) holds the nodes of tree level 8 · level from
//! 256 · index on; a full one never changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::tree::{Hash, Nodes, node_hash};

/// Which tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 holds leaf hashes; each further one the roots of 256 of the level below.
    pub level: u8,
    /// From the left.
    pub index: u64,
}

impl Tile {
    /// The tile that a node of the tree is computed from.
    #[must_use]
    pub fn of(level: u32, index: u64) -> Self {
        Self {
            level: u8::try_from(level / HEIGHT).unwrap_or(u8::MAX),
            index: index >> (HEIGHT - level % HEIGHT),
        }
    }

    /// How many hashes it has in a tree of `size` leaves.
    #[must_use]
    pub fn width(self, size: u64) -> u64 {
        let nodes = size.unbounded_shr(HEIGHT.saturating_mul(u32::from(self.level)));
        nodes
            .saturating_sub(self.index.saturating_mul(WIDTH))
            .min(WIDTH)
    }
}

/// A tile's hashes, with the nodes between them and the level above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileNodes {
    hashes: Vec<Hash>,
    /// Half as many each time.
    above: Vec<Vec<Hash>>,
}

impl TileNodes {
    /// Computes them, of a whole tile or of as much of it as there is.
    #[must_use]
    pub fn new(hashes: Vec<Hash>) -> Self {
        let mut above: Vec<Vec<Hash>> = Vec::new();
        for _ in 1..HEIGHT {
            let below = above.last().unwrap_or(&hashes);
            let (pairs, _) = below.as_chunks::<2>();
            let next: Vec<Hash> = pairs
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
            if next.is_empty() {
                break;
            }
            above.push(next);
        }
        Self { hashes, above }
    }

    /// The tile itself.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    fn level(&self, within: u32) -> Option<&[Hash]> {
        match within.checked_sub(1) {
            None => Some(&self.hashes),
            Some(at) => self.above.get(usize::try_from(at).ok()?).map(Vec::as_slice),
        }
    }
}

/// Tiles at hand.
#[derive(Default)]
pub struct Tiles {
    nodes: BTreeMap<Tile, Arc<TileNodes>>,
}

impl Tiles {
    /// Takes a tile, or as much of it as there is.
    pub fn put(&mut self, tile: Tile, hashes: Vec<Hash>) {
        self.share(tile, Arc::new(TileNodes::new(hashes)));
    }

    /// Takes a tile whose nodes are known.
    pub fn share(&mut self, tile: Tile, nodes: Arc<TileNodes>) {
        self.nodes.insert(tile, nodes);
    }
}

impl Nodes for Tiles {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        let tile = self.nodes.get(&Tile::of(level, index))?;
        let within = level % HEIGHT;
        let hashes = tile.level(within)?;
        let at = index & ((WIDTH >> within) - 1);
        hashes.get(usize::try_from(at).ok()?).copied()
    }
}

/// Says which tiles something asks for: every node is there, with a hash that is none.
#[derive(Default)]
pub struct Wanted {
    tiles: RefCell<BTreeSet<Tile>>,
}

impl Wanted {
    /// What was asked for.
    #[must_use]
    pub fn into_tiles(self) -> BTreeSet<Tile> {
        self.tiles.into_inner()
    }
}

impl Nodes for Wanted {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        self.tiles.borrow_mut().insert(Tile::of(level, index));
        Some(Hash::default())
    }

    /// Nothing is computed of hashes that are none.
    fn join(&self, _: &Hash, _: &Hash) -> Hash {
        Hash::default()
    }
}

/// The hashes that stand one behind the other in `bytes`.
#[must_use]
pub fn hashes_of(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks();
    rest.is_empty().then(|| hashes.to_vec())
}

/// 256 hashes a tile (C2SP tlog-tiles).
pub const WIDTH: u64 = 256;

/// 8 levels of the tree a tile.
pub const HEIGHT: u32 = 8;
