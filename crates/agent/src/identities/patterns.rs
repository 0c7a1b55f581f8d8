//! `identities.toml` in the agent's configuration folder: which identities `ssh` is offered where.
//!
//! **Invariant:** what is not understood is refused whole, with its line. A pattern says who may
//! be offered; what is derived is always the text that stands in the file, or the login's own.

use keystead_core::{
    Curve, Derivation, Identity, IdentityError, IdentityParts, Protocol, is_unsafe_to_show,
};
use keystead_formats::ssh::pattern::list_matches;
use serde::Deserialize;
use toml::Spanned;

/// The file, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    rules: Vec<Rule>,
}

/// One `[[identity]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Patterns of accounts; none fits all.
    users: Vec<String>,
    /// Patterns of hosts, as typed.
    hosts: Vec<String>,
    /// None derives each login's own.
    identity: Option<IdentityParts>,
    curve: Curve,
    index: u32,
    keeper: Option<String>,
}

/// Where somebody logs in, as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The account, if it was named.
    pub user: Option<String>,
    /// The host, as typed.
    pub host: String,
    /// The port, if it was named.
    pub port: Option<u16>,
}

/// What is offered for a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Whose key.
    pub identity: Identity,
    /// At which keeper, where the file says so.
    pub keeper: Option<String>,
}

