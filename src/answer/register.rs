//! Takes in the digest that an app's client reported: `PUT /livegate/v1/sessions/{id}/client-digest`.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tower::Service;

use super::lasting::Lasting;
use crate::body::{Body, BodyError};
use crate::call::{LONGEST_REGISTRATION, Registration, Reply};
use crate::error::Error;
use crate::headers::{LIVENESS_DIGEST, verdict_value};
use crate::liveness::digest::Digest;
use crate::liveness::json::Object;
use crate::liveness::verdict::{Evidence, Given, Mode, Verdict};
use crate::metrics::label::Cache;
use crate::metrics::waits::waiting;

/// Attempts that can be named: as many as are read of a session.
const ATTEMPTS: std::ops::RangeInclusive<u64> = 1..=100;

const NO_JSON: Error = Error::BadArgument(
    "The body must be JSON: {\"digest\":\"<64 hex digits>\"}, with an \"attempt\" from 1 to 100 if it is known.",
);
const NO_DIGEST: Error = Error::BadArgument("'digest' must have 64 hex digits.");
const NO_ATTEMPT: Error = Error::BadArgument("'attempt' must be a whole number from 1 to 100.");

/// What a registration's content says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    digest: String,
    #[serde(default)]
    attempt: Option<u64>,
}

/// Takes in what is reported of the sessions of one resource.
#[derive(Debug, Clone)]
pub struct Register {
    lasting: Arc<Lasting>,
    resource: u32,
}

impl Register {
    /// For the resource of this number.
    pub const fn new(lasting: Arc<Lasting>, resource: u32) -> Self {
        Self { lasting, resource }
    }

    async fn take(self, registration: Registration) -> Result<Reply, Error> {
        let Registration { app, session, body } = registration;
        let (digest, attempt) = read(body).await?;
        let Self { lasting, resource } = self;
        if !lasting.reported.report(&app.name, resource, &session, attempt, digest) {
            return Err(Error::DigestConflict);
        }
        let mut answer = Response::new(Body::Empty);
        *answer.status_mut() = StatusCode::NO_CONTENT;
        if app.digest != Mode::Off {
            let kept = lasting.memory.kept_of(resource, &session);
            let evidence = kept.as_ref().and_then(|answer| answer.evidence());
            // Azure is not asked: what is not kept is not known to be decided.
            let judge = |evidence: &Evidence| evidence.judge(Given::Digest(digest));
            let verdict = evidence.map_or(Verdict::Pending, judge);
            answer.headers_mut().insert(LIVENESS_DIGEST, verdict_value(verdict));
        }
        Ok(Reply { answer, cache: Cache::None })
    }
}

impl Service<Registration> for Register {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, registration: Registration) -> Self::Future {
        self.clone().take(registration).boxed()
    }
}

async fn read(body: Body) -> Result<(Digest, Option<u64>), Error> {
    let most = usize::try_from(LONGEST_REGISTRATION).unwrap_or(usize::MAX);
    let content = waiting(Limited::new(body, most).collect()).await.map_err(|error| match error
        .downcast_ref::<BodyError>(
    ) {
        Some(BodyError::TooSlow) => Error::BodyTooSlow,
        Some(BodyError::Broken(_) | BodyError::Superseded) => Error::BodyBroken,
        Some(BodyError::TooLarge) | None => Error::BodyTooLarge,
    })?;
    let content: Object<Content> =
        serde_json::from_slice(&content.to_bytes()).map_err(|_| NO_JSON)?;
    let digest = Digest::parse(content.digest.as_bytes()).ok_or(NO_DIGEST)?;
    if content.attempt.is_some_and(|attempt| !ATTEMPTS.contains(&attempt)) {
        return Err(NO_ATTEMPT);
    }
    Ok((digest, content.attempt))
}
