//! Numbers that have a range, so that a mistake is named where it stands.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A number from `LOW` to `HIGH`, both included.
pub(super) fn between<'de, D, const LOW: u32, const HIGH: u32>(from: D) -> Result<u32, D::Error>
where
    D: Deserializer<'de>,
{
    let number = u32::deserialize(from)?;
    if (LOW..=HIGH).contains(&number) {
        return Ok(number);
    }
    let why = format!("{number} is not from {LOW} to {HIGH}");
    Err(D::Error::custom(why))
}

/// A message of the parser without line breaks.
pub(super) fn in_one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    lines.join(", ")
}
