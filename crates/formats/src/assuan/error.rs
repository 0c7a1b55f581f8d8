//! The error codes that a gpg agent answers with.

/// An error code of libgpg-error (`err-codes.h.in`), without its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(u16);

impl ErrorCode {
    /// `GPG_ERR_GENERAL`.
    pub const GENERAL: Self = Self(1);
    /// `GPG_ERR_PUBKEY_ALGO`: the key cannot do this.
    pub const PUBKEY_ALGO: Self = Self(4);
    /// `GPG_ERR_DIGEST_ALGO`.
    pub const DIGEST_ALGO: Self = Self(5);
    /// `GPG_ERR_BAD_PASSPHRASE`.
    pub const BAD_PASSPHRASE: Self = Self(11);
    /// `GPG_ERR_NO_SECKEY`: no keeper has this key.
    pub const NO_SECKEY: Self = Self(17);
    /// `GPG_ERR_NOT_FOUND`.
    pub const NOT_FOUND: Self = Self(27);
    /// `GPG_ERR_SYNTAX`.
    pub const SYNTAX: Self = Self(29);
    /// `GPG_ERR_INV_ARG`.
    pub const INV_ARG: Self = Self(45);
    /// `GPG_ERR_INV_VALUE`.
    pub const INV_VALUE: Self = Self(55);
    /// `GPG_ERR_NO_DATA`.
    pub const NO_DATA: Self = Self(58);
    /// `GPG_ERR_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(60);
    /// `GPG_ERR_TIMEOUT`: nobody answered.
    pub const TIMEOUT: Self = Self(62);
    /// `GPG_ERR_INTERNAL`.
    pub const INTERNAL: Self = Self(63);
    /// `GPG_ERR_TOO_LARGE`.
    pub const TOO_LARGE: Self = Self(67);
    /// `GPG_ERR_NOT_IMPLEMENTED`.
    pub const NOT_IMPLEMENTED: Self = Self(69);
    /// `GPG_ERR_CONFLICT`.
    pub const CONFLICT: Self = Self(70);
    /// `GPG_ERR_INV_RESPONSE`.
    pub const INV_RESPONSE: Self = Self(76);
    /// `GPG_ERR_NO_AGENT`: the agent behind this one is not there.
    pub const NO_AGENT: Self = Self(77);
    /// `GPG_ERR_AGENT`.
    pub const AGENT: Self = Self(78);
    /// `GPG_ERR_INV_DATA`.
    pub const INV_DATA: Self = Self(79);
    /// `GPG_ERR_INV_SEXP`.
    pub const INV_SEXP: Self = Self(83);
    /// `GPG_ERR_UNSUPPORTED_ALGORITHM`.
    pub const UNSUPPORTED_ALGORITHM: Self = Self(84);
    /// `GPG_ERR_NO_PIN_ENTRY`.
    pub const NO_PIN_ENTRY: Self = Self(85);
    /// `GPG_ERR_INV_NAME`.
    pub const INV_NAME: Self = Self(88);
    /// `GPG_ERR_BAD_DATA`.
    pub const BAD_DATA: Self = Self(89);
    /// `GPG_ERR_CANCELED`: the holder refused.
    pub const CANCELED: Self = Self(99);
    /// `GPG_ERR_CARD_NOT_PRESENT`.
    pub const CARD_NOT_PRESENT: Self = Self(112);
    /// `GPG_ERR_NOT_CONFIRMED`.
    pub const NOT_CONFIRMED: Self = Self(114);
    /// `GPG_ERR_NO_SCDAEMON`.
    pub const NO_SCDAEMON: Self = Self(119);
    /// `GPG_ERR_UNSUPPORTED_OPERATION`.
    pub const UNSUPPORTED_OPERATION: Self = Self(124);
    /// `GPG_ERR_WRONG_KEY_USAGE`.
    pub const WRONG_KEY_USAGE: Self = Self(125);
    /// `GPG_ERR_MISSING_VALUE`.
    pub const MISSING_VALUE: Self = Self(128);
    /// `GPG_ERR_INV_ID`.
    pub const INV_ID: Self = Self(118);
    /// `GPG_ERR_INV_LENGTH`.
    pub const INV_LENGTH: Self = Self(139);
    /// `GPG_ERR_DECRYPT_FAILED`.
    pub const DECRYPT_FAILED: Self = Self(152);
    /// `GPG_ERR_UNKNOWN_OPTION`.
    pub const UNKNOWN_OPTION: Self = Self(174);
    /// `GPG_ERR_LIMIT_REACHED`.
    pub const LIMIT_REACHED: Self = Self(183);
    /// `GPG_ERR_FULLY_CANCELED`: refused for the whole of what gpg does.
    pub const FULLY_CANCELED: Self = Self(198);
    /// `GPG_ERR_FORBIDDEN`: a policy says no.
    pub const FORBIDDEN: Self = Self(251);
    /// `GPG_ERR_ASS_LINE_TOO_LONG`.
    pub const ASS_LINE_TOO_LONG: Self = Self(263);
    /// `GPG_ERR_ASS_TOO_MUCH_DATA`.
    pub const ASS_TOO_MUCH_DATA: Self = Self(273);
    /// `GPG_ERR_ASS_UNEXPECTED_CMD`.
    pub const ASS_UNEXPECTED_CMD: Self = Self(274);
    /// `GPG_ERR_ASS_UNKNOWN_CMD`.
    pub const ASS_UNKNOWN_CMD: Self = Self(275);
    /// `GPG_ERR_ASS_SYNTAX`.
    pub const ASS_SYNTAX: Self = Self(276);
    /// `GPG_ERR_ASS_CANCELED`.
    pub const ASS_CANCELED: Self = Self(277);
    /// `GPG_ERR_ASS_PARAMETER`.
    pub const ASS_PARAMETER: Self = Self(280);
    /// `GPG_ERR_ASS_UNKNOWN_INQUIRE`.
    pub const ASS_UNKNOWN_INQUIRE: Self = Self(281);

