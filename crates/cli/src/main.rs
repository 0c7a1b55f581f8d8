//! The `keystead` program: parses what was typed, calls the library, prints.
//!
//! **Invariant:** nothing is decided here. What a command means is the agent's
//! to know; only this program's own output comes from here.

mod age_plugin;
mod agent_link;
mod arguments;
mod commands;
mod failure;
mod git_gpg;
mod git_keygen;
mod gpg_agent;
mod hardware_link;
mod key_link;
mod passphrase;
mod qr;
mod server_link;
mod ssh_agent;
mod terminal;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{
    Add, Age, Agent, Approver, Arguments, Audit, Certificate, Command, Git, Gpg, Keeper, Key,
    Policy, Server, Signify, Ssh,
};
use failure::{Failure, Status};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().map(PathBuf::from);
    let name = name.as_deref().and_then(Path::file_name);
    let words: Vec<_> = words.collect();
    if name == Some(OsStr::new(ssh_agent::NAME)) {
        return ssh_agent::run(words);
    }
    if name == Some(OsStr::new(gpg_agent::NAME)) {
        return gpg_agent::run(words);
    }
    if name == Some(OsStr::new(age_plugin::NAME)) || age_plugin::is_asked_for(&words) {
        return age_plugin::run(&words);
    }
    if name == Some(OsStr::new(git_keygen::NAME)) {
        return git_keygen::run(words);
    }
    if name == Some(OsStr::new(git_gpg::NAME)) {
        return git_gpg::run(&words);
    }
    let outcome = match Arguments::try_parse().map(|arguments| arguments.command) {
        Ok(Command::Agent(Agent::DropIn(drop_in))) => return ssh_agent::serve(&drop_in),
        Ok(Command::Agent(Agent::Gpg { parent, words })) => {
            return gpg_agent::daemon(&words, parent);
        }
        Ok(Command::Agent(Agent::BehindGpg {
            parent,
            sockets,
            program,
        })) => {
            return gpg_agent::become_behind(parent, &sockets, &program);
        }
        Ok(command) => run(command),
        Err(error) => refuse(&error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.status.code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Pair(pair) => commands::pair::run(&pair),
        Command::Status(reading) => commands::status::run(&reading),
        Command::Log(log) => commands::log::run(&log),
        Command::Doctor(doctor) => commands::doctor::run(&doctor),
        Command::Run(run) => commands::run::run(&run),
        Command::Keeper(keeper) => match keeper {
            Keeper::List(reading) => commands::keeper::list(&reading),
            Keeper::Add(Add::Trezor(add)) => commands::hardware::add(&add),
            Keeper::Unlock(unlock) => commands::hardware::unlock(&unlock),
            Keeper::Lock { name } => commands::hardware::lock(name.as_ref()),
            Keeper::Rename { name, to } => commands::keeper::rename(&name, &to),
            Keeper::Unpair { name } => commands::keeper::unpair(&name),
        },
        Command::Key(key) => run_key(key),
        Command::Server(server) => run_server(server),
        Command::Approver(approver) => match approver {
            Approver::Add(add) => commands::approver::add(&add),
            Approver::List(reading) => commands::approver::list(&reading),
            Approver::Remove(remove) => commands::approver::remove(&remove),
            Approver::Recover(_) => commands::custody::same_words(),
            Approver::Cancel(which) => commands::approver::cancel(&which),
        },
        Command::Secret(_) => commands::custody::same_words(),
        Command::Ssh(ssh) => match ssh {
            Ssh::Setup(setup) => commands::ssh::setup(&setup),
            Ssh::Publish(publish) => commands::publish::run(&publish),
            Ssh::Connect(connect) => commands::identity::connect(&connect),
            Ssh::Key(wanted) => commands::identity::key(&wanted),
            Ssh::ImportIdentities(import) => commands::identities::import(&import),
            Ssh::Certificate(Certificate::Add { file }) => commands::certificate::add(&file),
            Ssh::Certificate(Certificate::Remove { certificate }) => {
                commands::certificate::remove(&certificate)
            }
            Ssh::Certificate(Certificate::List(reading)) => commands::certificate::list(&reading),
        },
        Command::Git(git) => match git {
            Git::Setup(setup) => commands::git::setup(&setup),
            Git::Test(test) => commands::git::test(&test),
        },
        Command::Gpg(gpg) => match gpg {
            Gpg::Init(init) => commands::gpg::init(&init),
            Gpg::Subkey(subkey) => commands::gpg::subkey(&subkey),
            Gpg::Custody(custody) => commands::gpg::custody(&custody),
        },
        Command::Age(age) => match age {
            Age::Recipient(wanted) => commands::age::recipient(&wanted),
            Age::Identity(wanted) => commands::age::identity(&wanted),
        },
        Command::Signify(signify) => match signify {
            Signify::Pubkey(wanted) => commands::signify::pubkey(&wanted),
            Signify::Sign(wanted) => commands::signify::sign(&wanted),
        },
        Command::Policy(policy) => run_policy(policy),
        Command::Agent(agent) => run_agent(agent),
        Command::Audit(audit) => match audit {
            Audit::Verify(verify) => commands::audit::verify(&verify),
            Audit::Show(show) => commands::server_audit::show(&show),
            Audit::Export(export) => commands::server_audit::export(&export),
            Audit::Head(head) => commands::server_audit::head(&head.reading),
        },
        Command::Completions { shell } => commands::shell::completions(shell),
        Command::Man { folder } => commands::shell::man_pages(&folder),
    }
}

