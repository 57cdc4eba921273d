//! The table of metrics: every family that livegate exports, in one place. A doc comment is the help text.
//!
//! Label values come from closed sets and from the configuration, never from the wire. Units are base units.

mod health;
pub mod label;
pub mod recent;
mod request;
pub mod series;
mod upstream;
pub mod waits;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use self::health::Health;
use self::label::{Cache, Code, Known, Method, Route, Showing, Store};
pub use self::request::HttpRequest;
pub use self::series::{Counters, Gauges, Histograms};
pub use self::upstream::{UpstreamMetrics, UpstreamTry};
use crate::circuit::Circuit;

/// Seconds. Cache hits take tens of microseconds, so the edges begin far below those of OpenTelemetry's advice.
const REQUEST_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Seconds. What the gateway adds itself: mostly microseconds.
const GATEWAY_SECONDS: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1,
];

/// Seconds. A call to Azure crosses a network and does work.
const UPSTREAM_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

/// Attempts. v1.3-preview.1 allows 3 at most.
const ATTEMPTS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0];

/// Questions about a session. Apps are told to ask every second or so, and a person has minutes.
const POLLS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// Seconds. A person needs some to do what is asked; a session's token ends after 10 minutes by default.
const SESSION_SECONDS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0];

/// Seconds. What the service takes to look at what a device sent.
const SERVICE_SECONDS: &[f64] =
    &[0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0];

const TENTHS: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident $([$($labels:tt)+])? $(@ $buckets:ident)?;)+) => {
        /// Handles to every family. The field's name, behind `livegate_`, is the metric's name.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: metrics!(@type $kind $([$($labels)+])?),)+
        }

        impl Metrics {
            /// Makes and registers all families.
            ///
            /// # Errors
            /// Where two of them had one name, which the table below excludes.
            pub fn new() -> prometheus::Result<Self> {
                let registry = Registry::new();
                $(
                    let name = concat!("livegate_", stringify!($field));
                    let help = concat!($($help),+).trim();
                    let family = metrics!(@family $kind, name, help $(, [$($labels)+])? $(, $buckets)?);
                    registry.register(Box::new(family.clone()))?;
                    let $field = metrics!(@handle $kind, family);
                )+
                Ok(Self { registry, $($field,)+ })
            }
        }
    };
    (@type Counters [$($label:literal: $set:ident),+]) => { Counters<metrics!(@sets $($set)+)> };
    (@type Gauges [$($label:literal: $set:ident),+]) => { Gauges<metrics!(@sets $($set)+)> };
    (@type Histograms [$($label:literal: $set:ident),+]) => { Histograms<metrics!(@sets $($set)+)> };
    (@sets $one:ident) => { $one };
    (@sets $($set:ident)+) => { ($($set),+) };
    (@type $kind:ident $([$($label:literal),+])?) => { $kind };
    (@handle Counters, $family:ident) => { Counters::all($family) };
    (@handle Gauges, $family:ident) => { Gauges::all($family) };
    (@handle Histograms, $family:ident) => { Histograms::all($family) };
    (@handle $kind:ident, $family:ident) => { $family };
    (@family IntGauge, $name:expr, $help:expr) => { IntGauge::new($name, $help)? };
    (@family IntCounter, $name:expr, $help:expr) => { IntCounter::new($name, $help)? };
    (@family Counters, $name:expr, $help:expr, [$($label:literal: $set:ident),+]) => { metrics!(@family IntCounterVec, $name, $help, [$($label),+]) };
    (@family Gauges, $name:expr, $help:expr, [$($label:literal: $set:ident),+]) => { metrics!(@family IntGaugeVec, $name, $help, [$($label),+]) };
    (@family Histograms, $name:expr, $help:expr, [$($label:literal: $set:ident),+], $buckets:ident) => { metrics!(@family HistogramVec, $name, $help, [$($label),+], $buckets) };
    (@family IntCounterVec, $name:expr, $help:expr, [$($label:literal),+]) => { IntCounterVec::new(Opts::new($name, $help), &[$($label),+])? };
    (@family IntGaugeVec, $name:expr, $help:expr, [$($label:literal),+]) => { IntGaugeVec::new(Opts::new($name, $help), &[$($label),+])? };
    (@family HistogramVec, $name:expr, $help:expr, [$($label:literal),+], $buckets:ident) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets($buckets.to_vec()), &[$($label),+])?
    };
}

