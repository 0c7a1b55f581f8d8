//! Standard output for what was asked for, standard error for talk.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line that was asked for.
pub(crate) fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints one JSON object.
pub(crate) fn print_json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object).map_err(|error| Failure::of(&error))?;
    print(text)
}

/// Says something to the person. Nobody listening is no failure.
pub(crate) fn say(line: impl Display) {
    drop(writeln!(anstream::stderr().lock(), "{line}"));
}

/// Text that others chose, without what could move the cursor or turn the reading direction.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character| {
        if keystead_core::is_unsafe_to_show(character) {
            character.escape_unicode().collect()
        } else {
            String::from(character)
        }
    };
    text.chars().map(shown).collect()
}

/// Rows whose columns are as wide as what is in them, two spaces apart.
pub(crate) fn print_table(rows: &[Vec<String>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        print(line.join("  ").trim_end())?;
    }
    Ok(())
}
