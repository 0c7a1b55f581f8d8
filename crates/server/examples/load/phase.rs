//! The same operation by so many clients at once, for some seconds.

use std::sync::Arc;

use keystead_tests::{About, Result};
use tokio::task::JoinSet;

use crate::client::{Client, Gate, Operation};
use crate::server::Server;
use crate::times::{Spread, Times, seconds, since_ms};

/// What was measured.
pub(crate) struct Phase {
    pub(crate) operation: Operation,
    pub(crate) clients: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) per_second: f64,
    /// Of the server and its database, for one.
    pub(crate) cpu_ms: f64,
}

impl Phase {
    fn new(asked: (Operation, usize), times: Times, wall_s: f64, cpu_s: f64) -> Self {
        let done = times.count() as f64;
        let Spread { p50_ms, p99_ms } = Spread::of(times);
        Self {
            operation: asked.0,
            clients: asked.1,
            p50_ms,
            p99_ms,
            per_second: done / wall_s,
            cpu_ms: cpu_s * 1_000.0 / done,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.operation, self.clients) == (other.operation, other.clients)
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{:<12} {:>3} clients: p50 {:>8.3} ms, p99 {:>8.3} ms, {:>8.0} /s, CPU {:.4} ms",
            self.operation.name(),
            self.clients,
            self.p50_ms,
            self.p99_ms,
            self.per_second,
            self.cpu_ms
        )
    }
}

/// The first `count` of the clients do it again and again.
pub(crate) async fn run(
    server: &Server,
    clients: &mut Vec<Client>,
    (operation, count): (Operation, usize),
    for_s: f64,
) -> Result<Phase> {
    let cpu = server.cpu_s()?;
    let begun = seconds();
    let mut tasks = JoinSet::new();
    for mut client in clients.drain(..count) {
        tasks.spawn(async move {
            let mut times = Times::default();
            while seconds() < begun + for_s {
                let from = seconds();
                client.once(operation).await?;
                times.push(since_ms(from));
            }
            Ok((client, times))
        });
    }
    let times = end(tasks, clients).await?;
    let cpu = server.cpu_s()? - cpu;
    Ok(Phase::new(
        (operation, count),
        times,
        seconds() - begun,
        cpu,
    ))
}

/// New clients register, each once and `count` of them at a time.
pub(crate) async fn register(
    server: &Server,
    (new, count): (Vec<Client>, usize),
    clients: &mut Vec<Client>,
) -> Result<Phase> {
    let gate = Arc::new(Gate::new(new.len(), count));
    let cpu = server.cpu_s()?;
    let mut tasks = JoinSet::new();
    for mut client in new {
        let gate = Arc::clone(&gate);
        tasks.spawn(async move {
            let mut times = Times::default();
            times.push(client.register(&gate).await?);
            Ok((client, times))
        });
    }
    let times = end(tasks, clients).await?;
    let cpu = server.cpu_s()? - cpu;
    let wall_s = times.sum_ms() / 1_000.0 / count as f64;
    Ok(Phase::new((Operation::Register, count), times, wall_s, cpu))
}

async fn end(
    mut tasks: JoinSet<Result<(Client, Times)>>,
    clients: &mut Vec<Client>,
) -> Result<Times> {
    let mut times = Times::default();
    while let Some(ended) = tasks.join_next().await {
        let (client, of_client) = ended.about("a client")??;
        times.extend(of_client);
        clients.push(client);
    }
    Ok(times)
}
