//! What a server keeps of a session, and what it decides over that.
//!
//! **Invariant**: pure: a row and a frame in, a verdict out; the row changes only by
//! [`Turn::apply`] and [`SessionRow::confirm`], and the caller stores it before
//! anything that follows from it is sent.

use keystead_core::Secret;
use keystead_sodium::{crypto_box, memory};
use rand_core::CryptoRngCore;

use super::binding::{Binding, SessionKind};
use super::hello::Limits;
use super::ids::SessionId;
use super::keys::SessionKeys;
use super::name::hmac_sha256;
use super::resume::{AFTER_RESUME, exchange};
use super::sealed::Epoch;
use super::server::{Place, Unopened};
use super::server_session::ServerSession;
use super::set_up::Resume;
use super::status::{SetUpError, Status};

/// A session's row; its secrets are stored sealed.
pub struct SessionRow {
    /// Which session.
    pub id: SessionId,
    /// g: how often it was resumed.
    pub generation: u32,
    /// Whether a frame of this generation has opened.
    pub confirmed: bool,
    /// rs_g.
    pub secret: Secret<32>,
    /// rs_(g−1), from the first resumption on.
    pub former: Option<Secret<32>>,
    /// When it was opened, by the server's clock.
    pub login_ms: u64,
    /// When its last frame came.
    pub last_ms: u64,
    /// Requests since login.
    pub requests: u32,
}

impl SessionRow {
    /// Of a session that was just opened.
    pub(super) fn of_login(id: SessionId, secret: Secret<32>, now_ms: u64) -> Self {
        Self {
            id,
            generation: 0,
            confirmed: true,
            secret,
            former: None,
            login_ms: now_ms,
            last_ms: now_ms,
            requests: 0,
        }
    }

    /// A frame has opened under this generation: the one before is dead.
    pub fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Whether a request may still be served, which is then counted.
    ///
    /// # Errors
    /// [`Status::LoginRequired`]: too many requests, idle for too long, or too old.
    pub fn admit(&mut self, now_ms: u64, limits: &Limits) -> Result<(), Status> {
        self.admit_uncounted(now_ms, limits)?;
        self.requests = self.requests.saturating_add(1);
        Ok(())
    }

    /// The same for one that is not counted.
    ///
    /// # Errors
    /// As [`SessionRow::admit`].
    pub fn admit_uncounted(&mut self, now_ms: u64, limits: &Limits) -> Result<(), Status> {
        let is_idle = passed(now_ms, self.last_ms, limits.idle_s);
        let is_old = passed(now_ms, self.login_ms, limits.life_s);
        let is_used = limits.requests_max > 0 && self.requests >= limits.requests_max;
        if is_idle || is_old || is_used {
            return Err(Status::LoginRequired);
        }
        self.last_ms = self.last_ms.max(now_ms);
        Ok(())
    }

    /// Whether it can be resumed no more.
    #[must_use]
    pub fn is_over(&self, now_ms: u64, limits: &Limits) -> bool {
        passed(now_ms, self.last_ms, limits.resumable_s)
            || passed(now_ms, self.login_ms, limits.life_s)
    }

    /// Judges frame 30.
    ///
    /// The last generation is good until a frame of this one has opened: frame 31 may
    /// have been lost. After that, who proves to have the last generation's secret is
    /// not who has this one's.
    #[must_use]
    pub fn judge(&self, resume: &Resume, place: &Place, now_ms: u64, limits: &Limits) -> Verdict {
        let Ok(binding) = place.binding(resume.claim.binding) else {
            return Verdict::Refuse(Status::Binding);
        };
        let claim = &resume.claim;
        let transcript = claim.transcript(&place.hellos, &place.server, &binding);
        let is_last = claim.generation.checked_add(1) == Some(self.generation);
        let is_this = claim.generation == self.generation;
        // Some key is tried whatever was claimed, so that the time tells nothing.
        let secret = match &self.former {
            Some(former) if is_last => former,
            Some(_) | None => &self.secret,
        };
        let expected = hmac_sha256(secret, &[&transcript]);
        let is_proved = memory::equal(&expected, &resume.proof);
        let is_dead = claim.session != self.id || self.is_over(now_ms, limits);
        let is_known = is_this || (is_last && self.former.is_some());
        if !is_proved || is_dead || !is_known {
            return Verdict::Refuse(Status::LoginRequired);
        }
        if is_last && self.confirmed {
            return Verdict::Theft;
        }
        let Some(generation) = claim.generation.checked_add(1) else {
            return Verdict::Refuse(Status::LoginRequired);
        };
        Verdict::Resume(Box::new(Resumption {
            secret: copy(secret),
            resume: resume.clone(),
            place: *place,
            binding,
            transcript,
            generation,
        }))
    }

