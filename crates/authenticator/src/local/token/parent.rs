//! The side of the keys: starts the process of a library and passes requests on to it.
//!
//! **Invariant**: a library's process is asked by one thread, one request at a time, as the token
//! works; dropping [`Token`] ends both.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;

use keystead_channel::wire;
use keystead_core::{
    Constraints, Evidence, ImportRequest, KeyForm, Kind, Outcome, Request, RequestBody, RequestId,
    ResponseBody, SecretBytes, SignForm, SignRequest,
};
use keystead_formats::ssh::PublicKey;

use super::{TokenKey, TokenWork};
use crate::local::frames::Frames;
use crate::local::programs::{Programs, Running};
use crate::local::{Done, Job};

/// A library's process.
pub(crate) struct Token {
    jobs: Sender<(Job, TokenWork)>,
    _running: Running,
}

impl Token {
    /// Starts it; `end` is told what comes of each job.
    pub(crate) fn start(provider: &Path, end: impl Fn(Job, Done) + Send + 'static) -> Self {
        let (jobs, received) = mpsc::channel::<(Job, TokenWork)>();
        let (running, programs) = Running::new();
        let provider = provider.to_owned();
        thread::spawn(move || {
            let mut link = Link::start(&programs);
            if let Err(error) = &link {
                tracing::warn!("the process for a token cannot be started: {error}");
            }
            while let Ok((job, work)) = received.recv() {
                let done = match &mut link {
                    Ok(link) => link.done(&provider, &work),
                    Err(_) => nothing(&work),
                };
                end(job, done);
            }
        });
        Self {
            jobs,
            _running: running,
        }
    }

    /// Has it do something, after what it was given before.
    pub(crate) fn send(&self, job: Job, work: TokenWork) {
        // Its thread ends after this, the last sender.
        let _ = self.jobs.send((job, work));
    }
}

/// The socket to the process.
struct Link {
    socket: UnixStream,
    frames: Frames,
    next: u64,
}

impl Link {
    fn start(programs: &Arc<Programs>) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(OWN_PROGRAM)
            .arg0("keystead-authenticator")
            .args(["local", "--token"])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let mut child = programs.watch(child).ok_or(io::ErrorKind::Interrupted)?;
        // Reaped when it ends: at the end of the socket, or by a signal.
        thread::spawn(move || child.wait());
        Ok(Self {
            socket,
            frames: Frames::new(),
            next: 0,
        })
    }

    fn done(&mut self, provider: &Path, work: &TokenWork) -> Done {
        match self.ask(provider, work) {
            Ok(Some(ResponseBody::Signature(signature))) => Done::Signed(Some(signature)),
            Ok(Some(ResponseBody::Keys(keys))) => {
                let read = keys.into_iter().filter_map(|key| {
                    let public = PublicKey::from_blob(&key.public_key).ok()?;
                    Some(TokenKey {
                        public,
                        name: key.name,
                    })
                });
                Done::Opened(Some(read.collect()))
            }
            Ok(_) => nothing(work),
            Err(error) => {
                tracing::warn!("the process of a token's library does not answer: {error}");
                nothing(work)
            }
        }
    }

    fn ask(&mut self, provider: &Path, work: &TokenWork) -> io::Result<Option<ResponseBody>> {
        self.next += 1;
        let (kind, request) = request(self.next, provider, work);
        let mut bytes = wire::encode_request(&request);
        let bytes = SecretBytes::take(&mut bytes);
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.socket.write_all(&len.to_be_bytes())?;
        self.socket.write_all(bytes.expose())?;
        loop {
            if let Some(frame) = self.frames.next()? {
                let of = |id: &RequestId| (*id == request.id).then_some(kind);
                let response = wire::decode_local_response(frame, of).map_err(io::Error::other)?;
                let is_done = response.outcome == Outcome::Approve;
                return Ok(response.body.filter(|_| is_done));
            }
            if self.frames.fill(&self.socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn request(number: u64, provider: &Path, work: &TokenWork) -> (Kind, Request) {
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().zip(number.to_be_bytes()) {
        *place = byte;
    }
    let body = match work {
        TokenWork::Sign {
            key,
            content,
            flags,
        } => RequestBody::Sign(SignRequest {
            key: *key,
            form: SignForm::Ssh,
            content: content.clone(),
            flags: *flags,
            evidence: Evidence::default(),
            identity: None,
        }),
        TokenWork::Open { pin } => RequestBody::Import(ImportRequest {
            form: KeyForm::Token,
            key: copy(path_bytes(provider)),
            passphrase: pin.as_ref().map(|pin| copy(pin.expose())),
            name: None,
            constraints: Constraints::default(),
            purposes: Vec::new(),
        }),
    };
    let kind = body.kind();
    let request = Request {
        id: RequestId(id),
        unix_s: 0,
        wait_s: Request::WAIT_S_MAX,
        want_ack: false,
        body,
    };
    (kind, request)
}

fn nothing(work: &TokenWork) -> Done {
    match work {
        TokenWork::Open { .. } => Done::Opened(None),
        TokenWork::Sign { .. } => Done::Signed(None),
    }
}

fn path_bytes(path: &Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}

fn copy(bytes: &[u8]) -> SecretBytes {
    SecretBytes::fill(bytes.len(), |out| out.copy_from_slice(bytes))
}

/// This very program, also when its file was replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
