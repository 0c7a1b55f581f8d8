//! `policy …`: rules of this machine, which the agent keeps. They narrow, nothing else.

use std::path::Path;

use keystead_agent::control::{Command, PolicyRule, Reply};
use serde_json::json;

use crate::agent_link::{self, unexpected};
use crate::arguments::{Rule, ShowPolicy};
use crate::commands::server_policy;
use crate::failure::Failure;
use crate::terminal::{Table, print_json, say};

/// `policy show [--json]`
pub(crate) fn show(wanted: &ShowPolicy) -> Result<(), Failure> {
    if let (server @ Some(_), Some(key)) = (wanted.server.as_deref(), &wanted.key) {
        return server_policy::show(server, key, wanted.json);
    }
    ask(&Command::Policy {}, wanted.json)
}

/// `policy set [--key KEY] RULE VALUE…`
pub(crate) fn set(rule: &Rule, value: &[String]) -> Result<(), Failure> {
    if let (server @ Some(_), Some(key)) = (rule.server.as_deref(), &rule.key) {
        return server_policy::set(server, key, &rule.name, value);
    }
    let command = Command::SetPolicy {
        key: rule.key.clone(),
        rule: rule.name.clone(),
        value: value.join(","),
    };
    ask(&command, false)
}

/// `policy unset [--key KEY] RULE`
pub(crate) fn unset(rule: &Rule) -> Result<(), Failure> {
    if let (server @ Some(_), Some(key)) = (rule.server.as_deref(), &rule.key) {
        return server_policy::unset(server, key, &rule.name);
    }
    let command = Command::UnsetPolicy {
        key: rule.key.clone(),
        rule: rule.name.clone(),
    };
    ask(&command, false)
}

fn ask(command: &Command, as_json: bool) -> Result<(), Failure> {
    let Reply::Policy { rules, file } = agent_link::ask(command)? else {
        return Err(unexpected());
    };
    if as_json {
        return print_json(&json!({ "version": 1, "rules": rules, "file": file }));
    }
    print_rules(&rules, &file)
}

fn print_rules(rules: &[PolicyRule], file: &Path) -> Result<(), Failure> {
    let mut table = Table::default();
    table.row(["KEY", "RULE", "VALUE", ""]);
    for rule in rules {
        let key = rule.key.as_deref().unwrap_or("all");
        let is_default = if rule.is_default { "default" } else { "" };
        table.row([key, &rule.rule, &rule.value, is_default]);
    }
    table.print()?;
    if rules.iter().any(|rule| !rule.is_default) {
        say(format_args!("kept in {}", file.display()));
    }
    Ok(())
}
