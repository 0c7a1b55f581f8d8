//! The workstation's side of `spec/pairing.md`: pairs with authenticators and asks them.
//!
//! **Invariant:** everything here decides and nothing carries, [`server`] apart. Time,
//! randomness and the disk come in with each [`Keepers::step`]; what is to be done goes
//! out as [`Action`]s. No private key is ever here: what is asked for comes back
//! signed, and every answer is checked against the request that it claims to answer.

mod attempt;
mod channel;
mod effect;
mod error;
mod event;
mod inbox;
mod keeper;
mod keepers;
pub mod local;
mod me;
mod receipts;
mod record;
mod route;
pub mod server;
mod step;
pub mod trezor;

pub use error::{KeeperError, LoadError, PairError, condition_words};
pub use event::{
    Action, Answer, AskId, Event, Notice, PairingProgress, PairingView, Progress, Refresh,
};
pub use keepers::Keepers;

/// The network below, for who carries: the agent has no edge to `transport` of its own.
pub use keystead_transport::{
    Address, LinkId, Net, NetAction, NetEvent, NetOptions, RelayUrl, RelayUrlError, StartError,
};

/// The six digits that both screens show, and why the protocol of pairing ended.
pub use keystead_channel::pairing::{Code, PairError as PairProtocolError};

/// For who checks a log: what a receipt says, and whether its keeper signed it.
pub use keystead_channel::wire::{decode_receipt, is_signed as is_receipt_signed};
