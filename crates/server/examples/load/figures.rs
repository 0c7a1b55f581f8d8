//! What is promised of each figure, and the lines that say what was measured.

use crate::bulk::Loaded;
use crate::client::Operation;
use crate::phase::Phase;
use crate::say;
use crate::server::Database;
use crate::times::Spread;

/// The lines for the table, told at the end.
pub(crate) struct Figures {
    database: Database,
    disk: Spread,
    lines: Vec<String>,
}

/// What was promised of a figure.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figures {
    pub(crate) fn new(database: Database, disk: Spread) -> Self {
        Self {
            database,
            disk,
            lines: Vec::new(),
        }
    }

    /// What of a phase has a limit.
    pub(crate) fn take(&mut self, phase: &Phase) {
        let (operation, count) = (phase.operation, phase.clients);
        let name = operation.name();
        if count == 64 {
            let bound = operation.cpu_ms_max() * self.database.factor();
            self.add(
                &format!("CPU of one {name}"),
                phase.cpu_ms,
                "ms",
                Bound::AtMost(bound),
            );
        }
        let is_sqlite = self.database == Database::Sqlite;
        match (operation, count) {
            (Operation::Login, 64) if is_sqlite => {
                let of_cpu = 1_000.0 / phase.cpu_ms;
                self.add(
                    "logins a second of CPU",
                    of_cpu,
                    "/s",
                    Bound::AtLeast(2_000.0),
                );
                let bound = Bound::AtLeast(2_000.0);
                self.add("logins a second", phase.per_second, "/s", bound);
            }
            (Operation::Sign, 256) => {
                let (rate, wait_ms) = if is_sqlite {
                    (8_000.0, 50.0)
                } else {
                    (4_000.0, 120.0)
                };
                let bound = Bound::AtLeast(rate);
                self.add("signatures a second", phase.per_second, "/s", bound);
                let bound = Bound::AtMost(wait_ms);
                self.add("signature, 256 clients, p99", phase.p99_ms, "ms", bound);
            }
            (Operation::Sign, 1) if is_sqlite => {
                let bound = Bound::AtMost(2.0 * self.disk.p50_ms + 0.6);
                self.add("signature, one client, p50", phase.p50_ms, "ms", bound);
            }
            (Operation::Retrieve, 256) if is_sqlite => {
                let bound = Bound::AtLeast(10_000.0);
                self.add("retrievals a second", phase.per_second, "/s", bound);
            }
            (Operation::Resume, 256) if is_sqlite => {
                let bound = Bound::AtLeast(5_000.0);
                self.add("resumptions a second", phase.per_second, "/s", bound);
            }
            _ => {}
        }
    }

    /// A full database against the empty one, where that was measured.
    pub(crate) fn flat(&mut self, before: Option<&Phase>, after: &Phase) {
        let Some(before) = before else { return };
        let name = after.operation.name();
        if matches!(after.operation, Operation::Login | Operation::Sign) {
            let ratio = after.p99_ms / before.p99_ms;
            let name = format!("{name}, p99, full / empty");
            self.add(&name, ratio, "×", Bound::AtMost(1.5));
        }
        let ratio = after.cpu_ms / before.cpu_ms;
        let name = format!("CPU of one {name}, full / empty");
        self.add(&name, ratio, "×", Bound::AtMost(1.5));
    }

    pub(crate) fn memory_and_start(&mut self, ready_ms: f64, idle_mib: f64) {
        self.add("ready after start", ready_ms, "ms", Bound::AtMost(300.0));
        self.add("resident, idle", idle_mib, "MiB", Bound::AtMost(20.0));
    }

    pub(crate) fn sessions(&mut self, mib: f64) {
        self.add("resident, 1,000 sessions", mib, "MiB", Bound::AtMost(64.0));
    }

    /// What users and secrets weigh.
    pub(crate) fn rows(&mut self, loaded: &Loaded) {
        let (user, secret) = match self.database {
            Database::Sqlite => (750.0, 400.0),
            Database::Postgres => (1_000.0, 450.0),
        };
        let per = |(bytes, rows): (i64, i64)| bytes as f64 / rows as f64;
        self.add("one user", per(loaded.users), "B", Bound::AtMost(user));
        self.add(
            "one secret",
            per(loaded.secrets),
            "B",
            Bound::AtMost(secret),
        );
    }

    pub(crate) fn entry(&mut self, bytes: i64, entries: i64) {
        let bound = match self.database {
            Database::Sqlite => 150.0,
            Database::Postgres => 250.0,
        };
        let each = bytes as f64 / entries as f64;
        self.add("one entry, at full load", each, "B", Bound::AtMost(bound));
    }

    pub(crate) fn tell(&self) {
        self.lines.iter().for_each(|line| say(line));
    }

    fn add(&mut self, name: &str, value: f64, unit: &str, bound: Bound) {
        let (word, target) = match bound {
            Bound::AtMost(target) => ("at-most", target),
            Bound::AtLeast(target) => ("at-least", target),
        };
        let database = self.database.name();
        let line = format!("figure {database}: {name} {value:.4} {unit} {word} {target:.3}");
        self.lines.push(line);
    }
}

impl Operation {
    /// Of server and store, SQLite, 64 clients.
    fn cpu_ms_max(self) -> f64 {
        match self {
            Self::Register => 1.0,
            Self::Login => 0.5,
            Self::Retrieve => 0.08,
            Self::Sign | Self::Resume => 0.12,
        }
    }
}

impl Database {
    /// PostgreSQL may cost so much more.
    fn factor(self) -> f64 {
        match self {
            Self::Sqlite => 1.0,
            Self::Postgres => 2.5,
        }
    }
}
