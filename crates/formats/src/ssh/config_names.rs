//! What an `ssh_config` says of hosts' names and of `known_hosts` files (ssh_config(5)).
//!
//! **Invariant:** candidates only. A name that does not belong to the host's key is dropped later,
//! by `known_hosts`, so a block that may not hold is read too; it only comes later.

use super::destination::Destination;
use super::known_hosts::name_with_port;
use super::pattern::{list_matches, matches};

/// The lines of a configuration that say something of names, those of included files in their
/// place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    items: Vec<Item>,
}

impl Config {
    /// Reads the text of a file; lines that say nothing of names are passed over.
    ///
    /// `include` is given each word behind `Include`, as it stands, and gives back the texts of the
    /// files that it names.
    pub fn read(&mut self, text: &str, include: &mut dyn FnMut(&str) -> Vec<String>) {
        // A file has its own blocks: what stands in front of them holds as the one that names it.
        self.items.push(Item::Enter);
        self.read_file(text, include, 0);
        self.items.push(Item::Leave);
    }

    /// The text of one file that includes none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut config = Self::default();
        config.read(text, &mut |_| Vec::new());
        config
    }

    /// What it says for a destination: of the blocks that hold first, then of those that may.
    #[must_use]
    pub fn names(&self, destination: &Destination) -> ConfigNames {
        let mut settings: Vec<(Fit, &Setting)> = Vec::new();
        let (mut fit, mut base) = (Fit::Yes, Fit::Yes);
        let mut outer = Vec::new();
        for item in &self.items {
            match item {
                Item::Enter => {
                    outer.push((fit, base));
                    base = fit;
                }
                Item::Leave => (fit, base) = outer.pop().unwrap_or((Fit::Yes, Fit::Yes)),
                Item::Host(patterns) => fit = base.max(fit_of_host(patterns, destination)),
                Item::Match(words) => fit = base.max(fit_of_match(words, destination)),
                Item::Setting(setting) => settings.push((fit, setting)),
            }
        }
        settings.sort_by_key(|(fit, _)| *fit);
        let mut names = ConfigNames::default();
        for (_, setting) in settings {
            names.take(setting);
        }
        names
    }

    fn read_file(
        &mut self,
        text: &str,
        include: &mut dyn FnMut(&str) -> Vec<String>,
        depth: usize,
    ) {
        for line in text.lines() {
            if self.items.len() >= ITEMS_MAX {
                return;
            }
            let Some((keyword, words)) = split_line(line) else {
                continue;
            };
            match keyword.as_str() {
                "host" => self.items.push(Item::Host(words)),
                "match" => self.items.push(Item::Match(words)),
                "include" if depth < DEPTH_MAX => {
                    let texts: Vec<String> = words.iter().flat_map(|word| include(word)).collect();
                    for text in texts {
                        self.items.push(Item::Enter);
                        self.read_file(&text, include, depth + 1);
                        self.items.push(Item::Leave);
                    }
                }
                _ => {
                    let setting = Setting::parse(&keyword, words);
                    self.items.extend(setting.map(Item::Setting));
                }
            }
        }
    }
}

/// The values of a configuration, the likeliest first, each list bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigNames {
    /// `HostName`, perhaps with `%h` for the name as typed.
    pub host_names: Vec<String>,
    /// `HostKeyAlias`.
    pub host_key_aliases: Vec<String>,
    /// `Port`.
    pub ports: Vec<u16>,
    /// `UserKnownHostsFile` and `GlobalKnownHostsFile`.
    pub known_hosts_files: Vec<String>,
    /// `CanonicalDomains`.
    pub domains: Vec<String>,
}

impl ConfigNames {
    /// Names of `destination` to look for in `known_hosts`, the likeliest first.
    #[must_use]
    pub fn candidates(&self, destination: &Destination) -> Vec<String> {
        let mut candidates = destination.candidates();
        let mut add = |name: String| {
            if candidates.len() < CANDIDATES_MAX && !candidates.contains(&name) {
                candidates.push(name);
            }
        };
        for alias in &self.host_key_aliases {
            add(alias.to_ascii_lowercase());
        }
        let typed = destination.host.as_str();
        let ports = match destination.port {
            Some(port) => vec![port],
            None => [&[22], self.ports.as_slice()].concat(),
        };
        let hosts = self.host_names.iter().map(|it| it.replace("%h", typed));
        let canonical = self.domains.iter().map(|it| format!("{typed}.{it}"));
        let hosts: Vec<String> = hosts
            .chain([typed.to_owned()])
            .chain(canonical)
            .chain(destination.host_name.clone())
            .collect();
        for host in &hosts {
            ports
                .iter()
                .for_each(|port| add(name_with_port(host, *port)));
        }
        // ssh looks for the name without its port where the one with it is not known.
        hosts.iter().for_each(|host| add(host.to_ascii_lowercase()));
        candidates
    }

