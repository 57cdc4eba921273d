//! Answers from memory what is final, and lets all who ask for the same session meanwhile share one question.
//!
//! Below it Azure is asked, by a flight that nobody's leaving ends. Above it nobody can tell how often Azure was asked but by
//! what is [`Told`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, Ready, ready};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::flight::{Journey, Landed, Landing, Pilot, Ticket};
use super::kept::Entry;
use super::key::Question;
use super::life::{Case, life};
use super::memory::Memory;
use super::prepared::Prepared;
use super::tell::part;
use crate::after::{After, Finish};
use crate::call::Call;
use crate::config::Cache;
use crate::error::Error;
use crate::liveness::session::Standing;
use crate::metrics::waits::{apart, waited, waiting};
use crate::moment::Moment;
use crate::room::{Outcome, Room};
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
pub struct Recall {
    inner: Room<Call, Prepared, Error>,
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
pub fn recall(
    memory: Arc<Memory>,
    terms: Terms,
) -> impl Layer<Room<Call, Prepared, Error>, Service = Recall> + Clone {
    layer_fn(move |inner| Recall { inner, memory: Arc::clone(&memory), terms: terms.clone() })
}

impl Service<Call> for Recall {
    type Response = Told;
    type Error = Error;
    type Future =
        Either<Ready<Result<Told, Error>>, Either<After<Pilot, Begun>, Outcome<Told, Error>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // A room is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let span = call.heard.span("cache");
        let told = self.told(call);
        match span {
            None => told,
            Some(span) => Either::Right(Either::Right(spanned(span, told).boxed())),
        }
    }
}

impl Recall {
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
        self.ask(call, question, why)
    }

    fn ask(&self, mut call: Call, question: Question, why: Why) -> <Self as Service<Call>>::Future {
        let Terms { share, cache, patience } = &self.terms;
        if call.by_app {
            self.memory.asked(&question.key.session());
        }
        let oldest = (why == Why::Miss).then_some(cache.running_ttl);
        let cache = if call.wishes.no_store {
            Cache { max_bytes: 0, running_ttl: Duration::ZERO, ..*cache }
        } else {
            *cache
        };
        let begin = |number| {
            let place = share.place()?;
            let span = call.heard.span("flight");
            let landing = Landing::new(Arc::clone(&self.memory), question.clone(), number);
            let flight = fly(self.inner.clone(), call, cache, landing, (place, span));
            Some(flight.boxed().shared())
        };
        let told = |told| Either::Left(ready(told));
        match self.memory.board(&question, oldest, begin) {
            Ticket::Kept(entry) => match self.terms.left(&entry) {
                Some(left) => told(Ok(Told::new(question, entry.answer, How::Hit(left)))),
                None => told(Err(Error::Internal)),
            },
            Ticket::Shared(answer) => told(Ok(Told::new(question, answer, How::Shared))),
            Ticket::Full => told(Err(Error::TooManyQuestions)),
            // What another request waits for is waited for by this one too, from its first moment.
            Ticket::Joined(journey) => {
                let landed = waiting(joined(journey, *patience, question, why));
                Either::Right(Either::Right(landed.boxed()))
            }
            // How long it may take is bounded below.
            Ticket::Begun(pilot) => {
                Either::Right(Either::Left(After::new(pilot, Begun { question, why })))
            }
        }
    }
}

/// The question of the one who began a flight.
#[derive(Debug)]
pub struct Begun {
    question: Question,
    why: Why,
}

impl Finish<Landed> for Begun {
    type Output = Result<Told, Error>;

    fn finish(self, landed: Landed) -> Result<Told, Error> {
        let Self { question, why } = self;
        waited(landed.waited);
        let (answer, stored) = landed.outcome?;
        Ok(Told::new(question, answer, How::Asked { why, stored }))
    }
}

/// Waits for a flight that another one began, but not for ever.
async fn joined(
    journey: Journey,
    patience: Duration,
    question: Question,
    why: Why,
) -> Result<Told, Error> {
    let landed = timeout(patience, journey).await.map_err(|_| Error::UpstreamTimeout)?;
    let (answer, _) = landed.outcome?;
    Ok(Told { flight: landed.span, ..Told::new(question, answer, How::Collapsed(why)) })
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

/// Asks Azure, and hands what comes to the memory and to all who wait.
async fn fly(
    inner: Room<Call, Prepared, Error>,
    call: Call,
    cache: Cache,
    landing: Landing,
    (place, span): (OwnedSemaphorePermit, Option<Span>),
) -> Landed {
    // A crash is an outcome too: of those who wait, none may find nothing.
    let asked = AssertUnwindSafe(async { inner.ask(call).await }).catch_unwind();
    let (answer, waited) = apart(asked).await;
    let outcome = answer.unwrap_or(Err(Error::Internal)).map(|answer| {
        let created = answer.session.as_ref().and_then(|session| session.created);
        let told = created.map(|created| answer.fetched.since_wall(created));
        // The gateway's own knowledge counts too: a session does not become younger by what its content says.
        let age = told.max(landing.age());
        let (standing, length) = (answer.standing(), answer.body.len());
        let life = life(Case { status: answer.status, length, standing, age }, &cache);
        (answer, life)
    });
    drop(place);
    landing.land(outcome, waited, span.as_ref())
}

#[cfg(test)]
mod tests;
