//! TCP between machines: in order, cut anywhere, and sometimes dead.
//!
//! **Invariant:** bytes arrive in the order in which they were sent, and none
//! on a link that its owner closed or that was told to be closed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use keystead_transport::{Address, LinkId, NetEvent};

use crate::machine::Site;
use crate::world::{Parcel, World};

/// All listeners and connections.
#[derive(Default)]
pub(crate) struct Tcp {
    listeners: BTreeMap<SocketAddr, Site>,
    connections: BTreeMap<u64, Connection>,
    links: BTreeMap<(Site, LinkId), (u64, usize)>,
    next: u64,
    next_port: u16,
}

struct Connection {
    ends: [End; 2],
    /// Nothing passes any more, and nobody is told.
    is_dead: bool,
}

struct End {
    site: Site,
    link: LinkId,
    is_open: bool,
    /// When the last bytes for this end arrive.
    inbound_ms: u64,
}

impl Tcp {
    pub(crate) fn is_open(&self, site: Site, link: LinkId) -> bool {
        self.links.contains_key(&(site, link))
    }

    fn ids(&self) -> Vec<u64> {
        self.connections.keys().copied().collect()
    }
}

/// The address of a machine.
pub(crate) fn address_of(site: Site) -> IpAddr {
    let last = match site {
        Site::Workstation(at) => 10 + at,
        Site::Authenticator(at) => 100 + at,
    };
    IpAddr::from([192, 0, 2, u8::try_from(last).unwrap()])
}

impl World {
    pub(crate) fn listen(&mut self, site: Site, asked: Address<SocketAddr>) {
        let Address::Tcp(mut address) = asked else {
            panic!("{asked} is not simulated");
        };
        if address.port() == 0 {
            self.tcp.next_port += 1;
            address.set_port(40_000 + self.tcp.next_port);
        }
        self.tcp.listeners.insert(address, site);
        let address = address.into();
        self.tell(site, 0, NetEvent::Listening { asked, address });
    }

    /// One listener a machine is all that there is.
    pub(crate) fn unlisten(&mut self, site: Site) {
        self.tcp.listeners.retain(|_, it| *it != site);
    }

    pub(crate) fn dial(&mut self, site: Site, link: LinkId, address: &str) {
        let listener = address.parse().ok();
        let listener = listener.and_then(|it: SocketAddr| self.tcp.listeners.get(&it).copied());
        let listener = listener.filter(|it| self.can_reach(site, *it));
        let Some(listener) = listener else {
            let reason = "connection refused".to_owned();
            return self.tell(site, DIAL_FAILS_MS, NetEvent::DialFailed { link, reason });
        };
        let delay_ms = self.latency_ms();
        self.tcp.next += 1;
        let id = self.tcp.next;
        let accepted = LinkId(LinkId::ACCEPTED.0 + id);
        let inbound_ms = self.now_ms + 2 * delay_ms;
        let end = |site, link| End {
            site,
            link,
            is_open: true,
            inbound_ms,
        };
        let ends = [end(site, link), end(listener, accepted)];
        let is_dead = false;
        self.tcp
            .connections
            .insert(id, Connection { ends, is_dead });
        self.tcp.links.insert((site, link), (id, 0));
        self.tcp.links.insert((listener, accepted), (id, 1));
        let peer = SocketAddr::new(address_of(site), 50_000).into();
        let event = NetEvent::Accepted {
            link: accepted,
            peer,
        };
        self.tell(listener, delay_ms, event);
        self.tell(site, 2 * delay_ms, NetEvent::Dialled { link });
    }

    pub(crate) fn send_bytes(&mut self, site: Site, link: LinkId, mut bytes: Vec<u8>) {
        let Some((id, near)) = self.tcp.links.get(&(site, link)).copied() else {
            return;
        };
        if self.chance(self.faults.flip) {
            self.flip(&mut bytes);
        }
        let delay_ms = self.latency_ms();
        let cut = self.below(bytes.len() + 1);
        let rest = bytes.split_off(cut);
        for part in [bytes, rest] {
            let Some(connection) = self.tcp.connections.get_mut(&id) else {
                return;
            };
            let far = &mut connection.ends[1 - near];
            if connection.is_dead || !far.is_open || part.is_empty() {
                continue;
            }
            far.inbound_ms = far.inbound_ms.max(self.now_ms + delay_ms);
            let (at_ms, site, link) = (far.inbound_ms, far.site, far.link);
            let run = self.machine(site).run;
            let event = NetEvent::Bytes { link, bytes: part };
            self.push(at_ms, Parcel::Net { site, run, event });
        }
        if self.chance(self.faults.cut) {
            self.cut_tcp(id);
        }
    }

