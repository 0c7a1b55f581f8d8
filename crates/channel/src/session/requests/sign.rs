//! Methods 12 and 13: signatures, and approvals that they wait for.
//!
//! **Invariant**: which fields a signature has follows from its purpose; the server
//! builds SSH bytes from them, so nothing that was not declared is signed.

use super::policy::{NAMESPACE_BYTES_MAX, USER_BYTES_MAX};
use crate::session::fields::{Message, Octets, Text, Value, message, numbers};
use crate::session::ids::{ApproverId, KeyId};
use crate::wire::{Fault, Fields, Reader, Writer};

/// Method 12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// With which key.
    pub key: KeyId,
    /// What for, with what that purpose needs.
    pub fields: SignFields,
}

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignFields {
    /// An SSH login.
    SshLogin(SshLogin),
    /// An SSHSIG.
    SshSig(SshSig),
    /// An OpenPGP digest; the text is not proved.
    OpenPgp(OpenPgp),
    /// Bytes, hashed as named.
    Message(Bytes, DigestName),
    /// A digest.
    Digest(Bytes),
}

impl SignFields {
    /// The purpose that they belong to.
    #[must_use]
    pub fn purpose(&self) -> SignPurpose {
        match self {
            Self::SshLogin(_) => SignPurpose::SshLogin,
            Self::SshSig(_) => SignPurpose::SshSig,
            Self::OpenPgp(_) => SignPurpose::OpenPgp,
            Self::Message(..) => SignPurpose::Message,
            Self::Digest(_) => SignPurpose::Digest,
        }
    }
}

impl Message for Sign {
    fn count(&self) -> usize {
        match &self.fields {
            SignFields::Message(..) => 4,
            SignFields::SshLogin(_)
            | SignFields::SshSig(_)
            | SignFields::OpenPgp(_)
            | SignFields::Digest(_) => 3,
        }
    }

    fn write_fields(&self, writer: &mut Writer) {
        self.key.write(writer.key(1));
        self.fields.purpose().write(writer.key(2));
        writer.key(3);
        match &self.fields {
            SignFields::SshLogin(fields) => fields.write(writer),
            SignFields::SshSig(fields) => fields.write(writer),
            SignFields::OpenPgp(fields) => fields.write(writer),
            SignFields::Message(fields, digest) => {
                fields.write(writer);
                digest.write(writer.key(4));
            }
            SignFields::Digest(fields) => fields.write(writer),
        }
    }

    fn read_fields(fields: &mut Fields, reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let key = KeyId::take(fields, reader, 1)?;
        let purpose = SignPurpose::take(fields, reader, 2)?;
        let fields = match purpose {
            SignPurpose::SshLogin => SignFields::SshLogin(Value::take(fields, reader, 3)?),
            SignPurpose::SshSig => SignFields::SshSig(Value::take(fields, reader, 3)?),
            SignPurpose::OpenPgp => SignFields::OpenPgp(Value::take(fields, reader, 3)?),
            SignPurpose::Message => {
                let bytes = Value::take(fields, reader, 3)?;
                SignFields::Message(bytes, Value::take(fields, reader, 4)?)
            }
            SignPurpose::Digest => SignFields::Digest(Value::take(fields, reader, 3)?),
        };
        Ok(Self { key, fields })
    }

    fn room_of_fields(&self) -> usize {
        match &self.fields {
            SignFields::SshLogin(fields) => fields.room(),
            SignFields::SshSig(fields) => fields.room(),
            SignFields::OpenPgp(fields) => fields.room(),
            SignFields::Message(fields, _) | SignFields::Digest(fields) => fields.room(),
        }
    }
}

message! {
    /// Purpose 1: `userauth` request of RFC 4252 section 7.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SshLogin {
        /// Of the SSH connection.
        1 session: Octets<SSH_SESSION_BYTES_MAX>,
        /// The account there.
        2 user: Text<USER_BYTES_MAX>,
        /// Of the signature.
        3 algorithm: Text<ALGORITHM_BYTES_MAX>,
        /// Its blob; a certificate's too.
        4 public_key: Octets<BLOB_BYTES_MAX>,
        /// Makes it `publickey-hostbound-v00@openssh.com`; without it the destination
        /// is not proved.
        5 host_key: Option<Octets<BLOB_BYTES_MAX>>,
    }
}

message! {
    /// Purpose 2 (OpenSSH PROTOCOL.sshsig).
    #[derive(Clone, Debug, PartialEq, Eq)]
    SshSig {
        /// What the signature is for.
        1 namespace: Text<NAMESPACE_BYTES_MAX>,
        /// sha256 or sha512.
        2 hash_name: Text<ALGORITHM_BYTES_MAX>,
        /// Of the message.
        3 hash: Octets<64>,
    }
}

message! {
    /// Purpose 3 (RFC 9580 section 9.5).
    #[derive(Clone, Debug, PartialEq, Eq)]
    OpenPgp {
        /// The hash algorithm's id.
        1 hash: u32,
        /// The digest.
        2 digest: Octets<64>,
    }
}

message! {
    /// Purposes 4 and 5.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Bytes {
        /// What is signed, or its digest.
        1 bytes: Octets<65_536>,
    }
}

numbers! {
    /// What a signature is for.
    SignPurpose {
        /// An SSH login.
        SshLogin = 1,
        /// An SSHSIG.
        SshSig = 2,
        /// An OpenPGP signature.
        OpenPgp = 3,
        /// A message.
        Message = 4,
        /// A digest.
        Digest = 5,
    }
}

numbers! {
    /// How a message is hashed before it is signed.
    DigestName {
        /// It is not.
        None = 0,
        /// SHA-256.
        Sha256 = 1,
        /// SHA-384.
        Sha384 = 2,
        /// SHA-512.
        Sha512 = 3,
        /// Keccak-256.
        Keccak256 = 4,
    }
}

message! {
    /// The result of method 12.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Signed {
        /// Raw: Ed25519, r ‖ s, or PKCS#1 v1.5.
        0 signature: Octets<1_024>,
    }
}

message! {
    /// Method 13.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Approve {
        /// The request that waits.
        1 sub: u64,
        /// Who approves.
        2 approver: ApproverId,
        /// Over the text that came with status *waiting*.
        3 signature: [u8; 64],
    }
}

/// 64 bytes: the longest exchange hash in use (RFC 4253 section 7.2, SHA-512).
const SSH_SESSION_BYTES_MAX: usize = 64;

/// 64 bytes: the name of an algorithm (RFC 4251 section 6).
const ALGORITHM_BYTES_MAX: usize = 64;

/// 16,384 bytes: a public key or certificate.
const BLOB_BYTES_MAX: usize = 16_384;
