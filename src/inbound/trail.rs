//! Writes one line to the log for each read of a session or an audit list: who read what, and what was told.
//!
//! Below it an app is known and may read. The lines have a target of their own, so that they can be sent where others are not.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower::layer::layer_fn;
use tower::{Layer, Service};
use tracing::Level;

use crate::after::{After, Finish};
use crate::call::{Admitted, Call, Reply};
use crate::config::{Access, App};
use crate::error::Error;
use crate::headers::{LIVENESS_DECISION, LIVENESS_DIGEST};
use crate::liveness::SessionId;
use crate::liveness::resource::Kind;
use crate::metrics::label::{self, Cache};
use crate::pseudonym::{Pseudonym, Pseudonyms};

/// What the log's lines can be told apart by.
pub const TARGET: &str = "livegate::access";

/// Most bytes of a request's name that are written.
const LONGEST_NAME: usize = 128;

/// The row.
#[derive(Debug, Clone)]
pub struct Trail<S> {
    inner: S,
    pseudonyms: Arc<Pseudonyms>,
    rotate: Option<Duration>,
}

/// Writes down what is read.
pub fn trail<S>(
    pseudonyms: Arc<Pseudonyms>,
    access: Access,
) -> impl Layer<S, Service = Trail<S>> + Clone {
    let rotate = access.rotate;
    layer_fn(move |inner| Trail { inner, pseudonyms: Arc::clone(&pseudonyms), rotate })
}

impl<S> Service<Admitted> for Trail<S>
where
    S: Service<Admitted, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = After<S::Future, Trace>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, admitted: Admitted) -> Self::Future {
        // Nothing is made ready for a log that nobody wants.
        let line = tracing::enabled!(target: TARGET, Level::INFO).then(|| self.line(&admitted));
        let line = line.flatten().map(Box::new);
        After::new(self.inner.call(admitted), Trace(line))
    }
}

/// The line that a request will leave, if it leaves one.
#[derive(Debug)]
pub struct Trace(Option<Box<Line>>);

impl Finish<Result<Reply, Error>> for Trace {
    type Output = Result<Reply, Error>;

    fn finish(self, outcome: Result<Reply, Error>) -> Result<Reply, Error> {
        self.0.into_iter().for_each(|line| line.tell(&outcome));
        outcome
    }
}

impl<S> Trail<S> {
    /// The line about a read, if it is one.
    fn line(&self, admitted: &Admitted) -> Option<Line> {
        let Admitted::Call(call) = admitted else {
            return None;
        };
        let (Kind::Session(_, id) | Kind::Audit(_, id)) = &call.target.resource.kind else {
            return None;
        };
        call.target.route.is_read().then(|| self.about(call, id))
    }

    fn about(&self, call: &Call, id: &SessionId) -> Line {
        let (session, key) = match self.rotate {
            None => (id.as_str().to_owned(), None),
            Some(rotate) => {
                let Pseudonym { session, key } = self.pseudonyms.of(id, rotate);
                (session, Some(key))
            }
        };
        Line {
            app: Arc::clone(&call.app),
            route: call.target.label(),
            version: call.target.resource.version.as_str(),
            session,
            key,
            request_id: call.heard.request_id(),
            trace: call.heard.trace(),
            told: None,
        }
    }
}

/// A line, written when it is dropped: also about a read that its app did not wait for.
#[derive(Debug)]
struct Line {
    app: Arc<App>,
    route: label::Route,
    version: &'static str,
    session: String,
    key: Option<Arc<str>>,
    request_id: HeaderValue,
    trace: HeaderValue,
    told: Option<Outcome>,
}

/// What was told.
#[derive(Debug)]
struct Outcome {
    status: StatusCode,
    cache: Cache,
    decision: Option<HeaderValue>,
    verdict: Option<HeaderValue>,
}

impl Line {
    fn tell(mut self, outcome: &Result<Reply, Error>) {
        let of = |headers: &HeaderMap, name: &HeaderName| headers.get(name).cloned();
        self.told = Some(match outcome {
            Ok(Reply { answer, cache }) => Outcome {
                status: answer.status(),
                cache: *cache,
                decision: of(answer.headers(), &LIVENESS_DECISION),
                verdict: of(answer.headers(), &LIVENESS_DIGEST),
            },
            Err(error) => Outcome {
                status: error.status(),
                cache: Cache::None,
                decision: None,
                verdict: error.verdict().map(crate::headers::verdict_value),
            },
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let told = self.told.as_ref();
        tracing::info!(
            target: TARGET,
            app = self.app.name.as_str(),
            route = self.route.as_str(),
            version = self.version,
            session = self.session.as_str(),
            key = self.key.as_deref(),
            status = told.map(|told| told.status.as_u16()),
            cache = told.map(|told| told.cache.as_str()),
            decision = told.and_then(|told| text(told.decision.as_ref())),
            verdict = told.and_then(|told| text(told.verdict.as_ref())),
            client_request_id = text(Some(&self.request_id)).map(short),
            trace_id = trace_id(&self.trace),
            "read"
        );
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value?.to_str().ok()
}

/// An app chooses its requests' names, and could fill the log with them.
fn short(name: &str) -> &str {
    name.get(..LONGEST_NAME).unwrap_or(name)
}

/// W3C Trace Context §3.2: the second part of a `traceparent`.
fn trace_id(trace: &HeaderValue) -> Option<&str> {
    text(Some(trace))?.split('-').nth(1)
}