    /// One end closes: the other one learns it behind the last bytes.
    pub(crate) fn close_link(&mut self, site: Site, link: LinkId) {
        let Some((id, near)) = self.tcp.links.remove(&(site, link)) else {
            return;
        };
        let Some(connection) = self.tcp.connections.get_mut(&id) else {
            return;
        };
        connection.ends[near].is_open = false;
        let far = &connection.ends[1 - near];
        if !far.is_open {
            self.tcp.connections.remove(&id);
            return;
        }
        let wait_ms = if connection.is_dead { SILENCE_MS } else { 1 };
        let at_ms = far.inbound_ms.max(self.now_ms + wait_ms);
        let (site, link) = (far.site, far.link);
        self.tell_closed(site, link, at_ms);
    }

    fn tell_closed(&mut self, site: Site, link: LinkId, at_ms: u64) {
        let run = self.machine(site).run;
        let reason = "connection reset".to_owned();
        let event = NetEvent::Closed { link, reason };
        self.push(at_ms, Parcel::Net { site, run, event });
    }

    /// Both ends learn that a connection broke.
    fn cut_tcp(&mut self, id: u64) {
        let Some(connection) = self.tcp.connections.get_mut(&id) else {
            return;
        };
        connection.is_dead = true;
        let open = connection.ends.iter().filter(|it| it.is_open);
        let open: Vec<_> = open.map(|it| (it.site, it.link, it.inbound_ms)).collect();
        for (site, link, inbound_ms) in open {
            self.tell_closed(site, link, inbound_ms.max(self.now_ms + 1));
        }
    }

    /// Nothing passes any more; the ends' own silence timers find it out.
    pub(crate) fn stall_tcp(&mut self) {
        for id in self.tcp.ids() {
            let Some(connection) = self.tcp.connections.get_mut(&id) else {
                continue;
            };
            connection.is_dead = true;
            let open = connection.ends.iter().filter(|it| it.is_open);
            let open: Vec<_> = open.map(|it| (it.site, it.link)).collect();
            for (site, link) in open {
                self.tell_closed(site, link, self.now_ms + SILENCE_MS);
            }
        }
    }

    pub(crate) fn cut_all_tcp(&mut self) {
        for id in self.tcp.ids() {
            self.cut_tcp(id);
        }
    }

    /// A program is gone, or its machine is cut off: its peers learn it after a while.
    pub(crate) fn drop_tcp_of(&mut self, site: Site, notice_ms: u64, program: Program) {
        if program == Program::Gone {
            self.unlisten(site);
        }
        for id in self.tcp.ids() {
            let Some(connection) = self.tcp.connections.get_mut(&id) else {
                continue;
            };
            if !connection.ends.iter().any(|it| it.site == site) {
                continue;
            }
            connection.is_dead = true;
            let ends: Vec<_> = connection
                .ends
                .iter()
                .map(|it| (it.site, it.link))
                .collect();
            for (of, link) in ends {
                if of != site || program == Program::Alive {
                    self.tell_closed(of, link, self.now_ms + notice_ms);
                } else {
                    self.tcp.links.remove(&(of, link));
                }
            }
        }
    }

    /// A closing that was told is done with.
    pub(crate) fn closed(&mut self, site: Site, link: LinkId) {
        if let Some((id, near)) = self.tcp.links.remove(&(site, link))
            && let Some(connection) = self.tcp.connections.get_mut(&id)
        {
            connection.ends[near].is_open = false;
            if !connection.ends[1 - near].is_open {
                self.tcp.connections.remove(&id);
            }
        }
    }

    fn can_reach(&self, from: Site, to: Site) -> bool {
        let (from, to) = (self.machine(from), self.machine(to));
        from.is_online && to.is_online && to.is_awake(self.now_ms)
    }
}

/// What of a machine is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Alive,
    Gone,
}

/// Until a peer that says nothing any more is taken for dead.
pub(crate) const SILENCE_MS: u64 = 60_000;

/// Until a dial that nobody takes fails.
const DIAL_FAILS_MS: u64 = 1_000;
