//! A QR code of half blocks, with talk beside it.
//!
//! Two rows of modules make one row of text. With colours, dark modules are
//! drawn black on white whatever the terminal's own colours are, quiet zone
//! included. Without, the light modules are drawn in the terminal's own
//! foreground, as suits a dark terminal, unless `COLORFGBG` tells of a light
//! one.

use qrcode::{Color, EcLevel, QrCode};

/// How modules become characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Black on white, by colours that no theme changes.
    Colours,
    /// What is drawn is light: a dark terminal.
    DrawLight,
    /// What is drawn is dark: a light terminal.
    DrawDark,
}

impl Ink {
    /// The ink for a terminal, by whether it shows colours and by `COLORFGBG`.
    pub(crate) fn choose(has_colours: bool, colorfgbg: Option<&str>) -> Self {
        if has_colours {
            return Self::Colours;
        }
        // "foreground;background", or three of them; 7 and 15 are the whites.
        match colorfgbg.and_then(|pair| pair.rsplit(';').next()) {
            Some("7" | "15") => Self::DrawDark,
            _ => Self::DrawLight,
        }
    }
}

/// Draws `text` with `beside` at its right, in at most `columns` × `rows`
/// characters; `None` when it does not fit.
pub(crate) fn draw(
    text: &str,
    beside: &[String],
    ink: Ink,
    (columns, rows): (usize, usize),
) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let modules = code.to_colors();
    let margin = margin(width, rows)?;
    let drawn_columns = width + 2 * SIDE_MODULES;
    if drawn_columns > columns {
        return None;
    }
    let is_dark = |row: usize, column: usize| {
        let row = row.checked_sub(margin).filter(|row| *row < width);
        let column = column
            .checked_sub(SIDE_MODULES)
            .filter(|column| *column < width);
        let module = row
            .zip(column)
            .and_then(|(row, column)| modules.get(row * width + column));
        module == Some(&Color::Dark)
    };
    let height = (width + 2 * margin).next_multiple_of(2);
    let lines = (0..height).step_by(2).enumerate().map(|(at, row)| {
        let blocks: String = (0..drawn_columns)
            .map(|column| block(is_dark(row, column), is_dark(row + 1, column), ink))
            .collect();
        let room = columns - drawn_columns;
        let words = beside
            .get(at)
            .filter(|words| words.chars().count() + GAP.len() < room);
        let words = words
            .map(|words| format!("{GAP}{words}"))
            .unwrap_or_default();
        match ink {
            Ink::Colours => format!("{BLACK_ON_WHITE}{blocks}{OWN_COLOURS}{words}"),
            Ink::DrawLight | Ink::DrawDark => format!("{blocks}{words}"),
        }
    });
    Some(lines.collect())
}

/// Light modules above and below that leave the code within `rows`.
fn margin(width: usize, rows: usize) -> Option<usize> {
    let spare = (2 * rows).checked_sub(width)?;
    // Odd width, even height: one module more lies below.
    let margin = (spare / 2).min(SIDE_MODULES);
    (margin > 0).then_some(margin)
}

fn block(above_dark: bool, below_dark: bool, ink: Ink) -> char {
    let (above, below) = match ink {
        Ink::Colours | Ink::DrawDark => (above_dark, below_dark),
        Ink::DrawLight => (!above_dark, !below_dark),
    };
    match (above, below) {
        (false, false) => ' ',
        (true, false) => '▀',
        (false, true) => '▄',
        (true, true) => '█',
    }
}

/// Columns of quiet zone at each side, and rows where there is room. Why:
/// ISO/IEC 18004 asks for 4, but 24 rows leave one above and below version 7,
/// and 80 columns are to hold some words as well.
const SIDE_MODULES: usize = 2;

/// What parts the code from the words beside it.
const GAP: &str = "  ";

/// Colours 16 (black) and 231 (white) of the 256: themes change the first 16 only.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";

/// ECMA-48 SGR 0.
const OWN_COLOURS: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    /// 154 bytes: the most that a pairing offer's QR code holds.
    fn longest() -> String {
        format!("keystead:pair#{}", "a".repeat(140))
    }

    /// Reads the drawing back: dark modules, quiet zone included.
    fn read_back(lines: &[String], ink: Ink) -> Vec<Vec<bool>> {
        let mut rows = Vec::new();
        for line in lines {
            let line = line.replace(BLACK_ON_WHITE, "").replace(OWN_COLOURS, "");
            let halves = |top: bool| -> Vec<bool> {
                let drawn = |c: char| match c {
                    '█' => true,
                    '▀' => top,
                    '▄' => !top,
                    _ => false,
                };
                line.chars()
                    .take(49)
                    .map(|c| drawn(c) != (ink == Ink::DrawLight))
                    .collect()
            };
            rows.push(halves(true));
            rows.push(halves(false));
        }
        rows
    }

    #[test]
    fn the_longest_offer_fits_80_by_24_in_every_ink() {
        for ink in [Ink::Colours, Ink::DrawLight, Ink::DrawDark] {
            let lines = draw(&longest(), &[], ink, (80, 24)).unwrap();
            assert!(lines.len() <= 24, "{}", lines.len());
            let modules = read_back(&lines, ink);
            let code = QrCode::with_error_correction_level(longest(), EcLevel::L).unwrap();
            assert_eq!(code.width(), 45);
            for (at, color) in code.to_colors().into_iter().enumerate() {
                let (row, column) = (at / 45 + 1, at % 45 + 2);
                assert_eq!(modules[row][column], color == Color::Dark, "{row} {column}");
            }
        }
    }

    #[test]
    fn a_light_frame_surrounds_the_code() {
        for (rows, margin) in [(24, 1), (25, 2), (60, 2)] {
            let lines = draw(&longest(), &[], Ink::DrawDark, (80, rows)).unwrap();
            let modules = read_back(&lines, Ink::DrawDark);
            let height = modules.len();
            for (row, modules) in modules.iter().enumerate() {
                let light = |column: usize| !modules[column];
                assert!([0, 1, 47, 48].into_iter().all(light), "row {row}");
                if row < margin || row >= height - margin {
                    assert!((0..49).all(light), "row {row}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert!(draw(&longest(), &[], Ink::Colours, (80, 23)).is_none());
        assert!(draw(&longest(), &[], Ink::Colours, (48, 24)).is_none());
        assert!(draw(&"a".repeat(3000), &[], Ink::Colours, (200, 200)).is_none());
    }

    #[test]
    fn words_stand_beside_where_there_is_room() {
        let beside = ["short".to_owned(), "x".repeat(40)];
        let lines = draw(&longest(), &beside, Ink::DrawDark, (80, 24)).unwrap();
        assert!(lines[0].ends_with("  short"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }

    #[track_caller]
    fn check(has_colours: bool, colorfgbg: Option<&str>, expected: Ink) {
        assert_eq!(Ink::choose(has_colours, colorfgbg), expected);
    }

    #[test]
    fn ink_follows_the_terminal() {
        check(true, None, Ink::Colours);
        check(true, Some("0;15"), Ink::Colours);
        check(false, None, Ink::DrawLight);
        check(false, Some("15;0"), Ink::DrawLight);
        check(false, Some("0;15"), Ink::DrawDark);
        check(false, Some("0;default;15"), Ink::DrawDark);
        check(false, Some(""), Ink::DrawLight);
    }
}
