//! Turns what went wrong into an answer: an [`Error`] into Azure's error shape, a panic into a 500.
//!
//! Below it rows may fail; above it everything is an answer. A failure is logged here, once.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{CatchUnwind, Either, Ready, ready};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use crate::after::{After, Finish};
use crate::body::Body;
use crate::call::Reply;
use crate::error::Error;
use crate::headers::{CACHE_STATUS, LIVENESS_DIGEST, Name, verdict_value};
use crate::metrics::Metrics;
use crate::metrics::label::{self, Cache};

/// Azure's name for the header that repeats the error's code.
pub const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The row.
#[derive(Debug, Clone)]
pub struct Rescue<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

/// Makes answers of errors and panics.
pub fn rescue<S>(metrics: Arc<Metrics>) -> impl Layer<S, Service = Rescue<S>> + Clone {
    layer_fn(move |inner| Rescue { inner, metrics: Arc::clone(&metrics) })
}

impl<S> Service<Exchange> for Rescue<S>
where
    S: Service<Exchange, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Either<After<Caught<S::Future>, Net>, Ready<Result<Reply, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // What refuses here is asked all the same, and refuses inside the net.
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let net = Net {
            route: exchange.label(),
            forward: exchange.forward(),
            name: exchange.name,
            given: Name::given(exchange.request.headers()).cloned(),
            metrics: Arc::clone(&self.metrics),
        };
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(exchange))) {
            Ok(answer) => {
                let caught = AssertUnwindSafe(answer).catch_unwind();
                Either::Left(After::new(caught, net))
            }
            // The panic's own message is printed by the hook; it could hold anything and goes nowhere else.
            Err(_) => Either::Right(ready(Ok(net.answer(&Error::Internal)))),
        }
    }
}

/// A future whose panic is an outcome.
type Caught<F> = CatchUnwind<AssertUnwindSafe<F>>;

/// What catches the failure of one request.
#[derive(Debug)]
pub struct Net {
    route: label::Route,
    forward: Option<&'static str>,
    name: Name,
    given: Option<HeaderValue>,
    metrics: Arc<Metrics>,
}

impl<P> Finish<Result<Result<Reply, Error>, P>> for Net {
    type Output = Result<Reply, Infallible>;

    fn finish(self, outcome: Result<Result<Reply, Error>, P>) -> Self::Output {
        Ok(match outcome {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => self.answer(&error),
            Err(_) => self.answer(&Error::Internal),
        })
    }
}

impl Net {
    /// Counts and logs a failure, and makes an answer of it.
    fn answer(self, error: &Error) -> Reply {
        let Self { route, forward, name, given, metrics } = self;
        if let Some(reason) = error.rejection() {
            let labels = [route.as_str(), reason];
            metrics.http_requests_rejected_total.with_label_values(&labels).inc();
        }
        if *error == Error::Internal {
            metrics.panics_total.inc();
        }
        // What is refused because of what was told already would only fill the log: it is counted.
        let refused =
            matches!(error, Error::Overloaded | Error::TooManyQuestions | Error::CircuitOpen(_));
        if error.status().is_server_error() && !refused {
            let id = given.unwrap_or_else(|| name.written());
            let id = id.to_str().unwrap_or_default();
            tracing::warn!(
                client_request_id = id,
                route = route.as_str(),
                code = error.code(),
                status = error.status().as_u16(),
                "{error}"
            );
        }
        let mut answer = answer(error);
        // RFC 9211: on every GET, also where nobody got as far as the memory.
        if let Some(forward) = forward {
            let asked = error.proxy_status().is_some();
            let status = if asked { forward } else { "livegate" };
            answer.headers_mut().insert(CACHE_STATUS, HeaderValue::from_static(status));
        }
        Reply { answer, cache: Cache::None }
    }
}

/// An error's answer.
pub fn answer(error: &Error) -> Response<Body> {
    let mut answer = Response::new(Body::Whole(error.body()));
    *answer.status_mut() = error.status();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code()));
    if let Some(seconds) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    // RFC 9110 §15.5.2: a 401 names the way to authenticate.
    if *error == Error::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    // RFC 9110 §15.5.6: a 405 names the methods that there are.
    if let Error::MethodNotAllowed(methods) = error {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(verdict) = error.verdict() {
        headers.insert(LIVENESS_DIGEST, verdict_value(verdict));
    }
    if let Some(kind) = error.proxy_status()
        && let Ok(status) = HeaderValue::from_str(&format!("livegate; error={kind}"))
    {
        headers.insert(PROXY_STATUS, status);
    }
    answer
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    fn exchange() -> Exchange {
        Exchange {
            request: Request::new(Body::Empty),
            name: Name::random(),
            meaning: Err(Error::NoSuchPath(None)),
        }
    }

    async fn told(
        outcome: impl Fn() -> Result<Response<Body>, Error> + Clone + Send + 'static,
    ) -> (u16, HeaderValue, String) {
        let metrics = Arc::new(Metrics::new().unwrap());
        let inner = service_fn(move |_: Exchange| {
            let outcome = outcome.clone();
            async move { outcome().map(|answer| Reply { answer, cache: Cache::None }) }
        });
        let answer = rescue(metrics).layer(inner).oneshot(exchange()).await.unwrap().answer;
        let code =
            answer.headers().get(ERROR_CODE).cloned().unwrap_or(HeaderValue::from_static("-"));
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_error_has_azures_shape() {
        let (status, code, body) = told(|| Err(Error::BadArgument("No \"good\"."))).await;
        assert_eq!((status, code.to_str().unwrap()), (400, "BadArgument"));
        assert_eq!(body, r#"{"error":{"code":"BadArgument","message":"No \"good\"."}}"#);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_tells_nothing() {
        let (status, code, body) = told(|| panic!("secret")).await;
        assert_eq!((status, code.to_str().unwrap()), (500, "InternalServerError"));
        assert!(!body.contains("secret"));
    }

    #[tokio::test]
    async fn an_answer_passes() {
        assert_eq!(told(|| Ok(Response::new(Body::Empty))).await.0, 200);
    }
}
