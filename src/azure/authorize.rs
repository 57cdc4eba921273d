//! Shows Azure the resource's authority: a key, or a token. What is refused is followed by another one, in the same request.
//!
//! Below it a request carries authority. Above it nobody has seen any, and that Azure refuses all there is, is an error
//! of the gateway and not an answer to the app.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::Azure;
use super::finding::{Finding, Refusal, find};
use super::keys::Tried;
use crate::body::{Original, Source};
use crate::call::Ask;
use crate::error::Error;

/// The row.
#[derive(Debug, Clone)]
pub struct Authorize<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Puts the resource's authority on requests.
pub fn authorize<S>(azure: Arc<Azure>) -> impl Layer<S, Service = Authorize<S>> + Clone {
    layer_fn(move |inner| Authorize { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for Authorize<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Source>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Source>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let Self { inner, azure } = self.clone();
        async move {
            let mut refused = None;
            let outcome = exchange(&azure, inner, ask, &mut refused).await;
            if let Some(refusal) = refused {
                let came = if outcome.is_ok() { "ok" } else { "failed" };
                azure.metrics.retried(Refusal::retry(refusal), came);
            }
            outcome
        }
        .boxed()
    }
}

/// Tries with what there is to show, until something is not refused. `refused` tells that there was more than one try, and why.
async fn exchange<S>(
    azure: &Azure,
    inner: S,
    ask: Ask,
    refused: &mut Option<Refusal>,
) -> Result<Response<Source>, Error>
where
    S: Service<Ask, Response = Response<Source>, Error = Error> + Clone + Send,
    S::Future: Send,
{
    let original = Original::new(ask.body, azure.share.room());
    let (mut tried, mut last) = (Tried::default(), None);
    loop {
        // 401 comes before any work is done, so that a create can be sent once more, where all of it is still there.
        let body = original.lend().ok_or(Error::UpstreamUnauthorized)?;
        // What nobody can have is never sent: Azure would count the call all the same.
        let mut pass = azure.credential.next(&mut tried).await?;
        *refused = last;
        if last.is_some() {
            azure.share.spend();
        }
        let (head, authority) = (Arc::clone(&ask.head), Some(pass.header()));
        let ask = Ask { head, authority, turn: None, afresh: ask.afresh, body };
        let answer = inner.clone().oneshot(ask).await?;
        let (finding, answer) = find(answer, &azure.metrics).await;
        pass.finding = finding;
        match finding {
            Finding::Refused(refusal) => last = Some(refusal),
            _ => return Ok(answer),
        }
    }
}
