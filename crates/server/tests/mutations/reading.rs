//! Everything that a client gets of its account, and its verdict on the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_channel::session::requests::{
    ApproverChange, Audit, AuditPage, Bytes, DigestName, Entries, Entry, HeadPage, Intent, KeyType,
    List as Page, Request, Retrieve, Scope, Show, Sign, SignFields,
};
use keystead_channel::session::{KeyId, Octets, RequestId, Status, Ticket, request_hash};
use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_keeper::server::seen::{Listed, Subject};
use keystead_keeper::server::{ServerError, Session, Watch};
use keystead_server::server::Server;

use crate::person::Person;

/// What was asked, and what came.
pub(crate) type Answers = BTreeMap<String, Result<Vec<u8>, String>>;

/// Everything that one client got.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) answers: Answers,
    /// The account's entries, from the first on.
    pub(crate) leaves: Vec<Vec<u8>>,
    /// The key that the list and the log contradict each other about.
    pub(crate) contradicted: Option<KeyId>,
}

impl Reading {
    /// Resumes a session from before, logs in, resumes that, asks for everything and verifies.
    pub(crate) async fn of(server: &Arc<Server>, person: &Person, ticket: &SecretBytes) -> Self {
        let mut reading = Self::default();
        let watch = person.seen();
        let resumed = resume(server, person, ticket, &watch).await;
        let resumed = reading.heard("resume", resumed.map(|it| (vec![], it)));
        if let Some(session) = resumed {
            reading.list("resumed: ", &session).await;
        }
        let logged_in = person.log_in(server, &watch).await;
        let logged_in = logged_in.map(|it| {
            let failed = it.opened.failed_logins.unwrap_or_default().to_be_bytes();
            let user = it.opened.user.0;
            ([&user[..], &failed[..]].concat(), it.session)
        });
        let Some(session) = reading.heard("log in", logged_in) else {
            return reading;
        };
        let (entries, _) = reading.list("", &session).await;
        for entry in &entries {
            reading.key(&session, entry).await;
        }
        reading
            .ask("storage key", &session, &Request::StorageKey)
            .await;
        let approvers = Request::Approvers(ApproverChange {
            add: None,
            remove: None,
            recovery_code: None,
            recovery: None,
        });
        reading.ask("approvers", &session, &approvers).await;
        let moved = person.move_on(server, session).await;
        let moved = moved.map(|it| (vec![], it));
        let Some(session) = reading.heard("resume after login", moved) else {
            return reading;
        };
        reading.log(&session, person).await;
        reading
    }

    /// What is listed, and the last request's hash if that was all. A page ends where an entry
    /// does not open, so entries are compared, not pages; behind one that is named it goes on.
    async fn list(&mut self, prefix: &str, session: &Session) -> (Vec<Entry>, Option<[u8; 32]>) {
        let (mut entries, mut after): (Vec<Entry>, _) = (Vec::new(), None);
        let mut is_whole = true;
        loop {
            let request = Request::List(Page { after, limit: 100 });
            let id = RequestId::draw(&mut SystemRng);
            let came = ask_as(session, &request, id).await;
            if let Err(ServerError::Unread { key }) = came {
                assert!(after.is_none_or(|it| it < key), "{key} again");
                let said = Err(format!("{key} does not open"));
                self.answers.insert(format!("{prefix}list: {key}"), said);
                (after, is_whole) = (Some(key), false);
                continue;
            }
            let page = came.map(|it| (vec![], it));
            let Some(page) = self.heard(&format!("{prefix}list"), page) else {
                return (entries, None);
            };
            let page = Entries::decode(&page).unwrap();
            for entry in page.entries.0 {
                after = Some(entry.key);
                let name = format!("{prefix}list: {}", entry.key);
                self.answers.insert(name, Ok(entry.encode()));
                entries.push(entry);
            }
            if !page.more {
                let body = request.encode(id);
                let hash = request_hash(&session.user(), request.method().number(), &body);
                return (entries, is_whole.then_some(hash));
            }
        }
    }

    async fn key(&mut self, session: &Session, entry: &Entry) {
        let key = entry.key;
        let show = Request::Show(Show { key });
        self.ask(&format!("show {key}"), session, &show).await;
        let retrieve = Request::Retrieve(Retrieve {
            key,
            intent: Intent::Export,
            kind: entry.kind,
        });
        self.ask(&format!("retrieve {key}"), session, &retrieve)
            .await;
        if entry.kind != KeyType::Arbitrary && entry.context.is_none() {
            let sign = sign(key, b"to be signed");
            self.ask(&format!("sign {key}"), session, &sign).await;
        }
    }

