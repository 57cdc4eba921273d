//! Counts and times each request, once, as the app sees it.
//!
//! Below it every answer is final: whatever fails further down has become an answer already.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use crate::body::Body;
use crate::call::Reply;
use crate::metrics::label::Method;
use crate::metrics::waits::apart;
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
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let (route, method) = (exchange.label(), Method::new(exchange.request.method()));
        let request = HttpRequest::new(Arc::clone(&self.metrics), route, method);
        let answer = self.inner.call(exchange);
        Box::pin(async move {
            let (reply, waited) = apart(answer).await;
            let Reply { answer, cache } = reply?;
            request.answered(answer.status(), cache, waited);
            Ok(answer)
        })
    }
}
