//! A body that can be sent once more: what went by is kept for as long as it may be needed, and while there is room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Body, BodyError, Stream};

/// What keeping a piece costs beside its bytes, so that many small ones are not kept for nothing.
const PIECE: u32 = 64;

/// A body, for one who may have to send it again.
#[derive(Debug)]
pub struct Original(Form);

#[derive(Debug)]
enum Form {
    Empty,
    Whole(Bytes),
    Stream(Arc<Mutex<Kept>>),
}

/// What is left of a stream, and what went by.
#[derive(Debug)]
struct Kept {
    rest: Box<Stream>,
    frames: Vec<Bytes>,
    /// How many of them the present borrower has had.
    given: usize,
    /// Which borrower is the present one.
    turn: u32,
    waker: Option<Waker>,
    /// Bytes of memory that all such bodies share.
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    keep: Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Whatever goes by is kept.
    All,
    /// There was no room for all, so that there is nothing to send again.
    Lost,
    /// Nobody will ask for it again.
    Done,
}

/// A body that was borrowed from an [`Original`]. It breaks off when the next one is borrowed.
#[derive(Debug)]
pub struct Lent {
    kept: Arc<Mutex<Kept>>,
    turn: u32,
}

impl Original {
    /// Keeps what goes by, as long as `room` has a permit for each byte.
    pub fn new(body: Body, room: &Arc<Semaphore>) -> Self {
        let kept = |rest| Kept {
            rest,
            frames: Vec::new(),
            given: 0,
            turn: 0,
            waker: None,
            room: Arc::clone(room),
            taken: None,
            keep: Keep::All,
        };
        Self(match body {
            Body::Whole(bytes) => Form::Whole(bytes),
            Body::Stream(rest) => Form::Stream(Arc::new(Mutex::new(kept(rest)))),
            // What was lent already is nobody's to lend, and nobody does.
            Body::Empty | Body::Lent(_) => Form::Empty,
        })
    }

    /// The body from its beginning; none where part of it was not kept. The first time it is always there.
    pub fn lend(&self) -> Option<Body> {
        match &self.0 {
            Form::Empty => Some(Body::Empty),
            Form::Whole(bytes) => Some(Body::Whole(bytes.clone())),
            Form::Stream(shared) => {
                let mut kept = lock(shared);
                if kept.keep == Keep::Lost {
                    return None;
                }
                kept.turn += 1;
                kept.given = 0;
                let former = kept.waker.take();
                let lent = Lent { kept: Arc::clone(shared), turn: kept.turn };
                drop(kept);
                // Who waits for more of it must learn that there is none for them.
                former.into_iter().for_each(Waker::wake);
                Some(Body::Lent(lent))
            }
        }
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        if let Form::Stream(shared) = &self.0 {
            let mut kept = lock(shared);
            kept.keep = Keep::Done;
            kept.forget();
        }
    }
}

impl Kept {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(frame) = self.frames.get(self.given).cloned() {
            self.given += 1;
            self.forget();
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        self.waker = Some(cx.waker().clone());
        let frame = ready!(self.rest.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.note(data.clone());
        }
        Poll::Ready(frame)
    }

    fn note(&mut self, data: Bytes) {
        if self.keep != Keep::All {
            return;
        }
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX).saturating_add(PIECE);
        match Arc::clone(&self.room).try_acquire_many_owned(length) {
            Ok(permit) => {
                match &mut self.taken {
                    Some(taken) => taken.merge(permit),
                    taken @ None => *taken = Some(permit),
                }
                self.frames.push(data);
                self.given += 1;
            }
            Err(_) => {
                self.keep = Keep::Lost;
                self.forget();
            }
        }
    }

    /// Lets go of what nobody will ask for any more.
    fn forget(&mut self) {
        if self.keep != Keep::All && self.given >= self.frames.len() {
            (self.frames, self.given, self.taken) = (Vec::new(), 0, None);
        }
    }
}

impl Lent {
    /// The next piece, for the one who borrowed last.
    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut kept = lock(&self.kept);
        if kept.turn == self.turn {
            kept.poll_frame(cx)
        } else {
            Poll::Ready(Some(Err(BodyError::Superseded)))
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let kept = lock(&self.kept);
        kept.turn == self.turn && kept.given >= kept.frames.len() && kept.rest.inner.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = lock(&self.kept);
        let again = kept.frames.iter().skip(kept.given).map(|frame| frame.len() as u64);
        let again = again.sum::<u64>();
        let rest = kept.rest.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(again));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(again));
        }
        hint
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
