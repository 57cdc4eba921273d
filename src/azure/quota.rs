//! Keeps within what the resource allows, and leaves it alone for as long as it asks for that.
//!
//! Below it a request may go. Above it who may not has an answer at once, or soon; and whatever Azure throttles tells when to come
//! back, for Azure promises no `Retry-After`, and some of its SDKs never try again without one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceExt as _};

use super::Azure;
use crate::body::Source;
use crate::call::Ask;
use crate::error::Error;
use crate::headers::retry_after;
use crate::metrics::label::Route;
use crate::metrics::waits::waiting;
use crate::quota::{HeldBack, Kind};

/// Longest wait for a turn, if half of the resource's own time is not shorter.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest content of a 429 that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// What a 429 that says nothing is taken to ask for, in seconds.
const USUAL: u32 = 1;

/// The row.
#[derive(Debug, Clone)]
pub struct Quota<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Keeps within what the resource allows.
pub fn quota<S>(azure: Arc<Azure>) -> impl Layer<S, Service = Quota<S>> + Clone {
    layer_fn(move |inner| Quota { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for Quota<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Source>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Source>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let Self { inner, azure } = self.clone();
        async move {
            waiting(admitted(&azure, &ask)).await.map_err(|held| {
                azure.metrics.held_back(held);
                Error::HeldBack(held)
            })?;
            Ok(heeded(&azure, inner.oneshot(ask).await?).await)
        }
        .boxed()
    }
}

/// Waits until the request may go.
async fn admitted(azure: &Azure, ask: &Ask) -> Result<(), HeldBack> {
    let Azure { share, timeout, .. } = azure;
    if ask.turn.is_some() {
        // A rest that was asked for since then counts all the same.
        return share.resting().map_or(Ok(()), |rest| Err(HeldBack::Rest(rest)));
    }
    let kind = match ask.head.label {
        Route::Session | Route::SessionVerify => Kind::Poll,
        _ => Kind::Call,
    };
    share.admit(kind, &ask.head.app.name, PATIENCE.min(*timeout / 2)).await.map(drop)
}

/// Does what an answer asks for: RFC 9110 §10.2.3 has `Retry-After` with 429 and 503 alike. Where it says so only in its text, or not
/// at all, the app is told in the header.
pub(super) async fn heeded(azure: &Azure, mut answer: Response<Source>) -> Response<Source> {
    let status = answer.status();
    let throttled = status == StatusCode::TOO_MANY_REQUESTS;
    if !(throttled || status == StatusCode::SERVICE_UNAVAILABLE) {
        return answer;
    }
    let told = retry_after(answer.headers(), Timestamp::now());
    let asked = match told {
        None if throttled => in_words(&waiting(answer.body_mut().peek(LONGEST)).await),
        told => told,
    };
    if let Some(seconds) = asked {
        azure.share.asked_for_rest(seconds);
    }
    if throttled && told.is_none() {
        let seconds = HeaderValue::from(asked.unwrap_or(USUAL));
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}

/// `Rate limit is exceeded. Try again in 26 seconds.` is how the service's front end says it (`OpenAPI` documents of the Face service,
/// error pages).
fn in_words(content: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(content).ok()?.to_ascii_lowercase();
    let (_, rest) = text.split_once("try again in ")?;
    let (number, unit) = rest.split_once(' ')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // What is too long for a number is longer than any rest.
    (digits && unit.starts_with("second")).then(|| number.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_from_the_words_of_the_front_end() {
        for (text, seconds) in [
            ("{\"message\":\"Rate limit is exceeded. Try again in 26 seconds.\"}", Some(26)),
            ("try again in 1 second", Some(1)),
            ("Try again in 99999999999 seconds", Some(u32::MAX)),
            ("Try again in 5 minutes", None),
            ("Try again in -5 seconds", None),
            ("Try again in  seconds", None),
            ("Try again in 26", None),
            ("Try again later", None),
            ("", None),
        ] {
            assert_eq!(in_words(text.as_bytes()), seconds, "{text}");
        }
        assert_eq!(in_words(b"\xff Try again in 26 seconds."), None);
    }
}
