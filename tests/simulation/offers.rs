//! Offers, those who scan them, and the two persons who compare the codes.
//!
//! **Invariant:** a person says yes only to a code that both screens show.

use std::collections::BTreeMap;

use keystead_agent::ClientId;
use keystead_agent::control::{Command, Keeper, Reply};
use keystead_authenticator::control::{Command as Order, Reply as Told};
use keystead_authenticator::holder::Caller;

use crate::line::relay_url;
use crate::machine::Site;
use crate::world::{Parcel, World};

#[derive(Default)]
pub(crate) struct Offers {
    pub(crate) all: Vec<Offer>,
}

/// One `keystead pair`, and the `keystead-authenticator pair`s that answer it.
pub(crate) struct Offer {
    pub(crate) workstation: usize,
    pub(crate) words: Words,
    link: Option<String>,
    code: Option<String>,
    pub(crate) end: Option<OfferEnd>,
    pub(crate) scans: Vec<Scan>,
}

pub(crate) struct Scan {
    pub(crate) authenticator: usize,
    code: Option<String>,
    pub(crate) end: Option<ScanEnd>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OfferEnd {
    Stored(Box<Keeper>),
    Failed(String),
    /// The agent ended in between.
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScanEnd {
    Stored,
    Failed(String),
    /// The authenticator ended in between.
    Gone,
}

/// What the two persons say when the codes are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Words {
    #[default]
    BothYes,
    /// They take their time: longer than anybody needs to scan.
    BothYesSlowly,
    NoHere,
    NoThere,
}

/// Something that a person does after a while.
#[derive(Clone, Debug)]
pub(crate) enum Reaction {
    Scan { offer: usize, scan: usize, at: Site },
    ConfirmHere { offer: usize, at: Site },
    ConfirmThere { offer: usize, scan: usize, at: Site },
}

impl Reaction {
    pub(crate) fn site(&self) -> Site {
        match self {
            Self::Scan { at, .. }
            | Self::ConfirmHere { at, .. }
            | Self::ConfirmThere { at, .. } => *at,
        }
    }
}

impl Offer {
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some() && self.scans.iter().all(|it| it.end.is_some())
    }
}

impl World {
    /// `keystead pair` at a workstation; the authenticators scan it in their time.
    pub(crate) fn offer(&mut self, workstation: usize, scanners: &[usize], words: Words) -> usize {
        let id = self.offers.all.len();
        let scans = scanners.iter().map(|authenticator| Scan {
            authenticator: *authenticator,
            code: None,
            end: None,
        });
        self.offers.all.push(Offer {
            workstation,
            words,
            link: None,
            code: None,
            end: None,
            scans: scans.collect(),
        });
        let command = Command::Pair {
            name: None,
            relay: Some(relay_url().to_string()),
        };
        self.command_agent(workstation, client(id), &command);
        id
    }

    /// Pairs in peace.
    pub(crate) fn pair(&mut self, workstation: usize, authenticator: usize) -> Keeper {
        let offer = self.offer(workstation, &[authenticator], Words::BothYes);
        self.run_until(60_000, |it| it.offers.all[offer].is_over());
        let it = &self.offers.all[offer];
        assert_eq!(it.scans[0].end, Some(ScanEnd::Stored));
        let Some(OfferEnd::Stored(keeper)) = &it.end else {
            panic!("{:?}", it.end)
        };
        (**keeper).clone()
    }

    pub(crate) fn offer_goes_on(&mut self, of: ClientId, reply: Reply) {
        let Ok(id) = usize::try_from(of.0) else {
            return;
        };
        let Some(offer) = self.offers.all.get_mut(id) else {
            return;
        };
        let is_last = reply.is_last();
        assert!(!is_last || offer.end.is_none(), "two last replies");
        match reply {
            Reply::Offer { link, .. } => {
                offer.link = Some(link);
                for scan in 0..offer.scans.len() {
                    let authenticator = self.offers.all[id].scans[scan].authenticator;
                    let at = Site::Authenticator(authenticator);
                    let delay_ms = self.between_ms(100, 20_000);
                    let reaction = Reaction::Scan {
                        offer: id,
                        scan,
                        at,
                    };
                    self.later(delay_ms, Parcel::React(reaction));
                }
            }
            Reply::Code { code, .. } => {
                offer.code = Some(code);
                self.compare(id);
            }
            Reply::Paired { keeper } => offer.end = Some(OfferEnd::Stored(Box::new(keeper))),
            Reply::Failed(failure) => offer.end = Some(OfferEnd::Failed(failure.message)),
            _ => {}
        }
    }

