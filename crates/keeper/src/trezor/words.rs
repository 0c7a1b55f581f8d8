//! What a person is told when a device does not do what it was asked.
//!
//! **Invariant:** every fault has its words and says what to do about it; the device's own words
//! stand behind ours, never in their place.

use keystead_core::{Name, WalletFingerprint};

use super::messages::{DeviceIdentity, Features};
use crate::KeeperError;

/// Why a device gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No device is there.
    NotThere {
        /// What the system said.
        why: String,
    },
    /// Another program has it.
    Busy,
    /// This account may not open it.
    Forbidden {
        /// What the system said.
        why: String,
    },
    /// It was unplugged, or its emulator ended, while it was asked.
    Gone {
        /// What the system said.
        why: String,
    },
    /// It is there and says nothing.
    Silent,
    /// It speaks another protocol.
    OtherProtocol,
    /// It runs its loader.
    InBootloader,
    /// It has no seed.
    NotInitialized,
    /// This firmware signs for no identities.
    CannotSignIdentities,
    /// Its firmware is older than what the requests need.
    TooOld {
        /// Which.
        version: (u32, u32, u32),
    },
    /// It takes no more of a part of an identity.
    TooLong {
        /// Which part.
        part: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// How many the device takes.
        bytes_max: usize,
    },
    /// It takes no more to be signed.
    ChallengeTooLong {
        /// How many bytes there are.
        bytes: usize,
        /// How many the device takes.
        bytes_max: usize,
    },
    /// An identity's key does not do this.
    NotForThis {
        /// Why.
        why: &'static str,
    },
    /// A key that no identity is given for; a Trezor stores none.
    NoIdentity,
    /// The PIN was wrong as often as it is asked for.
    WrongPin,
    /// The person gave no PIN.
    PinCancelled,
    /// The person gave no passphrase.
    PassphraseCancelled,
    /// It has opened another wallet than the one that was added.
    OtherWallet {
        /// Which.
        found: WalletFingerprint,
        /// Which it should be.
        expected: WalletFingerprint,
    },
    /// The person said no on the device.
    Refused,
    /// The holder did not decide in time.
    Late {
        /// How long was waited.
        wait_s: u16,
    },
    /// It will not do it, for another reason.
    Failed {
        /// A number of `FailureType`.
        code: Option<u32>,
        /// In its words.
        message: String,
    },
    /// What it said breaks the rules.
    Misbehaved {
        /// In what way.
        what: String,
    },
}

impl Fault {
    /// The fault of a `Failure` message.
    #[must_use]
    pub fn of_failure(code: Option<u32>, message: String) -> Self {
        match code {
            Some(4) => Self::Refused,
            Some(5 | 6) => Self::PinCancelled,
            Some(7) => Self::WrongPin,
            Some(11) => Self::NotInitialized,
            Some(17) => Self::OtherProtocol,
            _ => Self::Failed { code, message },
        }
    }

    /// As an ask ends.
    #[must_use]
    pub fn into_error(self, keeper: Name) -> KeeperError {
        match self {
            Self::Late { wait_s } => KeeperError::NoAnswer { keeper, wait_s },
            Self::Misbehaved { what } => KeeperError::PeerMisbehaved { keeper, what },
            Self::NotThere { .. }
            | Self::Busy
            | Self::Forbidden { .. }
            | Self::Gone { .. }
            | Self::Silent => KeeperError::DeviceAway {
                keeper,
                why: self.words(),
                hint: self.hint(),
            },
            Self::OtherProtocol
            | Self::InBootloader
            | Self::NotInitialized
            | Self::CannotSignIdentities
            | Self::TooOld { .. }
            | Self::TooLong { .. }
            | Self::ChallengeTooLong { .. }
            | Self::NotForThis { .. }
            | Self::NoIdentity
            | Self::WrongPin
            | Self::PinCancelled
            | Self::PassphraseCancelled
            | Self::OtherWallet { .. }
            | Self::Refused
            | Self::Failed { .. } => KeeperError::Server {
                keeper,
                why: self.words(),
                hint: self.hint(),
            },
        }
    }

