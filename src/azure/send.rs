//! Sends a request over one of the resource's connections, and names what went wrong where it did.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, Response, Version};
use tokio::time::error::Elapsed;

use super::Azure;
use super::pool::Failure;
use crate::body::{Body, BodyError, Source};
use crate::call::Ask;
use crate::error::{Defect, Error, Unreachable};
use crate::metrics::waits::waiting;
use crate::trace::{Kind, Span};

/// Sends, and waits for the answer's head. The answer's body goes on counting and timing.
///
/// # Errors
/// Where no head came: see [`Error::upstream_kind`].
pub async fn send(azure: Arc<Azure>, ask: Ask) -> Result<Response<Source>, Error> {
    let mut attempt = azure.metrics.begin(ask.head.label);
    let afresh = ask.afresh;
    let mut request = request(ask).ok_or(Error::Internal)?;
    attempt.span = span(&azure, &mut request);
    match waiting(azure.pool.exchange(request, afresh)).await {
        Ok((answer, _)) if !(200..600).contains(&answer.status().as_u16()) => {
            // An interim status at the end, or one that no class has: RFC 9110 §15.
            let error = Error::UpstreamInvalidResponse(Defect::NotHttp);
            attempt.failed(&error);
            Err(error)
        }
        Ok((mut answer, at_end)) => {
            // RFC 9112 §2.3: towards the app the gateway speaks its own version.
            *answer.version_mut() = Version::default();
            attempt.head(answer.status());
            Ok(answer.map(|body| Source::azure(body, attempt, at_end)))
        }
        Err(failure) => {
            let error = cause(failure);
            attempt.failed(&error);
            Err(error)
        }
    }
}

/// The span of a try, which Azure's own would be below.
fn span(azure: &Azure, request: &mut Request<Body>) -> Option<Span> {
    let mut span = Span::begin(Kind::Client, "try", request.headers_mut())?;
    span.set("http.request.method", request.method().to_string());
    span.set("server.address", azure.host.clone());
    span.set("livegate.upstream", azure.name.to_string());
    Some(span)
}

fn request(ask: Ask) -> Option<Request<Body>> {
    let mut request = Request::new(ask.body);
    *request.method_mut() = ask.head.method.clone();
    *request.uri_mut() = PathAndQuery::try_from(ask.head.path.as_str()).ok()?.into();
    *request.headers_mut() = ask.head.headers.clone();
    request.headers_mut().extend(ask.authority);
    Some(request)
}

/// What is at the bottom of a failure.
fn cause(failure: Failure) -> Error {
    let (error, stale) = match failure {
        Failure::Connect(error) => return Error::Unreachable(unreachable(&*error)),
        Failure::Broken { error, stale } => (error, stale),
    };
    if let Some(body) = causes(&error).find_map(|error| error.downcast_ref::<BodyError>()) {
        return match body {
            BodyError::TooLarge => Error::BodyTooLarge,
            BodyError::TooSlow => Error::BodyTooSlow,
            BodyError::Broken(_) | BodyError::Superseded => Error::BodyBroken,
        };
    }
    if error.is_parse() {
        return Error::UpstreamInvalidResponse(Defect::NotHttp);
    }
    Error::Unreachable(if stale { Unreachable::Stale } else { Unreachable::Reset })
}

/// At which step the connection could not be made.
fn unreachable(error: &(dyn StdError + 'static)) -> Unreachable {
    for error in causes(error) {
        if error.is::<Elapsed>() {
            return Unreachable::ConnectTimeout;
        }
        if let Some(tls) = tls(error) {
            let certificate = matches!(tls, rustls::Error::InvalidCertificate(_));
            return if certificate { Unreachable::Certificate } else { Unreachable::Tls };
        }
        if error.to_string().starts_with("dns error") {
            return Unreachable::Dns;
        }
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if io == Some(io::ErrorKind::ConnectionRefused) {
            return Unreachable::Refused;
        }
    }
    Unreachable::Connect
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

/// TLS errors come wrapped into one or more errors of input and output, whose `source` skips what
/// they wrap.
fn tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
    error.downcast_ref().or_else(|| wrapped.and_then(|wrapped| tls(wrapped)))
}
