//! What both sides can agree on above the base profile (`spec/curve.md`
//! section 5), and the floor under what they may agree on.
//!
//! **Invariant**: a [`Profile`] holds nothing whose need is not in it too.

use super::frame::ListAllowed;
use super::refusal::Refusal;

/// The extensions of the stream transport that this version speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// The client's key is proved against this very handshake.
    Bind,
    /// Traffic keys are replaced as they age.
    Rekey,
    /// Messages have one of five lengths.
    Pad,
    /// Messages are sealed by an algorithm of today's TLS.
    Aead,
}

impl Extension {
    /// Every one, ascending by id, which is their order in a list.
    pub const ALL: [Self; 4] = [Self::Bind, Self::Rekey, Self::Pad, Self::Aead];

    /// The id on the wire.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Bind => 1,
            Self::Rekey => 3,
            Self::Pad => 6,
            Self::Aead => 9,
        }
    }

    /// The extension of an id, if this version speaks it.
    #[must_use]
    pub fn of(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.id() == id)
    }

    /// What must be chosen with it.
    const fn needs(self) -> ExtensionSet {
        match self {
            Self::Bind | Self::Pad => ExtensionSet::NONE,
            Self::Rekey | Self::Aead => ExtensionSet::NONE.with(Self::Bind),
        }
    }
}

/// Some of the extensions: what is wanted, what was chosen, or a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ExtensionSet(u16);

impl ExtensionSet {
    /// None: as a floor, the base profile will do.
    pub const NONE: Self = Self(0);

    /// The floor of a pairing (`spec/pairing.md` section 2.3).
    pub const PAIRING: Self = Self::NONE.with(Extension::Bind).with(Extension::Pad);

    /// This set and `extension`.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | Self::bit(extension))
    }

    /// This set but `extension`.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Self {
        Self(self.0 & !Self::bit(extension))
    }

    /// Whether `extension` is in it.
    #[must_use]
    pub const fn has(self, extension: Extension) -> bool {
        self.0 & Self::bit(extension) != 0
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either: a floor joined by what was agreed.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether each extension in it has what it needs.
    pub(super) fn is_closed(self) -> bool {
        Extension::ALL
            .into_iter()
            .filter(|extension| self.has(*extension))
            .all(|extension| self.has_all(extension.needs()))
    }

    const fn bit(extension: Extension) -> u16 {
        1 << extension.id()
    }
}

/// The algorithms of `aead`, by number (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aead {
    /// AES-256-GCM (NIST SP 800-38D).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl Aead {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    /// The algorithm of a number, if this version has it.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// What this machine does well, best first: AES only by the processor's
    /// own instructions, for tables leak keys through the cache.
    #[must_use]
    pub fn of_this_machine() -> Vec<Self> {
        let mut algorithms = Vec::with_capacity(2);
        if has_aes_instructions() {
            algorithms.push(Self::Aes256Gcm);
        }
        algorithms.push(Self::ChaCha20Poly1305);
        algorithms
    }
}

/// What one side offers (client) or takes (server).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The base profile: no list is sent and none is taken.
    Strict,
    /// Lists are spoken.
    Listed {
        /// The extensions wanted.
        extensions: ExtensionSet,
        /// For `aead`, best first.
        aeads: Vec<Aead>,
    },
}

impl Offer {
    /// The extensions that are on by default: `bind`, `rekey`, `aead`.
    #[must_use]
    pub fn standard() -> Self {
        Self::Listed {
            extensions: ExtensionSet::NONE
                .with(Extension::Bind)
                .with(Extension::Rekey)
                .with(Extension::Aead),
            aeads: Aead::of_this_machine(),
        }
    }

    /// What a pairing's channels offer: the default and `pad`.
    #[must_use]
    pub fn pairing() -> Self {
        Self::standard().with(Extension::Pad)
    }

