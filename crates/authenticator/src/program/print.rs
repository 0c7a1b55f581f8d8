//! Standard output for what was asked for, standard error for talk.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::failure::Failure;

/// Prints a line that was asked for.
pub(crate) fn line(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::hung_up()),
        written => Ok(written?),
    }
}

/// Prints one JSON object.
pub(crate) fn json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object).map_err(io::Error::other)?;
    line(text)
}

/// Says something to the person. Nobody listening is no failure.
pub(crate) fn talk(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints rows in columns as wide as what is in them.
pub(crate) fn table(rows: &[Vec<String>]) -> Result<(), Failure> {
    columns(rows).iter().try_for_each(line)
}

/// Rows in columns as wide as what is in them.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let padded = |(at, cell): (usize, &String)| {
        let missing = width(at).saturating_sub(cell.width());
        format!("{cell}{}", " ".repeat(missing))
    };
    let row = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().enumerate().map(padded).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(row).collect()
}
