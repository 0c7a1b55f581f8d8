//! Lines: put together from what arrives, read, and written.

mod buffer;
mod escape;
mod read;
mod write;

pub use buffer::{LineBuffer, LineTooLong};
pub use escape::{escape_plus, unescape, unescape_plus};
pub use read::{ClientLine, LINE_BYTES_MAX, ServerLine};
pub use write::{command, comment, data, err, err_with, inquire, ok, secret_data, status};

#[cfg(test)]
mod tests {
    use keystead_core::SecretBytes;

    use super::*;
    use crate::ParseError;
    use crate::assuan::ErrorCode;

    #[test]
    fn what_a_client_sends() {
        let check = |line: &[u8], expected| assert_eq!(ClientLine::parse(line), expected);
        let command = |name, arguments| Ok(ClientLine::Command { name, arguments });
        check(b"", Ok(ClientLine::Comment));
        check(b"# hello", Ok(ClientLine::Comment));
        check(b"D ", Ok(ClientLine::Data(b"")));
        check(b"D", Ok(ClientLine::Data(b"")));
        check(b"D  a%20", Ok(ClientLine::Data(b" a%20")));
        check(b"END", Ok(ClientLine::End));
        check(b"CAN", Ok(ClientLine::Cancel));
        check(b"BYE", command("BYE", b""));
        check(b"havekey 00  11 ", command("havekey", b"00  11"));
        check(
            b"OPTION ttyname=/dev/pts/1",
            command("OPTION", b"ttyname=/dev/pts/1"),
        );
        check(b"\xff x", Err(ParseError::Text));
        let longest = "a".repeat(1000);
        check(longest.as_bytes(), command(&longest, b""));
        check(&[b'a'; 1001], Err(ParseError::TooLong));
    }

    #[test]
    fn what_a_server_sends() {
        let check = |line: &[u8], expected| assert_eq!(ServerLine::parse(line), expected);
        check(
            b"OK Pleased to meet you",
            Ok(ServerLine::Done(b"Pleased to meet you")),
        );
        check(b"OK", Ok(ServerLine::Done(b"")));
        let (wire, text) = (67_109_139, &b"Unknown IPC command <GPG Agent>"[..]);
        check(
            b"ERR 67109139 Unknown IPC command <GPG Agent>",
            Ok(ServerLine::Failed { wire, text }),
        );
        for (line, text) in [
            ("ERR -1 Unknown system error", "Unknown system error"),
            ("ERR x", ""),
            ("ERR", ""),
        ] {
            let (wire, text) = (u32::MAX, text.as_bytes());
            check(line.as_bytes(), Ok(ServerLine::Failed { wire, text }));
        }
        let (keyword, text) = ("PROGRESS", &b"primegen . 0 0"[..]);
        check(
            b"S PROGRESS primegen . 0 0",
            Ok(ServerLine::Status { keyword, text }),
        );
        let (keyword, text) = ("CIPHERTEXT", &b""[..]);
        check(
            b"INQUIRE CIPHERTEXT",
            Ok(ServerLine::Inquire { keyword, text }),
        );
        check(b"D a%0A", Ok(ServerLine::Data(b"a%0A")));
        check(b"END", Ok(ServerLine::End));
        check(b"HELLO", Err(ParseError::Unknown));
    }

    #[test]
    fn lines_in_any_pieces() {
        let text = b"OPTION a=b\r\n\nBYE\n";
        for piece in 1..=text.len() {
            let mut buffer = LineBuffer::new();
            let mut lines = Vec::new();
            for mut part in text.chunks(piece) {
                while let Some(line) = buffer.next_line(&mut part) {
                    lines.push(line.map(<[u8]>::to_vec));
                }
                assert!(part.is_empty());
            }
            let expected = [&b"OPTION a=b"[..], b"", b"BYE"].map(|it| Ok(it.to_vec()));
            assert_eq!(lines, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_long_line_is_thrown_away_whole() {
        let check = |len: usize, end: &[u8], expected: Result<usize, LineTooLong>| {
            let mut text = vec![b'a'; len];
            text.extend_from_slice(end);
            text.extend_from_slice(b"NOP\n");
            let mut buffer = LineBuffer::new();
            let mut arrived = text.as_slice();
            let first = buffer.next_line(&mut arrived).unwrap();
            assert_eq!(first.map(<[u8]>::len), expected, "{len}");
            assert_eq!(buffer.next_line(&mut arrived), Some(Ok(&b"NOP"[..])));
        };
        check(1000, b"\n", Ok(1000));
        check(1000, b"\r\n", Ok(1000));
        check(1001, b"\n", Err(LineTooLong));
        check(1002, b"\n", Err(LineTooLong));
        check(70_000, b"\n", Err(LineTooLong));
    }

    #[test]
    fn data_comes_back_whatever_it_is() {
        let every: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for bytes in [&b""[..], b"a", b"%\r\n", &every] {
            let lines = data(bytes);
            assert_eq!(secret_data(bytes).expose(), lines);
            let mut back = Vec::new();
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap();
                let ClientLine::Data(part) = ClientLine::parse(line).unwrap() else {
                    panic!("not a data line: {line:?}");
                };
                back.extend_from_slice(unescape(part).ok().unwrap().expose());
            }
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn escapes() {
        let check = |escaped: &[u8], expected: Option<&[u8]>| {
            let plain = unescape_plus(escaped).ok();
            assert_eq!(plain.as_ref().map(SecretBytes::expose), expected);
        };
        check(b"a+b%2Bc%0a", Some(b"a b+c\n"));
        check(b"%", None);
        check(b"%2", None);
        check(b"%zz", None);
        let text = "Key \"A\" 100%\n+ü";
        let escaped = escape_plus(text);
        assert_eq!(escaped, "Key+%22A%22+100%25%0A%2Bü");
        check(escaped.as_bytes(), Some(text.as_bytes()));
    }

    #[test]
    fn what_is_written_is_one_line() {
        let check = |line: Vec<u8>, expected: &[u8]| assert_eq!(line, expected);
        check(ok(""), b"OK\n");
        check(ok("a\nBYE"), b"OK a BYE\n");
        check(
            err(ErrorCode::NO_SECKEY),
            b"ERR 67108881 No secret key <GPG Agent>\n",
        );
        check(status("KEYINFO", "AB D - -"), b"S KEYINFO AB D - -\n");
        check(inquire("CIPHERTEXT", ""), b"INQUIRE CIPHERTEXT\n");
        assert_eq!(comment(&"ü".repeat(600)).len(), LINE_BYTES_MAX + 1);
    }
}
