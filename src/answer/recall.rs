//! Answers from memory what is final, and lets all who ask for the same session meanwhile share one question.
//!
//! Below it Azure is asked, by a task that nobody's leaving ends. Above it nobody can tell how often Azure was asked but by
//! what is [`Told`].

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::flight::{Landed, Landing, Ticket};
use super::kept::Entry;
use super::key::Question;
use super::life::{Case, life};
use super::memory::Memory;
use super::prepared::Prepared;
use super::tell::part;
use crate::call::Call;
use crate::config::Cache;
use crate::error::Error;
use crate::liveness::session::Standing;
use crate::metrics::waits::{apart, waited, waiting};
use crate::moment::Moment;
use crate::share::Share;
use crate::trace::{Span, SpanContext};

/// An answer, and how it was come by.
#[derive(Debug, Clone)]
pub struct Told {
    /// What was asked.
    pub question: Question,
    /// The answer.
    pub answer: Arc<Prepared>,
    /// How it was come by.
    pub how: How,
    /// Whether it was held as long as the app wished.
    pub waited: bool,
    /// The span of another request's question that was waited for, where somebody collects that.
    pub flight: Option<Arc<SpanContext>>,
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
    /// Nothing is kept and nothing shared, by configuration.
    Off,
}

impl Told {
    const fn new(question: Question, answer: Arc<Prepared>, how: How) -> Self {
        Self { question, answer, how, waited: false, flight: None }
    }

    /// Whether it is a session that has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.answer.standing().is_some_and(|standing| !standing.has_ended())
    }

    pub(super) fn waited(self) -> Self {
        Self { waited: true, ..self }
    }

    /// As those see it who did not ask themselves.
    pub(super) fn collapsed(self) -> Self {
        let how = match self.how {
            How::Asked { why: Why::Off, .. } => How::Collapsed(Why::Off),
            How::Asked { .. } => How::Collapsed(Why::Miss),
            how => how,
        };
        Self { how, ..self }
    }
}

/// The row.
#[derive(Debug, Clone)]
pub struct Recall<S> {
    // Copied only where a question goes down.
    inner: Arc<S>,
    memory: Arc<Memory>,
    terms: Terms,
}

/// What holds for a resource.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What its users share.
    pub share: Arc<Share>,
    /// What is kept, and how long.
    pub cache: Cache,
    /// Longest wait of anybody for an answer.
    pub patience: Duration,
}

/// Answers from memory.
pub fn recall<S>(memory: Arc<Memory>, terms: Terms) -> impl Layer<S, Service = Recall<S>> + Clone {
    layer_fn(move |inner| Recall {
        inner: Arc::new(inner),
        memory: Arc::clone(&memory),
        terms: terms.clone(),
    })
}

impl<S> Service<Call> for Recall<S>
where
    S: Service<Call, Response = Prepared, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = Told;
    type Error = Error;
    type Future = Either<Ready<Result<Told, Error>>, BoxFuture<'static, Result<Told, Error>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Whether the rows below are ready is for the task to ask that goes down.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let span = call.heard.span("cache");
        let told = self.told(call);
        match span {
            None => told,
            Some(span) => Either::Right(spanned(span, told).boxed()),
        }
    }
}

