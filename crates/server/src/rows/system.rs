//! What makes this server this server: drawn once, at the first start.
//!
//! **Invariant**: `server_id` is made of the OPAQUE public key, and a row of another server
//! does not open.

use keystead_channel::session::{ServerId, ServerKeys};
use keystead_core::Secret;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::{Cell, PlainReader, PlainWriter, Record, Row, Table};

/// The server's own keys.
pub struct System {
    /// OPAQUE's seed and key pair.
    pub opaque: ServerKeys,
    /// Seeds of the keys that sign checkpoints, the last one in use.
    pub log_seeds: Vec<Secret<32>>,
    /// Makes a name's tag.
    pub k_name: Secret<32>,
    /// Makes up what a name without an account shows.
    pub k_fake: Secret<32>,
}

impl System {
    /// Draws a new server.
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self {
            opaque: ServerKeys::generate(rng),
            log_seeds: vec![Secret::fill(|bytes| rng.fill_bytes(bytes))],
            k_name: Secret::fill(|bytes| rng.fill_bytes(bytes)),
            k_fake: Secret::fill(|bytes| rng.fill_bytes(bytes)),
        }
    }

    /// Made of the OPAQUE public key.
    #[must_use]
    pub fn server_id(&self) -> ServerId {
        ServerId::of(&self.opaque.public())
    }

    /// The seed of the key that signs checkpoints now, and its number.
    #[must_use]
    pub fn log_seed(&self) -> Option<(u32, &Secret<32>)> {
        let number = u32::try_from(self.log_seeds.len().checked_sub(1)?).ok()?;
        Some((number, self.log_seeds.last()?))
    }
}

impl Record for System {
    const TABLE: Table = Table::System;
    type Key = ();

    fn key(&self) {}

    fn key_cells((): &()) -> Vec<Cell> {
        vec![Cell::Int(SYSTEM_ID)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![Cell::Int(SYSTEM_ID), Cell::bytes(&self.server_id().0)]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let opaque = self.opaque.to_bytes();
        let mut out = PlainWriter::with_room(opaque.len().saturating_add(256));
        out.bytes(opaque.expose());
        out.bytes(self.k_name.expose());
        out.bytes(self.k_fake.expose());
        self.log_seeds
            .iter()
            .for_each(|seed| out.bytes(seed.expose()));
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        let opaque = ServerKeys::from_bytes(&plain.secret_bytes()?)?;
        let mut system = Self {
            opaque,
            k_name: plain.secret()?,
            k_fake: plain.secret()?,
            log_seeds: Vec::new(),
        };
        while !plain.is_done() {
            system.log_seeds.push(plain.secret()?);
        }
        let is_ours = row.array(1)? == system.server_id().0;
        (is_ours && !system.log_seeds.is_empty()).then_some(system)
    }
}

/// The only row's id.
const SYSTEM_ID: i64 = 1;
