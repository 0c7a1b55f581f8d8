//! An authenticator with a key on its disk and a grant of its holder, reached by
//! a Unix socket: its log is durable before the answer, so it may cost what the
//! disk takes for that.

use std::io::Write;
use std::path::Path;

use keystead_tests::{About, Place, Play, Program, Result};

use crate::agents::{Agent, ended_well};
use crate::client::Client;
use crate::times::{self, Times};
use crate::{Bound, figure, say};

pub(crate) fn measure() -> Result<()> {
    let place = Place::new()?;
    let other = Agent::other(&place)?;
    let words = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        "ed25519",
    ];
    ended_well(&mut Program::start(&place.run(&words))?, "ssh-keygen")?;
    other.add(&place, "ed25519")?;
    let mut play = Play::new()?;
    play.script("with_grant")?;
    let socket = play.variable("SOCKET")?.to_owned();
    let state = play.variable("STATE")?.to_owned();
    let folder = Path::new(&state).join("authenticator");
    let [mut ours, mut theirs, mut syncs] = [(); 3].map(|()| Times::default());
    for _ in 0..ROUNDS {
        for (socket, times) in [
            (Path::new(&socket), &mut ours),
            (other.socket.as_path(), &mut theirs),
        ] {
            let mut client = Client::connect(socket)?;
            let key = client.key("ssh-ed25519")?;
            client.sign(&key)?;
            times.extend(times::run(BATCH, || client.sign(&key))?);
        }
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

/// An entry of the log is about as long.
const ENTRY_BYTES: usize = 600;

const ROUNDS: usize = 10;
const BATCH: usize = 50;
