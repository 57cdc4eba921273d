//! Reads an answer about a session, once: what it says, what is told of it, and its dead token.
//!
//! Above it no answer holds a token that is good for nothing but being found.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::prepared::Prepared;
use crate::call::Call;
use crate::error::Error;

/// The row.
#[derive(Debug, Clone)]
pub struct Read<S> {
    inner: S,
}

/// Reads answers about sessions.
pub fn read<S>() -> impl Layer<S, Service = Read<S>> + Clone {
    layer_fn(|inner| Read { inner })
}

impl<S> Service<Call> for Read<S>
where
    S: Service<Call, Response = Response<Bytes>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Prepared;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Prepared, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let version = call.target.resource.version;
        self.inner.call(call).map_ok(move |answer| Prepared::new(version, answer)).boxed()
    }
}
