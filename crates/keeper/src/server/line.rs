//! One connection, shared by its sessions.
//!
//! **Invariant**: a frame goes to the session whose handle it has and to no other; what
//! is no frame, or an error of the connection itself, ends all of them. Frames leave in
//! the order in which they were sealed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keystead_channel::session::{Deframer, ErrorBody, Frame, FrameType, Handle, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::error::ServerError;

/// A connection's sending side and its routes.
pub(super) struct Line {
    out: mpsc::Sender<Vec<u8>>,
    routes: Arc<Routes>,
    next_handle: AtomicU32,
    tasks: [AbortHandle; 2],
}

/// Who gets what comes.
#[derive(Default)]
pub(super) struct Routes {
    table: Mutex<Table>,
    /// Long frames are taken: at the client from its own frame 22 or 30 on.
    is_logged_in: AtomicBool,
}

#[derive(Default)]
struct Table {
    routes: HashMap<Handle, Route>,
    is_gone: bool,
}

enum Route {
    SetUp(mpsc::Sender<Vec<u8>>),
    Session(Arc<dyn Hears>),
}

/// A session, as its connection sees it.
pub(super) trait Hears: Send + Sync {
    /// Takes what follows a frame's length; says whether the handle is dead.
    fn take(&self, rest: &[u8]) -> bool;

    /// It is over on this connection.
    fn end(&self, end: End);
}

/// Why a session is over on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is gone.
    Broken,
    /// The server said so.
    Closed(Status),
    /// It said what no server says.
    Misbehaved(&'static str),
}

impl End {
    pub(super) fn error(self) -> ServerError {
        match self {
            // Whatever the server says of it: whether the session can go on, only a resumption
            // tells. Keys that were idle are dropped while the session lives.
            Self::Broken | Self::Closed(_) => ServerError::Broken,
            Self::Misbehaved(what) => ServerError::Misbehaved(what),
        }
    }
}

impl Line {
    /// Starts to carry.
    pub(super) fn start<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        let (out, frames) = mpsc::channel(FRAMES_OUT_MAX);
        let routes = Arc::new(Routes::default());
        let read = tokio::spawn(read(reader, Arc::clone(&routes)));
        let write = tokio::spawn(write(writer, frames, Arc::clone(&routes)));
        Self {
            out,
            routes,
            next_handle: AtomicU32::new(1),
            tasks: [read.abort_handle(), write.abort_handle()],
        }
    }

    pub(super) fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// Where frames go out.
    pub(super) fn out(&self) -> &mpsc::Sender<Vec<u8>> {
        &self.out
    }

    pub(super) fn is_gone(&self) -> bool {
        self.routes.lock().is_gone
    }

    /// A handle that this connection has not had, and what comes for it.
    pub(super) fn set_up(&self) -> Result<(Handle, mpsc::Receiver<Vec<u8>>), ServerError> {
        let step = |next: u32| next.checked_add(1);
        let taken = self
            .next_handle
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let handle = Handle(taken.map_err(|_| ServerError::Full)?);
        let frames = self.listen(handle)?;
        Ok((handle, frames))
    }

    /// What comes for `handle`; handle 0 is the connection's hello.
    pub(super) fn listen(&self, handle: Handle) -> Result<mpsc::Receiver<Vec<u8>>, ServerError> {
        let (sender, receiver) = mpsc::channel(FRAMES_SET_UP_MAX);
        let mut table = self.routes.lock();
        if table.is_gone {
            return Err(ServerError::Broken);
        }
        table.routes.insert(handle, Route::SetUp(sender));
        Ok(receiver)
    }

    /// From now on the server may send long frames.
    pub(super) fn admit_long_frames(&self) {
        self.routes.is_logged_in.store(true, Ordering::Release);
    }

    pub(super) async fn send(&self, frame: Vec<u8>) -> Result<(), ServerError> {
        let sent = self.out.send(frame).await;
        sent.map_err(|_| ServerError::Broken)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // What is sealed goes out: the writer ends when the last sender is gone.
        let [read, _] = &self.tasks;
        read.abort();
        self.routes.end(End::Broken);
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set-up became a session: what came for it meanwhile goes to it first.
    pub(super) fn open(
        &self,
        handle: Handle,
        session: Arc<dyn Hears>,
        frames: &mut mpsc::Receiver<Vec<u8>>,
    ) {
        let mut table = self.lock();
        while let Ok(rest) = frames.try_recv() {
            session.take(&rest);
        }
        if table.is_gone {
            session.end(End::Broken);
        }
        table.routes.insert(handle, Route::Session(session));
    }

    pub(super) fn forget(&self, handle: Handle) {
        self.lock().routes.remove(&handle);
    }

    fn take(&self, rest: Vec<u8>) -> Result<(), End> {
        let frame = Frame::decode(&rest).map_err(|_| NO_FRAME)?;
        let handle = frame.handle;
        if handle == Handle::CONNECTION && frame.kind == FrameType::Error {
            let code = ErrorBody::decode(frame.body).map_or(Status::Malformed, |body| body.code);
            // The set-up that waits for a hello reads the code itself.
            if let Some(Route::SetUp(waiting)) = self.lock().routes.remove(&handle) {
                let _ = waiting.try_send(rest);
            }
            return Err(End::Closed(code));
        }
        let mut table = self.lock();
        let is_dead = match table.routes.get(&handle) {
            // A set-up reads two frames at the most before it is a session.
            Some(Route::SetUp(waiting)) => waiting.try_send(rest).is_err(),
            Some(Route::Session(session)) => session.take(&rest),
            // Of a session that was left.
            None => false,
        };
        if is_dead {
            table.routes.remove(&handle);
        }
        Ok(())
    }

    fn end(&self, end: End) {
        let mut table = self.lock();
        table.is_gone = true;
        for (_, route) in table.routes.drain() {
            if let Route::Session(session) = route {
                session.end(end);
            }
        }
    }
}