    /// Offers `extension` too. A strict offer stays strict.
    #[must_use]
    pub fn with(self, extension: Extension) -> Self {
        match self {
            Self::Strict => Self::Strict,
            Self::Listed { extensions, aeads } => Self::Listed {
                extensions: extensions.with(extension),
                aeads,
            },
        }
    }

    /// Whether this offer could lead to a profile that has all of `floor`.
    pub(super) fn check_floor(&self, floor: ExtensionSet) -> Result<(), Refusal> {
        if self.extensions().has_all(floor) {
            Ok(())
        } else {
            Err(Refusal::Downgrade)
        }
    }

    /// What of it can be said: an extension without what it needs cannot.
    pub(super) fn extensions(&self) -> ExtensionSet {
        match self {
            Self::Strict => ExtensionSet::NONE,
            Self::Listed { extensions, aeads } => {
                let usable = if aeads.is_empty() {
                    extensions.without(Extension::Aead)
                } else {
                    *extensions
                };
                closed_part(usable)
            }
        }
    }

    /// Whether a list may stand in the frames of this side's peer.
    pub(super) const fn list_allowed(&self) -> ListAllowed {
        match self {
            Self::Strict => ListAllowed::No,
            Self::Listed { .. } => ListAllowed::Yes,
        }
    }

    pub(super) fn aeads(&self) -> &[Aead] {
        match self {
            Self::Strict => &[],
            Self::Listed { aeads, .. } => aeads,
        }
    }
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Profile {
    pub(super) extensions: ExtensionSet,
    /// Set exactly where `extensions` has `aead`.
    pub(super) aead: Option<Aead>,
}

impl Profile {
    /// The extensions chosen.
    #[must_use]
    pub const fn extensions(&self) -> ExtensionSet {
        self.extensions
    }

    /// Whether `extension` was chosen.
    #[must_use]
    pub const fn has(&self, extension: Extension) -> bool {
        self.extensions.has(extension)
    }

    /// The algorithm of `aead`, where chosen.
    #[must_use]
    pub const fn aead(&self) -> Option<Aead> {
        self.aead
    }

    /// What joins a peer's floor once agreed: `bind` (section 5, *No way down*).
    #[must_use]
    pub const fn joins_floor(&self) -> ExtensionSet {
        self.extensions
            .and(ExtensionSet::NONE.with(Extension::Bind))
    }

    /// Holds the profile against the floor kept for its peer.
    pub(super) fn check_floor(&self, floor: ExtensionSet) -> Result<(), Refusal> {
        if self.extensions.has_all(floor) {
            Ok(())
        } else {
            Err(Refusal::Downgrade)
        }
    }
}

/// `wanted` without what lacks its need.
pub(super) fn closed_part(wanted: ExtensionSet) -> ExtensionSet {
    Extension::ALL
        .into_iter()
        .filter(|extension| wanted.has(*extension) && wanted.has_all(extension.needs()))
        .fold(ExtensionSet::NONE, ExtensionSet::with)
}

#[cfg(target_arch = "x86_64")]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq")
        && std::arch::is_x86_feature_detected!("ssse3")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_its_need_is_not_said() {
        let wanted = ExtensionSet::NONE
            .with(Extension::Rekey)
            .with(Extension::Pad);
        assert!(!wanted.is_closed());
        assert_eq!(closed_part(wanted), ExtensionSet::NONE.with(Extension::Pad));
        assert!(closed_part(wanted).is_closed());
    }

    #[test]
    fn a_floor_is_held_by_every_extension_in_it() {
        let profile = Profile {
            extensions: ExtensionSet::NONE.with(Extension::Bind),
            aead: None,
        };
        assert_eq!(profile.check_floor(ExtensionSet::NONE), Ok(()));
        assert_eq!(profile.check_floor(profile.joins_floor()), Ok(()));
        assert_eq!(
            profile.check_floor(ExtensionSet::PAIRING),
            Err(Refusal::Downgrade)
        );
    }

    #[test]
    fn who_has_aead_has_chacha() {
        assert!(Aead::of_this_machine().contains(&Aead::ChaCha20Poly1305));
    }
}
