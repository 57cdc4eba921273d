//! Holds an answer until its session ends, where an app prefers that: `Prefer: wait=N` (RFC 7240 §4.3).
//!
//! Below it a question is answered at once. However many wait for a session, one poller asks about it, and all
//! pollers of a resource take turns.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::key::Question;
use super::memory::Memory;
use super::poller::{News, Seat, goes_on};
use super::recall::Told;
use crate::call::Call;
use crate::error::Error;
use crate::metrics::waits::waiting;
use crate::share::Share;

/// The row.
#[derive(Debug, Clone)]
pub struct Wait<S> {
    inner: S,
    memory: Arc<Memory>,
    share: Arc<Share>,
}

/// Holds answers until their sessions end.
pub fn wait<S>(memory: Arc<Memory>, share: Arc<Share>) -> impl Layer<S, Service = Wait<S>> + Clone {
    layer_fn(move |inner| Wait { inner, memory: Arc::clone(&memory), share: Arc::clone(&share) })
}

impl<S> Service<Call> for Wait<S>
where
    S: Service<Call, Response = Told, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = Told;
    type Error = Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Told, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(limit) = call.wishes.wait else {
            return Either::Left(self.inner.call(call));
        };
        let deadline = Instant::now() + limit;
        let (question, again, this) =
            (Question::new(self.share.number, &call.target.resource), call.anew(), self.clone());
        let first = self.inner.call(call);
        let held = async move {
            match (first.await, question) {
                (Ok(told), Some(question)) if told.is_open() => {
                    this.hold(Some(told), question, again, deadline).await
                }
                // There is time to wait for a turn.
                (Err(Error::HeldBack(_)), Some(question)) => {
                    this.hold(None, question, again, deadline).await
                }
                (told, _) => told.map(Told::waited),
            }
        };
        Either::Right(held.boxed())
    }
}

impl<S> Wait<S>
where
    S: Service<Call, Response = Told, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    async fn hold(
        self,
        mut latest: Option<Told>,
        question: Question,
        again: Call,
        deadline: Instant,
    ) -> Result<Told, Error> {
        let mut draining = self.memory.drained();
        let mut news = self.join(&question, &again);
        loop {
            let changed = tokio::select! {
                biased;
                () = drained(&mut draining) => return self.now(latest, again).await,
                changed = waiting(news.changed()) => changed,
                () = sleep_until(deadline) => {
                    return self.now(latest, again).await.map(Told::waited);
                }
            };
            // A poller that has left without a word has watched long enough.
            let heard = changed.map(|()| news.borrow_and_update().clone());
            match heard {
                Ok(News::Latest(Ok(told))) if told.is_open() => latest = Some(told),
                Ok(News::Latest(outcome)) if goes_on(&outcome) => {}
                Ok(News::Latest(outcome)) => return outcome.map(Told::waited),
                Ok(News::None) => {}
                Ok(News::Forgotten) => {
                    latest = None;
                    news = self.join(&question, &again);
                }
                Err(_) => news = self.join(&question, &again),
            }
        }
    }

    /// The latest that was heard since the app asked. If that was forgotten, Azure is asked.
    async fn now(self, latest: Option<Told>, again: Call) -> Result<Told, Error> {
        match latest {
            Some(told) => Ok(told),
            None => self.inner.oneshot(again).await.map(Told::collapsed),
        }
    }

    /// The news of the session's poller, which begins if there is none.
    fn join(&self, question: &Question, again: &Call) -> watch::Receiver<News> {
        let mut table = self.memory.table();
        if let Some(poller) = table.pollers.get(question) {
            return poller.listen();
        }
        let (seat, news) = Seat::take(&self.memory, &mut table, question);
        let polling = seat.poll(self.inner.clone(), Arc::clone(&self.share), again.anew());
        // It ends by itself when nobody listens any more.
        drop(tokio::spawn(polling));
        news
    }
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // The memory outlives whoever waits, so that this cannot end otherwise.
    drop(draining.wait_for(|draining| *draining).await);
}

#[cfg(test)]
mod tests;
