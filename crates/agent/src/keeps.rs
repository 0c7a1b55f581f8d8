//! Who keeps keys, as the agent sees it: the one seam behind which kinds of keeper stand.
//!
//! **Invariant:** a question goes to the kind of keeper that its key names; what a server wants
//! to have approved goes to the paired authenticators, and what they say goes back to it.

use std::collections::BTreeMap;

use keystead_core::{
    ApproveServerRequest, KeyEntry, Name, Outcome, PairingId, RequestBody, ResponseBody,
};
use keystead_daemon::{Io, Now};
use keystead_keeper::{Action, AskId, Event, Keepers, PairingView, Progress};

use crate::hardware::{self, HardwareWallets};
use crate::kept::WalletView;
use crate::servers::{Approved, Servers, Step, Target, Told};

/// Keepers that can be asked. Pure: what is to be done comes back as [`Action`]s.
pub trait Keeps: Send {
    /// Takes one event.
    fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action>;

    /// The process ends: channels are closed with a word, an offer and its mailbox end, and what
    /// is not written yet is written.
    fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action>;

    /// When [`Event::Tick`] is due, by the steady clock.
    fn next_wake_ms(&self) -> Option<u64>;

    /// Every key of every pairing in use, with its keeper's name.
    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)>;

    /// All pairings, by name.
    fn pairings(&self) -> Vec<PairingView>;

    /// Who derives keys of identities: those that say that they have a wallet.
    fn wallets(&self) -> Vec<WalletView> {
        let views = self.pairings().into_iter();
        let has_wallet = |it: &PairingView| !it.is_unpairing && !it.wallets.is_empty();
        let wallets = views.filter(has_wallet).flat_map(|view| {
            let PairingView {
                pairing,
                name,
                wallets,
                ..
            } = view;
            wallets.into_iter().map(move |fingerprint| WalletView {
                pairing,
                name: name.clone(),
                fingerprint: Some(fingerprint),
            })
        });
        wallets.collect()
    }
}

/// Nobody: of an agent in the place of `ssh-agent`.
pub struct NoKeepers;

impl Keeps for NoKeepers {
    fn step(&mut self, _: Now, _: Event, _: &mut Io<'_>) -> Vec<Action> {
        Vec::new()
    }

    fn shut_down(&mut self, _: Now, _: &mut Io<'_>) -> Vec<Action> {
        Vec::new()
    }

    fn next_wake_ms(&self) -> Option<u64> {
        None
    }

    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        Vec::new()
    }

    fn pairings(&self) -> Vec<PairingView> {
        Vec::new()
    }
}

impl Keeps for Keepers {
    fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        Self::step(self, now, event, io)
    }

    fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action> {
        Self::shut_down(self, now, io)
    }

    fn next_wake_ms(&self) -> Option<u64> {
        Self::next_wake_ms(self)
    }

    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        Self::keys(self)
            .map(|(pairing, keeper, key)| (pairing, keeper.clone(), key.clone()))
            .collect()
    }

    fn pairings(&self) -> Vec<PairingView> {
        Self::pairings(self)
    }
}

/// All who keep keys: paired authenticators and key servers.
pub(crate) struct Keeping {
    paired: Box<dyn Keeps>,
    pub(crate) servers: Servers,
    pub(crate) hardware: HardwareWallets,
    approvals: BTreeMap<AskId, Approval>,
    last_approval: u64,
}

/// One authenticator that is asked for an approval.
struct Approval {
    target: Target,
    by: Name,
    pairing: PairingId,
}

/// What keepers of all kinds want done.
pub(crate) enum Wants {
    /// A paired keeper.
    Keeper(Action),
    /// A server.
    Server(Told),
    /// A hardware wallet.
    Device(hardware::Told),
    /// An authenticator has answered for a server: to be written down.
    Approval {
        by: Name,
        pairing: PairingId,
        end: Box<Result<keystead_keeper::Answer, keystead_keeper::KeeperError>>,
    },
}

impl Keeping {
    pub(crate) fn new(paired: Box<dyn Keeps>, hardware: HardwareWallets) -> Self {
        Self {
            paired,
            servers: Servers::default(),
            hardware,
            approvals: BTreeMap::new(),
            last_approval: APPROVALS_FROM,
        }
    }

