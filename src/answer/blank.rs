//! Blanks the dead token of a final session, the one exception to Azure's bytes reaching the app as they are.
//!
//! Above it no answer holds a token that is good for nothing but being found.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::call::Call;
use crate::error::Error;
use crate::liveness::{Route, session};

/// The row.
#[derive(Debug, Clone)]
pub struct Blank<S> {
    inner: S,
}

/// Blanks dead tokens.
pub fn blank<S>() -> impl Layer<S, Service = Blank<S>> + Clone {
    layer_fn(|inner| Blank { inner })
}

impl<S> Service<Call> for Blank<S>
where
    S: Service<Call, Response = Response<Bytes>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let family =
            (call.target.route == Route::Session).then(|| call.target.resource.version.family());
        let answer = self.inner.call(call);
        async move {
            let answer = answer.await?;
            Ok(match family {
                Some(family) if answer.status() == StatusCode::OK => {
                    answer.map(|body| session::without_dead_token(family, body))
                }
                _ => answer,
            })
        }
        .boxed()
    }
}
