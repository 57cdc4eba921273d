//! Where a body comes from: an app, or Azure.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::BodyError;
use crate::error::{Defect, Error};
use crate::metrics::UpstreamTry;

/// Where a body comes from. One of Azure's ends its try when it is dropped.
#[derive(Debug)]
pub struct Source {
    incoming: Incoming,
    /// What was looked at before it is passed on.
    seen: VecDeque<Bytes>,
    end: Option<Result<(), hyper::Error>>,
    attempt: Option<UpstreamTry>,
    at_end: Option<AtEnd>,
}

/// What is done when a body was taken to its end, and not where it breaks off or nobody wants the rest.
pub struct AtEnd(Box<dyn FnOnce() + Send + Sync>);

impl AtEnd {
    /// Does this.
    pub fn new(done: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Box::new(done))
    }
}

impl fmt::Debug for AtEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtEnd").finish_non_exhaustive()
    }
}

impl Source {
    /// The content of an app's request.
    pub const fn app(incoming: Incoming) -> Self {
        Self { incoming, seen: VecDeque::new(), end: None, attempt: None, at_end: None }
    }

    /// The content of Azure's answer, and what is done when it was read.
    pub fn azure(incoming: Incoming, attempt: UpstreamTry, at_end: Option<AtEnd>) -> Self {
        let attempt = Some(attempt);
        let mut this = Self { incoming, seen: VecDeque::new(), end: None, attempt, at_end };
        if this.incoming.is_end_stream() {
            this.ended();
        }
        this
    }

    fn ended(&mut self) {
        self.at_end.take().into_iter().for_each(|AtEnd(done)| done());
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        // With a length the last piece is known to be the last.
        if frame.is_none() || self.incoming.is_end_stream() {
            self.ended();
        }
        Poll::Ready(frame)
    }

    /// The beginning of it, for one who has to know what it says: all of it, or as much as is longer than `enough`. It is
    /// passed on all the same.
    pub async fn peek(&mut self, enough: usize) -> Vec<u8> {
        let mut content = Vec::new();
        while content.len() <= enough && self.end.is_none() {
            match poll_fn(|cx| self.poll_incoming(cx)).await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        content.extend_from_slice(&data);
                        self.seen.push_back(data);
                    }
                }
                Some(Err(error)) => self.end = Some(Err(error)),
                None => self.end = Some(Ok(())),
            }
        }
        content
    }

    /// An answer that streams has begun already when it breaks: nothing can be said to the app any more
    /// but by breaking too, so it is counted and logged here.
    pub(super) fn broke(&mut self, error: BodyError) -> BodyError {
        if let Some(attempt) = &mut self.attempt {
            attempt.failed(&match error {
                BodyError::TooLarge => Error::UpstreamInvalidResponse(Defect::TooLarge),
                BodyError::TooSlow => Error::UpstreamTimeout,
                BodyError::Broken(_) | BodyError::Superseded => {
                    Error::UpstreamInvalidResponse(Defect::Incomplete)
                }
            });
            tracing::warn!("an answer that streamed to the app broke off: {error}");
        }
        error
    }
}

impl HttpBody for Source {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(data) = self.seen.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end.take() {
            Some(end) => {
                self.end = Some(Ok(()));
                Poll::Ready(end.err().map(Err))
            }
            None => self.poll_incoming(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let ended = matches!(self.end, Some(Ok(())));
        self.seen.is_empty() && (ended || self.end.is_none() && self.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let seen = self.seen.iter().map(|data| data.len() as u64).sum::<u64>();
        let rest = self.incoming.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(seen));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint
    }
}