    /// One line.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NotThere { why } => format!("no Trezor is there ({why})"),
            Self::Busy => "another program has the Trezor open".to_owned(),
            Self::Forbidden { why } => format!("the Trezor may not be opened ({why})"),
            Self::Gone { why } => format!("the Trezor was unplugged while it was asked ({why})"),
            Self::Silent => "the Trezor does not answer".to_owned(),
            Self::OtherProtocol => "this Trezor speaks the newer protocol (THP) alone".to_owned(),
            Self::InBootloader => "the Trezor runs its loader, not its firmware".to_owned(),
            Self::NotInitialized => "the Trezor is not set up: it has no seed".to_owned(),
            Self::CannotSignIdentities => {
                "this Trezor's firmware signs for no identities".to_owned()
            }
            Self::TooOld { version: (a, b, c) } => {
                format!("the Trezor's firmware {a}.{b}.{c} is too old")
            }
            Self::TooLong {
                part,
                bytes,
                bytes_max,
            } => format!(
                "this Trezor takes {bytes_max} characters of a {part}, the identity's has {bytes}"
            ),
            Self::ChallengeTooLong { bytes, bytes_max } => {
                format!("this Trezor signs {bytes_max} bytes at most, these are {bytes}")
            }
            Self::NotForThis { why } => (*why).to_owned(),
            Self::NoIdentity => "a Trezor has keys of identities alone".to_owned(),
            Self::WrongPin => "the PIN was wrong".to_owned(),
            Self::PinCancelled => "no PIN was given".to_owned(),
            Self::PassphraseCancelled => "no passphrase was given".to_owned(),
            Self::OtherWallet { found, expected } => {
                format!("the Trezor opened wallet {found}, not {expected}, which was added")
            }
            Self::Refused => "refused on the Trezor".to_owned(),
            Self::Late { wait_s } => format!("no answer within {wait_s} s"),
            Self::Failed { code, message } => failure_words(*code, message),
            Self::Misbehaved { what } => what.clone(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            // Locked since its start a newer one is on no cable (trezor-firmware, `core/src/main.py`).
            Self::NotThere { .. } => {
                "plug it in and unlock it, before which newer ones are not there; its emulator is \
                 named by --path udp:127.0.0.1:21324"
            }
            Self::Busy => "close Trezor Suite, its bridge and other programs that use it",
            Self::Forbidden { .. } => {
                "lay 70-keystead-trezor.rules (or Trezor's own rules) in /etc/udev/rules.d, and plug it \
                 in again"
            }
            Self::Gone { .. } => "plug it in again, and ask once more",
            Self::Silent => "unlock it, or unplug it and plug it in again",
            Self::OtherProtocol => {
                "use a Trezor that speaks the first protocol (One, T, Safe 3, Safe 5)"
            }
            Self::InBootloader => "unplug it, and plug it in again without touching it",
            Self::NotInitialized => "set it up with Trezor Suite: a new seed, or your words",
            Self::CannotSignIdentities | Self::TooOld { .. } => {
                "update its firmware with Trezor Suite"
            }
            Self::TooLong { .. } => {
                "choose a shorter identity; newer models (T, Safe) have no such limit"
            }
            Self::ChallengeTooLong { .. } => {
                "hash it first (signify: --prehash), or use a newer model; an RSA host key \
                 makes ssh's logins long: have the host use its Ed25519 key"
            }
            Self::NotForThis { .. } | Self::NoIdentity => "use the key that was made for it",
            Self::WrongPin => {
                "try again; each wrong PIN makes the next wait longer, and 16 wipe the device"
            }
            Self::PinCancelled | Self::PassphraseCancelled => {
                "ask again, and answer; `keystead keeper unlock` asks at once"
            }
            Self::OtherWallet { .. } => {
                "another passphrase is another wallet: ask again, and type that of the one added"
            }
            Self::Refused => "press the other button to confirm",
            Self::Late { .. } => "confirm on the device",
            Self::Failed { .. } => "see what the device shows; an update of its firmware may help",
            Self::Misbehaved { .. } => "do not trust this device until you know why",
        }
    }
}

