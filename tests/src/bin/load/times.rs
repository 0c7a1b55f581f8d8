//! How long things take.

use std::time::Instant;

use keystead_tests::Result;

/// Times of the same thing done again and again, in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, time: f64) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What one took in the middle of all: half of them took less.
    pub(crate) fn p50(&self) -> f64 {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.percentile(99)
    }

    /// The middle, and between what half of them lie.
    pub(crate) fn spread(&self) -> String {
        let (low, high) = (self.percentile(25), self.percentile(75));
        format!("p50 {:.2} ms ({low:.2} to {high:.2})", self.p50())
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }

    /// How many a second, one after the other.
    pub(crate) fn per_second(&self) -> f64 {
        let count = u32::try_from(self.0.len()).map_or(f64::NAN, f64::from);
        count * 1_000.0 / self.0.iter().sum::<f64>()
    }
}

/// Does something `count` times.
pub(crate) fn run(count: usize, mut done: impl FnMut() -> Result<()>) -> Result<Times> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = now();
        done()?;
        times.push(since_ms(start));
    }
    Ok(Times(times))
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn since_ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1_000.0
}
