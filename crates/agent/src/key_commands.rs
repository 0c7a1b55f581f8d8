//! Commands about keys: identities' public keys, signatures and decryptions for front ends that
//! are other processes.
//!
//! **Invariant:** what such a front end asks for goes the way of a program's request: the rules of
//! this machine, a look at the process that it is for, the keeper, the log, and only then the
//! answer.

use keystead_core::{
    DecryptForm, DecryptRequest, Evidence, Identity, KeyEntry, KeyId, Name, PairingId,
    PublicKeyRequest, Purpose, RequestBody, SecretBytes, SignForm, SignRequest, WalletFingerprint,
};
use keystead_formats::ssh::ToBeSigned;
use keystead_formats::ssh::key::{fingerprint, key_id};

use crate::agent::{Agent, Turn};
use crate::asks::{Asker, Whom};
use crate::commands::{failure, usage};
use crate::connection::Listing;
use crate::control::{Failure, FailureKind};
use crate::event::{Action, ClientId, ConnectionId};
use crate::evidence::{Look, Seen};
use crate::keeps::WalletView;
use crate::key_control::{Command, HeldKey, IdentitySpec, KeyChoice, Reply, Shown};
use crate::log::{Entry, hex};
use crate::policy::UseCase;
use crate::servers::Behind;

/// A use of a key that a command wants.
pub(crate) struct KeyUse {
    pub(crate) what: What,
    choice: KeyChoice,
    pub(crate) content: Vec<u8>,
    preimage: Option<Vec<u8>>,
    shown: Shown,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Sign { form: SignForm, flags: u32 },
    Decrypt(DecryptForm),
}

/// A key that was found, and where.
#[derive(Clone)]
pub(crate) struct Target {
    pairing: PairingId,
    keeper: Name,
    pub(crate) key: KeyEntry,
    identity: Option<Identity>,
}

/// A use that is asked for.
pub(crate) struct AskedUse {
    pub(crate) what: What,
    pub(crate) content: Vec<u8>,
    pub(crate) key: KeyEntry,
    pub(crate) identity: Option<Identity>,
    /// Whose terminal the words go to.
    pub(crate) pid: Option<i32>,
}

/// A public key that a wallet is asked for.
pub(crate) struct AskedIdentity {
    pub(crate) identity: Identity,
    pub(crate) canonical: bool,
    pub(crate) wallet: Option<WalletFingerprint>,
    pub(crate) then: Then,
}

/// What follows once it is there.
pub(crate) enum Then {
    /// The command is told.
    Tell(ClientId),
    /// It is used.
    Use(ClientId, Box<KeyUse>),
    /// It is listed.
    List(ConnectionId, Box<Listing>),
}

impl Agent {
    /// A command came, with what follows its line.
    pub(crate) fn key_command(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        command: Command,
        behind: Vec<SecretBytes>,
    ) {
        if let Err(failure) = self.try_key_command(turn, client, command, behind) {
            turn.key_reply(client, Reply::Failed(failure), None);
        }
    }

    fn try_key_command(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        command: Command,
        behind: Vec<SecretBytes>,
    ) -> Result<(), Failure> {
        let mut behind = behind.iter().map(|it| it.expose().to_vec());
        match command {
            Command::Keys {} => {
                let keys = self.held_keys();
                turn.key_reply(client, Reply::Keys { keys }, None);
                Ok(())
            }
            Command::IdentityKey { identity, keeper } => {
                self.identity_key(turn, &identity, keeper.as_deref(), Then::Tell(client))
            }
            Command::KeySign {
                key,
                form,
                flags,
                shown,
                ..
            } => {
                let mut forms = SignForm::ALL.into_iter();
                let form = forms.find(|it| it.number() == form);
                let form = form.ok_or_else(unknown_form)?;
                let wanted = KeyUse {
                    what: What::Sign { form, flags },
                    choice: key,
                    content: behind.next().unwrap_or_default(),
                    preimage: behind.next(),
                    shown,
                };
                self.use_key(turn, client, wanted)
            }
            Command::KeyDecrypt {
                key, form, shown, ..
            } => {
                let mut forms = DecryptForm::ALL.into_iter();
                let form = forms.find(|it| it.number() == form);
                let wanted = KeyUse {
                    what: What::Decrypt(form.ok_or_else(unknown_form)?),
                    choice: key,
                    content: behind.next().unwrap_or_default(),
                    preimage: behind.next(),
                    shown,
                };
                self.use_key(turn, client, wanted)
            }
        }
    }