/// What a device takes of an identity and of what it signs.
///
/// # Errors
/// The first limit that does not hold.
pub(super) fn check_limits(
    features: &Features,
    parts: &DeviceIdentity,
    challenge_bytes: usize,
) -> Result<(), Fault> {
    let bytes_max = challenge_bytes_max(features);
    if challenge_bytes > bytes_max {
        return Err(Fault::ChallengeTooLong {
            bytes: challenge_bytes,
            bytes_max,
        });
    }
    if !features.is_first_model() {
        return Ok(());
    }
    for ((part, text), bytes_max) in parts.named().into_iter().zip(FIRST_MODEL_BYTES_MAX) {
        let bytes = text.len();
        if bytes > bytes_max {
            return Err(Fault::TooLong {
                part,
                bytes,
                bytes_max,
            });
        }
    }
    Ok(())
}

const fn challenge_bytes_max(features: &Features) -> usize {
    match features.version {
        (1, 0..12, _) => 256,
        (1, ..) => 512,
        _ => CHALLENGE_BYTES_MAX,
    }
}

/// Whether the firmware is one that can be asked at all.
///
/// # Errors
/// Why not.
pub(super) fn check_device(features: &Features) -> Result<(), Fault> {
    if features.is_in_bootloader {
        return Err(Fault::InBootloader);
    }
    if features.is_initialized == Some(false) {
        return Err(Fault::NotInitialized);
    }
    if features.can_sign_identities == Some(false) {
        return Err(Fault::CannotSignIdentities);
    }
    if features.version < VERSION_MIN {
        let version = features.version;
        return Err(Fault::TooOld { version });
    }
    Ok(())
}

fn failure_words(code: Option<u32>, message: &str) -> String {
    // `FailureType` of messages-common.proto.
    let words = match code {
        Some(1) => "the Trezor did not expect this message",
        Some(2) => "the Trezor waits for its button",
        Some(3) => "the Trezor refuses these bytes",
        Some(8) => "the Trezor found a signature false",
        Some(9) => "the Trezor could not do it",
        Some(10) => "the Trezor knows of too few coins",
        Some(12) => "the PINs differ",
        Some(13) => "the wipe codes differ",
        Some(14 | 16) => "the Trezor has forgotten the session",
        Some(15 | 19) => "the Trezor is in the middle of something of its own",
        Some(99) => "the Trezor's firmware failed",
        _ => "the Trezor says no, for a reason that is not known here",
    };
    if message.is_empty() {
        words.to_owned()
    } else {
        format!("{words}: {message}")
    }
}

/// Of user, host, port and path: what the first model's `messages-crypto.options` leave beside
/// the end of the text.
const FIRST_MODEL_BYTES_MAX: [usize; 4] = [63, 63, 5, 255];

/// 6,144 bytes: with an identity of 1,024 and the rest of a message below what the newer
/// devices read (8,192).
const CHALLENGE_BYTES_MAX: usize = 6_144;

