//! The table of metrics: every family that livegate exports, in one place. A doc comment is the help text.
//!
//! Label values come from closed sets and from the configuration, never from the wire. Units are base units.

use std::sync::Arc;

use http::StatusCode;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use tokio::time::Instant;

use crate::error::Error;

/// Seconds. Cache hits take tens of microseconds, so the edges begin far below those of OpenTelemetry's advice.
const REQUEST_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Seconds. A call to Azure crosses a network and does work.
const UPSTREAM_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

/// Attempts. v1.3-preview.1 allows 3 at most.
const ATTEMPTS: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0];

/// Seconds. What the service takes to look at what a device sent.
const SERVICE_SECONDS: &[f64] =
    &[0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0];

const TENTHS: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ident $([$($label:literal),+])? $(@ $buckets:expr)?;)+) => {
        /// Handles to every family. The field's name, behind `livegate_`, is the metric's name.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $kind,)+
        }

        impl Metrics {
            /// Makes and registers all families.
            ///
            /// # Errors
            /// Where two of them had one name, which the table above excludes.
            pub fn new() -> prometheus::Result<Self> {
                let registry = Registry::new();
                $(
                    let name = concat!("livegate_", stringify!($field));
                    let help = concat!($($help),+).trim();
                    let $field = metrics!(@make $kind, name, help $(, [$($label),+])? $(, $buckets)?);
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { registry, $($field,)+ })
            }
        }
    };
    (@make IntGauge, $name:expr, $help:expr) => { IntGauge::new($name, $help)? };
    (@make IntCounterVec, $name:expr, $help:expr, [$($label:literal),+]) => { IntCounterVec::new(Opts::new($name, $help), &[$($label),+])? };
    (@make IntGaugeVec, $name:expr, $help:expr, [$($label:literal),+]) => { IntGaugeVec::new(Opts::new($name, $help), &[$($label),+])? };
    (@make HistogramVec, $name:expr, $help:expr, [$($label:literal),+], $buckets:expr) => {
        HistogramVec::new(HistogramOpts::new($name, $help).buckets($buckets.to_vec()), &[$($label),+])?
    };
}

metrics! {
    /// Requests that were answered; the code is other where the client left before.
    http_requests_total: IntCounterVec["route", "method", "code"];
    /// Seconds from a request's head to its answer (to the answer's head, where it streams).
    http_request_duration_seconds: HistogramVec["route", "cache"] @ REQUEST_SECONDS;
    /// Requests that are being answered.
    http_requests_in_flight: IntGaugeVec["route"];
    /// Requests that were refused before Azure was asked.
    http_requests_rejected_total: IntCounterVec["route", "reason"];
    /// Tries at Azure, second ones included; the code is other where no answer came.
    upstream_requests_total: IntCounterVec["upstream", "route", "code"];
    /// Seconds of one try at Azure, until its answer was complete.
    upstream_request_duration_seconds: HistogramVec["upstream", "route"] @ UPSTREAM_SECONDS;
    /// Tries at Azure that are under way.
    upstream_requests_in_flight: IntGaugeVec["upstream"];
    /// Tries at Azure that brought no usable answer.
    upstream_errors_total: IntCounterVec["upstream", "kind"];
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
    cache_requests_total: IntCounterVec["route", "outcome"];
    /// Answers about sessions that came from Azure, by what the memory did with them.
    cache_stores_total: IntCounterVec["result"];
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
    app_auth_total: IntCounterVec["method", "result"];
    /// Answers by app.
    app_requests_total: IntCounterVec["app", "code_class"];
    /// Readings of the configuration, at the start and after.
    config_reloads_total: IntCounterVec["result"];
    /// 1 if the last reading of the configuration was good.
    config_last_reload_successful: IntGauge;
    /// Unix time of the last good reading of the configuration.
    config_last_reload_success_timestamp_seconds: IntGauge;
    /// Always 1; the labels tell what runs.
    build_info: IntGaugeVec["version"];
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

    /// Counts what kept an exchange with Azure from bringing a usable answer.
    pub fn upstream_failed(&self, upstream: &str, error: &Error) {
        if let Some(kind) = error.upstream_kind() {
            self.upstream_errors_total.with_label_values(&[upstream, kind]).inc();
        }
    }
}

