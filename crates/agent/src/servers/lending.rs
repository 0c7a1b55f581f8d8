//! A session is lent to a command and comes back.
//!
//! **Invariant:** it is lent when nothing of it is on its way, to one command at a time; it
//! comes back from that command alone. A command that ends without giving it back has it for
//! good: nobody can know what it asked last, so only a login helps.

use keystead_core::SecretBytes;
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::{Reply, State};
use keystead_keeper::server::protocol::Ticket;

use super::event::{Behind, Do, Told, Trouble, TroubleKind};
use super::{Held, Servers, Step, failure, replies};
use crate::ids::ClientId;

impl Servers {
    /// Somebody wants it.
    pub(super) fn lend(&mut self, step: &mut Step<'_>, server: &ServerName, client: ClientId) {
        if let Some(held) = self.held.get_mut(server) {
            held.borrowers.push_back(client);
        }
        self.lend_if_free(step, server);
    }

    /// The first who waits gets it, if it is here and nothing is on its way.
    pub(super) fn lend_if_free(&mut self, step: &mut Step<'_>, server: &ServerName) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        match held.state {
            State::Open if held.lent_to.is_none() && held.in_flight == 0 => {}
            State::Ended | State::Stopped => {
                let trouble = gone(held.trouble.as_deref());
                for client in std::mem::take(&mut held.borrowers) {
                    replies::fail(step, client, &failure(&trouble));
                }
                return;
            }
            State::Opening | State::Open | State::Lent | _ => return,
        }
        if let Some(client) = held.borrowers.pop_front() {
            held.lent_to = Some(client);
            held.state = State::Lent;
            let server = server.clone();
            step.carry(Do::Lend { server });
        }
    }

    /// It was taken away from its connection.
    pub(super) fn lent(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        ticket: Result<SecretBytes, Trouble>,
    ) {
        // Of a session that was lost, given back or given anew meanwhile.
        let is_lent = |held: &&mut Held| held.state == State::Lent;
        let Some(held) = self.held.get_mut(server).filter(is_lent) else {
            return;
        };
        let Some(client) = held.lent_to else {
            return;
        };
        match ticket {
            Ok(ticket) => {
                let ticket_bytes = ticket.len();
                step.told.push(Told::Reply {
                    client,
                    reply: Reply::Ticket { ticket_bytes },
                    behind: Some(Behind(ticket)),
                });
            }
            Err(trouble) => {
                held.lent_to = None;
                held.fall(&trouble);
                replies::fail(step, client, &failure(&trouble));
                self.lost(step, server);
            }
        }
    }

    /// A command gives it back.
    pub(super) fn give_back(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        (client, ticket): (ClientId, Ticket),
    ) -> bool {
        let held = self.held.get_mut(server);
        let Some(held) = held.filter(|held| held.lent_to == Some(client)) else {
            return false;
        };
        held.lent_to = None;
        self.came_back(step, server, ticket);
        true
    }

    fn came_back(&mut self, step: &mut Step<'_>, server: &ServerName, ticket: Ticket) {
        if let Some(held) = self.held.get_mut(server) {
            held.state = State::Open;
        }
        step.carry(Do::GiveBack {
            server: server.clone(),
            ticket,
        });
        self.send_waiting(step, server);
    }

    /// A command's connection ended.
    pub(super) fn borrower_left(&mut self, step: &mut Step<'_>, client: ClientId) {
        let mut lost = Vec::new();
        for held in self.held.values_mut() {
            held.borrowers.retain(|it| *it != client);
            held.waiting.retain(|it| *it != client);
            if held.lent_to == Some(client) {
                held.lent_to = None;
                lost.push(held.name.clone());
            }
        }
        for server in lost {
            self.lost(step, &server);
        }
    }

    /// Nobody has it any more.
    fn lost(&mut self, step: &mut Step<'_>, server: &ServerName) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        let trouble = gone(None);
        held.fall(&trouble);
        let queue = std::mem::take(&mut held.queue);
        step.carry(Do::Close(server.clone()));
        for errand in queue {
            self.answered(step, errand, Err(trouble.clone()));
        }
        self.lend_if_free(step, server);
    }
}

pub(super) fn gone(why: Option<&str>) -> Trouble {
    Trouble {
        kind: TroubleKind::LoginRequired,
        message: why.unwrap_or("the session has ended").to_owned(),
        hint: "log in again: `keystead server login`",
    }
}
