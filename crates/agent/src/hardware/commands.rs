//! Commands about hardware wallets, and how they end.

use keystead_core::Name;
use keystead_keeper::trezor::{Event, Opened, TrezorPath};
use keystead_keeper::{AskId, KeeperError};

use super::control::{self, Command, Reply};
use super::{Do, HardwareWallets, Held, Kind, Record, Step, Told, Waiting, answer_of, id_of};
use crate::control::{Failure, FailureKind};
use crate::failures::kind_of_error;
use crate::ids::ClientId;
use keystead_core::{PairingId, SecretBytes};

impl HardwareWallets {
    /// A command came. `is_taken` says which names keepers of other kinds have.
    pub(crate) fn command(
        &mut self,
        step: &mut Step,
        client: ClientId,
        (command, behind): (Command, Option<SecretBytes>),
        is_taken: impl Fn(&Name) -> bool,
    ) {
        let begun = match command {
            Command::DeviceAdd {
                path,
                name,
                passphrase_on_device,
            } => self.add(step, client, (&path, name, passphrase_on_device), is_taken),
            Command::DeviceUnlock { keeper } => self.unlock(step, client, keeper.as_deref()),
            Command::DeviceLock { keeper } => self.lock(step, client, keeper.as_deref()),
            Command::DeviceAnswer {
                question,
                answer: control::Answer::Agree,
            } if self.found.contains_key(&question) => {
                self.agreed(step, question);
                Ok(())
            }
            Command::DeviceAnswer { question, answer } => {
                match answer_of(answer, behind) {
                    Some(answer) => self.answered(step, question, answer),
                    None => self.answered(step, question, keystead_keeper::trezor::Answer::Cancel),
                }
                Ok(())
            }
        };
        if let Err(failure) = begun {
            step.reply(client, Reply::Failed(failure));
        }
    }

    /// A command's connection ended: what it wanted is taken back.
    pub(crate) fn leave(&mut self, step: &mut Step, gone: ClientId) {
        let of_it = self.commands.iter().filter(|(_, it)| it.client == gone);
        let asks: Vec<AskId> = of_it.map(|(ask, _)| *ask).collect();
        for ask in asks {
            let Some(waiting) = self.commands.remove(&ask) else {
                continue;
            };
            self.found.retain(|_, (its, _)| *its != ask);
            self.tell(step, waiting.wallet, Event::Withdraw { ask });
            if waiting.kind == Kind::Add {
                self.remove_once_closed(step, waiting.wallet);
            }
        }
    }

    fn add(
        &mut self,
        step: &mut Step,
        client: ClientId,
        (path, name, passphrase_on_device): (&str, Option<String>, bool),
        is_taken: impl Fn(&Name) -> bool,
    ) -> Result<(), Failure> {
        let path: TrezorPath = path
            .parse()
            .map_err(|error| usage(format!("{error}"), "see `keystead keeper add --help`"))?;
        let is_free = |name: &Name| {
            let has_it = |it: &Held| it.record.name == *name;
            !is_taken(name) && !self.held.values().any(has_it)
        };
        let name = match name {
            Some(name) => {
                let hint = "choose another with --name";
                let name = Name::new(name).map_err(|error| usage(error.to_string(), hint))?;
                if !is_free(&name) {
                    return Err(usage(format!("another keeper is called {name}"), hint));
                }
                name
            }
            None => Name::new(DEFAULT_NAME)
                .map_err(|error| usage(error.to_string(), "choose one with --name"))?
                .numbered(is_free),
        };
        let record = Record {
            name,
            path,
            wallet: None,
            passphrase_on_device,
            added_unix_s: step.now.unix_s,
        };
        let number = self.next();
        let wallet = id_of(&number.to_be_bytes());
        self.held.insert(wallet, Held::new(record, true));
        self.open(step, client, wallet, Kind::Add);
        Ok(())
    }

