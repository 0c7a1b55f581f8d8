//! The Merkle tree of RFC 6962 section 2.1 as it grows.
//!
//! **Invariant**: a node (level, index) stands for the 2^level leaves from
//! index · 2^level on and exists only when all of them do; what is ragged at the right
//! edge is always folded from such nodes, so no hash that was given out ever changes.

use sha2::{Digest, Sha256};

/// 32 bytes of SHA-256.
pub type Hash = [u8; 32];

/// Where the hashes of complete subtrees are found.
pub trait Nodes {
    /// The root of the 2^level leaves from index · 2^level on, if it is at hand.
    fn node(&self, level: u32, index: u64) -> Option<Hash>;

    /// The root over two of them.
    fn join(&self, left: &Hash, right: &Hash) -> Hash {
        node_hash(left, right)
    }
}

impl<N: Nodes> Nodes for &N {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        (**self).node(level, index)
    }

    fn join(&self, left: &Hash, right: &Hash) -> Hash {
        (**self).join(left, right)
    }
}

/// The right edge of a tree: its complete subtrees, the greatest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree of `size` leaves: one hash for each bit of it.
    #[must_use]
    pub fn new(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        let count = usize::try_from(size.count_ones()).ok()?;
        (count == hashes.len()).then_some(Self { size, hashes })
    }

    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes, the greatest subtree's first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        let Some(last) = hashes.next() else {
            return empty_root();
        };
        hashes.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// A tree that grows from its edge on: knows the edge and every node that came since.
#[derive(Clone, Debug)]
pub struct Growth {
    before: u64,
    size: u64,
    levels: Vec<Level>,
}

/// The nodes of one level that are known, one behind the other.
#[derive(Clone, Debug)]
struct Level {
    first: u64,
    hashes: Vec<Hash>,
}

impl Growth {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(frontier: &Frontier) -> Self {
        let size = frontier.size;
        let mut hashes = frontier.hashes.iter().rev();
        let levels = (0..u64::BITS - size.leading_zeros()).map(|level| {
            let next = size >> level;
            // A bit of the size is a complete subtree at the edge.
            let edge = if next & 1 == 1 { hashes.next() } else { None };
            Level {
                first: next - u64::from(edge.is_some()),
                hashes: edge.copied().into_iter().collect(),
            }
        });
        Self {
            before: size,
            size,
            levels: levels.collect(),
        }
    }

    /// Takes the next leaf's hash; its index.
    pub fn push(&mut self, leaf: Hash) -> u64 {
        let index = self.size;
        self.size += 1;
        let (mut at, mut hash) = (index, leaf);
        let mut level = 0;
        loop {
            let nodes = self.level(level, at);
            nodes.hashes.push(hash);
            let left = nodes.hashes.iter().rev().nth(1);
            match left {
                Some(left) if at & 1 == 1 => hash = node_hash(left, &hash),
                _ => return index,
            }
            (at, level) = (at >> 1, level + 1);
        }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many there were at first.
    #[must_use]
    pub fn size_before(&self) -> u64 {
        self.before
    }

    /// The edge as it is now.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let hashes = (0..u64::BITS).rev().filter_map(|level| {
            let next = self.size.checked_shr(level)?;
            let is_edge = next & 1 == 1;
            is_edge.then(|| self.node(level, next - 1)).flatten()
        });
        Frontier {
            size: self.size,
            hashes: hashes.collect(),
        }
    }

    /// The nodes of `level` that came since: the first one's index, and all.
    #[must_use]
    pub fn new_nodes(&self, level: u32) -> (u64, &[Hash]) {
        let from = self.before.checked_shr(level).unwrap_or_default();
        let Some(nodes) = usize::try_from(level)
            .ok()
            .and_then(|at| self.levels.get(at))
        else {
            return (from, &[]);
        };
        let skip = usize::try_from(from.saturating_sub(nodes.first)).unwrap_or(usize::MAX);
        (from, nodes.hashes.get(skip..).unwrap_or_default())
    }

    fn level(&mut self, level: usize, first: u64) -> &mut Level {
        while self.levels.len() <= level {
            self.levels.push(Level {
                first,
                hashes: Vec::new(),
            });
        }
        match self.levels.get_mut(level) {
            Some(level) => level,
            None => unreachable!("it was pushed if it was not there"),
        }
    }
}

impl Nodes for Growth {
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        let nodes = self.levels.get(usize::try_from(level).ok()?)?;
        let at = index.checked_sub(nodes.first)?;
        nodes.hashes.get(usize::try_from(at).ok()?).copied()
    }
}

/// The root of a tree without leaves (RFC 6962 section 2.1).
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The hash of a leaf: H(0 ‖ leaf).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// The hash of a node: H(1 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// H(content), where an entry names something by its hash.
#[must_use]
pub fn content_hash(content: &[u8]) -> Hash {
    sha256(&[content])
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
