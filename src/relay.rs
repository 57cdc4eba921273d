//! Passes on what streams, beside the stairs: creating a session with its picture, session images, deletes, lists.
//!
//! Nothing is rebuilt: Microsoft's own samples send forms that no specification has, and Azure takes them. What must be
//! known is noted on the way: which session was created, with which picture, and which was deleted.

mod picture;

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use tokio::time::timeout;
use tower::{Service, ServiceExt as _};

use crate::answer::key::{Question, SessionKey};
use crate::answer::lasting::Lasting;
use crate::azure::{Azure, Sender};
use crate::body::{Body, BodyError, Source};
use crate::call::{Ask, Call};
use crate::error::{Defect, Error, Unreachable};
use crate::headers::towards_app;
use crate::liveness::{Operation, Route, SessionId};
use crate::metrics::Metrics;
use crate::metrics::waits::waiting;
use crate::moment::Moment;
use picture::Picture;

/// Passes calls to Azure and answers back, frame by frame.
#[derive(Debug, Clone)]
pub struct Relay {
    sender: Sender,
    azure: Arc<Azure>,
    lasting: Arc<Lasting>,
    stream_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// What a create's answer says that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    #[serde(borrow)]
    session_id: Cow<'a, str>,
}

impl Relay {
    /// A relay to one resource. A body may take `stream_timeout` in each direction.
    pub const fn new(
        sender: Sender,
        azure: Arc<Azure>,
        lasting: Arc<Lasting>,
        stream_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { sender, azure, lasting, stream_timeout, metrics }
    }

    /// Asks Azure, and waits for the answer's head for so long.
    async fn send(self, ask: Ask, limit: Duration) -> Result<Response<Body>, Error> {
        let Self { sender, azure, stream_timeout, .. } = self;
        let outcome = timeout(limit, sender.oneshot(ask)).await.unwrap_or_else(|_| {
            azure.metrics.failed(&Error::UpstreamTimeout);
            Err(Error::UpstreamTimeout)
        });
        let (mut parts, body): (_, Source) = outcome?.into_parts();
        towards_app(&mut parts.headers);
        Ok(Response::from_parts(parts, Body::stream(body, azure.max_answer, stream_timeout)))
    }

    /// A create is answered after its content has come in, which has a deadline of its own. Its answer is small, and read
    /// for the session's id: from v1.2 on only the create tells when a session began.
    async fn create(
        self,
        mut ask: Ask,
        operation: Option<Operation>,
    ) -> Result<Response<Body>, Error> {
        let limit = self.azure.timeout + self.stream_timeout;
        let (lasting, resource) = (Arc::clone(&self.lasting), self.azure.share.number);
        let begun = Moment::now();
        let verify = operation == Some(Operation::LivenessWithVerify);
        let picture = if verify { Picture::watch(&ask.head.headers, &mut ask.body) } else { None };
        let answer = self.send(ask, limit).await?;
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = waiting(body.collect()).await.map_err(|error| broken(&error))?.to_bytes();
        let created = serde_json::from_slice::<Created<'_>>(&body).ok();
        let id = created.and_then(|created| SessionId::parse(&created.session_id));
        if let Some((operation, id)) = operation.zip(id) {
            let session = SessionKey::new(resource, operation, &id);
            lasting.memory.created(session.clone(), begun, None);
            if let Some(picture) = picture {
                lasting.memory.created(session, begun, picture.hash().await);
            }
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// What is known of the session is forgotten before Azure is asked, and what was fetched meanwhile before the app hears
    /// the answer.
    async fn delete(self, ask: Ask, session: SessionKey) -> Result<Response<Body>, Error> {
        self.metrics.cache_purges_total.with_label_values(&["delete"]).inc();
        let mut deletion = Deletion::begin(Arc::clone(&self.lasting), session);
        let limit = self.azure.timeout;
        let answer = self.send(ask, limit).await;
        deletion.fate = fate(&answer);
        answer
    }
}

/// What came of a deletion.
enum Fate {
    /// It is certain that nothing was deleted: Azure refused, or never heard of it.
    Refused,
    /// Azure said that it was.
    Done,
    /// It may have been.
    Unknown,
}

fn fate(outcome: &Result<Response<Body>, Error>) -> Fate {
    match outcome {
        Ok(answer) if answer.status().is_success() => Fate::Done,
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Fate::Unknown,
        Ok(answer) if answer.status().is_client_error() => Fate::Refused,
        Err(Error::NoKey | Error::UpstreamUnauthorized | Error::HeldBack(_)) => Fate::Refused,
        Err(Error::CircuitOpen(_)) => Fate::Refused,
        Err(Error::Unreachable(Unreachable::Reset | Unreachable::Stale)) => Fate::Unknown,
        Err(Error::Unreachable(_)) => Fate::Refused,
        _ => Fate::Unknown,
    }
}

/// A deletion under way. Once Azure may have heard of it nothing of the session is kept any more, also where the app leaves
/// or the answer is lost; only Azure's own refusal takes that back, and not what another deletion has brought about.
struct Deletion {
    lasting: Arc<Lasting>,
    session: SessionKey,
    first: bool,
    fate: Fate,
}

impl Deletion {
    fn begin(lasting: Arc<Lasting>, session: SessionKey) -> Self {
        let first = lasting.memory.delete(&session);
        Self { lasting, session, first, fate: Fate::Unknown }
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        let Self { lasting, session, first, fate } = self;
        lasting.memory.delete(session);
        match fate {
            Fate::Refused if *first => lasting.memory.undelete(session),
            Fate::Done => lasting.deleted(session),
            Fate::Refused | Fate::Unknown => {}
        }
    }
}

impl Service<Call> for Relay {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let (this, limit) = (self.clone(), self.azure.timeout);
        let asked = Question::new(self.azure.share.number, &call.target.resource);
        let session = asked.map(|asked| asked.key.session());
        match (call.target.route, session) {
            (Route::Create, _) => {
                let operation = call.target.resource.operation();
                this.create(call.into_ask(), operation).boxed()
            }
            (Route::Delete, Some(session)) => this.delete(call.into_ask(), session).boxed(),
            _ => this.send(call.into_ask(), limit).boxed(),
        }
    }
}

const fn broken(error: &BodyError) -> Error {
    match error {
        BodyError::TooLarge => Error::UpstreamInvalidResponse(Defect::TooLarge),
        BodyError::TooSlow => Error::UpstreamTimeout,
        BodyError::Broken(_) | BodyError::Superseded => {
            Error::UpstreamInvalidResponse(Defect::Incomplete)
        }
    }
}
