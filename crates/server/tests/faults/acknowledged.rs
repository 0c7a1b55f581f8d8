//! What a client was told is done, to be found again after a fault.

use keystead_channel::session::KeyId;
use keystead_channel::session::requests::{Audit, Intent, KeyType, Request, Retrieve, Scope, Show};
use keystead_keeper::server::{ServerError, Session};

use crate::person::{make_key, sign};

/// Keys that the server said it made.
#[derive(Default)]
pub(crate) struct Acknowledged {
    keys: Vec<KeyId>,
    next: u32,
    signatures: u32,
}

impl Acknowledged {
    /// Makes keys and signs with them until that fails.
    pub(crate) async fn go_on(&mut self, session: &Session) -> ServerError {
        loop {
            if let Err(error) = self.step(session).await {
                return error;
            }
        }
    }

    /// The same, at most so many times.
    pub(crate) async fn go_on_for(
        &mut self,
        steps: u32,
        session: &Session,
    ) -> Result<(), ServerError> {
        for _ in 0..steps {
            self.step(session).await?;
        }
        Ok(())
    }

    /// One step that must succeed, with numbers from `first` on.
    pub(crate) async fn step_from(&mut self, first: u32, session: &Session) {
        self.next = self.next.max(first);
        self.step(session).await.unwrap();
    }

    pub(crate) async fn step(&mut self, session: &Session) -> Result<(), ServerError> {
        let number = self.next;
        self.next += 1;
        let key = make_key(session, number).await?;
        self.keys.push(key);
        sign(session, key).await?;
        self.signatures += 1;
        Ok(())
    }

    /// All of it is there; the client's own checks of its chain and the log's head come
    /// with every answer.
    pub(crate) async fn check(&self, session: &Session) {
        for key in &self.keys {
            let show = Request::Show(Show { key: *key });
            session.done(&show).await.unwrap();
        }
        session.look_at_log().await.unwrap();
        let audit = Request::Audit(Audit {
            scope: Scope::All,
            keys: None,
            after_unix_ms: None,
            before_unix_ms: None,
            cursor: None,
            proofs: false,
        });
        session.done(&audit).await.unwrap();
    }

    /// The last one is there: cheap enough for every turn.
    pub(crate) async fn check_last(&self, session: &Session) {
        if let Some(key) = self.keys.last() {
            sign(session, *key).await.unwrap();
        }
    }

    /// A retrieval, which is audited, too.
    pub(crate) async fn check_retrieve(
        &self,
        session: &Session,
        key: KeyId,
    ) -> Result<(), ServerError> {
        let retrieve = Request::Retrieve(Retrieve {
            key,
            intent: Intent::Null,
            kind: KeyType::Ed25519,
        });
        session.done(&retrieve).await.map(|_| ())
    }

    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }
}
