//! `secret …`

use clap::{Args, Subcommand, ValueEnum};

use super::{At, Input, Output};

#[derive(Subcommand)]
pub(crate) enum Secret {
    Generate(Generate),
    Import(Import),
    Store(Store),
    Retrieve(Retrieve),
    Export(Export),
    List(List),
    Show(Show),
    Rename(Rename),
    Delete(Delete),
    LocalStore(LocalStore),
}

/// Make a secret here; the server keeps it sealed, and cannot open it.
#[derive(Args)]
pub(crate) struct Generate {
    /// What to call it.
    pub(crate) name: String,
    /// What it is.
    #[arg(long = "type", value_name = "TYPE", default_value = "arbitrary")]
    pub(crate) kind: What,
    /// Length of an arbitrary one.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) bytes: u32,
    /// Length of an RSA key: 3072 or 4096.
    #[arg(long, value_name = "N", default_value_t = 3072, value_parser = rsa_bits)]
    pub(crate) bits: u32,
    /// The server makes it, and knows it: bytes alone. `keystead key new --keeper` makes keys there.
    #[arg(long, conflicts_with_all = ["local_copy", "kind", "bits"])]
    pub(crate) remote: bool,
    /// It replaces this one, by name or id.
    #[arg(long, value_name = "SECRET")]
    pub(crate) replaces: Option<String>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Bring a key that was made elsewhere: OpenSSH, PKCS#8, PEM or raw.
#[derive(Args)]
pub(crate) struct Import {
    /// What to call it.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) input: Input,
    /// What it is, where the bytes do not say so: raw ones are arbitrary without a word.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<What>,
    /// It is in the portable form that `export --form portable` writes.
    #[arg(long)]
    pub(crate) portable: bool,
    /// The server knows it: nothing is sealed.
    #[arg(long, conflicts_with = "local_copy")]
    pub(crate) server_only: bool,
    /// It replaces this one, by name or id.
    #[arg(long, value_name = "SECRET")]
    pub(crate) replaces: Option<String>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Keep bytes that exist already, such as a passphrase or a token.
#[derive(Args)]
pub(crate) struct Store {
    /// What to call it.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) input: Input,
    /// Keep it on this machine alone: no server learns of it.
    #[arg(long, conflicts_with_all = ["local_copy", "server", "replaces"])]
    pub(crate) local_only: bool,
    /// It replaces this one, by name or id.
    #[arg(long, value_name = "SECRET")]
    pub(crate) replaces: Option<String>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Whether a copy stays here.
#[derive(Args)]
pub(crate) struct Keep {
    /// Keep a copy on this machine too, sealed; see `local-store`.
    #[arg(long)]
    pub(crate) local_copy: bool,
}

/// Read a secret, to use it here.
///
/// A copy on this machine answers first; else the server is asked, and writes it into the log.
#[derive(Args)]
pub(crate) struct Retrieve {
    /// Its name or id.
    pub(crate) secret: String,
    /// What for.
    #[arg(long, value_name = "USE", default_value = "local")]
    pub(crate) intent: Use,
    /// Ask the server even if there is a copy here.
    #[arg(long)]
    pub(crate) from_server: bool,
    #[command(flatten)]
    pub(crate) keep: Keep,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Read a secret in a form that other programs take; the server logs that it left.
#[derive(Args)]
pub(crate) struct Export {
    /// Its name or id.
    pub(crate) secret: String,
    /// The form.
    #[arg(long, default_value = "standard")]
    pub(crate) form: Form,
    /// Refuse it unless it is of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<What>,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) at: At,
}

/// List the secrets.
///
/// Without a session it tells what this machine knows, and asks for nothing.
#[derive(Args)]
pub(crate) struct List {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask the server even if that takes the password.
    #[arg(long)]
    pub(crate) refresh: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Show what is known of a secret, and not the secret.
#[derive(Args)]
pub(crate) struct Show {
    /// Its name or id.
    pub(crate) secret: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Give a secret another name.
#[derive(Args)]
pub(crate) struct Rename {
    /// Its name now, or its id.
    pub(crate) secret: String,
    /// Its name from now on.
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Delete a secret: at the server, and the copy that is here.
///
/// Backups of the server lose it when they expire.
#[derive(Args)]
pub(crate) struct Delete {
    /// Its name or id.
    pub(crate) secret: String,
    /// Only the copy on this machine.
    #[arg(long)]
    pub(crate) local_copy: bool,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Set up how copies on this machine are opened: by a passphrase, by a paired authenticator, or
/// by either. No server is needed for it.
#[derive(Args)]
pub(crate) struct LocalStore {
    /// A paired authenticator that shall open them, too.
    #[arg(long, value_name = "KEEPER")]
    pub(crate) authenticator: Option<String>,
    /// Change the passphrase.
    #[arg(long)]
    pub(crate) change: bool,
    /// Read the passphrase from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Read the new passphrase from this descriptor, behind the old one: one line.
    #[arg(long, value_name = "N")]
    pub(crate) new_passphrase_fd: Option<u32>,
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Any bytes.
    Arbitrary,
    /// An Ed25519 key.
    Ed25519,
    /// An ECDSA key on NIST P-256.
    P256,
    /// An ECDSA key on secp256k1.
    Secp256k1,
    /// An RSA key.
    Rsa,
}

/// What a secret is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Use {
    /// Nothing: the server checks and logs, and gives nothing.
    Null,
    /// Use on this machine.
    Local,
    /// To leave it.
    Export,
}

/// The form that a secret leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// What programs expect: a key as PKCS#8 in PEM, other secrets as their bytes.
    Standard,
    /// OpenSSH's own private-key file.
    Openssh,
    /// PKCS#8 in PEM.
    Pkcs8,
    /// The traditional PEM: PKCS#1 for RSA, SEC 1 for elliptic curves.
    Pem,
    /// The bytes alone: a seed, a scalar, PKCS#1 in DER.
    Raw,
    /// The seeds' portable form: length, key, length, what it was sealed with.
    Portable,
}

fn rsa_bits(text: &str) -> Result<u32, &'static str> {
    match text.parse() {
        Ok(bits @ (3072 | 4096)) => Ok(bits),
        _ => Err("3072 or 4096"),
    }
}
