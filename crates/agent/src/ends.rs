//! How questions end: what counts as an answer, what the log says of it, what the asker gets.

use keystead_core::{KeyEntry, Outcome, ResponseBody, hex};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::agent::Response;
use keystead_formats::ssh::key::fingerprint;
use keystead_keeper::{Answer, KeeperError, condition_words};

use crate::agent::{Agent, Turn};
use crate::ask::End;
use crate::ask::{Ask, Said};
use crate::control::{Failure, FailureKind, Key, Reply};
use crate::failures::kind_of_error;
use crate::ids::ConnectionId;
use crate::log::Entry;
use crate::words::Words;

impl Agent {
    /// Answers the program and tells the person.
    pub(crate) fn finish_signature(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        open: &Ask,
        key: Option<&[u8]>,
        end: Result<End, String>,
    ) {
        self.say_end(turn, id, open, &end);
        let is_approved = matches!(&end, Ok(Ok(answer)) if answer.outcome == Outcome::Approve);
        match key {
            Some(key) if is_approved => self.note_habit(id, &open.entry, key),
            Some(_) => self.after_refusal(id),
            // What was added here has no holder who could say no.
            None => {}
        }
        let answer = match end {
            Ok(Ok(Answer {
                body: Some(ResponseBody::Signature(signature)),
                outcome: Outcome::Approve,
                ..
            })) => Response::Signature(signature),
            _ => Response::Failure,
        };
        self.answer(turn, id, &answer);
    }

    /// One line for the person, where there is something to say.
    pub(crate) fn say_end(
        &self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        open: &Ask,
        end: &Result<End, String>,
    ) {
        if let Some(words) = words_of(open, end) {
            self.say(turn, id, &words);
        }
    }

    /// What the command is told.
    pub(crate) fn finish_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        open: &Ask,
        end: Result<End, String>,
    ) -> Reply {
        let not_listed = |done: &str| {
            Reply::Failed(Failure {
                kind: FailureKind::Error,
                message: format!(
                    "{} has {done} the key and does not list it yet",
                    open.keeper
                ),
                hint: Some("see `keystead key list` in a moment".to_owned()),
            })
        };
        match end {
            Ok(Ok(Answer {
                outcome: Outcome::Approve,
                body: Some(ResponseBody::Key(made)),
                ..
            })) => match self.views_of(turn, &[made]).pop() {
                Some(key) => Reply::Key(key),
                None => not_listed("made"),
            },
            Ok(Ok(Answer {
                outcome: Outcome::Approve,
                body: Some(ResponseBody::Keys(taken)),
                ..
            })) => match self.views_of(turn, &taken) {
                keys if keys.is_empty() => not_listed("taken"),
                keys => Reply::Keys { keys },
            },
            end => Reply::Failed(why_not_done(open, end)),
        }
    }
}

/// What a command is told that did not get what it asked for.
pub(crate) fn why_not_done(open: &Ask, end: Result<End, String>) -> Failure {
    let keeper = open.keeper.as_str();
    let failed = |kind, message: String, hint: Option<&str>| {
        let hint = hint.map(str::to_owned);
        Failure {
            kind,
            message,
            hint,
        }
    };
    let answer = match end {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let hint = Some(error.hint());
            return failed(kind_of_error(&error), error.to_string(), hint);
        }
        Err(why) => return failed(FailureKind::Error, why, Some("make room on the disk")),
    };
    match answer.outcome {
        Outcome::Refuse | Outcome::Block => {
            failed(FailureKind::Refused, format!("refused by {keeper}"), None)
        }
        Outcome::Expire => failed(
            FailureKind::NoAnswer,
            format!("no answer from {keeper} within {} s", open.wait_s),
            Some("answer on the authenticator's screen, and try again"),
        ),
        Outcome::UnknownKey => {
            let why = why_not(Outcome::UnknownKey);
            failed(FailureKind::UnknownKey, format!("{keeper}: {why}"), None)
        }
        outcome @ (Outcome::Ack
        | Outcome::Approve
        | Outcome::Unpair
        | Outcome::Unsupported
        | Outcome::Malformed
        | Outcome::Withdraw
        | Outcome::Busy
        | _) => {
            let why = why_not(outcome);
            // A keeper gives no reasons to a workstation.
            let hint = (outcome == Outcome::Busy).then_some(WHY_BUSY);
            failed(FailureKind::Error, format!("{keeper}: {why}"), hint)
        }
    }
}

impl Agent {
    /// Keys that a keeper has just made or taken, as lists show them.
    fn views_of(&mut self, turn: &mut Turn<'_, '_>, keys: &[KeyEntry]) -> Vec<Key> {
        self.write_key_files(turn);
        let blobs = keys.iter().map(|it| PublicKey::from_blob(&it.public_key));
        let fingerprints: Vec<String> = blobs.flatten().map(|it| it.fingerprint()).collect();
        let mut views = self.key_views();
        views.retain(|it| fingerprints.contains(&it.fingerprint));
        views
    }
}

