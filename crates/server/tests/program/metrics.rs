//! Health, readiness, numbers.

use crate::person::Person;
use crate::server::{Server, get};

#[test]
fn it_tells_how_it_is() {
    let server = Server::start();
    let ok = |path| {
        let (status, body) = get(server.metrics, path);
        assert_eq!(status, "HTTP/1.1 200 OK", "{path}");
        body
    };
    assert_eq!(ok("/health"), "ok\n");
    assert_eq!(ok("/ready"), "ready\n");
    let text = ok("/metrics");
    // OpenMetrics 1.0: each line is a comment or `name{labels} value`, and the end is said.
    let (end, lines) = text
        .trim_end()
        .split_once("\n# EOF")
        .map_or_else(|| panic!("no end: {text}"), |(lines, rest)| (rest, lines));
    assert!(end.is_empty());
    for line in lines.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("keystead_server_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(server.metric("certificate_ends_seconds").unwrap() > 1.7e9);
    let (status, _) = get(server.metrics, "/session");
    assert_eq!(status, "HTTP/1.1 404 Not Found");
}

/// Each scrape tells how long the log is then.
#[tokio::test]
async fn the_log_is_measured_at_each_scrape() {
    let server = Server::start();
    let entries = || {
        let exported = server.folder.must(&["audit", "export"]);
        exported
            .lines()
            .filter(|it| it.starts_with("leaf "))
            .count()
    };
    let mut last = server.metric("log_size").unwrap();
    for name in ["alex", "kim"] {
        Person::register(&server, name).await;
        let size = server.metric("log_size").unwrap();
        assert!(size > last, "{size} after {last}");
        last = size;
        // The export is an act of the operator, and logged before it is made.
        let exported = f64::from(u32::try_from(entries()).unwrap());
        assert!(
            exported >= size && server.metric("log_size").unwrap() >= exported,
            "{exported}"
        );
    }
}

#[tokio::test]
async fn connections_are_counted() {
    let server = Server::start();
    assert_eq!(server.metric("connections"), Some(0.0));
    let stream = server.connect(&["keystead/1"]).await.unwrap();
    server.wait_for_metric("connections", |it| it == 1.0);
    drop(stream);
    server.wait_for_metric("connections", |it| it == 0.0);
}