    fn take(&mut self, setting: &Setting) {
        match setting {
            Setting::HostName(name) => keep(&mut self.host_names, name),
            Setting::HostKeyAlias(name) => keep(&mut self.host_key_aliases, name),
            Setting::Port(port) => keep(&mut self.ports, port),
            Setting::KnownHosts(files) => {
                files
                    .iter()
                    .for_each(|file| keep(&mut self.known_hosts_files, file));
            }
            Setting::Domains(names) => names.iter().for_each(|name| keep(&mut self.domains, name)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Setting(Setting),
    Host(Vec<String>),
    Match(Vec<String>),
    /// A file begins that the block here includes.
    Enter,
    /// It ends: the block goes on.
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    HostName(String),
    HostKeyAlias(String),
    Port(u16),
    KnownHosts(Vec<String>),
    Domains(Vec<String>),
}

impl Setting {
    fn parse(keyword: &str, words: Vec<String>) -> Option<Self> {
        let first = words.first()?;
        Some(match keyword {
            "hostname" => Self::HostName(first.clone()),
            "hostkeyalias" => Self::HostKeyAlias(first.clone()),
            "port" => Self::Port(first.parse().ok()?),
            "userknownhostsfile" | "globalknownhostsfile" => Self::KnownHosts(words),
            "canonicaldomains" => Self::Domains(words),
            _ => return None,
        })
    }
}

/// Whether a block holds for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Yes,
    /// It depends on what is not known here: a command, the name after canonicalisation.
    Maybe,
    No,
}

fn fit_of_host(patterns: &[String], destination: &Destination) -> Fit {
    let host = destination.host.as_str();
    if list_matches(patterns.iter().map(String::as_str), host) {
        Fit::Yes
    } else {
        Fit::No
    }
}

/// `host` looks at the name after `HostName`, so not to fit the typed one decides nothing.
fn fit_of_match(words: &[String], destination: &Destination) -> Fit {
    let mut fit = Fit::Yes;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (is_negated, criterion) = match word.strip_prefix('!') {
            Some(criterion) => (true, criterion),
            None => (false, word),
        };
        let criterion = criterion.to_ascii_lowercase();
        let (criterion, joined) = match criterion.split_once('=') {
            Some((criterion, value)) => (criterion.to_owned(), Some(value.to_owned())),
            None => (criterion, None),
        };
        let one = match criterion.as_str() {
            "all" => Fit::Yes,
            "canonical" | "final" => Fit::Maybe,
            "host" | "originalhost" => {
                let list = joined.or_else(|| words.next().map(str::to_owned));
                let list = list.unwrap_or_default();
                match list_matches(list.split(','), &destination.host) != is_negated {
                    true => Fit::Yes,
                    false if criterion == "host" => Fit::Maybe,
                    false => Fit::No,
                }
            }
            "user" => {
                let list = joined.or_else(|| words.next().map(str::to_owned));
                let list = list.unwrap_or_default();
                match &destination.user {
                    Some(user) if list_matches(list.split(','), user) == is_negated => Fit::No,
                    Some(_) => Fit::Yes,
                    None => Fit::Maybe,
                }
            }
            _ => {
                if joined.is_none() {
                    words.next();
                }
                Fit::Maybe
            }
        };
        fit = fit.max(one);
    }
    fit
}

/// The keyword in lower case, and the words behind it. Quotes hold a word together, a backslash
/// takes the next quote, blank or backslash as it is, `#` in front of a word ends the line.
fn split_line(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    let end = line.find([' ', '\t', '=', '"'])?;
    let (keyword, rest) = line.split_at_checked(end)?;
    if keyword.is_empty() || keyword.starts_with('#') {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Some((keyword.to_ascii_lowercase(), split_words(rest)))
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => {
                let next = chars.next_if(|next| matches!(next, '"' | '\'' | '\\' | ' '));
                word.get_or_insert_default().push(next.unwrap_or(c));
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Does a file's name fit one word of `Include` (glob(7))? Only `*` and `?` are known; a name
/// with a dot in front fits only a pattern that has one there.
#[must_use]
pub fn includes(pattern: &str, file_name: &str) -> bool {
    file_name.starts_with('.') <= pattern.starts_with('.') && matches(pattern, file_name)
}

fn keep<T: PartialEq + Clone>(values: &mut Vec<T>, value: &T) {
    if values.len() < VALUES_MAX && !values.contains(value) {
        values.push(value.clone());
    }
}

/// Some hundred hosts a person has names for.
const VALUES_MAX: usize = 128;

/// Each is tried on every hashed line of the same key, of which there are a few.
const CANDIDATES_MAX: usize = 256;

/// A long configuration has some thousand lines.
const ITEMS_MAX: usize = 16_384;

/// `READCONF_MAX_DEPTH` of OpenSSH.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(line: &str) -> Destination {
        let arguments: Vec<&str> = line.split(' ').collect();
        Destination::parse(&arguments).unwrap()
    }

    #[track_caller]
    fn check(text: &str, line: &str, expected: &[&str]) {
        let destination = destination(line);
        let names = Config::parse(text).names(&destination);
        assert_eq!(names.candidates(&destination), expected, "{text}");
    }

    #[test]
    fn names_behind_an_alias() {
        check("", "ssh db", &["db"]);
        let text = "Host db\n  HostName 10.0.0.5\n\tPort=2222\nHost *\n  User alex\n";
        let expected = ["db", "10.0.0.5", "[10.0.0.5]:2222", "[db]:2222"];
        check(text, "ssh db", &expected);
        check(text, "ssh -p 22 db", &["db", "10.0.0.5"]);
        check(
            text,
            "ssh -p 23 DB",
            &["[db]:23", "[10.0.0.5]:23", "10.0.0.5", "db"],
        );
        check("HostName %h.test", "ssh web", &["web", "web.test"]);
        check("hostkeyalias \"Web\"", "ssh x", &["x", "web"]);
        check("Port x\nPort\n#HostName y\n", "ssh x", &["x"]);
        check(
            "CanonicalDomains a.test b.test",
            "ssh x",
            &["x", "x.a.test", "x.b.test"],
        );
    }

    #[test]
    fn blocks_that_hold_come_first() {
        let host_names = |text: &str| {
            let names = Config::parse(text).names(&destination("ssh alex@db"));
            names.host_names.join(" ")
        };
        let check = |text, expected| assert_eq!(host_names(text), expected, "{text}");
        check("Host web\nHostName a\nHost d?\nHostName b", "b a");
        check("Host * !db\nHostName a\nHost *\nHostName b", "b a");
        check("Match host db\nHostName a\nMatch exec x\nHostName b", "a b");
        check(
            "Match exec x host db\nHostName a\nMatch all\nHostName b",
            "b a",
        );
        check(
            "Match originalhost web\nHostName a\nMatch host y\nHostName b",
            "b a",
        );
        check(
            "Match user bob\nHostName a\nMatch user a*\nHostName b",
            "b a",
        );
        check(
            "Match !host db\nHostName a\nMatch host=db\nHostName b",
            "b a",
        );
    }

    #[test]
    fn words() {
        let check = |line: &str, expected: Option<&[&str]>| {
            let words = split_line(line).map(|(_, words)| words);
            let words = words
                .as_ref()
                .map(|it| it.iter().map(String::as_str).collect());
            assert_eq!(words, expected.map(<[&str]>::to_vec), "{line}");
        };
        check("Host a b # c", Some(&["a", "b"]));
        check("Host = \"a b\" 'c d'", Some(&["a b", "c d"]));
        check("Host\"a\"", Some(&["a"]));
        check("Host a\\ b \\\\ a\\b", Some(&["a b", "\\", "a\\b"]));
        check("Host \"a", Some(&["a"]));
        check("Host a#b", Some(&["a#b"]));
        check("Host", None);
        check("# Host a", None);
        check("", None);
    }

    #[test]
    fn included_files_stand_where_they_are_named() {
        let mut config = Config::default();
        let mut asked = Vec::new();
        let main = "Include a\nHost web\nInclude \"b c\"\nHostName last\n";
        config.read(main, &mut |word| {
            asked.push(word.to_owned());
            match word {
                "a" => vec!["Host db\nHostName db1\nInclude d".to_owned()],
                "b c" => vec!["HostName inner\nHost db\nHostName never".to_owned()],
                "d" => vec![
                    "HostName db2".to_owned(),
                    "Host web\nHostName web1".to_owned(),
                ],
                _ => Vec::new(),
            }
        });
        assert_eq!(asked, ["a", "d", "b c"], "in the order of the file");
        let names = |line| config.names(&destination(line)).host_names;
        assert_eq!(
            names("ssh db"),
            ["db1", "db2", "web1", "inner", "never", "last"]
        );
        assert_eq!(
            names("ssh web"),
            ["inner", "last", "db1", "db2", "web1", "never"]
        );
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let mut config = Config::default();
        let mut count = 0;
        config.read("Include x", &mut |_| {
            count += 1;
            vec!["HostName a\nInclude x".to_owned()]
        });
        assert_eq!(count, DEPTH_MAX);
    }

    #[test]
    fn known_hosts_files() {
        let text = "UserKnownHostsFile ~/a /b\nUserKnownHostsFile=/b \"/c d\"";
        let names = Config::parse(text).names(&Destination::default());
        assert_eq!(names.known_hosts_files, ["~/a", "/b", "/c d"]);
    }

    #[test]
    fn included_names() {
        let check = |pattern, name, expected| assert_eq!(includes(pattern, name), expected);
        check("*.conf", "a.conf", true);
        check("*.conf", "a.conf~", false);
        check("*", ".hidden", false);
        check(".*", ".hidden", true);
        check("config", "config", true);
    }
}
