//! Between a program and an agent: what passes is kept, so that it can be asked
//! again with the host's own proof in it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use keystead_tests::{About, Result};

/// Frames that programs sent to the agent, in order.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<Vec<Vec<u8>>>>);

impl Tap {
    /// Listens at `at` and passes all on to `agent`.
    pub(crate) fn start(at: &Path, agent: &Path) -> Result<Self> {
        let listener = UnixListener::bind(at).about(at.display())?;
        let (tap, agent) = (Self::default(), agent.to_owned());
        let kept = tap.clone();
        std::thread::spawn(move || {
            for program in listener.incoming().flatten() {
                let Ok(agent) = UnixStream::connect(&agent) else {
                    return;
                };
                let kept = kept.clone();
                std::thread::spawn(move || kept.pass(program, agent));
            }
        });
        Ok(tap)
    }

    /// The last frame of a kind.
    pub(crate) fn last(&self, kind: u8) -> Option<Vec<u8>> {
        let frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut backwards = frames.iter().rev();
        backwards.find(|it| it.get(4) == Some(&kind)).cloned()
    }

    fn pass(&self, mut program: UnixStream, mut agent: UnixStream) {
        while let Some(frame) = read_frame(&mut program) {
            let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            frames.push(frame.clone());
            drop(frames);
            if agent.write_all(&frame).is_err() {
                return;
            }
            let Some(answer) = read_frame(&mut agent) else {
                return;
            };
            if program.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

/// With its length.
fn read_frame(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).ok()?;
    let length = u32::from_be_bytes(frame.first_chunk().copied()?);
    let mut body = from.take(length.into());
    body.read_to_end(&mut frame).ok()?;
    Some(frame)
}
