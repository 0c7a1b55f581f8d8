//! The operator's limits, and what each source and all together use of them.
//!
//! **Invariant:** what is counted in is counted out exactly once; memory of the
//! counting itself is bounded too.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Limits that an operator may set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What one source may use.
    pub source: Quota,
    /// What all use together.
    pub all: Quota,
}

/// One set of limits.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Open connections.
    pub connections: u32,
    /// Mailboxes that hold items or are being read.
    pub mailboxes: u32,
    /// Bytes of items held, [`ITEM_OVERHEAD_BYTES`] each added.
    pub bytes: u64,
    /// Calls, and WebSocket messages, a second in the long run.
    pub calls_per_s: u32,
    /// Deletions an hour in the long run: each is remembered for three days.
    pub deletions_per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A company behind one address: 256 connections are some hundred
            // people, who hold a few mailboxes each and rarely more than one item.
            source: Quota {
                connections: 256,
                mailboxes: 4_096,
                bytes: 32 << 20,
                calls_per_s: 200,
                deletions_per_hour: 240,
            },
            // A small machine: 4,096 connections with their buffers and 256 MiB
            // of items stay below 512 MiB.
            all: Quota {
                connections: 4_096,
                mailboxes: 100_000,
                bytes: 256 << 20,
                calls_per_s: 20_000,
                deletions_per_hour: 3_600,
            },
        }
    }
}

/// Who is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This machine: its programs, or a proxy that says no more. Limited only
    /// together with all, since it may stand for anybody.
    Local,
    /// One IPv4 address, or one IPv6 /64: what a customer is given.
    Address([u8; 8]),
}

impl Source {
    /// The source that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_loopback() => Self::Local,
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                // No IPv6 network begins with zeros and ffff in its first half.
                Self::Address([0, 0, 0xff, 0xff, a, b, c, d])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::Address([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// A limit is reached: try again after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// For `Retry-After`.
    pub retry_after_s: u32,
}

/// What everybody uses.
pub(super) struct Usage {
    limits: Limits,
    all: Account,
    sources: BTreeMap<Source, Account>,
}

/// What one source, or all, use.
#[derive(Clone, Debug, Default)]
struct Account {
    connections: u32,
    mailboxes: u32,
    bytes: u64,
    calls: Bucket,
    deletions: Bucket,
}

impl Usage {
    /// Nothing used yet.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            all: Account::default(),
            sources: BTreeMap::new(),
        }
    }

    /// Counts a connection in.
    ///
    /// # Errors
    /// [`Pause`] when there are too many.
    pub(super) fn connect(&mut self, source: Source) -> Result<(), Pause> {
        self.take(source, BUSY_S, |account, quota| {
            account.connections = raise(account.connections, 1, quota.connections)?;
            Some(())
        })
    }

    /// Counts a connection out.
    pub(super) fn disconnect(&mut self, source: Source) {
        self.give_back(source, |account| {
            account.connections = account.connections.saturating_sub(1);
        });
    }

    /// Counts a mailbox in.
    ///
    /// # Errors
    /// [`Pause`] when there are too many.
    pub(super) fn add_mailbox(&mut self, source: Source) -> Result<(), Pause> {
        self.take(source, FULL_S, |account, quota| {
            account.mailboxes = raise(account.mailboxes, 1, quota.mailboxes)?;
            Some(())
        })
    }

    /// Counts a mailbox out.
    pub(super) fn remove_mailbox(&mut self, source: Source) {
        self.give_back(source, |account| {
            account.mailboxes = account.mailboxes.saturating_sub(1);
        });
    }

    /// Counts an item of `len_bytes` in.
    ///
    /// # Errors
    /// [`Pause`] when there is no room.
    pub(super) fn add_item(&mut self, source: Source, len_bytes: usize) -> Result<(), Pause> {
        let cost = cost_bytes(len_bytes);
        self.take(source, FULL_S, |account, quota| {
            account.bytes = account
                .bytes
                .checked_add(cost)
                .filter(|sum| *sum <= quota.bytes)?;
            Some(())
        })
    }

    /// Counts an item of `len_bytes` out.
    pub(super) fn remove_item(&mut self, source: Source, len_bytes: usize) {
        let cost = cost_bytes(len_bytes);
        self.give_back(source, |account| {
            account.bytes = account.bytes.saturating_sub(cost);
        });
    }

