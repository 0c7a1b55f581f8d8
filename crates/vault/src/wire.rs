//! The types of RFC 4251 section 5 that keys are written with.
//!
//! **Invariant:** a read takes its bytes whole or not at all, and gives
//! slices of what it was given: nothing of a private key is copied here.

/// Reads from the front.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// Cut off, of a form that the type does not have, or bytes too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// `N` bytes without a length.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    /// `len` bytes without a length.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.string()?).map_err(|_| Malformed)
    }

    /// An `mpint` above 0: its magnitude, in the one encoding that it has.
    pub(crate) fn positive(&mut self) -> Result<&'a [u8], Malformed> {
        magnitude(self.string()?)
    }

    pub(crate) const fn finish(self) -> Result<(), Malformed> {
        match self.rest {
            [] => Ok(()),
            _ => Err(Malformed),
        }
    }
}

/// The magnitude of a number above 0 in two's complement, big-endian, which
/// has no byte before it that it does not need.
pub(crate) fn magnitude(number: &[u8]) -> Result<&[u8], Malformed> {
    match number {
        [0, magnitude @ ..] if magnitude.first().is_some_and(|byte| *byte >= 0x80) => Ok(magnitude),
        [1..=0x7f, ..] => Ok(number),
        _ => Err(Malformed),
    }
}

/// Appends a `string`.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here is near 4 GiB: what is read came in messages of 256 KiB.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(bytes);
}

/// Appends the `mpint` of a magnitude.
pub(crate) fn put_positive(out: &mut Vec<u8>, magnitude: &[u8]) {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let magnitude = magnitude.get(zeros..).unwrap_or_default();
    let sign: &[u8] = match magnitude {
        [0x80..=0xff, ..] => &[0],
        _ => &[],
    };
    let len = u32::try_from(sign.len() + magnitude.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(sign);
    out.extend(magnitude);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[u8], Malformed>) {
        let mut reader = Reader::new(bytes);
        let read = reader.positive();
        assert_eq!(read, expected);
        if let Ok(magnitude) = read {
            assert_eq!(reader.finish(), Ok(()));
            let mut again = Vec::new();
            put_positive(&mut again, magnitude);
            assert_eq!(again, bytes);
        }
    }

    /// RFC 4251 section 5 and the encodings beside the one that it names.
    #[test]
    fn numbers_have_one_encoding() {
        check(&[0, 0, 0, 1, 0x7f], Ok(&[0x7f]));
        check(&[0, 0, 0, 2, 0, 0x80], Ok(&[0x80]));
        check(&[0, 0, 0, 2, 1, 0], Ok(&[1, 0]));
        check(&[0, 0, 0, 0], Err(Malformed));
        check(&[0, 0, 0, 1, 0], Err(Malformed));
        check(&[0, 0, 0, 2, 0, 0x7f], Err(Malformed));
        check(&[0, 0, 0, 1, 0x80], Err(Malformed));
        check(&[0, 0, 0, 2, 1], Err(Malformed));
        check(&[0xff, 0xff, 0xff, 0xff, 1], Err(Malformed));
        check(&[0, 0, 0], Err(Malformed));
    }

    #[test]
    fn zeros_before_a_number_are_left_out() {
        let mut out = Vec::new();
        put_positive(&mut out, &[0, 0, 0x80, 1]);
        assert_eq!(out, [0, 0, 0, 3, 0, 0x80, 1]);
    }
}
