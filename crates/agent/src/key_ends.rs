//! How commands about keys end: what counts as an answer, and what the command gets.
//!
//! **Invariant:** a public key is one of its identity's kind; a signature was verified by the key
//! over just the content; a plaintext has the length that its form has.

use keystead_core::{DecryptForm, Outcome, ResponseBody, SecretBytes};

use crate::agent::{Agent, Turn};
use crate::ask::Ask;
use crate::ask::End;
use crate::asked::{AskedIdentity, Then};
use crate::asked::{AskedUse, What};
use crate::control::FailureKind;
use crate::ends::{why_not_done, words_of};
use crate::event::Action;
use crate::identities::Record;
use crate::ids::ClientId;
use crate::kept::WalletView;
use crate::key_control::Reply;
use crate::servers::Behind;

impl Agent {
    /// A wallet has told a public key, or why not.
    pub(crate) fn finish_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        asked: AskedIdentity,
        open: &Ask,
        end: Result<End, String>,
    ) {
        let key = match &end {
            Ok(Ok(answer)) => match (answer.outcome, &answer.body) {
                (Outcome::Approve, Some(ResponseBody::Key(key))) => Some(key.clone()),
                _ => None,
            },
            _ => None,
        };
        let Some(key) = key else {
            let failure = why_not_done(open, end);
            match asked.then {
                Then::Tell(client) | Then::Use(client, _) => {
                    turn.key_reply(client, Reply::Failed(failure), None);
                }
                Then::List(connection, listing) => {
                    tracing::info!(why = failure.message, "an identity is not listed");
                    self.go_on_listing(turn, connection, *listing);
                }
            }
            return;
        };
        let record = Record {
            identity: asked.identity.clone(),
            canonical: asked.canonical,
            pairing: open.pairing,
            wallet: asked.wallet,
            key,
        };
        self.remember_identity(turn, record);
        let mut wallets = self.keepers.wallets().into_iter();
        let is_asked = |it: &WalletView| {
            it.pairing == open.pairing
                && asked
                    .wallet
                    .is_none_or(|asked| it.fingerprint == Some(asked))
        };
        let Some(whose) = wallets.find(is_asked) else {
            // Unpaired meanwhile.
            return self.drop_then(turn, asked.then);
        };
        self.identity_known(turn, asked.then, &asked.identity, &whose);
    }

    fn drop_then(&mut self, turn: &mut Turn<'_, '_>, then: Then) {
        match then {
            Then::Tell(client) | Then::Use(client, _) => {
                let gone = crate::failures::failure("the keeper is not paired any more", "pair it");
                turn.key_reply(client, Reply::Failed(gone), None);
            }
            Then::List(connection, listing) => self.go_on_listing(turn, connection, *listing),
        }
    }
}

/// A use has ended.
pub(crate) fn finish_use(
    turn: &mut Turn<'_, '_>,
    client: ClientId,
    asked: &AskedUse,
    open: &Ask,
    end: Result<End, String>,
) {
    // A stanza for another key is no failure: age has every one tried.
    let outcome = end.as_ref().ok().and_then(|it| it.as_ref().ok());
    let is_tried = asked.what == What::Decrypt(DecryptForm::Age)
        && outcome.is_some_and(|it| it.outcome == Outcome::UnknownKey);
    if let (false, Some(pid), Some(words)) = (is_tried, asked.pid, words_of(open, &end)) {
        turn.act(Action::Say {
            pid,
            line: words.to_string(),
            is_asking: false,
        });
    }
    let keeper = open.keeper.to_string();
    let body = match &end {
        Ok(Ok(answer)) if answer.outcome == Outcome::Approve => answer.body.as_ref(),
        _ => None,
    };
    let (reply, behind) = match body {
        Some(ResponseBody::Signature(signature)) => {
            let copy = copied(signature);
            let signature_bytes = copy.len();
            let reply = Reply::Signature {
                signature_bytes,
                keeper,
            };
            (reply, Some(Behind(copy)))
        }
        Some(ResponseBody::Plaintext(plaintext)) => {
            let copy = copied(plaintext.secret().expose());
            let plaintext_bytes = copy.len();
            let reply = Reply::Plaintext {
                plaintext_bytes,
                keeper,
            };
            (reply, Some(Behind(copy)))
        }
        _ => {
            let mut failure = why_not_done(open, end);
            if asked.identity.is_some() && failure.kind == FailureKind::UnknownKey {
                failure.message = format!("{keeper} has another wallet than this key's");
                failure.hint = Some("name the key's own keeper with --keeper".to_owned());
            }
            (Reply::Failed(failure), None)
        }
    };
    turn.key_reply(client, reply, behind);
}

fn copied(bytes: &[u8]) -> SecretBytes {
    SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes))
}
