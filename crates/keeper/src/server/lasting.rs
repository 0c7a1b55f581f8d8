//! A session that goes on when its connection broke, by resumption on a new one.
//!
//! **Invariant**: the session is at one place at a time: open on a connection, resting as
//! a ticket, or over. A resumption that has begun runs to its end whoever stops waiting,
//! so a ticket is never lost half way.

use std::sync::Arc;

use keystead_channel::session::requests::{Answer, Request};
use keystead_channel::session::{RequestId, Status, Ticket};
use keystead_core::SecretBytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::endpoint::Endpoint;
use super::error::ServerError;
use super::plan::{Next, Tries};
use super::remote::Remote;
use super::session::{Session, draw};
use super::watch::Watch;

/// A session that lasts. Clones are the same session.
#[derive(Clone)]
pub struct Lasting {
    endpoint: Arc<Endpoint>,
    watch: Arc<Watch>,
    place: Arc<Mutex<Place>>,
}

/// Where the session is.
enum Place {
    Open(Session),
    Resting(Ticket),
    /// Only a login helps; or the server is not to be asked any more.
    Over,
}

/// What waits for an approval.
pub struct Waiting {
    /// Where the approval is to be brought, by method 13.
    pub session: Session,
    /// Its sub-session there.
    pub sub: u64,
    /// The text that is to be signed.
    pub text: SecretBytes,
}

impl Lasting {
    /// A session that is open.
    #[must_use]
    pub fn open(endpoint: Endpoint, session: Session) -> Self {
        let watch = Arc::clone(session.watch());
        Self::at(endpoint, watch, Place::Open(session))
    }

    /// A session that rests.
    #[must_use]
    pub fn resting(endpoint: Endpoint, ticket: Ticket, watch: Arc<Watch>) -> Self {
        Self::at(endpoint, watch, Place::Resting(ticket))
    }

