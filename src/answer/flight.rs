//! One question on its way to Azure, for all who ask it meanwhile.
//!
//! Whoever waits for a flight drives it on, so that none can be held up by another one. Where the one who began it leaves, it goes on by
//! itself. An error is handed to all and not kept.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::kept::Entry;
use super::key::Question;
use super::life::Life;
use super::memory::Memory;
use super::prepared::Prepared;
use crate::error::Error;
use crate::liveness::SessionId;
use crate::trace::{Span, SpanContext};

/// What a flight brought: an answer, and whether it is kept.
pub(super) type Outcome = Result<(Arc<Prepared>, bool), Error>;

/// A flight's end.
#[derive(Debug, Clone)]
pub struct Landed {
    /// What it brought.
    pub(super) outcome: Outcome,
    /// How much of its time it waited for Azure.
    pub(super) waited: Duration,
    /// Its span, where somebody collects that.
    pub(super) span: Option<Arc<SpanContext>>,
}

/// A flight for all who wait for it.
pub(super) type Journey = Shared<BoxFuture<'static, Landed>>;

/// A flight, as it stands in the table: on its way, or landed a moment ago with an answer that may be shared.
#[derive(Debug)]
pub(super) struct Flight {
    /// No other flight has the same.
    pub(super) number: u64,
    spelling: Option<SessionId>,
    journey: Journey,
}

/// What one gets who wants to fly.
#[derive(Debug)]
pub(super) enum Ticket {
    /// The answer is there already: a flight landed in between.
    Kept(Entry),
    /// An answer that may change but is young enough.
    Shared(Arc<Prepared>),
    /// A place in the flight that is on its way.
    Joined(Journey),
    /// The flight begins here.
    Begun(Pilot),
    /// There is no place for one more flight.
    Full,
}

impl Flight {
    pub(super) fn new(number: u64, question: &Question, journey: Journey) -> Self {
        Self { number, spelling: question.spelling.clone(), journey }
    }

    /// A place in it, or its answer if that is not older than allowed: the task that ends it may be late.
    pub(super) fn join(&self, question: &Question, oldest: Duration) -> Option<Ticket> {
        if self.spelling != question.spelling {
            return None;
        }
        match self.journey.peek().map(|landed| &landed.outcome) {
            None => Some(Ticket::Joined(self.journey.clone())),
            Some(Ok((answer, _))) if answer.is_younger(oldest) => {
                Some(Ticket::Shared(Arc::clone(answer)))
            }
            Some(_) => None,
        }
    }
}

/// The place of the one who began a flight.
#[derive(Debug)]
pub struct Pilot(Option<Journey>);

impl Pilot {
    pub(super) const fn new(journey: Journey) -> Self {
        Self(Some(journey))
    }
}

impl Future for Pilot {
    type Output = Landed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Landed> {
        let Some(journey) = &mut self.0 else { return Poll::Pending };
        let landed = ready!(journey.poll_unpin(cx));
        self.0 = None;
        Poll::Ready(landed)
    }
}

/// Others may wait, and Azure counts the question anyway.
impl Drop for Pilot {
    fn drop(&mut self) {
        if let Some(journey) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(journey));
        }
    }
}

/// The end of a flight, which is to come. Dropped without that, it takes the flight out of the table.
#[derive(Debug)]
pub(super) struct Landing {
    memory: Arc<Memory>,
    question: Question,
    number: u64,
}

impl Landing {
    pub(super) const fn new(memory: Arc<Memory>, question: Question, number: u64) -> Self {
        Self { memory, question, number }
    }

    /// How old its session is, where the gateway saw it begin.
    pub(super) fn age(&self) -> Option<Duration> {
        self.memory.age(&self.question.key.session())
    }

    /// What is handed to all, once the memory has what may be kept of it. An answer that may be shared stays in the
    /// table for its time, and nobody waits for that.
    pub(super) fn land(
        self,
        outcome: Result<(Prepared, Life), Error>,
        waited: Duration,
        span: Option<&Span>,
    ) -> Landed {
        let mut shared = None;
        let outcome = outcome.map(|(answer, life)| {
            let kept = self.memory.take(&self.question, self.number, &answer, life);
            shared = match life {
                Life::Shared(time, _) if life.is_shared() => Some(time),
                _ => None,
            };
            (Arc::new(answer), kept)
        });
        if let Some(time) = shared {
            let rest = sleep(time);
            drop(tokio::spawn(async move {
                rest.await;
                drop(self);
            }));
        }
        Landed { outcome, waited, span: span.map(|span| Arc::new(span.context())) }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.memory.over(&self.question.key, self.number);
    }
}
