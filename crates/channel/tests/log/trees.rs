//! The tree against published hashes and against RFC 6962's definitions, word for word.

#![expect(clippy::as_conversions, reason = "numbers of a test are small")]

use keystead_channel::log::proof::{ProofFault, View, check_consistency, check_inclusion};
use keystead_channel::log::tile::{HEIGHT, Tile, Tiles, WIDTH, Wanted};
use keystead_channel::log::tree::{
    Frontier, Growth, Hash, Nodes, empty_root, leaf_hash, node_hash,
};
use proptest::prelude::*;

/// The leaves of Certificate Transparency's reference tests
/// (google/certificate-transparency, `cpp/merkletree/merkle_tree_test.cc`; the same in
/// transparency-dev/merkle, `testonly/reference.go`).
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// The roots of the first 0 to 8 of them, from the same tests.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn grown(hashes: &[Hash]) -> Growth {
    let mut growth = Growth::new(&Frontier::default());
    for hash in hashes {
        growth.push(*hash);
    }
    growth
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|at| leaf_hash(&at.to_be_bytes())).collect()
}

/// MTH of RFC 6962 section 2.1.
fn naive_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(naive_split(hashes.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of section 2.1.1.
fn naive_path(index: usize, hashes: &[Hash]) -> Vec<Hash> {
    if hashes.len() < 2 {
        return Vec::new();
    }
    let (left, right) = hashes.split_at(naive_split(hashes.len()));
    let (mut path, other) = match index < left.len() {
        true => (naive_path(index, left), right),
        false => (naive_path(index - left.len(), right), left),
    };
    path.push(naive_root(other));
    path
}

/// SUBPROOF of section 2.1.2.
fn naive_proof(from: usize, hashes: &[Hash], is_whole: bool) -> Vec<Hash> {
    if from == hashes.len() {
        return if is_whole {
            Vec::new()
        } else {
            vec![naive_root(hashes)]
        };
    }
    let middle = naive_split(hashes.len());
    let (left, right) = hashes.split_at(middle);
    let (mut proof, other) = match from <= middle {
        true => (naive_proof(from, left, is_whole), right),
        false => (naive_proof(from - middle, right, false), left),
    };
    proof.push(naive_root(other));
    proof
}

fn naive_split(count: usize) -> usize {
    (count - 1).checked_ilog2().map_or(0, |bits| 1 << bits)
}

#[test]
fn the_roots_are_those_of_the_reference_tests() {
    for (count, expected) in ROOTS.iter().enumerate() {
        let hashes: Vec<Hash> = LEAVES[..count].iter().map(|it| leaf_hash(it)).collect();
        let growth = grown(&hashes);
        assert_eq!(hex(&growth.frontier().root()), *expected, "{count} leaves");
    }
}

#[test]
fn the_paths_are_those_of_the_reference_tests() {
    let hashes: Vec<Hash> = LEAVES.iter().map(|it| leaf_hash(it)).collect();
    let growth = grown(&hashes);
    let path = View::new(&growth, 8).unwrap().inclusion(5).unwrap();
    let path: Vec<String> = path.iter().map(|it| hex(it)).collect();
    let expected = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(path, expected);
    let proof = View::new(&growth, 8).unwrap().consistency(6).unwrap();
    let proof: Vec<String> = proof.iter().map(|it| hex(it)).collect();
    let expected = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(proof, expected);
}

#[test]
fn every_small_tree_is_as_the_rfc_defines_it() {
    let all = leaves(70);
    for size in 0..all.len() {
        let hashes = &all[..size];
        let growth = grown(hashes);
        let view = View::new(&growth, growth.size()).unwrap();
        let root = naive_root(hashes);
        assert_eq!(view.root(), root);
        assert_eq!(growth.frontier().root(), root);
        for index in 0..size {
            let path = view.inclusion(index as u64).unwrap();
            assert_eq!(path, naive_path(index, hashes), "{index} of {size}");
            let checked = check_inclusion(index as u64, size as u64, &hashes[index], &path, &root);
            assert_eq!(checked, Ok(()));
        }
        for from in 0..=size {
            let proof = view.consistency(from as u64).unwrap();
            if from > 0 {
                assert_eq!(proof, naive_proof(from, hashes, true), "{from} of {size}");
            }
            let old = naive_root(&hashes[..from]);
            let checked = check_consistency(from as u64, size as u64, &old, &root, &proof);
            assert_eq!(checked, Ok(()), "{from} of {size}");
        }
        assert_eq!(view.inclusion(size as u64), None);
        assert_eq!(view.consistency(size as u64 + 1), None);
    }
}

#[test]
fn what_is_altered_is_not_proved() {
    let hashes = leaves(37);
    let growth = grown(&hashes);
    let view = View::new(&growth, 37).unwrap();
    let root = view.root();
    for index in [0, 1, 17, 31, 32, 35, 36] {
        let path = view.inclusion(index).unwrap();
        let leaf = hashes[index as usize];
        let check = |index, size, leaf: &Hash, path: &[Hash]| {
            check_inclusion(index, size, leaf, path, &root)
        };
        for at in 0..path.len() {
            let mut other = path.clone();
            other[at][3] ^= 1;
            assert_eq!(check(index, 37, &leaf, &other), Err(ProofFault::Root));
            other = path.clone();
            other.remove(at);
            assert!(check(index, 37, &leaf, &other).is_err());
        }
        let longer = [path.clone(), vec![root]].concat();
        assert_eq!(check(index, 37, &leaf, &longer), Err(ProofFault::Length));
        assert!(check(index ^ 1, 37, &leaf, &path).is_err());
        assert_eq!(check(37, 37, &leaf, &path), Err(ProofFault::Range));
        assert_eq!(check(index, 37, &hashes[3], &path), Err(ProofFault::Root));
    }
    for from in 1..37 {
        let proof = view.consistency(from).unwrap();
        let old = naive_root(&hashes[..from as usize]);
        let check =
            |from, old: &Hash, proof: &[Hash]| check_consistency(from, 37, old, &root, proof);
        for at in 0..proof.len() {
            let mut other = proof.clone();
            other[at][0] ^= 0x80;
            assert_eq!(check(from, &old, &other), Err(ProofFault::Root));
            assert!(check(from, &old, &proof[..at]).is_err());
        }
        let longer = [proof.clone(), vec![root]].concat();
        assert!(check(from, &old, &longer).is_err());
        assert!(check(from, &hashes[0], &proof).is_err() || from == 1);
        assert!(check(from + 1, &old, &proof).is_err(), "{from}");
    }
    let proved = check_consistency(38, 37, &root, &root, &[]);
    assert_eq!(proved, Err(ProofFault::Range));
    assert!(check_consistency(37, 37, &hashes[0], &root, &[]).is_err());
    assert!(check_consistency(0, 37, &hashes[0], &root, &[]).is_err());
}

#[test]
fn the_greatest_numbers_break_nothing() {
    let leaf = [0; 32];
    for size in [0, 1, u64::MAX] {
        for index in [0, 1, u64::MAX - 1, u64::MAX] {
            let path = vec![leaf; 64];
            assert!(check_inclusion(index, size, &leaf, &path, &leaf).is_err());
            assert!(check_consistency(index, size, &leaf, &empty_root(), &path).is_err());
        }
    }
    let width = |level, index, size| Tile { level, index }.width(size);
    assert_eq!(width(7, u64::MAX, u64::MAX), 0);
    assert_eq!(width(255, 0, u64::MAX), 0);
    assert_eq!(width(0, 0, u64::MAX), 256);
}

/// All tiles of a tree, as they would be stored.
fn tiles(growth: &Growth) -> Tiles {
    let mut tiles = Tiles::default();
    for level in 0..3_u8 {
        let (_, nodes) = growth.new_nodes(u32::from(level) * HEIGHT);
        for (index, hashes) in nodes.chunks(WIDTH as usize).enumerate() {
            let index = index as u64;
            tiles.put(Tile { level, index }, hashes.to_vec());
        }
    }
    tiles
}

#[test]
fn tiles_prove_what_the_growing_tree_proves_and_say_which_are_needed() {
    for size in [1, 2, 255, 256, 257, 511, 512, 700, 66_000] {
        let hashes = leaves(size);
        let growth = grown(&hashes);
        let size = size as u64;
        let whole = tiles(&growth);
        let (here, there) = (
            View::new(&growth, size).unwrap(),
            View::new(&whole, size).unwrap(),
        );
        for index in [0, 1, size / 3, size / 2, size - 1] {
            if index >= size {
                continue;
            }
            assert_eq!(
                there.inclusion(index),
                here.inclusion(index),
                "{index} of {size}"
            );
            assert_eq!(there.consistency(index), here.consistency(index));
            let wanted = Wanted::default();
            View::new(&wanted, size).unwrap().inclusion(index).unwrap();
            let mut some = Tiles::default();
            for tile in wanted.into_tiles() {
                let width = tile.width(size);
                assert!(width > 0, "{tile:?} of {size}");
                let level = u32::from(tile.level) * HEIGHT;
                let from = tile.index * WIDTH;
                let hashes = (from..from + width).map(|at| growth.node(level, at).unwrap());
                some.put(tile, hashes.collect());
            }
            let view = View::new(&some, size).unwrap();
            assert_eq!(view.inclusion(index), here.inclusion(index));
        }
    }
}

proptest! {
    #[test]
    fn a_batch_on_a_frontier_proves_as_the_whole_tree_does(
        before in 0_usize..600,
        batch in 1_usize..300,
    ) {
        let hashes = leaves(before + batch);
        let mut growth = Growth::new(&grown(&hashes[..before]).frontier());
        let indices: Vec<u64> = hashes[before..].iter().map(|it| growth.push(*it)).collect();
        let whole = grown(&hashes);
        prop_assert_eq!(growth.frontier(), whole.frontier());
        let view = View::new(&growth, growth.size()).unwrap();
        prop_assert_eq!(view.root(), whole.frontier().root());
        let all = View::new(&whole, whole.size()).unwrap();
        for index in indices {
            prop_assert_eq!(view.inclusion(index), all.inclusion(index));
        }
        let (first, new) = growth.new_nodes(0);
        prop_assert_eq!(first as usize, before);
        prop_assert_eq!(new, &hashes[before..]);
        let (first, new) = growth.new_nodes(HEIGHT);
        let expected: Vec<Hash> = (before as u64 / WIDTH..(before + batch) as u64 / WIDTH)
            .map(|at| whole.node(HEIGHT, at).unwrap())
            .collect();
        prop_assert_eq!(first, before as u64 / WIDTH);
        prop_assert_eq!(new, &expected[..]);
    }

    #[test]
    fn consistency_holds_between_any_two_sizes(from in 0_u64..900, more in 0_u64..900) {
        let hashes = leaves((from + more) as usize);
        let growth = grown(&hashes);
        let old = grown(&hashes[..from as usize]).frontier().root();
        let view = View::new(&growth, growth.size()).unwrap();
        let proof = view.consistency(from).unwrap();
        let checked = check_consistency(from, growth.size(), &old, &view.root(), &proof);
        prop_assert_eq!(checked, Ok(()));
    }

    #[test]
    fn a_frontier_has_a_hash_for_each_bit(size in 0_u64..5_000) {
        let hashes = vec![[0; 32]; size.count_ones() as usize];
        prop_assert!(Frontier::new(size, hashes.clone()).is_some());
        let more = [hashes, vec![[0; 32]]].concat();
        prop_assert!(Frontier::new(size, more).is_none());
    }
}
