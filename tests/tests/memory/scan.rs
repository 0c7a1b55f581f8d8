//! Looks through a process's memory (proc_pid_mem(5)).

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use keystead_tests::{About, Failure, Result};

/// What must not be found.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(
            bytes.len() >= WINDOW_BYTES,
            "{name} is too short to be told from chance"
        );
        self.0.push((name.to_owned(), bytes.to_owned()));
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Those of which a window stands here.
    fn find(&self, memory: &[u8], windows: &Windows) -> BTreeSet<&str> {
        memory
            .windows(WINDOW_BYTES)
            .filter(|window| windows.may_be(window))
            .flat_map(move |window| {
                self.0
                    .iter()
                    .filter(move |(_, secret)| secret.windows(WINDOW_BYTES).any(|w| w == window))
                    .map(|(name, _)| name.as_str())
            })
            .collect()
    }
}

/// The first two bytes of every window: most of a memory is none.
struct Windows(Vec<bool>);

impl Windows {
    fn of(secrets: &Secrets) -> Self {
        let mut starts = vec![false; 1 << 16];
        for (_, secret) in &secrets.0 {
            for window in secret.windows(WINDOW_BYTES) {
                if let Some(start) = starts.get_mut(start(window)) {
                    *start = true;
                }
            }
        }
        Self(starts)
    }

    fn may_be(&self, window: &[u8]) -> bool {
        self.0.get(start(window)).copied().unwrap_or(false)
    }
}

fn start(window: &[u8]) -> usize {
    match window {
        [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
        _ => 0,
    }
}

/// The processes that one has started.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).about(pid)? {
        let path = task.about(pid)?.path().join("children");
        let line = std::fs::read_to_string(&path).about(path.display())?;
        children.extend(
            line.split_whitespace()
                .filter_map(|it| it.parse::<u32>().ok()),
        );
    }
    Ok(children)
}

/// The names of the secrets of which a part is in the process's memory.
pub(crate) fn found(secrets: &Secrets, pid: u32) -> Result<Vec<String>> {
    let windows = Windows::of(secrets);
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).about("maps")?;
    let memory = File::open(format!("/proc/{pid}/mem")).about("mem")?;
    let mut names = BTreeSet::new();
    let mut read_bytes = 0;
    for line in maps.lines() {
        let Some((from, to)) = range(line) else {
            continue;
        };
        let mut at = from;
        while at < to {
            let length = (to - at).min(PIECE_BYTES);
            let mut piece = vec![0; usize::try_from(length).about("length")?];
            // The kernel's own pages cannot be read, nor guard pages.
            if memory.read_exact_at(&mut piece, at).is_ok() {
                read_bytes += length;
                names.extend(
                    secrets
                        .find(&piece, &windows)
                        .into_iter()
                        .map(str::to_owned),
                );
            }
            // A window may lie across two pieces.
            at += if length == PIECE_BYTES {
                length - OVERLAP_BYTES
            } else {
                length
            };
        }
    }
    if read_bytes < READ_BYTES_MIN {
        return Err(Failure::new(format!(
            "only {read_bytes} bytes of process {pid} were read"
        )));
    }
    Ok(names.into_iter().collect())
}

/// `7f00-7f10 rw-p …`: what may be read.
fn range(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let readable = words.next()?.starts_with('r');
    let number = |text| u64::from_str_radix(text, 16).ok();
    readable.then_some((number(from)?, number(to)?))
}

/// Shorter ones turn up by chance.
const WINDOW_BYTES: usize = 16;

/// Read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// One less than a window.
const OVERLAP_BYTES: u64 = 15;

/// The smallest program has more than this: less means that it was not read.
const READ_BYTES_MIN: u64 = 256 * 1024;

#[test]
fn a_window_is_found_across_pieces() {
    let mut secrets = Secrets::default();
    let secret: Vec<u8> = (100..140).collect();
    secrets.add("secret", &secret);
    let windows = Windows::of(&secrets);
    let with = |part: &[u8]| [&[0; 100], part, &[0; 100]].concat();
    assert_eq!(
        secrets.find(&with(&secret[10..26]), &windows),
        BTreeSet::from(["secret"])
    );
    assert_eq!(
        secrets.find(&with(&secret[10..25]), &windows),
        BTreeSet::new()
    );
    assert_eq!(range("1000-2000 r--p 0"), Some((0x1000, 0x2000)));
    assert_eq!(range("1000-2000 ---p 0"), None);
}