    /// The code in an answer of another program; the source is dropped.
    #[must_use]
    pub const fn of_wire(value: u32) -> Self {
        let [_, _, high, low] = value.to_be_bytes();
        Self(u16::from_be_bytes([high, low]))
    }

    /// The code with the agent as its source, as it stands in an `ERR` line.
    #[must_use]
    pub fn wire(self) -> u32 {
        (SOURCE_AGENT << SOURCE_SHIFT) | u32::from(self.0)
    }

    /// What libgpg-error calls it, for the text behind the number.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PUBKEY_ALGO => "Invalid public key algorithm",
            Self::DIGEST_ALGO => "Invalid digest algorithm",
            Self::BAD_PASSPHRASE => "Bad passphrase",
            Self::NO_SECKEY => "No secret key",
            Self::NOT_FOUND => "Not found",
            Self::SYNTAX => "Syntax error",
            Self::INV_ARG => "Invalid argument",
            Self::INV_VALUE => "Invalid value",
            Self::NO_DATA => "No data",
            Self::NOT_SUPPORTED => "Not supported",
            Self::TIMEOUT => "Timeout",
            Self::INTERNAL => "Internal error",
            Self::TOO_LARGE => "Provided object is too large",
            Self::NOT_IMPLEMENTED => "Not implemented",
            Self::CONFLICT => "Conflicting use",
            Self::INV_RESPONSE => "Invalid response",
            Self::NO_AGENT => "No agent running",
            Self::AGENT => "Agent error",
            Self::INV_DATA => "Invalid data",
            Self::INV_SEXP => "Invalid S-expression",
            Self::UNSUPPORTED_ALGORITHM => "Unsupported algorithm",
            Self::NO_PIN_ENTRY => "No pinentry",
            Self::INV_NAME => "Invalid name",
            Self::BAD_DATA => "Bad data",
            Self::CANCELED => "Operation cancelled",
            Self::CARD_NOT_PRESENT => "Card not present",
            Self::NOT_CONFIRMED => "Not confirmed",
            Self::INV_ID => "Invalid ID",
            Self::NO_SCDAEMON => "No SmartCard daemon",
            Self::UNSUPPORTED_OPERATION => "Unsupported operation",
            Self::WRONG_KEY_USAGE => "Wrong key usage",
            Self::MISSING_VALUE => "Missing value",
            Self::INV_LENGTH => "Invalid length",
            Self::DECRYPT_FAILED => "Decryption failed",
            Self::UNKNOWN_OPTION => "Unknown option",
            Self::LIMIT_REACHED => "Limit reached",
            Self::FULLY_CANCELED => "Operation fully cancelled",
            Self::FORBIDDEN => "Forbidden",
            Self::ASS_LINE_TOO_LONG => "Line passed to IPC too long",
            Self::ASS_TOO_MUCH_DATA => "Too much data for IPC layer",
            Self::ASS_UNEXPECTED_CMD => "Unexpected IPC command",
            Self::ASS_UNKNOWN_CMD => "Unknown IPC command",
            Self::ASS_SYNTAX => "IPC syntax error",
            Self::ASS_CANCELED => "IPC call has been cancelled",
            Self::ASS_PARAMETER => "IPC parameter error",
            Self::ASS_UNKNOWN_INQUIRE => "Unknown IPC inquire",
            _ => "General error",
        }
    }
}

/// `GPG_ERR_SOURCE_GPGAGENT` (libgpg-error, `err-sources.h.in`).
const SOURCE_AGENT: u32 = 4;
/// `GPG_ERR_SOURCE_SHIFT` (libgpg-error, `gpg-error.h`).
const SOURCE_SHIFT: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that gpg-agent 2.2.40 answers with.
    #[test]
    fn numbers_of_a_real_agent() {
        let check = |code: ErrorCode, wire: u32| {
            assert_eq!(code.wire(), wire, "{}", code.text());
            assert_eq!(ErrorCode::of_wire(wire), code);
        };
        check(ErrorCode::ASS_UNKNOWN_CMD, 67_109_139);
        check(ErrorCode::NO_SECKEY, 67_108_881);
        check(ErrorCode::CANCELED, 67_108_963);
        check(ErrorCode::ASS_PARAMETER, 67_109_144);
        check(ErrorCode::NO_DATA, 67_108_922);
    }
}
