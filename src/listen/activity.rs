//! What goes on on a connection: requests under way, answers being sent, and whether anything moves.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::time::sleep;

use super::Serve;
use crate::after::{After, Finish};
use crate::body::{Body, BodyError};

/// A connection's activity. All of it is told from the tasks of one connection, so order is no concern.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that came in and whose answers are not handed over yet.
    under_way: AtomicUsize,
    /// Answers that are being handed over.
    answering: AtomicUsize,
    /// Grows whenever something moves.
    moved: AtomicUsize,
    /// Bytes of an answer may be on their way still.
    unflushed: AtomicBool,
}

impl Activity {
    /// A request came in. Until what this returns is dropped, it is under way.
    pub(super) fn begin(self: Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.unflushed.store(true, Ordering::Relaxed);
        self.moved.fetch_add(1, Ordering::Relaxed);
        UnderWay { activity: self, answering: false }
    }

    /// Everything that was written is out.
    pub(super) fn flushed(&self) {
        if self.under_way.load(Ordering::Relaxed) == 0 {
            self.unflushed.store(false, Ordering::Relaxed);
        }
    }

    /// Whether there is a request whose answer is not handed over yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Whether an answer is being handed over.
    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    /// Whether nothing is under way and nothing of an answer is waiting to be sent.
    pub(super) fn quiet(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0 && !self.unflushed.load(Ordering::Relaxed)
    }

    /// Resolves when there has been no request for this long, and at most twice as long.
    pub(super) async fn idle(&self, limit: Duration) {
        self.unmoved(limit, || self.under_way.load(Ordering::Relaxed) == 0).await;
    }

    /// Resolves when answers have been waiting for their reader for this long, and at most twice as long.
    pub(super) async fn stuck(&self, limit: Duration) {
        self.unmoved(limit, || self.answering.load(Ordering::Relaxed) > 0).await;
    }

    async fn unmoved(&self, limit: Duration, meant: impl Fn() -> bool) {
        let state = || meant().then(|| self.moved.load(Ordering::Relaxed));
        let mut before = state();
        loop {
            sleep(limit).await;
            let now = state();
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    answering: bool,
}

impl UnderWay {
    fn answering(mut self) -> Self {
        self.activity.answering.fetch_add(1, Ordering::Relaxed);
        self.activity.moved.fetch_add(1, Ordering::Relaxed);
        self.answering = true;
        self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.answering {
            self.activity.answering.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.under_way.fetch_sub(1, Ordering::Relaxed);
        self.activity.moved.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells an [`Activity`] of the requests that a service answers.
#[derive(Debug, Clone)]
pub(super) struct Tracking<S> {
    service: S,
    activity: Arc<Activity>,
}

impl<S: Serve> Tracking<S> {
    pub(super) const fn new(service: S, activity: Arc<Activity>) -> Self {
        Self { service, activity }
    }
}

impl<S: Serve> Service<Request<Incoming>> for Tracking<S> {
    type Response = Response<Tracked>;
    type Error = Infallible;
    type Future = After<S::Future, UnderWay>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let under_way = Arc::clone(&self.activity).begin();
        After::new(self.service.call(request), under_way)
    }
}

impl Finish<Result<Response<Body>, Infallible>> for UnderWay {
    type Output = Result<Response<Tracked>, Infallible>;

    fn finish(self, answer: Result<Response<Body>, Infallible>) -> Self::Output {
        Ok(answer?.map(|body| Tracked { body, under_way: self.answering() }))
    }
}

/// A body whose request is under way until it is handed over.
#[derive(Debug)]
pub(super) struct Tracked {
    body: Body,
    under_way: UnderWay,
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.under_way.activity.moved.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle() {
        let activity = Arc::new(Activity::default());
        let start = Instant::now();
        activity.idle(LIMIT).await;
        assert_eq!(start.elapsed(), LIMIT);
        let under_way = Arc::clone(&activity).begin();
        assert!(timeout(10 * LIMIT, activity.idle(LIMIT)).await.is_err());
        drop(under_way);
        assert!(timeout(3 * LIMIT, activity.idle(LIMIT)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_stuck_and_a_slow_answer_is_not() {
        let activity = Arc::new(Activity::default());
        let under_way = Arc::clone(&activity).begin();
        assert!(timeout(10 * LIMIT, activity.stuck(LIMIT)).await.is_err());
        let answering = under_way.answering();
        assert!(timeout(3 * LIMIT, activity.stuck(LIMIT)).await.is_ok());
        let reading = async {
            loop {
                sleep(LIMIT / 2).await;
                activity.moved.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert!(
            timeout(10 * LIMIT, async {
                tokio::select! { () = activity.stuck(LIMIT) => {}, () = reading => {} }
            })
            .await
            .is_err()
        );
        drop(answering);
        assert!(timeout(10 * LIMIT, activity.stuck(LIMIT)).await.is_err());
    }
}
