//! Keys that gpg makes or imports, to the keeper that the person has chosen for them.
//!
//! **Invariant:** a private key is in locked memory here, and goes to that keeper alone. What comes
//! back is a key only if it is the one that was given.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use keystead_agent::gpg::{Bring, MappedKey};
use keystead_agent::key_control::{HeldKey, NewKey};
use keystead_core::{Algorithm, KeyType, Name, Purpose, SecretBytes};
use keystead_daemon::SystemRng;
use keystead_formats::openpgp::{KeyPacket, PublicKey};
use keystead_keeper::server::control::Command as ServerCommand;
use rand_core::RngCore;

use crate::agent_link::unexpected;
use crate::commands::custody;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk};
use crate::server_link::{self, ServerLink};

/// Brings it, and gives it as it will be in the map.
pub(super) async fn bring(bring: Bring, talk: Talk) -> Result<MappedKey, Failure> {
    match bring {
        Bring::Take { key, private } => take(*key, private, talk).await,
        Bring::Make {
            keeper,
            key_type,
            created_unix_s,
        } => make(keeper, key_type, created_unix_s, talk).await,
    }
}

/// A key that is there already for gpg was brought by a run that came to nothing, or was made
/// there: nobody is asked again.
async fn take(key: MappedKey, private: SecretBytes, talk: Talk) -> Result<MappedKey, Failure> {
    let keeper = key.keeper.clone().unwrap_or_default();
    let purpose = purpose_of(key.algorithm);
    let name = name_of(&key.user_id, purpose, &key.keygrip.to_string());
    let mut link = KeyLink::open(talk).await?;
    let is_it = |it: &HeldKey| {
        it.keeper == keeper
            && it.id == key.key_id.to_string()
            && it.purposes.iter().any(|it| it == purpose.as_str())
    };
    if link.keys().await?.iter().any(is_it) {
        return Ok(key);
    }
    if server_link::is_server(&keeper)? {
        to_server(&keeper, name, (purpose, private)).await?;
        return match link.keys().await?.iter().any(is_it) {
            true => Ok(key),
            false => Err(unlike(&keeper)),
        };
    }
    let wanted = wanted(&keeper, name, purpose);
    let taken = link.take_key(wanted, &private).await?;
    match taken.id == key.key_id.to_string() {
        true => Ok(key),
        false => Err(unlike(&keeper)),
    }
}

async fn make(
    keeper: String,
    key_type: KeyType,
    created_unix_s: Option<u32>,
    talk: Talk,
) -> Result<MappedKey, Failure> {
    if server_link::is_server(&keeper)? {
        let hint = format!("`keystead gpg init --keeper {keeper} \"Name <mail>\"` does");
        return Err(
            Failure::new(format!("gpg has no key made at the key server {keeper}"))
                .hint(hint)
                .status(Status::Usage),
        );
    }
    let purpose = purpose_of(key_type.algorithm());
    // gpg tells its agent no user id; keys of one second, or of two runs, have names of their own.
    let when = created_unix_s.map(|it| it.to_string()).unwrap_or_default();
    let mut drawn = [0; 2];
    SystemRng.fill_bytes(&mut drawn);
    let [high, low] = drawn;
    let name = name_of("", purpose, &format!("{when} {high:02x}{low:02x}"));
    let mut link = KeyLink::open(talk).await?;
    let wanted = wanted(&keeper, name, purpose);
    let made = link.make_key(wanted, key_type.as_str()).await?;
    let algorithm: Algorithm = made.algorithm.parse().map_err(|_| unexpected())?;
    let public_key = made.public_key_bytes().ok_or_else(unexpected)?;
    let key = PublicKey::of_keeper(algorithm, &public_key).map_err(|_| unexpected())?;
    Ok(MappedKey {
        keygrip: key.keygrip(),
        algorithm,
        public_key,
        key_id: made.id.parse().map_err(|_| unexpected())?,
        identity: None,
        keeper: Some(keeper),
        user_id: String::new(),
        created_unix_s: created_unix_s.unwrap_or_default(),
        fingerprint: created_unix_s.map(|it| KeyPacket::new(key, it).fingerprint()),
    })
}

/// Through `keystead-custody`, which alone gives secrets to servers.
async fn to_server(
    server: &str,
    name: String,
    (purpose, private): (Purpose, SecretBytes),
) -> Result<(), Failure> {
    if purpose != Purpose::OpenPgp {
        return Err(
            Failure::new(format!("the key server {server} decrypts nothing"))
                .hint("choose an authenticator: `keystead gpg custody NAME`")
                .status(Status::Usage),
        );
    }
    let to = server.to_owned();
    let imported = tokio::task::spawn_blocking(move || import(&to, &name, &private));
    let output = imported.await.map_err(io::Error::other)?;
    let output = output.map_err(|error| Failure::new(format!("keystead-custody: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().find(|it| it.contains("error: "));
        let why = line.and_then(|it| it.split("error: ").nth(1));
        let message = format!(
            "{server} did not take the key: {}",
            why.unwrap_or("no reason")
        );
        let status = output.status.code().and_then(|it| u8::try_from(it).ok());
        return Err(Failure::new(message).status(Status::of_code(status.unwrap_or(1))));
    }
    let mut link = ServerLink::open().await?;
    let refresh = ServerCommand::ServerRefresh {
        server: server.to_owned(),
    };
    link.done(&refresh).await
}

fn import(server: &str, name: &str, private: &SecretBytes) -> io::Result<Output> {
    let mut child = Command::new(custody::program())
        .args(["key", "import", "--keeper", server, "--name", name])
        .args(["--purpose", "openpgp", "--from-fd", "0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that has ended says below why.
        let _ = stdin.write_all(private.expose());
    }
    child.wait_with_output()
}

fn wanted(keeper: &str, name: String, purpose: Purpose) -> NewKey {
    NewKey {
        keeper: Some(keeper.to_owned()),
        name,
        purposes: vec![purpose.as_str().to_owned()],
    }
}

/// What it is called there: what it is for, whose it is, else what tells it apart.
fn name_of(user_id: &str, purpose: Purpose, otherwise: &str) -> String {
    let what = if purpose == Purpose::OpenPgpDecrypt {
        "gpg decrypt"
    } else {
        "gpg"
    };
    let mail = user_id
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'))
        .unwrap_or(user_id);
    let whose = if mail.is_empty() { otherwise } else { mail };
    Name::of_text(format!("{what} {whose}").as_bytes())
        .map_or_else(|| what.to_owned(), |it| it.to_string())
}

const fn purpose_of(algorithm: Algorithm) -> Purpose {
    if algorithm.agrees() {
        Purpose::OpenPgpDecrypt
    } else {
        Purpose::OpenPgp
    }
}

fn unlike(keeper: &str) -> Failure {
    Failure::new(format!(
        "{keeper} lists another key than the one it was given"
    ))
    .hint("see `keystead key list`")
}