    fn unlock(
        &mut self,
        step: &mut Step,
        client: ClientId,
        keeper: Option<&str>,
    ) -> Result<(), Failure> {
        let wallet = self.find(keeper)?;
        self.open(step, client, wallet, Kind::Unlock);
        // What others have asked before, and nobody has answered.
        let open = self.questions.iter().filter(|(_, it)| it.wallet == wallet);
        let open: Vec<u64> = open.map(|(question, _)| *question).collect();
        for question in open {
            self.put(step, client, question);
        }
        Ok(())
    }

    fn open(&mut self, step: &mut Step, client: ClientId, wallet: PairingId, kind: Kind) {
        let ask = self.wait(client, wallet, kind);
        let wait_s = WAIT_S;
        self.tell(step, wallet, Event::Open { ask, wait_s });
    }

    fn lock(
        &mut self,
        step: &mut Step,
        client: ClientId,
        keeper: Option<&str>,
    ) -> Result<(), Failure> {
        let wallet = self.find(keeper)?;
        let ask = self.wait(client, wallet, Kind::Lock);
        self.tell(step, wallet, Event::Lock { ask });
        Ok(())
    }

    fn wait(&mut self, client: ClientId, wallet: PairingId, kind: Kind) -> AskId {
        let ask = AskId(ASKS_FROM + self.next());
        let waiting = Waiting {
            client,
            wallet,
            kind,
        };
        self.commands.insert(ask, waiting);
        ask
    }

    /// The wallet of this name or id; the only one when none is named.
    fn find(&self, named: Option<&str>) -> Result<PairingId, Failure> {
        let id: Option<PairingId> = named.and_then(|it| it.parse().ok());
        let mut found = self.in_use().filter(|(pairing, wallet)| {
            named.is_none_or(|it| wallet.record.name.as_str() == it) || Some(**pairing) == id
        });
        match (found.next(), found.next(), named) {
            (Some((pairing, _)), None, _) => Ok(*pairing),
            (Some(_), Some(_), _) => Err(usage(
                "which one? there are several hardware wallets".to_owned(),
                "name it; see `keystead keeper list`",
            )),
            (None, _, Some(named)) => Err(failure(
                format!("no hardware wallet is called {named:?}"),
                "see `keystead keeper list`",
            )),
            (None, _, None) => Err(failure(
                "there is no hardware wallet".to_owned(),
                "add one: keystead keeper add trezor",
            )),
        }
    }

    /// A command has come to its end, or to the question whether the wallet is the one that is
    /// meant.
    pub(super) fn finished(
        &mut self,
        step: &mut Step,
        ask: AskId,
        end: Result<Option<Opened>, KeeperError>,
    ) {
        let Some(waiting) = self.commands.remove(&ask) else {
            return;
        };
        let wallet = waiting.wallet;
        let keeper = self.name(wallet);
        let end = end.map_err(|error| Failure {
            kind: kind_of_error(&error),
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        });
        let end = match (waiting.kind, end) {
            (Kind::Add, Ok(Some(opened))) => match self.known(&opened) {
                None => return self.ask_whether(step, (ask, waiting), opened),
                Some(failure) => Err(failure),
            },
            (Kind::Unlock, Ok(Some(opened))) => Ok(Reply::Opened(self.shown(wallet, &opened))),
            (Kind::Add | Kind::Unlock | Kind::Lock, Ok(_)) => Ok(Reply::Done {}),
            (_, Err(failure)) => Err(failure),
        };
        if waiting.kind == Kind::Add {
            self.remove_once_closed(step, wallet);
        }
        end_of(step, &waiting, keeper, end);
    }

    /// Why this wallet is not added: it is there.
    fn known(&self, opened: &Opened) -> Option<Failure> {
        let mut in_use = self.in_use();
        let (_, known) = in_use.find(|(_, it)| it.record.wallet == Some(opened.wallet))?;
        Some(failure(
            format!(
                "wallet {} is there already, as {}",
                opened.wallet, known.record.name
            ),
            "another passphrase opens another wallet",
        ))
    }

