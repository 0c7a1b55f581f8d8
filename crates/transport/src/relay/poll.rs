//! The relay's plain HTTP calls (`spec/pairing.md` section 3.3): long poll for each
//! mailbox on a connection of its own, posts one after the other on another.
//!
//! Invariant: as for the WebSocket. A cursor goes to the relay, which deletes by it,
//! only after its item was handed on and over the connection that it came by; a post leaves the desk when it was answered.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use super::http::{Answer, Ask, Connection, Http};
use super::{Call, Ended, Line};
use crate::event::{Hex, MailboxId};

/// Serves by long poll until that breaks, or until it is time to try a WebSocket again.
pub(super) async fn run(line: &mut Line) -> Ended {
    let mut calls: FuturesUnordered<Pending> = FuturesUnordered::new();
    let mut polled: Vec<MailboxId> = Vec::new();
    let mut posting = Posting::Idle(None);
    let renew = Instant::now() + RENEW_AFTER;
    let mut worked = false;
    loop {
        start_polls(line, &mut polled, &mut calls);
        posting = start_post(line, posting, &mut calls);
        if line.is_closing() && matches!(posting, Posting::Idle(_)) {
            return Ended::Done;
        }
        let done = tokio::select! {
            biased;
            Some(done) = calls.next(), if !calls.is_empty() => done,
            () = line.site.desk.changed.notified() => continue,
            () = sleep_until(renew) => return Ended::Renew,
        };
        let reason = match done {
            Done::Polled {
                mut poller,
                answer: Ok(answer),
            } if is_a_relays(answer.status) => {
                line.up().await;
                worked = true;
                match take_poll(line, &mut poller, answer).await {
                    Next::Poll(pause) => calls.push(poll(line, poller, pause)),
                    Next::Forget => polled.retain(|one| *one != poller.mailbox),
                    Next::Stop => {}
                }
                continue;
            }
            Done::Posted {
                kept,
                answer: Ok(answer),
            } if is_a_relays(answer.status) => {
                line.up().await;
                worked = true;
                posting = Posting::Idle(kept);
                take_post(line, &answer).await;
                continue;
            }
            Done::Polled { answer, .. } | Done::Posted { answer, .. } => match answer {
                Ok(answer) => format!("HTTP status {}", answer.status.as_u16()),
                Err(error) => error.to_string(),
            },
        };
        return if worked {
            Ended::Lost
        } else {
            Ended::Away(reason)
        };
    }
}

fn start_polls(line: &Line, polled: &mut Vec<MailboxId>, calls: &mut FuturesUnordered<Pending>) {
    let new: Vec<MailboxId> = line
        .site
        .desk
        .lock()
        .mailboxes()
        .map(|(mailbox, _)| *mailbox)
        .filter(|mailbox| !polled.contains(mailbox))
        .collect();
    for mailbox in new {
        polled.push(mailbox);
        calls.push(poll(line, Poller::new(mailbox), Duration::ZERO));
    }
}

fn start_post(line: &Line, posting: Posting, calls: &mut FuturesUnordered<Pending>) -> Posting {
    let Posting::Idle(mut kept) = posting else {
        return posting;
    };
    let Some(job) = line.site.desk.lock().outbox.next_to_send() else {
        return Posting::Idle(kept);
    };
    let path = format!("/v1/m/{}", Hex(&job.mailbox));
    let (method, token, body) = match job.call {
        Call::Post { write_token, item } => (Method::POST, write_token, item),
        Call::Delete { read_token } => (Method::DELETE, read_token, Bytes::new()),
    };
    let ask = move |_| Ask {
        method: method.clone(),
        path: path.clone(),
        token,
        body: body.clone(),
        limit: POST_TIMEOUT,
    };
    let site = line.site.clone();
    calls.push(Box::pin(async move {
        let answer = Http::ask(&mut kept, &site, ask).await;
        Done::Posted { kept, answer }
    }));
    Posting::Busy
}

