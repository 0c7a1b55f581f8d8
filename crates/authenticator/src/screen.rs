//! What the holder's terminal shows while it asks, and what its keys mean.
//!
//! **Invariant**: pure: it takes moments and keys, and gives text. A key decides only the
//! question that is on the screen, and of it only the requests that stood there [`GRACE_MS`]
//! before it was pressed; one question is on the screen at a time.

mod layout;
mod menu;

use std::collections::VecDeque;

pub use crate::question::{Answer, PartId, Question, QuestionId};

use layout::{columns_of, fit, parts_list, question_lines, said, wrapped};
use menu::{Menu, Pressed};

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

/// An answer that a key gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// To which question.
    pub question: QuestionId,
    /// Which.
    pub answer: Answer,
    /// The last request that was counted.
    pub last: PartId,
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
    /// Its requests, and since when each is counted there.
    seen: Vec<(PartId, u64)>,
    /// What of the question did not fit.
    hidden: Vec<String>,
    state: State,
    /// Rows that the question took, and those that other lines took since.
    rows: usize,
    said_rows: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Choosing(Menu),
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

    /// The terminal may have another size now: then it broke the lines of the question anew, and
    /// what stands at the left is no label of ours; so all of it is shown again.
    pub fn resize(&mut self, columns: usize, rows: usize, now_ms: u64) -> Vec<Draw> {
        let is_same = (columns, rows) == (self.look.columns, self.look.rows);
        self.look.columns = columns;
        self.look.rows = rows;
        let Some(shown) = self.shown.as_mut().filter(|_| !is_same) else {
            return Vec::new();
        };
        // More than fits on any screen.
        shown.rows = usize::MAX;
        match shown.state {
            State::Open => vec![Draw::Text(self.again_or_prompt(now_ms))],
            State::Choosing(menu) => {
                let mut draws = vec![Draw::Text(self.again())];
                draws.extend(self.open(menu, now_ms));
                draws
            }
            State::Decided => Vec::new(),
        }
    }

    /// A question came.
    pub fn ask(&mut self, question: Question, now_ms: u64) -> Vec<Draw> {
        self.waiting.push_back(question);
        if self.shown.is_some() {
            return vec![Draw::Text(self.prompt(now_ms))];
        }
        self.show_first(now_ms)
    }

    /// A question is about other requests now.
    pub fn update(&mut self, question: Question, now_ms: u64) -> Vec<Draw> {
        let at = self.waiting.iter().position(|it| it.id == question.id);
        let Some(place) = at.and_then(|at| self.waiting.get_mut(at)) else {
            return self.ask(question, now_ms);
        };
        let before = std::mem::replace(place, question.clone());
        let Some(shown) = self.shown.as_mut().filter(|_| at == Some(0)) else {
            return self.redraw(now_ms);
        };
        if before.first.id != question.first.id {
            // What stands on the screen is gone: another request, and another look at it.
            let gone = format!("{CLEAR_LINE}the first of these is gone\n");
            let mut draws = vec![Draw::Text(gone)];
            draws.extend(self.show_first(now_ms));
            return draws;
        }
        let seen = std::mem::take(&mut shown.seen);
        let since = |id: PartId| {
            let known = seen.iter().find(|(it, _)| *it == id);
            known.map_or(now_ms, |(_, since)| *since)
        };
        shown.seen = question.parts().map(|it| (it.id, since(it.id))).collect();
        if let State::Choosing(menu) = shown.state
            && !menu.is_offered(&question)
        {
            shown.state = State::Open;
        }
        let mut text = String::new();
        for part in question.parts() {
            let is_new = before.parts().all(|it| !it.asked.reads_as(&part.asked));
            if is_new {
                let also = wrapped("also: ", &part.asked.line_apart(), self.look.columns);
                shown.said_rows = shown.said_rows.saturating_add(also.lines().count());
                text.push_str(&format!("{CLEAR_LINE}{also}"));
            }
        }
        text.push_str(&self.again_or_prompt(now_ms));
        vec![Draw::Text(text)]
    }

    /// A question ended: decided, withdrawn, expired.
    pub fn settle(&mut self, id: QuestionId, how: &str, now_ms: u64) -> Vec<Draw> {
        let is_first = self.waiting.front().is_some_and(|it| it.id == id);
        self.waiting.retain(|it| it.id != id);
        if !is_first || self.shown.take().is_none() {
            return self.redraw(now_ms);
        }
        let how = said(HOW_COLUMN, how, self.look.columns);
        let mut draws = vec![Draw::Text(format!("{CLEAR_LINE}{how}"))];
        draws.extend(self.show_first(now_ms));
        draws
    }

    /// A key was pressed: perhaps it decides.
    pub fn key(&mut self, key: u8, pressed_ms: u64) -> (Option<Decided>, Vec<Draw>) {
        let (Some(question), Some(shown)) = (self.waiting.front(), self.shown.as_mut()) else {
            return (None, Vec::new());
        };
        let counted = shown.seen.iter().filter(|(_, since)| {
            // What came later was not read by whoever pressed the key.
            since.saturating_add(GRACE_MS) <= pressed_ms
        });
        let Some(last) = counted.map(|(id, _)| *id).max() else {
            return (None, Vec::new());
        };
        let pressed = match shown.state {
            State::Decided => return (None, Vec::new()),
            State::Open => menu::pressed(key, question),
            State::Choosing(menu) => menu.pressed(key),
        };
        match pressed {
            Pressed::Nothing => (None, Vec::new()),
            Pressed::More => (None, self.show_more(pressed_ms)),
            Pressed::Open(menu) => {
                shown.state = State::Choosing(menu);
                (None, self.open(menu, pressed_ms))
            }
            Pressed::Back => {
                shown.state = State::Open;
                (None, vec![Draw::Text(self.prompt(pressed_ms))])
            }
            Pressed::Answer(answer) => {
                shown.state = State::Decided;
                let decided = Decided {
                    question: question.id,
                    answer,
                    last,
                };
                (Some(decided), Vec::new())
            }
        }
    }

    /// Time went on.
    #[must_use]
    pub fn tick(&self, now_ms: u64) -> Vec<Draw> {
        self.redraw(now_ms)
    }

    /// A line that is no question, above the prompt. It may hold foreign text, so where it goes
    /// on it stands where no row of a question begins.
    pub fn say(&mut self, line: &str, now_ms: u64) -> Vec<Draw> {
        let said = said(0, line, self.look.columns);
        let mut text = format!("{CLEAR_LINE}{said}");
        if let Some(shown) = &mut self.shown {
            shown.said_rows = shown.said_rows.saturating_add(said.lines().count());
            text.push_str(&self.again_or_prompt(now_ms));
        }
        vec![Draw::Text(text)]
    }

    /// Whether a question is on the screen.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.shown.is_some()
    }

    /// The question on the screen.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        self.waiting.front().filter(|_| self.shown.is_some())
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
        let (mut text, hidden) = self.whole(question);
        self.shown = Some(Shown {
            seen: question.parts().map(|it| (it.id, now_ms)).collect(),
            hidden,
            state: State::Open,
            rows: text.lines().count(),
            said_rows: 0,
        });
        text.push_str(&self.prompt(now_ms));
        // Flushed last: what was typed before all of this stood there decides nothing.
        vec![Draw::Text(text), Draw::FlushInput]
    }

    /// A question's text, and its lines that do not fit.
    fn whole(&self, question: &Question) -> (String, Vec<String>) {
        let (title, mut lines) = question_lines(question, self.look);
        // A blank line, the title, the question itself and the line that says more stand around.
        let room = self.look.rows.saturating_sub(4).max(ROWS_MIN);
        let hidden = lines.split_off(lines.len().min(room));
        let mut text = format!("\n{title}\n{}", lines.concat());
        if !hidden.is_empty() {
            text.push_str(&format!(
                "  … {} more lines: press m to see them\n",
                hidden.len()
            ));
        }
        (text, hidden)
    }

    /// The prompt; before it the whole question where other lines have pushed its first ones off
    /// the screen: nothing is decided that cannot be read.
    fn again_or_prompt(&mut self, now_ms: u64) -> String {
        let mut text = self.again();
        text.push_str(&self.prompt(now_ms));
        text
    }

    fn again(&mut self) -> String {
        let (Some(question), Some(shown)) = (self.waiting.front(), &self.shown) else {
            return String::new();
        };
        if shown.rows.saturating_add(shown.said_rows) <= self.look.rows {
            return String::new();
        }
        let (whole, hidden) = self.whole(question);
        if let Some(shown) = &mut self.shown {
            shown.hidden = hidden;
            shown.rows = whole.lines().count();
            shown.said_rows = 0;
        }
        format!("{CLEAR_LINE}{whole}")
    }

    /// What did not fit, and each request of several.
    fn show_more(&mut self, now_ms: u64) -> Vec<Draw> {
        let hidden = self.shown.as_mut().map(|it| std::mem::take(&mut it.hidden));
        let (hidden, Some(question)) = (hidden.unwrap_or_default(), self.waiting.front()) else {
            return Vec::new();
        };
        let mut lines = hidden;
        if question.count() > 1 {
            lines.push(parts_list(question, self.look.columns));
        } else if !lines.is_empty() {
            // What scrolled away is named again, next to where it is decided.
            let again = format!("{}: {}", question.workstation, question.asked().line());
            lines.push(format!("{}\n", self.look.bold(&again)));
        }
        if lines.is_empty() {
            return Vec::new();
        }
        let prompt = self.prompt(now_ms);
        vec![Draw::Text(format!(
            "{CLEAR_LINE}{}{prompt}",
            lines.concat()
        ))]
    }

    /// A menu's prompt; above it what is chosen, whole, where the prompt has no room for it.
    fn open(&mut self, menu: Menu, now_ms: u64) -> Vec<Draw> {
        let Some(question) = self.waiting.front() else {
            return Vec::new();
        };
        let (strong, weak) = menu.prompt(question);
        let room = self.room_before(&self.time_left(question, now_ms));
        if columns_of(&strong) + columns_of(&weak) <= room {
            return vec![Draw::Text(self.prompt(now_ms))];
        }
        let what = wrapped("", &menu.what(question), self.look.columns);
        if let Some(shown) = &mut self.shown {
            shown.said_rows = shown.said_rows.saturating_add(what.lines().count());
        }
        // Where the question is said again, what is chosen stands below it.
        let (again, prompt) = (self.again(), self.prompt(now_ms));
        vec![Draw::Text(format!("{again}{CLEAR_LINE}{what}{prompt}"))]
    }

    fn redraw(&self, now_ms: u64) -> Vec<Draw> {
        match &self.shown {
            Some(shown) if shown.state != State::Decided => {
                vec![Draw::Text(self.prompt(now_ms))]
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// The last line, written over itself each second.
    fn prompt(&self, now_ms: u64) -> String {
        let (Some(question), Some(shown)) = (self.waiting.front(), &self.shown) else {
            return String::new();
        };
        let (strong, weak) = match shown.state {
            State::Open | State::Decided => menu::prompt(question),
            State::Choosing(menu) => menu.prompt(question),
        };
        let left = self.time_left(question, now_ms);
        // One line whatever it says: it is written over itself.
        let (strong, weak) = fit(&strong, &weak, self.room_before(&left));
        format!("{CLEAR_LINE}{}{weak}  {left}", self.look.bold(&strong))
    }

    fn time_left(&self, question: &Question, now_ms: u64) -> String {
        let left_ms = question.deadline_ms().saturating_sub(now_ms);
        let left_s = left_ms.div_ceil(1_000);
        let others = match self.waiting.len() {
            0 | 1 => String::new(),
            2 => ", 1 more waits".to_owned(),
            count => format!(", {} more wait", count.saturating_sub(1)),
        };
        format!("{left_s} s left{others} ")
    }

    /// The columns of the last line that the time left does not take.
    fn room_before(&self, left: &str) -> usize {
        self.look.columns.saturating_sub(columns_of(left) + 2)
    }
}

/// 400 ms: a person needs longer than this to read a word and press a key, so what
/// comes sooner was meant for what stood there before.
pub const GRACE_MS: u64 = 400;

/// User, host, host key and its second line are shown on any screen.
const ROWS_MIN: usize = 8;
/// How a question ended stands below its rows.
const HOW_COLUMN: usize = 2;
/// To the first column, and erase to the end of the line (ECMA-48 EL).
const CLEAR_LINE: &str = "\r\x1b[K";

#[cfg(test)]
mod tests;
