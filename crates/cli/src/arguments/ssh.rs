//! `ssh …`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystead_core::{Curve, Name};

use super::Reading;

#[derive(Subcommand)]
pub(crate) enum Ssh {
    Setup(SshSetup),
    Publish(Publish),
    Connect(Connect),
    Key(IdentityKey),
    ImportIdentities(ImportIdentities),
    /// OpenSSH user certificates: offered to hosts beside the key that they certify.
    #[command(subcommand)]
    Certificate(Certificate),
}

/// Put an IdentityAgent line into ssh's configuration, and print what is written.
#[derive(Args)]
pub(crate) struct SshSetup {
    /// Print the lines, write nothing.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) print: bool,
    /// Take the lines away again: the file is then as it was, byte for byte.
    #[arg(long)]
    pub(crate) undo: bool,
    /// The file [default: ~/.ssh/config].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The agent's socket, if it was started with one.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

/// Put a public key where it is to be accepted.
///
/// On a host, it is added to ~/.ssh/authorized_keys over ssh, with the access that you have. At
/// github and gitlab their own programs `gh` and `glab` add it; without them the key is printed
/// and the page to paste it into is opened.
#[derive(Args)]
pub(crate) struct Publish {
    /// `user@host` (or a name of ssh's configuration, or ssh://user@host:port), `github`, or
    /// `gitlab`.
    pub(crate) to: PublishTo,
    /// Which key, by name or fingerprint; needed when there are several.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// The host's port.
    #[arg(long, short, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// At github and gitlab: as a key that signs commits, rather than one that logs in.
    #[arg(long)]
    pub(crate) signing: bool,
    /// Print the key and what would be done, do nothing.
    #[arg(long)]
    pub(crate) print: bool,
}

/// Log in with the key that a wallet derives for just this host.
///
/// ssh is told to use that key alone. What the key is derived from is the text as it stands here:
/// host, host:22 and HOST are three keys, as they are for trezor-agent.
#[derive(Args)]
pub(crate) struct Connect {
    #[command(flatten)]
    pub(crate) key: IdentityOptions,
    /// `[user@]host[:port]`, with or without ssh:// in front.
    pub(crate) to: String,
    /// For ssh, behind the host: a command, or options and a command.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

/// Print the public key that a wallet derives for an identity, as a line of authorized_keys.
#[derive(Args)]
pub(crate) struct IdentityKey {
    #[command(flatten)]
    pub(crate) key: IdentityOptions,
    /// `[user@]host[:port]`, with or without ssh:// in front.
    #[arg(value_name = "IDENTITY")]
    pub(crate) text: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which key of an identity.
#[derive(Args)]
pub(crate) struct IdentityOptions {
    /// Which key of this text.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) index: u32,
    /// nist256p1 or ed25519 [default: wallet.curve of config.toml, else nist256p1].
    #[arg(long)]
    pub(crate) curve: Option<Curve>,
    /// First bring the text into its canonical form: the host in small letters and punycode, no
    /// port where it is 22. That is another key.
    #[arg(long)]
    pub(crate) canonical: bool,
    /// Whose wallet, or its fingerprint; remembered for this identity.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
}

/// Take over the identities of trezor-agent: its identity file, or public keys that it exported.
///
/// They come into identities.toml of the configuration folder (~/.config/keystead/agent), so that
/// ssh alone is offered their keys at their hosts.
///
/// Each `[[identity]]` there has a `host` ("db1", "alex@*.example.org": patterns as ssh's) and, as
/// wanted, `identity` (the text that is derived from, else each login's own), `curve`, `index` and
/// `keeper`.
#[derive(Args)]
pub(crate) struct ImportIdentities {
    /// A file with `<ssh://user@host|curve>` in its lines; `-` is standard input.
    pub(crate) file: PathBuf,
    /// Print the lines, write nothing.
    #[arg(long)]
    pub(crate) print: bool,
}

/// Where a public key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublishTo {
    Github,
    Gitlab,
    /// What ssh takes as a destination.
    Host(String),
}

impl std::str::FromStr for PublishTo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "github" | "github.com" => Ok(Self::Github),
            "gitlab" | "gitlab.com" => Ok(Self::Gitlab),
            text => super::host(text).map(Self::Host),
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Certificate {
    /// Offer a certificate with its key from now on.
    Add {
        /// The file, as ssh-keygen writes it (NAME-cert.pub); `-` is standard input.
        file: PathBuf,
    },
    /// Offer it no longer.
    Remove {
        /// Its key id, its key's name, or its key's fingerprint.
        certificate: String,
    },
    /// List them.
    List(Reading),
}
