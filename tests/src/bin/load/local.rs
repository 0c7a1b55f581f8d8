//! Ours in the place of `ssh-agent`, with keys of its local authenticator.

use keystead_tests::{Failure, Place, Program, Result};

use crate::agents::{Agent, ended_well};
use crate::client::Client;
use crate::times::{self, Times, since_ms};
use crate::{Bound, figure, say};

pub(crate) fn measure() -> Result<()> {
    let place = Place::new()?;
    let agents = [Agent::ours(&place)?, Agent::other(&place)?];
    for (kind, _) in KEYS {
        let words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", kind];
        ended_well(&mut Program::start(&place.run(&words))?, "ssh-keygen")?;
        for agent in &agents {
            agent.add(&place, kind)?;
        }
    }
    lists(&agents)?;
    for (_, algorithm) in KEYS {
        signatures(&agents, algorithm)?;
    }
    at_once(&agents)?;
    idle(&agents)
}

fn lists(agents: &[Agent; 2]) -> Result<()> {
    compare("list", agents, |agent| {
        let mut client = Client::connect(&agent.socket)?;
        client.list()?;
        times::run(BATCH, || client.list().map(|_| ()))
    })
    .map(|_| ())
}

fn signatures(agents: &[Agent; 2], algorithm: &str) -> Result<()> {
    let ours = compare(&format!("sign {algorithm}"), agents, |agent| {
        let mut client = Client::connect(&agent.socket)?;
        let key = client.key(algorithm)?;
        client.sign(&key)?;
        times::run(BATCH, || client.sign(&key))
    })?;
    if algorithm == ED25519 {
        let least = Bound::AtLeast(OPENSSH_10_5_PER_S);
        figure(
            "Ed25519 signatures a second",
            ours.per_second(),
            "/s",
            least,
        );
        let most = Bound::AtMost(OPENSSH_10_5_P99_MS);
        figure("Ed25519 signature, p99", ours.p99(), "ms", most);
    }
    Ok(())
}

/// Both in turns. What counts is the middle of the rounds' ratios: a round in
/// which another program had the cores is one of many.
fn compare(
    what: &str,
    agents: &[Agent; 2],
    mut round: impl FnMut(&Agent) -> Result<Times>,
) -> Result<Times> {
    let [mine, others] = agents;
    let [mut ours, mut other, mut ratios] = [(); 3].map(|()| Times::default());
    for _ in 0..ROUNDS {
        let (near, far) = (round(mine)?, round(others)?);
        ratios.push(far.per_second() / near.per_second());
        ours.extend(near);
        other.extend(far);
    }
    say(&format!(
        "{what}: p50 {:.3} ms, p99 {:.3} ms, {:.0} a second; the other agent {:.3} ms, {:.3} ms, {:.0} a second",
        ours.p50(),
        ours.p99(),
        ours.per_second(),
        other.p50(),
        other.p99(),
        other.per_second(),
    ));
    let most = Bound::AtMost(1.0);
    figure(&format!("{what} / ssh-agent"), ratios.p50(), "×", most);
    Ok(ours)
}

/// 32 connections, each of which asks again as soon as it has its answer.
fn at_once(agents: &[Agent; 2]) -> Result<()> {
    let mut best = [0.0_f64; 2];
    for _ in 0..CROWDS {
        for (agent, best) in agents.iter().zip(&mut best) {
            *best = best.max(crowd(agent)?);
        }
    }
    let [ours, other] = best;
    say(&format!(
        "{CONNECTIONS} connections: {ours:.0} signatures a second, the other agent {other:.0}"
    ));
    figure(
        "32 connections / ssh-agent's",
        ours / other,
        "×",
        Bound::AtLeast(2.0),
    );
    figure(
        "32 connections, signatures a second",
        ours,
        "/s",
        Bound::AtLeast(2.0 * OPENSSH_10_5_PER_S),
    );
    Ok(())
}

/// Signatures a second.
fn crowd(agent: &Agent) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(&agent.socket)?;
        let key = client.key(ED25519)?;
        client.sign(&key)?;
        clients.push((client, key));
    }
    let start = times::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|(client, key)| scope.spawn(|| times::run(EACH, || client.sign(key))))
            .collect();
        for thread in threads {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(Failure::new("a thread panicked")))?;
        }
        Ok(())
    })?;
    let count = u32::try_from(CONNECTIONS * EACH).map_or(f64::NAN, f64::from);
    Ok(count * 1_000.0 / since_ms(start))
}

fn idle(agents: &[Agent; 2]) -> Result<()> {
    let mut shown = Vec::new();
    for agent in agents {
        let mut open = Vec::new();
        for _ in 0..IDLE {
            let mut client = Client::connect(&agent.socket)?;
            client.list()?;
            open.push(client);
        }
        let mut client = Client::connect(&agent.socket)?;
        let times = times::run(BATCH, || client.list().map(|_| ()))?;
        shown.push((times, agent.resident_mib()?));
    }
    let [(ours, mib), (other, other_mib)] = shown.as_slice() else {
        return Err(Failure::new("two agents are measured"));
    };
    say(&format!(
        "{IDLE} idle connections: a list takes {:.3} ms (p99 {:.3}), {mib:.1} MiB; the other agent {:.3} ms (p99 {:.3}), {other_mib:.1} MiB",
        ours.p50(),
        ours.p99(),
        other.p50(),
        other.p99(),
    ));
    figure(
        "list beside 1,000 idle, p99",
        ours.p99(),
        "ms",
        Bound::AtMost(5.0),
    );
    figure("memory with 1,000 idle", *mib, "MiB", Bound::AtMost(32.0));
    Ok(())
}

/// As `ssh-keygen -t` and as the wire have them.
const KEYS: [(&str, &str); 2] = [("ed25519", ED25519), ("ecdsa", "ecdsa-sha2-nistp256")];
const ED25519: &str = "ssh-ed25519";

/// Turns that each agent gets, and requests in one.
const ROUNDS: usize = 20;
const BATCH: usize = 200;

const CONNECTIONS: usize = 32;
const EACH: usize = 100;
const CROWDS: usize = 5;

const IDLE: usize = 1_000;

/// What OpenSSH 10.5's agent does on one socket of a machine with two cores.
const OPENSSH_10_5_PER_S: f64 = 3_710.0;
const OPENSSH_10_5_P99_MS: f64 = 0.35;
