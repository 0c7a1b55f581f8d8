//! Numbers and names of what a secret is (`spec/session.md` section 8).

use crate::held::Kind;

impl Kind {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Arbitrary,
        Self::Ed25519,
        Self::P256,
        Self::Secp256k1,
        Self::Rsa,
    ];

    /// Its number on the wire, and behind it in a client's box.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Arbitrary => 1,
            Self::Ed25519 => 2,
            Self::P256 => 3,
            Self::Secp256k1 => 4,
            Self::Rsa => 5,
        }
    }

    /// What `number` stands for.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        let is_named = |it: &Self| u16::from(it.number()) == number;
        Self::ALL.into_iter().find(is_named)
    }

    /// What a person calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arbitrary => "arbitrary",
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::Secp256k1 => "secp256k1",
            Self::Rsa => "rsa",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