    /// The person is shown which wallet it is, before anything is written.
    fn ask_whether(&mut self, step: &mut Step, (ask, waiting): (AskId, Waiting), opened: Opened) {
        let question = self.next();
        let found = Reply::Found {
            question,
            opened: self.shown(waiting.wallet, &opened),
        };
        step.reply(waiting.client, found);
        self.found.insert(question, (ask, opened));
        self.commands.insert(ask, waiting);
    }

    /// It is: the hardware wallet is a keeper now, unless another command was faster.
    fn agreed(&mut self, step: &mut Step, question: u64) {
        let Some((ask, opened)) = self.found.remove(&question) else {
            return;
        };
        let Some(waiting) = self.commands.remove(&ask) else {
            return;
        };
        let keeper = self.name(waiting.wallet);
        let end = match self.known(&opened) {
            None => Ok(self.added(step, waiting.wallet, &opened)),
            Some(failure) => {
                self.remove_once_closed(step, waiting.wallet);
                Err(failure)
            }
        };
        end_of(step, &waiting, keeper, end);
    }

    fn added(&mut self, step: &mut Step, new: PairingId, opened: &Opened) -> Reply {
        let Some(mut wallet) = self.held.remove(&new) else {
            return Reply::Done {};
        };
        wallet.is_new = false;
        wallet.record.wallet = Some(opened.wallet);
        wallet.machine.expect(opened.wallet);
        let pairing = wallet.record.id();
        self.held.insert(pairing, wallet);
        step.told.push(Told::Changed);
        Reply::Opened(self.shown(pairing, opened))
    }

    fn shown(&self, wallet: PairingId, opened: &Opened) -> control::Opened {
        let (major, minor, patch) = opened.version;
        let path = self.held.get(&wallet).map(|it| it.record.path.to_string());
        control::Opened {
            keeper: self.name(wallet),
            path: path.unwrap_or_default(),
            wallet: opened.wallet.to_string(),
            label: opened.label.clone(),
            model: opened.model.clone(),
            version: format!("{major}.{minor}.{patch}"),
            has_passphrase: opened.has_passphrase,
        }
    }

    /// One that was not added goes. Its machine says its last words first: they are sent before
    /// the cable closes.
    fn remove_once_closed(&mut self, step: &mut Step, wallet: PairingId) {
        if let Some(link) = self.held.get(&wallet).and_then(|it| it.link) {
            step.carry(Do::Close(link));
        }
        if let Some(wallet) = self.held.get_mut(&wallet) {
            wallet.link = None;
        }
        self.remove(step, wallet);
    }
}

/// A command's end, for the log and for who waits.
fn end_of(step: &mut Step, waiting: &Waiting, keeper: String, end: Result<Reply, Failure>) {
    let kind = match waiting.kind {
        Kind::Add => "add-wallet",
        Kind::Unlock => "unlock-wallet",
        Kind::Lock => "lock-wallet",
    };
    let noted = match &end {
        Ok(Reply::Opened(opened)) => Ok(Some(format!("wallet {}", opened.wallet))),
        Ok(_) => Ok(None),
        Err(failure) => Err(failure.message.clone()),
    };
    step.told.push(Told::Log {
        kind,
        keeper,
        end: noted,
    });
    step.reply(waiting.client, end.unwrap_or_else(Reply::Failed));
}

fn usage(message: String, hint: &str) -> Failure {
    Failure {
        kind: FailureKind::Usage,
        message,
        hint: Some(hint.to_owned()),
    }
}

fn failure(message: String, hint: &str) -> Failure {
    Failure {
        kind: FailureKind::Error,
        message,
        hint: Some(hint.to_owned()),
    }
}

const DEFAULT_NAME: &str = "trezor";

/// 120 s: a person looks for the passphrase.
const WAIT_S: u16 = 120;

/// The agent counts its own questions from 0, and those for approvals from 2^63.
const ASKS_FROM: u64 = 1 << 62;
