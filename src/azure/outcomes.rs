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
    pub(super) fn count(&self, finding: Finding, now: Moment) {
        match finding {
            Finding::Accepted => {
                self.last_success.set(now.wall().as_second());
                &self.ok
            }
            Finding::Refused(Refusal::Unauthorized) => &self.rejected_401,
            Finding::Refused(Refusal::Disabled) => &self.rejected_403,
            Finding::Throttled => &self.throttled,
            Finding::Unknown => &self.other,
        }
        .inc();
    }

    /// It holds something new, which nobody has accepted yet.
    pub(super) fn loaded(&self, now: Option<Moment>) {
        self.loaded.set(now.map_or(0, |now| now.wall().as_second()));
        self.last_success.set(0);
    }

    /// Whether it is this one that serves.
    pub(super) fn active(&self, active: bool) {
        self.active.set(i64::from(active));
    }
}