impl<S> Recall<S>
where
    S: Service<Call, Response = Prepared, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn told(&self, call: Call) -> <Self as Service<Call>>::Future {
        let number = self.terms.share.number;
        let Some(question) = Question::new(number, &call.target.resource) else {
            return Either::Left(ready(Err(Error::Internal)));
        };
        let mut why = Why::Miss;
        if self.terms.is_off() {
            why = Why::Off;
        } else if call.wishes.no_cache {
            why = Why::Request;
        } else if let Some(entry) = self.memory.recall(&question) {
            match self.terms.left(&entry) {
                Some(left) => {
                    let told = Told::new(question, entry.answer, How::Hit(left));
                    return Either::Left(ready(Ok(told)));
                }
                None => why = Why::Stale,
            }
        }
        match self.ask(call, question, why) {
            Ok(asked) => Either::Right(asked),
            Err(told) => Either::Left(ready(told)),
        }
    }

    /// What comes of asking, or what can be told at once.
    fn ask(
        &self,
        mut call: Call,
        question: Question,
        why: Why,
    ) -> Result<BoxFuture<'static, Result<Told, Error>>, Result<Told, Error>> {
        let Terms { share, cache, patience } = &self.terms;
        if call.by_app {
            self.memory.asked(&question.key.session());
        }
        let oldest = (why == Why::Miss).then_some(cache.running_ttl);
        match self.memory.board(&question, oldest) {
            Ticket::Kept(entry) => {
                let left = self.terms.left(&entry).ok_or(Error::Internal);
                Err(left.map(|left| Told::new(question, entry.answer, How::Hit(left))))
            }
            Ticket::Shared(answer) => Err(Ok(Told::new(question, answer, How::Shared))),
            Ticket::Joined(outcome) => {
                let landed = landed(outcome, *patience);
                let told = move |landed: Landed| {
                    let (answer, _) = landed.outcome?;
                    let told = Told::new(question, answer, How::Collapsed(why));
                    Ok(Told { flight: landed.span, ..told })
                };
                // What another request waits for is waited for by this one too, from its first moment.
                Ok(waiting(landed).map(|landed| landed.and_then(told)).boxed())
            }
            Ticket::Begun(landing) => {
                let Some(place) = share.place() else {
                    return Err(Err(Error::TooManyQuestions));
                };
                let outcome = landing.join();
                let no_store = call.wishes.no_store;
                let span = call.heard.span("flight");
                let answer = S::clone(&self.inner).oneshot(call);
                let cache = if no_store {
                    Cache { max_bytes: 0, running_ttl: Duration::ZERO, ..*cache }
                } else {
                    *cache
                };
                let flight = fly(answer, Arc::clone(&self.memory), cache, landing, (place, span));
                // Nobody waits for the task itself: it ends by itself, within the resource's deadline.
                drop(tokio::spawn(flight));
                let told = move |landed: Landed| {
                    waited(landed.waited);
                    let (answer, stored) = landed.outcome?;
                    Ok(Told::new(question, answer, How::Asked { why, stored }))
                };
                let landed = landed(outcome, *patience);
                Ok(landed.map(|landed| landed.and_then(told)).boxed())
            }
        }
    }
}

impl Terms {
    const fn is_off(&self) -> bool {
        self.cache.max_bytes == 0 && self.cache.running_ttl.is_zero()
    }

    /// How long a kept answer may still be told. The configuration may have become stricter since it was kept.
    fn left(&self, entry: &Entry) -> Option<Duration> {
        let Cache { ttl, failed_ttl, .. } = self.cache;
        let ended = entry.answer.standing() == Some(Standing::Ended);
        let life = entry.life.min(if ended { failed_ttl } else { ttl });
        let left = life.checked_sub(Moment::now().since(entry.answer.fetched))?;
        (!left.is_zero()).then_some(left)
    }
}

/// Tells a span what came of what it is about.
async fn spanned(
    mut span: Span,
    told: impl Future<Output = Result<Told, Error>>,
) -> Result<Told, Error> {
    let told = told.await;
    if let Ok(told) = &told {
        span.set("livegate.cache", part(told.how).as_str());
        told.flight.iter().for_each(|flight| span.link(SpanContext::clone(flight)));
    }
    told
}

/// Waits for a flight to land, but not for ever.
async fn landed(
    mut flight: watch::Receiver<Option<Landed>>,
    patience: Duration,
) -> Result<Landed, Error> {
    let landed = timeout(patience, flight.wait_for(Option::is_some)).await;
    let late = |_| {
        waited(patience);
        Error::UpstreamTimeout
    };
    // A flight that ends without an outcome has crashed.
    landed.map_err(late)?.ok().and_then(|landed| landed.clone()).ok_or(Error::Internal)
}

async fn fly(
    answer: impl Future<Output = Result<Prepared, Error>>,
    memory: Arc<Memory>,
    cache: Cache,
    landing: Landing,
    (place, span): (OwnedSemaphorePermit, Option<Span>),
) {
    let (answer, waited) = apart(answer).await;
    let outcome = answer.map(|answer| {
        let created = answer.session.as_ref().and_then(|session| session.created);
        let told = created.map(|created| answer.fetched.since_wall(created));
        // The gateway's own knowledge counts too: a session does not become younger by what its content says.
        let age = told.max(memory.age(&landing.question().key.session()));
        let (standing, length) = (answer.standing(), answer.body.len());
        let life = life(Case { status: answer.status, length, standing, age }, &cache);
        (answer, life)
    });
    drop(place);
    landing.land(outcome, waited, span).await;
}

#[cfg(test)]
mod tests;
