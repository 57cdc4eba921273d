//! The body of a request or an answer, in either direction: nothing, whole, or streamed within bounds.

mod original;
mod source;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Sleep, sleep};

pub use self::original::{Lent, Original};
pub use self::source::{AtEnd, Source};

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
    /// One that may be sent once more.
    Lent(Lent),
}

/// A body that streams, with a bound on its size and on the time it may take.
#[derive(Debug)]
pub struct Stream {
    inner: Source,
    left: u64,
    watcher: Option<UnboundedSender<Bytes>>,
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
    /// It is sent somewhere else by now.
    #[error("the body is sent once more elsewhere")]
    Superseded,
}

impl Body {
    /// A body that streams: at most `limit` bytes, within `time` from now.
    pub fn stream(inner: Source, limit: u64, time: Duration) -> Self {
        // Over HTTP/2 the end of nothing may come later than its length.
        if inner.is_end_stream() || inner.size_hint().exact() == Some(0) {
            return Self::Empty;
        }
        let deadline = Box::pin(sleep(time));
        Self::Stream(Box::new(Stream { inner, left: limit, watcher: None, deadline }))
    }

    /// What passes, for one who looks at it without holding it up. It ends when the body does, also where that breaks off.
    pub fn watch(&mut self) -> UnboundedReceiver<Bytes> {
        let (watcher, seen) = unbounded_channel();
        match self {
            Self::Empty => {}
            // Nobody can have left yet.
            Self::Whole(bytes) => drop(watcher.send(bytes.clone())),
            Self::Stream(stream) => stream.watcher = Some(watcher),
            Self::Lent(_) => {}
        }
        seen
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
            Self::Lent(lent) => lent.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Stream(stream) => stream.inner.is_end_stream(),
            Self::Lent(lent) => lent.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.inner.size_hint(),
            Self::Lent(lent) => lent.size_hint(),
        }
    }
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(self.inner.broke(BodyError::TooSlow))));
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            // Trailers carry nothing that the contract names, and could carry what must not pass.
            Some(Ok(frame)) => Poll::Ready(frame.into_data().ok().map(|data| self.admit(data))),
            Some(Err(error)) => Poll::Ready(Some(Err(self.inner.broke(BodyError::Broken(error))))),
            None => {
                self.watcher = None;
                Poll::Ready(None)
            }
        }
    }

    fn admit(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => {
                self.left = left;
                // Whoever has seen enough has left.
                self.watcher.take_if(|watcher| watcher.send(data.clone()).is_err());
                Ok(Frame::data(data))
            }
            None => Err(self.inner.broke(BodyError::TooLarge)),
        }
    }
}
