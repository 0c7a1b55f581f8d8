//! Reports and Protocol Buffers, written from their documents for the device's side.

/// Fields of a message, as they came.
pub(super) type Fields = Vec<(u64, Field)>;

/// What a field holds.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Cuts a message into reports.
pub(super) fn reports(number: u16, body: &[u8]) -> Vec<[u8; 64]> {
    let mut stream = b"##".to_vec();
    stream.extend(number.to_be_bytes());
    stream.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    stream.extend(body);
    let cut = stream.chunks(63).map(|part| {
        let mut report = [0; 64];
        let bytes = std::iter::once(&b'?').chain(part);
        report
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        report
    });
    cut.collect()
}

/// Puts them together.
#[derive(Default)]
pub(super) struct Assembler(Option<(u16, usize, Vec<u8>)>);

impl Assembler {
    /// A report; the message that it ends. What is none is passed over, as devices do.
    pub(super) fn take(&mut self, report: &[u8]) -> Option<(u16, Vec<u8>)> {
        let content = report.strip_prefix(b"?").filter(|_| report.len() == 64)?;
        let (number, length, mut body) = match (self.0.take(), content) {
            (Some((number, length, mut body)), content) => {
                body.extend(content);
                (number, length, body)
            }
            (None, [b'#', b'#', n1, n0, l3, l2, l1, l0, rest @ ..]) => {
                let length = u32::from_be_bytes([*l3, *l2, *l1, *l0]);
                let length = usize::try_from(length).ok()?;
                (u16::from_be_bytes([*n1, *n0]), length, rest.to_vec())
            }
            (None, _) => return None,
        };
        if body.len() < length {
            self.0 = Some((number, length, body));
            return None;
        }
        body.truncate(length);
        Some((number, body))
    }
}

/// All fields; none if it is no message.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag % 8 {
            0 => Field::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(value.to_vec())
            }
            _ => return None,
        };
        fields.push((tag / 8, field));
    }
    Some(fields)
}

/// A field's bytes.
pub(super) fn bytes(fields: &Fields, number: u64) -> Option<&[u8]> {
    let mut found = fields.iter().filter(|(it, _)| *it == number);
    match found.next_back() {
        Some((_, Field::Bytes(bytes))) => Some(bytes),
        _ => None,
    }
}

/// A field's text.
pub(super) fn text(fields: &Fields, number: u64) -> String {
    let bytes = bytes(fields, number).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// A field's numbers.
pub(super) fn numbers(fields: &Fields, number: u64) -> Vec<u64> {
    let its = fields.iter().filter(|(it, _)| *it == number);
    its.filter_map(|(_, field)| match field {
        Field::Number(number) => Some(*number),
        Field::Bytes(_) => None,
    })
    .collect()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes fields.
#[derive(Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field * 8);
        self.varint(value);
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field * 8 + 2);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend(value);
        self
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let byte = u8::try_from(value % 128).unwrap_or_default();
            value /= 128;
            if value == 0 {
                return self.0.push(byte);
            }
            self.0.push(byte + 128);
        }
    }
}
