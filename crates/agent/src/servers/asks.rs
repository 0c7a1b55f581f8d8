//! Requests at servers: from what a program wants signed to the answer, by an approval
//! where one is wanted.
//!
//! **Invariant:** each request ends once, for whoever asked, at the latest when its time is
//! over; a refusal says which condition of the key's policy it was, where the server told.

use keystead_core::{PairingId, RequestBody, RequestHash};
use keystead_keeper::server::control::State;
use keystead_keeper::server::protocol::requests::{Answer, Entries, Method, Request, Sign};
use keystead_keeper::server::protocol::{KeyId, RequestId, Status, UserId, request_hash};
use keystead_keeper::server::{ServerError, ServerName};
use keystead_keeper::{AskId, KeeperError};

use super::endings::{end, ending};
use super::event::{Do, Errand, Target, Told, Trouble, TroubleKind};
use super::open::{Asker, Open};
use super::{Held, HeldKey, IN_FLIGHT_MAX, Servers, Step, replies};
use crate::ids::ClientId;

impl Servers {
    /// The agent asks for a signature.
    pub(crate) fn ask(
        &mut self,
        step: &mut Step<'_>,
        (ask, pairing): (AskId, PairingId),
        body: &RequestBody,
        wait_s: u16,
    ) {
        if let Err(error) = self.try_ask(step, (ask, pairing), body, wait_s) {
            end(step, ask, Err(error));
        }
    }

    fn try_ask(
        &mut self,
        step: &mut Step<'_>,
        (ask, pairing): (AskId, PairingId),
        body: &RequestBody,
        wait_s: u16,
    ) -> Result<(), KeeperError> {
        let held = self.find(pairing).ok_or(KeeperError::NoSuchKeeper)?;
        let keeper = held.shown.clone();
        let failed = |why: String, hint| KeeperError::Server {
            keeper: keeper.clone(),
            why,
            hint,
        };
        let RequestBody::Sign(wanted) = body else {
            let why = "a key server is asked for that by other commands".to_owned();
            return Err(failed(why, "see `keystead key --help`"));
        };
        held.can_ask()?;
        let key = held.keys.iter().find(|key| key.entry.id == wanted.key);
        let key = key.ok_or_else(|| {
            failed(
                "it has this key no more".to_owned(),
                "see `keystead key list`",
            )
        })?;
        let fields = key.fields(wanted.form, &wanted.content);
        let fields =
            fields.map_err(|error| failed(error.to_string(), "sign it with another key"))?;
        let request = Request::Sign(Sign {
            key: key.id,
            fields: fields.clone(),
        });
        let asker = Asker::Sign {
            ask,
            key: Box::new(key.clone()),
            fields: Box::new(fields),
        };
        let server = held.name.clone();
        self.begin(step, &server, asker, request, wait_s);
        Ok(())
    }

    /// Sends a request, or lets it wait for its turn.
    pub(super) fn begin(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        asker: Asker,
        request: Request,
        wait_s: u16,
    ) {
        let id = RequestId::draw(step.rng);
        self.begin_as(step, server, asker, (request, id), wait_s);
    }

    /// As [`Servers::begin`], under an id that somebody drew before.
    pub(super) fn begin_as(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        asker: Asker,
        (request, id): (Request, RequestId),
        wait_s: u16,
    ) {
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        self.last_errand += 1;
        let errand = Errand(self.last_errand);
        let user = held
            .about
            .as_ref()
            .map_or(UserId([0; 32]), |about| about.user);
        let hash = request_hash(&user, request.method().number(), &request.encode(id));
        let ends_ms = u64::from(wait_s).saturating_mul(1_000);
        let open = Open {
            server: server.clone(),
            asker,
            request: Some(Box::new(request)),
            id,
            hash: RequestHash(hash),
            ends_ms: step.now.mono_ms.saturating_add(ends_ms),
            wait_s,
            sent_in: None,
            is_approving: false,
            refused_by: None,
        };
        self.errands.insert(errand, open);
        held.queue.push_back(errand);
        self.send_waiting(step, server);
    }

