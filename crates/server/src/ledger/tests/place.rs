//! A ledger over a database of its own, and acts to fill it with.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;

use keystead_channel::log::{Action, Detail};
use keystead_channel::session::requests::{Audit, AuditPage, Method, Scope, SignPurpose};
use keystead_channel::session::{AccountName, Profile, Status, UserId};
use keystead_keeper::server::seen::Seen;

use crate::ledger::{Act, Committed, Decided, Ledger, Log, NO_KEY, NewEntry};
use crate::rows::{Account, AccountNo, Gone, NameTag, Rows};
use crate::sealing::{MasterSource, Sealing};
use crate::store::{Now, Store, StoreError, Wanted};

/// A folder with a master key, and where the database is.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) address: String,
}

impl Place {
    pub(super) fn sqlite() -> Self {
        Self::at("sqlite:server.db".to_owned())
    }

    pub(super) fn at(address: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).mode(0o600);
        let mut file = options.open(folder.path().join("master.key")).unwrap();
        file.write_all(&[7; 32]).unwrap();
        Self { folder, address }
    }

    pub(super) async fn store(&self) -> (Store, Sealing) {
        let store = Store::open(&self.address, self.folder.path())
            .await
            .unwrap();
        let source = MasterSource::File(self.folder.path().join("master.key"));
        let (sealing, _) = Sealing::begin(&store, source).await.unwrap();
        (store, sealing)
    }

    pub(super) async fn ledger(&self) -> Ledger {
        let (store, sealing) = self.store().await;
        Ledger::start(store, sealing).await.unwrap()
    }

    /// The file of SQLite, to be changed behind the server's back.
    pub(super) fn file(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("server.db")).unwrap()
    }
}

/// An account that the tests ask as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    pub(super) no: AccountNo,
    pub(super) user: UserId,
}

/// Makes an account, with its chain and first entry.
pub(super) struct Register(pub(super) u8);

impl Act for Register {
    type Answer = Holder;

    fn wanted(&self, _wanted: &mut Wanted) {}

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Holder> {
        let no = rows.new_account_no();
        let holder = Holder {
            no,
            user: UserId([self.0; 32]),
        };
        let name = AccountName::parse(&format!("user{}", self.0)).unwrap();
        let credentials = ([3; 192], [4; 32], Profile::Standard);
        let tag = NameTag([self.0; 16]);
        rows.put_account(Account::pending(
            no,
            holder.user,
            tag,
            name,
            credentials,
            now.ms,
        ));
        rows.new_chain(no);
        let entry = Sign {
            holder,
            request: [self.0; 32],
        };
        Decided {
            entries: vec![NewEntry {
                action: Action::Registered,
                ..entry.entry()
            }],
            answer: holder,
        }
    }
}

/// Signs, so to speak.
#[derive(Clone, Copy)]
pub(super) struct Sign {
    pub(super) holder: Holder,
    pub(super) request: [u8; 32],
}

impl Sign {
    pub(super) fn entry(&self) -> NewEntry {
        NewEntry {
            log: Log::Of(self.holder.no, self.holder.user),
            action: Action::Method(Method::Sign),
            outcome: Status::Done,
            actor: [5; 8],
            key: [6; 16],
            request_hash: self.request,
            detail: Detail {
                purpose: Some(SignPurpose::SshLogin),
                ..Detail::NONE
            },
        }
    }
}

impl Act for Sign {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(self.holder.no);
    }

    fn decide(self, _now: Now, _rows: &mut Rows<'_>) -> Decided<()> {
        Decided {
            entries: vec![self.entry()],
            answer: (),
        }
    }
}

/// Deletes an account; its leaves stay until they are erased.
pub(super) struct Delete(pub(super) Holder);

impl Act for Delete {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.account(self.0.no);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        rows.delete_account(self.0.no);
        rows.put_gone(Gone {
            account: self.0.no,
            at_ms: now.ms,
            user: self.0.user,
        });
        Decided {
            entries: Vec::new(),
            answer: (),
        }
    }
}

/// Entries of several kinds at once.
pub(super) struct Entries {
    pub(super) holder: Holder,
    pub(super) entries: Vec<NewEntry>,
}

impl Act for Entries {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(self.holder.no);
    }

    fn decide(self, _now: Now, _rows: &mut Rows<'_>) -> Decided<()> {
        Decided {
            entries: self.entries,
            answer: (),
        }
    }
}

pub(super) async fn register(ledger: &Ledger, byte: u8) -> Holder {
    ledger.commit(Register(byte)).await.unwrap().answer
}

/// Some signatures, all at once.
pub(super) async fn sign(ledger: &Ledger, holder: Holder, count: u32) -> Vec<Committed<()>> {
    let acts = (0..count).map(|number| {
        let mut request = [0; 32];
        request[..4].copy_from_slice(&number.to_be_bytes());
        ledger.commit(Sign { holder, request })
    });
    let done = futures_util::future::join_all(acts).await;
    done.into_iter().collect::<Result<_, StoreError>>().unwrap()
}

pub(super) fn asked(cursor: u64) -> Audit {
    Audit {
        scope: Scope::All,
        keys: None,
        after_unix_ms: None,
        before_unix_ms: None,
        cursor: Some(cursor),
        proofs: true,
    }
}

/// Every page of an account's log.
pub(super) async fn pages(ledger: &Ledger, holder: Holder) -> Vec<AuditPage> {
    let mut pages = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let page = ledger
            .audit(holder.no, &holder.user, &asked(from))
            .await
            .unwrap();
        cursor = page.next;
        pages.push(page);
    }
    pages
}

pub(super) fn seen(ledger: &Ledger) -> Seen {
    Seen::new(ledger.tools.server, ledger.log_key())
}

/// Nobody: the system's own.
pub(super) const SYSTEM: Holder = Holder {
    no: AccountNo::SYSTEM,
    user: UserId([0; 32]),
};

pub(super) fn note(verb: &str) -> Entries {
    let detail = Detail {
        verb: Some(keystead_channel::session::Text(verb.to_owned())),
        ..Detail::NONE
    };
    let entry = NewEntry::system(Action::OperatorAct, crate::ledger::OPERATOR, detail);
    assert_eq!(entry.key, NO_KEY);
    Entries {
        holder: SYSTEM,
        entries: vec![entry],
    }
}
