//! Uses of keys for front ends in other processes: which key, on whose behalf, and at which keeper.
//!
//! **Invariant:** a use is asked for under the rules of this machine, with what was found at the
//! process that it is for; a key that several keepers hold is asked at one after another, the
//! connected ones first, and at the next only where one cannot be reached.

use keystead_core::{DecryptForm, Evidence, KeyId, PairingId, Purpose, SignForm, UnreadableHex};
use keystead_formats::ssh::ToBeSigned;
use keystead_formats::ssh::key::{fingerprint, key_id};

use crate::agent::{Agent, Turn};
use crate::ask::{Ask, Asker, Whom};
use crate::asked::Then;
use crate::asked::{AskedUse, KeyUse, Target, What};
use crate::control::{Failure, FailureKind};
use crate::event::Action;
use crate::evidence::{Look, Seen};
use crate::failures::{failure, usage};
use crate::identities::is_of;
use crate::ids::ClientId;
use crate::key_control::{Act, KeyChoice, Reply};
use crate::log::Entry;
use crate::policy::UseCase;
use crate::words::Words;

impl Agent {
    /// Begins a use: finds the key, and looks at the process that it is for.
    pub(crate) fn use_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        wanted: KeyUse,
    ) -> Result<(), Failure> {
        if self.lock.is_closed() {
            return Err(Failure {
                kind: FailureKind::Refused,
                ..failure("the agent is locked", "unlock it with `ssh-add -X`")
            });
        }
        if let Some(spec) = &wanted.choice.identity {
            let (spec, keeper) = (spec.clone(), wanted.choice.keeper.clone());
            let identity = spec
                .identity()
                .map_err(|error| usage(&error.to_string(), error.hint()))?;
            let whose = self.wallet_for(&identity, id_of(&wanted.choice)?, keeper.as_deref())?;
            if self.recorded(&identity, &whose).is_none() {
                let then = Then::Use(client, Box::new(wanted));
                self.ask_identity(turn, &whose, (identity, spec.canonical), then);
                return Ok(());
            }
        }
        let target = self.target(&wanted.choice)?;
        if let Some(pid) = wanted.shown.peer_pid {
            self.key_uses.insert(client, (wanted, target));
            turn.act(Action::LookFor {
                client,
                pid,
                look: Look::Process,
            });
            return Ok(());
        }
        self.ask_use(turn, client, (wanted, target), Seen::default())
    }

    /// What was found at the process is there: ask.
    pub(crate) fn looked_for(&mut self, turn: &mut Turn<'_, '_>, client: ClientId, seen: Seen) {
        let Some(wanted) = self.key_uses.remove(&client) else {
            return;
        };
        if let Err(failure) = self.ask_use(turn, client, wanted, seen) {
            turn.key_reply(client, Reply::Failed(failure), None);
        }
    }

    fn ask_use(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        (wanted, target): (KeyUse, Target),
        seen: Seen,
    ) -> Result<(), Failure> {
        let evidence = evidence_of(&wanted, seen);
        let purpose = purpose_of(wanted.what, &wanted.content);
        let mut entry = Entry {
            key: Some(target.key.name.to_string()),
            fingerprint: Some(fingerprint(&target.key.public_key)),
            identity: target.identity.as_ref().map(ToString::to_string),
            purpose: Some(purpose.as_str().to_owned()),
            content_sha256: Some(key_id(&wanted.content).to_string()),
            preimage_bytes: evidence.preimage.as_ref().map(Vec::len),
            process: evidence.process_path.clone(),
            pid: wanted.shown.peer_pid,
            user_id: evidence.user_id.clone(),
            files: evidence.files.clone(),
            ..turn.entry(wanted.what.kind(), "")
        };
        let case = UseCase {
            key_name: target.key.name.as_str(),
            fingerprint: &fingerprint(&target.key.public_key),
            purpose,
            is_background: evidence.is_background,
        };
        if let Err(refusal) = self.policy.judge_use(&case) {
            let why = refusal.to_string();
            "refused-here".clone_into(&mut entry.decision);
            entry.keeper = Some(target.keeper.to_string());
            entry.reason = Some(why.clone());
            self.record(turn, &entry);
            return Err(Failure {
                kind: FailureKind::Policy,
                ..failure(&why, "see `keystead policy show`")
            });
        }
        let others = self.held_targets(wanted.choice.keeper.as_deref());
        let is_other = |it: &Target| it.key.id == target.key.id && it.pairing != target.pairing;
        let others = others.into_iter().filter(is_other).collect();
        let asked = AskedUse {
            what: wanted.what,
            content: wanted.content,
            key: target.key,
            identity: target.identity,
            pid: wanted.shown.peer_pid,
            evidence,
            others,
        };
        let whom = Whom {
            pairing: target.pairing,
            name: target.keeper,
        };
        self.ask_of(turn, client, (asked, whom), entry);
        Ok(())
    }

    fn ask_of(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        (asked, whom): (AskedUse, Whom),
        entry: Entry,
    ) {
        let body = asked.body();
        let asker = Asker::KeyUse {
            client,
            asked: Box::new(asked),
        };
        self.ask(turn, asker, whom, body, entry);
    }

    /// Asks the next keeper that holds the same key, as this one cannot be reached.
    pub(crate) fn ask_next_use(
        &mut self,
        turn: &mut Turn<'_, '_>,
        open: Ask,
        next: Target,
        why: &str,
    ) {
        let Asker::KeyUse { client, mut asked } = open.asker else {
            return;
        };
        let keeper = open.keeper.as_str();
        let line = Words::Unreached { keeper, why }.to_string();
        match asked.pid {
            Some(pid) => turn.act(Action::Say {
                pid,
                line,
                is_asking: false,
            }),
            None => turn.key_reply(client, Reply::Notice { text: line }, None),
        }
        let entry = Entry {
            key: Some(next.key.name.to_string()),
            identity: next.identity.as_ref().map(ToString::to_string),
            request_hash: None,
            decision: String::new(),
            reason: None,
            ..open.entry
        };
        asked.key = next.key;
        asked.identity = next.identity;
        let whom = Whom {
            pairing: next.pairing,
            name: next.keeper,
        };
        self.ask_of(turn, client, (*asked, whom), entry);
    }

    /// Where the key is that was chosen; that of an identity must be remembered.
    fn target(&self, choice: &KeyChoice) -> Result<Target, Failure> {
        let id = id_of(choice)?;
        if let Some(spec) = &choice.identity {
            let identity = spec
                .identity()
                .map_err(|error| usage(&error.to_string(), error.hint()))?;
            let whose = self.wallet_for(&identity, id, choice.keeper.as_deref())?;
            let record = self.recorded(&identity, &whose);
            let Some(record) = record.filter(|it| id.is_none_or(|id| it.key.id == id)) else {
                let message = format!("{} has another key for {identity}", whose.name);
                let hint = "it has another wallet than the one that made this key: \
                            name its keeper with --keeper";
                return Err(failure(&message, hint));
            };
            return Ok(Target {
                pairing: whose.pairing,
                keeper: whose.name,
                key: record.key.clone(),
                identity: Some(identity),
            });
        }
        let Some(id) = id else {
            return Err(usage("which key?", "name an id or an identity"));
        };
        self.held_targets(choice.keeper.as_deref())
            .into_iter()
            .find(|it| it.key.id == id)
            .ok_or_else(|| {
                let hint = "see `keystead key list`: its keeper may have to be paired again";
                failure("no keeper has this key", hint)
            })
    }

    /// Keys of keepers and of remembered identities, those at connected keepers first.
    pub(crate) fn held_targets(&self, keeper: Option<&str>) -> Vec<Target> {
        let views = self.keepers.pairings();
        let is_away = |target: &Target| {
            let view = views.iter().find(|it| it.pairing == target.pairing);
            view.is_some_and(|it| !it.is_connected)
        };
        let held = self.keepers.keys().into_iter();
        let held = held.map(|(pairing, keeper, key)| Target {
            pairing,
            keeper,
            key,
            identity: None,
        });
        let wallets = self.keepers.wallets();
        let records = self.records.all().iter().filter_map(|record| {
            let whose = wallets.iter().find(|it| is_of(record, it))?;
            Some(Target {
                pairing: whose.pairing,
                keeper: whose.name.clone(),
                key: record.key.clone(),
                identity: Some(record.identity.clone()),
            })
        });
        let mut targets: Vec<Target> = held.chain(records).collect();
        if let Some(named) = keeper {
            let id: Option<PairingId> = named.parse().ok();
            targets.retain(|it| it.keeper.as_str() == named || Some(it.pairing) == id);
        }
        targets.sort_by_key(is_away);
        targets
    }
}

