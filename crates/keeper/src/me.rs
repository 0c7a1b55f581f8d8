//! What a me response changes of what is known of a keeper.
//!
//! Invariant: addresses of a peer are text that we dial, so they are checked
//! and bounded here; a response that leaves no way to its sender leaves the
//! ways as they were.

use std::path::Path;

use keystead_channel::pairing::LocalAddress;
use keystead_core::{MeResponse, TransportAddress};
use keystead_daemon::socket::PATH_BYTES_MAX;
use keystead_transport::{Address, RelayUrl};

use crate::record::Record;

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeChange {
    Nothing,
    /// Names, relays, addresses or wallets.
    Ways,
    /// Keys, and perhaps the rest.
    Keys,
    /// The receipt key is made for the pairing: another one is not believed, nor anything with it.
    OtherReceiptKey,
}

/// Takes a me response over.
pub(crate) fn apply(record: &mut Record, me: MeResponse) -> MeChange {
    if me.receipt_key != record.receipt_key {
        return MeChange::OtherReceiptKey;
    }
    let before = record.clone();
    let (relays, addresses) = ways(&me.transports);
    if !relays.is_empty() || !addresses.is_empty() {
        record.relays = relays;
        record.addresses = addresses;
    }
    record.authenticator = me.name;
    record.keys = me.keys;
    record.wallets = me.wallets;
    if record.keys != before.keys {
        MeChange::Keys
    } else if *record == before {
        MeChange::Nothing
    } else {
        MeChange::Ways
    }
}

/// The ways among these that can be used, bounded.
pub(crate) fn ways(transports: &[TransportAddress]) -> (Vec<RelayUrl>, Vec<String>) {
    let mut relays = Vec::new();
    let mut addresses = Vec::new();
    for transport in transports {
        match transport {
            TransportAddress::Relay(url) => take_new(&mut relays, url.parse().ok(), RELAYS_MAX),
            TransportAddress::Local(address) => {
                let address = LocalAddress::new(address).ok().map(|it| it.to_string());
                take_new(&mut addresses, address, ADDRESSES_MAX);
            }
            TransportAddress::Unix(path) => {
                take_new(&mut addresses, socket(path), ADDRESSES_MAX);
            }
            // Core's list of ways and this one grow together.
            _ => {}
        }
    }
    (relays, addresses)
}

/// A Unix socket's address, if the path can be one.
fn socket(path: &str) -> Option<String> {
    let fits = path.len() <= PATH_BYTES_MAX && Path::new(path).is_absolute();
    fits.then(|| Address::<String>::Unix(path.into()).to_string())
}

fn take_new<T: PartialEq>(taken: &mut Vec<T>, new: Option<T>, max: usize) {
    if let Some(new) = new
        && taken.len() < max
        && !taken.contains(&new)
    {
        taken.push(new);
    }
}

/// Relays of one keeper. Why: each request goes over all of them.
const RELAYS_MAX: usize = 4;

/// Addresses of one keeper. Why: as many as an offer names.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use keystead_core::Name;

    use super::*;
    use crate::record::tests::example;

    fn me(record: &Record, transports: &[TransportAddress]) -> MeResponse {
        MeResponse {
            name: record.authenticator.clone(),
            keys: record.keys.clone(),
            transports: transports.to_vec(),
            push_url: None,
            receipt_key: record.receipt_key,
            wallets: record.wallets.clone(),
        }
    }

    fn relay(url: &str) -> TransportAddress {
        TransportAddress::Relay(url.to_owned())
    }

    fn local(address: &str) -> TransportAddress {
        TransportAddress::Local(address.to_owned())
    }

    fn unix(path: &str) -> TransportAddress {
        TransportAddress::Unix(path.to_owned())
    }

    #[test]
    fn ways_are_checked_bounded_and_taken_once() {
        let transports = [
            relay("https://one.test"),
            relay("https://One.test/"),
            relay("ftp://two.test"),
            local("192.0.2.1:22"),
            local("192.0.2.1:22"),
            local("192.0.2.1"),
            local("a b:1"),
            unix("/run/a b/socket"),
            unix("socket"),
            unix(&format!("/{}", "x".repeat(107))),
        ];
        let (relays, addresses) = ways(&transports);
        assert_eq!(relays.len(), 1);
        assert_eq!(relays[0].as_str(), "https://one.test");
        assert_eq!(addresses, ["192.0.2.1:22", "unix:/run/a b/socket"]);
        let many: Vec<_> = (1..100).map(|port| local(&format!("h:{port}"))).collect();
        assert_eq!(ways(&many).1.len(), ADDRESSES_MAX);
    }

    #[test]
    fn a_response_without_a_way_leaves_the_ways() {
        let (mut record, _) = example();
        let before = record.clone();
        let answer = me(&record, &[relay("nonsense")]);
        assert_eq!(apply(&mut record, answer), MeChange::Nothing);
        assert_eq!(record, before);
    }

    #[test]
    fn changes_are_told_apart() {
        let (mut record, _) = example();
        let answer = me(&record, &[local("192.0.2.9:1")]);
        assert_eq!(apply(&mut record, answer), MeChange::Ways);
        assert_eq!(record.addresses, ["192.0.2.9:1"]);
        assert!(record.relays.is_empty());

        let mut answer = me(&record, &[]);
        answer.wallets = vec![keystead_core::WalletFingerprint([7; 4])];
        assert_eq!(apply(&mut record, answer), MeChange::Ways);
        assert_eq!(record.wallets.len(), 1);

        let mut answer = me(&record, &[]);
        answer.keys[0].name = Name::new("other").unwrap();
        assert_eq!(apply(&mut record, answer), MeChange::Keys);

        let before = record.clone();
        let mut answer = me(&record, &[local("192.0.2.66:1")]);
        answer.receipt_key = [1; 32];
        assert_eq!(apply(&mut record, answer), MeChange::OtherReceiptKey);
        assert_eq!(record, before);
    }
}
