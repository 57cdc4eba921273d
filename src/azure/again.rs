//! Sends a request once more where its connection broke before an answer began.
//!
//! A kept connection may be closed by Azure at the moment it is used again, and nobody is to blame. Only
//! requests without content that mean the same when they come twice are sent again (RFC 9110 §9.2.2), and
//! only once. Whether the first try was heard cannot be known: a DELETE that was heard is answered with
//! 404 the second time, and a connection that was new is tried again as well.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Method, Response};
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::Azure;
use crate::body::Source;
use crate::call::Ask;
use crate::error::{Error, Unreachable};

/// The row.
#[derive(Debug, Clone)]
pub struct Again<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Sends once more what a broken connection swallowed.
pub fn again<S>(azure: Arc<Azure>) -> impl Layer<S, Service = Again<S>> + Clone {
    layer_fn(move |inner| Again { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for Again<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Source>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Source>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let safe = matches!(ask.head.method, Method::GET | Method::DELETE);
        let Some(second) = ask.again().filter(|_| safe) else {
            return self.inner.call(ask).boxed();
        };
        let first = self.inner.call(ask);
        let inner = self.inner.clone();
        let azure = Arc::clone(&self.azure);
        async move {
            match first.await {
                Err(Error::Unreachable(Unreachable::Reset)) => {}
                other => return other,
            }
            let answer = inner.oneshot(second).await;
            azure.metrics.retried("stale_connection", answer.is_ok());
            answer
        }
        .boxed()
    }
}
