//! The key that signs checkpoints, and a new one.
//!
//! **Invariant**: the number of the key that signed the last checkpoint stands in the head
//! row and never goes back, so a process of a deployment notices a newer key before it
//! signs; each key signs the next one, in the log and in the notice.

use std::sync::Arc;

use keystead_channel::log::{Action, Detail, key_notice};
use keystead_channel::session::{Notice, NoticeKind, ServerId};
use keystead_core::Secret;
use keystead_vault::LogKey;

use super::act::{Act, Decided, NewEntry, OPERATOR};
use super::batch::NumberedKey;
use crate::rows::{Head, Rows, System, Table};
use crate::sealing::Sealing;
use crate::store::{Now, Store, StoreError, Wanted};

/// The head, and the key that is used now.
pub(super) async fn read(
    store: &Store,
    sealing: &Sealing,
) -> Result<(Head, NumberedKey), StoreError> {
    let mut wanted = Wanted::new();
    wanted.system();
    let loaded = store.read(wanted).await?;
    let head = loaded.head.clone();
    let rows = Rows::new(loaded, sealing);
    let key = of_system(rows.system()?)?;
    Ok((head, key))
}

/// The log's keys, the one that is used now last.
pub(super) fn of_system(system: Option<&System>) -> Result<NumberedKey, StoreError> {
    let lacks = || StoreError::Corrupt(Table::System);
    let system = system.ok_or_else(lacks)?;
    let keys = system.log_seeds.iter().map(|seed| {
        let seed = Secret::fill(|bytes| bytes.copy_from_slice(seed.expose()));
        LogKey::from_seed(seed).map_err(|_| lacks())
    });
    let mut former = keys.collect::<Result<Vec<LogKey>, StoreError>>()?;
    let key = former.pop().ok_or_else(lacks)?;
    let number = u32::try_from(former.len()).map_err(|_| lacks())?;
    Ok(NumberedKey {
        number,
        key,
        former,
    })
}

impl NumberedKey {
    /// One for each key that came after another.
    pub(super) fn notices(&self, server: ServerId) -> Arc<[Notice]> {
        let newer = self.former.iter().skip(1).chain([&self.key]);
        let notices = self.former.iter().zip(newer);
        let notices = notices.filter_map(|(old, new)| notice(old, new.public(), server));
        notices.collect()
    }
}

/// That `new` comes after `old`, who says so.
fn notice(old: &LogKey, new: &[u8; 32], server: ServerId) -> Option<Notice> {
    let signature = old.sign(&key_notice(&server, new)).ok()?;
    Some(Notice {
        kind: NoticeKind::LogKey,
        code: None,
        log_key: Some(*new),
        signature: Some(signature),
    })
}

/// Gives the log a new key: an act of the operator. It is in force when the processes are
/// started again: a hello names one key, and what a session sees is signed by that one.
pub struct NewKey {
    /// The new one.
    pub key: LogKey,
    /// Whose log it is.
    pub server: ServerId,
}

impl Act for NewKey {
    /// What is to be told to clients; none when the server's keys cannot be read.
    type Answer = Option<Notice>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.system();
    }

    fn decide(self, _now: Now, rows: &mut Rows<'_>) -> Decided<Option<Notice>> {
        let nothing = Decided {
            entries: Vec::new(),
            answer: None,
        };
        let Ok(old) = rows.system().map_err(Into::into).and_then(of_system) else {
            return nothing;
        };
        let public = *self.key.public();
        let Some(notice) = notice(&old.key, &public, self.server) else {
            return nothing;
        };
        let Ok(Some(system)) = rows.system_mut() else {
            return nothing;
        };
        let seed = Secret::fill(|bytes| bytes.copy_from_slice(self.key.seed().expose()));
        system.log_seeds.push(seed);
        let detail = Detail {
            hash: Some(public),
            signature: notice.signature,
            ..Detail::NONE
        };
        Decided {
            entries: vec![NewEntry::system(Action::KeyChange, OPERATOR, detail)],
            answer: Some(notice),
        }
    }
}
