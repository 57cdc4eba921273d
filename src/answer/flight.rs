//! One question on its way to Azure, for all who ask it meanwhile.
//!
//! The flight is a task of its own, so that whoever asked first may leave, be slow or be killed, and the others get
//! their answer. An error is handed to all and not kept.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep;

use super::key::Key;
use super::life::Life;
use super::memory::{Entry, Memory};
use super::prepared::Prepared;
use crate::error::Error;

/// What a flight brought: an answer, and whether it is kept.
pub(super) type Outcome = Result<(Arc<Prepared>, bool), Error>;

/// A flight, as it stands in the table: on its way, or landed a moment ago with an answer that may be shared.
#[derive(Debug)]
pub(super) struct Flight {
    /// No other flight has the same.
    pub(super) number: u64,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What one gets who wants to fly.
#[derive(Debug)]
pub(super) enum Ticket {
    /// The answer is there already: a flight landed in between.
    Kept(Entry),
    /// An answer that may change but is young enough.
    Shared(Arc<Prepared>),
    /// A place in the flight that is on its way.
    Joined(watch::Receiver<Option<Outcome>>),
    /// The flight begins here.
    Begun(Landing),
}

/// The pilot's end of a flight. Dropped without having landed, it takes the flight out of the table, and all who wait
/// learn that nothing will come.
#[derive(Debug)]
pub(super) struct Landing {
    memory: Arc<Memory>,
    key: Key,
    number: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Flight {
    /// A place in it, or its answer. Who wants a fresh answer gets none that was there before.
    pub(super) fn join(&self, fresh: bool) -> Option<Ticket> {
        let landed = self.outcome.borrow().clone();
        match landed {
            None if self.outcome.has_changed().is_err() => None,
            None => Some(Ticket::Joined(self.outcome.clone())),
            Some(Ok((answer, _))) if !fresh => Some(Ticket::Shared(answer)),
            Some(_) => None,
        }
    }
}

impl Landing {
    pub(super) fn new(memory: Arc<Memory>, key: Key, number: u64) -> Self {
        Self { memory, key, number, outcome: watch::Sender::new(None) }
    }

    /// The flight, for the table.
    pub(super) fn flight(&self) -> Flight {
        Flight { number: self.number, outcome: self.outcome.subscribe() }
    }

    /// The place of whoever began it.
    pub(super) fn join(&self) -> watch::Receiver<Option<Outcome>> {
        self.outcome.subscribe()
    }

    /// Hands the outcome to all, once the memory has what may be kept of it. An answer that may be shared stays in the
    /// table for its time, and nobody waits for that.
    pub(super) async fn land(self, outcome: Result<(Prepared, Life), Error>) {
        let mut shared = None;
        let outcome = outcome.map(|(answer, life)| {
            let kept = self.memory.take(&self.key, self.number, &answer, life);
            shared = match life {
                Life::Shared(time, _) if life.is_shared() => Some(time),
                _ => None,
            };
            (Arc::new(answer), kept)
        });
        if outcome.is_err() {
            self.memory.over(&self.key, self.number);
        }
        self.outcome.send_replace(Some(outcome));
        if let Some(time) = shared {
            sleep(time).await;
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.memory.over(&self.key, self.number);
    }
}