/// A preimage is too long for a request, or is none of a signature: it is left away.
fn evidence_of(wanted: &KeyUse, seen: Seen) -> Evidence {
    let preimage = wanted.preimage.clone();
    let act = wanted.shown.act.as_ref().and_then(Act::intent);
    Evidence {
        preimage: preimage.filter(|it| it.len() <= Evidence::PREIMAGE_BYTES_MAX),
        process_path: seen.process_path,
        arguments: seen.arguments,
        files: wanted.shown.files.clone(),
        parents: seen.parents,
        intent: act.or(seen.intent),
        is_background: seen.is_background,
        user_id: wanted.shown.user_id.clone(),
        ..Evidence::default()
    }
}

/// The key's id, where it is named.
fn id_of(choice: &KeyChoice) -> Result<Option<KeyId>, Failure> {
    let id = choice.id.as_ref().map(|it| it.parse());
    id.transpose().map_err(|error: UnreadableHex| {
        usage(&format!("the key's id: {error}"), "it has 64 hex digits")
    })
}

fn purpose_of(what: What, content: &[u8]) -> Purpose {
    match what {
        What::Sign {
            form: SignForm::OpenPgp,
            ..
        } => Purpose::OpenPgp,
        What::Sign {
            form: SignForm::Minisign,
            ..
        } => Purpose::Signify,
        What::Sign { .. } => ToBeSigned::parse(content).purpose(),
        What::Decrypt(DecryptForm::Age) => Purpose::AgeUnwrap,
        What::Decrypt(_) => Purpose::OpenPgpDecrypt,
    }
}