    /// The public key of an identity, from memory or of its wallet.
    fn identity_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        spec: &IdentitySpec,
        keeper: Option<&str>,
        then: Then,
    ) -> Result<(), Failure> {
        let identity = spec
            .identity()
            .map_err(|error| usage(&error.to_string(), error.hint()))?;
        let whose = self.wallet_for(&identity, keeper)?;
        if let Some(record) = self.recorded(&identity, &whose) {
            let mut record = record.clone();
            record.canonical |= spec.canonical;
            self.remember_identity(turn, record);
            self.identity_known(turn, then, &identity, &whose);
            return Ok(());
        }
        self.ask_identity(turn, &whose, (identity, spec.canonical), then);
        Ok(())
    }

    /// Asks a wallet for a public key; nobody is asked there.
    pub(crate) fn ask_identity(
        &mut self,
        turn: &mut Turn<'_, '_>,
        whose: &WalletView,
        (identity, canonical): (Identity, bool),
        then: Then,
    ) {
        let wallet = match whose.fingerprints.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        let entry = Entry {
            identity: Some(identity.to_string()),
            ..turn.entry("public-key", "")
        };
        let body = RequestBody::PublicKey(PublicKeyRequest {
            identity: identity.clone(),
            wallet,
        });
        let asked = AskedIdentity {
            identity,
            canonical,
            wallet,
            then,
        };
        let whom = Whom {
            pairing: whose.pairing,
            name: whose.name.clone(),
        };
        self.ask(turn, Asker::Identity(Box::new(asked)), whom, body, entry);
    }

    /// The public key is there: whoever waits goes on.
    pub(crate) fn identity_known(
        &mut self,
        turn: &mut Turn<'_, '_>,
        then: Then,
        identity: &Identity,
        whose: &WalletView,
    ) {
        match then {
            Then::Tell(client) => {
                let reply = match self.recorded(identity, whose) {
                    Some(record) => Reply::Key(held(
                        &record.key,
                        &whose.name,
                        Some((identity, record.canonical, record.wallet)),
                    )),
                    None => Reply::Failed(failure("the key is not remembered", "try again")),
                };
                turn.key_reply(client, reply, None);
            }
            Then::Use(client, mut wanted) => {
                wanted.choice.keeper = Some(whose.pairing.to_string());
                if let Err(failure) = self.use_key(turn, client, *wanted) {
                    turn.key_reply(client, Reply::Failed(failure), None);
                }
            }
            Then::List(connection, listing) => self.go_on_listing(turn, connection, *listing),
        }
    }

    /// Begins a use: finds the key, and looks at the process that it is for.
    fn use_key(
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
            let whose = self.wallet_for(&identity, keeper.as_deref())?;
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
        let body = wanted.body(&target, evidence);
        let asked = AskedUse {
            what: wanted.what,
            content: wanted.content,
            key: target.key,
            identity: target.identity,
            pid: wanted.shown.peer_pid,
        };
        let asker = Asker::KeyUse {
            client,
            asked: Box::new(asked),
        };
        let whom = Whom {
            pairing: target.pairing,
            name: target.keeper,
        };
        self.ask(turn, asker, whom, body, entry);
        Ok(())
    }

    /// Where the key is that was chosen; that of an identity must be remembered.
    fn target(&self, choice: &KeyChoice) -> Result<Target, Failure> {
        let id: Option<KeyId> = match &choice.id {
            Some(text) => Some(text.parse().map_err(|error| {
                usage(&format!("the key's id: {error}"), "it has 64 hex digits")
            })?),
            None => None,
        };
        if let Some(spec) = &choice.identity {
            let identity = spec
                .identity()
                .map_err(|error| usage(&error.to_string(), error.hint()))?;
            let whose = self.wallet_for(&identity, choice.keeper.as_deref())?;
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
    fn held_targets(&self, keeper: Option<&str>) -> Vec<Target> {
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
            let whose = wallets.iter().find(|it| it.pairing == record.pairing)?;
            let is_there = self.recorded(&record.identity, whose).is_some();
            is_there.then(|| Target {
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

    fn held_keys(&self) -> Vec<HeldKey> {
        let views = self.held_targets(None).into_iter().map(|target| {
            let record = target.identity.as_ref().and_then(|identity| {
                let mut records = self.records.of(identity);
                let record = records.find(|it| it.pairing == target.pairing)?;
                Some((identity, record.canonical, record.wallet))
            });
            held(&target.key, &target.keeper, record)
        });
        views.collect()
    }
}

impl KeyUse {
    fn body(&self, target: &Target, evidence: Evidence) -> RequestBody {
        let (key, content) = (target.key.id, self.content.clone());
        let identity = target.identity.clone();
        match self.what {
            What::Sign { form, flags } => RequestBody::Sign(SignRequest {
                key,
                form,
                content,
                flags,
                evidence,
                identity,
            }),
            What::Decrypt(form) => RequestBody::Decrypt(DecryptRequest {
                key,
                form,
                content,
                evidence,
                identity,
            }),
        }
    }
}

impl What {
    const fn kind(self) -> &'static str {
        match self {
            Self::Sign { .. } => "sign",
            Self::Decrypt(_) => "decrypt",
        }
    }
}

impl Turn<'_, '_> {
    pub(crate) fn key_reply(&mut self, client: ClientId, reply: Reply, behind: Option<Behind>) {
        self.act(Action::KeyReply {
            client,
            reply,
            behind,
        });
    }
}

/// A preimage is too long for a request, or is none of a signature: it is left away.
fn evidence_of(wanted: &KeyUse, seen: Seen) -> Evidence {
    let preimage = wanted.preimage.clone();
    Evidence {
        preimage: preimage.filter(|it| it.len() <= Evidence::PREIMAGE_BYTES_MAX),
        process_path: seen.process_path,
        arguments: seen.arguments,
        files: wanted.shown.files.clone(),
        parents: seen.parents,
        intent: seen.intent,
        is_background: seen.is_background,
        user_id: wanted.shown.user_id.clone(),
        ..Evidence::default()
    }
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

fn held(
    key: &KeyEntry,
    keeper: &Name,
    identity: Option<(&Identity, bool, Option<WalletFingerprint>)>,
) -> HeldKey {
    let wallet = identity.and_then(|(_, _, wallet)| wallet);
    HeldKey {
        id: key.id.to_string(),
        algorithm: key.algorithm.clone(),
        public_key: hex(&key.public_key),
        name: key.name.to_string(),
        purposes: key
            .purposes
            .iter()
            .map(|it| it.as_str().to_owned())
            .collect(),
        keeper: keeper.to_string(),
        identity: identity.map(|(identity, canonical, _)| IdentitySpec {
            canonical,
            ..IdentitySpec::of(identity)
        }),
        wallet: wallet.map(|it| it.to_string()),
    }
}

fn unknown_form() -> Failure {
    usage("an unknown form", "use a keystead of the agent's version")
}
