//! Where an `ssh` command line says it goes (ssh(1), SYNOPSIS). A candidate for a name, not a
//! proof: the command line belongs to the process that asks.

use super::known_hosts::name_with_port;

/// What `ssh`'s arguments name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destination {
    /// Host, or alias of one, as typed.
    pub host: String,
    /// `user@`, `-l` or `-o User`.
    pub user: Option<String>,
    /// `-p`, `-o Port` or the URI's.
    pub port: Option<u16>,
    /// `-o HostName`: the real name behind an alias.
    pub host_name: Option<String>,
    /// `-o HostKeyAlias`: the name to look up in `known_hosts`.
    pub host_key_alias: Option<String>,
    /// `-o UserKnownHostsFile`, `-o GlobalKnownHostsFile`: several each, as typed.
    pub known_hosts_files: Vec<String>,
    /// `-F`: the configuration in place of the person's own; `none` for none.
    pub config_file: Option<String>,
}

impl Destination {
    /// Reads the arguments of `ssh`, the program's name first. None if they name no host or hold
    /// an option that this version of ssh(1) does not have.
    #[must_use]
    pub fn parse(arguments: &[&str]) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = arguments.iter().copied().skip(1);
        // ssh(1) takes options on both sides of the host; what follows those is the command.
        while let Some(argument) = rest.next() {
            let options_end = argument == "--";
            let argument = if options_end { rest.next()? } else { argument };
            if !options_end && argument.len() > 1 && argument.starts_with('-') {
                found.take_options(argument.get(1..)?, &mut rest)?;
            } else if found.host.is_empty() {
                found.take_host(argument)?;
            } else {
                break;
            }
            if options_end {
                break;
            }
        }
        (!found.host.is_empty()).then_some(found)
    }

    /// Names to look for in `known_hosts`, the likeliest first.
    #[must_use]
    pub fn candidates(&self) -> Vec<String> {
        let port = self.port.unwrap_or(22);
        let mut names = Vec::new();
        if let Some(alias) = &self.host_key_alias {
            names.push(alias.to_ascii_lowercase());
        }
        for host in [self.host_name.as_ref(), Some(&self.host)]
            .into_iter()
            .flatten()
        {
            let name = name_with_port(host, port);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// One word of options: flags may be joined, and an option's value may be joined to it.
    fn take_options<'a>(
        &mut self,
        word: &'a str,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Option<()> {
        let mut letters = word.chars();
        while let Some(letter) = letters.next() {
            if FLAGS.contains(letter) {
                continue;
            }
            if !OPTIONS_WITH_VALUE.contains(letter) {
                return None;
            }
            let joined = letters.as_str();
            let value = if joined.is_empty() {
                rest.next()?
            } else {
                joined
            };
            return self.take_option(letter, value);
        }
        Some(())
    }

    /// The first value of a setting counts, as in ssh_config(5).
    fn take_option(&mut self, letter: char, value: &str) -> Option<()> {
        match letter {
            // ssh(1) goes by the last one.
            'F' => self.config_file = Some(value.to_owned()),
            'l' => first(&mut self.user, value.to_owned()),
            'p' => first(&mut self.port, value.parse().ok()?),
            'o' => {
                let (keyword, value) = value.trim().split_once(['=', ' ', '\t'])?;
                let value = value.trim_matches([' ', '\t', '=', '"']);
                match keyword.to_ascii_lowercase().as_str() {
                    "user" => first(&mut self.user, value.to_owned()),
                    "port" => first(&mut self.port, value.parse().ok()?),
                    "hostname" => first(&mut self.host_name, value.to_owned()),
                    "hostkeyalias" => first(&mut self.host_key_alias, value.to_owned()),
                    "userknownhostsfile" | "globalknownhostsfile" => {
                        let files = value.split_ascii_whitespace().map(str::to_owned);
                        let room =
                            KNOWN_HOSTS_FILES_MAX.saturating_sub(self.known_hosts_files.len());
                        self.known_hosts_files.extend(files.take(room));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        Some(())
    }

    /// `host`, `user@host` or `ssh://user@host:port`.
    fn take_host(&mut self, argument: &str) -> Option<()> {
        let (user, host, port) = match argument.strip_prefix("ssh://") {
            Some(uri) => split_uri(uri)?,
            None => match argument.rsplit_once('@') {
                Some((user, host)) => (Some(user), host, None),
                None => (None, argument, None),
            },
        };
        if host.is_empty() {
            return None;
        }
        host.clone_into(&mut self.host);
        if let Some(user) = user {
            first(&mut self.user, user.to_owned());
        }
        if let Some(port) = port {
            first(&mut self.port, port);
        }
        Some(())
    }
}

/// `user@host:port/`, the host perhaps an IPv6 address in brackets.
fn split_uri(uri: &str) -> Option<(Option<&str>, &str, Option<u16>)> {
    let uri = uri.strip_suffix('/').unwrap_or(uri);
    let (user, place) = match uri.rsplit_once('@') {
        // RFC 3986 allows connection parameters behind `;`; ssh(1) uses none.
        Some((user, place)) => (user.split(';').next(), place),
        None => (None, uri),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, tail) = bracketed.split_once(']')?;
            (host, tail.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => None,
    };
    Some((user, host, port))
}

fn first<T>(setting: &mut Option<T>, value: T) {
    if setting.is_none() {
        *setting = Some(value);
    }
}

/// The options of `main()` in `ssh.c` of OpenSSH 10 that take no value.
const FLAGS: &str = "1246AaCfGgKkMNnqsTtVvXxYy";
/// ssh_config(5) sets no limit; nobody names more than a few.
const KNOWN_HOSTS_FILES_MAX: usize = 8;
/// Those that take one.
const OPTIONS_WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, user: &str, candidates: &[&str]) {
        let arguments: Vec<&str> = line.split(' ').collect();
        let destination = Destination::parse(&arguments).expect(line);
        assert_eq!(
            destination.user.as_deref().unwrap_or_default(),
            user,
            "{line}"
        );
        assert_eq!(destination.candidates(), candidates, "{line}");
    }

    #[test]
    fn command_lines() {
        check("ssh host", "", &["host"]);
        check("ssh alex@Host", "alex", &["host"]);
        check("ssh a@b@host true", "a@b", &["host"]);
        check(
            "ssh -l alex -p 2222 host true -p 1",
            "alex",
            &["[host]:2222"],
        );
        check("ssh -lalex -p2222 host", "alex", &["[host]:2222"]);
        check("ssh -vvAl alex host", "alex", &["host"]);
        check("ssh host -p 2222", "", &["[host]:2222"]);
        check(
            "ssh -o User=alex -oPort=2222 host",
            "alex",
            &["[host]:2222"],
        );
        check("ssh -l alex b@host", "alex", &["host"]);
        check("ssh -o HostName=10.0.0.1 web", "", &["10.0.0.1", "web"]);
        check(
            "ssh -o HostKeyAlias=Web -p 1 10.0.0.1",
            "",
            &["web", "[10.0.0.1]:1"],
        );
        check("ssh ssh://alex@host:2222/ ls", "alex", &["[host]:2222"]);
        check("ssh ssh://alex;x=y@[::1]:2222", "alex", &["[::1]:2222"]);
        check("ssh ssh://host", "", &["host"]);
        check(
            "ssh -x -oForwardAgent=no -l alex -- host scp",
            "alex",
            &["host"],
        );
        check(
            "/usr/bin/ssh -o SendEnv=GIT_PROTOCOL git@example.org git-upload-pack",
            "git",
            &["example.org"],
        );
    }

    #[test]
    fn known_hosts_files() {
        let arguments = [
            "ssh",
            "-oUserKnownHostsFile=/a ~/b",
            "-o",
            "GlobalKnownHostsFile /c",
            "h",
        ];
        let destination = Destination::parse(&arguments).unwrap();
        assert_eq!(destination.known_hosts_files, ["/a", "~/b", "/c"]);
    }

    #[test]
    fn the_last_configuration_counts_and_the_first_of_other_settings() {
        let line = "ssh -F a -p 23 -F b -p 24 -l alex root@h";
        let arguments: Vec<&str> = line.split(' ').collect();
        let destination = Destination::parse(&arguments).unwrap();
        assert_eq!(destination.config_file.as_deref(), Some("b"));
        assert_eq!(
            (destination.port, destination.user.as_deref()),
            (Some(23), Some("alex"))
        );
    }

    #[test]
    fn command_lines_that_name_no_host() {
        for line in [
            "ssh",
            "ssh -V",
            "ssh -p",
            "ssh -p x host",
            "ssh -9 host",
            "ssh a@",
            "ssh ssh://",
            "ssh ssh://h:x",
            "ssh --",
            "ssh -o Port",
        ] {
            let arguments: Vec<&str> = line.split(' ').collect();
            assert_eq!(Destination::parse(&arguments), None, "{line}");
        }
        assert_eq!(Destination::parse(&[]), None);
    }
}
