//! What each command does.

mod find;
mod grants;
mod keys;
mod pair;
mod show;
mod wallet;
mod words;

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use keystead_core::{KeyType, Name, Outcome, SecretBytes};
use keystead_daemon::home::{Folders, Program};
use keystead_daemon::process::{Lock, LockError, harden};
use keystead_daemon::{Clock, Disk, FolderDisk, SystemClock, SystemRng};
use keystead_transport::{Net, NetOptions};
use keystead_vault::Cost;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::arguments::{
    Arguments, Command as Typed, GrantCommand, HostCommand, KeyCommand, WordsOptions,
};
use super::conversation::Conversation;
use super::edge::Edge;
use super::failure::Failure;
use super::passphrase::Source;
use super::serve::{self, Run};
use super::{PROGRAM, control, print};
use crate::LoadError;
use crate::control::{Command, Reply};
use crate::entry::Entry;
use crate::holder::{Decide, Options, key_line};
use crate::journal::{Journal, LOG_FILE};
use crate::keyring::Keyring;
use crate::settings::Settings;
use words::Given;

/// Does what was typed.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Typed::Completions { shell } = arguments.command {
        return completions(shell);
    }
    if let Typed::Man { folder } = &arguments.command {
        return man_pages(folder);
    }
    // Before anything secret is in memory.
    harden()?;
    if let Typed::Local(options) = arguments.command {
        return Ok(crate::local::run(options)?);
    }
    let folders = Folders::of(Program::Authenticator)?;
    folders.make()?;
    let source = Source {
        fd: arguments.passphrase_fd,
    };
    match arguments.command {
        Typed::Init { name, words } => init(&folders, &name, &words, source),
        Typed::Wallet(command) => wallet::run(&folders, command, source),
        Typed::Key(command) => key(&folders, command, source),
        Typed::Pair { link, yes, network } => {
            let net = NetOptions {
                ca_file: network.ca_file,
            };
            pair::pair(&folders, &link, yes, net)
        }
        Typed::Unpair { workstation } => simple(&folders, Command::Unpair { workstation }),
        Typed::Run {
            decide,
            listen,
            network,
        } => {
            let net = NetOptions {
                ca_file: network.ca_file,
            };
            let run = Run {
                decide: decide.into(),
                listen,
                net,
                namespaces: Settings::load(&folders.config)?.namespaces(),
                source,
            };
            block_on(serve::serve(&folders, run))
        }
        Typed::Lock => lock(&folders),
        Typed::Unlock => unlock(&folders, source),
        Typed::Status { json } => show::status(&folders, json),
        Typed::Host(HostCommand::List { json }) => show::hosts(&folders, json),
        Typed::Host(HostCommand::Accept { name, fingerprint }) => simple(
            &folders,
            Command::HostAccept {
                name,
                host_key: fingerprint,
            },
        ),
        Typed::Host(HostCommand::Forget { name }) => simple(&folders, Command::HostForget { name }),
        Typed::Grant(GrantCommand::List { json }) => grants::list(&folders, json),
        Typed::Grant(GrantCommand::Revoke { id, all, json }) => {
            grants::revoke(&folders, id.filter(|_| !all), json)
        }
        Typed::Log { json } => show::log(&folders, json),
        // Done above.
        Typed::Completions { .. } | Typed::Man { .. } | Typed::Local(_) => Ok(()),
    }
}

fn key(folders: &Folders, command: KeyCommand, source: Source) -> Result<(), Failure> {
    match command {
        KeyCommand::New {
            name,
            algorithm,
            purpose,
        } => keys::new(folders, name, (algorithm, purpose.purpose()), source),
        KeyCommand::Import {
            file,
            name,
            file_passphrase_fd: fd,
        } => keys::import(folders, &file, name, Source { fd }, source),
        KeyCommand::Remove {
            name,
            approval: true,
            yes,
        } => keys::remove_approval(folders, name, yes),
        KeyCommand::Remove { name, yes, .. } => keys::remove(folders, name, yes),
        KeyCommand::List { json } => show::keys(folders, json),
    }
}