    /// Spends one call.
    ///
    /// # Errors
    /// [`Pause`] when they come too fast.
    pub(super) fn spend_call(&mut self, now_ms: u64, source: Source) -> Result<(), Pause> {
        self.take(source, 1, |account, quota| {
            account.calls.spend(now_ms, calls(quota)).then_some(())
        })
    }

    /// Spends one deletion.
    ///
    /// # Errors
    /// [`Pause`] when they come too fast.
    pub(super) fn spend_deletion(&mut self, now_ms: u64, source: Source) -> Result<(), Pause> {
        self.take(source, FULL_S, |account, quota| {
            account
                .deletions
                .spend(now_ms, deletions(quota))
                .then_some(())
        })
    }

    /// Forgets sources that use nothing and have long been quiet.
    pub(super) fn forget_quiet(&mut self, now_ms: u64) {
        let quota = &self.limits.source;
        self.sources.retain(|_, account| {
            account.connections > 0
                || account.mailboxes > 0
                || account.bytes > 0
                || !account.calls.is_full(now_ms, calls(quota))
                || !account.deletions.is_full(now_ms, deletions(quota))
        });
    }

    /// Whether everything that was counted in was counted out.
    #[cfg(test)]
    pub(super) fn is_unused(&self) -> bool {
        let accounts = std::iter::once(&self.all).chain(self.sources.values());
        let used = |account: &Account| account.mailboxes > 0 || account.bytes > 0;
        !accounts.into_iter().any(used)
    }

    /// Takes from the source and from all, or from neither.
    fn take(
        &mut self,
        source: Source,
        retry_after_s: u32,
        take: impl Fn(&mut Account, &Quota) -> Option<()>,
    ) -> Result<(), Pause> {
        let refused = Pause { retry_after_s };
        let mut all = self.all.clone();
        take(&mut all, &self.limits.all).ok_or(refused)?;
        if source != Source::Local {
            if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
                return Err(Pause {
                    retry_after_s: FULL_S,
                });
            }
            let mut own = self.sources.get(&source).cloned().unwrap_or_default();
            take(&mut own, &self.limits.source).ok_or(refused)?;
            self.sources.insert(source, own);
        }
        self.all = all;
        Ok(())
    }

    fn give_back(&mut self, source: Source, give: impl Fn(&mut Account)) {
        give(&mut self.all);
        if let Some(own) = self.sources.get_mut(&source) {
            give(own);
        }
    }
}

/// A token bucket: what was spent leaks away. Empty at first, so a quiet source
/// needs no memory.
#[derive(Clone, Debug, Default)]
struct Bucket {
    /// What was spent and has not leaked, in units of the rate.
    spent: u64,
    at_ms: u64,
}

/// How fast a [`Bucket`] leaks, and how much it holds.
#[derive(Clone, Copy)]
struct Rate {
    /// What one costs; `leak_per_ms` is in the same unit.
    cost: u64,
    leak_per_ms: u64,
    holds: u64,
}

impl Bucket {
    fn spend(&mut self, now_ms: u64, rate: Rate) -> bool {
        let spent = self.left(now_ms, rate).saturating_add(rate.cost);
        if spent > rate.holds {
            return false;
        }
        *self = Self {
            spent,
            at_ms: now_ms,
        };
        true
    }

    fn is_full(&self, now_ms: u64, rate: Rate) -> bool {
        self.left(now_ms, rate) == 0
    }

    fn left(&self, now_ms: u64, rate: Rate) -> u64 {
        let leaked = now_ms
            .saturating_sub(self.at_ms)
            .saturating_mul(rate.leak_per_ms);
        self.spent.saturating_sub(leaked)
    }
}

/// A thousandth of a call leaks each millisecond for each call a second; ten
/// seconds' worth may come at once, as when everybody's agent starts anew.
fn calls(quota: &Quota) -> Rate {
    let leak_per_ms = u64::from(quota.calls_per_s);
    Rate {
        cost: 1_000,
        leak_per_ms,
        holds: leak_per_ms.saturating_mul(10_000),
    }
}

