//! What `ssh -G` says of a host, as far as keys are concerned.

use std::path::{Path, PathBuf};

/// ssh's configuration for one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SshView {
    /// `IdentityAgent`, where it is set.
    pub(super) agent: Option<String>,
    pub(super) identities_only: bool,
    /// `IdentityFile`, as written.
    pub(super) identity_files: Vec<String>,
    pub(super) pubkey: Pubkey,
}

/// `PubkeyAuthentication`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pubkey {
    #[default]
    Bound,
    /// The host's key is not signed along.
    Unbound,
    Off,
}

impl SshView {
    /// Reads the output.
    pub(super) fn parse(text: &str) -> Self {
        let mut view = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            match name {
                "identityagent" => view.agent = Some(value.to_owned()),
                "identitiesonly" => view.identities_only = value == "yes",
                "identityfile" => view.identity_files.push(value.to_owned()),
                "pubkeyauthentication" => {
                    view.pubkey = match value {
                        "unbound" => Pubkey::Unbound,
                        "no" | "false" => Pubkey::Off,
                        _ => Pubkey::Bound,
                    }
                }
                _ => {}
            }
        }
        view
    }

    /// The agent that ssh asks, by its socket; `variable` is `SSH_AUTH_SOCK`.
    pub(super) fn asked<'a>(&'a self, variable: Option<&'a str>) -> Option<&'a str> {
        match self.agent.as_deref() {
            None | Some("SSH_AUTH_SOCK") => variable,
            Some("none") => None,
            Some(path) => Some(path),
        }
        .filter(|path| !path.is_empty())
    }

    /// Does a line say that no key file stands for those that ssh tries by itself?
    pub(super) fn ignores_key_files(&self) -> bool {
        let mut files = self.identity_files.iter();
        files.any(|it| it.eq_ignore_ascii_case("none"))
    }

    /// The identity files as paths.
    pub(super) fn identity_paths(&self, home: &Path) -> Vec<PathBuf> {
        let path = |file: &String| {
            let below = file.strip_prefix("~/").or_else(|| file.strip_prefix("%d/"));
            below.map_or_else(|| PathBuf::from(file), |below| home.join(below))
        };
        let files = self.identity_files.iter();
        let named = files.filter(|it| !it.eq_ignore_ascii_case("none"));
        named.map(path).collect()
    }
}

/// The hosts that a configuration names whole, without a pattern; at most [`HOSTS_MAX`].
pub(super) fn named_hosts(config: &str) -> Vec<&str> {
    let mut hosts = Vec::new();
    for line in config.lines() {
        let mut words = line
            .split([' ', '\t', '=', '"'])
            .filter(|word| !word.is_empty());
        if !words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("host"))
        {
            continue;
        }
        let plain = words.filter(|word| !word.contains(['*', '?', '!', '#']));
        // What begins so would be an option of ssh.
        for host in plain.filter(|word| !word.starts_with('-')) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    hosts.truncate(HOSTS_MAX);
    hosts
}

/// ssh needs some milliseconds for each.
const HOSTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says() {
        let view = SshView::parse(
            "host a\nidentitiesonly yes\npubkeyauthentication unbound\n\
             identityagent /run/a b/ssh.sock\nidentityfile ~/.ssh/id\nidentityfile %d/x\n\
             identityfile /k\nidentityfile none\n",
        );
        assert_eq!(view.asked(Some("/other")), Some("/run/a b/ssh.sock"));
        assert!(view.identities_only);
        assert_eq!(view.pubkey, Pubkey::Unbound);
        let paths = ["/home/a/.ssh/id", "/home/a/x", "/k"].map(PathBuf::from);
        assert_eq!(view.identity_paths(Path::new("/home/a")), paths);
        assert!(view.ignores_key_files());
        assert!(!SshView::parse("identityfile /none\n").ignores_key_files());
    }

    #[test]
    fn the_variable_counts_where_the_configuration_says_nothing_or_names_it() {
        for (text, expected) in [
            ("", Some("/v")),
            ("identityagent SSH_AUTH_SOCK\n", Some("/v")),
            ("identityagent none\n", None),
            ("identityagent /a\n", Some("/a")),
        ] {
            assert_eq!(SshView::parse(text).asked(Some("/v")), expected, "{text}");
        }
        assert_eq!(SshView::parse("").asked(Some("")), None);
        assert_eq!(SshView::parse("").asked(None), None);
    }

    #[test]
    fn hosts_are_named_without_patterns() {
        let config =
            "User x\nHost a b *.c !d\n  HostName e\nhost=f\nHost \"g\"\nHost -oX\n#Host h\n";
        assert_eq!(named_hosts(config), ["a", "b", "f", "g"]);
    }
}