/// Lets what counts evictions stand at 0, so that whoever is to be woken by its growing sees it grow.
pub fn start_evictions(evictions: &IntCounterVec) {
    for cause in ["expired", "size"] {
        drop(evictions.with_label_values(&[cause]));
    }
}

/// A status as a label: the ones that matter by themselves, the rest as `other`, so that the number of series is bounded.
pub fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        204 => "204",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        412 => "412",
        413 => "413",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "other",
    }
}

/// The class of a status, as a label.
pub fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// Counts one up for as long as it lives, so that leaving early counts down too.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl InFlight {
    /// One more under way.
    pub fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request of an app, counted and timed when this is dropped: one whose client left early is counted
/// too, with the code `other`.
#[derive(Debug)]
pub struct HttpRequest {
    metrics: Arc<Metrics>,
    route: &'static str,
    method: &'static str,
    code: &'static str,
    cache: &'static str,
    start: Instant,
    _in_flight: InFlight,
}

impl HttpRequest {
    /// It came in.
    pub fn new(metrics: Arc<Metrics>, route: &'static str, method: &'static str) -> Self {
        let in_flight = InFlight::new(metrics.http_requests_in_flight.with_label_values(&[route]));
        let start = Instant::now();
        Self { metrics, route, method, code: "other", cache: "none", start, _in_flight: in_flight }
    }

    /// It was answered, and the memory had this part in it.
    pub fn answered(mut self, status: StatusCode, cache: &'static str) {
        self.code = code(status);
        self.cache = cache;
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let Self { metrics, route, method, code, cache, start, .. } = self;
        metrics.http_requests_total.with_label_values(&[*route, *method, *code]).inc();
        let seconds = start.elapsed().as_secs_f64();
        let duration = &metrics.http_request_duration_seconds;
        duration.with_label_values(&[*route, *cache]).observe(seconds);
        if matches!(*route, "session" | "session_verify") && *cache != "none" {
            metrics.cache_requests_total.with_label_values(&[*route, *cache]).inc();
        }
    }
}

/// One try at Azure, counted and timed when this is dropped, which is when its answer's body is complete
/// or given up. One that brought no answer is counted with the code `other`.
#[derive(Debug)]
pub struct UpstreamTry {
    metrics: Arc<Metrics>,
    upstream: Arc<str>,
    route: &'static str,
    code: &'static str,
    start: Instant,
    _in_flight: InFlight,
}

impl UpstreamTry {
    /// It is about to be sent.
    pub fn new(metrics: Arc<Metrics>, upstream: Arc<str>, route: &'static str) -> Self {
        let in_flight = metrics.upstream_requests_in_flight.with_label_values(&[&*upstream]);
        let (start, in_flight) = (Instant::now(), InFlight::new(in_flight));
        Self { metrics, upstream, route, code: "other", start, _in_flight: in_flight }
    }

    /// The answer's head came.
    pub fn head(&mut self, status: StatusCode) {
        self.code = code(status);
    }

    /// It brought no usable answer.
    pub fn failed(&self, error: &Error) {
        self.metrics.upstream_failed(&self.upstream, error);
    }
}

impl Drop for UpstreamTry {
    fn drop(&mut self) {
        let Self { metrics, upstream, route, code, start, .. } = self;
        let upstream: &str = upstream;
        metrics.upstream_requests_total.with_label_values(&[upstream, *route, *code]).inc();
        let seconds = start.elapsed().as_secs_f64();
        let duration = &metrics.upstream_request_duration_seconds;
        duration.with_label_values(&[upstream, *route]).observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_and_is_written() {
        let metrics = Metrics::new().unwrap();
        metrics.build_info.with_label_values(&["1"]).set(1);
        let guard = InFlight::new(metrics.http_requests_in_flight.with_label_values(&["session"]));
        assert!(
            metrics
                .text()
                .unwrap()
                .contains("livegate_http_requests_in_flight{route=\"session\"} 1\n")
        );
        drop(guard);
        let text = metrics.text().unwrap();
        assert!(text.contains("livegate_http_requests_in_flight{route=\"session\"} 0\n"));
        assert!(text.contains("# HELP livegate_build_info Always 1; the labels tell what runs.\n"));
        assert!(text.contains("process_open_fds"));
    }
}