impl Patterns {
    /// Reads the file's text. `curve` is that of rules that name none.
    ///
    /// # Errors
    /// [`PatternsError`] names the line and what is wrong with it.
    pub fn parse(text: &str, curve: Curve) -> Result<Self, PatternsError> {
        let file: File = toml::from_str(text).map_err(|source| PatternsError {
            line: source.span().and_then(|span| line_at(text, span.start)),
            message: source.message().to_owned(),
        })?;
        if file.identity.len() > RULES_MAX {
            let message = format!("more than {RULES_MAX} identities");
            return Err(PatternsError {
                line: None,
                message,
            });
        }
        let rules = file.identity.into_iter().map(|said| {
            let line = line_at(text, said.span().start);
            Rule::of(said.into_inner(), curve).map_err(|message| PatternsError { line, message })
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Says the file anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is offered for a login, in the order of the file, none twice. What a rule derives of a
    /// login that is no identity is left out.
    #[must_use]
    pub fn offers(&self, login: &Login) -> Vec<Offer> {
        let mut offers: Vec<Offer> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.fits(login)) {
            let Ok(identity) = rule.identity(login) else {
                continue;
            };
            if offers.len() < OFFERS_MAX && !offers.iter().any(|it| it.identity == identity) {
                let keeper = rule.keeper.clone();
                offers.push(Offer { identity, keeper });
            }
        }
        offers
    }
}

impl Rule {
    fn of(said: Said, default: Curve) -> Result<Self, String> {
        let (users, hosts) = match said.host.rsplit_once('@') {
            Some((users, hosts)) => (words(users), words(hosts)),
            None => (Vec::new(), words(&said.host)),
        };
        if hosts.is_empty() {
            return Err("host: no pattern in it".to_owned());
        }
        if said.host.chars().any(is_unsafe_to_show) {
            return Err("host: a character that cannot be shown".to_owned());
        }
        if let Some(never) = hosts.iter().chain(&users).find(|it| never_fits(it)) {
            return Err(format!(
                "host: {never:?} fits nothing; a pattern is [user@]host, without protocol, port \
                 and brackets"
            ));
        }
        let curve = match said.curve {
            Some(curve) => curve.parse().map_err(|error| format!("curve: {error}"))?,
            None => default,
        };
        let of_identity = |error: IdentityError| format!("identity: {error}");
        let identity = match said.identity {
            Some(text) => Some(IdentityParts::parse(&text).map_err(of_identity)?),
            None => None,
        };
        if let Some(other) = identity.as_ref().and_then(|it| it.protocol.as_deref())
            && other != Protocol::Ssh.as_str()
        {
            return Err(format!("identity: {other}:// is not for ssh"));
        }
        let index = said.index.unwrap_or_default();
        let probe = identity.clone().unwrap_or_else(|| IdentityParts {
            host: "host".to_owned(),
            ..IdentityParts::default()
        });
        // What stands in the file must be one, whoever logs in.
        Identity::new(probe.uri(Protocol::Ssh), curve, index, Derivation::Sign)
            .map_err(of_identity)?;
        Ok(Self {
            users,
            hosts,
            identity,
            curve,
            index,
            keeper: said.keeper,
        })
    }

    fn fits(&self, login: &Login) -> bool {
        // An account that was not typed comes from `ssh_config` or is the person's own: nobody
        // here knows it, so it is no reason to offer nothing.
        let user = login.user.as_deref();
        let fits = |patterns: &[String], name: &str| {
            list_matches(patterns.iter().map(String::as_str), name)
        };
        (self.users.is_empty() || user.is_none_or(|user| fits(&self.users, user)))
            && (fits(&self.hosts, &login.host)
                || fits(&self.hosts, &login.host.to_ascii_lowercase()))
    }

    /// The account that the rule is for, where it is one.
    fn only_user(&self) -> Option<String> {
        match self.users.as_slice() {
            [user] if !user.contains(['*', '?', '!']) => Some(user.clone()),
            _ => None,
        }
    }

    fn identity(&self, login: &Login) -> Result<Identity, IdentityError> {
        let parts = self.identity.clone().unwrap_or_else(|| IdentityParts {
            protocol: None,
            user: login.user.clone().or_else(|| self.only_user()),
            host: match login.host.contains(':') {
                // An IPv6 address.
                true => format!("[{}]", login.host),
                false => login.host.clone(),
            },
            port: login.port.map(|it| it.to_string()),
            path: None,
        });
        let uri = parts.uri(Protocol::Ssh);
        Identity::new(uri, self.curve, self.index, Derivation::Sign)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    identity: Vec<Spanned<Said>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    host: String,
    identity: Option<String>,
    curve: Option<String>,
    index: Option<u32>,
    keeper: Option<String>,
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct PatternsError {
    /// Where, counted from 1.
    pub line: Option<usize>,
    /// What.
    pub message: String,
}

fn words(patterns: &str) -> Vec<String> {
    let words = patterns.split([',', ' ']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// No account is written so and no host; of colons an IPv6 address has two and more.
fn never_fits(pattern: &str) -> bool {
    pattern.contains(['/', '[', ']']) || pattern.matches(':').count() == 1
}

fn line_at(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    Some(before.matches('\n').count() + 1)
}

/// The file's name.
pub const FILE_NAME: &str = "identities.toml";

/// 4,096: as many as are remembered.
const RULES_MAX: usize = 4_096;

/// 6 offers: servers hang up after as many tries (`MaxAuthTries`).
const OFFERS_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, host: &str, port: Option<u16>) -> Login {
        Login {
            user: (!user.is_empty()).then(|| user.to_owned()),
            host: host.to_owned(),
            port,
        }
    }

    fn read(text: &str) -> Result<Patterns, PatternsError> {
        Patterns::parse(text, Curve::Nist256p1)
    }

    #[track_caller]
    fn check(text: &str, login: &Login, expected: &[&str]) {
        let offers = read(text).unwrap().offers(login);
        let said: Vec<String> = offers.iter().map(|it| it.identity.to_string()).collect();
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn each_login_its_own_or_the_one_that_stands_there() {
        let own = "[[identity]]\nhost = \"*.example.com\"\ncurve = \"ed25519\"\n";
        let db1 = login("alex", "db1.example.com", None);
        check(own, &db1, &["ssh://alex@db1.example.com ed25519"]);
        let port = login("alex", "db1.example.com", Some(2222));
        check(own, &port, &["ssh://alex@db1.example.com:2222 ed25519"]);
        let six = login("alex", "2001:db8::1", Some(2222));
        let any = "[[identity]]\nhost = \"*\"\n";
        check(any, &six, &["ssh://alex@[2001:db8::1]:2222 nist256p1"]);
        let ours = "[[identity]]\nhost = \"2001:db8:*\"\nidentity = \"ssh://alex@home\"\n";
        check(ours, &six, &["ssh://alex@home nist256p1"]);
        let nobody = login("", "db1.example.com", None);
        check(own, &nobody, &["ssh://db1.example.com ed25519"]);
        check(own, &login("alex", "example.org", None), &[]);
        let one = "[[identity]]\nhost = \"alex,root@db* !db2*\"\n\
            identity = \"alex@home\"\nindex = 3\nkeeper = \"phone\"\n";
        check(one, &db1, &["ssh://alex@home index 3 nist256p1"]);
        check(one, &login("carol", "db1", None), &[]);
        check(one, &login("root", "db2.example.com", None), &[]);
        check(
            one,
            &login("", "db1", None),
            &["ssh://alex@home index 3 nist256p1"],
        );
        let alex = "[[identity]]\nhost = \"alex@db*\"\n";
        check(alex, &login("", "db1", None), &["ssh://alex@db1 nist256p1"]);
        check(alex, &login("root", "db1", None), &[]);
        let both = format!("{one}{own}{own}");
        let expected = [
            "ssh://alex@home index 3 nist256p1",
            "ssh://alex@db1.example.com ed25519",
        ];
        check(&both, &db1, &expected);
        let offers = read(one).unwrap().offers(&db1);
        assert_eq!(offers[0].keeper.as_deref(), Some("phone"));
    }

    #[test]
    fn hosts_are_compared_as_typed_or_in_small_letters_and_derived_as_typed() {
        let text = "[[identity]]\nhost = \"db*\"\n";
        check(text, &login("", "DB1", None), &["ssh://DB1 nist256p1"]);
    }

    #[test]
    fn a_login_that_is_no_identity_gets_none() {
        let text = "[[identity]]\nhost = \"*\"\n";
        check(text, &login("", "k\u{f6}ln", None), &[]);
    }

    #[test]
    fn files_that_are_refused() {
        let check = |text: &str, part: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("[[identity]]\n", "line 1: missing field `host`");
        check("\n[[identity]]\nhost = \"\"\n", "line 2: host: no pattern");
        check("[[identity]]\nhost = \"alex@\"\n", "host: no pattern");
        check(
            "[[identity]]\nhost = \"*\"\ncurve = \"p256\"\n",
            "curve: unknown curve",
        );
        let secp = "[[identity]]\nhost = \"*\"\ncurve = \"secp256k1\"\n";
        check(secp, "SSH has no type of key on secp256k1");
        let none = "[[identity]]\nhost = \"*\"\nidentity = \"alex@\"\n";
        check(none, "an identity cannot be empty");
        let age = "[[identity]]\nhost = \"*\"\nidentity = \"age://backup\"\n";
        check(age, "line 1: identity: age:// is not for ssh");
        for never in [
            "root@db1:22",
            "ssh://db1",
            "ssh://root@db1",
            "db1/x",
            "[::1]",
        ] {
            let rule = format!("[[identity]]\nhost = \"db* {never}\"\n");
            check(&rule, "fits nothing; a pattern is [user@]host");
        }
        check(
            "[[identity]]\nhost = \"*\"\nhosts = 1\n",
            "unknown field `hosts`",
        );
        check("curve = \"ed25519\"\n", "unknown field `curve`");
        let many = "[[identity]]\nhost = \"*\"\n".repeat(RULES_MAX + 1);
        check(&many, "more than 4096 identities");
        assert!(read("").unwrap().is_empty());
    }
}
