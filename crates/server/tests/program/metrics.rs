//! Health, readiness, numbers.

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

#[tokio::test]
async fn connections_are_counted() {
    let server = Server::start();
    assert_eq!(server.metric("connections"), Some(0.0));
    let stream = server.connect(&["keystead/1"]).await.unwrap();
    server.wait_for_metric("connections", |it| it == 1.0);
    drop(stream);
    server.wait_for_metric("connections", |it| it == 0.0);
}
