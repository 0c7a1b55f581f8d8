//! Which seeds are run, and which one is named when something fails.
//!
//! `KEYSTEAD_SEED=N` runs that one; `KEYSTEAD_SEEDS=N` runs so many in place of
//! each test's own number; `KEYSTEAD_REQUESTS=N` so many requests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Runs `scenario` for the seeds `0..count`, or for `KEYSTEAD_SEED` alone.
pub(crate) fn each(count: u64, mut scenario: impl FnMut(u64)) {
    let seeds = match asked_for() {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYSTEAD_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        let _named = Named(seed);
        scenario(seed);
    }
}

/// Runs `scenario` for the seeds from 0 on, on all cores, until the requests that
/// they made come to `count`, or to `KEYSTEAD_REQUESTS`; its results in the
/// seeds' order. A seed that was begun is run to its end.
pub(crate) fn until_enough<T: Send>(
    count: usize,
    scenario: impl Fn(u64) -> (usize, T) + Sync,
) -> Vec<T> {
    if let Some(seed) = asked_for() {
        let _named = Named(seed);
        return vec![scenario(seed).1];
    }
    let wanted = number("KEYSTEAD_REQUESTS").map_or(count, |it| usize::try_from(it).unwrap());
    let (next, made) = (AtomicU64::new(0), AtomicUsize::new(0));
    let results = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while made.load(Ordering::Relaxed) < wanted {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let _named = Named(seed);
                    let (requests, result) = scenario(seed);
                    made.fetch_add(requests, Ordering::Relaxed);
                    results.lock().unwrap().push((seed, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The one seed that a person wants to see.
pub(crate) fn asked_for() -> Option<u64> {
    number("KEYSTEAD_SEED")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a seed is a number"))
}

/// Says the seed while a failure unwinds.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("seed {seed} failed: run it alone with KEYSTEAD_SEED={seed}");
        }
    }
}
