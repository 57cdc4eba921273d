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
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Azure;
use crate::body::Source;
use crate::call::Ask;
use crate::error::{Defect, Error};
use crate::headers::towards_app;
use crate::metrics::waits::waiting;

/// Longest answer that takes no room of its own, in bytes: as long as what is kept may be. Requests under way bound these.
const SHORT: usize = 256 << 10;

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
                let whole = whole(answer, limit, azure.share.answers()).await;
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

async fn whole(
    answer: Response<Source>,
    limit: usize,
    room: &Arc<Semaphore>,
) -> Result<Response<Bytes>, Error> {
    let (mut parts, body) = answer.into_parts();
    let body = waiting(gathered(body, limit, room)).await?;
    let mut encodings = parts.headers.get_all(CONTENT_ENCODING).iter();
    let body = match (encodings.next(), encodings.next()) {
        (None, _) => body,
        (Some(encoding), None) => {
            let unpacked = decoded(encoding, body, limit)?;
            let room = taken(room, unpacked.len(), unpacked.len())?;
            held(unpacked, room)
        }
        _ => return Err(Error::UpstreamInvalidResponse(Defect::Encoding)),
    };
    parts.headers.remove(CONTENT_ENCODING);
    towards_app(&mut parts.headers);
    Ok(Response::from_parts(parts, body))
}

/// All of a body. What is long takes room in memory, and there is not enough for all that could be asked for at a time.
async fn gathered(mut body: Source, limit: usize, room: &Arc<Semaphore>) -> Result<Bytes, Error> {
    let (mut pieces, mut length) = (Vec::new(), 0_usize);
    let mut held_room: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::UpstreamInvalidResponse(Defect::Incomplete))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > limit {
            return Err(Error::UpstreamInvalidResponse(Defect::TooLarge));
        }
        let more = if held_room.is_some() { data.len() } else { length };
        match (taken(room, length, more)?, &mut held_room) {
            (Some(more), Some(so_far)) => so_far.merge(more),
            (more, none) => *none = more,
        }
        pieces.push(data);
    }
    let body = match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    };
    Ok(held(body, held_room))
}

/// Room for so many bytes of an answer that has this length, where that is long.
fn taken(
    room: &Arc<Semaphore>,
    length: usize,
    more: usize,
) -> Result<Option<OwnedSemaphorePermit>, Error> {
    if length <= SHORT {
        return Ok(None);
    }
    let more = u32::try_from(more).map_err(|_| Error::Overloaded)?;
    Arc::clone(room).try_acquire_many_owned(more).map(Some).map_err(|_| Error::Overloaded)
}

/// A body that gives its room back when nobody holds it any more.
fn held(body: Bytes, room: Option<OwnedSemaphorePermit>) -> Bytes {
    struct Held(
        Bytes,
        #[expect(dead_code, reason = "it is given back when dropped")] OwnedSemaphorePermit,
    );
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    match room {
        Some(room) => Bytes::from_owner(Held(body, room)),
        None => body,
    }
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
