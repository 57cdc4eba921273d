//! Passes on what streams, beside the stairs: creating a session with its picture, session images, deletes, lists.
//!
//! Nothing is read and nothing rebuilt: Microsoft's own samples send forms that no specification has, and Azure
//! takes them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Response;
use tokio::time::timeout;
use tower::Service;

use crate::azure::{Azure, Sender};
use crate::body::Body;
use crate::call::Call;
use crate::error::Error;
use crate::headers::towards_app;
use crate::liveness::Route;
use crate::metrics::Metrics;

/// Passes calls to Azure and answers back, frame by frame.
#[derive(Debug, Clone)]
pub struct Relay {
    sender: Sender,
    azure: Arc<Azure>,
    stream_timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Relay {
    /// A relay to one resource. A body may take `stream_timeout` in each direction.
    pub const fn new(
        sender: Sender,
        azure: Arc<Azure>,
        stream_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { sender, azure, stream_timeout, metrics }
    }
}

impl Service<Call> for Relay {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        // A create is answered after its content has come in, which has a deadline of its own.
        let upload =
            if call.target.route == Route::Create { self.stream_timeout } else { Duration::ZERO };
        let limit = self.azure.timeout + upload;
        let ask = call.into_ask();
        let sent = self.sender.call(ask);
        let Self { azure, metrics, stream_timeout, .. } = self.clone();
        async move {
            let outcome = timeout(limit, sent).await.unwrap_or_else(|_| {
                metrics.upstream_failed(&azure.name, &Error::UpstreamTimeout);
                Err(Error::UpstreamTimeout)
            });
            let (mut parts, body) = outcome?.into_parts();
            towards_app(&mut parts.headers);
            Ok(Response::from_parts(parts, Body::stream(body, azure.max_answer, stream_timeout)))
        }
        .boxed()
    }
}
