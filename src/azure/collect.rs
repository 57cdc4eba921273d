//! Takes an answer whole, within a time and a size.
//!
//! Above it there are only whole answers: one that breaks off is an error, and half of one is never passed on.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};
use tower::layer::layer_fn;
use tower::{BoxError, Layer, Service};

use super::Azure;
use crate::call::Ask;
use crate::error::{Defect, Error};
use crate::headers::towards_app;
use crate::metrics::Metrics;

/// The row.
#[derive(Debug, Clone)]
pub struct Collect<S> {
    inner: S,
    azure: Arc<Azure>,
    metrics: Arc<Metrics>,
}

/// Takes answers whole.
pub fn collect<S>(
    azure: Arc<Azure>,
    metrics: Arc<Metrics>,
) -> impl Layer<S, Service = Collect<S>> + Clone {
    layer_fn(move |inner| Collect {
        inner,
        azure: Arc::clone(&azure),
        metrics: Arc::clone(&metrics),
    })
}

impl<S> Service<Ask> for Collect<S>
where
    S: Service<Ask, Response = Response<Incoming>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let label = ask.label;
        let answer = self.inner.call(ask);
        let (azure, metrics) = (Arc::clone(&self.azure), Arc::clone(&self.metrics));
        async move {
            let start = Instant::now();
            let limit = usize::try_from(azure.max_answer).unwrap_or(usize::MAX);
            let whole = timeout(azure.timeout, async { whole(answer.await?, limit).await }).await;
            let outcome = whole.unwrap_or(Err(Error::UpstreamTimeout));
            metrics.observe_upstream(&azure.name, label, start, outcome.as_ref().err());
            outcome
        }
        .boxed()
    }
}

async fn whole(answer: Response<Incoming>, limit: usize) -> Result<Response<Bytes>, Error> {
    let (mut parts, body) = answer.into_parts();
    let body =
        Limited::new(body, limit).collect().await.map_err(|error| defect(&error))?.to_bytes();
    towards_app(&mut parts.headers);
    Ok(Response::from_parts(parts, body))
}

fn defect(error: &BoxError) -> Error {
    let defect = if error.is::<LengthLimitError>() { Defect::TooLarge } else { Defect::Incomplete };
    Error::UpstreamInvalidResponse(defect)
}
