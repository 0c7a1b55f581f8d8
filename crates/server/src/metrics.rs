//! What the server tells of itself in numbers, for Prometheus.
//!
//! **Invariant**: no number names a user, a key or a source: labels are methods, statuses
//! and kinds, a few hundred series at most.

use std::sync::atomic::AtomicU64;

use keystead_channel::session::Status;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Every number. Parts are public: who counts, counts.
pub struct Metrics {
    registry: Registry,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections and logins that wait for the other side's next step.
    pub half_open: Gauge,
    /// Sessions that are open on a connection of this process.
    pub sessions: Gauge,
    /// Connections that were turned away, by reason.
    pub turned_away: Family<Reason, Counter>,
    /// Requests inside sessions that were answered, by method and status.
    pub requests: Family<Request, Counter>,
    /// Set-ups that ended: registrations, logins, resumptions, by status.
    pub set_ups: Family<SetUp, Counter>,
    /// Entries in the log.
    pub log_size: Gauge,
    /// When the server's own certificate ends, unix time; 0: unknown.
    pub certificate_ends: Gauge,
    /// Rows that failed to open.
    pub corrupt_rows: Counter,
}

/// Why a connection was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// In a word or two.
    pub reason: &'static str,
}

/// A request's label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// Its number.
    pub method: u16,
    /// The answer's.
    pub status: u16,
}

/// A set-up's label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SetUp {
    /// Registration, login or resumption.
    pub kind: &'static str,
    /// Of the error frame; 0 where it succeeded.
    pub status: u16,
}

impl Metrics {
    /// All at nought, but what the ledger counts of its transactions that failed.
    #[must_use]
    pub fn new(commits_failed: Counter) -> Self {
        let mut registry = Registry::with_prefix("keystead_server");
        let metrics = Self {
            connections: gauge(&mut registry, "connections", "Connections that are open"),
            half_open: gauge(
                &mut registry,
                "half_open",
                "Handshakes that wait for a client",
            ),
            sessions: gauge(&mut registry, "sessions", "Sessions that are open here"),
            turned_away: Family::default(),
            requests: Family::default(),
            set_ups: Family::default(),
            log_size: gauge(&mut registry, "log_size", "Entries in the log"),
            certificate_ends: gauge(
                &mut registry,
                "certificate_ends_seconds",
                "When the server's own certificate ends, unix time",
            ),
            corrupt_rows: counter(&mut registry, "corrupt_rows", "Rows that failed to open"),
            registry: Registry::default(),
        };
        let away = "Connections that were turned away";
        registry.register("turned_away", away, metrics.turned_away.clone());
        let requests = "Requests that were answered";
        registry.register("requests", requests, metrics.requests.clone());
        let set_ups = "Registrations, logins and resumptions that ended";
        registry.register("set_ups", set_ups, metrics.set_ups.clone());
        let failed = "Transactions that failed: what was asked in them was refused";
        registry.register("commits_failed", failed, commits_failed);
        Self {
            registry,
            ..metrics
        }
    }

    /// A connection was turned away.
    pub fn turn_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&Reason { reason }).inc();
    }

    /// A request was answered.
    pub fn answered(&self, method: u16, status: Status) {
        let status = status.number();
        let labels = Request { method, status };
        self.requests.get_or_create(&labels).inc();
    }

    /// A set-up ended.
    pub fn set_up(&self, kind: &'static str, status: Status) {
        let status = status.number();
        self.set_ups.get_or_create(&SetUp { kind, status }).inc();
    }

    /// All of them as text (OpenMetrics 1.0).
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // A String takes everything.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::<u64, AtomicU64>::default();
    registry.register(name, help, counter.clone());
    counter
}

/// What [`Metrics::text`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let failed = Counter::default();
        let metrics = Metrics::new(failed.clone());
        failed.inc();
        metrics.connections.inc();
        metrics.answered(12, Status::Done);
        metrics.answered(12, Status::Done);
        metrics.answered(7, Status::NotFound);
        metrics.set_up("login", Status::Refused);
        metrics.turn_away("too many connections");
        let text = metrics.text();
        for line in [
            "keystead_server_connections 1",
            "keystead_server_commits_failed_total 1",
            "keystead_server_requests_total{method=\"12\",status=\"0\"} 2",
            "keystead_server_requests_total{method=\"7\",status=\"10\"} 1",
            "keystead_server_set_ups_total{kind=\"login\",status=\"4\"} 1",
            "keystead_server_turned_away_total{reason=\"too many connections\"} 1",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
