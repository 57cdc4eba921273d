//! What is counted of a Face resource: the tries at it, and what came of them.

use std::sync::Arc;

use http::StatusCode;
use prometheus::IntGauge;
use tokio::time::Instant;

use super::health::{Health, Tries};
use super::label::{Code, Route};
use super::series::{Counters, Histograms};
use super::{Metrics, start};
use crate::circuit::Circuit;
use crate::error::Error;
use crate::quota::HeldBack;
use crate::share::Share;
use crate::trace::Span;

/// The codes of Azure's errors that are told apart (Face API, error-code page and examples). The front end's own are
/// numbers, and an error without a code is known by its status.
const ERROR_CODES: [&str; 19] = [
    "400",
    "401",
    "403",
    "404",
    "429",
    "500",
    "503",
    "AuthenticationTypeDisabled",
    "BadArgument",
    "ConcurrentOperationConflict",
    "Gone",
    "InvalidDeviceCorrelationId",
    "InvalidLivenessOperationMode",
    "InvalidRequestBody",
    "InvalidTokenLifetime",
    "ServiceUnavailable",
    "SessionNotFound",
    "Unspecified",
    "UnsupportedFeature",
];

/// What is counted of one resource.
#[derive(Debug)]
pub struct UpstreamMetrics {
    name: String,
    metrics: Arc<Metrics>,
    requests: Counters<(Route, Code)>,
    durations: Histograms<Route>,
    in_flight: IntGauge,
    tries: Tries,
}

impl UpstreamMetrics {
    /// Of the resource of this name.
    pub fn new(name: &str, metrics: &Arc<Metrics>) -> Self {
        for source in ["azure_429", "local_budget", "backoff"] {
            start(&metrics.upstream_throttled_total, &[name, source]);
        }
        for kind in Error::UPSTREAM_KINDS {
            start(&metrics.upstream_errors_total, &[name, kind]);
        }
        Self {
            name: name.to_owned(),
            metrics: Arc::clone(metrics),
            requests: Counters::of(&metrics.upstream_requests_total, &[name]),
            durations: Histograms::of(&metrics.upstream_request_duration_seconds, &[name]),
            in_flight: metrics.upstream_requests_in_flight.with_label_values(&[name]),
            tries: Tries::default(),
        }
    }

    /// Whether the resource answers.
    pub fn health(&self) -> Health {
        self.tries.health()
    }

    /// How its share stands now: told when somebody asks for the metrics.
    pub fn tell(&self, share: &Share) {
        let (metrics, name) = (&self.metrics, self.name.as_str());
        if let Some((left, most)) = share.left() {
            metrics.upstream_quota_tokens.with_label_values(&[name]).set(left as i64);
            metrics.upstream_quota_burst_tokens.with_label_values(&[name]).set(most.round() as i64);
        } else {
            // Without a limit there is nothing to tell any more.
            drop(metrics.upstream_quota_tokens.remove_label_values(&[name]));
            drop(metrics.upstream_quota_burst_tokens.remove_label_values(&[name]));
        }
        let backoff = &metrics.upstream_backoff_until_timestamp_seconds;
        backoff.with_label_values(&[name]).set(share.rest_until());
        let now = share.circuit.state();
        for state in Circuit::STATES {
            let gauge = metrics.upstream_circuit_state.with_label_values(&[name, state]);
            gauge.set(i64::from(state == now));
        }
    }

    /// A request is about to be sent.
    pub fn begin(self: &Arc<Self>, route: Route) -> UpstreamTry {
        self.in_flight.inc();
        let (metrics, start) = (Arc::clone(self), Instant::now());
        UpstreamTry { metrics, route, code: Code::Other, start, span: None }
    }

    /// What kept an exchange from bringing a usable answer.
    pub fn failed(&self, error: &Error) {
        if let Some(kind) = error.upstream_kind() {
            self.unusable(kind);
        }
    }

    /// An answer cannot be used: the value of the metric label `kind`.
    pub fn unusable(&self, kind: &'static str) {
        self.tries.failed(kind);
        self.metrics.upstream_errors_total.with_label_values(&[self.name.as_str(), kind]).inc();
    }

    /// A request was held back.
    pub fn held_back(&self, held: HeldBack) {
        let labels = [self.name.as_str(), held.source()];
        self.metrics.upstream_throttled_total.with_label_values(&labels).inc();
    }

    /// A request was sent once more, or was not for want of budget.
    pub fn retried(&self, reason: &'static str, outcome: &'static str) {
        let labels = [self.name.as_str(), reason, outcome];
        self.metrics.upstream_retries_total.with_label_values(&labels).inc();
    }

    /// Azure answered with an error, of this code where it has one.
    pub fn refused(&self, status: StatusCode, code: Option<&str>) {
        let code = code.unwrap_or(status.as_str());
        let known = ERROR_CODES.iter().find(|known| **known == code);
        let labels = [self.name.as_str(), known.unwrap_or(&"other")];
        self.metrics.upstream_service_errors_total.with_label_values(&labels).inc();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let labels = [self.name.as_str(), "azure_429"];
            self.metrics.upstream_throttled_total.with_label_values(&labels).inc();
        }
    }
}

/// One try at Azure, counted and timed when this is dropped, which is when its answer's body is complete
/// or given up. One that brought no answer is counted with the code `other`.
#[derive(Debug)]
pub struct UpstreamTry {
    metrics: Arc<UpstreamMetrics>,
    route: Route,
    code: Code,
    start: Instant,
    /// Its span, where somebody collects that. It ends with the try.
    pub span: Option<Span>,
}

impl UpstreamTry {
    /// The answer's head came.
    pub fn head(&mut self, status: StatusCode) {
        self.code = Code::new(status);
        match status {
            status if status.is_server_error() => self.metrics.tries.failed(status.as_str()),
            _ => self.metrics.tries.answered(),
        }
        self.span.iter_mut().for_each(|span| span.answered(status));
    }

    /// It brought no usable answer.
    pub fn failed(&mut self, error: &Error) {
        self.metrics.failed(error);
        let kind = error.upstream_kind().unwrap_or("other");
        self.span.iter_mut().for_each(|span| span.failed(kind));
    }
}

impl Drop for UpstreamTry {
    fn drop(&mut self) {
        let Self { metrics, route, code, start, span: _ } = self;
        metrics.in_flight.dec();
        metrics.requests.at((*route, *code)).inc();
        metrics.durations.at(*route).observe(start.elapsed().as_secs_f64());
    }
}