/// 1.4.0, as trezor-agent wants: before it a point of Curve25519 was another's.
const VERSION_MIN: (u32, u32, u32) = (1, 4, 0);

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_core::{Curve, Derivation, Identity};

    fn features(version: (u32, u32, u32)) -> Features {
        Features {
            version,
            is_initialized: Some(true),
            ..Features::default()
        }
    }

    #[test]
    fn limits_of_models() {
        #[track_caller]
        fn check(version: (u32, u32, u32), uri: &str, challenge: usize, expected: Option<&str>) {
            let identity = Identity::new(uri, Curve::Ed25519, 0, Derivation::Sign).unwrap();
            let parts = DeviceIdentity::of(&identity);
            let found = check_limits(&features(version), &parts, challenge);
            assert_eq!(found.err().map(|it| it.words()).as_deref(), expected);
        }
        let host = |length: usize| format!("ssh://a@{}", "h".repeat(length));
        check((1, 12, 1), &host(63), 512, None);
        check(
            (1, 12, 1),
            &host(64),
            512,
            Some("this Trezor takes 63 characters of a host, the identity's has 64"),
        );
        check((2, 6, 0), &host(900), 6_144, None);
        check(
            (1, 12, 1),
            "ssh://a@b",
            513,
            Some("this Trezor signs 512 bytes at most, these are 513"),
        );
        check((1, 11, 2), "ssh://a@b", 256, None);
        check(
            (1, 11, 2),
            "ssh://a@b",
            257,
            Some("this Trezor signs 256 bytes at most, these are 257"),
        );
        check(
            (2, 6, 0),
            "ssh://a@b",
            6_145,
            Some("this Trezor signs 6144 bytes at most, these are 6145"),
        );
        check(
            (1, 12, 1),
            "ssh://a@b:123456",
            0,
            Some("this Trezor takes 5 characters of a port, the identity's has 6"),
        );
        check(
            (1, 12, 1),
            &format!("ssh://{}@b", "u".repeat(64)),
            0,
            Some("this Trezor takes 63 characters of a user, the identity's has 64"),
        );
    }

    #[test]
    fn the_rules_that_are_named_are_there() {
        let why = "denied".to_owned();
        let hint = Fault::Forbidden { why }.hint();
        assert!(hint.contains("70-keystead-trezor.rules"), "{hint}");
        let rules = include_str!("../../../../packaging/70-keystead-trezor.rules");
        for (vendor, product) in [("534c", "0001"), ("1209", "53c0"), ("1209", "53c1")] {
            let its = format!("{{idVendor}}==\"{vendor}\", ATTR{{idProduct}}==\"{product}\"");
            assert!(rules.contains(&its), "{its}");
        }
    }

    #[test]
    fn devices_that_cannot_be_asked() {
        let check = |features: Features, expected: Option<Fault>| {
            assert_eq!(check_device(&features).err(), expected);
        };
        let good = || features((1, 12, 1));
        check(good(), None);
        check(features((2, 0, 0)), None);
        let in_loader = Features {
            is_in_bootloader: true,
            ..good()
        };
        check(in_loader, Some(Fault::InBootloader));
        let empty = Features {
            is_initialized: Some(false),
            ..good()
        };
        check(empty, Some(Fault::NotInitialized));
        let silent = Features {
            is_initialized: None,
            ..good()
        };
        check(silent, None);
        let other = Features {
            can_sign_identities: Some(false),
            ..good()
        };
        check(other, Some(Fault::CannotSignIdentities));
        let version = (1, 3, 9);
        check(features(version), Some(Fault::TooOld { version }));
    }

    #[test]
    fn failures_in_words() {
        let words = |code| Fault::of_failure(code, "Text".to_owned()).words();
        assert_eq!(words(Some(4)), "refused on the Trezor");
        assert_eq!(words(Some(6)), "no PIN was given");
        assert_eq!(words(Some(7)), "the PIN was wrong");
        assert_eq!(words(Some(11)), "the Trezor is not set up: it has no seed");
        assert_eq!(words(Some(99)), "the Trezor's firmware failed: Text");
        for code in (0..=20).chain([99, 4_000]).map(Some).chain([None]) {
            assert!(!words(code).is_empty());
        }
        let unknown = Fault::of_failure(Some(1_234), String::new());
        assert_eq!(
            unknown.words(),
            "the Trezor says no, for a reason that is not known here"
        );
    }
}
