//! Times and memory.

use std::time::Instant;

use crate::failure::{Failure, Result, read};

/// Times of the same thing done again and again, in milliseconds.
#[derive(Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn add(&mut self, time_ms: f64) {
        self.0.push(time_ms);
    }

    pub(super) fn p50(&self) -> f64 {
        self.percentile(50)
    }

    pub(super) fn p95(&self) -> f64 {
        self.percentile(95)
    }

    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Does something `count` times.
pub(super) fn run_ms(count: usize, mut done: impl FnMut() -> Result<()>) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..count {
        times.add(once_ms(&mut done)?);
    }
    Ok(times)
}

/// Does something once.
pub(super) fn once_ms(done: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    done()?;
    Ok(start.elapsed().as_secs_f64() * 1_000.0)
}

/// Resident memory of a process (proc_pid_status(5)).
pub(super) fn rss_mib(pid: u32) -> Result<f64> {
    let status = read(format!("/proc/{pid}/status").as_ref())?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<f64>().ok())
        .map(|kib| kib / 1_024.0)
        .ok_or_else(|| Failure::new(format!("no VmRSS for process {pid}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_sorted_times() {
        let mut times = Times::default();
        for time in [5.0, 1.0, 4.0, 2.0, 3.0] {
            times.add(time);
        }
        assert_eq!(times.p50(), 3.0);
        assert_eq!(times.p95(), 5.0);
        assert!(Times::default().p50().is_nan());
    }

    #[test]
    fn this_process_has_memory() {
        assert!(rss_mib(std::process::id()).unwrap() > 0.1);
    }
}