fn run_key(key: Key) -> Result<(), Failure> {
    match key {
        Key::New(wanted) => commands::key::new(&wanted),
        Key::Import(import) => commands::import::run(&import),
        Key::List(wanted) => commands::key::list(&wanted),
        Key::Show(wanted) => commands::key::show(&wanted),
        Key::Rotate(wanted) => commands::server_key::rotate(&wanted),
        Key::Rename(wanted) => commands::server_key::rename(&wanted),
        Key::Sign(wanted) => commands::server_sign::run(&wanted),
        Key::Delete(wanted) => commands::server_key::delete(&wanted),
    }
}

fn run_server(server: Server) -> Result<(), Failure> {
    match server {
        Server::Register(_)
        | Server::Login(_)
        | Server::Unlock(_)
        | Server::Password(_)
        | Server::RecoveryCode(_)
        | Server::DeleteAccount(_) => commands::custody::server(),
        Server::Status(reading) => commands::server::status(&reading),
        Server::Logout(logout) => commands::server::logout(&logout),
        Server::Sessions(wanted) => commands::server::sessions(&wanted),
        Server::Accept(wanted) => commands::server::accept(&wanted),
        Server::Forget(wanted) => commands::server::forget(&wanted),
    }
}

fn run_policy(policy: Policy) -> Result<(), Failure> {
    match policy {
        Policy::Show(wanted) => commands::policy::show(&wanted),
        Policy::Set { rule, value } => commands::policy::set(&rule, &value),
        Policy::Unset(rule) => commands::policy::unset(&rule),
    }
}

fn run_agent(agent: Agent) -> Result<(), Failure> {
    match agent {
        Agent::Run { socket, detach } => commands::agent::serve(socket, detach),
        Agent::Start => commands::agent::start(),
        Agent::Stop => commands::agent::stop(),
        Agent::PrintEnv { shell } => commands::agent::print_env(shell),
        Agent::Install { print } => commands::install::install(print),
        Agent::Uninstall => commands::install::uninstall(),
        // It has exit statuses of its own: `main` knows it.
        Agent::DropIn(_) | Agent::Gpg { .. } | Agent::BehindGpg { .. } => {
            Err(Failure::new("such an agent is started by its own name"))
        }
    }
}

/// Help and version, which are asked for; or what is wrong with what was typed.
fn refuse(error: &clap::Error) -> Result<(), Failure> {
    let text = error.to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return terminal::print_raw(text.as_bytes());
    }
    let says_all = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    let message = if says_all {
        format!("what to do?\n\n{text}")
    } else {
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    };
    Err(Failure::new(message.trim_end()).status(Status::Usage))
}

fn report(failure: &Failure) {
    if failure.status == Status::NobodyReads {
        return;
    }
    // What others said may stand in it.
    let message: Vec<String> = failure.message.lines().map(terminal::harmless).collect();
    terminal::say(format_args!("keystead: error: {}", message.join("\n")));
    if let Some(hint) = &failure.hint {
        terminal::say(format_args!("keystead: hint: {}", terminal::harmless(hint)));
    }
}
