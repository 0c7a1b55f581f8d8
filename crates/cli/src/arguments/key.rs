//! `key …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystead_core::Name;

#[derive(Subcommand)]
pub(crate) enum Key {
    New(NewKey),
    Import(Import),
    /// List them.
    List(ListKeys),
    Show(ShowKey),
    Rotate(RotateKey),
    Rename(RenameKey),
    Sign(SignByKey),
    Delete(DeleteKey),
}

/// Have a keeper make a key. The holder of an authenticator is asked; a key server needs a login.
#[derive(Args)]
pub(crate) struct NewKey {
    /// What to call it.
    #[arg(long)]
    pub(crate) name: Name,
    /// Which kind: ed25519, p256, p384, rsa3072, rsa4096; ed25519-sk and p256-sk, whose
    /// signatures state that the holder said yes to each one; to decrypt x25519, ecdh-p256,
    /// ecdh-secp256k1. At a key server ed25519, p256, secp256k1, rsa3072 or rsa4096 [default:
    /// x25519 to decrypt, else ed25519].
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) key_type: Option<String>,
    /// What it is for: ssh, age, signify, openpgp or openpgp-decrypt; one of them. At a key server
    /// what it may sign: ssh (logins and SSHSIG), or one of ssh-login, sshsig, openpgp, message,
    /// digest.
    #[arg(
        long,
        value_name = "PURPOSE",
        value_delimiter = ',',
        default_value = "ssh"
    )]
    pub(crate) purpose: Vec<String>,
    /// Which keeper: an authenticator, or a key server; needed when there are several.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
}

/// List them.
#[derive(Args)]
pub(crate) struct ListKeys {
    /// All that this key server holds, whatever it signs.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Option<Name>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Have a key server make a new key like this one; the old one stays until it is deleted.
#[derive(Args)]
pub(crate) struct RotateKey {
    /// Its name or id.
    pub(crate) key: String,
    /// Which key server.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Name,
}

/// Give a key of a key server another name.
#[derive(Args)]
pub(crate) struct RenameKey {
    /// Its name now, or its id.
    pub(crate) key: String,
    /// Its name from now on.
    pub(crate) to: Name,
    /// Which key server.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Name,
}

/// Have a key server sign a message, or a digest, with a key that is for it (`key new --purpose`).
///
/// The signature goes to standard output in hexadecimal digits: Ed25519's 64 bytes, r and s, or
/// PKCS#1 v1.5. `key show KEY --keeper SERVER` prints the public key that checks it.
#[derive(Args)]
pub(crate) struct SignByKey {
    /// Its name or id.
    pub(crate) key: String,
    /// The message, 65,536 bytes at most; `-` is standard input.
    #[arg(required_unless_present = "digest")]
    pub(crate) file: Option<PathBuf>,
    /// How the message is hashed before it is signed: sha256, sha384, sha512, keccak256 or none
    /// [default: none for Ed25519, else sha256].
    #[arg(long, value_name = "HASH", requires = "file")]
    pub(crate) hash: Option<String>,
    /// A digest instead, in hexadecimal digits.
    #[arg(long, value_name = "HEX", conflicts_with = "file")]
    pub(crate) digest: Option<String>,
    /// Which key server.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Name,
}

/// Delete a key that a key server holds.
#[derive(Args)]
pub(crate) struct DeleteKey {
    /// Its name or id.
    pub(crate) key: String,
    /// Which key server.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Name,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Give a private key into the custody of a keeper; its holder is asked.
///
/// The file is an OpenSSH or PKCS#8 private key. It is read here as bytes alone, and stays where
/// it is: remove it once the keeper has the key.
#[derive(Args)]
pub(crate) struct Import {
    /// The file; `-` is standard input.
    pub(crate) file: PathBuf,
    /// What to call it there [default: the key's comment, as the keeper finds it].
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// Which keeper: an authenticator, or a key server, which can use it from then on; needed
    /// when there are several.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// At a key server: what it may sign, as `key new` takes it.
    #[arg(long, value_name = "PURPOSE", requires = "keeper")]
    pub(crate) purpose: Option<String>,
    /// Read the file's passphrase from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// At a key server, without a session: read the password from this descriptor: one line.
    #[arg(long, value_name = "N", requires = "keeper")]
    pub(crate) password_fd: Option<u32>,
    /// The keeper forgets the key after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime_s: Option<u32>,
    /// The holder is asked before each use: no grant applies.
    #[arg(long)]
    pub(crate) confirm: bool,
}

/// Print one as a line for authorized_keys.
#[derive(Args)]
pub(crate) struct ShowKey {
    /// Its name, fingerprint or identity; at a key server its name or id.
    pub(crate) key: String,
    /// All that this key server says of it.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: Option<Name>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is asked of a key server that makes a key.
pub(crate) struct ServerKeyNew<'a> {
    pub(crate) name: &'a str,
    pub(crate) key_type: &'a str,
    pub(crate) purposes: &'a [String],
}
