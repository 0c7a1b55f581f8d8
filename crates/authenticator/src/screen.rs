//! What the holder's terminal shows while it asks, and what its keys mean.
//!
//! **Invariant**: pure: it takes moments and keys, and gives text. A key
//! decides only the question that is on the screen, and only when it was
//! pressed [`GRACE_MS`] after that question appeared; one question is on the
//! screen at a time.

use std::collections::VecDeque;

use keystead_core::{Decision, Name};

use crate::words::{Asked, Row, Tone};

/// Names a question as long as the authenticator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// Who asks.
    pub workstation: Name,
    /// What.
    pub asked: Asked,
    /// When nobody waits any more, on the clock that does not jump.
    pub deadline_ms: u64,
}

/// What the edge is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Write this to the terminal.
    Text(String),
    /// Throw away what was typed and not read yet.
    FlushInput,
}

/// How a terminal looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Whether bold and colours are wanted (`NO_COLOR`).
    pub colour: Colour,
}

/// Whether bold and colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// They are.
    Use,
    /// They are not.
    Avoid,
}

/// The questions that wait, the first of them on the screen.
#[derive(Debug)]
pub struct Screen {
    look: Look,
    waiting: VecDeque<Question>,
    shown: Option<Shown>,
}

/// The question on the screen.
#[derive(Debug)]
struct Shown {
    at_ms: u64,
    /// What of the question did not fit.
    hidden: Vec<String>,
    state: ShownState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShownState {
    Open,
    Decided,
}

impl Screen {
    /// An empty screen.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self {
            look,
            waiting: VecDeque::new(),
            shown: None,
        }
    }

    /// The terminal has another size now.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.look.columns = columns;
        self.look.rows = rows;
    }

    /// A question came.
    pub fn ask(&mut self, question: Question, now_ms: u64) -> Vec<Draw> {
        self.waiting.push_back(question);
        if self.shown.is_some() {
            return vec![Draw::Text(self.prompt(now_ms))];
        }
        self.show_first(now_ms)
    }

    /// A question ended: decided, withdrawn, expired.
    pub fn settle(&mut self, id: QuestionId, how: &str, now_ms: u64) -> Vec<Draw> {
        let is_first = self.waiting.front().is_some_and(|it| it.id == id);
        self.waiting.retain(|it| it.id != id);
        if !is_first || self.shown.take().is_none() {
            return self.redraw(now_ms);
        }
        let mut draws = vec![Draw::Text(format!("{CLEAR_LINE}  {how}\n"))];
        draws.extend(self.show_first(now_ms));
        draws
    }

    /// A key was pressed: perhaps it decides.
    pub fn key(
        &mut self,
        key: u8,
        pressed_ms: u64,
    ) -> (Option<(QuestionId, Decision<()>)>, Vec<Draw>) {
        let (Some(question), Some(shown)) = (self.waiting.front(), self.shown.as_mut()) else {
            return (None, Vec::new());
        };
        let ready_ms = shown.at_ms.saturating_add(GRACE_MS);
        if pressed_ms < ready_ms || shown.state == ShownState::Decided {
            return (None, Vec::new());
        }
        let decision = match key {
            b'y' | b'Y' => Decision::Approve(()),
            b'n' | b'N' => Decision::Refuse,
            b'm' | b'M' => return (None, self.show_hidden(pressed_ms)),
            _ => return (None, Vec::new()),
        };
        shown.state = ShownState::Decided;
        (Some((question.id, decision)), Vec::new())
    }

    /// Time went on.
    #[must_use]
    pub fn tick(&self, now_ms: u64) -> Vec<Draw> {
        self.redraw(now_ms)
    }

    /// A line that is no question, above the prompt.
    #[must_use]
    pub fn say(&self, line: &str, now_ms: u64) -> Vec<Draw> {
        let mut text = format!("{CLEAR_LINE}{line}\n");
        if self.shown.is_some() {
            text.push_str(&self.prompt(now_ms));
        }
        vec![Draw::Text(text)]
    }

    /// Whether a question is on the screen.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.shown.is_some()
    }

    /// The program ends: nothing is left hanging on the last line.
    #[must_use]
    pub fn end(&self) -> Vec<Draw> {
        match self.shown {
            Some(_) => vec![Draw::Text("\n".to_owned())],
            None => Vec::new(),
        }
    }

    fn show_first(&mut self, now_ms: u64) -> Vec<Draw> {
        let Some(question) = self.waiting.front() else {
            return Vec::new();
        };
        let columns = self.look.columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
        let mut lines: Vec<String> = question
            .asked
            .rows()
            .iter()
            .flat_map(|row| self.row_lines(row, columns))
            .collect();
        // A blank line, the title, the question itself and the line that says more stand around.
        let room = self.look.rows.saturating_sub(4).max(ROWS_MIN);
        let hidden = lines.split_off(lines.len().min(room));
        let title = self.bold(&format!("{} asks", question.workstation));
        let mut text = format!("\n{title}\n{}", lines.concat());
        if !hidden.is_empty() {
            text.push_str(&format!(
                "  … {} more lines: press m to see them\n",
                hidden.len()
            ));
        }
        self.shown = Some(Shown {
            at_ms: now_ms,
            hidden,
            state: ShownState::Open,
        });
        text.push_str(&self.prompt(now_ms));
        // Flushed last: what was typed before all of this stood there decides nothing.
        vec![Draw::Text(text), Draw::FlushInput]
    }

    fn show_hidden(&mut self, now_ms: u64) -> Vec<Draw> {
        let hidden = self.shown.as_mut().map(|it| std::mem::take(&mut it.hidden));
        let (hidden, Some(question)) = (hidden.unwrap_or_default(), self.waiting.front()) else {
            return Vec::new();
        };
        if hidden.is_empty() {
            return Vec::new();
        }
        // What scrolled away is named again, next to where it is decided.
        let again = format!("{}: {}", question.workstation, question.asked.line());
        let prompt = self.prompt(now_ms);
        vec![Draw::Text(format!(
            "{CLEAR_LINE}{}{}\n{prompt}",
            hidden.concat(),
            self.bold(&again)
        ))]
    }

    fn redraw(&self, now_ms: u64) -> Vec<Draw> {
        match &self.shown {
            Some(shown) if shown.state == ShownState::Open => vec![Draw::Text(self.prompt(now_ms))],
            Some(_) | None => Vec::new(),
        }
    }

    /// The last line, written over itself each second.
    fn prompt(&self, now_ms: u64) -> String {
        let left_ms = self
            .waiting
            .front()
            .map_or(0, |it| it.deadline_ms.saturating_sub(now_ms));
        let left_s = left_ms.div_ceil(1_000);
        let others = match self.waiting.len() {
            0 | 1 => String::new(),
            2 => ", 1 more waits".to_owned(),
            count => format!(", {} more wait", count.saturating_sub(1)),
        };
        let question = self.bold("Approve? y/n");
        format!("{CLEAR_LINE}{question}  {left_s} s left{others} ")
    }

    fn row_lines(&self, row: &Row, columns: usize) -> Vec<String> {
        let mut label = row.label;
        let mut lines = Vec::new();
        for part in wrap(&row.value, columns.saturating_sub(VALUE_COLUMN)) {
            let part = match row.tone {
                Tone::Plain => part,
                Tone::Warn => self.paint(YELLOW, &part),
            };
            lines.push(format!(
                "  {label:<width$}{part}\n",
                width = VALUE_COLUMN - 2
            ));
            label = "";
        }
        lines
    }

    fn bold(&self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        match self.look.colour {
            Colour::Use => format!("{style}{text}{RESET}"),
            Colour::Avoid => text.to_owned(),
        }
    }
}

