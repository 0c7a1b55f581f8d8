//! Which server is meant, and what is kept of it on this machine.

use std::sync::Arc;

use keystead_core::Secret;
use keystead_daemon::home::{self, Folders};
use keystead_keeper::server::seen::Seen;
use keystead_keeper::server::{Book, BookError, Page, ServerName, ServerNameError, Watch};

use crate::failure::Failure;
use crate::names::Home;

/// A server that this machine knows.
pub(crate) struct Server {
    pub(crate) book: Book,
    pub(crate) page: Page,
    pub(crate) watch: Arc<Watch>,
}

impl Server {
    /// The one of this name; without a name the only one.
    pub(crate) fn find(name: Option<&str>) -> Result<Self, Failure> {
        let book = book()?;
        let name = match name {
            Some(name) => server_name(name)?,
            None => only(&book)?,
        };
        let page = book.page(&name).map_err(of_book)?;
        let seen = book.seen(&name).map_err(of_book)?;
        Ok(Self {
            book,
            page,
            watch: Arc::new(Watch::new(seen)),
        })
    }

    /// The one that an account is at.
    pub(crate) fn of(home: Home) -> Result<Self, Failure> {
        let book = book()?;
        for name in book.names().map_err(of_book)? {
            let is_meant = |page: &Page| (page.server, page.user) == (home.server, home.user);
            if book.page(&name).is_ok_and(|page| is_meant(&page)) {
                return Self::find(Some(name.as_str()));
            }
        }
        Err(
            Failure::new("this machine does not know the server that has it any more")
                .hint("log in there again: keystead server login URL --account NAME"),
        )
    }

    /// The account that is used there.
    pub(crate) fn home(&self) -> Home {
        Home {
            server: self.page.server,
            user: self.page.user,
        }
    }

    /// Keeps what was seen of its log.
    pub(crate) fn keep_seen(&self) -> Result<(), Failure> {
        let name = &self.page.name;
        let kept = self.watch.with(|seen| self.book.keep_seen(name, seen));
        kept.map_err(of_book)
    }

    /// This machine's device pass there.
    pub(crate) fn pass(&self) -> Result<Option<Secret<32>>, Failure> {
        self.book.pass(&self.page.name).map_err(of_book)
    }

    /// Keeps a device pass.
    pub(crate) fn keep_pass(&self, pass: Option<&Secret<32>>) -> Result<(), Failure> {
        let kept = self.book.keep_pass(&self.page.name, pass);
        kept.map_err(of_book)
    }

    /// How a person calls the account.
    pub(crate) fn account(&self) -> &str {
        self.page.account.as_str()
    }

    /// How a person calls the server.
    pub(crate) fn name(&self) -> &str {
        self.page.name.as_str()
    }
}

/// The servers that this machine knows: where its agent finds them, too.
pub(crate) fn book() -> Result<Book, Failure> {
    let folders = Folders::of(home::Program::Agent);
    let folders = folders.map_err(|error| Failure::of(&error).hint(error.hint()))?;
    Book::open(&folders.state).map_err(of_book)
}

/// A name that a server may have here.
pub(crate) fn server_name(text: &str) -> Result<ServerName, Failure> {
    text.parse().map_err(|error: ServerNameError| {
        of_book(error.into()).status(crate::failure::Status::Usage)
    })
}

/// Adds a server that was registered with.
pub(crate) fn add(book: &Book, page: &Page, seen: &Seen) -> Result<(), Failure> {
    book.add(page, seen).map_err(of_book)
}

fn only(book: &Book) -> Result<ServerName, Failure> {
    let mut names = book.names().map_err(of_book)?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        (Some(_), false) => Err(Failure::usage("which server?")
            .hint("this machine knows several: name one with --server NAME")),
        (None, _) => Err(
            Failure::usage("this machine has no account at a key server")
                .hint("open one: `keystead server register LINK`, with the link of an invitation"),
        ),
    }
}

/// A failure of what is kept of servers.
pub(crate) fn of_book(error: BookError) -> Failure {
    let hint = error.hint();
    Failure::of(&error).hint(hint)
}
