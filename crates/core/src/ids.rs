//! Ids: fixed numbers of bytes, each its own type, shown as lower-case hex.

use std::fmt;

/// Text that is not the hex of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {} hex digits", .bytes * 2)]
pub struct UnreadableHex {
    /// How many bytes the id has.
    pub bytes: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// The bytes as they stand on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnreadableHex;

            fn from_str(text: &str) -> Result<Self, UnreadableHex> {
                let id = crate::hex::typed_array(text);
                id.map(Self).ok_or(UnreadableHex { bytes: $bytes })
            }
        }
    };
}

id! {
    /// SHA-256 of a public key as it stands on the wire (`spec/pairing.md` section 5).
    KeyId, 32
}
id! {
    /// Drawn at random by who asks; the same id means the same request.
    RequestId, 16
}
id! {
    /// `H("keystead-request-1", request bytes as received)`.
    RequestHash, 32
}
id! {
    /// Names a pairing in files, logs and commands on one machine; never on the wire.
    /// The first 8 bytes of `H("keystead-pairing-id", C ‖ S)`.
    PairingId, 8
}

id! {
    /// Which wallet: the first 4 bytes of SHA-256 of its own public key (`spec/identity.md`
    /// section 1).
    WalletFingerprint, 4
}

impl PairingId {
    /// The id of the pairing between the curve keys `client` (C) and `server` (S).
    #[must_use]
    pub fn of(client: &[u8; 32], server: &[u8; 32]) -> Self {
        let mut hasher = crate::Hasher::new("keystead-pairing-id");
        hasher.update(client);
        hasher.update(server);
        let hash = hasher.finish();
        let mut id = [0; 8];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_there_and_back() {
        let id = RequestId([
            0, 1, 0x7f, 0x80, 0xff, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        ]);
        let text = id.to_string();
        assert_eq!(text, "00017f80ff05060708090a0b0c0d0e0f");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "00", &"g".repeat(16), &"0".repeat(15), &"é".repeat(8)] {
            let parsed = text.parse::<PairingId>();
            assert_eq!(parsed, Err(UnreadableHex { bytes: 8 }), "{text}");
        }
    }
}