    /// Sends what waits, as far as there is room and the session is here.
    pub(super) fn send_waiting(&mut self, step: &mut Step<'_>, server: &ServerName) {
        self.lend_if_free(step, server);
        let Some(held) = self.held.get_mut(server).filter(|it| it.is_here()) else {
            return;
        };
        while held.in_flight < IN_FLIGHT_MAX
            && let Some(errand) = held.queue.pop_front()
        {
            let open = self.errands.get_mut(&errand);
            let Some((open, request)) =
                open.and_then(|open| open.request.take().map(|it| (open, it)))
            else {
                continue;
            };
            open.sent_in = Some(held.session);
            held.in_flight += 1;
            let (server, id) = (held.name.clone(), open.id);
            step.carry(Do::Ask {
                server,
                errand,
                request,
                id,
            });
        }
    }

    /// The last word on a request came.
    pub(super) fn answered(
        &mut self,
        step: &mut Step<'_>,
        errand: Errand,
        answer: Result<Answer, Trouble>,
    ) {
        let Some(open) = self.errands.remove(&errand) else {
            return;
        };
        let server = open.server.clone();
        if let Some(held) = self.held.get_mut(&server) {
            held.note_end(&open);
            match &answer {
                _ if !held.is_of(&open) => {}
                Err(trouble) => held.fall(trouble),
                Ok(_) => held.trouble = None,
            }
        }
        if open.is_approving {
            step.told.push(Told::ApprovalOver(Target::Errand(errand)));
        }
        self.finish(step, open, answer);
        self.send_waiting(step, &server);
    }

    pub(super) fn finish(
        &mut self,
        step: &mut Step<'_>,
        open: Open,
        answer: Result<Answer, Trouble>,
    ) {
        let server = open.server.clone();
        match &open.asker {
            Asker::Sign { ask, .. } => {
                let ended = match self.held.get(&server) {
                    Some(held) => ending(held, &open, answer),
                    // Logged out meanwhile.
                    None => Err(KeeperError::LoginRequired {
                        keeper: super::shown(&server),
                    }),
                };
                end(step, *ask, ended);
            }
            Asker::Command { client, method } => {
                let (client, method) = (*client, *method);
                let changes = matches!(
                    answer,
                    Ok(Answer {
                        status: Status::Done,
                        ..
                    })
                ) && changes_keys(method);
                match answer {
                    Ok(answer) => replies::answer(step, client, &answer),
                    Err(trouble) => replies::fail(step, client, &super::failure(&trouble)),
                }
                if changes {
                    self.list(step, &server);
                }
            }
            Asker::List => self.take_page(step, &server, answer),
            Asker::LogOut { client } => self.logged_out(step, &server, *client, answer),
        }
    }

    fn take_page(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        answer: Result<Answer, Trouble>,
    ) {
        let answer = answer.ok();
        let unread = answer.as_ref().map(ServerError::of_answer);
        let page = answer.and_then(|answer| entries(&answer));
        let Some(held) = self.held.get_mut(server) else {
            return;
        };
        let listing = held.listing.get_or_insert_default();
        let (after, more) = match (page, unread) {
            (Some(page), _) => {
                listing.extend(page.entries.0.iter().filter_map(HeldKey::of));
                (page.entries.0.last().map(|entry| entry.key), page.more)
            }
            // One that the server cannot open keeps nobody from the others.
            (None, Some(ServerError::Unread { key })) => (Some(key), true),
            (None, _) => return self.listed(step, server, None),
        };
        // A server that repeats itself would never end.
        let is_behind = |key: &KeyId| held.listed_to.is_none_or(|before| *key > before);
        let is_full = listing.len() >= KEYS_MAX;
        match after.filter(|key| more && !is_full && is_behind(key)) {
            Some(after) => self.list_page(step, server, Some(after)),
            None => {
                let mut keys = std::mem::take(listing);
                keys.truncate(KEYS_MAX);
                self.listed(step, server, Some(keys));
            }
        }
    }