metrics! {
    /// Requests that were answered; the code is other where the client left before, and for statuses that are not told apart.
    http_requests_total: Counters["route": Route, "method": Method, "code": Code];
    /// Seconds from a request's head to its answer (to the answer's head, where it streams).
    http_request_duration_seconds: Histograms["route": Route, "cache": Cache] @ REQUEST_SECONDS;
    /// Seconds of that which the gateway took itself: without those that it waited for Azure, for another request's question, or for the app.
    http_gateway_duration_seconds: Histograms["route": Route, "cache": Cache] @ GATEWAY_SECONDS;
    /// Requests that are being answered.
    http_requests_in_flight: Gauges["route": Route];
    /// Requests that were refused before Azure was asked.
    http_requests_rejected_total: IntCounterVec["route", "reason"];
    /// Tries at Azure, second ones included; the code is other where no answer came, and for statuses that are not told apart.
    upstream_requests_total: IntCounterVec["upstream", "route", "code"];
    /// Seconds of one try at Azure, until its answer was complete.
    upstream_request_duration_seconds: HistogramVec["upstream", "route"] @ UPSTREAM_SECONDS;
    /// Tries at Azure that are under way.
    upstream_requests_in_flight: IntGaugeVec["upstream"];
    /// Tries at Azure that brought no usable answer.
    upstream_errors_total: IntCounterVec["upstream", "kind"];
    /// Errors that Azure answered with, by their code, or by their status where they have none.
    upstream_service_errors_total: IntCounterVec["upstream", "error_code"];
    /// Times that a request was refused for want of quota, by who did it.
    upstream_throttled_total: IntCounterVec["upstream", "source"];
    /// Calls that the resource still allows at this moment, where its limit is configured.
    upstream_quota_tokens: IntGaugeVec["upstream"];
    /// The most of them that there can be.
    upstream_quota_burst_tokens: IntGaugeVec["upstream"];
    /// Unix time until when Azure asked not to be called; 0 is never.
    upstream_backoff_until_timestamp_seconds: IntGaugeVec["upstream"];
    /// 1 for the state of the breaker: closed, open while a resource that does not answer is left alone, half open while one request tries.
    upstream_circuit_state: IntGaugeVec["upstream", "state"];
    /// Requests to Azure that were sent once more.
    upstream_retries_total: IntCounterVec["upstream", "reason", "outcome"];
    /// Tries at Azure by the slot whose key they carried, probes included, and by what Azure said of that key.
    key_requests_total: IntCounterVec["upstream", "slot", "outcome"];
    /// 1 for the slot that serves.
    key_active: IntGaugeVec["upstream", "slot"];
    /// Unix time since when a slot has its key.
    key_loaded_timestamp_seconds: IntGaugeVec["upstream", "slot"];
    /// Unix time when what a slot holds ends, where that is known.
    key_expiry_timestamp_seconds: IntGaugeVec["upstream", "slot"];
    /// Unix time when Azure last accepted what a slot holds.
    key_last_success_timestamp_seconds: IntGaugeVec["upstream", "slot"];
    /// Times that another slot began to serve, by why.
    key_failovers_total: IntCounterVec["upstream", "reason"];
    /// Readings of a slot, by what made the gateway read and what came of it.
    key_reloads_total: IntCounterVec["source", "result"];
    /// Session GETs by the part that the memory had in their answers.
    cache_requests_total: Counters["route": Route, "outcome": Cache];
    /// Answers about sessions that came from Azure, by what the memory did with them.
    cache_stores_total: Counters["result": Store];
    /// Kept answers that were let go of.
    cache_evictions_total: IntCounterVec["cause"];
    /// Times that the memory was told to forget.
    cache_purges_total: IntCounterVec["source"];
    /// Kept answers.
    cache_entries: IntGauge;
    /// Bytes that the kept answers take.
    cache_weight_bytes: IntGauge;
    /// Attempts of people in front of a camera, each once in its life, by what was decided.
    liveness_attempts_total: IntCounterVec["operation", "model_version", "decision", "identical"];
    /// Attempts that failed, each once, by the code of their error.
    liveness_attempt_errors_total: IntCounterVec["operation", "error_code"];
    /// Sessions, each once, at the first sight of their end.
    liveness_sessions_total: IntCounterVec["operation", "status"];
    /// Attempts that a session needed, where the api-version tells how many.
    liveness_session_attempts: HistogramVec["operation"] @ ATTEMPTS;
    /// Times that apps asked about a session until it ended; those about sessions that have ended do not count.
    liveness_session_polls: HistogramVec["operation"] @ POLLS;
    /// Seconds from the first that was heard of a session, its creation if that passed here, to the first sight of its end.
    liveness_session_observed_duration_seconds: HistogramVec["operation"] @ SESSION_SECONDS;
    /// How sure the service is that it was the person of the picture, each attempt once, from 0 to 1.
    liveness_verify_confidence_ratio: HistogramVec["identical"] @ TENTHS;
    /// Attempts that the service thinks are abuse, each once.
    liveness_abuse_flags_total: IntCounterVec["operation"];
    /// What is odd about a session, once for each session and signal.
    liveness_signals_total: IntCounterVec["signal"];
    /// What is remembered so that it is counted once.
    liveness_dedupe_entries: IntGauge;
    /// What is not remembered any more; by size means that something may be counted twice.
    liveness_dedupe_evictions_total: IntCounterVec["cause"];
    /// Digests and pictures that are not remembered any more; by size means that their reuse may go unseen.
    liveness_reuse_evictions_total: IntCounterVec["cause"];
    /// Audit lists that were told, by what became of them: enriched, plain, synthesised, or why they could not be read.
    audit_lists_total: IntCounterVec["operation", "result"];
    /// Entries of Azure's audit lists, each once, by the class of the status that the device was answered with.
    audit_entries_total: IntCounterVec["operation", "status_class"];
    /// Seconds that the service took for a call of the device's, as its audit entry tells, each once.
    audit_service_duration_seconds: HistogramVec["operation", "status_class"] @ SERVICE_SECONDS;
    /// Comparisons of clients' digests, once for each session, attempt and digest.
    digest_checks_total: IntCounterVec["operation", "verdict", "mode"];
    /// Registered digests that are not remembered any more; by size means that verdicts may lack them.
    digest_registrations_evictions_total: IntCounterVec["cause"];
    /// Comparisons of the pictures that were verified against, once for each attempt and picture.
    verify_image_checks_total: IntCounterVec["verdict"];
    /// How callers showed who they are, and what came of it.
    app_auth_total: Counters["method": Showing, "result": Known];
    /// Answers by app.
    app_requests_total: IntCounterVec["app", "code_class"];
    /// Readings of the configuration, at the start and after.
    config_reloads_total: IntCounterVec["result"];
    /// 1 if the last reading of the configuration was good.
    config_last_reload_successful: IntGauge;
    /// Unix time of the last good reading of the configuration.
    config_last_reload_success_timestamp_seconds: IntGauge;
    /// Unix time when a certificate ends, of each role the one that ends first.
    tls_certificate_not_after_timestamp_seconds: IntGaugeVec["role"];
    /// Lines of the log that were lost, because they were not taken as fast as they came.
    log_lines_lost_total: IntCounter;
    /// Spans that were lost, because the collector did not take them.
    trace_spans_lost_total: IntCounter;
    /// Times that the gateway itself was wrong and a request was answered with 500 for it.
    panics_total: IntCounter;
    /// Tasks of the runtime that are alive: connections to apps and to Azure, questions that outlive who asked, and a few that always are.
    runtime_tasks: IntGauge;
    /// Always 1; the labels tell what runs.
    build_info: IntGaugeVec["version", "revision", "rustc"];
}

