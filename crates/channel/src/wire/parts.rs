//! What several messages have in common: a version, names, purposes.

use keystead_core::{MakeKeyRequest, Name, Purpose};

use super::{Fault, Fields, Reader, VERSION, Writer};

/// Key 0 of every message.
pub(crate) fn read_version(reader: &mut Reader<'_>, fields: &mut Fields) -> Result<(), Fault> {
    fields.required(reader, 0)?;
    match reader.unsigned()? {
        VERSION => Ok(()),
        0 => Err(Fault::Range(0)),
        version => Err(Fault::Version(version)),
    }
}

/// A name: its rule is that of any text of this length.
pub(crate) fn read_name(reader: &mut Reader<'_>) -> Result<Name, Fault> {
    Name::new(reader.text(Name::BYTES_MAX)?).map_err(|_| Fault::Text)
}

pub(super) fn write_purposes(writer: &mut Writer, purposes: &[Purpose]) {
    writer.list_of(purposes, |writer, purpose| {
        writer.unsigned(u64::from(purpose.number()));
    });
}

/// At least one, ascending, none twice: one set has one encoding. Of those of later versions
/// the number.
pub(super) fn read_purposes(
    reader: &mut Reader<'_>,
    max: usize,
) -> Result<Vec<Result<Purpose, u64>>, Fault> {
    let mut last = 0;
    reader.list_of(1, max, |reader| {
        let number = reader.unsigned()?;
        if number <= last {
            return Err(Fault::Range(number));
        }
        last = number;
        let known = u8::try_from(number).ok().and_then(Purpose::from_number);
        Ok(known.ok_or(number))
    })
}

/// A purpose of a later version is one that this one cannot make a key for.
pub(super) fn read_known_purposes(reader: &mut Reader<'_>) -> Result<Vec<Purpose>, Fault> {
    read_purposes(reader, MakeKeyRequest::PURPOSES_MAX)?
        .into_iter()
        .map(|purpose| purpose.map_err(Fault::Form))
        .collect()
}