fn init(
    folders: &Folders,
    name: &str,
    words: &WordsOptions,
    source: Source,
) -> Result<(), Failure> {
    let name = Name::new(name)
        .map_err(|error| Failure::new(error.to_string(), "choose another --name"))?;
    let _lock = Lock::take(&folders.state)?;
    let mut disk = FolderDisk::open(&folders.state)?;
    match Keyring::load(&disk) {
        Err(LoadError::NotMade) => {}
        Ok(keys) => {
            return Err(LoadError::AlreadyMade {
                name: keys.name().to_string(),
            }
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    forget_half_made(&mut disk)?;
    let given = Given::of(words, &[])?;
    let passphrase = source.read_new()?;
    let rng = &mut SystemRng;
    let mut keys = Keyring::create(name.clone(), &passphrase, Cost::STANDARD, rng)
        .map_err(|error| Failure::new(error.to_string(), error.hint()))?;
    let mut entry = Entry::own(SystemClock.now().unix_s, "init", Outcome::Approve);
    match given {
        Some(given) => {
            let fingerprint = given.wallet.fingerprint();
            entry.wallet = Some(fingerprint.to_string());
            keys.hold_wallet(given.wallet, rng)
                .map_err(|error| Failure::new(error.to_string(), error.hint()))?;
            Journal::create(&entry, &mut disk)?;
            // The file of the keys comes last: with it the authenticator is made.
            keys.save(&mut disk)?;
            print::talk(format_args!(
                "{name} is made, with the wallet {fingerprint}."
            ));
            print::line(format_args!("wallet {fingerprint}"))?;
        }
        None => {
            entry.key = Some(FIRST_KEY.to_owned());
            Journal::create(&entry, &mut disk)?;
            let first =
                Name::new(FIRST_KEY).map_err(|error| Failure::new(error.to_string(), ""))?;
            let made = keys
                .make_key(&first, KeyType::Ed25519, rng, &mut disk)
                .map_err(|error| Failure::new(error.to_string(), error.hint()))?;
            print::talk(format_args!("{name} is made, with the key {FIRST_KEY}."));
            print_key(key_line(&made))?;
        }
    }
    print::talk(
        "Next: keystead pair --link on the workstation, and here\n\
         keystead-authenticator pair LINK",
    );
    Ok(())
}

/// An `init` that was stopped in the middle left a log of one entry and no key.
fn forget_half_made(disk: &mut FolderDisk) -> Result<(), Failure> {
    if disk.read(LOG_FILE)?.is_none() {
        return Ok(());
    }
    match Journal::read(disk) {
        Ok(entries) if entries.len() <= 1 => Ok(disk.remove(LOG_FILE)?),
        Ok(_) | Err(_) => Err(LoadError::Missing {
            file: crate::keyring::KEYS_FILE.to_owned(),
        }
        .into()),
    }
}

fn print_key(key: Option<crate::control::KeyLine>) -> Result<(), Failure> {
    let Some(key) = key else {
        return Err(strange());
    };
    print::talk(format_args!(
        "{}  {}  {}",
        key.name, key.algorithm, key.fingerprint
    ));
    print::line(key.public_key)
}

fn lock(folders: &Folders) -> Result<(), Failure> {
    match block_on(Conversation::connect(&control::socket(folders)))? {
        None => {
            print::talk("nothing runs: the keys are on disk alone, sealed");
            Ok(())
        }
        Some(_) => simple(folders, Command::Lock),
    }
}

fn unlock(folders: &Folders, source: Source) -> Result<(), Failure> {
    let socket = control::socket(folders);
    block_on(async {
        let Some(mut talk) = Conversation::connect(&socket).await? else {
            return Err(Failure::new(
                "nothing runs that could be unlocked",
                "keystead-authenticator run asks for the passphrase itself",
            ));
        };
        let passphrase = source.read("Passphrase: ")?;
        say_done(ask(&mut talk, Command::Unlock, Some(passphrase)).await?)
    })
}

/// A command with one answer.
fn simple(folders: &Folders, command: Command) -> Result<(), Failure> {
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        ask(talk, command, None).await
    })?)
}

fn say_done(reply: Reply) -> Result<(), Failure> {
    let Reply::Done { line } = reply else {
        return Err(strange());
    };
    print::talk(line);
    Ok(())
}