/// Breaks text into lines of at most `columns` characters, at spaces where there are any.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let length = |text: &str| text.chars().count();
        if !line.is_empty() && length(&line) + length(word.trim_end()) > columns {
            lines.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            if length(&line) >= columns && character != ' ' {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// 400 ms: a person needs longer than this to read a word and press a key, so what
/// comes sooner was meant for what stood there before.
pub const GRACE_MS: u64 = 400;

/// Where values start: the longest label, "Also signed", and a gap.
const VALUE_COLUMN: usize = 15;
/// Below this nothing can be laid out; longer lines then wrap by themselves.
const COLUMNS_MIN: usize = 40;
/// Wider lines are harder to read.
const COLUMNS_MAX: usize = 100;
/// User, host, host key and its second line are shown on any screen.
const ROWS_MIN: usize = 8;
/// To the first column, and erase to the end of the line (ECMA-48 EL).
const CLEAR_LINE: &str = "\r\x1b[K";
/// ECMA-48 SGR.
const BOLD: &str = "\x1b[1m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Called, Content, Destination, Hop, Login, MakeKey, Sign};

    const LOOK: Look = Look {
        columns: 80,
        rows: 24,
        colour: Colour::Avoid,
    };

    fn question(id: u64, asked: Asked) -> Question {
        let workstation = Name::new("laptop").unwrap();
        Question {
            id: QuestionId(id),
            workstation,
            asked,
            deadline_ms: 60_000,
        }
    }

    fn make(id: u64) -> Question {
        let name = Name::new(format!("key{id}")).unwrap();
        question(
            id,
            Asked::MakeKey(MakeKey {
                name,
                algorithm: "ed25519",
            }),
        )
    }

    fn text(draws: &[Draw]) -> String {
        draws
            .iter()
            .filter_map(|it| match it {
                Draw::Text(text) => Some(text.replace(CLEAR_LINE, "<")),
                Draw::FlushInput => None,
            })
            .collect()
    }

    fn pressed(screen: &mut Screen, key: u8, at_ms: u64) -> Option<Decision<()>> {
        screen.key(key, at_ms).0.map(|(_, decision)| decision)
    }

    #[test]
    fn a_login_as_it_is_read() {
        let asked = Asked::Login(Login {
            user: "alex".into(),
            destination: Destination::Proved(Hop {
                called: Called::Told(vec![
                    "db1.internal.example".into(),
                    "10.20.30.40".into(),
                    "db".into(),
                ]),
                host_key: "SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I".into(),
            }),
            way: vec![],
            key: Name::new("main").unwrap(),
            program: Some("/usr/bin/ssh".into()),
        });
        let mut screen = Screen::new(LOOK);
        let draws = screen.ask(question(1, asked), 500);
        assert_eq!(draws.last(), Some(&Draw::FlushInput));
        assert_eq!(
            text(&draws),
            "
laptop asks
  Log in as    alex
  Host         new here; the workstation's known_hosts says
               db1.internal.example, 10.20.30.40, db
  Host key     SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I
  With key     main
  Program      /usr/bin/ssh (the workstation's word)
<Approve? y/n  60 s left "
        );
        assert!(text(&draws).lines().all(|line| line.chars().count() <= 80));
        assert_eq!(text(&screen.tick(30_100)), "<Approve? y/n  30 s left ");
    }

    #[test]
    fn one_at_a_time_with_the_number_that_wait() {
        let mut screen = Screen::new(LOOK);
        assert!(text(&screen.ask(make(1), 0)).contains("key1"));
        assert_eq!(
            text(&screen.ask(make(2), 0)),
            "<Approve? y/n  60 s left, 1 more waits "
        );
        assert_eq!(
            text(&screen.ask(make(3), 0)),
            "<Approve? y/n  60 s left, 2 more wait "
        );
        // One behind the first is withdrawn: the first stays on the screen.
        assert_eq!(
            text(&screen.settle(QuestionId(2), "withdrawn", 0)),
            "<Approve? y/n  60 s left, 1 more waits "
        );
        let draws = screen.settle(QuestionId(1), "approved", 0);
        assert!(
            text(&draws).starts_with("<  approved\n\nlaptop asks\n"),
            "{draws:?}"
        );
        assert!(text(&draws).contains("key3"));
        assert_eq!(
            text(&screen.settle(QuestionId(3), "expired", 0)),
            "<  expired\n"
        );
        assert_eq!(pressed(&mut screen, b'y', 9_000), None);
    }

    #[test]
    fn a_key_pressed_too_soon_decides_nothing() {
        let mut screen = Screen::new(LOOK);
        assert_eq!(pressed(&mut screen, b'y', 0), None);
        screen.ask(make(1), 1_000);
        for at_ms in [0, 999, 1_000, 1_000 + GRACE_MS - 1] {
            assert_eq!(pressed(&mut screen, b'y', at_ms), None, "{at_ms}");
        }
        for key in [b'\r', b' ', 0x1b, b'x', 3] {
            assert_eq!(pressed(&mut screen, key, 5_000), None, "{key}");
        }
        assert_eq!(
            pressed(&mut screen, b'y', 1_000 + GRACE_MS),
            Some(Decision::Approve(()))
        );
        // Decided once.
        assert_eq!(pressed(&mut screen, b'n', 9_000), None);
        // The next question has a grace of its own.
        screen.ask(make(2), 5_000);
        screen.settle(QuestionId(1), "approved", 10_000);
        assert_eq!(pressed(&mut screen, b'n', 10_000), None);
        assert_eq!(
            pressed(&mut screen, b'n', 10_000 + GRACE_MS),
            Some(Decision::Refuse)
        );
    }

    #[test]
    fn what_does_not_fit_is_announced_and_shown_on_demand() {
        let message: String = (0..60).map(|n| format!("line {n}\n")).collect();
        let asked = Asked::Sign(Sign {
            namespace: "git".into(),
            hash_name: "sha512".into(),
            hash: String::new(),
            content: Content::Git {
                what: "a git commit",
                rows: vec![],
                message,
            },
            way: vec![],
            key: Name::new("main").unwrap(),
            program: None,
        });
        let mut screen = Screen::new(LOOK);
        let draws = text(&screen.ask(question(1, asked), 0));
        assert!(draws.lines().count() <= 24, "{draws}");
        assert!(draws.contains("\n  With key     main\n"));
        assert!(
            draws.contains("line 17\n  … 42 more lines: press m to see them\n"),
            "{draws}"
        );
        let (_, more) = screen.key(b'm', 1_000);
        assert!(text(&more).contains("line 18\n"));
        let end = "line 59\nlaptop: signature of a git commit with main\n<Approve? y/n  59 s left ";
        assert!(text(&more).ends_with(end), "{more:?}");
        assert!(screen.key(b'm', 1_000).1.is_empty());
        assert_eq!(pressed(&mut screen, b'n', 2_000), Some(Decision::Refuse));
    }

    #[test]
    fn notices_stand_above_the_prompt() {
        let mut screen = Screen::new(LOOK);
        assert_eq!(text(&screen.say("relay is away", 0)), "<relay is away\n");
        screen.ask(make(1), 0);
        assert_eq!(
            text(&screen.say("relay is back", 0)),
            "<relay is back\n<Approve? y/n  60 s left "
        );
    }

    #[test]
    fn wrapping_keeps_every_character() {
        for columns in [5, 10, 65] {
            for text in ["", "a", "abc def ghi", &"x".repeat(200), "a  b   c"] {
                let lines = wrap(text, columns);
                assert!(
                    lines.iter().all(|it| it.chars().count() <= columns),
                    "{lines:?}"
                );
                let squeezed = |text: &str| text.replace(' ', "");
                assert_eq!(squeezed(&lines.concat()), squeezed(text));
            }
        }
    }

    #[test]
    fn colours_only_where_wanted() {
        let shown = |colour| text(&Screen::new(Look { colour, ..LOOK }).ask(make(1), 0));
        assert!(!shown(Colour::Avoid).contains('\x1b'));
        assert!(shown(Colour::Use).contains("\x1b[1mlaptop asks\x1b[0m"));
    }
}
