//! The header that a proxy puts before a connection: PROXY protocol, versions 1 and 2
//! (haproxy.org, `proxy-protocol.txt`).
//!
//! **Invariant**: only the connections of named proxies are read so, and those must begin
//! with a header; it is whole and in the one form that the text allows, or the connection
//! ends. What it says decides limits, never who somebody is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Whom a proxy speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A client at this address.
    Client(IpAddr),
    /// Itself: a health check, or it does not know.
    Itself,
}

/// No header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header")]
pub struct NoHeader;

/// Reads one header from a stream and not a byte more.
///
/// # Errors
/// [`NoHeader`], also when the stream ends.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Told, NoHeader> {
    let mut header = Vec::with_capacity(HEAD_BYTES);
    loop {
        // A byte at a time until its length is known: what follows is TLS's.
        let lacks = match missing(&header)? {
            0 => return parse(&header),
            lacks => lacks,
        };
        let mut more = vec![0; lacks];
        stream.read_exact(&mut more).await.map_err(|_| NoHeader)?;
        header.extend_from_slice(&more);
    }
}

/// How many bytes are certain to be missing behind `begun`; 0: it is whole.
fn missing(begun: &[u8]) -> Result<usize, NoHeader> {
    let is_second = SIGNATURE.starts_with(begun) || begun.starts_with(SIGNATURE);
    if is_second && !begun.is_empty() {
        let Some(length) = begun.get(14..HEAD_BYTES) else {
            return Ok(HEAD_BYTES - begun.len());
        };
        let length = length
            .iter()
            .fold(0, |sum, it| sum * 256 + usize::from(*it));
        if length > TAIL_BYTES_MAX {
            return Err(NoHeader);
        }
        return Ok((HEAD_BYTES + length).saturating_sub(begun.len()));
    }
    if begun.ends_with(b"\r\n") {
        return Ok(0);
    }
    let may_be_first = FIRST.starts_with(begun) || begun.starts_with(FIRST);
    if !may_be_first || begun.len() >= LINE_BYTES_MAX {
        return Err(NoHeader);
    }
    Ok(1)
}

