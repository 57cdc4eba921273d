//! One question on its way to Azure, for all who ask it meanwhile.
//!
//! The flight is a task of its own, so that whoever asked first may leave, be slow or be killed, and the others get
//! their answer. An error is handed to all and not kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
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
pub(super) struct Landed {
    /// What it brought.
    pub(super) outcome: Outcome,
    /// How much of its time it waited for Azure.
    pub(super) waited: Duration,
    /// Its span, where somebody collects that.
    pub(super) span: Option<Arc<SpanContext>>,
}

/// A flight, as it stands in the table: on its way, or landed a moment ago with an answer that may be shared.
#[derive(Debug)]
pub(super) struct Flight {
    /// No other flight has the same.
    pub(super) number: u64,
    spelling: Option<SessionId>,
    outcome: watch::Receiver<Option<Landed>>,
}

/// What one gets who wants to fly.
#[derive(Debug)]
pub(super) enum Ticket {
    /// The answer is there already: a flight landed in between.
    Kept(Entry),
    /// An answer that may change but is young enough.
    Shared(Arc<Prepared>),
    /// A place in the flight that is on its way.
    Joined(watch::Receiver<Option<Landed>>),
    /// The flight begins here.
    Begun(Landing),
}

/// The pilot's end of a flight. Dropped without having landed, it takes the flight out of the table, and all who wait
/// learn that nothing will come.
#[derive(Debug)]
pub(super) struct Landing {
    memory: Arc<Memory>,
    question: Question,
    number: u64,
    outcome: watch::Sender<Option<Landed>>,
}

impl Flight {
    /// A place in it, or its answer if that is not older than allowed: the task that ends it may be late.
    pub(super) fn join(&self, question: &Question, oldest: Duration) -> Option<Ticket> {
        if self.spelling != question.spelling {
            return None;
        }
        let landed = self.outcome.borrow().clone();
        match landed.map(|landed| landed.outcome) {
            None => Some(Ticket::Joined(self.outcome.clone())),
            Some(Ok((answer, _))) if answer.is_younger(oldest) => Some(Ticket::Shared(answer)),
            Some(_) => None,
        }
    }
}

impl Landing {
    pub(super) fn new(memory: Arc<Memory>, question: Question, number: u64) -> Self {
        Self { memory, question, number, outcome: watch::Sender::new(None) }
    }

    /// What it asks.
    pub(super) const fn question(&self) -> &Question {
        &self.question
    }

    /// The flight, for the table.
    pub(super) fn flight(&self) -> Flight {
        let (number, spelling) = (self.number, self.question.spelling.clone());
        Flight { number, spelling, outcome: self.outcome.subscribe() }
    }

    /// The place of whoever began it.
    pub(super) fn join(&self) -> watch::Receiver<Option<Landed>> {
        self.outcome.subscribe()
    }

    /// Hands the outcome to all, once the memory has what may be kept of it. An answer that may be shared stays in the
    /// table for its time, and nobody waits for that.
    pub(super) async fn land(
        self,
        outcome: Result<(Prepared, Life), Error>,
        waited: Duration,
        span: Option<Span>,
    ) {
        let mut shared = None;
        let outcome = outcome.map(|(answer, life)| {
            let kept = self.memory.take(&self.question, self.number, &answer, life);
            shared = match life {
                Life::Shared(time, _) if life.is_shared() => Some(time),
                _ => None,
            };
            (Arc::new(answer), kept)
        });
        let context = span.as_ref().map(|span| Arc::new(span.context()));
        drop(span);
        self.outcome.send_replace(Some(Landed { outcome, waited, span: context }));
        if let Some(time) = shared {
            sleep(time).await;
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.memory.over(&self.question.key, self.number);
    }
}
