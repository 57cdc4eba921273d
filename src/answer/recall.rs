//! Answers from memory what is final, and lets all who ask for the same session meanwhile share one question.
//!
//! Below it Azure is asked, by a task that nobody's leaving ends. Above it nobody can tell how often Azure was asked but by
//! what is [`Told`].

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::flight::{Landing, Outcome, Ticket};
use super::key::Key;
use super::life::{Case, life};
use super::memory::{Entry, Memory};
use super::prepared::Prepared;
use crate::call::Call;
use crate::config::Cache;
use crate::error::Error;
use crate::liveness::session::Standing;
use crate::moment::Moment;

/// An answer, and how it was come by.
#[derive(Debug, Clone)]
pub struct Told {
    /// The answer.
    pub answer: Arc<Prepared>,
    /// How it was come by.
    pub how: How,
    /// Whether it was held as long as the app wished.
    pub waited: bool,
}

/// How an answer was come by. RFC 9211 has a word for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was kept, and will be for so long.
    Hit(Duration),
    /// It may change, but has come a moment ago.
    Shared,
    /// Azure was asked for this request.
    Asked {
        /// Why.
        why: Why,
        /// Whether the answer is kept.
        stored: bool,
    },
    /// Azure was asked, for this request and others.
    Collapsed(Why),
}

/// Why Azure was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing was kept.
    Miss,
    /// What was kept is too old.
    Stale,
    /// The app wished for a fresh answer.
    Request,
}

impl Told {
    const fn new(answer: Arc<Prepared>, how: How) -> Self {
        Self { answer, how, waited: false }
    }
}

/// The row.
#[derive(Debug, Clone)]
pub struct Recall<S> {
    inner: S,
    memory: Arc<Memory>,
    terms: Terms,
}

/// What holds for a resource.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The resource's number.
    pub resource: u32,
    /// What is kept, and how long.
    pub cache: Cache,
    /// Longest wait of anybody for an answer.
    pub patience: Duration,
}

/// Answers from memory.
pub fn recall<S>(memory: Arc<Memory>, terms: Terms) -> impl Layer<S, Service = Recall<S>> + Clone {
    layer_fn(move |inner| Recall { inner, memory: Arc::clone(&memory), terms })
}

impl<S> Service<Call> for Recall<S>
where
    S: Service<Call, Response = Prepared, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Told;
    type Error = Error;
    type Future = Either<Ready<Result<Told, Error>>, BoxFuture<'static, Result<Told, Error>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Whether the rows below are ready is for the task to ask that goes down.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(key) = Key::new(self.terms.resource, &call.target.resource) else {
            return Either::Left(ready(Err(Error::Internal)));
        };
        let (mut why, patience) = (Why::Miss, self.terms.patience);
        if call.wishes.fresh {
            why = Why::Request;
        } else if let Some(entry) = self.memory.recall(&key) {
            match self.terms.left(&entry, Moment::now()) {
                Some(left) => return Either::Left(ready(Ok(hit(entry, left)))),
                None => why = Why::Stale,
            }
        }
        match self.memory.board(&key, why != Why::Miss) {
            Ticket::Kept(entry) => {
                let left = entry.life;
                Either::Left(ready(Ok(hit(entry, left))))
            }
            Ticket::Shared(answer) => Either::Left(ready(Ok(Told::new(answer, How::Shared)))),
            Ticket::Joined(outcome) => {
                Either::Right(landed(outcome, patience, move |_| How::Collapsed(why)).boxed())
            }
            Ticket::Begun(landing) => {
                let outcome = landing.join();
                let question = self.inner.clone().oneshot(call);
                let flight =
                    fly(question, key, Arc::clone(&self.memory), self.terms.cache, landing);
                // Nobody waits for the task itself: it ends by itself, within the resource's deadline.
                drop(tokio::spawn(flight));
                let how = move |stored| How::Asked { why, stored };
                Either::Right(landed(outcome, patience, how).boxed())
            }
        }
    }
}

impl Terms {
    /// How long a kept answer may still be told. The configuration may have become stricter since it was kept.
    fn left(&self, entry: &Entry, now: Moment) -> Option<Duration> {
        let Cache { ttl, failed_ttl, .. } = self.cache;
        let ended = entry.answer.standing() == Some(Standing::Ended);
        let life = entry.life.min(if ended { failed_ttl } else { ttl });
        life.checked_sub(now.since(entry.answer.fetched)).filter(|left| !left.is_zero())
    }
}

/// Waits for a flight to land, but not for ever.
async fn landed(
    mut outcome: watch::Receiver<Option<Outcome>>,
    patience: Duration,
    how: impl FnOnce(bool) -> How,
) -> Result<Told, Error> {
    let landed = timeout(patience, outcome.wait_for(Option::is_some)).await;
    let landed = landed.map_err(|_| Error::UpstreamTimeout)?;
    // A flight that ends without an outcome has crashed.
    let landed = landed.ok().and_then(|outcome| outcome.clone());
    let (answer, stored) = landed.ok_or(Error::Internal)??;
    Ok(Told::new(answer, how(stored)))
}

fn hit(entry: Entry, left: Duration) -> Told {
    Told::new(entry.answer, How::Hit(left))
}

async fn fly(
    question: impl Future<Output = Result<Prepared, Error>>,
    key: Key,
    memory: Arc<Memory>,
    cache: Cache,
    landing: Landing,
) {
    let outcome = question.await.map(|answer| {
        let session = answer.session.as_ref();
        let created = session.and_then(|session| session.created);
        let age = created.map(|created| answer.fetched.since_wall(created));
        let age = age.or_else(|| memory.age(&key.owner()));
        let (standing, length) = (answer.standing(), answer.body.len());
        let life = life(Case { status: answer.status, length, standing, age }, &cache);
        (answer, life)
    });
    landing.land(outcome).await;
}

#[cfg(test)]
mod tests;