/// An hour's worth may come at once: unpairing sixty authenticators does that.
fn deletions(quota: &Quota) -> Rate {
    let leak_per_ms = u64::from(quota.deletions_per_hour);
    Rate {
        cost: MS_PER_HOUR,
        leak_per_ms,
        holds: leak_per_ms.saturating_mul(MS_PER_HOUR),
    }
}

fn raise(from: u32, by: u32, limit: u32) -> Option<u32> {
    from.checked_add(by).filter(|sum| *sum <= limit)
}

fn cost_bytes(len_bytes: usize) -> u64 {
    u64::try_from(len_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(ITEM_OVERHEAD_BYTES)
}

/// What an item costs beside its bytes: its place in the queue, the allocator.
pub const ITEM_OVERHEAD_BYTES: u64 = 128;

/// Sources counted at once: with 150 bytes each they take 10 MiB.
pub const SOURCES_MAX: usize = 65_536;

/// `Retry-After` when connections are used up: they end within a long poll.
pub const BUSY_S: u32 = 5;

/// `Retry-After` when memory is used up: items are read, or die, within minutes.
pub const FULL_S: u32 = 30;

const MS_PER_HOUR: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([192, 0, 2, last]))
    }

    fn small() -> Limits {
        let quota = Quota {
            connections: 2,
            mailboxes: 2,
            bytes: 1_000,
            calls_per_s: 1,
            deletions_per_hour: 1,
        };
        Limits {
            source: quota,
            all: Quota {
                connections: 3,
                ..Limits::default().all
            },
        }
    }

    #[test]
    fn addresses_belong_to_sources() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), Source::Local);
        assert_eq!(of("::1"), Source::Local);
        assert_eq!(of("::ffff:127.0.0.1"), Source::Local);
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn a_source_and_all_have_their_own_limits() {
        let mut usage = Usage::new(small());
        usage.connect(source(1)).unwrap();
        usage.connect(source(1)).unwrap();
        assert_eq!(
            usage.connect(source(1)),
            Err(Pause {
                retry_after_s: BUSY_S
            })
        );
        usage.connect(source(2)).unwrap();
        assert!(usage.connect(source(3)).is_err(), "three are all");
        assert!(
            usage.connect(Source::Local).is_err(),
            "this machine counts with all"
        );
        usage.disconnect(source(1));
        usage.connect(source(3)).unwrap();
        assert_eq!(usage.all.connections, 3);
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let mut usage = Usage::new(small());
        usage.add_item(source(1), 800).unwrap();
        assert!(usage.add_item(source(1), 800).is_err());
        usage.remove_item(source(1), 800);
        assert_eq!(usage.all.bytes, 0);
        usage.add_item(source(1), 872).unwrap();
        assert!(usage.add_item(source(1), 0).is_err());
        for _ in 0..2 {
            usage.add_mailbox(source(1)).unwrap();
        }
        assert!(usage.add_mailbox(source(1)).is_err());
        for _ in 0..20 {
            usage.add_mailbox(Source::Local).unwrap();
        }
        assert_eq!(usage.all.mailboxes, 22);
    }

    #[test]
    fn calls_may_burst_and_then_come_at_their_rate() {
        let mut usage = Usage::new(small());
        for _ in 0..10 {
            usage.spend_call(5_000, source(1)).unwrap();
        }
        assert!(usage.spend_call(5_000, source(1)).is_err());
        assert!(usage.spend_call(5_999, source(1)).is_err());
        usage.spend_call(6_000, source(1)).unwrap();
        assert!(usage.spend_call(6_000, source(1)).is_err());
        usage.spend_deletion(0, source(1)).unwrap();
        assert!(usage.spend_deletion(MS_PER_HOUR - 1, source(1)).is_err());
        usage.spend_deletion(MS_PER_HOUR, source(1)).unwrap();
    }

    #[test]
    fn quiet_sources_are_forgotten_and_busy_ones_are_not() {
        let mut usage = Usage::new(small());
        usage.spend_call(0, source(1)).unwrap();
        usage.connect(source(2)).unwrap();
        usage.forget_quiet(500);
        assert_eq!(usage.sources.len(), 2);
        usage.forget_quiet(1_000);
        assert_eq!(usage.sources.len(), 1);
        usage.disconnect(source(2));
        usage.forget_quiet(1_000);
        assert!(usage.sources.is_empty());
    }
}
