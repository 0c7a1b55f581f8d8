//! Rows of words as lines of a terminal.
//!
//! **Invariant**: no line is wider than the terminal, a wide character counted as the two
//! columns that it takes, whether or not the terminal joins some into one; nothing is left out.

use unicode_width::UnicodeWidthChar;

use super::{Colour, Look};
use crate::question::{Makes, Question};
use crate::words::{Asked, Row, THEIR_WORD, Tone};

/// The title of a question, and its lines, each with its line break.
pub(super) fn question_lines(question: &Question, look: Look) -> (String, Vec<String>) {
    let columns = look.columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
    let rows = act_rows(question)
        .into_iter()
        .chain(question.asked().rows())
        .chain(others_row(question));
    let lines = rows
        .flat_map(|row| row_lines(&row, columns, look))
        .collect();
    (look.bold(&title(question)), lines)
}

fn title(question: &Question) -> String {
    let who = &question.workstation;
    let is_background = question.asked().origin().is_some_and(|it| it.is_background);
    let how = if is_background {
        " in the background"
    } else {
        ""
    };
    match (question.announced(), question.count()) {
        (Some(count), _) => format!("{who} asks{how} for {count} signatures"),
        (None, 1) => format!("{who} asks{how}"),
        (None, count) => format!("{who} asks{how} {count} times"),
    }
}

fn act_rows(question: &Question) -> Vec<Row> {
    let Some(act) = &question.act else {
        return Vec::new();
    };
    let row = |label: &'static str, value: String, tone: Tone| Row { label, value, tone };
    let what = &act.what;
    match act.makes {
        // One request alone is its own act, which its program names.
        Makes::Unknown if question.others.is_empty() && has_program(question) => Vec::new(),
        Makes::Unknown => vec![row("Part of", format!("{what} {THEIR_WORD}"), Tone::Plain)],
        Makes::Told(count) => vec![row(
            "Part of",
            format!("{what}, {count} in all {THEIR_WORD}"),
            Tone::Plain,
        )],
        Makes::Announced(count) => vec![
            row(
                "Part of",
                format!("{what}, {count} in all {THEIR_WORD}"),
                Tone::Plain,
            ),
            row(
                "",
                "this is the first; each is read, proved and logged".to_owned(),
                Tone::Plain,
            ),
        ],
        Makes::Beyond => vec![
            row("Part of", format!("{what} {THEIR_WORD}"), Tone::Plain),
            row(
                "",
                "all that it announced is signed: this is one more".to_owned(),
                Tone::Warn,
            ),
        ],
    }
}

fn has_program(question: &Question) -> bool {
    let origin = question.asked().origin();
    origin.is_some_and(|it| it.program.is_some())
}

/// The others of several requests, where they are not the same in words.
fn others_row(question: &Question) -> Option<Row> {
    let count = question.others.len();
    let first = question.asked();
    let differ = question
        .others
        .iter()
        .filter(|it| !it.asked.reads_as(first));
    let value = match (count, differ.count()) {
        (0, _) => return None,
        (_, 0) => format!("{count} more, the same in words"),
        (_, _) => format!("{count} more: press m to list them"),
    };
    let tone = Tone::Warn;
    Some(Row {
        label: "And",
        value,
        tone,
    })
}

/// Each of several requests, those that are the same to whoever reads them once with their
/// number.
pub(super) fn parts_list(question: &Question, columns: usize) -> String {
    let mut counted: Vec<(usize, &Asked)> = Vec::new();
    for part in question.parts() {
        let asked = &part.asked;
        match counted.iter_mut().find(|(_, it)| it.reads_as(asked)) {
            Some((count, _)) => *count = count.saturating_add(1),
            None => counted.push((1, asked)),
        }
    }
    let lines = counted.iter().map(|(count, asked)| {
        let mark = format!("{count:>2} × ");
        wrapped(&mark, &asked.line_apart(), columns)
    });
    lines.collect()
}

fn row_lines(row: &Row, columns: usize, look: Look) -> Vec<String> {
    let mut label = row.label;
    let mut lines = Vec::new();
    for part in wrap(&row.value, columns.saturating_sub(VALUE_COLUMN)) {
        let part = match row.tone {
            Tone::Plain => part,
            Tone::Warn => look.paint(YELLOW, &part),
        };
        lines.push(format!(
            "  {label:<width$}{part}\n",
            width = VALUE_COLUMN - 2
        ));
        label = "";
    }
    lines
}

/// A text behind a mark, both a little to the right, in lines.
pub(super) fn wrapped(mark: &str, text: &str, columns: usize) -> String {
    let columns = columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
    let indent = columns_of(mark) + 2;
    let mut mark = mark;
    let mut lines = String::new();
    for part in wrap(text, columns.saturating_sub(indent)) {
        lines.push_str(&format!("  {mark:<width$}{part}\n", width = indent - 2));
        mark = "";
    }
    lines
}

