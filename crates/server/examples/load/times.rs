//! How long things take.

use rustix::time::{ClockId, clock_gettime};

/// Times of the same thing done again and again, in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn push(&mut self, time_ms: f64) {
        self.0.push(time_ms);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn sum_ms(&self) -> f64 {
        self.0.iter().sum()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Half of them took less.
    pub(crate) fn p50(&mut self) -> f64 {
        self.percentile(50)
    }

    pub(crate) fn p99(&mut self) -> f64 {
        self.percentile(99)
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// p50 and p99 of something.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Spread {
    pub(crate) fn of(mut times: Times) -> Self {
        Self {
            p50_ms: times.p50(),
            p99_ms: times.p99(),
        }
    }

    pub(crate) fn spread(self) -> String {
        format!("p50 {:.2} ms, p99 {:.2} ms", self.p50_ms, self.p99_ms)
    }
}

/// Of a clock that does not jump.
pub(crate) fn seconds() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

pub(crate) fn since_ms(from: f64) -> f64 {
    (seconds() - from) * 1_000.0
}
