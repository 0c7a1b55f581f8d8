//! `signify pubkey|sign`: keys and signatures of minisign.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use keystead_agent::key_control::{HeldKey, KeyChoice, Shown};
use keystead_core::{KeyId, SignForm};
use keystead_daemon::{Clock, SystemClock};
use keystead_formats::ParseError;
use keystead_formats::minisign::{
    Message, Prehash, PublicKey, ToSign, UNTRUSTED_COMMENT_BYTES_MAX, WHOLE_BYTES_MAX,
    check_untrusted_comment,
};
use keystead_formats::ssh::key::Material;

use crate::agent_link::{block_on, unexpected};
use crate::arguments::{Sign, SignifyKey};
use crate::commands::chosen_key::{Service, Wanted, choose, shown};
use crate::commands::file;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use};
use crate::terminal::{harmless, print_raw, say};

/// `signify pubkey [--keeper NAME] [--index N] [NAME]`
pub(crate) fn pubkey(wanted: &SignifyKey) -> Result<(), Failure> {
    let wanted = Wanted {
        name: wanted.name.as_deref(),
        keeper: wanted.keeper.as_ref().map(|keeper| keeper.as_str()),
        index: wanted.index,
        may_be_new: true,
    };
    let key = block_on(async {
        let mut link = KeyLink::open(Talk::Here).await?;
        choose(&mut link, Service::SIGNIFY, &wanted).await
    })?;
    print_raw(public_key(&key)?.file().as_bytes())
}

/// The signature would take the file's place.
fn check_other(file: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let of = |path: &Path| std::fs::metadata(path).ok().filter(Metadata::is_file);
    let (Some(file), Some(output)) = (of(file), output.and_then(of)) else {
        return Ok(());
    };
    match (file.dev(), file.ino()) == (output.dev(), output.ino()) {
        true => Err(
            Failure::new("the signature would take the place of what is signed")
                .hint("name another file with -x")
                .status(Status::Usage),
        ),
        false => Ok(()),
    }
}

/// `signify sign [--prehash] … FILE`
pub(crate) fn sign(wanted: &Sign) -> Result<(), Failure> {
    let output = wanted.output.clone();
    let beside = || (!is_input(&wanted.file)).then(|| with_ending(&wanted.file));
    let output = output.or_else(beside);
    let comment = wanted.comment.as_deref().unwrap_or(USUAL_UNTRUSTED_COMMENT);
    // What is wrong here would lose what a holder has answered.
    check_untrusted_comment(comment).map_err(|wrong| of_comment("comment", wrong))?;
    output.as_deref().map_or(Ok(()), file::check_place)?;
    check_other(&wanted.file, output.as_deref())?;
    let message = read(&wanted.file, wanted.prehash)?;
    let trusted_comment = match &wanted.trusted_comment {
        Some(comment) => comment.clone(),
        None => usual_comment(&wanted.file, wanted.prehash),
    };
    let to_sign = ToSign::new(message, &trusted_comment)
        .map_err(|wrong| of_comment("trusted comment", wrong))?;
    let chosen = Wanted {
        name: wanted.key.as_deref(),
        keeper: wanted.keeper.as_ref().map(|keeper| keeper.as_str()),
        index: wanted.index,
        may_be_new: false,
    };
    let (key, signatures) = block_on(async {
        let mut link = KeyLink::open(Talk::Here).await?;
        let key = choose(&mut link, Service::SIGNIFY, &chosen).await?;
        let id: KeyId = key.id.parse().map_err(|_| unexpected())?;
        let asked = Use {
            key: KeyChoice {
                identity: key.identity.clone(),
                keeper: Some(key.keeper.clone()),
                ..KeyChoice::of_id(id)
            },
            content: &to_sign.encode(),
            preimage: None,
            shown: Shown {
                files: name_of(&wanted.file).into_iter().collect(),
                ..Shown::default()
            },
        };
        let signatures = link.sign(SignForm::Minisign, asked).await?;
        Ok((key, signatures))
    })?;
    let signature = to_sign
        .finish(&public_key(&key)?, &signatures)
        .map_err(|error| Failure::of(&error))?;
    let text = signature.file(comment);
    let text = text.map_err(|wrong| of_comment("comment", wrong))?;
    let Some(output) = output else {
        say(format_args!("signed by {}", shown(&key)));
        return print_raw(text.as_bytes());
    };
    file::publish(&output, text.as_bytes())?;
    say(format_args!(
        "signed by {}: {}",
        shown(&key),
        output.display()
    ));
    Ok(())
}

/// Whether a file is what comes on standard input.
fn is_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// How the holder is told of a file; what comes on standard input has no name.
fn name_of(path: &Path) -> Option<String> {
    (!is_input(path)).then(|| path.display().to_string())
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    Ok(match is_input(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path)?),
    })
}

/// What is signed of a file: all of it, or its hash.
fn read(path: &Path, prehash: bool) -> Result<Message, Failure> {
    let failed = |error: io::Error| file::failure(path, &error);
    let mut opened = open(path).map_err(failed)?;
    if prehash {
        let mut hash = Prehash::default();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match opened.read(&mut piece) {
                Ok(0) => return Ok(hash.finish()),
                Ok(len) => hash.update(piece.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    let mut whole = Vec::new();
    let bytes_max = u64::try_from(WHOLE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut limited = opened.take(bytes_max.saturating_add(1));
    limited.read_to_end(&mut whole).map_err(failed)?;
    if whole.len() > WHOLE_BYTES_MAX {
        let message = format!(
            "{} is longer than 128 KiB, which is what goes to a holder whole",
            name_of(path).as_deref().unwrap_or("standard input")
        );
        return Err(Failure::new(message)
            .hint("sign its hash with --prehash")
            .status(Status::Usage));
    }
    Ok(Message::Whole(whole))
}

/// As minisign's own.
fn usual_comment(path: &Path, prehash: bool) -> String {
    let time = SystemClock.now().unix_s;
    let name = path.file_name().filter(|_| !is_input(path));
    let name = name.map(|it| harmless(&it.to_string_lossy()));
    let name = name.map_or_else(String::new, |it| format!("\tfile:{it}"));
    let hashed = if prehash { "\thashed" } else { "" };
    format!("timestamp:{time}{name}{hashed}")
}

pub(super) fn public_key(key: &HeldKey) -> Result<PublicKey, Failure> {
    let blob = key.public_key_bytes().ok_or_else(unexpected)?;
    let read = keystead_formats::ssh::PublicKey::from_blob(&blob).map_err(|_| unexpected())?;
    if let Material::Ed25519(public) = read.material() {
        Ok(PublicKey::of(*public))
    } else {
        Err(unexpected())
    }
}

fn with_ending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

fn of_comment(which: &str, wrong: ParseError) -> Failure {
    let message = if wrong == ParseError::TooLong {
        format!("the {which} is too long: {UNTRUSTED_COMMENT_BYTES_MAX} bytes at most")
    } else {
        format!("the {which} is no line that can be shown")
    };
    Failure::new(message).status(Status::Usage)
}

/// minisign's own says `secret key`, which is nowhere near.
const USUAL_UNTRUSTED_COMMENT: &str = "signature from keystead";

/// What is hashed at once.
const PIECE_BYTES: usize = 64 * 1024;
