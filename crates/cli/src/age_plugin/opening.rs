//! `identity-v1`: file keys are opened by whoever holds the identity's key.
//!
//! **Invariant:** an identity that can open a file is asked before the next one, so a file that two
//! keys open is put before one person; all that one identity may open is asked at once, so its
//! holder sees one question.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_agent::key_control::{IdentitySpec, KeyChoice, Shown};
use keystead_core::{DecryptForm, Secret, SecretBytes};
use keystead_formats::age::PluginIdentity;
use keystead_formats::age::plugin::{Complaint, Say, ToOpen, Unwrap, UnwrapPlan};
use keystead_formats::age::x25519::{FILE_KEY_BYTES, Wrapped};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::conversation::{self, Conversation};
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use};

type FileKey = Secret<FILE_KEY_BYTES>;

/// Hears what is to be opened, has it opened, says so.
pub(super) async fn run(age: &mut Conversation) -> Result<(), Failure> {
    let mut told = Unwrap::default();
    age.hear(|command| told.take(command))?;
    let UnwrapPlan {
        identities,
        files,
        mut complaints,
    } = told.plan();
    let local = LocalSet::new();
    let opened = tokio::select! {
        opened = local.run_until(open_all(&identities, &files)) => opened,
        ended = conversation::ended(), if !files.is_empty() => return Err(ended),
    };
    for (file, key) in &opened.keys {
        age.say(&Say::FileKey { file: *file, key })?;
    }
    // What went wrong matters only where something stays shut.
    if opened.keys.len() < files.len() {
        complaints.extend(opened.complaints);
    }
    super::end(age, &complaints)
}

#[derive(Default)]
struct Opened {
    keys: BTreeMap<u64, FileKey>,
    complaints: Vec<Complaint>,
}

async fn open_all(identities: &[PluginIdentity], files: &[ToOpen]) -> Opened {
    let mut opened = Opened::default();
    for (index, identity) in identities.iter().enumerate() {
        let mut asked = JoinSet::new();
        let at_once = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let shut = files
            .iter()
            .filter(|it| !opened.keys.contains_key(&it.index));
        for (file, wrapped) in shut.flat_map(|file| file.tries.iter().map(|it| (file.index, *it))) {
            let (identity, at_once) = (identity.clone(), Arc::clone(&at_once));
            asked.spawn_local(async move {
                let _turn = at_once.acquire_owned().await;
                (file, open(&identity, &wrapped).await)
            });
        }
        let mut failed: Option<Failure> = None;
        while let Some(ended) = asked.join_next().await {
            match ended {
                Ok((file, Ok(key))) => {
                    opened.keys.entry(file).or_insert(key);
                }
                // The stanza is for another key, as most stanzas are.
                Ok((_, Err(failure))) if failure.status == Status::UnknownKey => {}
                Ok((_, Err(failure))) => failed = failed.or(Some(failure)),
                Err(error) => failed = failed.or(Some(Failure::of(&error))),
            }
        }
        opened
            .complaints
            .extend(failed.map(|failure| Complaint::Identity {
                index,
                text: super::line_of(&failure),
            }));
        if opened.keys.len() == files.len() {
            break;
        }
    }
    opened
}

async fn open(identity: &PluginIdentity, wrapped: &Wrapped) -> Result<FileKey, Failure> {
    let mut link = KeyLink::open(Talk::ByAgent).await?;
    let wanted = Use {
        key: KeyChoice {
            identity: identity.identity.as_ref().map(IdentitySpec::of),
            ..KeyChoice::of_id(identity.key)
        },
        content: &wrapped.content(),
        preimage: None,
        shown: Shown {
            // age: what it was told to open stands in its command line.
            peer_pid: parent(),
            ..Shown::default()
        },
    };
    let plaintext = link.decrypt(DecryptForm::Age, wanted).await?;
    file_key(&plaintext)
}

fn file_key(plaintext: &SecretBytes) -> Result<FileKey, Failure> {
    Secret::try_fill(|place: &mut [u8; FILE_KEY_BYTES]| {
        let key = plaintext.expose().try_into();
        let key: &[u8; FILE_KEY_BYTES] =
            key.map_err(|_| Failure::new("what came is no file key"))?;
        place.copy_from_slice(key);
        Ok(())
    })
}

fn parent() -> Option<i32> {
    i32::try_from(std::os::unix::process::parent_id()).ok()
}

/// Questions at once. Why: half of what an agent lets wait behind one another; a file encrypted
/// to a whole team has dozens of stanzas.
const AT_ONCE_MAX: usize = 32;
