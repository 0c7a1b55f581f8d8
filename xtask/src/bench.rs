//! `cargo xtask bench`: the figures that are promised, side by side in one run.
//!
//! Invariant: a figure that is compared with another is measured in turns with
//! it, so that a busy machine is busy for both.

use std::path::Path;
use std::process::Stdio;

use crate::binaries::{self, Profile};
use crate::console::{say, step};
use crate::failure::{Failure, Result};
use crate::main_job::stage::{On, Stage};
use crate::main_job::{self, sshd};
use crate::run::Program;
use crate::setup::{self, For, Tools};
use crate::tidy::graph;
use crate::workspace;

mod agent;
mod figure;
mod measure;
mod server;

use figure::{Bound, Figure};

/// The command: `bench [agent|wallet|curve|programs|server [sqlite|postgres] [--full]
/// [--keep FOLDER [--load]]]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let root = workspace::root()?;
    let mut figures = Vec::new();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            beside_ssh_agent(&root, &mut figures)?;
            wallet(&root, &mut figures)?;
            curve(&root, &mut figures)?;
            programs(&root, &mut figures)?;
            server::measure(&root, &[], &mut figures)?;
        }
        ["server", rest @ ..] => server::measure(&root, rest, &mut figures)?,
        ["wallet"] => wallet(&root, &mut figures)?,
        ["agent"] => beside_ssh_agent(&root, &mut figures)?,
        ["curve"] => curve(&root, &mut figures)?,
        ["programs"] => programs(&root, &mut figures)?,
        _ => {
            return Err(Failure::new(
                "usage: cargo xtask bench [agent|wallet|curve|programs|server [sqlite|postgres] \
                 [--full] [--keep FOLDER [--load]]]",
            ));
        }
    }
    step("Figures");
    say(&figure::table(&figures));
    match figures.iter().filter(|figure| !figure.is_reached()).count() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} figures are not reached"))),
    }
}

/// The curve stream against TLS, and the relay's memory: programs of their
/// crates print `figure NAME VALUE UNIT at-most|at-least TARGET`.
fn curve(root: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    step("The curve stream against TLS, both ends' CPU time. (It compiles first.)");
    from_output(
        &Program::cargo(root).args(["bench", "--package", "keystead-channel", "--bench", "curve"]),
        figures,
    )
}

/// Ours in the place of `ssh-agent`, and a stored key with a grant.
fn beside_ssh_agent(root: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    load(root, &["local", "stored"], For::Try, figures)
}

/// A wallet's keys: how long one takes to be derived; then gpg, age and `ssh key`, each beside the
/// program that has its key on this machine.
fn wallet(root: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    step("How long a wallet takes for a key. (Its example compiles first.)");
    from_output(
        &Program::cargo(root)
            .args(["run", "--quiet", "--release", "--package", "keystead-vault"])
            .args(["--example", "derive"]),
        figures,
    )?;
    load(root, &["wallet"], For::Test, figures)
}

/// The program `load` of the tests runs ours and the other ones in turns, and prints figures
/// likewise.
fn load(root: &Path, parts: &[&str], needs: For, figures: &mut Vec<Figure>) -> Result<()> {
    let tools = setup::run(needs, false)?;
    let binaries = binaries::build(root, Profile::Release)?;
    step("Ours beside what is there already. (What loads them compiles first.)");
    let mut load = Program::cargo(root)
        .args(["run", "--quiet", "--release", "--package", "keystead-tests"])
        .args(["--bin", "load", "--"])
        .args(parts)
        .variable("KEYSTEAD_BIN_DIR", &binaries)
        .variable("PATH", tools.path(&binaries)?);
    if let Some(libraries) = tools.libraries() {
        load = load
            .variable("LD_LIBRARY_PATH", libraries)
            .variable("KEYSTEAD_UNPACKED", libraries);
    }
    from_output(&load, figures)
}

fn from_output(program: &Program, figures: &mut Vec<Figure>) -> Result<()> {
    let before = figures.len();
    let ended_well = program.watched(&mut |line| match Figure::parse(line) {
        Some(figure) => figures.push(figure),
        None => say(line),
    })?;
    if !ended_well || figures.len() == before {
        return Err(Failure::new(format!("{} gave no figure", program.line())));
    }
    Ok(())
}

fn programs(root: &Path, figures: &mut Vec<Figure>) -> Result<()> {
    let tools = setup::run(For::Try, false)?;
    let binaries = binaries::build(root, Profile::Release)?;
    let keystead = binaries.join("keystead");
    step("How long keystead --version takes.");
    let version = measure::run_ms(VERSIONS, || {
        Program::new(&keystead)
            .arg("--version")
            .output()
            .map(|_| ())
    })?;
    figures.push(Figure::new(
        "keystead --version",
        version.p50(),
        "ms",
        Bound::AtMost(10.0),
    ));
    figures.push(package_count(root)?);
    figures.push(mailboxes(root, &binaries)?);
    for way in [Way::Relay, Way::Direct] {
        let mut stage = Stage::new(tools.path(&binaries)?, tools.libraries())?;
        let result = by(way, &mut stage, &tools, figures);
        stage.end()?;
        result?;
    }
    Ok(())
}

