//! Inclusion paths and consistency proofs (RFC 6962 sections 2.1.1 and 2.1.2), made and
//! checked (as RFC 9162 sections 2.1.3.2 and 2.1.4.2 word it).
//!
//! **Invariant**: a path has one right length for its place and size; one hash more or
//! less is refused.

use super::tree::{Hash, Nodes, empty_root, node_hash};

/// A tree of a certain size, over whatever holds its nodes.
#[derive(Clone, Debug)]
pub struct View<N> {
    nodes: N,
    size: u64,
    /// By level: the root of what stands behind the last complete node of that level.
    edges: Vec<Option<Hash>>,
}

impl<N: Nodes> View<N> {
    /// The first `size` leaves; absent when `nodes` lacks a hash of its right edge.
    #[must_use]
    pub fn new(nodes: N, size: u64) -> Option<Self> {
        let mut edges = vec![None];
        let mut edge: Option<Hash> = None;
        for level in 0..u64::BITS - size.leading_zeros() {
            let next = size >> level;
            if next & 1 == 1 {
                let left = nodes.node(level, next - 1)?;
                edge = Some(edge.map_or(left, |right| nodes.join(&left, &right)));
            }
            edges.push(edge);
        }
        Some(Self { nodes, size, edges })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it looks through.
    #[must_use]
    pub fn nodes(&self) -> &N {
        &self.nodes
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.edges
            .last()
            .copied()
            .flatten()
            .unwrap_or_else(empty_root)
    }

    /// The path of the leaf `index`; absent when there is no such leaf, or a hash lacks.
    #[must_use]
    pub fn inclusion(&self, index: u64) -> Option<Vec<Hash>> {
        if index >= self.size {
            return None;
        }
        let levels = u64::BITS - (self.size - 1).leading_zeros();
        let mut path = Vec::with_capacity(usize::try_from(levels).ok()?);
        for level in 0..levels {
            let sibling = (index >> level) ^ 1;
            let complete = self.size >> level;
            if sibling < complete {
                path.push(self.nodes.node(level, sibling)?);
            } else if sibling == complete {
                // Ragged, or nothing stands there at all.
                path.extend(self.edge(level));
            }
        }
        Some(path)
    }

    /// The proof that the first `from` leaves are the same; absent when there are not
    /// that many, or a hash lacks. Empty for 0 and for the size itself.
    #[must_use]
    pub fn consistency(&self, from: u64) -> Option<Vec<Hash>> {
        if from > self.size {
            return None;
        }
        if from == 0 || from == self.size {
            return Some(Vec::new());
        }
        let mut proof = Vec::new();
        self.subproof(from, 0, self.size, true, &mut proof)?;
        Some(proof)
    }

    /// SUBPROOF of RFC 6962 section 2.1.2, over the leaves `low..high`.
    fn subproof(
        &self,
        from: u64,
        low: u64,
        high: u64,
        is_whole: bool,
        out: &mut Vec<Hash>,
    ) -> Option<()> {
        if from == high {
            if !is_whole {
                out.push(self.range(low, high)?);
            }
            return Some(());
        }
        let middle = low + split(high - low);
        if from <= middle {
            self.subproof(from, low, middle, is_whole, out)?;
            out.push(self.range(middle, high)?);
        } else {
            self.subproof(from, middle, high, false, out)?;
            out.push(self.range(low, middle)?);
        }
        Some(())
    }

    /// The root of `low..high`: a complete node, or what ends at the right edge.
    fn range(&self, low: u64, high: u64) -> Option<Hash> {
        let count = high - low;
        let level = u64::BITS - (count - 1).leading_zeros();
        if count.is_power_of_two() {
            return self.nodes.node(level, low >> level);
        }
        self.edge(level)
    }

    fn edge(&self, level: u32) -> Option<Hash> {
        let last = self.edges.len().checked_sub(1)?;
        let at = usize::try_from(level).ok()?.min(last);
        self.edges.get(at).copied().flatten()
    }
}

/// Whether the leaf with this hash is leaf `index` of the tree with `size` leaves and `root`.
///
/// # Errors
/// [`ProofFault`]: it is not proved.
pub fn check_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofFault> {
    if index >= size {
        return Err(ProofFault::Range);
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofFault::Root),
        _ => Err(ProofFault::Length),
    }
}

/// Whether the tree with `size` leaves and `root` begins with the one of `from` leaves
/// and `root_from`.
///
/// # Errors
/// [`ProofFault`]: it is not proved.
pub fn check_consistency(
    from: u64,
    size: u64,
    root_from: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofFault> {
    if from > size {
        return Err(ProofFault::Range);
    }
    if from == 0 || from == size {
        let is_same = if from == size {
            root_from == root
        } else {
            *root_from == empty_root()
        };
        return match (proof.is_empty(), is_same) {
            (false, _) => Err(ProofFault::Length),
            (true, false) => Err(ProofFault::Root),
            (true, true) => Ok(()),
        };
    }
    // A power of two is a node of the greater tree: the proof leaves it out.
    let mut rest = proof.iter();
    let first = match from.is_power_of_two() {
        true => root_from,
        false => rest.next().ok_or(ProofFault::Length)?,
    };
    let shift = (from - 1).trailing_ones();
    let (mut at, mut last) = (
        (from - 1).unbounded_shr(shift),
        (size - 1).unbounded_shr(shift),
    );
    let (mut old, mut new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofFault::Length);
        }
        if at & 1 == 1 || at == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, old == *root_from && new == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofFault::Root),
        _ => Err(ProofFault::Length),
    }
}

/// Why something is not proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// There is no such leaf, or the tree is smaller than the one before.
    #[error("the tree is too small for it")]
    Range,
    /// Too many or too few hashes.
    #[error("the proof has a wrong length")]
    Length,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The greatest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}
