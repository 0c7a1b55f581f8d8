//! All pairings and the one that is being made.
//!
//! Invariant: an event changes only what it is for, and each step's actions
//! are complete: what they do not say need not be done.

use std::collections::{BTreeMap, BTreeSet};

use keystead_core::{KeyEntry, Name, PairingId, SecretBytes};
use keystead_daemon::{Io, Now};
use keystead_transport::{LinkId, NetAction, NetEvent, RelayUrl};

use crate::attempt::{Attempt, Ended, Going, NewPairing};
use crate::keeper::Keeper;
use crate::record::{FOLDER, decode, file_of};
use crate::step::{LinkIds, Step};
use crate::{
    Action, AskId, Event, KeeperError, LoadError, Notice, PairError, PairingProgress, PairingView,
    Progress,
};

/// All pairings of this workstation, the running offer and the open asks.
pub struct Keepers {
    keepers: BTreeMap<PairingId, Keeper>,
    attempt: Option<Attempt>,
    links: LinkIds,
    /// Relays that something here uses.
    relays: BTreeSet<RelayUrl>,
    /// Those of them that are away.
    away: BTreeSet<RelayUrl>,
    /// Whether the first tick, which subscribes, has not been yet.
    is_new: bool,
}

impl Keepers {
    /// Loads the pairings. A damaged one is a [`Notice::Damaged`]; the others are there.
    ///
    /// The first [`Event::Tick`] is due at once.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub fn load(_now: Now, io: &mut Io<'_>) -> Result<(Keepers, Vec<Notice>), LoadError> {
        let unreadable = |path: &str, source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut keepers = BTreeMap::new();
        let mut notices = Vec::new();
        let files = io.disk.list(FOLDER).map_err(|it| unreadable(FOLDER, it))?;
        for file in files {
            let file = format!("{FOLDER}/{file}");
            let read = io.disk.read(&file).map_err(|it| unreadable(&file, it))?;
            let Some(mut content) = read else {
                continue;
            };
            match decode(&SecretBytes::take(&mut content)) {
                Ok((record, secrets)) if file_of(secrets.id()) == file => {
                    let keeper = Keeper::new(record, secrets);
                    keepers.insert(keeper.id, keeper);
                }
                Ok(_) => notices.push(Notice::Damaged {
                    file,
                    reason: "it holds another pairing than its name says".to_owned(),
                }),
                Err(fault) => notices.push(Notice::Damaged {
                    file,
                    reason: fault.to_string(),
                }),
            }
        }
        let keepers = Keepers {
            keepers,
            attempt: None,
            links: LinkIds::default(),
            relays: BTreeSet::new(),
            away: BTreeSet::new(),
            is_new: true,
        };
        Ok((keepers, notices))
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        let mut links = std::mem::take(&mut self.links);
        let mut step = Step::new(now, io, &mut links);
        self.take(event, &mut step);
        self.keepers.retain(|_, keeper| !keeper.is_ended());
        self.let_go_of_relays(&mut step);
        let actions = step.finish();
        self.links = links;
        actions
    }

    /// The process ends: channels are closed with a word, and what is not written yet is written.
    pub fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action> {
        let mut links = std::mem::take(&mut self.links);
        let mut step = Step::new(now, io, &mut links);
        if let Some(mut attempt) = self.attempt.take() {
            let going = attempt.cancel(&mut step);
            self.end_attempt(going, &mut step);
        }
        for keeper in self.keepers.values_mut() {
            keeper.shut_down(&mut step);
        }
        let actions = step.finish();
        self.links = links;
        actions
    }

    /// When [`Event::Tick`] is due, by the monotonic clock of [`Now`].
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        if self.is_new {
            return Some(0);
        }
        let keepers = self.keepers.values().filter_map(Keeper::wake_ms);
        let attempt = self.attempt.as_ref().and_then(Attempt::wake_ms);
        keepers.chain(attempt).min()
    }

    /// Every key of every pairing in use, with its keeper's name.
    pub fn keys(&self) -> impl Iterator<Item = (PairingId, &Name, &KeyEntry)> {
        let in_use = self.keepers.values().filter(|it| !it.is_unpairing());
        in_use.flat_map(|keeper| {
            let keys = keeper.record.keys.iter();
            keys.map(|key| (keeper.id, &keeper.record.name, key))
        })
    }

    /// All pairings, by name.
    #[must_use]
    pub fn pairings(&self) -> Vec<PairingView> {
        let mut views: Vec<PairingView> = self.keepers.values().map(Keeper::view).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    /// Whether a pairing is under way.
    #[must_use]
    pub fn is_pairing(&self) -> bool {
        self.attempt.is_some()
    }

    fn take(&mut self, event: Event, step: &mut Step<'_, '_>) {
        match event {
            Event::Ask {
                ask,
                pairing,
                body,
                wait_s,
            } => match self.keepers.get_mut(&pairing) {
                Some(keeper) => keeper.ask(ask, body, wait_s, step),
                None => {
                    let error = KeeperError::NoSuchKeeper;
                    step.progress(ask, Progress::Done(Err(error)));
                }
            },
            Event::Withdraw { ask } => self.withdraw(ask, step),
            Event::PairStart {
                own_name,
                relay,
                addresses,
            } => {
                if let Some(mut attempt) = self.attempt.take() {
                    let going = attempt.cancel(step);
                    self.end_attempt(going, step);
                }
                let (attempt, going) = Attempt::start(own_name, relay, &addresses, step);
                self.attempt = Some(attempt);
                self.end_attempt(going, step);
            }
            Event::PairConfirm => self.on_attempt(step, Attempt::confirm),
            Event::PairCancel => self.on_attempt(step, Attempt::cancel),
            Event::Unpair { pairing } => {
                if let Some(keeper) = self.keepers.get_mut(&pairing) {
                    keeper.unpair(step);
                }
            }
            Event::Rename { pairing, name } => self.rename(pairing, name, step),
            Event::Refresh(looks) => {
                for keeper in self.keepers.values_mut() {
                    keeper.refresh_for(looks, step);
                }
            }
            Event::Net(event) => self.take_net(event, step),
            Event::Tick => {
                self.is_new = false;
                for keeper in self.keepers.values_mut() {
                    keeper.tick(step);
                }
                self.on_attempt(step, Attempt::tick);
            }
        }
    }

    fn take_net(&mut self, event: NetEvent, step: &mut Step<'_, '_>) {
        match event {
            NetEvent::RelayUp { relay } => self.relay_up(relay, step),
            NetEvent::RelayDown { relay, reason } => self.relay_down(relay, reason, step),
            NetEvent::Item {
                relay,
                mailbox,
                item,
            } => {
                let mut keepers = self.keepers.values_mut();
                if !keepers.any(|it| it.take_item(&relay, &mailbox, &item, step)) {
                    self.on_attempt(step, |attempt, step| {
                        attempt.take_item(&relay, &mailbox, &item, step)
                    });
                }
            }
            NetEvent::Listening { asked, address } => self.on_attempt(step, |attempt, step| {
                attempt.listening(&asked, Ok(address), step)
            }),
            NetEvent::ListenFailed { asked, reason } => self.on_attempt(step, |attempt, step| {
                attempt.listening(&asked, Err(reason), step)
            }),
            NetEvent::Accepted { link, .. } => match &mut self.attempt {
                Some(attempt) => attempt.accepted(link, step),
                None => step.net(NetAction::Close { link }),
            },
            NetEvent::Dialled { link } => {
                self.on_link(link, step, |keeper, step| keeper.dialled(link, step));
            }
            NetEvent::DialFailed { link, reason } => self.on_link(link, step, |keeper, step| {
                keeper.dial_failed(link, reason, step);
            }),
            NetEvent::Bytes { link, bytes } if link.is_accepted() => {
                self.on_attempt(step, |attempt, step| attempt.take_bytes(link, &bytes, step));
            }
            NetEvent::Bytes { link, bytes } => self.on_link(link, step, |keeper, step| {
                keeper.take_bytes(link, &bytes, step);
            }),
            NetEvent::Closed { link, .. } if link.is_accepted() => {
                self.on_attempt(step, |attempt, step| attempt.link_closed(link, step));
            }
            NetEvent::Closed { link, reason } => self.on_link(link, step, |keeper, step| {
                keeper.link_closed(link, reason, step);
            }),
            // A relay's word on a pairing is a hint, not a fact: silence will say the same.
            NetEvent::Gone { .. } | NetEvent::PostRefused { .. } => {}
        }
    }

    fn on_link(
        &mut self,
        link: LinkId,
        step: &mut Step<'_, '_>,
        take: impl FnOnce(&mut Keeper, &mut Step<'_, '_>),
    ) {
        match self.keepers.values_mut().find(|keeper| keeper.is_on(link)) {
            Some(keeper) => take(keeper, step),
            None => step.net(NetAction::Close { link }),
        }
    }

    fn on_attempt(
        &mut self,
        step: &mut Step<'_, '_>,
        take: impl FnOnce(&mut Attempt, &mut Step<'_, '_>) -> Going,
    ) {
        if let Some(attempt) = &mut self.attempt {
            let going = take(attempt, step);
            self.end_attempt(going, step);
        }
    }

    fn end_attempt(&mut self, going: Going, step: &mut Step<'_, '_>) {
        let Some(ended) = going else {
            return;
        };
        self.attempt = None;
        match ended {
            Ended::Failed(error) => step.pairing(PairingProgress::Ended(error)),
            Ended::Paired(paired) => self.store(*paired, step),
        }
    }

    /// The authenticator has stored the pairing: now it is stored here.
    fn store(&mut self, paired: NewPairing, step: &mut Step<'_, '_>) {
        let NewPairing {
            mut record,
            secrets,
            answered,
        } = paired;
        record.name = self.free_name(&record.authenticator);
        let mut keeper = Keeper::new(record, secrets);
        let (pairing, name) = (keeper.id, keeper.record.name.clone());
        if keeper.save(step) {
            step.pairing(PairingProgress::Stored {
                pairing,
                name: name.clone(),
                keys: keeper.record.keys.clone(),
            });
            for answer in answered {
                step.notice(Notice::Answered {
                    pairing,
                    keeper: name.clone(),
                    kind: answer.kind,
                    outcome: answer.outcome,
                    request_hash: answer.request_hash,
                    receipt: answer.receipt,
                });
            }
            keeper.tick(step);
        } else {
            // Half a pairing is none: the authenticator is told while this process lives.
            keeper.unpair(step);
            let file = file_of(pairing);
            step.pairing(PairingProgress::Ended(PairError::NotStored { file }));
        }
        self.keepers.insert(pairing, keeper);
    }

    fn free_name(&self, wanted: &Name) -> Name {
        wanted.numbered(|name| !self.keepers.values().any(|it| it.record.name == *name))
    }

    fn rename(&mut self, pairing: PairingId, name: Name, step: &mut Step<'_, '_>) {
        let taken = self.keepers.values().any(|it| it.record.name == name);
        if let Some(keeper) = self.keepers.get_mut(&pairing)
            && !taken
        {
            keeper.rename(name, step);
        }
    }

    fn withdraw(&mut self, ask: AskId, step: &mut Step<'_, '_>) {
        for keeper in self.keepers.values_mut() {
            keeper.withdraw(ask, step);
        }
    }

    fn relay_up(&mut self, relay: RelayUrl, step: &mut Step<'_, '_>) {
        if !self.away.remove(&relay) {
            return;
        }
        for keeper in self.keepers.values_mut() {
            keeper.relay_is_back(&relay, step);
        }
        if let Some(attempt) = &mut self.attempt
            && attempt.relay() == Some(&relay)
        {
            attempt.relay_is_back(step);
        }
        step.notice(Notice::RelayBack { relay });
    }

    fn relay_down(&mut self, relay: RelayUrl, reason: String, step: &mut Step<'_, '_>) {
        for keeper in self.keepers.values_mut() {
            keeper.relay_down(&relay, &reason);
        }
        if self.away.insert(relay.clone()) {
            step.notice(Notice::RelayAway { relay, reason });
        }
    }

    /// Relays that nothing uses any more are let go of, after what was said to them in this step.
    fn let_go_of_relays(&mut self, step: &mut Step<'_, '_>) {
        let keepers = self.keepers.values().flat_map(Keeper::relays);
        let attempt = self.attempt.as_ref().and_then(Attempt::relay);
        let used: BTreeSet<RelayUrl> = keepers.chain(attempt).cloned().collect();
        for relay in self.relays.difference(&used) {
            step.net(NetAction::RelayClose {
                relay: relay.clone(),
            });
            self.away.remove(relay);
        }
        self.relays = used;
    }
}
