//! `policy …`

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Policy {
    Show(ShowPolicy),
    /// Set a rule.
    #[command(after_long_help = RULES)]
    Set {
        #[command(flatten)]
        rule: Rule,
        /// `ask` or `refuse`; or what is permitted, several by commas or blanks.
        #[arg(required = true)]
        value: Vec<String>,
    },
    /// Take a rule away: what it forbade is asked for again.
    #[command(after_long_help = RULES)]
    Unset(Rule),
}

/// Show the rules.
#[derive(Args)]
pub(crate) struct ShowPolicy {
    /// Of a key at this key server.
    #[arg(long, value_name = "NAME", requires = "key")]
    pub(crate) server: Option<String>,
    /// Which key, with --server.
    #[arg(long, requires = "server")]
    pub(crate) key: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which rule.
#[derive(Args)]
pub(crate) struct Rule {
    /// For this key alone, by name [default: for all keys].
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Have this key server keep the rule, for the key that is named.
    #[arg(long, value_name = "NAME", requires = "key")]
    pub(crate) server: Option<String>,
    /// The rule's name (`keystead policy set --help` explains them).
    #[arg(value_name = "RULE")]
    pub(crate) name: String,
}

/// What `agent::policy::Rule` has; a test compares the two.
const RULES: &str = "\
Rules:
  purposes    which kinds of signature: ssh-login, git-commit, ssh-sig, ssh-certificate
  namespaces  which namespaces of `ssh-keygen -Y sign`, as patterns: git, file, *@example.org
  users       which users may be logged in as, as patterns
  hosts       which hosts may be logged in to, as patterns of the names they have proved
  unbound     logins whose host has not proved itself: ask or refuse
  forwarded   whatever comes through a forwarded agent (ssh -A): ask or refuse
  background  what programs without a terminal want: ask or refuse
  opaque      bytes that nobody can read: refuse or ask

A rule for a key (--key) takes the place of the one for all keys.

Rules that a key server keeps (--server, --key); all of them must hold:
  users      whom logins may be for
  hosts      where to: names from known_hosts, or SHA256:…
  namespaces which namespaces of `ssh-keygen -Y sign`
  unproved   logins that do not name their host: allow or refuse
  hours      in UTC: mon-fri 08:00-18:00; 22:00-06:00 ends on the next day
  count      signatures an hour
  approvers  whose approval is wanted: phone, or 2 of phone tablet";

#[cfg(test)]
mod tests {
    use keystead_agent::policy::Rule;

    use super::RULES;
    use crate::commands::server_policy;

    #[test]
    fn the_help_explains_every_rule() {
        let (here, there) = RULES.split_once("\n\nRules that").unwrap();
        let explained = |text: &'static str| -> Vec<&'static str> {
            let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
            lines.filter_map(|line| line.split(' ').next()).collect()
        };
        assert_eq!(explained(here), Rule::ALL.map(Rule::as_str));
        assert_eq!(
            explained(there),
            server_policy::Rule::ALL.map(server_policy::Rule::name)
        );
    }
}
