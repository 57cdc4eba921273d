//! The body of a request or an answer, in either direction: nothing, whole, or streamed within bounds.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

/// Longest piece of a whole body that is handed over at once, in bytes. Nothing is copied for it, and
/// whether a reader still takes pieces tells whether it is still there.
const PIECE: usize = 64 << 10;

/// One concrete type for all bodies, so that the rows of the stack need no type parameter for it.
#[derive(Debug, Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// All of it, in memory.
    Whole(Bytes),
    /// Passed on frame by frame, as it comes.
    Stream(Box<Stream>),
}

/// A body that streams, with a bound on its size and on the time it may take.
#[derive(Debug)]
pub struct Stream {
    inner: Incoming,
    left: u64,
    deadline: Pin<Box<Sleep>>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// It took longer than allowed.
    #[error("the body took longer than allowed")]
    TooSlow,
    /// The connection that it came on failed.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

impl Body {
    /// A body that streams: at most `limit` bytes, within `time` from now.
    pub fn stream(inner: Incoming, limit: u64, time: Duration) -> Self {
        if inner.is_end_stream() {
            return Self::Empty;
        }
        Self::Stream(Box::new(Stream { inner, left: limit, deadline: Box::pin(sleep(time)) }))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Whole(bytes) }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                if bytes.is_empty() {
                    *self = Self::Empty;
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            // Trailers carry nothing that the contract names, and could carry what must not pass.
            Some(Ok(frame)) => Poll::Ready(frame.into_data().ok().map(|data| self.admit(data))),
            Some(Err(error)) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            None => Poll::Ready(None),
        }
    }

    fn admit(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        self.left = self.left.checked_sub(data.len() as u64).ok_or(BodyError::TooLarge)?;
        Ok(Frame::data(data))
    }
}
