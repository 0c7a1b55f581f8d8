//! One connection: statements are made once, and many go out before the first answer.
//!
//! **Invariant**: what is sent together is carried out in the order of sending; a link
//! whose COMMIT was sent and not answered is in doubt, and is used no more.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use keystead_daemon::rng::SystemRng;
use rand_core::RngCore;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::rows::{Cell, CellKind, Row, Table};

use super::super::StoreError;
use super::address::Address;
use super::fault::Doing;
use super::no_tls;

/// A connection.
pub(super) struct Link {
    client: Client,
    statements: HashMap<String, Statement>,
    /// What this connection's batches are noted under.
    pub(super) id: [u8; 16],
    /// Its place among those in use.
    pub(super) place: Option<OwnedSemaphorePermit>,
    is_in_doubt: bool,
}

/// One of several things that are sent together.
pub(super) enum Step {
    /// Without parameters or an answer.
    Run(&'static str),
    /// Gives rows of a table, and the columns behind them.
    Rows(Table, Query),
    /// Changes rows.
    Execute(Query),
}

impl Link {
    /// A new connection, on a database that keeps what it commits.
    pub(super) async fn connect(address: &Address) -> Result<Self, StoreError> {
        let mut config = address.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        config.tcp_user_timeout(SILENCE_MAX);
        let connected = config.connect(address.tls.clone()).await;
        let is_without_tls = match &connected {
            Ok(_) => false,
            Err(error) => no_tls::is_why(&config, error).await,
        };
        let connected = connected.doing("connecting");
        let (client, connection) = match connected {
            Err(StoreError::Unavailable(told)) if is_without_tls => {
                return Err(StoreError::NoTls(told));
            }
            connected => connected?,
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection to the database ended: {error}");
            }
        });
        let mut id = [0; 16];
        SystemRng.fill_bytes(&mut id);
        let link = Self {
            client,
            statements: HashMap::new(),
            id,
            place: None,
            is_in_doubt: false,
        };
        link.run(LIMITS).await?;
        link.run(PLANS).await?;
        link.check().await?;
        Ok(link)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether its COMMIT may have been carried out or not.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    /// Statements without parameters.
    pub(super) async fn run(&self, statements: &str) -> Result<(), StoreError> {
        self.client.batch_execute(statements).await.doing("asking")
    }

    /// Rows of a table.
    pub(super) async fn rows(
        &mut self,
        table: Table,
        query: Query,
    ) -> Result<Vec<Row>, StoreError> {
        let mut all = self.together(vec![Step::Rows(table, query)]).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// The only number of the only row.
    pub(super) async fn number(&mut self, query: Query) -> Result<i64, StoreError> {
        let values = query.values();
        let row = self.client.query_one(&query.statement, &values).await;
        row.and_then(|row| row.try_get(0)).doing("asking")
    }

    /// Changes rows.
    pub(super) async fn execute(&mut self, query: Query) -> Result<(), StoreError> {
        self.together(vec![Step::Execute(query)]).await.map(drop)
    }

    /// Sends all before it waits for the first answer. Rows come in the order of the steps
    /// that give some, each with the columns behind its table's.
    pub(super) async fn together(&mut self, steps: Vec<Step>) -> Result<Vec<Vec<Row>>, StoreError> {
        for step in &steps {
            self.prepare(step).await?;
        }
        let answers = self.send(&steps).await;
        let mut rows = Vec::new();
        for (step, answer) in steps.iter().zip(answers) {
            let answer = answer.doing("asking")?;
            if let Step::Rows(table, _) = step {
                rows.push(self::rows(*table, &answer)?);
            }
        }
        Ok(rows)
    }

    /// As [`Link::together`], with COMMIT behind it.
    pub(super) async fn commit(&mut self, mut steps: Vec<Step>) -> Result<(), StoreError> {
        for step in &steps {
            self.prepare(step).await?;
        }
        steps.push(Step::Run("COMMIT"));
        self.is_in_doubt = true;
        let mut answers = self.send(&steps).await;
        let committed = answers.pop();
        for answer in answers {
            // The server said that it did not do this, so it commits none of it.
            let is_refused = matches!(&answer, Err(error) if error.as_db_error().is_some());
            self.is_in_doubt &= !is_refused;
            answer.doing("writing")?;
        }
        match committed {
            Some(Ok(_)) => {
                self.is_in_doubt = false;
                Ok(())
            }
            Some(Err(error)) => Err(error).doing("committing"),
            None => Ok(()),
        }
    }

    /// Polls in the order of the steps, which is the order in which they are sent.
    async fn send(&self, steps: &[Step]) -> Vec<Result<Vec<tokio_postgres::Row>, Error>> {
        let mut waiting: Vec<_> = steps.iter().map(|step| (self.step(step), None)).collect();
        poll_fn(|context| {
            let mut is_done = true;
            for (future, answer) in &mut waiting {
                if answer.is_none() {
                    match future.as_mut().poll(context) {
                        Poll::Ready(ready) => *answer = Some(ready),
                        Poll::Pending => is_done = false,
                    }
                }
            }
            if is_done {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        waiting
            .into_iter()
            .filter_map(|(_, answer)| answer)
            .collect()
    }

    fn step<'a>(&'a self, step: &'a Step) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            match step {
                Step::Run(statement) => {
                    self.client.batch_execute(statement).await?;
                    Ok(Vec::new())
                }
                Step::Rows(_, query) | Step::Execute(query) => {
                    let values = query.values();
                    match self.statements.get(&query.statement) {
                        Some(prepared) => self.client.query(prepared, &values).await,
                        None => self.client.query(&query.statement, &values).await,
                    }
                }
            }
        })
    }

