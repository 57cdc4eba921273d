//! What the metrics of one request cost: `cargo bench --bench metrics`.
//!
//! `hit` is all that is counted and timed of a request that is answered from memory, `miss` with one try at Azure.
//! `clock` is what it takes to read the clock once, of which a hit needs two readings and a miss four.
#![expect(clippy::unwrap_used, reason = "a bench may fail")]

use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use http::StatusCode;
use livegate::metrics::label::{Cache, Class, Known, Method, Route, Showing, Store};
use livegate::metrics::{Counters, HttpRequest, Metrics, UpstreamMetrics};
use tokio::time::Instant;

fn main() {
    divan::main();
}

struct Counted {
    metrics: Arc<Metrics>,
    answers: Counters<Class>,
    upstream: Arc<UpstreamMetrics>,
}

impl Counted {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let answers = Counters::of(&metrics.app_requests_total, &["app"]);
        let upstream = Arc::new(UpstreamMetrics::new("eastus", &metrics));
        Self { metrics, answers, upstream }
    }

    fn request(&self, cache: Cache, waited: Duration) {
        let request = HttpRequest::new(Arc::clone(&self.metrics), Route::Session, Method::Get);
        self.metrics.app_auth_total.at((Showing::Token, Known::Ok)).inc();
        self.answers.at(Class::new(StatusCode::OK)).inc();
        request.answered(StatusCode::OK, cache, waited);
    }
}

#[divan::bench(sample_size = 1000)]
fn hit(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    bencher.bench(|| counted.request(black_box(Cache::Hit), Duration::ZERO));
}

#[divan::bench(sample_size = 1000)]
fn miss(bencher: Bencher<'_, '_>) {
    let counted = Counted::new();
    bencher.bench(|| {
        let mut attempt = counted.upstream.begin(black_box(Route::Session));
        attempt.head(StatusCode::OK);
        drop(attempt);
        counted.metrics.cache_stores_total.at(Store::NotTerminal).inc();
        counted.request(black_box(Cache::Miss), Duration::from_micros(1));
    });
}

#[divan::bench(sample_size = 1000)]
fn clock() -> Instant {
    Instant::now()
}
