//! Carries what was decided about key servers: connections, requests, the book.
//!
//! **Invariant:** a session's ticket and keys are in this process's memory alone; what was seen
//! of a log is on the disk soon after, and at the latest when the agent ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keystead_keeper::server::protocol::requests::{Approve, LogOut, Request};
use keystead_keeper::server::protocol::{ApproverId, RequestId, Ticket};
use keystead_keeper::server::{
    Book, BookError, Lasting, Page, ServerError, ServerName, Waiting, Watch,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::event::Event;
use crate::servers::{About, Came, Do, Errand, Trouble, TroubleKind};

/// All sessions of servers.
pub(super) struct ServerTasks {
    book: Option<Book>,
    events: mpsc::Sender<Event>,
    held: HashMap<ServerName, Held>,
    running: HashMap<Errand, Running>,
}

struct Held {
    lasting: Lasting,
    saver: Arc<Saver>,
}

/// A request on its way.
struct Running {
    task: AbortHandle,
    /// Where an approval for it is to be brought.
    waiting: Arc<Mutex<Option<Waiting>>>,
}

impl ServerTasks {
    pub(super) fn new(book: Option<Book>, events: mpsc::Sender<Event>) -> Self {
        Self {
            book,
            events,
            held: HashMap::new(),
            running: HashMap::new(),
        }
    }

    /// Does one thing. Never waits; what comes of it is told as events.
    pub(super) fn act(&mut self, act: Do) {
        self.running
            .retain(|_, running| !running.task.is_finished());
        match act {
            Do::Open { server, ticket } => self.open(server, ticket),
            Do::Ask {
                server,
                errand,
                request,
                id,
            } => self.ask(&server, errand, request, id),
            Do::Forget(errand) => {
                if let Some(running) = self.running.remove(&errand) {
                    running.task.abort();
                }
            }
            Do::Approve {
                errand,
                approver,
                signature,
            } => self.approve(errand, approver, signature),
            Do::Lend { server } => self.lend(server),
            Do::GiveBack { server, ticket } => {
                if let Some(held) = self.held.get_mut(&server) {
                    held.lasting = held.lasting.given_back(ticket);
                    held.saver.look_beyond();
                }
            }
            Do::Reload(server) => {
                if let Some(held) = self.held.get(&server) {
                    held.saver.look_beyond();
                }
            }
            Do::Close(server) => {
                self.held.remove(&server);
            }
        }
    }

    /// The agent ends: what was seen is written.
    pub(super) fn close(&mut self) {
        for (_, running) in self.running.drain() {
            running.task.abort();
        }
        for (_, held) in self.held.drain() {
            held.saver.write();
        }
    }

    fn open(&mut self, server: ServerName, ticket: Ticket) {
        if let Some(before) = self.held.remove(&server) {
            // The server learns that the session before is not wanted any more.
            tokio::spawn(async move {
                let request = Request::LogOut(LogOut { everywhere: false });
                let _ = before.lasting.ask(&request).await;
            });
        }
        let (page, held) = match self.prepare(&server, ticket) {
            Ok(prepared) => prepared,
            Err(trouble) => {
                let about = None;
                return self.tell(Came::NotOpened {
                    server,
                    about,
                    trouble,
                });
            }
        };
        let (lasting, saver) = (held.lasting.clone(), Arc::clone(&held.saver));
        self.held.insert(server.clone(), held);
        let events = self.events.clone();
        tokio::spawn(async move {
            let opened = lasting.session().await;
            let life_s = opened.as_ref().map_or(0, |it| it.limits().life_s);
            let about = about(&page, life_s);
            let came = match opened {
                Ok(_) => Came::Opened { server, about },
                Err(error) => Came::NotOpened {
                    server,
                    about: Some(about),
                    trouble: Trouble::from(&error),
                },
            };
            saver.save();
            let _ = events.send(Event::Server(came)).await;
        });
    }

    fn prepare(&self, server: &ServerName, ticket: Ticket) -> Result<(Page, Held), Trouble> {
        let book = self.book.clone().ok_or_else(no_book)?;
        let page = book.page(server).map_err(|error| of_book(&error))?;
        let seen = book.seen(server).map_err(|error| of_book(&error))?;
        let endpoint = page.endpoint().map_err(|error| Trouble::from(&error))?;
        let watch = Arc::new(Watch::new(seen));
        let lasting = Lasting::resting(endpoint, ticket, Arc::clone(&watch));
        let saver = Arc::new(Saver {
            book,
            server: server.clone(),
            watch,
            is_dirty: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
        });
        Ok((page, Held { lasting, saver }))
    }

    fn ask(&mut self, server: &ServerName, errand: Errand, request: Box<Request>, id: RequestId) {
        let Some(held) = self.held.get(server) else {
            let answer = Err(Trouble::from(&ServerError::LoginRequired));
            return self.tell(Came::Answer { errand, answer });
        };
        let (lasting, saver) = (held.lasting.clone(), Arc::clone(&held.saver));
        let events = self.events.clone();
        let waiting = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let told = events.clone();
            let wait = |waiting: Waiting| {
                let text = waiting.text.expose().to_vec();
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
                let (told, came) = (told.clone(), Came::Waiting { errand, text });
                tokio::spawn(async move { told.send(Event::Server(came)).await });
            };
            let answer = lasting.ask_with(&request, id, wait).await;
            let answer = answer.map_err(|error| Trouble::from(&error));
            saver.save();
            let _ = events
                .send(Event::Server(Came::Answer { errand, answer }))
                .await;
        });
        let task = task.abort_handle();
        self.running.insert(errand, Running { task, waiting });
    }

    fn approve(&self, errand: Errand, approver: ApproverId, signature: [u8; 64]) {
        let Some(running) = self.running.get(&errand) else {
            return;
        };
        let waiting = running
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = &*waiting else {
            return;
        };
        let (session, sub) = (waiting.session.clone(), waiting.sub);
        tokio::spawn(async move {
            let approve = Approve {
                sub,
                approver,
                signature,
            };
            // What comes of it follows as the answer to what waits.
            if let Err(error) = session.ask(&Request::Approve(approve)).await {
                tracing::warn!(%error, "an approval was not taken");
            }
        });
    }

    fn lend(&self, server: ServerName) {
        let Some(held) = self.held.get(&server) else {
            let ticket = Err(Trouble::from(&ServerError::LoginRequired));
            return self.tell(Came::Lent { server, ticket });
        };
        let lasting = held.lasting.clone();
        // Who borrows it begins with what was seen here.
        held.saver.write();
        let events = self.events.clone();
        tokio::spawn(async move {
            let ticket = lasting.lend().await;
            let ticket = ticket.map(|ticket| ticket.encode());
            let ticket = ticket.map_err(|error| Trouble::from(&error));
            let came = Came::Lent { server, ticket };
            let _ = events.send(Event::Server(came)).await;
        });
    }

    /// Not from within a step: what it asked is still being said.
    fn tell(&self, came: Came) {
        let events = self.events.clone();
        tokio::spawn(async move {
            let _ = events.send(Event::Server(came)).await;
        });
    }
}

