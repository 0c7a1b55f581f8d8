//! S-expressions (Rivest, draft-rivest-sexp-00): how GnuPG writes keys and signatures.
//!
//! **Invariant:** what is read is at most [`BYTES_MAX`] long and [`DEPTH_MAX`] deep, and is read
//! whole. The canonical form is written; of the advanced form that is read which `gpg` and
//! `gpg-connect-agent` send: tokens, quoted and hexadecimal strings, blanks.

use crate::ParseError;

/// A list or a string of bytes. Holds nothing secret: what is secret is never put into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sexp {
    /// Bytes.
    Atom(Vec<u8>),
    /// Expressions behind each other.
    List(Vec<Self>),
}

impl Sexp {
    /// An atom.
    #[must_use]
    pub fn atom(bytes: impl AsRef<[u8]>) -> Self {
        Self::Atom(bytes.as_ref().to_vec())
    }

    /// `(name value)`.
    #[must_use]
    pub fn pair(name: &str, value: impl AsRef<[u8]>) -> Self {
        Self::List(vec![Self::atom(name), Self::atom(value)])
    }

    /// `(name …)`.
    #[must_use]
    pub fn named(name: &str, rest: impl IntoIterator<Item = Self>) -> Self {
        let first = std::iter::once(Self::atom(name));
        Self::List(first.chain(rest).collect())
    }

    /// Reads one expression in either form. A single zero byte behind it is passed over: C
    /// programs send one.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(bytes, Form::Any)
    }

    /// Reads one expression in canonical form; [`Sexp::encode`] gives the same bytes.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::read(bytes, Form::Canonical)
    }

    fn read(bytes: &[u8], form: Form) -> Result<Self, ParseError> {
        if bytes.len() > BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader { rest: bytes, form };
        let read = reader.expression(0)?;
        reader.skip_blanks();
        match (form, reader.rest) {
            (_, []) | (Form::Any, [0]) => Ok(read),
            _ => Err(ParseError::LeftOver),
        }
    }

    /// The canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Atom(atom) => {
                bytes.extend_from_slice(atom.len().to_string().as_bytes());
                bytes.push(b':');
                bytes.extend_from_slice(atom);
            }
            Self::List(list) => {
                bytes.push(b'(');
                list.iter().for_each(|it| it.write(bytes));
                bytes.push(b')');
            }
        }
    }

    /// Its bytes, if it is an atom.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// What stands in it, if it is a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Atom(_) => &[],
            Self::List(items) => items,
        }
    }

    /// The atom that begins a list.
    #[must_use]
    pub fn name(&self) -> Option<&[u8]> {
        self.items().first().and_then(Self::bytes)
    }

    /// The list in this one that `name` begins; `None` too if there are two, since readers
    /// differ in which they take.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Self> {
        let mut found = self.items().iter();
        let mut found = found
            .by_ref()
            .filter(|it| it.name() == Some(name.as_bytes()));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// `value` of the list `(name value)` in this one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        match self.find(name)?.items() {
            [_, Self::Atom(value)] => Some(value),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Canonical,
    Any,
}

struct Reader<'a> {
    rest: &'a [u8],
    form: Form,
}

impl<'a> Reader<'a> {
    /// Recursion ends at [`DEPTH_MAX`].
    fn expression(&mut self, depth: usize) -> Result<Sexp, ParseError> {
        self.skip_blanks();
        match self.rest {
            [] => Err(ParseError::Truncated),
            [b'(', rest @ ..] => {
                self.rest = rest;
                self.list(depth)
            }
            [b'0'..=b'9', ..] => self.counted().map(Sexp::Atom),
            [b'"', rest @ ..] if self.form == Form::Any => {
                self.rest = rest;
                self.quoted().map(Sexp::Atom)
            }
            [b'#', rest @ ..] if self.form == Form::Any => {
                self.rest = rest;
                self.hexadecimal().map(Sexp::Atom)
            }
            _ if self.form == Form::Any => self.token().map(Sexp::Atom),
            _ => Err(ParseError::Value),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Sexp, ParseError> {
        if depth >= DEPTH_MAX {
            return Err(ParseError::TooLong);
        }
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if let [b')', rest @ ..] = self.rest {
                self.rest = rest;
                return Ok(Sexp::List(items));
            }
            items.push(self.expression(depth + 1)?);
        }
    }

    fn counted(&mut self) -> Result<Vec<u8>, ParseError> {
        let (bytes, rest) = counted(self.rest)?;
        self.rest = rest;
        Ok(bytes.to_vec())
    }

    /// A quoted string without escapes but for `\"` and `\\`.
    fn quoted(&mut self) -> Result<Vec<u8>, ParseError> {
        let mut bytes = Vec::new();
        loop {
            let (byte, rest) = self.rest.split_first().ok_or(ParseError::Truncated)?;
            self.rest = rest;
            match (byte, rest) {
                (b'"', _) => return Ok(bytes),
                (b'\\', [escaped @ (b'"' | b'\\'), rest @ ..]) => {
                    bytes.push(*escaped);
                    self.rest = rest;
                }
                (b'\\', []) => return Err(ParseError::Truncated),
                (b'\\', _) => return Err(ParseError::Unknown),
                (byte, _) => bytes.push(*byte),
            }
        }
    }

    fn hexadecimal(&mut self) -> Result<Vec<u8>, ParseError> {
        let end = self.rest.iter().position(|byte| *byte == b'#');
        let (digits, rest) = self.split(end.ok_or(ParseError::Truncated)?)?;
        self.rest = rest.get(1..).unwrap_or_default();
        let digits: Vec<u8> = digits
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| nibble(*byte))
            .collect::<Result<_, _>>()?;
        let (pairs, odd) = digits.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(ParseError::Value);
        }
        Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
    }

    /// A word without quotes (draft-rivest-sexp-00, section 4.4).
    fn token(&mut self) -> Result<Vec<u8>, ParseError> {
        let len = self
            .rest
            .iter()
            .take_while(|it| is_token_byte(**it))
            .count();
        if len == 0 {
            return Err(ParseError::Value);
        }
        let (bytes, rest) = self.split(len)?;
        self.rest = rest;
        Ok(bytes.to_vec())
    }

    fn split(&self, len: usize) -> Result<(&'a [u8], &'a [u8]), ParseError> {
        self.rest.split_at_checked(len).ok_or(ParseError::Truncated)
    }

    fn skip_blanks(&mut self) {
        if self.form == Form::Any {
            self.rest = self.rest.trim_ascii_start();
        }
    }
}

