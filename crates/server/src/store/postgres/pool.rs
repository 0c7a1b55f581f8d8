//! A few connections, made when they are wanted.
//!
//! **Invariant**: a connection is given back only when no transaction is open on it; one
//! that failed is dropped, and the server undoes what it had begun.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::super::StoreError;
use super::super::shared::lock;
use super::address::Address;
use super::link::Link;

/// Connections to one database.
pub(super) struct Pool {
    address: Address,
    idle: Mutex<Vec<Link>>,
    places: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(LINKS_MAX)),
        }
    }

    /// An idle connection or a new one; waits while all are in use.
    pub(super) async fn take(&self) -> Result<Link, StoreError> {
        let closed = |_| StoreError::Unavailable("it was closed".to_owned());
        let place = Arc::clone(&self.places).acquire_owned();
        let place = place.await.map_err(closed)?;
        let mut link = loop {
            let idle = lock(&self.idle).pop();
            match idle {
                Some(link) if link.is_closed() => {}
                Some(link) => break link,
                None => break self.fresh().await?,
            }
        };
        link.place = Some(place);
        Ok(link)
    }

    /// A new connection, of which nobody else knows.
    pub(super) async fn fresh(&self) -> Result<Link, StoreError> {
        Link::connect(&self.address).await
    }

    /// One that is to be used again.
    pub(super) fn give_back(&self, mut link: Link) {
        link.place = None;
        let mut idle = lock(&self.idle);
        if idle.len() < LINKS_MAX && !link.is_closed() {
            idle.push(link);
        }
    }
}

/// One that writes, and as many readers as keep two cores busy.
const LINKS_MAX: usize = 8;
