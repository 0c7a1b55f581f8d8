//! Pairing as a command sees it: the offer, the code, the person's word, the end.

use std::net::SocketAddr;

use keystead_core::{Name, hex};
use keystead_keeper::{self as keeper, PairError, PairProtocolError, PairingProgress, RelayUrl};

use crate::agent::{Agent, RELAY_FILE, Turn};
use crate::control::{Failure, FailureKind, Reply};
use crate::failures::usage;
use crate::ids::ClientId;
use crate::log::Entry;

impl Agent {
    /// Makes an offer; one that another command has made ends.
    pub(crate) fn pair(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        name: Option<String>,
        relay: Option<String>,
        addresses: Vec<SocketAddr>,
    ) {
        let own_name = match name.map(Name::new).transpose() {
            Ok(name) => name
                .or_else(|| self.setup.settings.name.clone())
                .unwrap_or_else(|| self.setup.host_name.clone()),
            Err(error) => {
                let hint = "choose another with --name";
                return turn.fail(client, usage(&error.to_string(), hint));
            }
        };
        let relay = match relay.as_deref().map(str::parse::<RelayUrl>).transpose() {
            Ok(relay) => relay,
            Err(error) => return turn.fail(client, usage(&error.to_string(), error.hint())),
        };
        if let Some(relay) = &relay {
            self.remember(turn, relay);
        }
        let relay = relay
            .or_else(|| self.setup.settings.relay.clone())
            .or_else(|| self.relay.clone());
        if let Some(earlier) = self.pairing.take() {
            let reply = failed(FailureKind::Error, "another `keystead pair` took its place");
            turn.reply(earlier, reply);
            self.tell_keepers(turn, keeper::Event::PairCancel);
        }
        self.pairing = Some(client);
        let event = keeper::Event::PairStart {
            own_name,
            relay,
            addresses,
        };
        self.tell_keepers(turn, event);
    }

    /// The person's word on the code.
    pub(crate) fn confirm(&mut self, turn: &mut Turn<'_, '_>, client: ClientId, same: bool) {
        if self.pairing != Some(client) {
            let hint = "run `keystead pair`";
            return turn.fail(client, usage("no pairing is under way here", hint));
        }
        let event = if same {
            keeper::Event::PairConfirm
        } else {
            keeper::Event::PairCancel
        };
        self.tell_keepers(turn, event);
    }

    /// The command that pairs is gone.
    pub(crate) fn leave_pairing(&mut self, turn: &mut Turn<'_, '_>, client: ClientId) {
        if self.pairing == Some(client) {
            self.pairing = None;
            self.tell_keepers(turn, keeper::Event::PairCancel);
        }
    }

    /// What is in the way, to the command that pairs.
    pub(crate) fn tell_who_pairs(&self, turn: &mut Turn<'_, '_>, text: &str) {
        if let Some(client) = self.pairing {
            let text = text.to_owned();
            turn.reply(client, Reply::Notice { text });
        }
    }

    /// News of the pairing.
    pub(crate) fn pairing_progress(&mut self, turn: &mut Turn<'_, '_>, news: PairingProgress) {
        let reply = match news {
            PairingProgress::Offer {
                link,
                qr_text,
                expires_in_ms,
                relay,
                addresses,
            } => Reply::Offer {
                link,
                qr_text,
                expires_in_ms,
                relay: relay.as_ref().map(ToString::to_string),
                addresses: addresses.iter().map(ToString::to_string).collect(),
            },
            PairingProgress::HelloSeen => Reply::HelloSeen {},
            PairingProgress::Code {
                code,
                authenticator,
                expires_in_ms,
            } => Reply::Code {
                code: code.to_string(),
                authenticator: authenticator.to_string(),
                expires_in_ms,
            },
            PairingProgress::WaitingForHolder => Reply::WaitingForHolder {},
            PairingProgress::Stored { pairing, name, .. } => {
                self.write_key_files(turn);
                let id = pairing.to_string();
                let pairings = self.keepers.pairings();
                let stored = pairings.iter().find(|it| it.pairing == pairing);
                let entry = Entry {
                    keeper: Some(name.to_string()),
                    pairing: Some(id.clone()),
                    receipt_key: stored.map(|it| hex::encode(&it.receipt_key)),
                    ..turn.entry("pair", "approve")
                };
                self.record(turn, &entry);
                match self.keeper_views().into_iter().find(|it| it.id == id) {
                    Some(keeper) => Reply::Paired { keeper },
                    None => failed(FailureKind::Error, "the pairing is gone again"),
                }
            }
            PairingProgress::Ended(error) => {
                let entry = Entry {
                    reason: Some(error.to_string()),
                    ..turn.entry("pair", decision_of(&error))
                };
                self.record(turn, &entry);
                Reply::Failed(Failure {
                    kind: kind_of(&error),
                    message: error.to_string(),
                    hint: Some(error.hint().to_owned()),
                })
            }
        };
        let client = match reply.is_last() {
            true => self.pairing.take(),
            false => self.pairing,
        };
        if let Some(client) = client {
            turn.reply(client, reply);
        }
    }

    fn remember(&mut self, turn: &mut Turn<'_, '_>, relay: &RelayUrl) {
        if self.relay.as_ref() == Some(relay) {
            return;
        }
        let line = format!("{relay}\n");
        match turn.io.disk.replace(RELAY_FILE, line.as_bytes()) {
            Ok(()) => self.relay = Some(relay.clone()),
            Err(error) => self.notice(format!("the relay cannot be remembered: {error}")),
        }
    }
}

fn failed(kind: FailureKind, message: &str) -> Reply {
    Reply::Failed(Failure {
        kind,
        message: message.to_owned(),
        hint: None,
    })
}

const fn kind_of(error: &PairError) -> FailureKind {
    match error {
        PairError::Refused | PairError::Aborted => FailureKind::Refused,
        PairError::Protocol(
            PairProtocolError::OfferExpired
            | PairProtocolError::CodeExpired
            | PairProtocolError::ConfirmExpired,
        ) => FailureKind::NoAnswer,
        PairError::Protocol(_)
        | PairError::Offer(_)
        | PairError::NoAddress { .. }
        | PairError::Outcome { .. }
        | PairError::PeerMisbehaved { .. }
        | PairError::Cancelled
        | PairError::NotStored { .. }
        | _ => FailureKind::Error,
    }
}

const fn decision_of(error: &PairError) -> &'static str {
    match kind_of(error) {
        FailureKind::Refused => "refuse",
        FailureKind::NoAnswer => "expired",
        FailureKind::Error | FailureKind::Usage | FailureKind::Policy | FailureKind::UnknownKey => {
            "failed"
        }
    }
}
