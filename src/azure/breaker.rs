//! Leaves a resource alone that does not answer, and finds out when it does again.
//!
//! Above it a request that cannot be served is refused at once, in place of waiting for what will not come.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use tokio::time::Instant;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Azure;
use crate::body::{Body, Source};
use crate::call::Ask;
use crate::circuit::Change;
use crate::error::Error;

/// The row.
#[derive(Debug, Clone)]
pub struct Breaker<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Leaves alone what does not answer.
pub fn breaker<S>(azure: Arc<Azure>) -> impl Layer<S, Service = Breaker<S>> + Clone {
    layer_fn(move |inner| Breaker { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for Breaker<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Source>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Source>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let tries = match self.azure.share.circuit.enter() {
            Ok(tries) => tries,
            Err(wait) => {
                let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
                return futures_util::future::ready(Err(Error::CircuitOpen(seconds))).boxed();
            }
        };
        // A content may take its time, and whoever gives up sending it says nothing of Azure.
        let timed = matches!(ask.body, Body::Empty);
        let (azure, since) = (Arc::clone(&self.azure), Instant::now());
        let mut pass = Pass { azure, tries, timed, since, end: End::Open };
        let answer = self.inner.call(ask);
        async move {
            let answer = answer.await;
            pass.ends(&answer);
            answer
        }
        .boxed()
    }
}

/// An exchange, which says what came of it when it is dropped.
struct Pass {
    azure: Arc<Azure>,
    tries: bool,
    timed: bool,
    since: Instant,
    end: End,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has not, as yet.
    Open,
    /// An answer came.
    Answered,
    /// None came.
    Unanswered,
    /// It says nothing of the resource: an app's body broke off, or there was no key to ask with.
    Neither,
}

impl Pass {
    fn ends(&mut self, answer: &Result<Response<Source>, Error>) {
        self.end = match answer {
            Ok(_) | Err(Error::UpstreamInvalidResponse(_)) => End::Answered,
            Err(Error::Unreachable(_) | Error::UpstreamTimeout) => End::Unanswered,
            Err(_) => End::Neither,
        };
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Self { azure, tries, timed, since, end } = self;
        let circuit = &azure.share.circuit;
        // Who waited as long as may be was not given up for another reason.
        let late = *timed && since.elapsed() >= azure.timeout;
        let change = match end {
            End::Answered => circuit.succeeded(),
            End::Unanswered => circuit.failed(*tries),
            End::Open if late => circuit.failed(*tries),
            End::Open | End::Neither if *tries => {
                circuit.given_up();
                None
            }
            End::Open | End::Neither => None,
        };
        tell(azure, change);
    }
}

/// The resource answered somebody who did not ask by this way.
pub(super) fn answered(azure: &Azure) {
    tell(azure, azure.share.circuit.succeeded());
}

fn tell(azure: &Azure, change: Option<Change>) {
    let upstream = &*azure.name;
    match change {
        Some(Change::Opened) => {
            tracing::error!(upstream, "it does not answer, and is left alone for a while");
        }
        Some(Change::Closed) => tracing::info!(upstream, "it answers again"),
        None => {}
    }
}
