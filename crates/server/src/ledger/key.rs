//! The key that signs checkpoints.
//!
//! **Invariant**: the number of the key that signed the last checkpoint stands in the head
//! row and never goes back, so a process of a deployment notices a newer key, which a later
//! version of the program gave, before it signs.

use keystead_core::Secret;
use keystead_vault::LogKey;

use super::batch::NumberedKey;
use crate::rows::{Head, Rows, System, Table};
use crate::sealing::Sealing;
use crate::store::{Store, StoreError, Wanted};

/// The head, and the key that is used now.
pub(super) async fn read(
    store: &Store,
    sealing: &Sealing,
) -> Result<(Head, NumberedKey), StoreError> {
    let mut wanted = Wanted::new();
    wanted.system();
    let loaded = store.read(wanted).await?;
    let head = loaded.head.clone();
    let rows = Rows::new(loaded, sealing);
    let key = of_system(rows.system()?)?;
    Ok((head, key))
}

/// The log's key that is used now: the last one.
fn of_system(system: Option<&System>) -> Result<NumberedKey, StoreError> {
    let lacks = || StoreError::Corrupt(Table::System);
    let seeds = &system.ok_or_else(lacks)?.log_seeds;
    let (seed, former) = seeds.split_last().ok_or_else(lacks)?;
    let seed = Secret::fill(|bytes| bytes.copy_from_slice(seed.expose()));
    Ok(NumberedKey {
        number: u32::try_from(former.len()).map_err(|_| lacks())?,
        key: LogKey::from_seed(seed).map_err(|_| lacks())?,
    })
}
