//! `policy …`

use clap::{Args, Subcommand};

use super::Reading;

#[derive(Subcommand)]
pub(crate) enum Policy {
    /// Show the rules.
    Show(Reading),
    /// Set a rule.
    Set {
        #[command(flatten)]
        rule: Rule,
        /// Its value.
        #[arg(required = true)]
        value: Vec<String>,
    },
    /// Take a rule away: what it forbade is asked for again.
    Unset(Rule),
}

/// Which rule.
#[derive(Args)]
pub(crate) struct Rule {
    /// For this key alone, by name [default: for all keys].
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// The rule's name.
    pub(crate) name: String,
}
