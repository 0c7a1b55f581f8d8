//! `gpg init`, `gpg subkey`, `gpg custody`: OpenPGP keys that keepers hold.

mod custody;
mod home;
mod init;
mod make;
mod part;
mod place;
mod signing;
mod subkey;

pub(crate) use custody::custody;
pub(crate) use home::SETUP_NAME;
pub(crate) use init::init;
pub(crate) use signing::signing_key;
pub(crate) use subkey::subkey;
