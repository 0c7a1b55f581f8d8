//! How often a source, and all together, may begin something costly.
//!
//! **Invariant**: memory is bounded whatever comes, and a source that is forgotten was one
//! whose bucket was full again: forgetting gives nobody a try.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Token buckets: one a source, and one for all.
#[derive(Debug)]
pub struct Buckets {
    rates: Rates,
    inner: Mutex<Inner>,
}

/// How fast they fill; 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of one source, in `window_ms`.
    pub per_source: u32,
    /// In all, in `window_ms`.
    pub in_all: u32,
    /// The time in which a bucket gives so many.
    pub window_ms: u32,
    /// How many windows' worth may come at once.
    pub burst_windows: u32,
}

#[derive(Debug, Default)]
struct Inner {
    sources: HashMap<Source, Bucket>,
    all: Option<Bucket>,
}

/// How full it was, and when. Counted in milliseconds of filling, so that no fraction
/// is lost.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Times `window_ms`.
    tokens: u64,
    at_ms: u64,
}

/// Whom a limit counts: an IPv4 address, an IPv6 /56, or this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address.
    V4(Ipv4Addr),
    /// The first 56 bits: what one customer is given.
    V6([u8; 7]),
}

impl Source {
    /// Of an address; IPv4 inside IPv6 is IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(prefix(address)),
        }
    }
}

impl Buckets {
    /// All full.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self {
            rates,
            inner: Mutex::default(),
        }
    }

    /// Takes one, or says how many seconds until there is one.
    ///
    /// # Errors
    /// Seconds, at least 1.
    pub fn take(&self, address: IpAddr, now_ms: u64) -> Result<(), u32> {
        let rates = self.rates;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.sources.len() >= SOURCES_MAX {
            let full = rates.full(rates.per_source);
            inner
                .sources
                .retain(|_, bucket| rates.filled(*bucket, rates.per_source, now_ms).tokens < full);
            if inner.sources.len() >= SOURCES_MAX {
                return Err(1);
            }
        }
        let full = |rate| Bucket {
            tokens: rates.full(rate),
            at_ms: now_ms,
        };
        // Looked at first, so that a source that must wait takes nothing from all others.
        let of_source = if rates.per_source == 0 {
            None
        } else {
            let known = inner.sources.get(&Source::of(address)).copied();
            let bucket = known.unwrap_or_else(|| full(rates.per_source));
            Some(rates.take(bucket, rates.per_source, now_ms)?)
        };
        if rates.in_all != 0 {
            let bucket = inner.all.unwrap_or_else(|| full(rates.in_all));
            inner.all = Some(rates.take(bucket, rates.in_all, now_ms)?);
        }
        if let Some(bucket) = of_source {
            inner.sources.insert(Source::of(address), bucket);
        }
        Ok(())
    }
}

impl Rates {
    fn full(&self, rate: u32) -> u64 {
        u64::from(rate) * u64::from(self.burst_windows) * u64::from(self.window_ms)
    }

    fn filled(&self, bucket: Bucket, rate: u32, now_ms: u64) -> Bucket {
        let since_ms = now_ms.saturating_sub(bucket.at_ms);
        let tokens = bucket
            .tokens
            .saturating_add(since_ms.saturating_mul(u64::from(rate)))
            .min(self.full(rate));
        Bucket {
            tokens,
            at_ms: now_ms,
        }
    }

    fn take(&self, bucket: Bucket, rate: u32, now_ms: u64) -> Result<Bucket, u32> {
        let mut bucket = self.filled(bucket, rate, now_ms);
        let one = u64::from(self.window_ms);
        if let Some(left) = bucket.tokens.checked_sub(one) {
            bucket.tokens = left;
            return Ok(bucket);
        }
        let lacks = one - bucket.tokens;
        let wait_ms = lacks.div_ceil(u64::from(rate).max(1));
        Err(u32::try_from(wait_ms.div_ceil(MS_PER_S).max(1)).unwrap_or(u32::MAX))
    }
}

fn prefix(address: Ipv6Addr) -> [u8; 7] {
    address.octets().first_chunk().copied().unwrap_or_default()
}

/// 65,536 sources whose buckets are not full: 4 MiB. Beyond it newcomers wait.
const SOURCES_MAX: usize = 65_536;

const MS_PER_S: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        per_source: 2,
        in_all: 5,
        window_ms: 1_000,
        burst_windows: 2,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_its_burst_then_its_rate() {
        let buckets = Buckets::new(RATES);
        let one = address("192.0.2.1");
        for _ in 0..4 {
            assert_eq!(buckets.take(one, 5_000), Ok(()));
        }
        assert_eq!(buckets.take(one, 5_000), Err(1));
        assert_eq!(buckets.take(one, 5_499), Err(1));
        assert_eq!(buckets.take(one, 5_500), Ok(()));
        assert_eq!(buckets.take(one, 5_500), Err(1));
        // A clock that goes back fills nothing.
        assert_eq!(buckets.take(one, 0), Err(1));
    }

    #[test]
    fn all_together_have_a_rate_too() {
        let buckets = Buckets::new(RATES);
        let taken = (0..20_u8).filter(|last| {
            let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, *last));
            buckets.take(source, 0).is_ok()
        });
        assert_eq!(taken.count(), 10);
        assert_eq!(buckets.take(address("198.51.100.1"), 200), Ok(()));
    }

    #[test]
    fn who_waits_takes_nothing_from_others() {
        let buckets = Buckets::new(RATES);
        let greedy = address("192.0.2.1");
        let tries = (0..1_000).filter(|_| buckets.take(greedy, 0).is_ok());
        assert_eq!(tries.count(), 4);
        assert_eq!(buckets.take(address("192.0.2.2"), 0), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let free = Rates {
            per_source: 0,
            in_all: 0,
            ..RATES
        };
        let buckets = Buckets::new(free);
        assert!((0..10_000).all(|_| buckets.take(address("::1"), 0).is_ok()));
    }

    #[test]
    fn sources_are_counted_by_what_one_customer_has() {
        let of = |text| Source::of(address(text));
        assert_eq!(of("2001:db8:0:12ff::1"), of("2001:db8:0:1234:ffff::2"));
        assert_ne!(of("2001:db8:0:1200::1"), of("2001:db8:0:1300::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let rates = Rates { in_all: 0, ..RATES };
        let buckets = Buckets::new(rates);
        let source = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        for number in 0..65_536 {
            assert_eq!(buckets.take(source(number), 0), Ok(()));
        }
        assert_eq!(buckets.take(source(70_000), 0), Err(1));
        // Full again after half a second: forgotten.
        assert_eq!(buckets.take(source(70_000), 500), Ok(()));
        assert_eq!(buckets.inner.lock().unwrap().sources.len(), 1);
    }
}