/// A line that is no question, its beginning at a column: where it goes on it is further to the
/// right than any row's label and less far than any value, so that no text in it looks like a row.
pub(super) fn said(first_column: usize, line: &str, columns: usize) -> String {
    let columns = columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
    let lines = wrap(line, columns.saturating_sub(SAID_COLUMN));
    let mut column = first_column;
    let mut text = String::new();
    for part in lines {
        text.push_str(&format!("{:column$}{part}\n", ""));
        column = SAID_COLUMN;
    }
    text
}

/// Breaks text into lines of at most `columns`, at spaces where there are any; one that breaks no
/// line (U+00A0) is a space like others on the screen.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut taken: usize = 0;
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && taken.saturating_add(columns_of(word.trim_end())) > columns {
            lines.push(std::mem::take(&mut line));
            taken = 0;
        }
        for character in word.chars() {
            let width = column_count(character);
            if taken.saturating_add(width) > columns && character != ' ' {
                lines.push(std::mem::take(&mut line));
                taken = 0;
            }
            line.push(character);
            taken = taken.saturating_add(width);
        }
    }
    lines.push(line);
    lines
        .iter()
        .map(|line| line.trim_end().replace('\u{a0}', " "))
        .collect()
}

/// Cuts two texts that stand behind each other to `columns`; the second one gives way first.
pub(super) fn fit(strong: &str, weak: &str, columns: usize) -> (String, String) {
    let strong = cut(strong, columns);
    let weak = cut(weak, columns.saturating_sub(columns_of(&strong)));
    (strong, weak)
}

fn cut(text: &str, columns: usize) -> String {
    if columns_of(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken: usize = 0;
    for character in text.chars() {
        taken = taken.saturating_add(column_count(character));
        // One column for the mark that something is missing.
        if taken.saturating_add(1) > columns {
            break;
        }
        kept.push(character);
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The columns that a text takes where a terminal joins nothing: more than where it does, so
/// that no text runs over its line and stands where labels stand.
pub(super) fn columns_of(text: &str) -> usize {
    text.chars().map(column_count).sum()
}

fn column_count(character: char) -> usize {
    match character {
        // Makes a symbol of one column an emoji of two, in some terminals.
        '\u{fe0f}' => 1,
        it => it.width().unwrap_or(0),
    }
}

impl Look {
    pub(super) fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    fn paint(self, style: &str, text: &str) -> String {
        match self.colour {
            Colour::Use => format!("{style}{text}{RESET}"),
            Colour::Avoid => text.to_owned(),
        }
    }
}

/// Where values start: the longest label, "Also signed", and a gap.
const VALUE_COLUMN: usize = 15;
/// Where a line goes on that is no question.
const SAID_COLUMN: usize = 6;
/// Below this nothing can be laid out; longer lines then wrap by themselves.
const COLUMNS_MIN: usize = 40;
/// Wider lines are harder to read.
const COLUMNS_MAX: usize = 100;
/// ECMA-48 SGR.
const BOLD: &str = "\x1b[1m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn wrapping_keeps_every_character_and_the_width() {
        for columns in [5, 10, 65] {
            for text in [
                "",
                "a",
                "abc def ghi",
                &"x".repeat(200),
                "a  b   c",
                "漢字かな交じり文 と 空白",
                "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
                // Joined where a terminal shapes them, apart in most.
                &"لا".repeat(40),
                &"👩\u{200d}👩\u{200d}👧".repeat(12),
                &"♥\u{fe0f}".repeat(40),
                &"🇩🇪".repeat(40),
            ] {
                let lines = wrap(text, columns);
                assert!(
                    lines.iter().all(|it| columns_of(it) <= columns),
                    "{lines:?}"
                );
                assert!(lines.iter().all(|it| it.width() <= columns), "{lines:?}");
                let squeezed = |text: &str| text.replace(' ', "");
                assert_eq!(squeezed(&lines.concat()), squeezed(text));
            }
        }
    }

    #[test]
    fn what_belongs_together_stays_on_one_line() {
        let lines = wrap("one two (their\u{a0}word)", 14);
        assert_eq!(lines, ["one two", "(their word)"]);
    }

    #[test]
    fn a_line_that_is_written_over_itself_fits() {
        assert_eq!(fit("ab", "cd", 4), ("ab".into(), "cd".into()));
        assert_eq!(fit("ab", "cde", 4), ("ab".into(), "c…".into()));
        assert_eq!(fit("abcde", "f", 4), ("abc…".into(), String::new()));
        assert_eq!(fit("漢字", "", 3), ("漢…".into(), String::new()));
        assert_eq!(fit("a", "b", 0), (String::new(), String::new()));
    }
}
