//! `policy … --server NAME --key KEY`: what a key server signs with a key, and who must agree.

use keystead_keeper::server::ServerName;
use keystead_keeper::server::protocol::requests::{
    Approver, Hours, Policy, PolicyChange, Quorum, Request, UnprovedDestination,
};
use keystead_keeper::server::protocol::{ApproverId, List, Text};
use serde_json::json;

use crate::agent_link::block_on;
use crate::commands::{approver, hosts, server_entry};
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink};
use crate::terminal::{Table, harmless, print_json, say};

/// `policy show --server NAME --key KEY [--json]`
pub(crate) fn show(server: Option<&str>, key: &str, as_json: bool) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, server)?;
    let (policy, approvers) = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let entry = server_entry::one_of(&entries, key)?;
        let policy = entry.policy.clone().unwrap_or_else(empty);
        let approvers = named(&mut link, &page.name, policy.quorum.is_some()).await?;
        Ok((policy, approvers))
    })?;
    if as_json {
        return print_json(&json!({
            "version": 1,
            "server": page.name.as_str(),
            "key": key,
            "rules": rules_json(&policy, &approvers),
        }));
    }
    print_rules(&policy, &approvers)
}

/// `policy set --server NAME --key KEY RULE VALUE…`
pub(crate) fn set(
    server: Option<&str>,
    key: &str,
    rule: &str,
    value: &[String],
) -> Result<(), Failure> {
    let rule: Rule = rule.parse()?;
    let names_approvers = rule == Rule::Approvers;
    change(server, key, names_approvers, |policy, approvers| {
        rule.set(policy, value, approvers)
    })
}

/// `policy unset --server NAME --key KEY RULE`
pub(crate) fn unset(server: Option<&str>, key: &str, rule: &str) -> Result<(), Failure> {
    let rule: Rule = rule.parse()?;
    change(server, key, false, |policy, _| {
        rule.unset(policy);
        Ok(())
    })
}

fn change(
    server: Option<&str>,
    key: &str,
    names_approvers: bool,
    edit: impl FnOnce(&mut Policy, &[Approver]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, server)?;
    let (policy, approvers) = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let entry = server_entry::one_of(&entries, key)?;
        let mut policy = entry.policy.clone().unwrap_or_else(empty);
        let names_some = names_approvers || policy.quorum.is_some();
        let approvers = named(&mut link, &page.name, names_some).await?;
        edit(&mut policy, &approvers)?;
        let request = Request::Policy(PolicyChange {
            key: entry.key,
            policy: policy.clone(),
        });
        link.ask(&page.name, &request).await?;
        Ok((policy, approvers))
    })?;
    match rules(&policy, &approvers).is_empty() {
        true => say(format_args!("{} keeps no rules for {key}", page.name)),
        false => say(format_args!("{} keeps these rules for {key}:", page.name)),
    }
    print_rules(&policy, &approvers)
}

/// The account's approvers, where a rule speaks of them: each look is an entry of the log.
pub(crate) async fn named(
    link: &mut ServerLink,
    server: &ServerName,
    are_wanted: bool,
) -> Result<Vec<Approver>, Failure> {
    match are_wanted {
        true => Ok(approver::all(link, server).await?.approvers.0),
        false => Ok(Vec::new()),
    }
}

/// A line for each rule, or what is without any.
pub(crate) fn print_rules(policy: &Policy, approvers: &[Approver]) -> Result<(), Failure> {
    let rules = rules(policy, approvers);
    if rules.is_empty() {
        say("no rules: whoever has the session may have anything signed that the key is for,");
        say("but no login to a destination that is not proved");
        return Ok(());
    }
    let mut table = Table::default();
    table.row(["RULE", "VALUE"]);
    for (rule, value) in rules {
        table.row([rule.name(), &value]);
    }
    table.print()
}

/// The rules that are set.
pub(crate) fn rules_json(policy: &Policy, approvers: &[Approver]) -> serde_json::Value {
    let rules = rules(policy, approvers).into_iter();
    let rules = rules.map(|(rule, value)| json!({ "rule": rule.name(), "value": value }));
    rules.collect()
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Users,
    Hosts,
    Namespaces,
    Unproved,
    Hours,
    Count,
    Approvers,
}