    /// Judges frame 30 where no row is left: the same work, and the code of a bad proof.
    #[must_use]
    pub fn judge_none(resume: &Resume, place: &Place, now_ms: u64, limits: &Limits) -> Verdict {
        let secret = Secret::fill(|_| ());
        let mut nobody = Self::of_login(resume.claim.session, secret, now_ms);
        // A generation that no claim fits: whoever proves knowledge of nothing gets nothing.
        nobody.generation = resume.claim.generation.wrapping_sub(2);
        nobody.judge(resume, place, now_ms, limits)
    }
}

/// What becomes of frame 30.
pub enum Verdict {
    /// The session goes on, under the next generation.
    Resume(Box<Resumption>),
    /// A valid proof that should not exist any more: the session ends, and
    /// *ticket reused* is logged. The client is told `login_required`.
    Theft,
    /// Nothing changes; the client is told so.
    Refuse(Status),
}

/// A session that may go on.
pub struct Resumption {
    resume: Resume,
    place: Place,
    binding: Binding,
    secret: Secret<32>,
    transcript: [u8; 32],
    generation: u32,
}

impl Resumption {
    /// Draws the server's half and makes the next generation's keys: what costs
    /// something, before the row is looked at once more.
    ///
    /// # Errors
    /// The client's point gives nothing: [`SetUpError::Refused`].
    pub fn draw(self, rng: &mut dyn CryptoRngCore) -> Result<(Turn, Unopened), SetUpError> {
        let scalar = Secret::fill(|bytes| rng.fill_bytes(bytes));
        let mut drawn = vec![0; 32];
        rng.fill_bytes(&mut drawn);
        drawn.extend_from_slice(&crypto_box::public_key(scalar.expose()));
        let shared = exchange(&scalar, &self.resume.claim.point).ok_or(SetUpError::Refused)?;
        let keys = SessionKeys::of_resumption(&self.secret, &shared, &self.transcript, &drawn);
        let epoch = Epoch {
            session: self.resume.claim.session,
            generation: self.generation,
        };
        let handle = self.place.handle;
        let kind = SessionKind::Request;
        let session = ServerSession::new(handle, kind, epoch, &keys, AFTER_RESUME);
        let turn = Turn {
            resume: self.resume,
            place: self.place,
            binding: self.binding,
            tried: self.secret,
            next: keys.resume,
            generation: self.generation,
        };
        Ok((turn, Unopened::resumed(session, drawn)))
    }
}

/// A row's next generation, drawn and not yet stored.
pub struct Turn {
    resume: Resume,
    place: Place,
    binding: Binding,
    tried: Secret<32>,
    next: Secret<32>,
    generation: u32,
}

impl Turn {
    /// What the session is bound to from now on.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.binding
    }

    /// Judges once more, over the row as its transaction finds it, and turns it; when
    /// that is durable, frame 31 may leave.
    pub fn apply(self, row: &mut SessionRow, now_ms: u64, limits: &Limits) -> Turned {
        match row.judge(&self.resume, &self.place, now_ms, limits) {
            Verdict::Resume(again) if again.secret.ct_eq(&self.tried) => {
                row.generation = self.generation;
                row.confirmed = false;
                row.former = Some(self.tried);
                row.secret = self.next;
                row.last_ms = row.last_ms.max(now_ms);
                Turned::On
            }
            Verdict::Resume(_) => Turned::Refuse(Status::LoginRequired),
            Verdict::Theft => Turned::Theft,
            Verdict::Refuse(status) => Turned::Refuse(status),
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It is of the next generation.
    On,
    /// As [`Verdict::Theft`].
    Theft,
    /// It is as it was.
    Refuse(Status),
}

fn copy(secret: &Secret<32>) -> Secret<32> {
    Secret::fill(|bytes| *bytes = *secret.expose())
}

/// Whether `limit_s` have passed since `then_ms`. A clock that went back by more than
/// [`BACK_MS_MAX`] does not tell, and then they have: nothing that had expired lives again.
fn passed(now_ms: u64, then_ms: u64, limit_s: u32) -> bool {
    let went_back = now_ms.saturating_add(BACK_MS_MAX) < then_ms;
    went_back || now_ms.saturating_sub(then_ms) >= u64::from(limit_s).saturating_mul(1_000)
}

/// 60,000 ms: what clocks are set by without a jump (section 5.3).
const BACK_MS_MAX: u64 = 60_000;