/// One long poll, after a pause.
fn poll(line: &Line, mut poller: Poller, pause: Duration) -> Pending {
    let site = line.site.clone();
    Box::pin(async move {
        sleep(pause).await;
        let Poller {
            mailbox, cursor, ..
        } = poller;
        let wanted = site.desk.lock().read_token(&mailbox);
        let answer = match wanted {
            Some(token) => {
                let ask = |connection| {
                    // Behind a new connection may be a relay that counts from 1 again.
                    let after = if connection == Connection::New {
                        0
                    } else {
                        cursor
                    };
                    Ask {
                        method: Method::GET,
                        path: format!("/v1/m/{}?after={after}&wait_s={POLL_WAIT_S}", Hex(&mailbox)),
                        token,
                        body: Bytes::new(),
                        limit: POLL_TIMEOUT,
                    }
                };
                Http::ask(&mut poller.kept, &site, ask).await
            }
            // Nobody wants it any more; `take_poll` sees that too.
            None => Ok(Answer::nothing()),
        };
        Done::Polled { poller, answer }
    })
}

async fn take_poll(line: &Line, poller: &mut Poller, answer: Answer) -> Next {
    let mailbox = poller.mailbox;
    match answer.status {
        StatusCode::OK => {
            let mut rest: &[u8] = &answer.body;
            while let Some((cursor, item, after)) = split_item(rest) {
                rest = after;
                line.deliver(mailbox, item.to_vec()).await;
                poller.cursor = cursor;
            }
            // A relay that answers at once with nothing readable must not make us spin.
            let pause = if answer.body.is_empty() || !rest.is_empty() {
                RETRY_AFTER_DEFAULT
            } else {
                Duration::ZERO
            };
            still_wanted(line, &mailbox, pause)
        }
        StatusCode::GONE => {
            line.gone(mailbox).await;
            Next::Forget
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let pause = answer
                .retry_after
                .unwrap_or(RETRY_AFTER_DEFAULT)
                .clamp(RETRY_AFTER_DEFAULT, RETRY_AFTER_MAX);
            still_wanted(line, &mailbox, pause)
        }
        StatusCode::NO_CONTENT => still_wanted(line, &mailbox, Duration::ZERO),
        status => {
            tracing::warn!(relay = %line.site.relay, %status, "poll refused");
            Next::Stop
        }
    }
}

fn still_wanted(line: &Line, mailbox: &MailboxId, pause: Duration) -> Next {
    match line.site.desk.lock().read_token(mailbox) {
        Some(_) => Next::Poll(pause),
        None => Next::Forget,
    }
}

async fn take_post(line: &Line, answer: &Answer) {
    if answer.status.is_success() {
        line.site.desk.lock().outbox.confirm();
    } else {
        line.refused(answer.status.as_u16()).await;
    }
}

/// `cursor u64 ‖ len u32 ‖ item`, and what follows.
fn split_item(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (cursor, rest) = bytes.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (item, rest) = rest.split_at_checked(len)?;
    Some((u64::from_be_bytes(*cursor), item, rest))
}

/// Whether a relay says this of a call. Anything else comes from what stands in its place.
fn is_a_relays(status: StatusCode) -> bool {
    status.is_success() || (status.is_client_error() && status != StatusCode::NOT_FOUND)
}

type Pending = Pin<Box<dyn Future<Output = Done> + Send>>;

enum Done {
    Polled {
        poller: Poller,
        answer: std::io::Result<Answer>,
    },
    Posted {
        kept: Option<Http>,
        answer: std::io::Result<Answer>,
    },
}

/// One mailbox that is polled.
struct Poller {
    mailbox: MailboxId,
    /// The last item that was handed on over this connection.
    cursor: u64,
    kept: Option<Http>,
}

impl Poller {
    fn new(mailbox: MailboxId) -> Self {
        Self {
            mailbox,
            cursor: 0,
            kept: None,
        }
    }
}

/// Whether a post is on its way. Only one is, so that items stay in order.
enum Posting {
    Idle(Option<Http>),
    Busy,
}

/// What becomes of a mailbox after a poll.
enum Next {
    Poll(Duration),
    /// Polled again as soon as somebody wants it again.
    Forget,
    /// Not polled again on this connection.
    Stop,
}

/// The relay's longest wait, `spec/pairing.md` section 3.3.
const POLL_WAIT_S: u64 = 25;

/// A poll with that wait. Why: 10 s more for the way.
const POLL_TIMEOUT: Duration = Duration::from_secs(35);

/// A post. Why: as on a WebSocket.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after 429 without a number, and the least one with it.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Longest pause that a relay may ask for. Why: it is not trusted to silence us.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long long poll is good enough. Why: a network that refused a WebSocket changes
/// when a laptop moves, and the attempt costs one round trip.
const RENEW_AFTER: Duration = Duration::from_secs(600);
