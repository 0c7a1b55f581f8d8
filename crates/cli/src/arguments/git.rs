//! `git …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand)]
pub(crate) enum Git {
    Setup(GitSetup),
    Test(GitTest),
}

/// Make git sign every commit and tag, and know whose signatures are good.
///
/// With --format openpgp gpg goes on to sign, by a key that `keystead gpg init` has made, and the
/// holder sees the commit's text.
///
/// Sets gpg.format, gpg.ssh.program, gpg.ssh.allowedSignersFile, user.signingKey, commit.gpgSign
/// and tag.gpgSign, and prints what is written. Run it again after a new key: what is right is
/// left alone.
#[derive(Args)]
pub(crate) struct GitSetup {
    /// Which key signs, by name or fingerprint; needed when there are several.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) key: Option<String>,
    /// ssh, or openpgp: then gpg signs, by a key that `gpg init` has made, and the holder sees
    /// what.
    #[arg(
        long,
        value_name = "FORMAT",
        conflicts_with = "undo",
        default_value = "ssh"
    )]
    pub(crate) format: SignatureFormat,
    /// Whose commits they are [default: git's user.email].
    #[arg(long, value_name = "MAIL", conflicts_with = "undo")]
    pub(crate) mail: Option<String>,
    /// Trust the key in this public key file for somebody else's commits, and only add that. May
    /// be given several times.
    #[arg(long, num_args = 2, value_names = ["MAIL", "KEYFILE"], conflicts_with = "undo")]
    pub(crate) signer: Vec<String>,
    /// Print what would be written, write nothing.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) print: bool,
    /// Put everything back as it was before.
    #[arg(long)]
    pub(crate) undo: bool,
    /// The file [default: git's configuration of this user].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Signatures that git makes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignatureFormat {
    Ssh,
    Openpgp,
}

impl GitSetup {
    /// The signers named, each with the file of the key.
    pub(crate) fn signers(&self) -> Vec<Signer> {
        let pairs = self.signer.chunks_exact(2);
        let signer = |pair: &[String]| match pair {
            [mail, file] => Some(Signer {
                mail: mail.clone(),
                file: PathBuf::from(file),
            }),
            _ => None,
        };
        pairs.filter_map(signer).collect()
    }
}

/// Somebody whose signatures are good.
pub(crate) struct Signer {
    pub(crate) mail: String,
    pub(crate) file: PathBuf,
}

/// Make a signed commit in a throw-away repository, and verify it.
#[derive(Args)]
pub(crate) struct GitTest {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