    /// The asker is gone.
    pub(crate) fn withdraw(&mut self, step: &mut Step<'_>, ask: AskId) {
        let is_its = |open: &Open| matches!(open.asker, Asker::Sign { ask: its, .. } if its == ask);
        let found = self.errands.iter().find(|(_, open)| is_its(open));
        if let Some(errand) = found.map(|(errand, _)| *errand) {
            self.forget(step, errand);
        }
    }

    /// What a command has asked is not wanted any more.
    pub(super) fn withdraw_of(&mut self, step: &mut Step<'_>, gone: ClientId) {
        let is_its = |open: &Open| match open.asker {
            Asker::Command { client, .. } => client == gone,
            Asker::Sign { .. } | Asker::List | Asker::LogOut { .. } => false,
        };
        let found = self.errands.iter().filter(|(_, open)| is_its(open));
        let errands: Vec<Errand> = found.map(|(errand, _)| *errand).collect();
        for errand in errands {
            self.forget(step, errand);
        }
    }

    /// Drops a request; says what it was.
    pub(super) fn forget(&mut self, step: &mut Step<'_>, errand: Errand) -> Option<Open> {
        let open = self.errands.remove(&errand)?;
        if let Some(held) = self.held.get_mut(&open.server) {
            held.queue.retain(|it| *it != errand);
            held.note_end(&open);
        }
        if open.sent_in.is_some() {
            step.carry(Do::Forget(errand));
        }
        if open.is_approving {
            step.told.push(Told::ApprovalOver(Target::Errand(errand)));
        }
        let server = open.server.clone();
        self.send_waiting(step, &server);
        Some(open)
    }

    /// Those whose time is over.
    pub(crate) fn tick(&mut self, step: &mut Step<'_>) {
        let now_ms = step.now.mono_ms;
        let due = self
            .errands
            .iter()
            .filter(|(_, open)| open.ends_ms <= now_ms);
        let due: Vec<Errand> = due.map(|(errand, _)| *errand).collect();
        for errand in due {
            // The server has answered: it is an authenticator that did not.
            if self.errands.get(&errand).is_some_and(|it| it.is_approving) {
                step.told.push(Told::ApprovalOver(Target::Errand(errand)));
                self.give_up(step, errand, None);
                continue;
            }
            if let Some(open) = self.forget(step, errand) {
                let trouble = Trouble {
                    kind: TroubleKind::Late,
                    message: format!("no answer from {} within {} s", open.server, open.wait_s),
                    hint: "see that the network is up, and try again",
                };
                self.finish(step, open, Err(trouble));
            }
        }
    }
}

impl Held {
    /// Whether requests can be sent now.
    fn is_here(&self) -> bool {
        self.state == State::Open && self.lent_to.is_none() && self.borrowers.is_empty()
    }

    /// Whether requests can be sent now or soon.
    fn can_ask(&self) -> Result<(), KeeperError> {
        let keeper = self.shown.clone();
        match self.state {
            State::Ended => Err(KeeperError::LoginRequired { keeper }),
            State::Stopped => Err(KeeperError::Server {
                keeper,
                why: self.trouble.clone().unwrap_or_default(),
                hint: "see `keystead server status` and `keystead audit head`",
            }),
            State::Opening | State::Open | State::Lent | _ => Ok(()),
        }
    }
}

fn entries(answer: &Answer) -> Option<Entries> {
    if answer.status != Status::Done {
        return None;
    }
    Entries::decode(answer.result.as_ref()?.expose()).ok()
}

/// Whether the keys may be others after it.
const fn changes_keys(method: Method) -> bool {
    matches!(
        method,
        Method::Make | Method::Import | Method::Label | Method::Delete | Method::Policy
    )
}

/// 256 keys of one server are offered, as of any keeper.
const KEYS_MAX: usize = 256;
