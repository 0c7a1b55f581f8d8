//! Browsers: which pages get a WebSocket, and what it carries.

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::{ClientBuilder, Message};

use crate::server::{Folder, Server};

const PAGE: &str = "https://keys.example.org";

fn start() -> Server {
    let folder = Folder::new();
    folder.configure_tables(&format!("[websocket]\norigins = [\"{PAGE}\"]"));
    folder.run()
}

/// The status line of a handshake with these headers more.
async fn handshake(server: &Server, path: &str, more: &[(&str, &str)]) -> String {
    let mut stream = server.connect(&["http/1.1"]).await.unwrap();
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: keys.example.org\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in more {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1_024];
    let read = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    let line = answer.lines().next().unwrap_or_default();
    line.trim_start_matches("HTTP/1.1 ").to_owned()
}

#[tokio::test]
async fn only_listed_pages_get_one() {
    let server = start();
    let protocol = ("Sec-WebSocket-Protocol", "keystead.1");
    let check = async |path, more: &[(&str, &str)], expected: &str| {
        assert_eq!(handshake(&server, path, more).await, expected, "{more:?}");
    };
    let switched = "101 Switching Protocols";
    check("/session", &[("Origin", PAGE), protocol], switched).await;
    for origin in ["https://evil.example", "null", "http://keys.example.org"] {
        check("/session", &[("Origin", origin), protocol], "403 Forbidden").await;
    }
    check("/session", &[protocol], "403 Forbidden").await;
    check("/session", &[("Origin", PAGE)], "400 Bad Request").await;
    check("/", &[("Origin", PAGE), protocol], "404 Not Found").await;
}

#[tokio::test]
async fn without_a_list_no_page_does() {
    let server = Server::start();
    let more = [("Origin", PAGE), ("Sec-WebSocket-Protocol", "keystead.1")];
    assert_eq!(handshake(&server, "/session", &more).await, "403 Forbidden");
}

#[tokio::test]
async fn a_message_is_a_frame_without_its_length() {
    let server = start();
    let stream = server.connect(&["http/1.1"]).await.unwrap();
    let (mut socket, response) = ClientBuilder::new()
        .uri("wss://keys.example.org/session")
        .unwrap()
        .add_header("origin".parse().unwrap(), PAGE.parse().unwrap())
        .unwrap()
        .add_header(
            "sec-websocket-protocol".parse().unwrap(),
            "keystead.1".parse().unwrap(),
        )
        .unwrap()
        .connect_on(stream)
        .await
        .unwrap();
    let protocol = response.headers().get("sec-websocket-protocol").unwrap();
    assert_eq!(protocol, "keystead.1");
    let mut hello = vec![1, 0, 0, 0, 0, 0xa3, 0, 1, 1, 0x81, 1, 2, 0x50];
    hello.extend_from_slice(&[7; 16]);
    socket.send(Message::binary(hello)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert!(answer.is_binary());
    assert_eq!(answer.as_payload()[..5], [1, 0, 0, 0, 0]);
    // Longer than anything before login: the connection ends.
    socket.send(Message::binary(vec![0; 4_097])).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(!message.is_binary());
    }
}