/// How it ended, for the log.
pub(crate) fn note(entry: &mut Entry, end: &End) {
    match end {
        Ok(answer) => {
            answer.outcome.as_str().clone_into(&mut entry.decision);
            entry.request_hash = Some(hex::encode(answer.request_hash.as_bytes()));
            if let Some(ResponseBody::Keys(keys)) = &answer.body {
                entry.fingerprint = keys.first().map(|it| fingerprint(&it.public_key));
            }
            if let Some(receipt) = &answer.receipt {
                entry.receipt = Some(hex::encode(&receipt.bytes));
                entry.receipt_signature = Some(hex::encode(&receipt.signature));
            }
        }
        Err(error) => {
            let is_no = matches!(error, KeeperError::Forbidden { .. });
            let decision = if is_no {
                Outcome::Refuse.as_str()
            } else {
                NO_ANSWER
            };
            decision.clone_into(&mut entry.decision);
            entry.reason = Some(error.to_string());
        }
    }
}

/// What the person reads; nothing when the answer came before anybody was asked.
pub(crate) fn words_of<'a>(open: &'a Ask, end: &'a Result<End, String>) -> Option<Words<'a>> {
    let keeper = open.keeper.as_str();
    let answer = match end {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Some(words_of_error(keeper, error)),
        Err(why) => return Some(Words::RefusedHere { why }),
    };
    match answer.outcome {
        Outcome::Approve if open.said == Said::Nothing => None,
        Outcome::Approve => {
            let keeper = open.asked().as_str();
            Some(Words::Approved { keeper })
        }
        Outcome::Refuse => {
            let keeper = open.asked().as_str();
            let opaque = open.entry.purpose.as_deref() == Some("opaque");
            let why = opaque.then_some("nobody can read what was to be signed");
            Some(Words::Refused { keeper, why })
        }
        Outcome::Block => {
            let why = Some("the host's key is not the one it was");
            Some(Words::Refused { keeper, why })
        }
        Outcome::Expire => {
            let wait_s = u64::from(open.wait_s);
            Some(Words::NoAnswer { keeper, wait_s })
        }
        Outcome::Ack
        | Outcome::Unpair
        | Outcome::UnknownKey
        | Outcome::Unsupported
        | Outcome::Malformed
        | Outcome::Withdraw
        | Outcome::Busy
        | _ => {
            let why = why_not(answer.outcome);
            Some(Words::Failed { keeper, why })
        }
    }
}

/// What the person reads of an error.
fn words_of_error<'a>(keeper: &'a str, error: &'a KeeperError) -> Words<'a> {
    match error {
        KeeperError::NoAnswer { wait_s, .. } => {
            let wait_s = u64::from(*wait_s);
            Words::NoAnswer { keeper, wait_s }
        }
        KeeperError::Unreachable { reason, .. } => Words::Unreached {
            keeper,
            why: reason,
        },
        KeeperError::PeerMisbehaved { what, .. } => Words::Failed { keeper, why: what },
        KeeperError::Unpaired { .. } => {
            let why = why_not(Outcome::Unpair);
            Words::Failed { keeper, why }
        }
        KeeperError::TooLong { .. } => {
            let why = "the request is longer than a keeper takes";
            Words::Failed { keeper, why }
        }
        KeeperError::TooMany { .. } => {
            let why = "too many requests wait";
            Words::Failed { keeper, why }
        }
        KeeperError::LoginRequired { .. } => Words::SessionEnded { keeper },
        KeeperError::Forbidden { condition, .. } => {
            let why = condition_words(*condition);
            Words::Forbidden { keeper, why }
        }
        KeeperError::DeviceAway { why, .. }
        | KeeperError::NotApproved { why, .. }
        | KeeperError::Server { why, .. } => Words::Failed { keeper, why },
        KeeperError::NoSuchKeeper | _ => {
            let why = "it is not paired any more";
            Words::Failed { keeper, why }
        }
    }
}

fn why_not(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unpair => "the pairing has ended",
        Outcome::UnknownKey => "it has this key no more",
        Outcome::Unsupported => "it cannot do that",
        Outcome::Malformed => "it did not understand the request",
        Outcome::Busy => "it is locked, busy, or cannot write its log",
        Outcome::Withdraw => "the request was withdrawn",
        Outcome::Ack
        | Outcome::Approve
        | Outcome::Refuse
        | Outcome::Expire
        | Outcome::Block
        | _ => "it gave an answer that makes no sense",
    }
}

const WHY_BUSY: &str = "its own screen says which: unlock it there, or wait";

/// Nothing came back that counts.
const NO_ANSWER: &str = "no-answer";
