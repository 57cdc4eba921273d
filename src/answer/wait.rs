//! Holds an answer until its session ends, where an app prefers that: `Prefer: wait=N` (RFC 7240 §4.3).
//!
//! Below it a question is answered at once. However many wait for a session, one poller asks about it, and all
//! pollers of a resource take turns.

use std::sync::Arc;
use std::task::{Context, Poll as Readiness};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either};
use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::key::Key;
use super::memory::Memory;
use super::pace::Pace;
use super::recall::{How, Told, Why};
use crate::call::Call;
use crate::error::Error;
use crate::liveness::session::Standing;

/// Shortest time between two questions about one session. A person who turns their head takes longer.
const SHORTEST: Duration = Duration::from_millis(500);

/// Longest pause after trouble. Every trouble doubles it.
const LONGEST: Duration = Duration::from_secs(16);

/// The row.
#[derive(Debug, Clone)]
pub struct Wait<S> {
    inner: S,
    memory: Arc<Memory>,
    resource: u32,
    pace: Arc<Pace>,
}

/// Holds answers until their sessions end.
pub fn wait<S>(
    memory: Arc<Memory>,
    resource: u32,
    pace: Arc<Pace>,
) -> impl Layer<S, Service = Wait<S>> + Clone {
    layer_fn(move |inner| Wait {
        inner,
        memory: Arc::clone(&memory),
        resource,
        pace: Arc::clone(&pace),
    })
}

/// One poller's news, for all who wait for its session.
#[derive(Debug)]
pub(super) struct Poll(watch::Sender<News>);

#[derive(Debug, Clone)]
enum News {
    None,
    Latest(Result<Told, Error>),
    /// The session was deleted or purged: whoever still wants it must ask for it.
    Forgotten,
}

impl Poll {
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Readiness<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let key = Key::new(self.resource, &call.target.resource);
        let (Some(limit), Some(key)) = (call.wishes.wait, key) else {
            return Either::Left(self.inner.call(call));
        };
        let deadline = Instant::now() + limit;
        let (question, this) = (call.anew(), self.clone());
        let first = self.inner.call(call);
        let held = async move {
            let told = first.await?;
            let done = told.answer.status != StatusCode::OK || told.has_ended();
            if done { Ok(told.waited()) } else { this.hold(told, key, question, deadline).await }
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
        key: Key,
        question: Call,
        deadline: Instant,
    ) -> Result<Told, Error> {
        let again = question.anew();
        let mut news = self.join(key, question);
        let mut draining = self.memory.drained();
        let mut latest = Ok(told);
        loop {
            let changed = tokio::select! {
                biased;
                () = drained(&mut draining) => return latest,
                changed = news.changed() => changed,
                () = sleep_until(deadline) => return latest.map(Told::waited),
            };
            let news = changed.map_or(News::Forgotten, |()| news.borrow_and_update().clone());
            match news {
                News::Latest(outcome) if goes_on(&outcome) => latest = outcome,
                News::Latest(outcome) => return outcome.map(Told::waited),
                News::None => {}
                News::Forgotten => return self.inner.oneshot(again).await.map(Told::waited),
            }
        }
    }

    /// The news of the session's poller, which begins if there is none.
    fn join(&self, key: Key, question: Call) -> watch::Receiver<News> {
        let mut table = self.memory.table();
        if let Some(poll) = table.polls.get(&key) {
            return poll.0.subscribe();
        }
        let poll = Arc::new(Poll(watch::Sender::new(News::None)));
        let news = poll.0.subscribe();
        table.polls.insert(key.clone(), Arc::clone(&poll));
        let seat = Seat { memory: Arc::clone(&self.memory), key, poll };
        let poller = poll_for(seat, self.inner.clone(), Arc::clone(&self.pace), question);
        // It ends by itself when nobody listens any more.
        drop(tokio::spawn(poller));
        news
    }
}

/// A poller's place in the table, which it leaves whatever happens.
struct Seat {
    memory: Arc<Memory>,
    key: Key,
    poll: Arc<Poll>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.memory.leave(&self.key, &self.poll);
    }
}

async fn poll_for<S>(seat: Seat, inner: S, pace: Arc<Pace>, question: Call)
where
    S: Service<Call, Response = Told, Error = Error> + Clone,
{
    let mut pause = SHORTEST;
    loop {
        let turn = async {
            sleep(pause).await;
            pace.turn().await;
        };
        tokio::select! {
            () = seat.poll.0.closed() => {}
            () = turn => {}
        }
        if seat.memory.leave_if_deserted(&seat.key, &seat.poll) {
            return;
        }
        let outcome = inner.clone().oneshot(question.anew()).await.map(Told::collapsed);
        let in_trouble = !matches!(&outcome, Ok(told) if told.answer.status == StatusCode::OK);
        pause = if in_trouble { (2 * pause).min(LONGEST) } else { SHORTEST };
        let done = !goes_on(&outcome);
        if done {
            seat.memory.leave(&seat.key, &seat.poll);
        }
        seat.poll.tell(outcome);
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
        Ok(told) => match told.answer.status {
            StatusCode::OK => !told.has_ended(),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => true,
            status => status.is_server_error(),
        },
        Err(_) => true,
    }
}

impl Told {
    fn has_ended(&self) -> bool {
        self.answer.standing().is_none_or(Standing::has_ended)
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
