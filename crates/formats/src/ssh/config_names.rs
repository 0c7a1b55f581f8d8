//! What an `ssh_config` text says of hosts' names and of `known_hosts` files (ssh_config(5)).
//!
//! **Invariant:** candidates only. Which `Host` block holds is not worked out: a name that does
//! not belong to the host's key is dropped later, by `known_hosts`.

use super::destination::Destination;
use super::known_hosts::name_with_port;

/// The values of all blocks, in the order of the file, each list bounded.
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
}

impl ConfigNames {
    /// Reads the text; lines that say nothing of names are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names = Self::default();
        for line in text.lines() {
            let Some((keyword, value)) = line.trim().split_once([' ', '\t', '=']) else {
                continue;
            };
            let value = value.trim_matches([' ', '\t', '=', '"']);
            match keyword.to_ascii_lowercase().as_str() {
                "hostname" => keep(&mut names.host_names, value.to_owned()),
                "hostkeyalias" => keep(&mut names.host_key_aliases, value.to_owned()),
                "port" => {
                    if let Ok(port) = value.parse() {
                        keep(&mut names.ports, port);
                    }
                }
                "userknownhostsfile" | "globalknownhostsfile" => value
                    .split_ascii_whitespace()
                    .for_each(|file| keep(&mut names.known_hosts_files, file.to_owned())),
                _ => {}
            }
        }
        names
    }

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
        for host in hosts.chain([typed.to_owned()]) {
            ports
                .iter()
                .for_each(|port| add(name_with_port(&host, *port)));
        }
        candidates
    }
}

fn keep<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if values.len() < VALUES_MAX && !values.contains(&value) {
        values.push(value);
    }
}

/// Some hundred hosts a person has names for.
const VALUES_MAX: usize = 128;

/// Each is tried on every hashed line of the same key, of which there are a few.
const CANDIDATES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, line: &str, expected: &[&str]) {
        let arguments: Vec<&str> = line.split(' ').collect();
        let destination = Destination::parse(&arguments).unwrap();
        let candidates = ConfigNames::parse(text).candidates(&destination);
        assert_eq!(candidates, expected, "{text}");
    }

    #[test]
    fn names_behind_an_alias() {
        check("", "ssh db", &["db"]);
        let text = "Host db\n  HostName 10.0.0.5\n\tPort=2222\nHost *\n  User alex\n";
        let expected = ["db", "10.0.0.5", "[10.0.0.5]:2222", "[db]:2222"];
        check(text, "ssh db", &expected);
        check(text, "ssh -p 22 db", &["db", "10.0.0.5"]);
        check("HostName %h.test", "ssh web", &["web", "web.test"]);
        check("hostkeyalias \"Web\"", "ssh x", &["x", "web"]);
        check("Port x\nPort\n#HostName y\n", "ssh x", &["x"]);
    }

    #[test]
    fn known_hosts_files() {
        let names = ConfigNames::parse("UserKnownHostsFile ~/a /b\nUserKnownHostsFile=/b /c");
        assert_eq!(names.known_hosts_files, ["~/a", "/b", "/c"]);
    }
}
