//! A workstation: the agent, its disk, and what carries for it.

use std::net::SocketAddr;

use keystead_agent::control::{Command, Reply, Status};
use keystead_agent::evidence::Seen;
use keystead_agent::settings::Settings;
use keystead_agent::{Action, Agent, ClientId, ConnectionId, Event, Setup};
use keystead_core::Name;
use keystead_daemon::{Io, MemoryDisk};
use keystead_transport::NetAction;

use crate::machine::{Death, Machine, Site};
use crate::tcp::{Program, SILENCE_MS, address_of};
use crate::world::{Parcel, World};

pub(crate) struct Workstation {
    pub(crate) machine: Machine,
    pub(crate) agent: Option<Agent>,
    pub(crate) wait_s: u16,
    name: Name,
    /// The last answer to `status`.
    status: Option<Status>,
    /// For which command nobody waits but the test.
    status_client: ClientId,
}

impl Workstation {
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        self.agent.as_ref()?.next_wake_ms()
    }
}

impl World {
    pub(crate) fn add_workstation(&mut self, wait_s: u16) -> usize {
        let at = self.workstations.len();
        let machine = Machine::new(self.seed(), MemoryDisk::new());
        self.workstations.push(Workstation {
            machine,
            agent: None,
            wait_s,
            name: Name::new(format!("laptop-{at}")).unwrap(),
            status: None,
            status_client: ClientId(u64::MAX),
        });
        self.start_agent(at);
        at
    }

    pub(crate) fn start_agent(&mut self, at: usize) {
        let now_ms = self.now_ms;
        let it = &mut self.workstations[at];
        let settings = Settings {
            wait_s: it.wait_s,
            ..Settings::default()
        };
        let setup = Setup {
            settings,
            host_name: it.name.clone(),
            ssh_auth_sock: "/run/ssh.sock".into(),
            state_folder: "/state".into(),
            pid: 1,
            here: keystead_agent::Here::default(),
        };
        let now = it.machine.now(now_ms);
        let mut io = Io {
            rng: &mut it.machine.rng,
            disk: &mut it.machine.disk,
        };
        let Ok(agent) = Agent::load(now, setup, &mut io) else {
            let (site, run) = (Site::Workstation(at), it.machine.run);
            return self.later(START_AGAIN_MS, Parcel::Start { site, run });
        };
        it.agent = Some(agent);
        self.note(Site::Workstation(at), "starts", &[]);
        self.tick_workstation(at);
    }

    /// The agent ends without a word, and starts again after a while.
    pub(crate) fn kill_agent(&mut self, at: usize, death: Death, away_ms: u64) {
        let site = Site::Workstation(at);
        self.note(site, &format!("ends: {death:?}"), &[]);
        self.workstations[at].agent = None;
        self.programs_gone(at);
        self.offering_gone(at);
        self.die(site, death, away_ms);
    }

    /// What an end is to all that hangs on a program.
    pub(crate) fn die(&mut self, site: Site, death: Death, away_ms: u64) {
        let notice_ms = match death {
            Death::Process => 1,
            Death::Power => SILENCE_MS,
        };
        self.drop_tcp_of(site, notice_ms, Program::Gone);
        if let Some(socket) = self.line(site).socket {
            self.hang_up(socket, notice_ms);
        }
        *self.line(site) = Default::default();
        let now_ms = self.now_ms;
        self.machine_mut(site).die(death, now_ms);
        let run = self.machine(site).run;
        self.later(away_ms, Parcel::Start { site, run });
    }

    pub(crate) fn tick_workstation(&mut self, at: usize) {
        self.step_agent(at, Event::Tick);
    }

    pub(crate) fn step_agent(&mut self, at: usize, event: Event) {
        let now_ms = self.now_ms;
        let it = &mut self.workstations[at];
        let Some(agent) = &mut it.agent else { return };
        let now = it.machine.now(now_ms);
        let mut io = Io {
            rng: &mut it.machine.rng,
            disk: &mut it.machine.disk,
        };
        for action in agent.step(now, event, &mut io) {
            self.do_for_agent(at, action);
        }
    }

    fn do_for_agent(&mut self, at: usize, action: Action) {
        let site = Site::Workstation(at);
        let carried: &[u8] = match &action {
            Action::Answer { message, .. } => message,
            Action::Net(NetAction::Post { item, .. }) => item,
            Action::Net(NetAction::Send { bytes, .. }) => bytes,
            _ => &[],
        };
        self.note(site, &format!("{action:?}"), carried);
        match action {
            Action::Answer {
                connection,
                message,
            } => self.take_answer(connection, &message),
            Action::Close { connection } => panic!("{connection:?} closed"),
            Action::Look { connection, .. } => {
                let parcel = Parcel::Look {
                    workstation: at,
                    run: self.machine(site).run,
                    connection,
                };
                let looking_ms = self.between_ms(1, 20);
                self.later(looking_ms, parcel);
            }
            Action::Reply { client, reply } => self.take_agents_reply(at, client, reply),
            Action::Net(action) => self.net(site, action),
            // No agent was there before, nothing is added; no key server, no wallet, no front end of
            // another process is known.
            Action::Say { .. }
            | Action::LookFor { .. }
            | Action::LookAround { .. }
            | Action::KeyReply { .. }
            | Action::Device(_)
            | Action::DeviceReply { .. }
            | Action::Upstream { .. }
            | Action::Local(_)
            | Action::Server(_)
            | Action::ServerReply { .. }
            | Action::Stop => {}
        }
    }

    pub(crate) fn looked(&mut self, at: usize, run: u64, connection: ConnectionId) {
        if self.workstations[at].machine.run == run {
            let seen = Seen {
                process_path: Some("/usr/bin/ssh".to_owned()),
                ..Seen::default()
            };
            self.step_agent(at, Event::Look { connection, seen });
        }
    }

    pub(crate) fn command_agent(&mut self, at: usize, client: ClientId, command: &Command) {
        let address = address_of(Site::Workstation(at));
        let event = Event::Command {
            client,
            attached: None,
            line: serde_json::to_vec(command).unwrap(),
            addresses: vec![SocketAddr::new(address, 0)],
        };
        self.step_agent(at, event);
    }

    /// What `keystead status` says.
    pub(crate) fn status(&mut self, at: usize) -> Status {
        let client = self.workstations[at].status_client;
        self.command_agent(at, client, &Command::Status {});
        self.workstations[at].status.take().unwrap()
    }

    fn take_agents_reply(&mut self, at: usize, client: ClientId, reply: Reply) {
        match reply {
            Reply::Status(status) => self.workstations[at].status = Some(status),
            reply => self.offer_goes_on(client, reply),
        }
    }
}

/// A program that could not start is started again by its service.
const START_AGAIN_MS: u64 = 5_000;
