//! `gpg init` and `gpg subkey`: OpenPGP keys that a wallet holds.

mod home;
mod init;
mod make;
mod subkey;

pub(crate) use init::init;
pub(crate) use subkey::subkey;
