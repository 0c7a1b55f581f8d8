//! The agent's socket against clients that do not keep to the protocol: each
//! complete frame is answered or the connection is closed within 100 ms, and
//! whoever asks properly is served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use keystead_tests::{About, Failure, Play, Result};

/// What came back.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The first byte of the answer's body.
    Message(u8),
    Closed,
    Nothing,
}

#[test]
fn every_frame_is_answered_or_ends_the_connection() -> Result<()> {
    let mut play = Play::new()?;
    play.script("with_agent")?;
    let socket = play.variable("SOCKET")?.to_owned();
    let keeper_of_order = UnixStream::connect(&socket).about("agent")?;
    let long = [&[0, 4, 0, 0, 11][..], &[0; 0x3ffff]].concat();
    for (name, sent, expected) in [
        ("a list", &[0, 0, 0, 1, 11][..], &[Answer::Message(12)][..]),
        (
            "nothing",
            &[0, 0, 0, 0],
            &[Answer::Message(5), Answer::Closed],
        ),
        (
            "an unknown message",
            &[0, 0, 0, 1, 200],
            &[Answer::Message(5)],
        ),
        (
            "a list with bytes left over",
            &[0, 0, 0, 2, 11, 0],
            &[Answer::Message(5), Answer::Message(12)],
        ),
        (
            "a signature of nothing",
            &[0, 0, 0, 1, 13],
            &[Answer::Message(5)],
        ),
        (
            "a key that is cut",
            &[0, 0, 0, 5, 13, 0, 0, 0, 9],
            &[Answer::Message(5)],
        ),
        (
            "an unknown extension",
            &[0, 0, 0, 6, 27, 0, 0, 0, 1, 65],
            &[Answer::Message(5), Answer::Message(28)],
        ),
        ("4 GiB", &[255, 255, 255, 255], &[Answer::Closed]),
        (
            "4 GiB with a body",
            &[255, 255, 255, 255, 13, 0, 0],
            &[Answer::Closed],
        ),
        ("256 KiB and a byte", &[0, 4, 0, 1], &[Answer::Closed]),
        ("256 KiB", &long, &[Answer::Message(5), Answer::Message(12)]),
        // Not complete: it may still come.
        ("half a length", &[0, 0], &[Answer::Nothing]),
        ("half a body", &[0, 0, 0, 9, 11], &[Answer::Nothing]),
    ] {
        let answer = ask(&socket, sent)?;
        if !expected.contains(&answer) {
            return Err(Failure::new(format!(
                "{name}: {answer:?}, not {expected:?}"
            )));
        }
        let other = one(&keeper_of_order, &[0, 0, 0, 1, 11])?;
        if other != Answer::Message(12) {
            return Err(Failure::new(format!("after {name} others get {other:?}")));
        }
    }
    Ok(())
}

#[test]
fn many_half_frames_keep_nobody_out() -> Result<()> {
    let mut play = Play::new()?;
    play.script("with_agent")?;
    let socket = play.variable("SOCKET")?.to_owned();
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let mut stream = UnixStream::connect(&socket).about("agent")?;
        stream.write_all(&[0, 0, 0, 9, 13]).about("agent")?;
        half_open.push(stream);
    }
    match ask(&socket, &[0, 0, 0, 1, 11])? {
        Answer::Message(12) => Ok(()),
        other @ (Answer::Message(_) | Answer::Closed | Answer::Nothing) => {
            Err(Failure::new(format!("beside 200 half frames: {other:?}")))
        }
    }
}

fn ask(socket: &str, bytes: &[u8]) -> Result<Answer> {
    one(&UnixStream::connect(socket).about("agent")?, bytes)
}

fn one(mut stream: &UnixStream, bytes: &[u8]) -> Result<Answer> {
    stream
        .set_read_timeout(Some(ANSWERED_WITHIN))
        .about("agent")?;
    // A connection that is closed on the length alone may not take the rest.
    let _ = stream.write_all(bytes);
    let mut head = [0; 5];
    match stream.read_exact(&mut head) {
        Ok(()) => {
            let [a, b, c, d, kind] = head;
            let body = u32::from_be_bytes([a, b, c, d]).saturating_sub(1);
            std::io::copy(&mut stream.take(body.into()), &mut std::io::sink()).about("agent")?;
            Ok(Answer::Message(kind))
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(Answer::Nothing)
        }
        Err(_) => Ok(Answer::Closed),
    }
}

/// 100 ms are promised; two busy cores may make the test itself late.
const ANSWERED_WITHIN: Duration = Duration::from_millis(400);