/// `length:bytes`, the length without a needless zero: the bytes, and what stands behind them.
pub(crate) fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    let digits = bytes.iter().take_while(|it| it.is_ascii_digit()).count();
    let (number, rest) = bytes
        .split_at_checked(digits)
        .ok_or(ParseError::Truncated)?;
    let number = match number {
        [b'0', _, ..] => return Err(ParseError::Value),
        number if number.len() > LENGTH_DIGITS_MAX => return Err(ParseError::TooLong),
        number => std::str::from_utf8(number).map_err(|_| ParseError::Value)?,
    };
    let len: usize = number.parse().map_err(|_| ParseError::Value)?;
    match rest {
        [] => Err(ParseError::Truncated),
        [b':', rest @ ..] => rest.split_at_checked(len).ok_or(ParseError::Truncated),
        _ => Err(ParseError::Value),
    }
}

fn nibble(digit: u8) -> Result<u8, ParseError> {
    let value = char::from(digit).to_digit(16).ok_or(ParseError::Value)?;
    u8::try_from(value).map_err(|_| ParseError::Value)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'/' | b'_' | b':' | b'*' | b'+' | b'=')
}

/// An RSA key of 16,384 bits with all its numbers has some 10 KiB.
pub const BYTES_MAX: usize = 16 * 1024;
/// Real ones nest 4 deep.
pub const DEPTH_MAX: usize = 16;
/// Enough for [`BYTES_MAX`].
const LENGTH_DIGITS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// As `gpg` 2.2.40 sends it for a message to a Curve25519 key.
    const ENC_VAL: &[u8] = b"(7:enc-val(4:ecdh(1:s3:\x30ab)(1:e2:\x40x)))";

    fn enc_val() -> Sexp {
        let inner = [Sexp::pair("s", b"\x30ab"), Sexp::pair("e", b"\x40x")];
        Sexp::named("enc-val", [Sexp::named("ecdh", inner)])
    }

    #[test]
    fn canonical_form() {
        assert_eq!(Sexp::parse_canonical(ENC_VAL), Ok(enc_val()));
        assert_eq!(Sexp::parse(ENC_VAL), Ok(enc_val()));
        assert_eq!(enc_val().encode(), ENC_VAL);
        let ecdh = enc_val();
        let ecdh = ecdh.find("ecdh").unwrap();
        assert_eq!(ecdh.value("e"), Some(&b"\x40x"[..]));
        assert_eq!(ecdh.value("x"), None);
    }

    #[test]
    fn advanced_form() {
        let check = |text: &str, expected| assert_eq!(Sexp::parse(text.as_bytes()), expected);
        let genkey = [Sexp::named(
            "ecc",
            [
                Sexp::pair("curve", "NIST P-256"),
                Sexp::pair("flags", [0xab, 1]),
            ],
        )];
        let expected = Ok(Sexp::named("genkey", genkey));
        check(
            "(genkey (ecc\n (curve \"NIST P-256\")(flags #AB 01#)) )\n",
            expected.clone(),
        );
        check(
            "(6:genkey(ecc(curve 10:NIST P-256)(flags #ab01#)))\0",
            expected,
        );
        check("\"a\\\"b\"", Ok(Sexp::atom("a\"b")));
        check("\"a\\x\"", Err(ParseError::Unknown));
        check("#abc#", Err(ParseError::Value));
        check("(a b", Err(ParseError::Truncated));
        check("(a)b", Err(ParseError::LeftOver));
        check("[a]b", Err(ParseError::Value));
    }

    #[test]
    fn what_is_not_canonical() {
        let check = |text: &[u8], expected| {
            assert_eq!(Sexp::parse_canonical(text), Err(expected), "{text:?}");
        };
        check(b"", ParseError::Truncated);
        check(b" (1:a)", ParseError::Value);
        check(b"(01:a)", ParseError::Value);
        check(b"(1:a )", ParseError::Value);
        check(b"(1:a)\0", ParseError::LeftOver);
        check(b"(99999:a)", ParseError::Truncated);
        check(b"(999999:a)", ParseError::TooLong);
        check(b"(a)", ParseError::Value);
        check(&b"(".repeat(17), ParseError::TooLong);
        check(&b"(".repeat(16), ParseError::Truncated);
        check(&[b'('; BYTES_MAX + 1], ParseError::TooLong);
    }

    #[test]
    fn every_proper_prefix_is_truncated() {
        for len in 0..ENC_VAL.len() {
            let read = Sexp::parse_canonical(&ENC_VAL[..len]);
            assert_eq!(read, Err(ParseError::Truncated), "{len}");
        }
    }

    #[test]
    fn what_stands_twice_is_not_found() {
        let twice = Sexp::parse(b"(a (e 1:x) (e 1:y))").unwrap();
        assert_eq!(twice.find("e"), None);
    }
}