    fn at(endpoint: Endpoint, watch: Arc<Watch>, place: Place) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
            watch,
            place: Arc::new(Mutex::new(place)),
        }
    }

    /// What was seen of the account's log.
    #[must_use]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The session, resumed if it must be.
    ///
    /// # Errors
    /// [`ServerError`]; after [`ServerError::LoginRequired`] only a login helps.
    pub async fn session(&self) -> Result<Session, ServerError> {
        let mut place = Arc::clone(&self.place).lock_owned().await;
        let ticket = match std::mem::replace(&mut *place, Place::Over) {
            Place::Open(session) if !session.is_over() => {
                *place = Place::Open(session.clone());
                return Ok(session);
            }
            Place::Open(session) => match session.why_over() {
                Some(error @ ServerError::Misbehaved(_)) => return Err(error),
                // Idle keys that the server dropped, or a dead connection: it says by itself
                // whether the session can go on.
                _ => session.into_ticket(),
            },
            Place::Resting(ticket) => Some(ticket),
            Place::Over => None,
        };
        let ticket = ticket.ok_or(ServerError::LoginRequired)?;
        let endpoint = Arc::clone(&self.endpoint);
        let watch = Arc::clone(&self.watch);
        let resuming = tokio::spawn(resume(endpoint, watch, ticket, place));
        resuming.await.map_err(|_| ServerError::Broken)?
    }

    /// Asks, and repeats what got no answer, on a new connection if need be. A request
    /// that waits for an approval waits until it lapses; see [`Lasting::ask_with`].
    ///
    /// # Errors
    /// [`ServerError`]. A refusal is an answer.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ServerError> {
        self.ask_with(request, draw(), |_| ()).await
    }

    /// As [`Lasting::ask`], and tells of what waits for an approval: again, with another
    /// text, if the session went on elsewhere meanwhile.
    ///
    /// # Errors
    /// [`ServerError`]. A refusal is an answer.
    pub async fn ask_with(
        &self,
        request: &Request,
        id: RequestId,
        mut waiting: impl FnMut(Waiting),
    ) -> Result<Answer, ServerError> {
        let mut tries = Tries::default();
        loop {
            let tried = self.try_once(request, id, &mut waiting).await;
            let error = match tried {
                Ok(answer) if matches!(answer.status, Status::Busy | Status::Unavailable) => {
                    ServerError::Answered(answer.status)
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match tries.after(request.method(), &error) {
                Next::Again { pause } => tokio::time::sleep(pause).await,
                Next::GiveUp => return Err(error),
            }
        }
    }

    async fn try_once(
        &self,
        request: &Request,
        id: RequestId,
        waiting: &mut impl FnMut(Waiting),
    ) -> Result<Answer, ServerError> {
        let session = self.session().await?;
        session.look_at_log().await?;
        let mut asked = session.begin(request, id).await?;
        loop {
            let answer = match asked.next().await {
                Ok(answer) => answer,
                Err(error) => {
                    if let ServerError::Late { .. } = error {
                        self.leave(&session).await;
                    }
                    return Err(error);
                }
            };
            if answer.status != Status::Waiting {
                return Ok(answer);
            }
            if let Some(text) = approval_text(&answer) {
                let (session, sub) = (session.clone(), asked.sub());
                waiting(Waiting { session, sub, text });
            }
        }
    }

    /// The connection gives no answers: the session rests until it is asked again.
    async fn leave(&self, silent: &Session) {
        let mut place = self.place.lock().await;
        if let Place::Open(session) = &*place
            && session.is(silent)
            && let Some(ticket) = session.clone().into_ticket()
        {
            *place = Place::Resting(ticket);
        }
    }

    /// Takes the session away from here: the ticket resumes it elsewhere, and
    /// [`Lasting::given_back`] brings it back.
    ///
    /// # Errors
    /// [`ServerError::LoginRequired`] if it is not here.
    pub async fn lend(&self) -> Result<Ticket, ServerError> {
        let mut place = self.place.lock().await;
        let ticket = match std::mem::replace(&mut *place, Place::Over) {
            Place::Open(session) => session.into_ticket(),
            Place::Resting(ticket) => Some(ticket),
            Place::Over => None,
        };
        ticket.ok_or(ServerError::LoginRequired)
    }

    /// The session comes back, or a newer one comes in its place.
    #[must_use]
    pub fn given_back(&self, ticket: Ticket) -> Self {
        Self {
            endpoint: Arc::clone(&self.endpoint),
            watch: Arc::clone(&self.watch),
            place: Arc::new(Mutex::new(Place::Resting(ticket))),
        }
    }
}

async fn resume(
    endpoint: Arc<Endpoint>,
    watch: Arc<Watch>,
    ticket: Ticket,
    mut place: OwnedMutexGuard<Place>,
) -> Result<Session, ServerError> {
    let remote = match Remote::connect(&endpoint).await {
        Ok(remote) => remote,
        Err(error) => {
            *place = Place::Resting(ticket);
            return Err(error);
        }
    };
    match remote.resume(ticket, watch).await {
        Ok((session, _)) => {
            *place = Place::Open(session.clone());
            Ok(session)
        }
        Err(not) => {
            if let Some(ticket) = not.ticket {
                *place = Place::Resting(ticket);
            }
            Err(not.error)
        }
    }
}

/// What the server wants to have signed.
fn approval_text(answer: &Answer) -> Option<SecretBytes> {
    let result = answer.result.as_ref()?.expose();
    let text = byte_string(result)?;
    Some(SecretBytes::fill(text.len(), |place| {
        place.copy_from_slice(text);
    }))
}

/// The bytes of a CBOR byte string (RFC 8949 section 3, major type 2) of the one encoding
/// that `channel` has let through.
fn byte_string(encoded: &[u8]) -> Option<&[u8]> {
    let (&head, rest) = encoded.split_first()?;
    let length_bytes = match head.checked_sub(0x40)? {
        0..=23 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        _ => return None,
    };
    rest.get(length_bytes..)
}
