//! How many connections there may be, in all and of one source.
//!
//! **Invariant**: a newcomer is turned away only when all places are taken by clients that
//! have logged in; otherwise the oldest that has not makes room. So a flood of silent
//! connections costs memory for its limit and keeps nobody out who answers at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Source;

/// The places for connections.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Places,
    inner: Mutex<Inner>,
}

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// In all.
    pub(super) max: usize,
    /// Of one source.
    pub(super) per_source_max: usize,
    /// In all, without a session.
    pub(super) half_open_max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    open: usize,
    /// By age.
    half_open: BTreeMap<u64, (Source, Arc<Notify>)>,
    sources: HashMap<Source, OfSource>,
}

#[derive(Debug, Default)]
struct OfSource {
    open: usize,
    half_open: BTreeSet<u64>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    id: u64,
    source: Source,
    evicted: Arc<Notify>,
    /// It is no longer among the half-open ones.
    is_settled: bool,
}

impl Admission {
    /// All places are free.
    #[must_use]
    pub(super) fn new(limits: Places) -> Arc<Self> {
        Arc::new(Self {
            limits,
            inner: Mutex::default(),
        })
    }

    /// A place for a connection of `address`, or none.
    #[must_use]
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = Source::of(address);
        let mut inner = self.lock();
        let of_source = inner.sources.get(&source).map_or(0, |it| it.open);
        if of_source >= self.limits.per_source_max {
            let oldest = inner.sources.get(&source)?.half_open.first().copied()?;
            inner.evict(oldest);
        } else if inner.open >= self.limits.max
            || inner.half_open.len() >= self.limits.half_open_max
        {
            let (&oldest, _) = inner.half_open.first_key_value()?;
            inner.evict(oldest);
        }
        let id = inner.next;
        inner.next += 1;
        inner.open += 1;
        let evicted = Arc::new(Notify::new());
        inner.half_open.insert(id, (source, evicted.clone()));
        let counted = inner.sources.entry(source).or_default();
        counted.open += 1;
        counted.half_open.insert(id);
        Some(Place {
            admission: self.clone(),
            id,
            source,
            evicted,
            is_settled: false,
        })
    }

    /// Connections, and those of them without a session.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.open, inner.half_open.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Numbers and names: whole after every statement.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Its place is free at once; its task ends when it hears.
    fn evict(&mut self, id: u64) {
        if let Some((source, evicted)) = self.half_open.remove(&id) {
            evicted.notify_one();
            self.leave(id, source);
        }
    }

    fn leave(&mut self, id: u64, source: Source) {
        self.open = self.open.saturating_sub(1);
        if let Some(counted) = self.sources.get_mut(&source) {
            counted.half_open.remove(&id);
            counted.open = counted.open.saturating_sub(1);
            if counted.open == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl Place {
    /// A session is open on it: from now on it makes room for nobody. False if it has already.
    pub(super) fn settle(&mut self) -> bool {
        let mut inner = self.admission.lock();
        if inner.half_open.remove(&self.id).is_none() {
            return self.is_settled;
        }
        if let Some(counted) = inner.sources.get_mut(&self.source) {
            counted.half_open.remove(&self.id);
        }
        drop(inner);
        self.is_settled = true;
        true
    }

    /// Waits until the place is given to another.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The same, for who does not hold the place itself.
    pub(super) fn eviction(&self) -> impl Future<Output = ()> + use<> {
        let evicted = Arc::clone(&self.evicted);
        async move { evicted.notified().await }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.admission.lock();
        // An evicted one has left already.
        if inner.half_open.remove(&self.id).is_some() || self.is_settled {
            inner.leave(self.id, self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        max: 4,
        per_source_max: 3,
        half_open_max: 3,
    };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn is_evicted(place: &Place) -> bool {
        use futures_util::FutureExt;
        place.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_silent_one_makes_room() {
        let admission = Admission::new(PLACES);
        let places: Vec<_> = (0..5)
            .filter_map(|it| admission.take(address(it)))
            .collect();
        assert_eq!(places.len(), 5);
        assert_eq!(admission.counts(), (3, 3));
        let evicted: Vec<_> = places.iter().map(is_evicted).collect();
        assert_eq!(evicted, [true, true, false, false, false]);
        drop(places);
        assert_eq!(admission.counts(), (0, 0));
        assert!(admission.lock().sources.is_empty());
    }

    #[test]
    fn who_has_logged_in_stays() {
        let admission = Admission::new(PLACES);
        let mut settled: Vec<_> = (0..4)
            .map(|it| {
                let mut place = admission.take(address(it)).unwrap();
                assert!(place.settle());
                assert!(place.settle());
                place
            })
            .collect();
        assert!(admission.take(address(9)).is_none());
        assert_eq!(admission.counts(), (4, 0));
        settled.pop();
        let place = admission.take(address(9)).unwrap();
        // The last place is the newcomer's, until the next comes.
        let other = admission.take(address(8)).unwrap();
        assert!(is_evicted(&place));
        assert!(!is_evicted(&other));
    }

    #[test]
    fn a_source_evicts_its_own() {
        let admission = Admission::new(Places {
            max: 100,
            half_open_max: 100,
            ..PLACES
        });
        let mut other = admission.take(address(2)).unwrap();
        let own: Vec<_> = (0..4).filter_map(|_| admission.take(address(1))).collect();
        assert_eq!(own.len(), 4);
        assert!(is_evicted(&own[0]));
        assert!(other.settle());
        drop(own);
        let mut own: Vec<_> = (0..3).filter_map(|_| admission.take(address(1))).collect();
        assert!(own.iter_mut().all(Place::settle));
        assert!(admission.take(address(1)).is_none());
        assert!(admission.take(address(3)).is_some());
    }

    #[test]
    fn an_evicted_one_cannot_settle() {
        let admission = Admission::new(Places { max: 1, ..PLACES });
        let mut first = admission.take(address(1)).unwrap();
        let second = admission.take(address(2)).unwrap();
        assert!(!first.settle());
        drop(first);
        assert_eq!(admission.counts(), (1, 1));
        drop(second);
        assert_eq!(admission.counts(), (0, 0));
    }
}
