//! Bodies of answers: a short text, or items fetched one by one as they go out.
//!
//! **Invariant:** an answer holds one item at a time, however many it carries.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};

use super::shared::Shared;
use crate::machine::{Record, Records};

/// The body of an answer.
pub(super) enum Body {
    /// All of it.
    Whole(Option<Bytes>),
    /// `(cursor u64 ‖ len u32 ‖ item)…`, all above a cursor and up to another.
    Items(Arc<Shared>, Records),
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(super) fn text(text: &'static str) -> Self {
        Self::Whole(Some(Bytes::from_static(text.as_bytes())))
    }

    /// One item is sent with its length; more are sent as they are fetched.
    /// `None`: all are gone meanwhile.
    pub(super) fn items(shared: Arc<Shared>, records: Records) -> Option<Self> {
        let first = shared.record(records)?;
        if first.cursor == records.upto {
            return Some(Self::Whole(Some(encode(&first))));
        }
        Some(Self::Items(shared, records))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Whole(bytes) => bytes.take(),
            Self::Items(shared, records) => shared.record(*records).map(|record| {
                records.after = record.cursor;
                encode(&record)
            }),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let len = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(len).unwrap_or(u64::MAX))
            }
            Self::Items(..) => SizeHint::default(),
        }
    }
}

/// A response with a line for who reads it with eyes.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

fn encode(record: &Record) -> Bytes {
    // An item is far below 4 GiB: the relay takes 65,600 bytes.
    let len = u32::try_from(record.item.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(RECORD_HEAD_BYTES + record.item.len());
    bytes.extend_from_slice(&record.cursor.to_be_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&record.item);
    bytes.into()
}

/// cursor u64 ‖ len u32.
const RECORD_HEAD_BYTES: usize = 12;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
