//! What outlives configurations: the memory, what was counted, and what apps' clients reported.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::counted::Counted;
use super::key::SessionKey;
use super::memory::Memory;
use super::reported::Reported;
use crate::metrics::Metrics;
use crate::pseudonym::Pseudonyms;

/// How often what has expired is freed.
const SWEEP: Duration = Duration::from_secs(1);

/// What a running gateway knows of sessions.
#[derive(Debug)]
pub struct Lasting {
    /// Answers, and questions on their way.
    pub memory: Arc<Memory>,
    /// What the metrics have seen already.
    pub counted: Counted,
    /// Digests that apps' clients reported.
    pub reported: Reported,
    /// What the log calls sessions.
    pub pseudonyms: Arc<Pseudonyms>,
}

impl Lasting {
    /// Nothing is known yet, and never more than so many bytes of answers will be.
    pub fn new(max_bytes: u64, metrics: &Arc<Metrics>) -> Self {
        Self {
            memory: Arc::new(Memory::new(max_bytes, Arc::clone(metrics))),
            counted: Counted::new(Arc::clone(metrics)),
            reported: Reported::new(&metrics.digest_registrations_evictions_total),
            pseudonyms: Arc::default(),
        }
    }

    /// A session was deleted.
    pub fn deleted(&self, session: &SessionKey) {
        self.counted.deleted(session);
        self.memory.forget_birth(session);
        self.reported.forget(session.resource, &session.id);
    }

    /// Frees what has expired, for as long as the gateway runs: without traffic nothing else would.
    pub async fn tend(self: Arc<Self>) {
        let mut tick = interval(SWEEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.sweep();
        }
    }

    /// Frees what has expired, and tells the metrics how much there is.
    pub fn sweep(&self) {
        self.memory.sweep();
        self.counted.sweep();
        self.reported.sweep();
    }
}