impl Rule {
    pub(crate) const ALL: [Self; 7] = [
        Self::Users,
        Self::Hosts,
        Self::Namespaces,
        Self::Unproved,
        Self::Hours,
        Self::Count,
        Self::Approvers,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Hosts => "hosts",
            Self::Namespaces => "namespaces",
            Self::Unproved => "unproved",
            Self::Hours => "hours",
            Self::Count => "count",
            Self::Approvers => "approvers",
        }
    }

    /// The rule behind the number of a condition (`spec/session.md`, section 8).
    pub(crate) fn of_condition(number: u32) -> Option<Self> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(at).copied()
    }

    fn set(
        self,
        policy: &mut Policy,
        value: &[String],
        approvers: &[Approver],
    ) -> Result<(), Failure> {
        let words = words(value);
        if words.is_empty() {
            return Err(usage(EMPTY));
        }
        let texts = || words.iter().map(|it| Text((*it).to_owned())).collect();
        match self {
            Self::Users => policy.users = Some(List(texts())),
            Self::Namespaces => policy.namespaces = Some(List(texts())),
            Self::Hosts => policy.host_keys = Some(List(hosts::keys_of(&words)?)),
            Self::Unproved => policy.unproved_destination = Some(unproved(&words)?),
            Self::Hours => policy.hours = Some(hours(&words)?),
            Self::Count => policy.hourly_max = Some(count(&words)?),
            Self::Approvers => policy.quorum = Some(quorum(&words, approvers)?),
        }
        Ok(())
    }

    fn unset(self, policy: &mut Policy) {
        match self {
            Self::Users => policy.users = None,
            Self::Hosts => policy.host_keys = None,
            Self::Namespaces => policy.namespaces = None,
            Self::Unproved => policy.unproved_destination = None,
            Self::Hours => policy.hours = None,
            Self::Count => policy.hourly_max = None,
            Self::Approvers => policy.quorum = None,
        }
    }

    fn value(self, policy: &Policy, approvers: &[Approver]) -> Option<String> {
        let joined = |all: Vec<String>| all.join(",");
        match self {
            Self::Users => {
                let users = policy.users.as_ref()?;
                Some(joined(users.0.iter().map(|it| it.0.clone()).collect()))
            }
            Self::Namespaces => {
                let all = policy.namespaces.as_ref()?;
                Some(joined(all.0.iter().map(|it| it.0.clone()).collect()))
            }
            Self::Hosts => {
                let keys = policy.host_keys.as_ref()?;
                Some(joined(keys.0.iter().map(hosts::fingerprint).collect()))
            }
            Self::Unproved => Some(match policy.unproved_destination? {
                UnprovedDestination::Allow => "allow".to_owned(),
                UnprovedDestination::Refuse => "refuse".to_owned(),
            }),
            Self::Hours => policy.hours.map(hours_words),
            Self::Count => policy.hourly_max.map(|it| format!("{it} an hour")),
            Self::Approvers => {
                let quorum = policy.quorum.as_ref()?;
                let ids = quorum.approvers.0.iter();
                let names: Vec<String> = ids.map(|it| name_of(*it, approvers)).collect();
                Some(format!("{} of {}", quorum.count, names.join(" ")))
            }
        }
    }
}

/// Its name at the server; its id where no other way is known to say it.
fn name_of(id: ApproverId, approvers: &[Approver]) -> String {
    let mut all = approvers.iter();
    let known = all.find(|it| ApproverId::of(&it.public_key) == id);
    known.map_or_else(|| id.to_string(), |it| harmless(&it.label.0))
}

impl std::str::FromStr for Rule {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Failure::new(format!("a key server has no rule {text:?}"))
                .hint(format!("its rules: {names}"))
                .status(Status::Usage)
        })
    }
}

fn rules(policy: &Policy, approvers: &[Approver]) -> Vec<(Rule, String)> {
    let set = |rule: Rule| rule.value(policy, approvers).map(|value| (rule, value));
    Rule::ALL.into_iter().filter_map(set).collect()
}

const fn empty() -> Policy {
    Policy {
        users: None,
        host_keys: None,
        namespaces: None,
        unproved_destination: None,
        hours: None,
        hourly_max: None,
        quorum: None,
    }
}

/// What was typed, apart by commas and blanks.
fn words(value: &[String]) -> Vec<&str> {
    let words = value.iter().flat_map(|it| it.split([',', ' ']));
    words.filter(|it| !it.is_empty()).collect()
}

fn unproved(words: &[&str]) -> Result<UnprovedDestination, Failure> {
    match words {
        ["allow"] => Ok(UnprovedDestination::Allow),
        ["refuse"] => Ok(UnprovedDestination::Refuse),
        _ => Err(usage("logins to a destination not proved: allow or refuse")),
    }
}

fn count(words: &[&str]) -> Result<u32, Failure> {
    let count = match words {
        [count] | [count, "an", "hour"] => count.parse().ok(),
        _ => None,
    };
    count.ok_or_else(|| usage("how many signatures an hour, for example 20"))
}

/// `phone tablet`, or `2 of phone tablet`.
fn quorum(words: &[&str], approvers: &[Approver]) -> Result<Quorum, Failure> {
    let (count, names) = match words {
        [count, "of", names @ ..] => {
            let count = count.parse().map_err(|_| usage(QUORUM))?;
            (count, names)
        }
        names => (1, names),
    };
    let ids = approvers_of(names, approvers)?;
    let enough = u32::try_from(ids.len()).is_ok_and(|it| (1..=it).contains(&count));
    if !enough {
        return Err(usage(QUORUM));
    }
    Ok(Quorum {
        approvers: List(ids),
        count,
    })
}

