//! An authenticator with a key on its disk and a grant of its holder, reached by
//! a Unix socket: its log is durable before the answer, so it may cost what the
//! disk takes for that.

use std::io::Write;
use std::path::Path;

use keystead_tests::{About, Failure, Place, Play, Program, Result};

use crate::agents::{Agent, ended_well};
use crate::client::{Client, EXTENSION, SIGN_REQUEST, SIGN_RESPONSE, SUCCESS};
use crate::tap::Tap;
use crate::times::{self, Times};
use crate::{Bound, figure, say};

pub(crate) fn measure() -> Result<()> {
    let place = Place::new()?;
    let other = Agent::other(&place)?;
    let words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"];
    ended_well(&mut Program::start(&place.run(&words))?, "ssh-keygen")?;
    other.add(&place, "key")?;
    let mut play = Play::new()?;
    play.script("by_unix_socket")?;
    let granted = Granted::record(&mut play)?;
    let state = play.variable("STATE")?.to_owned();
    let folder = Path::new(&state).join("authenticator");
    let [mut ours, mut theirs, mut syncs] = [(); 3].map(|()| Times::default());
    for _ in 0..ROUNDS {
        ours.extend(granted.sign()?);
        let mut client = Client::connect(&other.socket)?;
        let key = client.key("ssh-ed25519")?;
        client.sign(&key)?;
        theirs.extend(times::run(BATCH, || client.sign(&key))?);
        syncs.extend(append_and_sync(&folder)?);
    }
    say(&format!(
        "sign by a grant, over a Unix socket: p50 {:.3} ms, p99 {:.3} ms; ssh-agent {:.3} ms, {:.3} ms; fdatasync of this disk {:.3} ms, {:.3} ms",
        ours.p50(),
        ours.p99(),
        theirs.p50(),
        theirs.p99(),
        syncs.p50(),
        syncs.p99(),
    ));
    let allowed_ms = theirs.p50() + syncs.p50();
    figure(
        "sign by grant / (ssh-agent + fdatasync), p50",
        ours.p50() / allowed_ms,
        "×",
        Bound::AtMost(1.0),
    );
    play.finish()
}

/// A login that a grant is for: what `ssh` said to the agent.
struct Granted {
    socket: String,
    bind: Vec<u8>,
    request: Vec<u8>,
}

impl Granted {
    fn record(play: &mut Play) -> Result<Self> {
        let socket = play.variable("SOCKET")?.to_owned();
        let at = play.place().path("tap.sock");
        let tap = Tap::start(&at, Path::new(&socket))?;
        // By the tap too: to the agent, a login is of the program at its socket.
        let ssh = format!("ssh -o IdentityAgent={} sshd true", at.display());
        play.lines(
            "load",
            &format!("{ssh} &login\n{GRANT}\nwait login\nstatus 0"),
        )?;
        let kept = |kind| {
            let frame = tap.last(kind);
            frame.ok_or_else(|| Failure::new("ssh did not ask the agent"))
        };
        Ok(Self {
            bind: kept(EXTENSION)?,
            request: kept(SIGN_REQUEST)?,
            socket,
        })
    }

    fn sign(&self) -> Result<Times> {
        let mut client = Client::connect(Path::new(&self.socket))?;
        client.repeat(&self.bind, SUCCESS)?;
        client.repeat(&self.request, SIGN_RESPONSE)?;
        times::run(BATCH, || client.repeat(&self.request, SIGN_RESPONSE))
    }
}

/// As a log does: an entry, then fdatasync(2).
fn append_and_sync(folder: &Path) -> Result<Times> {
    let path = folder.join("measured");
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&path)
        .about(path.display())?;
    let times = times::run(BATCH, || {
        file.write_all(&[b'.'; ENTRY_BYTES]).about(path.display())?;
        file.sync_data().about(path.display())
    })?;
    std::fs::remove_file(&path).about(path.display())?;
    Ok(times)
}

/// What the holder does at the question.
const GRANT: &str = "answer phone 'Log in as' h
wait-for phone terminal '1, 4 or 8 hours'
type phone '1'";

/// An entry of the log is about as long.
const ENTRY_BYTES: usize = 1_200;

/// A grant is for 100 logins; three are gone before and one goes in each round.
const ROUNDS: usize = 4;
const BATCH: usize = 22;