    async fn prepare(&mut self, step: &Step) -> Result<(), StoreError> {
        let query = match step {
            Step::Run(_) => return Ok(()),
            Step::Rows(_, query) | Step::Execute(query) => query,
        };
        if !self.statements.contains_key(&query.statement) {
            let prepared = self.client.prepare(&query.statement).await;
            let prepared = prepared.doing("asking")?;
            self.statements.insert(query.statement.clone(), prepared);
        }
        Ok(())
    }

    /// A commit that the server answers must be on its disk.
    async fn check(&self) -> Result<(), StoreError> {
        let asked = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";
        let row = self.client.query_one(asked, &[]).await;
        let row = row.doing("connecting")?;
        let setting = |index| row.try_get::<_, String>(index).doing("connecting");
        if setting(0)? != "on" {
            return Err(StoreError::NotDurable("fsync is off".to_owned()));
        }
        if ["off", "local"].contains(&setting(1)?.as_str()) {
            self.run("SET synchronous_commit = on").await?;
        }
        Ok(())
    }
}

type Answer = Result<Vec<tokio_postgres::Row>, Error>;

/// The columns of a table, and numbers behind them.
fn rows(table: Table, rows: &[tokio_postgres::Row]) -> Result<Vec<Row>, StoreError> {
    let shape = table.shape().columns;
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let mut cells = Vec::with_capacity(row.len());
        for index in 0..row.len() {
            let kind = shape.get(index).map_or(CellKind::Int, |column| column.kind);
            let cell = match kind {
                CellKind::Int => row.try_get(index).map(Cell::Int),
                CellKind::Bytes => row.try_get(index).map(Cell::Bytes),
            };
            cells.push(cell.map_err(|_| StoreError::Corrupt(table))?);
        }
        out.push(Row { cells });
    }
    Ok(out)
}

/// A statement with its parameters.
pub(super) struct Query {
    statement: String,
    values: Vec<Value>,
}

impl Query {
    /// With one value a parameter.
    pub(super) fn cells(statement: String, cells: Vec<Cell>) -> Self {
        let values = cells.into_iter().map(|cell| -> Value {
            match cell {
                Cell::Int(number) => Box::new(number),
                Cell::Bytes(bytes) => Box::new(bytes),
            }
        });
        Self {
            statement,
            values: values.collect(),
        }
    }

    /// With one array of bytes.
    pub(super) fn bytes(statement: String, all: Vec<Vec<u8>>) -> Self {
        Self {
            statement,
            values: vec![Box::new(all)],
        }
    }

    /// With one array of numbers.
    pub(super) fn numbers(statement: String, numbers: Vec<i64>) -> Self {
        Self {
            statement,
            values: vec![Box::new(numbers)],
        }
    }

    /// With an array a column, of the first `columns` of `rows`.
    pub(super) fn arrays(
        statement: String,
        table: Table,
        columns: usize,
        rows: impl Iterator<Item = Vec<Cell>>,
    ) -> Self {
        let kinds = table.shape().columns.iter().take(columns);
        let mut arrays: Vec<Array> = kinds.map(|column| Array::of(column.kind)).collect();
        for row in rows {
            arrays
                .iter_mut()
                .zip(row)
                .for_each(|(array, cell)| array.push(cell));
        }
        let values = arrays.into_iter().map(|array| -> Value {
            match array {
                Array::Ints(numbers) => Box::new(numbers),
                Array::Bytes(bytes) => Box::new(bytes),
            }
        });
        Self {
            statement,
            values: values.collect(),
        }
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        let values = self.values.iter();
        values
            .map(|value| -> &(dyn ToSql + Sync) { &**value })
            .collect()
    }
}

type Value = Box<dyn ToSql + Sync + Send>;

/// A column of many rows.
enum Array {
    Ints(Vec<i64>),
    Bytes(Vec<Vec<u8>>),
}

impl Array {
    fn of(kind: CellKind) -> Self {
        match kind {
            CellKind::Int => Self::Ints(Vec::new()),
            CellKind::Bytes => Self::Bytes(Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell) {
        match (self, cell) {
            (Self::Ints(numbers), Cell::Int(number)) => numbers.push(number),
            (Self::Bytes(all), Cell::Bytes(bytes)) => all.push(bytes),
            // A row of ours has the columns of its table; a shorter array is an error there.
            (Self::Ints(_), Cell::Bytes(_)) | (Self::Bytes(_), Cell::Int(_)) => {}
        }
    }
}

/// 3 s to connect, where the address says nothing else.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// 10 s without an acknowledgement of what was sent.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A lock that is held, a statement that takes long, and a process that was stopped while
/// it held the head row: each is given up, and the batch refused.
const LIMITS: &str = "
    SET lock_timeout = '4s';
    SET statement_timeout = '6s';
    SET idle_in_transaction_session_timeout = '10s';
";

/// Every statement of ours finds rows by an index, however many it asks for, so it is planned
/// once: else one with an array is planned anew at each use, for longer than it runs. A plan
/// that was made while a table was small must serve when it is large, so none reads all of
/// it, or hashes it, where an index is there; such a plan is never worth compiling.
const PLANS: &str = "
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
";
