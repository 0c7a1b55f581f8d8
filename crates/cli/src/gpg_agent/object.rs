//! The text that git has signed, of the process that asks.
//!
//! **Invariant:** only a file that `keystead-git-gpg` has made is read, and what is in it is nobody's
//! word: it goes to the holder only where the digest is proved to be of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use keystead_agent::gpg::{MappedKey, Signer, preimage};
use keystead_core::Evidence;
use keystead_daemon::{Clock, SystemClock};
use keystead_formats::openpgp::digest::Digest;

use crate::git_gpg;

/// All that was hashed, if this process signs an object of git.
pub(super) fn proved(client_pid: Option<i32>, key: &MappedKey, digest: &Digest) -> Option<Vec<u8>> {
    let pid = client_pid?;
    let text = text(pid)?;
    let signer = Signer::of(key, &words(pid))?;
    let now_unix_s = u32::try_from(SystemClock.now().unix_s).ok()?;
    preimage(&text, digest, &signer, now_unix_s)
}

/// What it reads from, whole; none where that is another file, or too long for a request.
fn text(pid: i32) -> Option<Vec<u8>> {
    let input = format!("/proc/{pid}/fd/0");
    let name = std::fs::read_link(&input).ok()?;
    let ours = format!("/memfd:{}", git_gpg::OBJECT);
    if !name.as_os_str().as_bytes().starts_with(ours.as_bytes()) {
        return None;
    }
    // A file of its own, from the beginning, wherever that process is with it.
    let file = File::open(&input).ok()?;
    let limit = u64::try_from(TEXT_BYTES_MAX).ok()?.saturating_add(1);
    let mut text = Vec::new();
    file.take(limit).read_to_end(&mut text).ok()?;
    (text.len() <= TEXT_BYTES_MAX).then_some(text)
}

/// Its command line: with `-u MAIL` the mail is hashed too.
fn words(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|it| *it == 0).take(WORDS_MAX);
    let words = words.map(|it| OsStr::from_bytes(it).to_string_lossy().into_owned());
    words.collect()
}

/// With what OpenPGP hashes behind it, it is as long as a preimage may be.
const TEXT_BYTES_MAX: usize = Evidence::PREIMAGE_BYTES_MAX - TRAILER_BYTES_MAX;

/// Fingerprint, time and a mail of 254 bytes take less.
const TRAILER_BYTES_MAX: usize = 512;

/// git names four.
const WORDS_MAX: usize = 64;