    /// All pages with proofs, what is listed, and the head.
    async fn log(&mut self, session: &Session, person: &Person) {
        let (entries, hash) = self.list("once more: ", session).await;
        let (mut pages, mut cursor) = (Vec::new(), Some(0));
        while let Some(from) = cursor {
            let audit = Request::Audit(audit(from));
            let came = ask(session, &audit).await;
            // Another page than before ends elsewhere: entries are compared, not pages.
            let name = format!("log from entry {from}");
            let Some(page) = self.heard_new(&name, came) else {
                return;
            };
            let page = AuditPage::decode(&page).unwrap();
            cursor = page.next;
            self.leaves
                .extend(page.leaves.0.iter().map(|it| it.0.clone()));
            pages.push(page);
        }
        let listed = Listed {
            entries: &entries,
            request_hash: hash.as_ref(),
        };
        let watch = session.watch();
        if hash.is_some() {
            let verdict = watch.with(|seen| seen.audit(&person.user, &pages, listed));
            if let Err(fault) = &verdict
                && let Subject::Key(key) = fault.subject
            {
                self.contradicted = Some(key);
            }
            let verdict = verdict.map_err(|fault| fault.to_string());
            self.answers
                .insert("verdict".to_owned(), verdict.map(|_| vec![]));
        }
        let asked = watch.with(|seen| seen.head_request());
        let came = ask(session, &Request::Head(asked.clone())).await;
        if let Some(page) = self.heard_new("head", came) {
            let page = HeadPage::decode(&page).unwrap();
            let verdict = watch.with(|seen| seen.take_head(&asked, &page));
            let verdict = verdict.map_err(|error| error.to_string());
            self.answers
                .insert("head's verdict".to_owned(), verdict.map(|()| vec![]));
        }
    }

    async fn ask(&mut self, name: &str, session: &Session, request: &Request) {
        let came = ask(session, request).await;
        self.heard(name, came.map(|it| (it, ())));
    }

    fn heard<T>(&mut self, name: &str, came: Result<(Vec<u8>, T), ServerError>) -> Option<T> {
        let (answer, rest) = match came {
            Ok((answer, rest)) => (Ok(answer), Some(rest)),
            Err(ServerError::Answered(status)) if is_an_answer(status) => {
                (Ok(format!("{status:?}").into_bytes()), None)
            }
            Err(error) => (Err(format!("{error:?}: {error}")), None),
        };
        self.answers.insert(name.to_owned(), answer);
        rest
    }

    /// What is never the same twice: only errors are kept.
    fn heard_new(&mut self, name: &str, came: Result<Vec<u8>, ServerError>) -> Option<Vec<u8>> {
        match came {
            Ok(answer) => Some(answer),
            Err(error) => {
                let said = format!("{error:?}: {error}");
                self.answers.insert(name.to_owned(), Err(said));
                None
            }
        }
    }
}

/// A refusal that is no error of the database: another one than before is another answer.
fn is_an_answer(status: Status) -> bool {
    matches!(
        status,
        Status::NotFound | Status::Policy | Status::WrongType | Status::FreshLogin
    )
}

async fn resume(
    server: &Arc<Server>,
    person: &Person,
    ticket: &SecretBytes,
    watch: &Arc<Watch>,
) -> Result<Session, ServerError> {
    let ticket = Ticket::decode(ticket.expose()).unwrap();
    let remote = person.connect(server).await?;
    match remote.resume(ticket, Arc::clone(watch)).await {
        Ok((session, _)) => Ok(session),
        Err(not) => Err(not.error),
    }
}

async fn ask(session: &Session, request: &Request) -> Result<Vec<u8>, ServerError> {
    ask_as(session, request, RequestId::draw(&mut SystemRng)).await
}

async fn ask_as(
    session: &Session,
    request: &Request,
    id: RequestId,
) -> Result<Vec<u8>, ServerError> {
    let answer = session.begin(request, id).await?.next().await?;
    if answer.status != Status::Done {
        return Err(ServerError::of_answer(&answer));
    }
    let result = answer.result.map(|it| it.expose().to_vec());
    Ok(result.unwrap_or_default())
}

fn audit(from: u64) -> Audit {
    Audit {
        scope: Scope::All,
        keys: None,
        after_unix_ms: None,
        before_unix_ms: None,
        cursor: Some(from),
        proofs: true,
    }
}

pub(crate) fn sign(key: KeyId, message: &[u8]) -> Request {
    let bytes = Bytes {
        bytes: Octets(message.to_vec()),
    };
    Request::Sign(Sign {
        key,
        fields: SignFields::Message(bytes, DigestName::None),
    })
}