    pub(crate) fn answering_goes_on(&mut self, caller: Caller, told: Told) {
        let (id, scan) = offer_of(caller);
        let Some(offer) = self.offers.all.get_mut(id) else {
            return;
        };
        let Some(scan) = offer.scans.get_mut(scan) else {
            return;
        };
        assert!(!told.is_last() || scan.end.is_none(), "two last replies");
        match told {
            Told::Code { code, .. } => {
                scan.code = Some(code);
                self.compare(id);
            }
            Told::Done { .. } => scan.end = Some(ScanEnd::Stored),
            Told::Failed { message, .. } => scan.end = Some(ScanEnd::Failed(message)),
            _ => {}
        }
    }

    /// Both persons look at both screens, once both show a code.
    fn compare(&mut self, id: usize) {
        let offer = &self.offers.all[id];
        let Some(here) = &offer.code else { return };
        let shown = |it: &Scan| it.code.as_ref() == Some(here) && it.end.is_none();
        let Some(scan) = offer.scans.iter().position(shown) else {
            return;
        };
        let (workstation, words) = (offer.workstation, offer.words);
        let authenticator = offer.scans[scan].authenticator;
        let thinking_ms = match words {
            Words::BothYesSlowly => 45_000,
            _ => 0,
        };
        let here_ms = thinking_ms + self.between_ms(300, 9_000);
        let there_ms = thinking_ms + self.between_ms(300, 9_000);
        if words != Words::NoThere {
            let at = Site::Workstation(workstation);
            let reaction = Reaction::ConfirmHere { offer: id, at };
            self.later(here_ms, Parcel::React(reaction));
        }
        let at = Site::Authenticator(authenticator);
        let reaction = Reaction::ConfirmThere {
            offer: id,
            scan,
            at,
        };
        self.later(there_ms, Parcel::React(reaction));
    }

    pub(crate) fn react(&mut self, reaction: Reaction) {
        let (id, scan) = match reaction {
            Reaction::ConfirmHere { offer, .. } => (offer, 0),
            Reaction::Scan { offer, scan, .. } | Reaction::ConfirmThere { offer, scan, .. } => {
                (offer, scan)
            }
        };
        let offer = &self.offers.all[id];
        let words = offer.words;
        match reaction {
            Reaction::Scan { .. } => {
                let authenticator = offer.scans[scan].authenticator;
                let link = offer.link.clone().unwrap();
                if self.authenticators[authenticator].holder.is_none() {
                    self.offers.all[id].scans[scan].end = Some(ScanEnd::Gone);
                    return;
                }
                let order = Order::Pair { link, yes: false };
                self.command_holder(authenticator, caller(id, scan), order);
            }
            Reaction::ConfirmHere { .. } if offer.end.is_none() => {
                let same = words != Words::NoHere;
                let command = Command::Confirm { same };
                self.command_agent(offer.workstation, client(id), &command);
            }
            Reaction::ConfirmThere { .. } if offer.scans[scan].end.is_none() => {
                let same = words != Words::NoThere;
                let authenticator = offer.scans[scan].authenticator;
                let order = Order::PairDecide { same };
                self.command_holder(authenticator, caller(id, scan), order);
            }
            _ => {}
        }
    }

    pub(crate) fn offering_gone(&mut self, workstation: usize) {
        let own = |it: &&mut Offer| it.workstation == workstation && it.end.is_none();
        for offer in self.offers.all.iter_mut().filter(own) {
            offer.end = Some(OfferEnd::Gone);
        }
    }

    pub(crate) fn answering_gone(&mut self, authenticator: usize) {
        let scans = self.offers.all.iter_mut().flat_map(|it| &mut it.scans);
        // What was not begun yet is begun when it is up again, or comes to nothing.
        for scan in scans.filter(|it| it.authenticator == authenticator && it.end.is_none()) {
            if scan.code.is_some() {
                scan.end = Some(ScanEnd::Gone);
            }
        }
    }

    /// The pairings that each side has, by their ids: those in use.
    pub(crate) fn pairings(&mut self, workstation: usize, authenticator: usize) -> Pairings {
        let keepers = self.status(workstation).keepers;
        let there = self.authenticators[authenticator].holder.as_ref().unwrap();
        let there = there.status().pairings;
        Pairings {
            here: keepers.into_iter().map(|it| (it.id.clone(), it)).collect(),
            there: there.into_iter().map(|it| (it.id, it.used)).collect(),
        }
    }
}

/// What both sides list.
#[derive(Debug)]
pub(crate) struct Pairings {
    pub(crate) here: BTreeMap<String, Keeper>,
    /// Whether a request has used it.
    pub(crate) there: BTreeMap<String, bool>,
}

fn client(offer: usize) -> ClientId {
    ClientId(u64::try_from(offer).unwrap())
}

fn caller(offer: usize, scan: usize) -> Caller {
    Caller(u64::try_from(offer * SCANS_MAX + scan).unwrap())
}

fn offer_of(caller: Caller) -> (usize, usize) {
    let number = usize::try_from(caller.0).unwrap();
    (number / SCANS_MAX, number % SCANS_MAX)
}

const SCANS_MAX: usize = 8;
