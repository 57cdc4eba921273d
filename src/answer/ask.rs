//! Turns what an app asks into what Azure is asked.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::call::{Ask, Call};
use crate::error::Error;

/// The row.
#[derive(Debug, Clone)]
pub struct Asking<S> {
    inner: S,
}

/// Asks Azure.
pub fn ask<S>() -> impl Layer<S, Service = Asking<S>> + Clone {
    layer_fn(|inner| Asking { inner })
}

impl<S> Service<Call> for Asking<S>
where
    S: Service<Ask, Response = Response<Bytes>, Error = Error>,
{
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        self.inner.call(call.into_ask())
    }
}
