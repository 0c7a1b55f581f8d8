//! `cargo xtask try`: the main job, whole, with the real `ssh`, `sshd` and
//! `git`, in a throw-away folder.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::binaries::{self, Profile};
use crate::console::{say, step};
use crate::failure::{About, Failure, Result, read};
use crate::setup::{self, For, Tools};
use crate::workspace;

pub(crate) mod guard;
pub(crate) mod sshd;
pub(crate) mod stage;

use stage::{On, Stage};

/// The command: `try [--yes]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let decide = match arguments {
        [] => Decide::Person,
        [one] if one == "--yes" => Decide::Approve,
        _ => return Err(Failure::new("usage: cargo xtask try [--yes]")),
    };
    if decide == Decide::Person && !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            "no terminal to ask at; --yes approves without asking",
        ));
    }
    let root = workspace::root()?;
    let tools = setup::run(For::Try, decide == Decide::Approve)?;
    let binaries = binaries::build(&root, Profile::Dev)?;
    let mut stage = Stage::new(tools.path(&binaries)?, tools.libraries())?;
    let result = play(&mut stage, &tools, decide);
    stage.end()?;
    result?;
    next();
    Ok(())
}

/// Who approves.
#[derive(Clone, Copy, PartialEq)]
enum Decide {
    Person,
    Approve,
}

fn play(stage: &mut Stage, tools: &Tools, decide: Decide) -> Result<()> {
    say(&format!(
        "Everything below happens in {}.",
        stage.folder().display()
    ));
    let passphrase = stage.private_file("passphrase", &random_text()?)?;
    let relay = relay(stage)?;
    authenticator(stage, &passphrase)?;
    agent(stage)?;
    pair(stage, &passphrase, Some(&relay))?;
    let public_key = public_key(stage)?;
    step("Starting a private sshd that lets in whoever has that key, and nobody else.");
    sshd::start(stage, tools, &public_key)?;
    holder(stage, &passphrase, decide)?;
    login(stage, decide)?;
    commit(stage, decide)?;
    step("What the agent has recorded:");
    let log = stage.command(&["keystead", "log"]);
    stage.shown(log)
}

pub(crate) fn relay(stage: &mut Stage) -> Result<String> {
    step("Starting a relay: blind mailboxes that the two machines meet at.");
    let command = stage.command(&["keystead-relay", "run", "--listen", "127.0.0.1:0"]);
    let address = stage.start(command, On::Output, "ready ")?;
    say(&format!("It is at {address}."));
    Ok(address)
}

pub(crate) fn authenticator(stage: &mut Stage, passphrase: &Path) -> Result<()> {
    step("Making the authenticator: it has a new Ed25519 key, sealed by a passphrase.");
    let line = ["keystead-authenticator", "init", "--name", AUTHENTICATOR];
    let command = stage.command_with_passphrase(passphrase, &line);
    stage.shown(command)
}

/// The agent that runs in a stage.
pub(crate) struct Agent {
    pub(crate) socket: String,
    pub(crate) pid: u32,
}

pub(crate) fn agent(stage: &mut Stage) -> Result<Agent> {
    step("Starting the agent, which ssh and git speak to. It cannot hold a private key.");
    let command = stage.command(&["keystead", "agent", "run"]);
    let socket = stage.start(command, On::Output, "ready SSH_AUTH_SOCK=")?;
    stage.set("SSH_AUTH_SOCK", &socket);
    say(&format!("Its socket is {socket}."));
    Ok(Agent {
        socket,
        pid: stage.last_started(),
    })
}

/// Both ends are on this one terminal, so the code is confirmed for the person.
pub(crate) fn pair(stage: &mut Stage, passphrase: &Path, relay: Option<&str>) -> Result<()> {
    step("Pairing the two. Between two machines, each shows the code and asks its person.");
    let line = ["keystead", "pair", "--link", "--yes", "--name", WORKSTATION];
    let mut command = stage.command(&line);
    if let Some(relay) = relay {
        command.args(["--relay", relay]);
    }
    let link = stage.start(command, On::Output, "")?;
    let line = ["keystead-authenticator", "pair", "-", "--yes"];
    let mut command = stage.command_with_passphrase(passphrase, &line);
    command.stdin(Stdio::piped());
    let mut child = stage.begin(command)?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{link}").about("keystead-authenticator pair")?;
    }
    let status = child.wait().about("keystead-authenticator pair")?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "keystead-authenticator pair ended with {status}"
        )))
    }
}

