//! Holds an answer until its session ends, where an app prefers that: `Prefer: wait=N` (RFC 7240 §4.3).
//!
//! Below it a question is answered at once. However many wait for a session, one poller asks about it, and all
//! pollers of a resource take turns.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either};
use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::key::Question;
use super::memory::Memory;
use super::recall::{How, Told, Why};
use crate::call::Call;
use crate::error::Error;
use crate::share::Share;

/// Shortest time between two questions about one session. A person who turns their head takes longer.
const SHORTEST: Duration = Duration::from_millis(500);

/// Longest pause after trouble. Every trouble doubles it.
const LONGEST: Duration = Duration::from_secs(16);

/// Longest watch of one poller: those who wait still begin another, so that none outlives its configuration for long.
const WATCH: Duration = Duration::from_secs(60);

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

/// One poller's news, for all who wait for its session.
#[derive(Debug)]
pub(super) struct Poller(watch::Sender<News>);

#[derive(Debug, Clone)]
enum News {
    None,
    Latest(Result<Told, Error>),
    /// What is known of the session was forgotten: it was deleted, or purged.
    Forgotten,
}

impl Poller {
    pub(super) fn forgotten(&self) {
        self.0.send_replace(News::Forgotten);
    }

    /// What was forgotten meanwhile is not told any more.
    fn tell(&self, outcome: Result<Told, Error>) {
        self.0.send_if_modified(|news| {
            let wanted = !matches!(news, News::Forgotten);
            if wanted {
                *news = News::Latest(outcome);
            }
            wanted
        });
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.0.receiver_count() == 0
    }
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
            let told = first.await?;
            match question {
                Some(question) if told.is_open() => {
                    this.hold(told, question, again, deadline).await
                }
                _ => Ok(told.waited()),
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
        told: Told,
        question: Question,
        again: Call,
        deadline: Instant,
    ) -> Result<Told, Error> {
        let mut draining = self.memory.drained();
        let (mut news, mut latest) = (self.join(&question, &again), Some(told));
        loop {
            let changed = tokio::select! {
                biased;
                () = drained(&mut draining) => return self.now(latest, again).await,
                changed = news.changed() => changed,
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
            return poller.0.subscribe();
        }
        let poller = Arc::new(Poller(watch::Sender::new(News::None)));
        let news = poller.0.subscribe();
        table.pollers.insert(question.clone(), Arc::clone(&poller));
        let seat = Seat { memory: Arc::clone(&self.memory), question: question.clone(), poller };
        let polling = poll(seat, self.inner.clone(), Arc::clone(&self.share), again.anew());
        // It ends by itself when nobody listens any more.
        drop(tokio::spawn(polling));
        news
    }
}

/// A poller's place in the table, which it leaves whatever happens.
struct Seat {
    memory: Arc<Memory>,
    question: Question,
    poller: Arc<Poller>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.memory.leave(&self.question, &self.poller);
    }
}

async fn poll<S>(seat: Seat, inner: S, share: Arc<Share>, again: Call)
where
    S: Service<Call, Response = Told, Error = Error> + Clone,
{
    let (mut pause, begun) = (SHORTEST, Instant::now());
    while begun.elapsed() < WATCH {
        let turn = async {
            sleep(pause).await;
            share.turn().await;
        };
        tokio::select! {
            () = seat.poller.0.closed() => {
                if seat.memory.leave_if_deserted(&seat.question, &seat.poller) {
                    return;
                }
                // Somebody came at the last moment.
                continue;
            }
            () = turn => {}
        }
        let outcome = inner.clone().oneshot(again.anew()).await.map(Told::collapsed);
        let in_trouble = goes_on(&outcome) && !outcome.as_ref().is_ok_and(Told::is_open);
        pause = if in_trouble { (2 * pause).min(LONGEST) } else { SHORTEST };
        if let Some(seconds) = outcome.as_ref().ok().and_then(|told| told.answer.retry_after())
            && in_trouble
        {
            share.rest(Duration::from_secs(seconds)).await;
        }
        let done = !goes_on(&outcome);
        if done {
            seat.memory.leave(&seat.question, &seat.poller);
        }
        seat.poller.tell(outcome);
        if done {
            return;
        }
    }
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // The memory outlives whoever waits, so that this cannot end otherwise.
    drop(draining.wait_for(|draining| *draining).await);
}

/// Whether there is a reason to ask again: the session has not ended, or Azure is in trouble.
fn goes_on(outcome: &Result<Told, Error>) -> bool {
    match outcome {
        Ok(told) => {
            let status = told.answer.status;
            let passes = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
            told.is_open() || passes.contains(&status) || status.is_server_error()
        }
        Err(_) => true,
    }
}

impl Told {
    /// Whether it is a session that has not ended.
    fn is_open(&self) -> bool {
        self.answer.standing().is_some_and(|standing| !standing.has_ended())
    }

    fn waited(self) -> Self {
        Self { waited: true, ..self }
    }

    /// As those see it who did not ask themselves.
    fn collapsed(self) -> Self {
        let how = match self.how {
            How::Asked { .. } | How::Collapsed(_) => How::Collapsed(Why::Miss),
            how => how,
        };
        Self { how, ..self }
    }
}

#[cfg(test)]
mod tests;
