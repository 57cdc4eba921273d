//! Reads an answer about a session, once: what it says, what is told and counted of it, and its dead token.
//!
//! Above it no answer holds a token that is good for nothing but being found. All that comes here comes from Azure, so that what
//! is told from memory is not counted again.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::Response;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::key::Question;
use super::lasting::Lasting;
use super::prepared::Prepared;
use crate::call::Call;
use crate::error::Error;
use crate::liveness::Resource;
use crate::liveness::session::Standing;
use crate::metrics::Metrics;

/// The row.
#[derive(Debug, Clone)]
pub struct Read<S> {
    inner: S,
    reader: Reader,
}

#[derive(Debug, Clone)]
struct Reader {
    lasting: Arc<Lasting>,
    metrics: Arc<Metrics>,
    upstream: Arc<str>,
    resource: u32,
}

/// Reads answers about sessions of the upstream of this name, the resource of this number.
pub fn read<S>(
    lasting: Arc<Lasting>,
    metrics: Arc<Metrics>,
    upstream: Arc<str>,
    resource: u32,
) -> impl Layer<S, Service = Read<S>> + Clone {
    let reader = Reader { lasting, metrics, upstream, resource };
    layer_fn(move |inner| Read { inner, reader: reader.clone() })
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
        let (reader, asked) = (self.reader.clone(), call.target.resource.clone());
        self.inner.call(call).map_ok(move |answer| reader.read(&asked, answer)).boxed()
    }
}

impl Reader {
    fn read(&self, asked: &Resource, answer: Response<Bytes>) -> Prepared {
        let (answer, facts) = Prepared::new(asked.version, answer);
        let question = Question::new(self.resource, asked);
        if let Some((facts, question)) = facts.zip(question) {
            if facts.standing == Standing::Unreadable {
                let upstream: &str = &self.upstream;
                self.metrics.upstream_errors_total.with_label_values(&[upstream, "bad_json"]).inc();
                tracing::warn!(upstream, "an answer about a session could not be read");
            }
            let session = question.key.session();
            if self.lasting.counted.observe(&session, &facts) {
                self.lasting.memory.ended(&session);
            }
        }
        answer
    }
}
