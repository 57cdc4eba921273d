//! Sends a request once more, on a new connection, where there was none or it broke before an answer began.
//!
//! A kept connection may be closed by Azure at the moment it is used again, and nobody is to blame. Only
//! requests without content that mean the same when they come twice are sent again (RFC 9110 §9.2.2), and
//! only once. Whether the first try was heard cannot be known: a DELETE that was heard is answered with
//! 404 the second time. Trouble that is not a kept connection's is tried again within a small budget.

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

/// Sends once more what did not get through.
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
        let Self { inner, azure } = self.clone();
        azure.share.budget.earn();
        let first = self.inner.call(ask);
        async move {
            let first = first.await;
            let Some(reason) = first.as_ref().err().and_then(reason) else {
                return first;
            };
            // A kept connection that was closed is nobody's trouble; all else may be, and is not made worse.
            if reason != STALE && !azure.share.budget.spend() {
                azure.metrics.retried(reason, "no_budget");
                return first;
            }
            azure.share.spend();
            let answer = inner.oneshot(second).await;
            azure.metrics.retried(reason, if answer.is_ok() { "ok" } else { "failed" });
            // Azure may have heard the first one, whatever kept the second one from it.
            let why = answer.as_ref().err().and_then(self::reason);
            if why == Some(UNOPENED) && reason != UNOPENED { first } else { answer }
        }
        .boxed()
    }
}

const STALE: &str = "stale_connection";
const UNOPENED: &str = "connect";

/// Why a request is sent once more, if it is: the value of the metric label `reason`.
const fn reason(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unreachable(Unreachable::Stale) => Some(STALE),
        Error::Unreachable(Unreachable::Reset) => Some("other"),
        Error::Unreachable(
            Unreachable::Dns
            | Unreachable::Refused
            | Unreachable::Connect
            | Unreachable::ConnectTimeout,
        ) => Some(UNOPENED),
        _ => None,
    }
}
