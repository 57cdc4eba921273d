//! Counts and times each request, once, as the app sees it.
//!
//! Below it every answer is final: whatever fails further down has become an answer already.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Method, Response};
use tokio::time::Instant;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use crate::body::Body;
use crate::metrics::{InFlight, Metrics, code};

/// The row.
#[derive(Debug, Clone)]
pub struct Measure<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

/// Counts and times requests.
pub fn measure<S>(metrics: Arc<Metrics>) -> impl Layer<S, Service = Measure<S>> + Clone {
    layer_fn(move |inner| Measure { inner, metrics: Arc::clone(&metrics) })
}

impl<S> Service<Exchange> for Measure<S>
where
    S: Service<Exchange, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let start = Instant::now();
        let (route, method) = (exchange.label(), method(exchange.request.method()));
        let metrics = Arc::clone(&self.metrics);
        let in_flight = InFlight::new(metrics.http_requests_in_flight.with_label_values(&[route]));
        let answer = self.inner.call(exchange);
        Box::pin(async move {
            let answer = answer.await?;
            metrics
                .http_requests_total
                .with_label_values(&[route, method, code(answer.status())])
                .inc();
            metrics
                .http_request_duration_seconds
                .with_label_values(&[route, "none"])
                .observe(start.elapsed().as_secs_f64());
            drop(in_flight);
            Ok(answer)
        })
    }
}

/// The value of the metric label `method`.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
