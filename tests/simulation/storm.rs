//! A time in which everything goes wrong, and its end.

use keystead_authenticator::control::Command as Order;
use keystead_daemon::MemoryDisk;

use crate::authenticator::Mood;
use crate::machine::{Death, Site};
use crate::tcp::{Program, SILENCE_MS};
use crate::world::{Faults, Parcel, World};

/// How bad it may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// The network and the relay alone.
    Network,
    /// Programs, machines, clocks and disks too.
    Everything,
}

impl World {
    /// The relay lies and the network fails, each seed in its own way.
    pub(crate) fn worsen(&mut self) {
        let roll = |world: &mut Self, most: usize| {
            let is_bad = world.below(2) == 0;
            let value = world.below(most);
            if is_bad {
                u16::try_from(value).unwrap()
            } else {
                0
            }
        };
        self.faults = Faults {
            drop: roll(self, 16_000),
            repeat: roll(self, 20_000),
            reorder: roll(self, 10_000),
            flip: roll(self, 6_000),
            replay: roll(self, 16_000),
            cut: roll(self, 2_000),
            delay_ms: u64::from(roll(self, 1_500)),
        };
    }

    /// One thing goes wrong; returns what the world waits for.
    pub(crate) fn trouble(&mut self, weather: Weather) {
        let sites = self.sites();
        let at = self.below(sites.len());
        let site = sites[at];
        let kinds = match weather {
            Weather::Network => 6,
            Weather::Everything => 13,
        };
        let away_ms = self.between_ms(50, 20_000);
        match self.below(kinds) {
            0 => self.worsen(),
            1 => self.cut_all_tcp(),
            2 => self.stall_tcp(),
            3 => self.stall_socket_of(site),
            4 => self.go_offline(site, away_ms),
            5 => {
                self.stop_relay();
                self.later(away_ms, Parcel::StartRelay);
            }
            6 => self.kill(site, Death::Process, away_ms),
            7 => self.kill(site, Death::Power, away_ms),
            8 => {
                let by_s = [-600, 600][self.below(2)];
                self.machine_mut(site).ahead_s = by_s;
            }
            9 => {
                let asleep_ms = [5_000, 100_000, 3_600_000][self.below(3)];
                self.sleep(site, asleep_ms);
            }
            10 => self.spoil_disk(site),
            11 => self.lock(site),
            _ => self.change_mood(),
        }
    }

    fn kill(&mut self, site: Site, death: Death, away_ms: u64) {
        if !self.site_is_up(site) {
            return;
        }
        match site {
            Site::Workstation(at) => self.kill_agent(at, death, away_ms),
            Site::Authenticator(at) => self.kill_holder(at, death, away_ms),
        }
    }

    fn go_offline(&mut self, site: Site, away_ms: u64) {
        self.machine_mut(site).is_online = false;
        self.drop_tcp_of(site, SILENCE_MS, Program::Alive);
        self.stall_socket_of(site);
        self.later(away_ms, Parcel::Online(site));
    }

    /// The machine sleeps; who speaks to it finds it silent.
    fn sleep(&mut self, site: Site, asleep_ms: u64) {
        if asleep_ms > SILENCE_MS {
            self.drop_tcp_of(site, SILENCE_MS, Program::Alive);
            self.stall_socket_of(site);
        }
        let until_ms = self.now_ms + asleep_ms;
        let machine = self.machine_mut(site);
        machine.asleep_until_ms = machine.asleep_until_ms.max(until_ms);
    }

    fn spoil_disk(&mut self, site: Site) {
        let kind = self.below(3);
        let disk = &mut self.machine_mut(site).disk;
        match kind {
            0 => disk.faults.full_above_bytes = Some(used_bytes(disk)),
            1 => disk.faults.fail_sync = true,
            _ => disk.faults = Default::default(),
        }
    }

    fn lock(&mut self, site: Site) {
        if let Site::Authenticator(at) = site {
            let caller = keystead_authenticator::holder::Caller(u64::MAX);
            self.command_holder(at, caller, Order::Lock);
        }
    }

    fn change_mood(&mut self) {
        let moods = [
            Mood::Approves,
            Mood::Refuses,
            Mood::Ignores,
            Mood::Anyhow,
            Mood::Anyhow,
        ];
        for at in 0..self.authenticators.len() {
            let mood = moods[self.below(moods.len())];
            self.authenticators[at].person.mood = mood;
        }
    }

    /// Everything is well again, and has been for long enough.
    pub(crate) fn heal(&mut self) {
        self.faults = Faults::default();
        self.start_relay();
        for site in self.sites() {
            self.machine_mut(site).disk.faults = Default::default();
            self.machine_mut(site).is_online = true;
        }
        for authenticator in &mut self.authenticators {
            authenticator.person.mood = Mood::Approves;
        }
        let is_well = |world: &Self| {
            let mut sites = world.sites().into_iter();
            sites.all(|it| world.site_is_up(it) && world.machine(it).is_awake(world.now_ms))
        };
        assert!(self.run_until(2 * 3_600_000, is_well), "somebody is away");
        self.unlock_all();
        self.run(HEALING_MS);
    }

    /// A locked authenticator is the one thing that wants a person's help.
    fn unlock_all(&mut self) {
        for authenticator in &mut self.authenticators {
            authenticator.unlock();
        }
    }
}

fn used_bytes(disk: &MemoryDisk) -> usize {
    disk.files().map(|(_, content)| content.len()).sum()
}

/// The longest pause before a relay is tried again (45 s), and the silence
/// after which a dead connection is taken for one (75 s).
const HEALING_MS: u64 = 125_000;
