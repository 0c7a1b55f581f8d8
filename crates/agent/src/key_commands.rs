//! Commands about keys: identities' public keys, signatures and decryptions for front ends that
//! are other processes.
//!
//! **Invariant:** what such a front end asks for goes the way of a program's request: the rules of
//! this machine, a look at the process that it is for ([`crate::key_uses`]), the keeper, the log,
//! and only then the answer.

use keystead_core::{
    DecryptForm, Identity, KeyEntry, Name, PublicKeyRequest, RequestBody, SecretBytes, SignForm,
    WalletFingerprint, hex,
};

use crate::agent::{Agent, Turn};
use crate::ask::{Asker, Whom};
use crate::asked::{AskedIdentity, Then};
use crate::asked::{KeyUse, What};
use crate::control::Failure;
use crate::event::Action;
use crate::failures::{failure, usage};
use crate::ids::ClientId;
use crate::kept::WalletView;
use crate::key_control::{Command, HeldKey, IdentitySpec, Reply};
use crate::log::Entry;
use crate::servers::Behind;

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
        let mut behind = behind.into_iter();
        let plain = |it: SecretBytes| it.expose().to_vec();
        match command {
            Command::MakeKey { wanted, algorithm } => {
                self.make_held_key(turn, client, wanted, &algorithm)
            }
            Command::TakeKey { wanted, .. } => {
                let key = behind.next();
                let key = key.ok_or_else(|| usage("there is no key behind it", "try again"))?;
                self.take_key(turn, client, wanted, key)
            }
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
                    content: behind.next().map(plain).unwrap_or_default(),
                    preimage: behind.next().map(plain),
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
                    content: behind.next().map(plain).unwrap_or_default(),
                    preimage: behind.next().map(plain),
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
        let whose = self.wallet_for(&identity, None, keeper)?;
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
        let wallet = whose.fingerprint;
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
                // With the key it is clear which of its wallets derives it.
                let known = self.recorded(identity, whose);
                let id = known.map(|it| it.key.id.to_string());
                wanted.choice.id = wanted.choice.id.or(id);
                wanted.choice.keeper = Some(whose.pairing.to_string());
                if let Err(failure) = self.use_key(turn, client, *wanted) {
                    turn.key_reply(client, Reply::Failed(failure), None);
                }
            }
            Then::List(connection, listing) => self.go_on_listing(turn, connection, *listing),
        }
    }

    fn held_keys(&self) -> Vec<HeldKey> {
        let views = self.held_targets(None).into_iter().map(|target| {
            let record = target.identity.as_ref().and_then(|identity| {
                let mut records = self.records.of(identity);
                let record = records
                    .find(|it| it.pairing == target.pairing && it.key.id == target.key.id)?;
                Some((identity, record.canonical, record.wallet))
            });
            held(&target.key, &target.keeper, record)
        });
        views.collect()
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

pub(crate) fn held(
    key: &KeyEntry,
    keeper: &Name,
    identity: Option<(&Identity, bool, Option<WalletFingerprint>)>,
) -> HeldKey {
    let wallet = identity.and_then(|(_, _, wallet)| wallet);
    HeldKey {
        id: key.id.to_string(),
        algorithm: key.algorithm.clone(),
        public_key: hex::encode(&key.public_key),
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
