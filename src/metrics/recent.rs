//! What was counted in the last minutes, for people who look at the gateway itself and not at Prometheus.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::Metrics;

/// How far back it goes.
const WINDOW: Duration = Duration::from_secs(600);

/// How often it is noted what was counted so far.
const STEP: Duration = Duration::from_secs(10);

/// What is told, by which metric and label.
const TOLD: [(&str, &str, &str); 8] = [
    ("answers", "livegate_http_requests_total", "code"),
    ("callers", "livegate_app_auth_total", "result"),
    ("decisions", "livegate_liveness_attempts_total", "decision"),
    ("digests", "livegate_digest_checks_total", "verdict"),
    ("memory", "livegate_cache_requests_total", "outcome"),
    ("refused", "livegate_http_requests_rejected_total", "reason"),
    ("signals", "livegate_liveness_signals_total", "signal"),
    ("azure", "livegate_upstream_errors_total", "kind"),
];

/// Counts by what they are of and by the label's value.
type Counts = BTreeMap<(&'static str, String), u64>;

/// What was counted at times gone by.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<(Instant, Counts)>>);

/// What was counted in the last minutes.
#[derive(Debug, Serialize)]
pub struct Minutes {
    /// How many seconds it covers.
    pub seconds: u64,
    /// What was counted, by what it is of.
    #[serde(flatten)]
    pub of: BTreeMap<&'static str, BTreeMap<String, Count>>,
}

/// How often something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// So often.
    pub count: u64,
    /// For the last time so many seconds ago, or a little less.
    pub last_seconds_ago: u64,
}

impl Recent {
    /// Notes what was counted so far, if it is time to.
    pub fn note(&self, metrics: &Metrics) {
        let (now, mut noted) = (Instant::now(), self.lock());
        if noted.back().is_some_and(|(at, _)| now.duration_since(*at) < STEP) {
            return;
        }
        noted.push_back((now, counts(metrics)));
        // The oldest stays that is not younger than the window.
        while noted.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            noted.pop_front();
        }
    }

    /// What was counted since the oldest note.
    pub fn told(&self, metrics: &Metrics) -> Minutes {
        let (now, noted) = (Instant::now(), self.lock());
        let ago = |at: &Instant| now.duration_since(*at).as_secs();
        let mut of: BTreeMap<_, BTreeMap<_, _>> =
            TOLD.iter().map(|(name, ..)| (*name, BTreeMap::new())).collect();
        for (key, total) in counts(metrics) {
            let at = |counts: &Counts| counts.get(&key).copied().unwrap_or_default();
            let count = total - noted.front().map_or(0, |(_, counts)| at(counts)).min(total);
            // It was seen after the last note that lacks it.
            let before = noted.iter().rev().find(|(_, counts)| at(counts) < total);
            if count > 0 {
                let last_seconds_ago = before.map_or(0, |(at, _)| ago(at));
                of.entry(key.0).or_default().insert(key.1, Count { count, last_seconds_ago });
            }
        }
        Minutes { seconds: noted.front().map_or(0, |(at, _)| ago(at)), of }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Counts)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minutes {
    /// What was counted of this.
    pub fn of(&self, name: &str) -> impl Iterator<Item = (&str, Count)> {
        self.of.get(name).into_iter().flatten().map(|(value, count)| (value.as_str(), *count))
    }

    /// The share of these among all of a kind, if there were any.
    pub fn share(&self, name: &str, of: &[&str]) -> Option<f64> {
        let sum = |wanted: &dyn Fn(&str) -> bool| {
            let counted = self.of(name).filter(|(value, _)| wanted(value));
            counted.map(|(_, count)| count.count).sum::<u64>() as f64
        };
        let all = sum(&|_| true);
        (all > 0.0).then(|| sum(&|value| of.contains(&value)) / all)
    }
}

fn counts(metrics: &Metrics) -> Counts {
    let mut counts = Counts::new();
    for family in metrics.registry.gather() {
        let Some((name, _, label)) = TOLD.iter().find(|(_, metric, _)| family.name() == *metric)
        else {
            continue;
        };
        for series in family.get_metric() {
            let value = series.get_label().iter().find(|pair| pair.name() == *label);
            let value = value.map(|pair| pair.value().to_owned()).unwrap_or_default();
            *counts.entry((*name, value)).or_default() += series.get_counter().get_value() as u64;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_minutes_are_told_and_nothing_before_them() {
        let (metrics, recent) = (Metrics::new().unwrap(), Recent::default());
        let seen = |decision: &str, often| {
            let labels = ["liveness", "m", decision, "none"];
            metrics.liveness_attempts_total.with_label_values(&labels).inc_by(often);
        };
        let told = || {
            let told = recent.told(&metrics);
            let decisions = told.of("decisions");
            decisions
                .map(|(decision, it)| format!("{decision} {} {}", it.count, it.last_seconds_ago))
                .collect::<Vec<_>>()
        };
        recent.note(&metrics);
        seen("realface", 2);
        assert_eq!(told(), ["realface 2 0"]);
        for _ in 0..59 {
            advance(STEP).await;
            recent.note(&metrics);
        }
        seen("spoofface", 1);
        assert_eq!(told(), ["realface 2 590", "spoofface 1 0"]);
        assert_eq!(recent.told(&metrics).share("decisions", &["spoofface"]), Some(1.0 / 3.0));
        for _ in 0..2 {
            advance(STEP).await;
            recent.note(&metrics);
        }
        assert_eq!(
            (told(), recent.told(&metrics).seconds),
            (vec!["spoofface 1 20".to_owned()], 600)
        );
        assert_eq!(recent.told(&metrics).share("digests", &["match"]), None);
    }
}