/// Speaks with the running authenticator, or with one in this process; the
/// latter reaches the network only with `net`.
fn converse<T>(
    folders: &Folders,
    net: Option<NetOptions>,
    talk: impl AsyncFnOnce(&mut Conversation) -> Result<T, Failure>,
) -> Result<T, Failure> {
    block_on(async {
        let _lock = match find(folders).await? {
            Found::Running(mut running) => return talk(&mut running).await,
            Found::Nothing(lock) => lock,
        };
        let disk = FolderDisk::open(&folders.state)?;
        let net = net.map(Net::start).transpose()?;
        let (to_edge, commands) = mpsc::channel(1);
        let options = Options {
            decide: Decide::Nobody,
            ..Options::default()
        };
        let (mut edge, actions) = Edge::load(disk, options, net, commands)?;
        edge.act(actions);
        let mut local = Conversation::local(to_edge);
        let said = tokio::select! {
            said = talk(&mut local) => said,
            failure = edge.work() => Err(failure),
        };
        if said.is_ok() {
            // Whoever answers the workstation's repeats until its Close is us.
            edge.work_while_pairing().await;
        }
        edge.end().await;
        said
    })
}

/// Who does what a command asks.
enum Found {
    /// The running one.
    Running(Conversation),
    /// Nobody: this process may.
    Nothing(Lock),
}

/// Finds the running one, or takes its place. One that has just been started holds the
/// lock before it can be spoken to.
async fn find(folders: &Folders) -> Result<Found, Failure> {
    let socket = control::socket(folders);
    let give_up = Instant::now() + STARTING_WAIT;
    loop {
        if let Some(running) = Conversation::connect(&socket).await? {
            return Ok(Found::Running(running));
        }
        match Lock::take(&folders.state) {
            Ok(lock) => return Ok(Found::Nothing(lock)),
            Err(LockError::Held { .. }) if Instant::now() < give_up => {
                tokio::time::sleep(STARTING_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Asks, says what is said meanwhile, and gives the last reply.
async fn ask(
    talk: &mut Conversation,
    command: Command,
    passphrase: Option<SecretBytes>,
) -> Result<Reply, Failure> {
    talk.say(command, passphrase).await?;
    loop {
        match talk.next().await? {
            Reply::Say { line } => print::talk(line),
            Reply::Failed { message, hint } => return Err(Failure::new(message, hint)),
            Reply::Code { .. } => return Err(strange()),
            last @ (Reply::Status(_)
            | Reply::Grants(_)
            | Reply::Key(_)
            | Reply::Wallets(_)
            | Reply::Identities { .. }
            | Reply::Done { .. }) => return Ok(last),
        }
    }
}

fn strange() -> Failure {
    Failure::new(
        "the authenticator gave another answer than was asked for",
        "",
    )
}

fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(work);
    // A thread that still waits for a key must not hold the program.
    runtime.shutdown_background();
    outcome
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}

/// One page a command.
fn man_pages(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    Ok(clap_mangen::generate_to(Arguments::command(), folder)?)
}

/// 5 s: to open the keys, a start takes one or two on a slow machine. One that still waits
/// for its passphrase then is named instead.
const STARTING_WAIT: Duration = Duration::from_secs(5);

/// Between two looks.
const STARTING_PAUSE: Duration = Duration::from_millis(50);

/// The key that `init` makes.
const FIRST_KEY: &str = "main";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt;

    use super::*;
    use keystead_daemon::socket::Listener;

    fn folders(top: &Path) -> Folders {
        let folder = |name: &str| {
            let path = top.join(name);
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .unwrap();
            path
        };
        Folders {
            config: folder("config"),
            state: folder("state"),
            runtime: folder("run"),
        }
    }

    #[tokio::test]
    async fn one_that_is_being_started_is_waited_for() {
        let top = tempfile::tempdir().unwrap();
        let folders = folders(top.path());
        let lock = Lock::take(&folders.state).unwrap();
        let starting = async {
            tokio::time::sleep(STARTING_PAUSE * 3).await;
            Listener::bind(&control::socket(&folders)).unwrap()
        };
        let (found, listener) = tokio::join!(find(&folders), starting);
        assert!(matches!(found, Ok(Found::Running(_))));
        drop((listener, lock));
        // And a command that ends makes room for the next.
        let lock = Lock::take(&folders.state).unwrap();
        let ending = async {
            tokio::time::sleep(STARTING_PAUSE * 3).await;
            drop(lock);
        };
        let (found, ()) = tokio::join!(find(&folders), ending);
        assert!(matches!(found, Ok(Found::Nothing(_))));
    }
}
