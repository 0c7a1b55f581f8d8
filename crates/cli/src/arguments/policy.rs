//! `policy …`

use clap::{Args, Subcommand};

use super::Reading;

#[derive(Subcommand)]
pub(crate) enum Policy {
    /// Show the rules.
    Show(Reading),
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

/// Which rule.
#[derive(Args)]
pub(crate) struct Rule {
    /// For this key alone, by name [default: for all keys].
    #[arg(long)]
    pub(crate) key: Option<String>,
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

A rule for a key (--key) takes the place of the one for all keys.";

#[cfg(test)]
mod tests {
    use keystead_agent::policy::Rule;

    use super::RULES;

    #[test]
    fn the_help_explains_every_rule() {
        let lines = RULES.lines().filter_map(|line| line.strip_prefix("  "));
        let explained: Vec<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(explained, Rule::ALL.map(Rule::as_str));
    }
}