/// The relay's own example fills it and tells its memory.
fn mailboxes(root: &Path, binaries: &Path) -> Result<Figure> {
    step("The relay with 10,000 mailboxes. (Its example compiles first.)");
    let text = Program::cargo(root)
        .args(["run", "--quiet", "--release", "--package", "keystead-relay"])
        .args(["--example", "fill", "--"])
        .arg(binaries.join("keystead-relay"))
        .output()?;
    say(text.trim_end());
    // `10000 mailboxes with 1024 bytes each: 41.2 MiB resident, 5.1 MiB empty`
    let mib = text
        .split_once(": ")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new("the relay's example says no figure"))?;
    Ok(Figure::new(
        "relay with 10,000 mailboxes",
        mib,
        "MiB",
        Bound::AtMost(64.0),
    ))
}

fn package_count(root: &Path) -> Result<Figure> {
    let count = graph::tree(root, "keystead-cli", "normal")?.len();
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    Ok(Figure::new(
        "packages in keystead",
        count,
        "",
        Bound::AtMost(300.0),
    ))
}

/// How the agent and the authenticator reach each other.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Relay,
    Direct,
}

fn by(way: Way, stage: &mut Stage, tools: &Tools, figures: &mut Vec<Figure>) -> Result<()> {
    let passphrase = stage.private_file("passphrase", &main_job::random_text()?)?;
    main_job::authenticator(stage, &passphrase)?;
    let agent = main_job::agent(stage)?;
    let relay = match way {
        Way::Relay => Some(main_job::relay(stage)?),
        Way::Direct => None,
    };
    // It runs before the pairing, so that its address travels in the pairing.
    let line = ["keystead-authenticator", "run", "--decide", "approve"];
    let mut command = stage.command_with_passphrase(&passphrase, &line);
    if way == Way::Direct {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.stderr(Stdio::null());
    stage.start(command, On::Output, "ready")?;
    main_job::pair(stage, &passphrase, relay.as_deref())?;
    let keys = main_job::public_key(stage)?;
    let mut client = agent::Client::connect(Path::new(&agent.socket))?;
    match way {
        Way::Relay => {
            let rss = measure::rss_mib(agent.pid)?;
            figures.push(Figure::new("agent, idle", rss, "MiB", Bound::AtMost(15.0)));
            step("Signatures through the relay, at the agent's socket.");
            let times = measure::run_ms(SIGNATURES, || client.sign())?;
            let name = "signature through relay";
            figures.push(Figure::new(
                &format!("{name}, p50"),
                times.p50(),
                "ms",
                Bound::AtMost(5.0),
            ));
            figures.push(Figure::new(
                &format!("{name}, p95"),
                times.p95(),
                "ms",
                Bound::AtMost(20.0),
            ));
            logins(stage, tools, &keys, figures)
        }
        Way::Direct => {
            step("Signatures by direct TCP, at the agent's socket.");
            let times = measure::run_ms(SIGNATURES, || client.sign())?;
            figures.push(Figure::new(
                "signature, direct TCP, p50",
                times.p50(),
                "ms",
                Bound::AtMost(2.0),
            ));
            Ok(())
        }
    }
}

/// The same login with our agent and with OpenSSH's, in turns.
fn logins(stage: &mut Stage, tools: &Tools, keys: &str, figures: &mut Vec<Figure>) -> Result<()> {
    step("Whole logins, in turns with OpenSSH's ssh-agent.");
    let folder = stage.folder().to_owned();
    let local = folder.join("local_key");
    Program::new(tools.find("ssh-keygen")?)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&local)
        .output()?;
    let public = crate::failure::read(&folder.join("local_key.pub"))?;
    sshd::start(stage, tools, &format!("{keys}\n{public}"))?;
    let other = folder.join("ssh-agent.sock").to_string_lossy().into_owned();
    let command = stage.command(&["ssh-agent", "-D", "-a", &other]);
    stage.start(command, On::Output, "SSH_AUTH_SOCK=")?;
    let mut add = stage.command(&["ssh-add", "-q", &local.to_string_lossy()]);
    add.env("SSH_AUTH_SOCK", &other).stderr(Stdio::null());
    stage.shown(add)?;
    let config = folder.join("ssh_config").to_string_lossy().into_owned();
    let mut ours = measure::Times::default();
    let mut theirs = measure::Times::default();
    for round in 0..LOGINS {
        for (times, socket) in [(&mut ours, None), (&mut theirs, Some(&other))] {
            let mut command = stage.command(&["ssh", "-F", &config, "sshd", "true"]);
            if let Some(socket) = socket {
                command.env("SSH_AUTH_SOCK", socket);
            }
            command.stderr(Stdio::null());
            let time = measure::once_ms(|| stage.shown(command))?;
            // The first ones fill caches.
            if round >= WARM_UP {
                times.add(time);
            }
        }
    }
    say(&format!(
        "p50: {:.1} ms, with ssh-agent {:.1} ms",
        ours.p50(),
        theirs.p50()
    ));
    let ratio = ours.p50() / theirs.p50();
    figures.push(Figure::new(
        "ssh host true / with ssh-agent",
        ratio,
        "×",
        Bound::AtMost(1.15),
    ));
    Ok(())
}

/// Enough for a p95 that does not jump.
const SIGNATURES: usize = 400;
const LOGINS: usize = 45;
const VERSIONS: usize = 50;
const WARM_UP: usize = 5;
