//! Fills a relay with mailboxes, one item in each, over HTTP, and prints how
//! much memory the relay takes.
//!
//! `cargo run --release -p keystead-relay --example fill -- PROGRAM [MAILBOXES [ITEM_BYTES]]`
//! starts PROGRAM (a `keystead-relay`) and stops it. The figure to reach is 64 MiB
//! with 10,000 mailboxes.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_relay::machine::ReadToken;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("the relay's path is missing")?;
    let mailboxes: u32 = arguments
        .next()
        .map_or(Ok(MAILBOXES), |text| text.parse())?;
    let item_bytes: usize = arguments
        .next()
        .map_or(Ok(ITEM_BYTES), |text| text.parse())?;
    let state = std::env::temp_dir().join(format!("keystead-fill-{}", std::process::id()));
    let mut child = Command::new(program)
        .args(["run", "--listen", "127.0.0.1:0", "--state"])
        .arg(&state)
        .stdout(Stdio::piped())
        .spawn()?;
    let filled = fill(&mut child, mailboxes, item_bytes);
    child.kill()?;
    child.wait()?;
    std::fs::remove_dir_all(&state)?;
    filled
}

fn fill(child: &mut Child, mailboxes: u32, item_bytes: usize) -> Result<(), Box<dyn Error>> {
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line
        .trim_end()
        .strip_prefix("ready http://")
        .ok_or("the relay is not ready")?;
    let empty_kib = resident_kib(child.id())?;
    let mut stream = TcpStream::connect(address)?;
    let item = vec![7; item_bytes];
    for number in 0..mailboxes {
        post(&mut stream, number, &item)?;
    }
    let full_kib = resident_kib(child.id())?;
    writeln!(
        io::stdout(),
        "{mailboxes} mailboxes with {item_bytes} bytes each: {:.1} MiB resident, {:.1} MiB empty",
        f64::from(full_kib) / 1_024.0,
        f64::from(empty_kib) / 1_024.0,
    )?;
    Ok(())
}

/// Puts one item in the mailbox of this number.
fn post(stream: &mut TcpStream, number: u32, item: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut token = [0; 32];
    for (to, from) in token.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    let write = ReadToken::new(token).write_token();
    let hex = |byte: &u8| format!("{byte:02x}");
    let id: String = write.mailbox().as_bytes().iter().map(hex).collect();
    let bearer = URL_SAFE_NO_PAD.encode(write.as_bytes());
    let head = format!(
        "POST /v1/m/{id} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Length: {}\r\n\r\n",
        item.len()
    );
    stream.write_all(&[head.as_bytes(), item].concat())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.extend_from_slice(&byte);
    }
    if !answer.starts_with(b"HTTP/1.1 204 ") {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    Ok(())
}

/// `VmRSS` of a process (proc_pid_status(5)).
fn resident_kib(pid: u32) -> Result<u32, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// The figure to reach is stated for this many.
const MAILBOXES: u32 = 10_000;

/// A padded frame of a request: most are of this size.
const ITEM_BYTES: usize = 1_024;