/// Each in turn by the longest name that is one: a name may have blanks in it (`phone 2`).
fn approvers_of(names: &[&str], approvers: &[Approver]) -> Result<Vec<ApproverId>, Failure> {
    let is_one = |words: &[&str]| {
        let name = words.join(" ");
        approvers.iter().any(|it| it.label.0 == name)
    };
    let mut ids = Vec::new();
    let mut rest = names;
    while !rest.is_empty() {
        let mut counts = (1..=rest.len()).rev();
        let count = counts.find(|it| rest.get(..*it).is_some_and(is_one));
        let (name, behind) = rest.split_at(count.unwrap_or(1));
        ids.push(approver::one_of(approvers, &name.join(" "))?);
        rest = behind;
    }
    Ok(ids)
}

/// `mon-fri 08:00-18:00`, `sat sun 10:00-12:00`, `daily 08:00-18:00`; UTC.
fn hours(words: &[&str]) -> Result<Hours, Failure> {
    let wrong = || usage(HOURS);
    let (time, days) = words.split_last().ok_or_else(wrong)?;
    let (from, to) = time.split_once('-').ok_or_else(wrong)?;
    let from_minute = minute(from).ok_or_else(wrong)?;
    let to_minute = minute(to).ok_or_else(wrong)?;
    let mut weekdays = 0;
    for word in days {
        weekdays |= days_of(word).ok_or_else(wrong)?;
    }
    // The end is over midnight where it is not behind the beginning.
    if weekdays == 0 || from_minute == to_minute || from_minute == DAY_MINUTES {
        return Err(wrong());
    }
    Ok(Hours {
        weekdays,
        from_minute,
        to_minute,
    })
}

/// Bits of a day, a range of days, or all of them.
fn days_of(word: &str) -> Option<u32> {
    let day = |name: &str| DAYS.iter().position(|it| *it == name);
    if word == "daily" {
        return Some(0x7f);
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    let bits = (first..=last).fold(0, |bits, at| bits | 1 << at);
    (bits != 0).then_some(bits)
}

/// The minute of a day, `24:00` the last.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let is_digits = |it: &str| it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(hour) || !is_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && at <= DAY_MINUTES).then_some(at)
}

fn hours_words(hours: Hours) -> String {
    let days = DAYS.iter().enumerate();
    let days = days.filter(|(at, _)| hours.weekdays >> at & 1 == 1);
    let days: Vec<&str> = days.map(|(_, name)| *name).collect();
    let days = match days.len() {
        7 => "daily".to_owned(),
        _ => days.join(" "),
    };
    let clock = |at: u32| format!("{:02}:{:02}", at / 60, at % 60);
    format!(
        "{days} {}-{} UTC",
        clock(hours.from_minute),
        clock(hours.to_minute)
    )
}

fn usage(message: &str) -> Failure {
    Failure::new(message).status(Status::Usage)
}

/// Bit 0 is Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const DAY_MINUTES: u32 = 1_440;

const HOURS: &str = "hours in UTC, for example: mon-fri 08:00-18:00, or daily 06:00-22:00";

const EMPTY: &str = "name at least one; `keystead policy unset` takes the rule away";
const QUORUM: &str = "who approves, for example: phone, or 2 of phone tablet desk";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_hours(typed: &str, expected: Option<&str>) {
        let typed: Vec<String> = vec![typed.to_owned()];
        let read = hours(&words(&typed)).ok();
        assert_eq!(read.map(hours_words).as_deref(), expected, "{typed:?}");
    }

    #[test]
    fn hours_as_people_type_them() {
        check_hours(
            "mon-fri 08:00-18:00",
            Some("mon tue wed thu fri 08:00-18:00 UTC"),
        );
        check_hours("daily 00:00-24:00", Some("daily 00:00-24:00 UTC"));
        check_hours("fri 22:00-06:00", Some("fri 22:00-06:00 UTC"));
        check_hours("sat,sun 10:00-12:30", Some("sat sun 10:00-12:30 UTC"));
        for wrong in [
            "",
            "mon",
            "08:00-18:00",
            "mon 18:00-18:00",
            "mon 24:00-08:00",
            "mon 8:00-18:00",
            "mon 08:00-24:01",
            "mon 08:60-18:00",
            "fri-mon 08:00-18:00",
            "moon 08:00-18:00",
        ] {
            check_hours(wrong, None);
        }
    }

    #[test]
    fn approvers_as_people_type_them() {
        let approver = |key: u8, name: &str| Approver {
            public_key: [key; 32],
            label: Text(name.to_owned()),
        };
        let all = [
            approver(1, "phone"),
            approver(2, "tablet"),
            approver(3, "phone 2"),
        ];
        for (typed, expected) in [
            ("phone", Some((1, 1))),
            ("phone,tablet", Some((1, 2))),
            ("2 of phone tablet", Some((2, 2))),
            ("phone 2", Some((1, 1))),
            ("2 of phone phone 2", Some((2, 2))),
            ("2 of phone 2, tablet", Some((2, 2))),
            ("phone 3", None),
            ("3 of phone tablet", None),
            ("0 of phone", None),
            ("2 of", None),
            ("nobody", None),
            ("", None),
        ] {
            let typed = [typed.to_owned()];
            let read = quorum(&words(&typed), &all).ok();
            let read = read.map(|it| (it.count, it.approvers.0.len()));
            assert_eq!(read, expected, "{typed:?}");
        }
    }
}