impl Metrics {
    /// All families in Prometheus' text format, those of the process included.
    ///
    /// # Errors
    /// Where a family cannot be written down.
    pub fn text(&self) -> prometheus::Result<String> {
        let process = prometheus::process_collector::ProcessCollector::for_self();
        let mut families = self.registry.gather();
        families.extend(prometheus::core::Collector::collect(&process));
        TextEncoder::new().encode_to_string(&families)
    }

    /// A resource is no more: how it stands is not told, and what was counted of it is.
    pub fn forget_upstream(&self, upstream: &str) {
        for gauge in [
            &self.upstream_quota_tokens,
            &self.upstream_quota_burst_tokens,
            &self.upstream_backoff_until_timestamp_seconds,
        ] {
            // Not every resource has all of them.
            drop(gauge.remove_label_values(&[upstream]));
        }
        for state in Circuit::STATES {
            drop(self.upstream_circuit_state.remove_label_values(&[upstream, state]));
        }
    }

    /// A slot is no more: what it holds is not told, and what was counted of it is.
    pub fn forget_slot(&self, upstream: &str, slot: &str) {
        for gauge in [
            &self.key_active,
            &self.key_loaded_timestamp_seconds,
            &self.key_expiry_timestamp_seconds,
            &self.key_last_success_timestamp_seconds,
        ] {
            // Not every slot has all of them.
            drop(gauge.remove_label_values(&[upstream, slot]));
        }
    }
}

/// Lets what counts evictions stand at 0; see [`start`].
pub fn start_evictions(evictions: &IntCounterVec) {
    for cause in ["expired", "size"] {
        start(evictions, &[cause]);
    }
}

/// Lets what is seldom counted stand at 0: whoever is to be woken by its first time sees it grow, and not only appear.
pub fn start(counters: &IntCounterVec, labels: &[&str]) {
    drop(counters.with_label_values(labels));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_table_holds_and_is_written() {
        let metrics = Metrics::new().unwrap();
        metrics.build_info.with_label_values(&["1", "r", "c"]).set(1);
        let metrics = Arc::new(metrics);
        let request = HttpRequest::new(Arc::clone(&metrics), Route::Session, Method::Get);
        let text = metrics.text().unwrap();
        assert!(text.contains("livegate_http_requests_in_flight{route=\"session\"} 1\n"));
        drop(request);
        let text = metrics.text().unwrap();
        assert!(text.contains("livegate_http_requests_in_flight{route=\"session\"} 0\n"));
        assert!(text.contains("# HELP livegate_build_info Always 1; the labels tell what runs.\n"));
        assert!(text.contains("process_open_fds"));
    }
}
