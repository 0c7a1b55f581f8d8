//! Programs that are started for one request: who asks the person, who speaks to a FIDO token.
//!
//! **Invariant**: dropping [`Running`] ends them, those that start later too, so nothing stays
//! on the screen that nobody waits for.

use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use keystead_core::SecretBytes;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::askpass::{self, Environment, Prompt};
use super::{Done, SecurityKey, SkReply, sk_program};

/// The programs of one request.
pub(super) struct Running(Arc<Programs>);

/// Those that run, by descriptors that name no other process when they have ended.
#[derive(Default)]
pub(super) struct Programs(Mutex<Handles>);

#[derive(Default)]
struct Handles {
    is_stopped: bool,
    open: Vec<OwnedFd>,
}

impl Running {
    /// None yet.
    pub(super) fn new() -> (Self, Arc<Programs>) {
        let programs = Arc::new(Programs::default());
        (Self(Arc::clone(&programs)), programs)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut handles = lock(&self.0.0);
        handles.is_stopped = true;
        for process in handles.open.drain(..) {
            stop(&process);
        }
    }
}

impl Programs {
    /// Lets it be stopped from now on; one that came too late, or cannot be, is stopped at once.
    pub(super) fn watch(&self, mut child: Child) -> Option<Child> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let process = pid.and_then(|it| pidfd_open(it, PidfdFlags::empty()).ok());
        let mut handles = lock(&self.0);
        match process {
            Some(process) if !handles.is_stopped => {
                handles.open.push(process);
                Some(child)
            }
            _ => {
                drop(handles);
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }
}

/// Asks the person; the answer is told at the end.
pub(super) fn ask(
    environment: &Arc<Environment>,
    question: String,
    end: impl FnOnce(Done) + Send + 'static,
) -> Running {
    let (running, programs) = Running::new();
    let environment = Arc::clone(environment);
    thread::spawn(move || {
        let said = answer(&programs, &environment, Prompt::Confirm, &question);
        end(Done::Answered(said.is_some_and(|it| askpass::is_yes(&it))));
    });
    running
}

/// Has a FIDO token sign. A notice stands on the screen meanwhile; the PIN is asked for once, if
/// it is wanted. The signature is told at the end.
pub(super) fn touch(
    environment: &Arc<Environment>,
    request: Touch,
    end: impl FnOnce(Done) + Send + 'static,
) -> Running {
    let (running, programs) = Running::new();
    let environment = Arc::clone(environment);
    thread::spawn(move || end(Done::Signed(request.sign(&programs, &environment))));
    running
}

/// A signature by a FIDO token.
pub(super) struct Touch {
    pub(super) key: Arc<SecurityKey>,
    pub(super) content: Vec<u8>,
    pub(super) notice: String,
}

impl Touch {
    fn sign(&self, programs: &Programs, environment: &Environment) -> Option<Vec<u8>> {
        match self.converse(programs, environment, None)? {
            SkReply::Signature(signature) => Some(signature),
            SkReply::PinWanted => {
                let question = format!("{}\nPIN of the security key:", self.notice);
                let pin = answer(programs, environment, Prompt::Secret, &question)?;
                match self.converse(programs, environment, Some(&pin))? {
                    SkReply::Signature(signature) => Some(signature),
                    SkReply::PinWanted | SkReply::Failed(_) => None,
                }
            }
            SkReply::Failed(error) => {
                tracing::warn!("the security key gave no signature (ssh-sk-helper: -{error})");
                None
            }
        }
    }

    fn converse(
        &self,
        programs: &Programs,
        environment: &Environment,
        pin: Option<&SecretBytes>,
    ) -> Option<SkReply> {
        let path = sk_program::path();
        let started = sk_program::start(&path);
        if let Err(error) = &started {
            tracing::warn!("{} cannot be started: {error}", path.display());
        }
        let mut child = programs.watch(started.ok()?)?;
        let notice = match self.key.wants_touch() {
            true => environment.start(Prompt::Notice, &self.notice),
            false => None,
        };
        let (to, from) = (child.stdin.take()?, child.stdout.take()?);
        let request = sk_program::request(&self.key, &self.content, pin);
        let reply = sk_program::converse(&request, to, from);
        if let Some(mut notice) = notice {
            // It may have been closed by the person.
            let _ = notice.kill();
            let _ = notice.wait();
        }
        // Its status says nothing that the reply does not.
        let _ = child.wait();
        SkReply::parse(&reply.ok()?).ok()
    }
}

/// The program's answer, if it ended well.
fn answer(
    programs: &Programs,
    environment: &Environment,
    prompt: Prompt,
    question: &str,
) -> Option<SecretBytes> {
    let mut child = programs.watch(environment.start(prompt, question)?)?;
    let line = askpass::read_line(child.stdout.take()?);
    let status = child.wait().ok()?;
    line.filter(|_| status.success())
}

fn stop(process: &OwnedFd) {
    // Ended already: then there is nothing to stop.
    let _ = pidfd_send_signal(process, Signal::TERM);
}

/// Whoever held it before may have panicked: what it guards is whole all the same.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
