//! Runs every stored corpus through its target, on stable.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keystead_fuzz_targets::TARGETS;

fn fuzz() -> PathBuf {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR"));
    targets.parent().unwrap().to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<_> = read.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn names(paths: &[PathBuf]) -> BTreeSet<String> {
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    names.map(str::to_owned).collect()
}

#[test]
fn every_stored_input_is_survived() {
    let mut inputs = 0;
    for target in TARGETS {
        let stored = entries(&fuzz().join("corpus").join(target.name));
        assert!(!stored.is_empty(), "{} has no corpus", target.name);
        for input in stored {
            let bytes = std::fs::read(&input).unwrap();
            // A panic's message does not say which input it was.
            eprintln!("{}", input.display());
            (target.body)(&bytes);
            inputs += 1;
        }
    }
    assert!(inputs >= TARGETS.len());
}

/// Cuts and single changes of the stored inputs: a little of what libFuzzer
/// does, where nightly is not.
#[test]
fn every_cut_and_many_changes_of_stored_inputs_are_survived() {
    for target in TARGETS {
        for input in entries(&fuzz().join("corpus").join(target.name)) {
            let bytes = std::fs::read(&input).unwrap();
            let step = bytes.len() / 64 + 1;
            for at in (0..bytes.len()).step_by(step) {
                (target.body)(&bytes[..at]);
                for change in [0x01, 0x80, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] ^= change;
                    (target.body)(&changed);
                }
            }
        }
    }
}

/// For targets that take steps (`answers`, `channel_items`) any bytes are good ones.
#[test]
fn seeded_random_inputs_are_survived() {
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut state = 7_u64;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    for target in TARGETS {
        for round in 0..200 {
            let bytes: Vec<u8> = (0..round).flat_map(|_| next()).collect();
            (target.body)(&bytes);
        }
    }
}

#[test]
fn corpora_and_targets_have_the_same_names() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "a name stands twice");
    assert_eq!(names(&entries(&fuzz().join("corpus"))), targets);
}
