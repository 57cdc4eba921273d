//! The keys of a resource: which one goes on a request, what Azure says of it, and whether it can be regenerated.
//!
//! A request that is refused goes on with the next key; the one that is accepted serves from then on. Nothing is locked
//! while anybody waits.

mod load;
mod ring;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use self::load::Reading;
use self::ring::{Next, Ring};
pub use self::ring::{SlotName, Tried};
pub use self::status::{SlotStatus, Verdict, compare};
use super::finding::{Finding, Refusal};
use super::outcomes::Outcomes;
use super::reread::Reread;
use crate::config;
use crate::error::Error;
use crate::metrics::{Metrics, start};
use crate::moment::Moment;

/// How long a spare key waits for its first probe when the gateway starts: traffic may have proven it by then.
const FIRST_PROBE: Duration = Duration::from_secs(10);

/// Why keys are read when the gateway starts: a value of the metric label `source`.
pub const START: &str = "start";

/// The keys of a resource.
#[derive(Debug)]
pub struct Keys {
    upstream: String,
    state: Mutex<State>,
    outcomes: [Outcomes; 2],
    metrics: Arc<Metrics>,
    reread: Reread,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    /// How often a key is tried that nobody uses; zero is never.
    probe: Duration,
}

impl Keys {
    /// None yet.
    pub fn new(upstream: &str, metrics: Arc<Metrics>, reread: Reread) -> Self {
        let outcomes = SlotName::BOTH.map(|slot| Outcomes::new(&metrics, upstream, slot.as_str()));
        for reason in
            [Refusal::Unauthorized.status(), Refusal::Disabled.status(), "missing", "admin"]
        {
            start(&metrics.key_failovers_total, &[upstream, reason]);
        }
        let state = Mutex::new(State { ring: Ring::default(), probe: Duration::ZERO });
        Self { upstream: upstream.to_owned(), state, outcomes, metrics, reread }
    }

    /// Takes what was read of the slots now, and why they were read. What cannot be a key leaves the last good one in its slot.
    pub fn take(&self, slots: &[Option<config::Slot>; 2], probe: Duration, source: &str) {
        let (now, upstream) = (Moment::now(), &*self.upstream);
        let patience = if source == START { FIRST_PROBE.min(probe) } else { Duration::ZERO };
        let mut state = self.lock();
        state.probe = probe;
        let (readings, missing) = state.ring.load(slots, now, patience);
        for (slot, reading) in readings {
            let count =
                self.metrics.key_reloads_total.with_label_values(&[source, reading.as_str()]);
            count.inc();
            let held = state.ring.slot(slot);
            match reading {
                Reading::New => {
                    let fingerprint = held.current.as_ref().map(|key| &*key.fingerprint);
                    tracing::info!(upstream, slot = slot.as_str(), fingerprint, "a key was loaded");
                }
                Reading::Invalid { news: true } | Reading::Unreadable { news: true } => {
                    let mistake = held.problem.as_deref().unwrap_or_default();
                    let kept = held.current.is_some();
                    let slot = slot.as_str();
                    tracing::warn!(upstream, slot, kept, "a key cannot be used: {mistake}");
                }
                Reading::Unchanged | Reading::Invalid { .. } | Reading::Unreadable { .. } => {}
            }
        }
        for slot in SlotName::BOTH {
            let key = state.ring.slot(slot).current.as_ref();
            self.outcomes(slot).holds(key.map(|key| (key.loaded, key.accepted)));
        }
        if let Some(slot) = missing {
            self.failed_over(slot, "missing");
        }
        self.show(&state.ring);
    }

    /// What a request shows next, whose earlier tries were refused.
    ///
    /// # Errors
    /// [`Error::NoKey`] where there is no key; [`Error::UpstreamUnauthorized`] where Azure refuses each one.
    pub(super) async fn next(
        &self,
        tried: &mut Tried,
    ) -> Result<(u64, SlotName, HeaderValue), Error> {
        let mut next = self.lock().ring.next(tried, Moment::now());
        if next == Next::Exhausted {
            // A good one may lie there already.
            self.reread.now().await;
            next = self.lock().ring.next(tried, Moment::now());
        }
        match next {
            Next::Go { id, slot, value } => Ok((id, slot, value)),
            Next::Nothing => Err(Error::NoKey),
            Next::Resting => Err(Error::UpstreamUnauthorized),
            Next::Exhausted => {
                if self.lock().ring.rest.refused(Moment::now()) {
                    tracing::error!(upstream = self.upstream, "Azure refuses every key");
                }
                Err(Error::UpstreamUnauthorized)
            }
        }
    }

    /// What came of a try with a key of this slot, and whether it was for an app or a probe.
    pub(super) fn conclude(
        &self,
        (id, slot): (u64, SlotName),
        sent: Moment,
        finding: Finding,
        app: bool,
    ) {
        let (now, upstream) = (Moment::now(), &*self.upstream);
        let mut state = self.lock();
        let State { ring, probe } = &mut *state;
        self.outcomes(slot).count(finding);
        if app {
            ring.done(id);
        }
        match finding {
            Finding::Accepted => {
                let change = ring.accepted(id, sent, now, *probe);
                if ring.find(id).is_some_and(|(_, current)| current) {
                    self.outcomes(slot).accepted(sent);
                }
                if change.recovered {
                    let slot = slot.as_str();
                    tracing::info!(upstream, slot, "Azure accepts a key again");
                }
                if let Some((slot, refusal)) = change.failed_over {
                    self.failed_over(slot, refusal.status());
                }
                self.show(ring);
            }
            Finding::Refused(refusal) => ring.refused(id, refusal, sent, now, *probe),
            Finding::Throttled | Finding::Unknown if !app => ring.unanswered(id, now, *probe),
            Finding::Throttled | Finding::Unknown => {}
        }
    }

    /// Lets this slot serve, until it is refused or another one is chosen.
    ///
    /// # Errors
    /// Where it has no key.
    pub fn choose(&self, slot: SlotName) -> Result<(), NoKey> {
        let mut state = self.lock();
        if state.ring.choose(slot)? {
            self.failed_over(slot, "admin");
        }
        self.show(&state.ring);
        drop(state);
        Ok(())
    }

    /// The keys that are to be tried now, since nobody has for long.
    pub(super) fn due(&self) -> Vec<(u64, SlotName, HeaderValue)> {
        let mut state = self.lock();
        let probe = state.probe;
        state.ring.due(Moment::now(), probe)
    }

    /// Whether there is any key at all.
    pub fn any(&self) -> bool {
        self.lock().ring.serving_slot().is_some()
    }

    /// What may be told of each slot.
    pub fn status(&self) -> Vec<SlotStatus> {
        let state = self.lock();
        state.ring.status(&self.upstream, Moment::now(), state.probe)
    }

    fn failed_over(&self, to: SlotName, reason: &str) {
        let upstream = &*self.upstream;
        self.metrics.key_failovers_total.with_label_values(&[upstream, reason]).inc();
        tracing::warn!(upstream, slot = to.as_str(), reason, "another slot serves from now on");
    }

    fn show(&self, ring: &Ring) {
        let serving = ring.serving_slot();
        for slot in SlotName::BOTH {
            self.outcomes(slot).active(serving == Some(slot));
        }
    }

    const fn outcomes(&self, slot: SlotName) -> &Outcomes {
        let [primary, secondary] = &self.outcomes;
        match slot {
            SlotName::Primary => primary,
            SlotName::Secondary => secondary,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot that is to serve has no key.
#[derive(Debug, PartialEq, Eq)]
pub struct NoKey;
