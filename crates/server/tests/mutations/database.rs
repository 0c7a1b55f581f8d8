//! A server's database, opened past the server: read, changed and put back.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use keystead_server::rows::{Cell, CellKind, Table};
use keystead_server::sealing::{MasterSource, SealingError};
use keystead_server::server::Server;
use keystead_server::settings::{Register, Settings};
use keystead_tests::Postgres;
use tempfile::TempDir;

/// A row, all its columns.
pub(crate) type Row = Vec<Cell>;

/// Every row of every table.
pub(crate) type Content = BTreeMap<Table, Vec<Row>>;

/// A database, and the folder of the server that is started on it.
pub(crate) struct Database {
    pub(crate) folder: TempDir,
    postgres: Option<Postgres>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::with(None)
    }

    pub(crate) fn postgres() -> Self {
        Self::with(Some(Postgres::start().unwrap()))
    }

    fn with(postgres: Option<Postgres>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, MASTER_KEY).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self { folder, postgres }
    }

    /// Starts a server on it.
    pub(crate) async fn server(&self) -> Result<Arc<Server>, SealingError> {
        let mut settings = Settings {
            registration: Register::Open,
            ..Settings::default()
        };
        settings.registrations.per_source_hour = 0;
        settings.guesses.per_source_s = 0;
        settings.guesses.per_s = 0;
        settings.database = self.address();
        let source = MasterSource::File(self.folder.path().join("master.key"));
        let server = Server::open(self.folder.path(), settings, source).await?;
        Ok(Arc::new(server))
    }

    pub(crate) fn address(&self) -> String {
        let sqlite = || "sqlite:server.db".to_owned();
        self.postgres
            .as_ref()
            .map_or_else(sqlite, Postgres::address)
    }

    /// The whole database as who steals it has it: the file, or what a dump of the tables says.
    pub(crate) fn stolen(&self) -> Vec<Vec<u8>> {
        match &self.postgres {
            None => std::fs::read_dir(self.folder.path())
                .unwrap()
                .map(|file| file.unwrap().path())
                .filter(|path| path.file_name().unwrap() != "master.key")
                .map(|path| std::fs::read(path).unwrap())
                .collect(),
            Some(_) => self
                .content()
                .into_values()
                .flatten()
                .flatten()
                .map(|cell| match cell {
                    Cell::Int(number) => number.to_string().into_bytes(),
                    Cell::Bytes(bytes) => bytes,
                })
                .collect(),
        }
    }

    pub(crate) fn content(&self) -> Content {
        Table::ALL
            .into_iter()
            .map(|it| (it, self.rows(it)))
            .collect()
    }

    fn rows(&self, table: Table) -> Vec<Row> {
        let shape = table.shape();
        let columns = shape.columns.iter();
        let encode = |name: &str| match &self.postgres {
            None => format!("hex({name})"),
            Some(_) => format!("encode({name}, 'hex')"),
        };
        let columns: Vec<String> = columns
            .map(|column| match column.kind {
                CellKind::Int => format!("CAST({} AS TEXT)", column.name),
                CellKind::Bytes => encode(column.name),
            })
            .collect();
        let columns = columns.join(" || '|' || ");
        let lines = self.lines(&format!("SELECT {columns} FROM {}", shape.name));
        let mut rows: Vec<Row> = lines.iter().map(|line| row(table, line)).collect();
        rows.sort();
        rows
    }

    fn lines(&self, query: &str) -> Vec<String> {
        match &self.postgres {
            None => {
                let file = self.open();
                let mut statement = file.prepare(query).unwrap();
                let lines = statement.query_map([], |row| row.get(0)).unwrap();
                lines.collect::<Result<_, _>>().unwrap()
            }
            Some(postgres) => {
                let text = postgres.sql("keys", query).unwrap();
                text.lines().map(str::to_owned).collect()
            }
        }
    }

    /// False where the database itself forbids it.
    pub(crate) fn run(&self, statements: &str) -> bool {
        let whole = format!("BEGIN; {statements} COMMIT;");
        match &self.postgres {
            None => self.open().execute_batch(&whole).is_ok(),
            Some(postgres) => postgres.sql("keys", &whole).is_ok(),
        }
    }

    /// Takes a row out and puts others in.
    pub(crate) fn replace(&self, table: Table, out: &[Row], into: &[Row]) -> bool {
        let mut statements = String::new();
        for row in out {
            statements.push_str(&self.delete(table, row));
        }
        for row in into {
            statements.push_str(&self.delete(table, row));
            statements.push_str(&self.insert(table, row));
        }
        self.run(&statements)
    }

    fn delete(&self, table: Table, row: &Row) -> String {
        let shape = table.shape();
        let keys: Vec<String> = shape.columns[..shape.key]
            .iter()
            .zip(row)
            .map(|(column, cell)| format!("{} = {}", column.name, self.literal(cell)))
            .collect();
        format!("DELETE FROM {} WHERE {}; ", shape.name, keys.join(" AND "))
    }

    fn insert(&self, table: Table, row: &Row) -> String {
        let shape = table.shape();
        let names: Vec<&str> = shape.columns.iter().map(|it| it.name).collect();
        let cells: Vec<String> = row.iter().map(|it| self.literal(it)).collect();
        let (names, cells) = (names.join(", "), cells.join(", "));
        format!("INSERT INTO {} ({names}) VALUES ({cells}); ", shape.name)
    }

    fn literal(&self, cell: &Cell) -> String {
        match (cell, &self.postgres) {
            (Cell::Int(number), _) => number.to_string(),
            (Cell::Bytes(bytes), None) => format!("x'{}'", hex(bytes)),
            (Cell::Bytes(bytes), Some(_)) => format!("'\\x{}'::bytea", hex(bytes)),
        }
    }

    fn open(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("server.db")
    }

    /// Keeps all as it is now, for [`Database::put_back`].
    pub(crate) fn keep(&self) -> Kept {
        match &self.postgres {
            None => {
                let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
                self.open().execute_batch(truncate).unwrap();
                Kept::File(std::fs::read(self.file()).unwrap())
            }
            Some(postgres) => {
                let mut statements = "CREATE SCHEMA kept; ".to_owned();
                for table in Table::ALL {
                    let name = table.name();
                    statements.push_str(&format!(
                        "CREATE TABLE kept.{name} AS TABLE public.{name}; "
                    ));
                }
                postgres.sql("keys", &statements).unwrap();
                Kept::Schema
            }
        }
    }

    pub(crate) fn put_back(&self, kept: &Kept) {
        for file in ["server.db-wal", "server.db-shm"] {
            let _ = std::fs::remove_file(self.folder.path().join(file));
        }
        match kept {
            Kept::File(bytes) => std::fs::write(self.file(), bytes).unwrap(),
            Kept::Schema => {
                let mut statements = String::new();
                for table in Table::ALL {
                    let name = table.name();
                    statements.push_str(&format!(
                        "DELETE FROM public.{name}; \
                         INSERT INTO public.{name} SELECT * FROM kept.{name}; "
                    ));
                }
                assert!(self.run(&statements));
            }
        }
    }
}

/// How a database was.
pub(crate) enum Kept {
    File(Vec<u8>),
    Schema,
}

fn row(table: Table, line: &str) -> Row {
    let columns = table.shape().columns;
    let parts: Vec<&str> = line.split('|').collect();
    assert_eq!(parts.len(), columns.len(), "{line}");
    columns
        .iter()
        .zip(parts)
        .map(|(column, part)| match column.kind {
            CellKind::Int => Cell::Int(part.parse().unwrap()),
            CellKind::Bytes => Cell::Bytes(unhex(part)),
        })
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(crate) const MASTER_KEY: [u8; 32] = *b"the master key of a server here!";
