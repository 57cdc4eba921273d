//! Tells an app the answer about a session: with its entity tag, its age, how the memory had part in it, and without its
//! content where the app has that already.
//!
//! Below it answers are prepared once, and judged for the one who asks; above it each belongs to one app.

use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::judge::Judged;
use super::prepared::Session;
use super::recall::{How, Told, Why};
use crate::after::{After, Finish};
use crate::body::Body;
use crate::call::{Call, Reply};
use crate::error::Error;
use crate::headers::{
    CACHE_STATUS, LIVENESS_DIGEST, LIVENESS_VERIFY_IMAGE, PREFERENCE_APPLIED, verdict_value,
};
use crate::liveness::verdict::Likeness;
use crate::metrics::label::Cache;
use crate::moment::Moment;
use crate::wishes::Wishes;

/// The fields that a verdict is about.
const GIVEN: &str = "Liveness-Client-Digest, Liveness-Expected-Verify-Image";

/// The row.
#[derive(Debug, Clone)]
pub struct Tell<S> {
    inner: S,
}

/// Tells answers about sessions.
pub fn tell<S>() -> impl Layer<S, Service = Tell<S>> + Clone {
    layer_fn(|inner| Tell { inner })
}

impl<S> Service<Call> for Tell<S>
where
    S: Service<Call, Response = Judged, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = After<S::Future, Wishes>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let wishes = call.wishes.clone();
        After::new(self.inner.call(call), wishes)
    }
}

impl Finish<Result<Judged, Error>> for Wishes {
    type Output = Result<Reply, Error>;

    fn finish(self, judged: Result<Judged, Error>) -> Result<Reply, Error> {
        Ok(reply(&judged?, &self))
    }
}

fn reply(judged: &Judged, wishes: &Wishes) -> Reply {
    let Judged { told, digest, picture } = judged;
    let Told { answer, how, waited, question: _, flight: _ } = told;
    let asked = matches!(how, How::Asked { .. });
    let has = |session: &Session| wishes.has(session.etag.as_bytes());
    let unchanged = answer.session.as_ref().is_some_and(has);
    let mut fields = answer.told(asked);
    if unchanged {
        // RFC 9110 §15.4.5: a 304 has the fields that would help to keep the 200, and no content.
        let vary: Vec<_> = fields.get_all(VARY).iter().cloned().collect();
        fields = vary.into_iter().map(|vary| (VARY, vary)).collect();
    }
    if let Some(session) = &answer.session {
        fields.insert(ETAG, session.etag.clone());
        // What may change is asked for each time, by whatever keeps it nearer to the app.
        let control = if session.standing.is_final() { "private" } else { "private, no-cache" };
        fields.insert(CACHE_CONTROL, HeaderValue::from_static(control));
        // RFC 9110 §12.5.5: what was given decides on the verdicts.
        fields.append(VARY, HeaderValue::from_static(GIVEN));
    }
    // RFC 9111 §3.2: what a 304 has takes the place of what the app kept.
    fields.extend(digest.map(|digest| (LIVENESS_DIGEST, verdict_value(digest))));
    let likeness = |likeness: Likeness| HeaderValue::from_static(likeness.told());
    fields.extend(picture.map(|picture| (LIVENESS_VERIFY_IMAGE, likeness(picture))));
    told.come_by(&mut fields);
    if let Some(wait) = wishes.wait.filter(|_| *waited && answer.session.is_some()) {
        let applied = HeaderValue::try_from(format!("wait={}", wait.as_secs()));
        fields.extend(applied.map(|applied| (PREFERENCE_APPLIED, applied)));
    }
    let body = if unchanged { Body::Empty } else { Body::from(answer.body.clone()) };
    let mut reply = Response::new(body);
    *reply.status_mut() = if unchanged { StatusCode::NOT_MODIFIED } else { answer.status };
    *reply.headers_mut() = fields;
    Reply { answer: reply, cache: part(*how) }
}

impl Told {
    /// Says in an answer's fields how it was come by.
    pub(super) fn come_by(&self, fields: &mut HeaderMap) {
        // RFC 9111 §5.1: the field says that the answer was not made for this request, or that it was held.
        let age = Moment::now().since(self.answer.fetched).as_secs();
        if !matches!(self.how, How::Asked { .. }) || age > 0 {
            fields.insert(AGE, HeaderValue::from(age));
        }
        fields.append(CACHE_STATUS, status(self.how));
    }
}

/// RFC 9211 §2. What is kept counts as stored; what is only shared for a moment does not.
fn status(how: How) -> HeaderValue {
    HeaderValue::from_static(match how {
        How::Hit(left) => return hit(left),
        How::Shared => "livegate; hit; ttl=0",
        How::Asked { why: Why::Miss, stored: true } => "livegate; fwd=miss; stored",
        How::Asked { why: Why::Miss, stored: false } => "livegate; fwd=miss",
        How::Asked { why: Why::Stale, stored: true } => "livegate; fwd=stale; stored",
        How::Asked { why: Why::Stale, stored: false } => "livegate; fwd=stale",
        How::Asked { why: Why::Request, stored: true } => "livegate; fwd=request; stored",
        How::Asked { why: Why::Request, stored: false } => "livegate; fwd=request",
        How::Asked { why: Why::Off, .. } => "livegate; fwd=bypass",
        How::Collapsed(Why::Off) => "livegate; fwd=bypass; collapsed",
        How::Collapsed(Why::Miss) => "livegate; fwd=miss; collapsed",
        How::Collapsed(Why::Stale) => "livegate; fwd=stale; collapsed",
        How::Collapsed(Why::Request) => "livegate; fwd=request; collapsed",
    })
}

fn hit(left: Duration) -> HeaderValue {
    let text = format!("livegate; hit; ttl={}", left.as_secs());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("livegate; hit"))
}

/// The part that the memory had, for the metrics.
pub(super) const fn part(how: How) -> Cache {
    match how {
        How::Hit(_) => Cache::Hit,
        How::Shared => Cache::Shared,
        How::Asked { why: Why::Off, .. } | How::Collapsed(Why::Off) => Cache::Disabled,
        How::Asked { why: Why::Request, .. } => Cache::Bypass,
        How::Asked { .. } => Cache::Miss,
        How::Collapsed(_) => Cache::Collapsed,
    }
}

#[cfg(test)]
mod tests;