    /// Takes one event.
    pub(crate) fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Wants> {
        let mut wants = Vec::new();
        match event {
            Event::Ask {
                ask,
                pairing,
                body,
                wait_s,
            } if self.servers.has(pairing) => {
                let of = (ask, pairing);
                let asks = |servers: &mut Servers, step: &mut Step<'_>| {
                    servers.ask(step, of, &body, wait_s);
                };
                self.servers(now, io, &mut wants, asks);
            }
            Event::Ask {
                ask,
                pairing,
                body,
                wait_s,
            } if self.hardware.has(pairing) => self.hardware(now, &mut wants, |it, step| {
                it.ask(step, (ask, pairing), body, wait_s);
            }),
            Event::Unpair { pairing } if self.hardware.has(pairing) => {
                self.hardware(now, &mut wants, |it, step| it.remove(step, pairing));
            }
            Event::Rename { pairing, name } if self.hardware.has(pairing) => {
                self.hardware(now, &mut wants, |it, step| it.rename(step, pairing, name));
            }
            Event::Withdraw { ask } => {
                self.hardware(now, &mut wants, |it, step| it.withdraw(step, ask));
                self.servers(now, io, &mut wants, |it, step| it.withdraw(step, ask));
                let actions = self.paired.step(now, Event::Withdraw { ask }, io);
                self.sort(now, io, &mut wants, actions);
            }
            Event::Tick => {
                self.hardware(now, &mut wants, hardware::HardwareWallets::tick);
                self.servers(now, io, &mut wants, |it, step| it.tick(step));
                let actions = self.paired.step(now, Event::Tick, io);
                self.sort(now, io, &mut wants, actions);
            }
            event @ (Event::Ask { .. }
            | Event::PairStart { .. }
            | Event::PairConfirm
            | Event::PairCancel
            | Event::Unpair { .. }
            | Event::Rename { .. }
            | Event::Refresh(_)
            | Event::Net(_)) => {
                let actions = self.paired.step(now, event, io);
                self.sort(now, io, &mut wants, actions);
            }
        }
        wants
    }

    /// Lets the servers decide something.
    pub(crate) fn decide(
        &mut self,
        now: Now,
        io: &mut Io<'_>,
        decide: impl FnOnce(&mut Servers, &mut Step<'_>),
    ) -> Vec<Wants> {
        let mut wants = Vec::new();
        self.servers(now, io, &mut wants, decide);
        wants
    }

    pub(crate) fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Wants> {
        let last = self.paired.shut_down(now, io);
        last.into_iter().map(Wants::Keeper).collect()
    }

    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        let all = [
            self.paired.next_wake_ms(),
            self.servers.next_wake_ms(),
            self.hardware.next_wake_ms(),
        ];
        all.into_iter().flatten().min()
    }

    /// Whether it signs a receipt for what it answers, as paired authenticators do: a key server
    /// proves by its own log, a hardware wallet by its signature alone.
    pub(crate) fn gives_receipts(&self, keeper: PairingId) -> bool {
        let is_local = keeper == keystead_keeper::local::ID;
        !is_local && !self.servers.has(keeper) && !self.hardware.has(keeper)
    }

    /// Every key of every keeper, with its keeper's name.
    pub(crate) fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        let mut keys = self.paired.keys();
        let held = self.servers.keys();
        keys.extend(held.map(|(id, name, key)| (id, name.clone(), key.clone())));
        keys
    }

    /// Who derives keys of identities.
    pub(crate) fn wallets(&self) -> Vec<WalletView> {
        let mut wallets = self.paired.wallets();
        wallets.extend(self.hardware.wallets());
        wallets
    }

    /// Paired keepers and hardware wallets.
    pub(crate) fn pairings(&self) -> Vec<PairingView> {
        let mut views = self.paired.pairings();
        views.extend(self.hardware.views());
        views
    }

    /// Those that would be waited for in vain: a device that is away says so at once.
    pub(crate) fn away(&self) -> Vec<PairingId> {
        let views = self.paired.pairings().into_iter();
        let away = views.filter(|it| !it.is_connected);
        away.map(|it| it.pairing).collect()
    }

    fn hardware(
        &mut self,
        now: Now,
        wants: &mut Vec<Wants>,
        decide: impl FnOnce(&mut HardwareWallets, &mut hardware::Step),
    ) {
        let mut step = hardware::Step::new(now);
        decide(&mut self.hardware, &mut step);
        wants.extend(step.told.into_iter().map(Wants::Device));
    }

    fn servers(
        &mut self,
        now: Now,
        io: &mut Io<'_>,
        wants: &mut Vec<Wants>,
        decide: impl FnOnce(&mut Servers, &mut Step<'_>),
    ) {
        let mut step = Step::new(now, io.rng);
        decide(&mut self.servers, &mut step);
        for told in step.told {
            match told {
                Told::Approve {
                    target,
                    by,
                    text,
                    wait_s,
                } => self.approve(now, io, wants, (target, by.as_deref(), &text, wait_s)),
                Told::ApprovalOver(target) => self.approval_over(now, io, wants, target),
                told @ (Told::Do(_)
                | Told::Progress { .. }
                | Told::Reply { .. }
                | Told::KeysChanged
                | Told::Notice(_)) => wants.push(Wants::Server(told)),
            }
        }
    }

    /// What paired keepers want: news of approvals stays here.
    fn sort(&mut self, now: Now, io: &mut Io<'_>, wants: &mut Vec<Wants>, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Progress { ask, progress } if ask.0 > APPROVALS_FROM => {
                    self.approval(now, io, wants, (ask, progress));
                }
                action @ (Action::Net(_)
                | Action::Progress { .. }
                | Action::Pairing(_)
                | Action::Notice(_)) => wants.push(Wants::Keeper(action)),
            }
        }
    }

    /// The authenticator of this name is asked; without a name all paired ones are, at once:
    /// those that have no key for this server say so without asking anybody.
    fn approve(
        &mut self,
        now: Now,
        io: &mut Io<'_>,
        wants: &mut Vec<Wants>,
        (target, by, text, wait_s): (Target, Option<&str>, &[u8], u16),
    ) {
        let mut views = self.paired.pairings();
        let is_meant = |name: &Name| by.is_none_or(|by| name.as_str() == by);
        views.retain(|view| !view.is_unpairing && is_meant(&view.name));
        if views.is_empty() {
            let why = match by {
                Some(by) => format!("no paired authenticator is called {by}"),
                None => "no authenticator is paired that could approve it".to_owned(),
            };
            let end = Approved::Nobody { why };
            return self.servers(now, io, wants, |it, step| it.approved(step, target, end));
        }
        let mut asks = Vec::new();
        for view in views {
            self.last_approval += 1;
            let ask = AskId(self.last_approval);
            let approval = Approval {
                target,
                by: view.name,
                pairing: view.pairing,
            };
            self.approvals.insert(ask, approval);
            asks.push((ask, view.pairing));
        }
        for (ask, pairing) in asks {
            let text = text.to_vec();
            let event = Event::Ask {
                ask,
                pairing,
                body: RequestBody::ApproveServer(ApproveServerRequest { text }),
                wait_s,
            };
            let actions = self.paired.step(now, event, io);
            self.sort(now, io, wants, actions);
        }
    }

    fn approval_over(&mut self, now: Now, io: &mut Io<'_>, wants: &mut Vec<Wants>, target: Target) {
        let of_it = self.approvals.iter().filter(|(_, it)| it.target == target);
        let asks: Vec<AskId> = of_it.map(|(ask, _)| *ask).collect();
        for ask in asks {
            self.approvals.remove(&ask);
            let actions = self.paired.step(now, Event::Withdraw { ask }, io);
            self.sort(now, io, wants, actions);
        }
    }

    /// News of an approval.
    fn approval(
        &mut self,
        now: Now,
        io: &mut Io<'_>,
        wants: &mut Vec<Wants>,
        (ask, progress): (AskId, Progress),
    ) {
        let end = match progress {
            Progress::Sent { .. } => return,
            Progress::Asking { .. } => {
                let Some(approval) = self.approvals.get(&ask) else {
                    return;
                };
                let (target, by) = (approval.target, approval.by.clone());
                return self.servers(now, io, wants, |it, step| it.asking(step, target, &by));
            }
            Progress::Done(end) => end,
        };
        let Some(Approval {
            target,
            by,
            pairing,
        }) = self.approvals.remove(&ask)
        else {
            return;
        };
        let others = self.approvals.values().any(|it| it.target == target);
        let told = approved(&by, &end);
        if !matches!(&end, Ok(answer) if answer.outcome == Outcome::UnknownKey) {
            wants.push(Wants::Approval {
                by,
                pairing,
                end: Box::new(end),
            });
        }
        // Somebody else may still say yes, where nobody has said no.
        if others && matches!(told, Approved::Nobody { .. }) {
            return;
        }
        self.servers(now, io, wants, |it, step| it.approved(step, target, told));
        // A command has its one answer; a server's request tells when it has ended.
        if let Target::Client(_) = target {
            self.approval_over(now, io, wants, target);
        }
    }
}

/// What an authenticator's answer means for the approval.
fn approved(
    by: &Name,
    end: &Result<keystead_keeper::Answer, keystead_keeper::KeeperError>,
) -> Approved {
    let answer = match end {
        Ok(answer) => answer,
        Err(error) => {
            let why = error.to_string();
            return Approved::Nobody { why };
        }
    };
    match (answer.outcome, &answer.body) {
        (Outcome::Approve, Some(ResponseBody::ServerApproval(approval))) => Approved::Yes {
            approver: approval.approver,
            signature: approval.signature,
            by: by.clone(),
        },
        (Outcome::Refuse | Outcome::Block, _) => Approved::No { by: by.clone() },
        (Outcome::UnknownKey | Outcome::Unsupported, _) => Approved::Nobody {
            why: format!("{by} has no key that approves for this server"),
        },
        (Outcome::Expire, _) => Approved::Nobody {
            why: format!("no answer from {by} in time"),
        },
        (outcome, _) => Approved::Nobody {
            why: format!("{by} answers: {}", outcome.as_str()),
        },
    }
}

/// The agent counts its own questions from 0; those for approvals are above all of them.
const APPROVALS_FROM: u64 = 1 << 63;
