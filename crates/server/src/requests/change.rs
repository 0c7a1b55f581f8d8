//! Methods 10 and 11: a label changes, a secret goes.
//!
//! **Invariant**: one row, by its primary key. A label has the number behind the one before
//! and keeps its form; what is deleted is gone from the table, and remembered outside the
//! database so that no restored backup brings it back.

use keystead_channel::log::Detail;
use keystead_channel::session::Status;
use keystead_channel::session::requests::{Answer, Label, LabelChange, Show};

use super::act::{Asking, Decision, Refusal, find, finish};
use super::parts;
use crate::rows::HeldSecret;
use crate::server::Server;
use crate::session::Served;

/// Method 10.
pub(super) async fn label(server: &Server, asking: Asking, change: LabelChange) -> Served {
    let (caller, account, key) = (asking.caller.clone(), asking.caller.account, change.key);
    let bytes_max = server.settings.secrets.label_bytes_max;
    if let Err(status) = parts::check_label(&change.label, bytes_max) {
        return asking.refuse(server, Refusal::of(status, key)).await;
    }
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.secret(account, key);
        },
        move |_, rows| {
            let secret = find(rows, &caller, key)?;
            let is_new = judge_label(secret, &change);
            let is_new = is_new.map_err(|status| Refusal::of(status, key))?;
            if is_new && let Some(secret) = rows.secret_mut(account, key)? {
                secret.label = parts::label_bytes(&change.label);
                secret.revision = change.revision;
            }
            let detail = Detail {
                revision: Some(change.revision),
                ..Detail::NONE
            };
            Ok(Decision::done(Answer::of(Status::Done), Some(key), detail))
        },
    );
    finish(server, settled.await)
}

/// Method 11.
pub(super) async fn delete(server: &Server, asking: Asking, show: Show) -> Served {
    let (account, key) = (asking.caller.account, show.key);
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.secret(account, key);
        },
        move |_, rows| {
            // A row that does not open can be deleted as well: nobody else can use it.
            if let Ok(None) = rows.secret(account, key) {
                return Err(Refusal::of(Status::NotFound, key));
            }
            rows.delete_secret(account, key);
            Ok(Decision::done(
                Answer::of(Status::Done),
                Some(key),
                Detail::NONE,
            ))
        },
    );
    finish(server, settled.await)
}

/// Whether the change is new; one that was made already is as good as done.
fn judge_label(secret: &HeldSecret, change: &LabelChange) -> Result<bool, Status> {
    let is_open = matches!(parts::label(secret)?, Label::Open(_));
    if is_open != matches!(change.label, Label::Open(_)) {
        return Err(Status::Malformed);
    }
    if secret.revision == change.revision {
        let is_same = secret.label == parts::label_bytes(&change.label);
        return if is_same {
            Ok(false)
        } else {
            Err(Status::Conflict)
        };
    }
    match secret.revision.checked_add(1) {
        Some(next) if next == change.revision => Ok(true),
        Some(_) | None => Err(Status::Conflict),
    }
}