async fn read<S: AsyncRead>(mut reader: ReadHalf<S>, routes: Arc<Routes>) {
    let mut deframer = Deframer::new();
    let mut is_long = false;
    let mut room = vec![0; READ_BYTES];
    let end = loop {
        let count = match reader.read(&mut room).await {
            Ok(0) => break End::Broken,
            Ok(count) => count,
            Err(error) => {
                tracing::debug!(%error, "a connection to a server broke");
                break End::Broken;
            }
        };
        if !is_long && routes.is_logged_in.load(Ordering::Acquire) {
            deframer.admit_long_frames();
            is_long = true;
        }
        deframer.push(room.get(..count).unwrap_or_default());
        if let Err(end) = take_all(&mut deframer, &routes) {
            break end;
        }
    };
    routes.end(end);
}

fn take_all(deframer: &mut Deframer, routes: &Routes) -> Result<(), End> {
    while let Some(rest) = deframer.next_rest().map_err(|_| NO_FRAME)? {
        routes.take(rest)?;
    }
    Ok(())
}

/// What waits goes out in one write: many small frames are one segment.
async fn write<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    routes: Arc<Routes>,
) {
    let mut batch = Vec::new();
    while frames.recv_many(&mut batch, FRAMES_OUT_MAX).await > 0 {
        let bytes = match batch.len() {
            1 => batch.pop().unwrap_or_default(),
            _ => batch.concat(),
        };
        batch.clear();
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            let error: std::io::Error = error;
            tracing::debug!(%error, "a connection to a server broke");
            return routes.end(End::Broken);
        }
    }
    // The last session is gone: the server learns that nobody listens.
    let _ = writer.shutdown().await;
}

const NO_FRAME: End = End::Misbehaved("it sends what is no frame");

/// 64 frames wait to be written; then who asks waits.
const FRAMES_OUT_MAX: usize = 64;

/// 4 frames for a set-up: it has two, and a notice may follow `opened` at once.
const FRAMES_SET_UP_MAX: usize = 4;

/// 16 KiB: a TLS record.
const READ_BYTES: usize = 16 * 1_024;
