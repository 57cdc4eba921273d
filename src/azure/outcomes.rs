//! What is counted of a slot: tries with what it holds, by what Azure said of it.

use prometheus::{IntCounter, IntGauge};

use super::finding::{Finding, Refusal};
use crate::metrics::Metrics;
use crate::moment::Moment;

/// A slot's metrics, looked up once.
#[derive(Debug)]
pub(super) struct Outcomes {
    ok: IntCounter,
    rejected_401: IntCounter,
    rejected_403: IntCounter,
    throttled: IntCounter,
    other: IntCounter,
    last_success: IntGauge,
    loaded: IntGauge,
    active: IntGauge,
}

impl Outcomes {
    /// Of this slot of this upstream.
    pub(super) fn new(metrics: &Metrics, upstream: &str, slot: &str) -> Self {
        let count =
            |outcome| metrics.key_requests_total.with_label_values(&[upstream, slot, outcome]);
        let labels = [upstream, slot];
        Self {
            ok: count("ok"),
            rejected_401: count("rejected_401"),
            rejected_403: count("rejected_403"),
            throttled: count("throttled"),
            other: count("other"),
            last_success: metrics.key_last_success_timestamp_seconds.with_label_values(&labels),
            loaded: metrics.key_loaded_timestamp_seconds.with_label_values(&labels),
            active: metrics.key_active.with_label_values(&labels),
        }
    }

    /// One more try.
    pub(super) fn count(&self, finding: Finding) {
        match finding {
            Finding::Accepted => &self.ok,
            Finding::Refused(Refusal::Unauthorized) => &self.rejected_401,
            Finding::Refused(Refusal::Disabled) => &self.rejected_403,
            Finding::Throttled => &self.throttled,
            Finding::Unknown => &self.other,
        }
        .inc();
    }

    /// What it holds was accepted.
    pub(super) fn accepted(&self, now: Moment) {
        self.last_success.set(now.wall().as_second());
    }

    /// Since when it holds what it holds, if anything, and when Azure last accepted that.
    pub(super) fn holds(&self, held: Option<(Moment, Option<Moment>)>) {
        let second = |at: Option<Moment>| at.map_or(0, |at| at.wall().as_second());
        self.loaded.set(second(held.map(|(loaded, _)| loaded)));
        self.last_success.set(second(held.and_then(|(_, accepted)| accepted)));
    }

    /// Whether it is this one that serves.
    pub(super) fn active(&self, active: bool) {
        self.active.set(i64::from(active));
    }
}
