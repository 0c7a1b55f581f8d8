//! `gpg-agent --server`: one client, at standard input and output.
//!
//! **Invariant:** its ordinary agent is its own and ends with it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitCode};
use std::rc::Rc;
use std::thread::JoinHandle;

use keystead_agent::gpg::{Conversation, Own};
use tokio::runtime::Builder;
use zeroize::Zeroizing;

use super::asking::Asker;
use super::connection::{End, carry};
use super::failed;
use super::keys_file::KeysFile;
use super::ordinary::{Ordinary, Places};
use crate::commands::agent::trace;

/// Serves until the client leaves.
pub(super) fn serve(options: &[OsString], places: &Places) -> ExitCode {
    trace("warn");
    match converse(options, places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(format_args!("{error}")),
    }
}

fn converse(options: &[OsString], places: &Places) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (client, written) = standard()?;
    let mut ordinary = ordinary(options, places).ok();
    runtime.block_on(async {
        let behind = ordinary.as_mut().and_then(|(_, stream)| end(stream).ok());
        let conversation = Conversation::new(Own {
            pid: std::process::id(),
            client_pid: None,
            socket: None,
            ssh_socket: None,
            restricted: false,
        });
        let keys = KeysFile::of(&places.homedir);
        let parent = rustix::process::getppid();
        let asker = Asker {
            client_pid: parent.map(rustix::process::Pid::as_raw_pid),
            links: Rc::default(),
        };
        let client = end(&client)?;
        carry(client, behind, conversation, &keys, &asker, || ()).await;
        io::Result::Ok(())
    })?;
    client.shutdown(Shutdown::Both)?;
    // What is written last is written before we end.
    let _ = written.join();
    if let Some((mut child, stream)) = ordinary {
        drop(stream);
        let _ = child.wait();
    }
    Ok(())
}

/// Standard input and output as one stream, which the runtime can take.
fn standard() -> io::Result<(UnixStream, JoinHandle<()>)> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut to_output = theirs.try_clone()?;
    std::thread::spawn(move || {
        let mut theirs = theirs;
        let _ = pass(&mut io::stdin(), &mut theirs);
        let _ = theirs.shutdown(Shutdown::Write);
    });
    let written = std::thread::spawn(move || {
        let _ = pass(&mut to_output, &mut io::stdout());
    });
    Ok((ours, written))
}

fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = Zeroizing::new([0; PASS_BYTES]);
    loop {
        match from.read(bytes.as_mut()) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                to.write_all(bytes.get(..count).unwrap_or_default())?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn ordinary(options: &[OsString], places: &Places) -> io::Result<(Child, UnixStream)> {
    let ordinary = Ordinary::find().ok_or(io::ErrorKind::NotFound)?;
    let (ours, theirs) = UnixStream::pair()?;
    let child = ordinary
        .command()
        .arg("--homedir")
        .arg(&places.homedir)
        .args(options)
        .arg("--server")
        .stdin(OwnedFd::from(theirs.try_clone()?))
        .stdout(OwnedFd::from(theirs))
        .spawn()?;
    Ok((child, ours))
}

fn end(stream: &UnixStream) -> io::Result<End> {
    let stream = stream.try_clone()?;
    stream.set_nonblocking(true)?;
    let (reader, writer) = tokio::net::UnixStream::from_std(stream)?.into_split();
    Ok(End::new(reader, writer))
}

/// As [`super::connection`] reads.
const PASS_BYTES: usize = 4_096;