/// Reads a whole header.
///
/// # Errors
/// [`NoHeader`]: not in the one form, or bytes are left over.
pub fn parse(header: &[u8]) -> Result<Told, NoHeader> {
    match header.strip_prefix(SIGNATURE) {
        Some(rest) => second(rest),
        None => first(header),
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n` (section 2.1).
fn first(line: &[u8]) -> Result<Told, NoHeader> {
    if line.len() > LINE_BYTES_MAX {
        return Err(NoHeader);
    }
    let line = line.strip_suffix(b"\r\n").ok_or(NoHeader)?;
    let line = std::str::from_utf8(line).map_err(|_| NoHeader)?;
    let rest = line.strip_prefix("PROXY ").ok_or(NoHeader)?;
    // What follows UNKNOWN is to be ignored.
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        let is_clean = !rest.contains(['\r', '\n']);
        return is_clean.then_some(Told::Itself).ok_or(NoHeader);
    }
    let parts: Vec<&str> = rest.split(' ').collect();
    let [family, source, destination, from, to] = parts.as_slice() else {
        return Err(NoHeader);
    };
    port(from)?;
    port(to)?;
    let address = |text: &str| -> Result<IpAddr, NoHeader> {
        match *family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => return Err(NoHeader),
        }
        .map_err(|_| NoHeader)
    };
    address(destination)?;
    address(source).map(Told::Client)
}

/// Decimal, without leading zeros.
fn port(text: &str) -> Result<u16, NoHeader> {
    let is_plain = text == "0" || text.starts_with(|it: char| ('1'..='9').contains(&it));
    if !is_plain {
        return Err(NoHeader);
    }
    text.parse().map_err(|_| NoHeader)
}

/// Version and command, family, length, addresses, what else (section 2.2).
fn second(rest: &[u8]) -> Result<Told, NoHeader> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or(NoHeader)?;
    let [command, family, length @ ..] = head;
    if usize::from(u16::from_be_bytes(*length)) != tail.len() || tail.len() > TAIL_BYTES_MAX {
        return Err(NoHeader);
    }
    match *command {
        LOCAL => return Ok(Told::Itself),
        PROXY => {}
        _ => return Err(NoHeader),
    }
    match *family {
        // Unspecified, or Unix: nothing that limits could count by.
        0x00 => Ok(Told::Itself),
        0x11 => {
            let (source, _) = tail.split_first_chunk::<4>().ok_or(NoHeader)?;
            let is_whole = tail.len() >= 12;
            let client = Told::Client(IpAddr::V4(Ipv4Addr::from(*source)));
            is_whole.then_some(client).ok_or(NoHeader)
        }
        0x21 => {
            let (source, _) = tail.split_first_chunk::<16>().ok_or(NoHeader)?;
            let is_whole = tail.len() >= 36;
            let client = Told::Client(IpAddr::V6(Ipv6Addr::from(*source)));
            is_whole.then_some(client).ok_or(NoHeader)
        }
        _ => Err(NoHeader),
    }
}

/// Section 2.2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Section 2.1.
const FIRST: &[u8] = b"PROXY ";

/// Signature, version and command, family, length.
const HEAD_BYTES: usize = 16;

/// Section 2.1: the longest line, with its end.
const LINE_BYTES_MAX: usize = 107;

/// 1,024 bytes: addresses need 36; the rest is what proxies tell of TLS, and not read.
const TAIL_BYTES_MAX: usize = 1_024;

/// Version 2, the proxy itself.
const LOCAL: u8 = 0x20;

/// Version 2, for somebody.
const PROXY: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    fn second_header(command: u8, family: u8, tail: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend_from_slice(&[command, family]);
        header.extend_from_slice(&u16::try_from(tail.len()).unwrap().to_be_bytes());
        header.extend_from_slice(tail);
        header
    }

    fn client(text: &str) -> Result<Told, NoHeader> {
        Ok(Told::Client(text.parse().unwrap()))
    }

    const V4_TAIL: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 1, 0xbb];

    #[track_caller]
    fn check(header: &[u8], expected: Result<Told, NoHeader>) {
        assert_eq!(parse(header), expected, "{}", header.escape_ascii());
    }

    #[test]
    fn the_first_version() {
        let told = client("192.0.2.1");
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", told);
        let told = client("2001:db8::1");
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", told);
        check(b"PROXY UNKNOWN\r\n", Ok(Told::Itself));
        check(b"PROXY UNKNOWN anything here\r\n", Ok(Told::Itself));
        for wrong in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 \r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 056324 443\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
            "PROXY TCP4 2001:db8::1 192.0.2.2 56324 443\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 56324 443\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 56324 443\r\n",
            "PROXY UNKNOWNX\r\n",
            "proxy TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
            "GET / HTTP/1.1\r\n",
            "\r\n",
        ] {
            check(wrong.as_bytes(), Err(NoHeader));
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        check(long.as_bytes(), Err(NoHeader));
    }

    #[test]
    fn the_second_version() {
        check(&second_header(PROXY, 0x11, &V4_TAIL), client("192.0.2.1"));
        let mut tail = [0; 36];
        tail[15] = 1;
        check(&second_header(PROXY, 0x21, &tail), client("::1"));
        let mut with_more = V4_TAIL.to_vec();
        with_more.extend_from_slice(&[3, 0, 4, 1, 2, 3, 4]);
        check(&second_header(PROXY, 0x11, &with_more), client("192.0.2.1"));
        check(&second_header(LOCAL, 0, &[]), Ok(Told::Itself));
        check(&second_header(PROXY, 0, &[9]), Ok(Told::Itself));
        for (command, family, tail) in [
            (0x22, 0x11, &V4_TAIL[..]),
            (0x11, 0x11, &V4_TAIL),
            (PROXY, 0x12, &V4_TAIL),
            (PROXY, 0x31, &V4_TAIL),
            (PROXY, 0x11, &V4_TAIL[..11]),
            (PROXY, 0x21, &[0; 35]),
        ] {
            check(&second_header(command, family, tail), Err(NoHeader));
        }
        check(&second_header(LOCAL, 0, &[0; 1_025]), Err(NoHeader));
    }

    #[test]
    fn every_proper_prefix_is_no_header() {
        for whole in [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(),
            second_header(PROXY, 0x11, &V4_TAIL),
        ] {
            for len in 0..whole.len() {
                check(&whole[..len], Err(NoHeader));
            }
            let mut longer = whole.clone();
            longer.push(b'\n');
            check(&longer, Err(NoHeader));
        }
    }

    #[tokio::test]
    async fn not_a_byte_of_what_follows_is_read() {
        for header in [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(),
            second_header(PROXY, 0x11, &V4_TAIL),
            second_header(LOCAL, 0, &[]),
        ] {
            let mut stream = header.clone();
            stream.extend_from_slice(b"\x16\x03\x01 hello");
            let mut stream = stream.as_slice();
            assert_eq!(read(&mut stream).await, parse(&header));
            assert_eq!(stream, b"\x16\x03\x01 hello");
        }
        for other in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"GET / HTTP/1.1\r\n",
            b"PROXY",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            &[b'P'; 200],
        ] {
            let mut stream = other;
            assert_eq!(read(&mut stream).await, Err(NoHeader));
        }
    }
}
