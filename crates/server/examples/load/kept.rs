//! A loaded database that outlives the run, so that loading takes its time on a busy machine
//! and measuring can wait for a quiet one.
//!
//! **Invariant**: what is measured over was loaded whole, with the rows that are asked for:
//! the note that says so is written last.

use std::path::{Path, PathBuf};

use keystead_tests::{About, Failure, Result};

use crate::bulk::{self, Loaded};
use crate::say;
use crate::server::{Database, Server};

/// What is to be in the folder.
pub(crate) struct Kept {
    folder: PathBuf,
    database: Database,
    rows: (i64, i64),
}

impl Kept {
    pub(crate) fn new(folder: &Path, database: Database, rows: (i64, i64)) -> Result<Self> {
        Ok(Self {
            // PostgreSQL has another working directory.
            folder: std::path::absolute(folder).about("the folder")?,
            database,
            rows,
        })
    }

    /// The server of the folder, stopped: as it was left, or loaded now.
    pub(crate) async fn server(&self, program: &Path) -> Result<(Server, Loaded)> {
        let note = self.folder.join(NOTE);
        let shown = self.folder.display();
        if let Ok(text) = std::fs::read_to_string(&note) {
            let held = self.read(&text);
            let held = held.ok_or_else(|| {
                Failure::new(format!("{shown} holds something else: {}", text.trim()))
            })?;
            say(&format!(
                "{shown} is used again: its rows took {:.1} s, and earlier runs have left \
                 some hundred accounts with their entries",
                held.took_s
            ));
            return Ok((Server::kept(program, self.database, &self.folder)?, held));
        }
        if self.folder.exists() {
            let told = format!("{shown} was not loaded to its end: delete it");
            return Err(Failure::new(told));
        }
        let server = Server::kept(program, self.database, &self.folder)?;
        let (users, secrets) = self.rows;
        let loaded = bulk::load(&server, users, secrets).await?;
        std::fs::write(&note, self.written(&loaded)).about("the note")?;
        Ok((server, loaded))
    }

    /// `DATABASE USERS SECRETS SECONDS BYTES_OF_USERS BYTES_OF_SECRETS`.
    fn written(&self, loaded: &Loaded) -> String {
        let Loaded {
            took_s,
            users: (of_users, users),
            secrets: (of_secrets, secrets),
        } = loaded;
        let database = self.database.name();
        format!("{database} {users} {secrets} {took_s:.1} {of_users} {of_secrets}\n")
    }

    /// None: of another database, or of other rows.
    fn read(&self, text: &str) -> Option<Loaded> {
        let mut words = text.split_whitespace();
        let database = words.next()?;
        let users = words.next()?.parse().ok()?;
        let secrets = words.next()?.parse().ok()?;
        let took_s = words.next()?.parse().ok()?;
        let of_users = words.next()?.parse().ok()?;
        let of_secrets = words.next()?.parse().ok()?;
        let is_it = database == self.database.name() && (users, secrets) == self.rows;
        is_it.then_some(Loaded {
            took_s,
            users: (of_users, users),
            secrets: (of_secrets, secrets),
        })
    }
}

/// In the folder.
const NOTE: &str = "loaded";
