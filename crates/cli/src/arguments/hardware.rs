//! Hardware wallets.

use clap::{Args, Subcommand};
use keystead_core::Name;

use super::Reading;

/// What can be added beside an authenticator, which is paired.
#[derive(Subcommand)]
pub(crate) enum Add {
    Trezor(AddTrezor),
}

/// Take a Trezor as a keeper.
///
/// It asks for its PIN and passphrase; the wallet that is open then is shown by its fingerprint,
/// and added once you agree. Another passphrase is another wallet: add it under another name.
/// Where there is no terminal it is shown and added.
#[derive(Args)]
pub(crate) struct AddTrezor {
    /// Where it is: usb, usb:SERIAL, or udp:127.0.0.1:21324 for the emulator.
    #[arg(long, default_value = "usb")]
    pub(crate) path: String,
    /// Its name here [default: trezor].
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// The passphrase is typed on the device, and never comes here. Newer models can.
    #[arg(long)]
    pub(crate) passphrase_on_device: bool,
    /// Read the PIN's places from this descriptor, a line; without it they are asked for.
    #[arg(long, value_name = "N")]
    pub(crate) pin_fd: Option<u32>,
    /// Read the device's passphrase from this descriptor, a line; without it it is asked for.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Add the wallet that is open without a question.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Have a hardware wallet ask for PIN and passphrase now, and show which wallet is open.
///
/// What a program that waits has made it ask is asked here, too.
#[derive(Args)]
pub(crate) struct Unlock {
    /// Its name; may be left out when there is one.
    pub(crate) name: Option<Name>,
    /// Read the PIN's places from this descriptor, a line; without it they are asked for.
    #[arg(long, value_name = "N")]
    pub(crate) pin_fd: Option<u32>,
    /// Read the device's passphrase from this descriptor, a line; without it it is asked for.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
