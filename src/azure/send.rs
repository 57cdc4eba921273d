//! Sends a request over one of the resource's connections, and names what went wrong where it did.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use http::uri::{PathAndQuery, Uri};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use tokio::time::error::Elapsed;

use super::Azure;
use crate::body::BodyError;
use crate::call::Ask;
use crate::error::{Defect, Error, Unreachable};
use crate::metrics::{InFlight, Metrics, code};

/// Sends, counts, and waits for the answer's head.
///
/// # Errors
/// Where no head came: see [`Error::upstream_kind`].
pub async fn send(
    azure: Arc<Azure>,
    metrics: Arc<Metrics>,
    ask: Ask,
) -> Result<Response<Incoming>, Error> {
    let label = ask.label;
    let request = request(&azure, ask).ok_or(Error::Internal)?;
    let in_flight = InFlight::new(
        metrics.upstream_requests_in_flight.with_label_values(&[azure.name.as_str()]),
    );
    let outcome = azure.client.request(request).await;
    drop(in_flight);
    let answer = outcome.map_err(|error| cause(&error))?;
    metrics
        .upstream_requests_total
        .with_label_values(&[azure.name.as_str(), label, code(answer.status())])
        .inc();
    Ok(answer)
}

fn request(azure: &Azure, ask: Ask) -> Option<Request<crate::body::Body>> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(azure.scheme.clone());
    parts.authority = Some(azure.authority.clone());
    parts.path_and_query =
        Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(ask.path)).ok()?);
    let mut request = Request::new(ask.body);
    *request.method_mut() = ask.method;
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.headers_mut() = ask.headers;
    Some(request)
}

/// What is at the bottom of an error of the HTTP client.
fn cause(error: &legacy::Error) -> Error {
    let chain = || causes(error);
    if let Some(body) = chain().find_map(|error| error.downcast_ref::<BodyError>()) {
        return match body {
            BodyError::TooLarge => Error::BodyTooLarge,
            BodyError::TooSlow => Error::BodyTooSlow,
            BodyError::Broken(_) => Error::BodyBroken,
        };
    }
    if error.is_connect() {
        return Error::Unreachable(unreachable(error));
    }
    match chain().find_map(|error| error.downcast_ref::<hyper::Error>()) {
        Some(error) if error.is_parse() => Error::UpstreamInvalidResponse(Defect::NotHttp),
        _ => Error::Unreachable(Unreachable::Reset),
    }
}

/// At which step the connection could not be made.
fn unreachable(error: &legacy::Error) -> Unreachable {
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
    let mut next = error.source();
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