/// Writes what was seen, one write at a time: what comes meanwhile goes with the next.
struct Saver {
    book: Book,
    server: ServerName,
    watch: Arc<Watch>,
    is_dirty: AtomicBool,
    is_running: AtomicBool,
}

impl Saver {
    fn save(self: &Arc<Self>) {
        self.is_dirty.store(true, Ordering::Release);
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let saver = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            loop {
                while saver.is_dirty.swap(false, Ordering::AcqRel) {
                    saver.write();
                }
                saver.is_running.store(false, Ordering::Release);
                let has_more = saver.is_dirty.load(Ordering::Acquire);
                if !has_more || saver.is_running.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }

    fn write(&self) {
        let seen = self.watch.with(|seen| seen.clone());
        if let Err(error) = self.book.keep_seen(&self.server, &seen) {
            tracing::warn!(%error, server = %self.server, "what was seen of the log is not kept");
        }
    }

    /// Another process has asked there, or the person has accepted something.
    fn look_beyond(&self) {
        let beyond = self
            .watch
            .with(|seen| self.book.seen_beyond(&self.server, seen));
        match beyond {
            Ok(Some(beyond)) => self.watch.with(|seen| *seen = beyond),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, server = %self.server, "the book"),
        }
    }
}

fn about(page: &Page, life_s: u32) -> About {
    About {
        address: page.address.clone(),
        account: page.account.as_str().to_owned(),
        user: page.user,
        server: page.server,
        life_s,
    }
}

fn of_book(error: &BookError) -> Trouble {
    Trouble {
        kind: TroubleKind::Other,
        message: error.to_string(),
        hint: error.hint(),
    }
}

fn no_book() -> Trouble {
    Trouble {
        kind: TroubleKind::Other,
        message: "this agent has no sessions of key servers".to_owned(),
        hint: "use the agent that `keystead agent start` starts",
    }
}
