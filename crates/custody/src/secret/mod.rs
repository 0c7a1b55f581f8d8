//! `secret …`

pub(crate) mod catalogue;
mod delete;
mod export;
mod list;
mod local_store;
pub(crate) mod make;
mod rename;
mod retrieve;

use keystead_vault::held::Kind;

use crate::arguments::{Secret, What};
use crate::failure::Failure;

/// Does what was asked for.
pub(crate) fn run(secret: &Secret) -> Result<(), Failure> {
    match secret {
        Secret::Generate(wanted) => make::generate(wanted),
        Secret::Import(wanted) => make::import(wanted),
        Secret::Store(wanted) => make::store(wanted),
        Secret::Retrieve(wanted) => retrieve::run(wanted),
        Secret::Export(wanted) => export::run(wanted),
        Secret::List(wanted) => list::run(wanted),
        Secret::Show(wanted) => list::show(wanted),
        Secret::Rename(wanted) => rename::run(wanted),
        Secret::Delete(wanted) => delete::run(wanted),
        Secret::LocalStore(wanted) => local_store::run(wanted),
    }
}

/// What a person calls it, as the vault does.
pub(crate) const fn kind_of(what: What) -> Kind {
    match what {
        What::Arbitrary => Kind::Arbitrary,
        What::Ed25519 => Kind::Ed25519,
        What::P256 => Kind::P256,
        What::Secp256k1 => Kind::Secp256k1,
        What::Rsa => Kind::Rsa,
    }
}
