//! A measured figure and whether it is reached.

/// What was promised of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing was: it is shown beside the others.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: String,
    bound: Bound,
}

impl Figure {
    pub(super) fn new(name: &str, value: f64, unit: &str, bound: Bound) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            bound,
        }
    }

    /// Reads `figure NAME VALUE UNIT at-most|at-least|no-limit TARGET`, as the crates'
    /// own benchmarks print it.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_prefix("figure ")?.split_whitespace().collect();
        let [name @ .., value, unit, bound, target] = words.as_slice() else {
            return None;
        };
        let target = target.parse().ok()?;
        let bound = match *bound {
            "at-most" => Bound::AtMost(target),
            "at-least" => Bound::AtLeast(target),
            "no-limit" => Bound::None,
            _ => return None,
        };
        Some(Self::new(&name.join(" "), value.parse().ok()?, unit, bound))
    }

    /// A value that is no number reaches nothing.
    pub(super) fn is_reached(&self) -> bool {
        match self.bound {
            Bound::AtMost(target) => self.value <= target,
            Bound::AtLeast(target) => self.value >= target,
            Bound::None => !self.value.is_nan(),
        }
    }
}

/// All of them for a person.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let bound = match figure.bound {
            Bound::AtMost(target) => format!("≤ {target:<7}"),
            Bound::AtLeast(target) => format!("≥ {target:<7}"),
            Bound::None => " ".repeat(9),
        };
        let verdict = match (figure.is_reached(), figure.bound) {
            (false, _) => "NOT REACHED",
            (true, Bound::None) => "shown",
            (true, _) => "reached",
        };
        let Figure {
            name, value, unit, ..
        } = figure;
        // Of small figures the second digit says little.
        let digits = if value.abs() < 1.0 { 4 } else { 2 };
        text.push_str(&format!(
            "{name:<44} {value:>9.digits$} {unit:<4} {bound} {verdict}\n"
        ));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(f64, bool)>) {
        let figure = Figure::parse(line);
        assert_eq!(
            figure.map(|f| (f.value, f.is_reached())),
            expected,
            "{line}"
        );
    }

    #[test]
    fn lines_are_read_and_judged() {
        check(
            "figure base stream / TLS 1.12 × at-least 1.0",
            Some((1.12, true)),
        );
        check("figure rss 70.5 MiB at-most 64", Some((70.5, false)));
        check("figure rss 64 MiB at-most 64", Some((64.0, true)));
        check("figure rss 70.5 MiB no-limit 0", Some((70.5, true)));
        check("figure rss many MiB at-most 64", None);
        check("figure rss 1 MiB about 64", None);
        check("figure 1", None);
        check("other", None);
        for bound in [Bound::AtMost(1.0), Bound::None] {
            assert!(!Figure::new("x", f64::NAN, "", bound).is_reached());
        }
    }
}