pub(crate) fn public_key(stage: &mut Stage) -> Result<String> {
    step("The agent now lists a key that is not here (ssh-add -L):");
    let command = stage.command(&["ssh-add", "-L"]);
    let keys = stage.output(command)?;
    say(keys.trim_end());
    Ok(keys)
}

/// The authenticator, up and reading this terminal if the person decides.
fn holder(stage: &mut Stage, passphrase: &Path, decide: Decide) -> Result<()> {
    let how = match decide {
        Decide::Person => {
            step("Starting the authenticator here: it will ask you, on this terminal.");
            "ask"
        }
        Decide::Approve => {
            step("Starting the authenticator; because of --yes it approves by itself.");
            "approve"
        }
    };
    let line = ["keystead-authenticator", "run", "--decide", how];
    let mut command = stage.command_with_passphrase(passphrase, &line);
    if decide == Decide::Person {
        command.stdin(Stdio::inherit());
    }
    // Its standard output is its "ready" line alone; it talks on standard error.
    stage.start(command, On::Output, "ready").map(|_| ())
}

fn login(stage: &mut Stage, decide: Decide) -> Result<()> {
    step("Logging in: ssh sshd. The key is with the authenticator.");
    ask(decide, "the login");
    let greeting = "echo You are in, by process $PPID of sshd.";
    let config = path(&stage.folder().join("ssh_config"));
    let command = elsewhere(stage, &["ssh", "-F", &config, "sshd", greeting]);
    let said = stage.output(command).map_err(|why| refused(why, decide))?;
    say(&format!(
        "sshd let us in and its shell said: {}",
        said.trim_end()
    ));
    Ok(())
}

fn commit(stage: &mut Stage, decide: Decide) -> Result<()> {
    step("Making a git commit signed by the same key, after `keystead git setup`.");
    let repository = path(&stage.folder().join("repository"));
    let init = stage.command(&["git", "init", "--quiet", &repository]);
    stage.shown(init)?;
    for (name, value) in [("user.name", "Alex"), ("user.email", EMAIL)] {
        let command = stage.command(&["git", "config", "--global", name, value]);
        stage.shown(command)?;
    }
    let setup = stage.command(&["keystead", "git", "setup"]);
    stage.shown(setup)?;
    ask(decide, "the commit");
    let message = "The key was elsewhere";
    let line = [
        "git",
        "-C",
        &repository,
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        message,
    ];
    let command = elsewhere(stage, &line);
    stage.output(command).map_err(|why| refused(why, decide))?;
    say("git verifies it against a file of allowed signers:");
    let command = stage.command(&["git", "-C", &repository, "verify-commit", "HEAD"]);
    stage.shown(command)
}

/// What a refusal looks like from here.
fn refused(why: Failure, decide: Decide) -> Failure {
    match decide {
        Decide::Person => Failure::new(format!(
            "{why}\nWithout a yes at the authenticator there is no signature."
        )),
        Decide::Approve => why,
    }
}

/// A program without this terminal: there the agent would say what is waited
/// for, between the words of the authenticator, which in truth is on another
/// machine.
fn elsewhere(stage: &Stage, line: &[&str]) -> Command {
    stage.command(&[&["setsid", "--wait"], line].concat())
}

fn ask(decide: Decide, what: &str) {
    if decide == Decide::Person {
        say(&format!(
            "The authenticator shows {what} below: read it, then press y (or n)."
        ));
    }
}

fn next() {
    step("Done; all of it is gone again. Next, on your own machines:");
    say("  keystead-relay run                             on a host that both reach, behind TLS");
    say("  keystead-authenticator init --name my-phone    on the machine that keeps the key");
    say("  keystead-authenticator run");
    say("  keystead pair --relay https://your.relay       here; then scan, or type the link there");
    say("  keystead ssh setup                             here; then: ssh user@host");
    say("  keystead git setup                             here; then git signs every commit");
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A passphrase that nobody needs to know.
pub(crate) fn random_text() -> Result<String> {
    let id = PathBuf::from("/proc/sys/kernel/random/uuid");
    read(&id)
}

const AUTHENTICATOR: &str = "my-phone";
const WORKSTATION: &str = "my-laptop";
const EMAIL: &str = "alex@example.org";
