//! Counts and times each request, once, as the app sees it.
//!
//! Below it every answer is final: whatever fails further down has become an answer already.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use crate::after::{After, Finish};
use crate::body::Body;
use crate::call::Reply;
use crate::metrics::label::Method;
use crate::metrics::waits::{Apart, apart};
use crate::metrics::{HttpRequest, Metrics};

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
    S: Service<Exchange, Response = Reply, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = After<Apart<S::Future>, HttpRequest>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let (route, method) = (exchange.label(), Method::new(exchange.request.method()));
        let request = HttpRequest::new(Arc::clone(&self.metrics), route, method);
        After::new(apart(self.inner.call(exchange)), request)
    }
}

impl Finish<(Result<Reply, Infallible>, Duration)> for HttpRequest {
    type Output = Result<Response<Body>, Infallible>;

    fn finish(self, (reply, waited): (Result<Reply, Infallible>, Duration)) -> Self::Output {
        let Reply { answer, cache } = reply?;
        self.answered(answer.status(), cache, waited);
        Ok(answer)
    }
}
