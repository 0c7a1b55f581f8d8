//! Which seeds are run, and which one is named when something fails.
//!
//! `KEYSTEAD_SEED=N` runs that one; `KEYSTEAD_SEEDS=N` runs so many in place of
//! each test's own number.

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
