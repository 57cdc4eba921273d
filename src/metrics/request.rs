//! What is counted of an app's request.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::Metrics;
use super::label::{Cache, Code, Method, Route};

/// A request of an app, counted and timed when this is dropped: one whose client left early is counted
/// too, with the code `other`.
#[derive(Debug)]
pub struct HttpRequest {
    metrics: Arc<Metrics>,
    route: Route,
    method: Method,
    start: Instant,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    code: Code,
    cache: Cache,
    waited: Duration,
}

impl HttpRequest {
    /// It came in.
    pub fn new(metrics: Arc<Metrics>, route: Route, method: Method) -> Self {
        metrics.http_requests_in_flight.at(route).inc();
        Self { metrics, route, method, start: Instant::now(), answer: None }
    }

    /// It was answered, the memory had this part in it, and so much of its time was waited for others.
    pub fn answered(mut self, status: StatusCode, cache: Cache, waited: Duration) {
        self.answer = Some(Answer { code: Code::new(status), cache, waited });
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let Self { metrics, route, method, start, answer } = self;
        let (route, total) = (*route, start.elapsed());
        metrics.http_requests_in_flight.at(route).dec();
        let (mut code, mut part) = (Code::Other, Cache::None);
        if let Some(Answer { cache, waited, code: told }) = answer {
            (code, part) = (*told, *cache);
            let own = total.saturating_sub(*waited).as_secs_f64();
            metrics.http_gateway_duration_seconds.at((route, part)).observe(own);
        }
        metrics.http_requests_total.at((route, *method, code)).inc();
        let seconds = total.as_secs_f64();
        metrics.http_request_duration_seconds.at((route, part)).observe(seconds);
        if matches!(route, Route::Session | Route::SessionVerify) && part != Cache::None {
            metrics.cache_requests_total.at((route, part)).inc();
        }
    }
}
