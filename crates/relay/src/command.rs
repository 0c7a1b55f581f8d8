//! The command line of `keystead-relay`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use keystead_daemon::home::{Folders, Program};
use keystead_daemon::{SystemClock, process};
use tracing_subscriber::EnvFilter;

use crate::machine::{Limits, Quota};
use crate::serve::{Options, ServeError, Server, Waits};

/// A blind mailbox for Keystead: carries sealed messages between workstations
/// and authenticators, and can read none of them.
#[derive(Parser, Debug)]
#[command(name = "keystead-relay", version, max_term_width = 100)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Serve until SIGTERM or ^C; prints `ready http://ADDR:PORT` when it listens
    Run(Box<Run>),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        dir: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Run {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7440")]
    listen: SocketAddr,
    /// The folder that remembers deleted mailboxes [default: relay/state in
    /// KEYSTEAD_HOME, or keystead/relay in XDG_STATE_HOME]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Take the last address of X-Forwarded-For as the source; only behind a
    /// proxy that writes it
    #[arg(long)]
    behind_proxy: bool,
    #[command(flatten)]
    quotas: Quotas,
}

/// A source is an IPv4 address or an IPv6 /64; this machine itself is limited
/// only together with all.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct Quotas {
    /// Open connections in all
    #[arg(long, value_name = "N", default_value_t = Limits::default().all.connections)]
    connections: u32,
    /// Open connections of one source
    #[arg(long, value_name = "N", default_value_t = Limits::default().source.connections)]
    source_connections: u32,
    /// Mailboxes in use in all
    #[arg(long, value_name = "N", default_value_t = Limits::default().all.mailboxes)]
    mailboxes: u32,
    /// Mailboxes in use of one source
    #[arg(long, value_name = "N", default_value_t = Limits::default().source.mailboxes)]
    source_mailboxes: u32,
    /// Memory for items in all, in MiB
    #[arg(long, value_name = "MIB", default_value_t = mib(&Limits::default().all))]
    memory: u32,
    /// Memory for items of one source, in MiB
    #[arg(long, value_name = "MIB", default_value_t = mib(&Limits::default().source))]
    source_memory: u32,
    /// Calls a second in all; ten seconds' worth may come at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().all.calls_per_s)]
    calls: u32,
    /// Calls a second of one source; ten seconds' worth may come at once
    #[arg(long, value_name = "N", default_value_t = Limits::default().source.calls_per_s)]
    source_calls: u32,
    /// Deletions an hour in all
    #[arg(long, value_name = "N", default_value_t = Limits::default().all.deletions_per_hour)]
    deletions: u32,
    /// Deletions an hour of one source
    #[arg(long, value_name = "N", default_value_t = Limits::default().source.deletions_per_hour)]
    source_deletions: u32,
}

impl Command {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn run(self) -> Result<(), ServeError> {
        match self.verb {
            Verb::Run(run) => run.run(),
            Verb::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "keystead-relay", &mut text);
                Ok(io::stdout().write_all(&text)?)
            }
            Verb::Man { dir } => Ok(man(&dir)?),
        }
    }
}

impl Run {
    fn run(self) -> Result<(), ServeError> {
        process::harden()?;
        let _ = process::raise_descriptor_limit();
        trace();
        let state = match self.state {
            Some(state) => state,
            None => Folders::of(Program::Relay)?.state,
        };
        let options = Options {
            listen: self.listen,
            state,
            limits: self.quotas.limits(),
            behind_proxy: self.behind_proxy,
            waits: Waits::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(serve(&options))
    }
}

impl Quotas {
    fn limits(&self) -> Limits {
        Limits {
            source: Quota {
                connections: self.source_connections,
                mailboxes: self.source_mailboxes,
                bytes: u64::from(self.source_memory) * MIB,
                calls_per_s: self.source_calls,
                deletions_per_hour: self.source_deletions,
            },
            all: Quota {
                connections: self.connections,
                mailboxes: self.mailboxes,
                bytes: u64::from(self.memory) * MIB,
                calls_per_s: self.calls,
                deletions_per_hour: self.deletions,
            },
        }
    }
}

async fn serve(options: &Options) -> Result<(), ServeError> {
    // Caught before anybody is told that the relay is ready.
    let mut termination = process::Termination::catch()?;
    let server = Server::bind(options, Arc::new(SystemClock))?;
    writeln!(io::stdout(), "ready http://{}", server.address()?)?;
    server
        .run(async {
            let signal = termination.wait().await;
            tracing::info!(signal, "stopping");
        })
        .await;
    Ok(())
}

/// Trace goes to standard error: warnings, or what `KEYSTEAD_TRACE` asks for.
fn trace() {
    let filter = EnvFilter::try_from_env("KEYSTEAD_TRACE");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("warn")))
        // To whom would it say that standard error cannot be written? It would panic.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(false)
        .init();
}

fn man(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Command::command(), dir)
}

fn mib(quota: &Quota) -> u32 {
    u32::try_from(quota.bytes / MIB).unwrap_or(u32::MAX)
}

const MIB: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn without_options_the_limits_are_the_default_ones() {
        let command = Command::try_parse_from(["keystead-relay", "run"]).unwrap();
        let Verb::Run(run) = command.verb else {
            panic!("not run")
        };
        let (limits, default) = (run.quotas.limits(), Limits::default());
        assert_eq!(format!("{limits:?}"), format!("{default:?}"));
        assert!(!run.behind_proxy);
    }
}
