//! What keepers hold, as it is known here: keys that programs may ask for, and wallets.

use keystead_core::{Identity, Name, PairingId, WalletFingerprint};
use keystead_formats::ssh::PublicKey;

/// A key of a keeper.
#[derive(Debug, Clone)]
pub struct KeptKey {
    /// Who keeps it.
    pub pairing: PairingId,
    /// The keeper's name on this machine.
    pub keeper: Name,
    /// The key's name.
    pub name: Name,
    /// The key.
    pub key: PublicKey,
    /// From which a wallet derives it.
    pub identity: Option<Identity>,
}

impl KeptKey {
    /// What stands behind the key in lists and `.pub` files.
    #[must_use]
    pub fn comment(&self) -> String {
        match &self.identity {
            Some(identity) => comment(identity),
            None => format!("{}@{}", self.name, self.keeper),
        }
    }
}

/// A wallet, at the keeper that derives keys of identities with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletView {
    /// By which it is asked.
    pub pairing: PairingId,
    /// The keeper's name on this machine.
    pub name: Name,
    /// Which of its wallets, where it has told that.
    pub fingerprint: Option<WalletFingerprint>,
}

/// Behind the key in lists and public key lines, as trezor-agent writes it; an index that is not
/// 0, which trezor-agent does not have, behind that.
#[must_use]
pub fn comment(identity: &Identity) -> String {
    let text = format!("<{}|{}>", identity.uri(), identity.curve());
    match identity.index() {
        0 => text,
        index => format!("{text} index {index}"),
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::{Curve, Derivation};

    use super::*;

    #[test]
    fn comments_are_those_of_trezor_agent() {
        let check = |index, expected: &str| {
            let identity =
                Identity::new("ssh://alex@db1", Curve::Nist256p1, index, Derivation::Sign);
            assert_eq!(comment(&identity.unwrap()), expected);
        };
        check(0, "<ssh://alex@db1|nist256p1>");
        check(7, "<ssh://alex@db1|nist256p1> index 7");
    }
}
