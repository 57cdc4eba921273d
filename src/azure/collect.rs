//! Takes an answer whole, within a time and a size.
//!
//! Above it there are only whole answers: one that breaks off is an error, and half of one is never passed on.

use std::io::Read as _;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{BoxError, Layer, Service};

use super::Azure;
use crate::body::Source;
use crate::call::Ask;
use crate::error::{Defect, Error};
use crate::headers::towards_app;
use crate::metrics::waits::waiting;

/// The row.
#[derive(Debug, Clone)]
pub struct Collect<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Takes answers whole.
pub fn collect<S>(azure: Arc<Azure>) -> impl Layer<S, Service = Collect<S>> + Clone {
    layer_fn(move |inner| Collect { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for Collect<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Bytes>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> Self::Future {
        let answer = self.inner.call(ask);
        let azure = Arc::clone(&self.azure);
        async move {
            let limit = usize::try_from(azure.max_answer).unwrap_or(usize::MAX);
            let whole = async {
                let answer = answer.await?;
                // What kept the answer's head from coming has been counted where it happened.
                let whole = whole(answer, limit).await;
                whole.inspect_err(|error| azure.metrics.failed(error))
            };
            timeout(azure.timeout, whole).await.unwrap_or_else(|_| {
                azure.metrics.failed(&Error::UpstreamTimeout);
                Err(Error::UpstreamTimeout)
            })
        }
        .boxed()
    }
}

async fn whole(answer: Response<Source>, limit: usize) -> Result<Response<Bytes>, Error> {
    let (mut parts, body) = answer.into_parts();
    let body =
        waiting(Limited::new(body, limit).collect()).await.map_err(|error| defect(&error))?;
    let body = body.to_bytes();
    let mut encodings = parts.headers.get_all(CONTENT_ENCODING).iter();
    let body = match (encodings.next(), encodings.next()) {
        (None, _) => body,
        (Some(encoding), None) => decoded(encoding, body, limit)?,
        _ => return Err(Error::UpstreamInvalidResponse(Defect::Encoding)),
    };
    parts.headers.remove(CONTENT_ENCODING);
    towards_app(&mut parts.headers);
    Ok(Response::from_parts(parts, body))
}

/// Undoes a compression that nobody asked for, so that what is above can read the answer. A little
/// that unpacks to a lot is as long as what it unpacks to.
fn decoded(encoding: &HeaderValue, body: Bytes, limit: usize) -> Result<Bytes, Error> {
    let refused = |defect| Err(Error::UpstreamInvalidResponse(defect));
    match encoding.as_bytes().to_ascii_lowercase().as_slice() {
        b"identity" => return Ok(body),
        b"gzip" | b"x-gzip" => {}
        _ => return refused(Defect::Encoding),
    }
    let mut whole = Vec::new();
    let bound = (limit as u64).saturating_add(1);
    match MultiGzDecoder::new(body.as_ref()).take(bound).read_to_end(&mut whole) {
        Ok(length) if length > limit => refused(Defect::TooLarge),
        Ok(_) => Ok(whole.into()),
        Err(_) => refused(Defect::Encoding),
    }
}

fn defect(error: &BoxError) -> Error {
    let defect = if error.is::<LengthLimitError>() { Defect::TooLarge } else { Defect::Incomplete };
    Error::UpstreamInvalidResponse(defect)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn unpacked(encoding: &'static str, body: &[u8]) -> Result<Bytes, Error> {
        decoded(&HeaderValue::from_static(encoding), Bytes::copy_from_slice(body), 1000)
    }

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn an_answer_is_unpacked_within_its_bounds() {
        assert_eq!(unpacked("gzip", &packed(b"{}")).unwrap(), "{}");
        assert_eq!(unpacked("X-GZip", &packed(&[b' '; 1000])).unwrap().len(), 1000);
        assert_eq!(unpacked("identity", b"{}").unwrap(), "{}");
        let refused =
            |outcome, defect| assert_eq!(outcome, Err(Error::UpstreamInvalidResponse(defect)));
        refused(unpacked("gzip", &packed(&[b' '; 1001])), Defect::TooLarge);
        refused(unpacked("gzip", &packed(b"{}")[..12]), Defect::Encoding);
        refused(unpacked("gzip", b"{}"), Defect::Encoding);
        refused(unpacked("br", b"{}"), Defect::Encoding);
        refused(unpacked("gzip, gzip", b"{}"), Defect::Encoding);
    }
}
