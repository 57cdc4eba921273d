//! Looks at a form that creates a session as it passes, and hashes the picture in it.
//!
//! Azure can be asked to tell the SHA-256 of the picture that it verifies against. Whoever saw the picture go by can then tell
//! whether it is the same. What passes is not held up, and a form that cannot be read passes like any other.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, poll_fn};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::body::Body;
use crate::liveness::digest::Digest;
use crate::liveness::json::Object;

/// Longest text in a form that is read, in bytes.
const LONGEST: usize = 64 << 10;

/// How long to wait for the hash once Azure has answered: the picture has passed by then, and only a busy machine is not done.
const PATIENCE: Duration = Duration::from_secs(5);

/// A picture that is on its way.
#[derive(Debug)]
pub(super) struct Picture(JoinHandle<Option<Digest>>);

/// The members of `Parameters` that matter: older forms hold all fields in one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    #[serde(default)]
    return_verify_image_hash: Value,
}

impl Picture {
    /// Looks at a body with these headers, if it is a form.
    pub(super) fn watch(headers: &HeaderMap, body: &mut Body) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let boundary = multer::parse_boundary(content_type).ok()?;
        Some(Self(tokio::spawn(read(boundary, body.watch()))))
    }

    /// Its hash, if Azure was asked to tell it too.
    pub(super) async fn hash(mut self) -> Option<Digest> {
        timeout(PATIENCE, &mut self.0).await.ok()?.ok()?
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn read(boundary: String, seen: UnboundedReceiver<Bytes>) -> Option<Digest> {
    let searched = Arc::new(AtomicUsize::new(0));
    let mut form = Multipart::new(pieces(seen, Arc::clone(&searched)), boundary);
    let (mut hash, mut wanted) = (None, false);
    while let Some(field) = form.next_field().await.ok()? {
        searched.store(0, Ordering::Relaxed);
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            // Which of two Azure would take is not known.
            "verifyimage" if field.file_name().is_some() && hash.is_some() => return None,
            "verifyimage" if field.file_name().is_some() => {
                hash = Some(hashed(field, &searched).await?)
            }
            "returnverifyimagehash" => {
                let flag = text(field).await?;
                wanted |= flag.trim_ascii().eq_ignore_ascii_case(b"true");
            }
            "parameters" => {
                let parameters =
                    serde_json::from_slice::<Object<Parameters>>(&text(field).await?).ok()?;
                wanted |= is_true(&parameters.return_verify_image_hash);
            }
            _ => {}
        }
    }
    hash.filter(|_| wanted)
}

/// What the form is read from: one piece in each turn, since the reader takes all that there is before it looks at it, and takes
/// an end that comes in one turn with the last piece for a form that is cut off. It ends where so much came without a field in
/// it that none will.
fn pieces(
    mut seen: UnboundedReceiver<Bytes>,
    searched: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut had_one = false;
    poll_fn(move |cx| {
        if std::mem::take(&mut had_one) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(seen.poll_recv(cx));
        had_one = true;
        let length = piece.as_ref().map_or(0, Bytes::len);
        let fits = searched.fetch_add(length, Ordering::Relaxed) < LONGEST;
        Poll::Ready(piece.filter(|_| fits).map(Ok))
    })
}

/// Microsoft's samples write flags as text, too.
fn is_true(flag: &Value) -> bool {
    flag.as_bool() == Some(true)
        || flag.as_str().is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
}

async fn hashed(mut field: Field<'_>, searched: &AtomicUsize) -> Option<Digest> {
    let mut hash = Sha256::new();
    while let Some(piece) = field.chunk().await.ok()? {
        searched.store(0, Ordering::Relaxed);
        hash.update(&piece);
    }
    Some(Digest::from(<[u8; 32]>::from(hash.finalize())))
}

async fn text(mut field: Field<'_>) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.ok()? {
        text.extend_from_slice(&piece);
        if text.len() > LONGEST {
            return None;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const PICTURE: &str = "\u{0}a picture\r\n--B that only looks like an end";

    async fn hash(form: &str, boundary: &str, piece: usize) -> Option<Digest> {
        let mut headers = HeaderMap::new();
        let content_type = format!("multipart/form-data; boundary={boundary}");
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        let (sender, seen) = tokio::sync::mpsc::unbounded_channel();
        for piece in form.as_bytes().chunks(piece) {
            sender.send(Bytes::copy_from_slice(piece)).unwrap();
        }
        drop(sender);
        let boundary = multer::parse_boundary(headers[CONTENT_TYPE].to_str().unwrap()).unwrap();
        read(boundary, seen).await
    }

    fn part(disposition: &str, content: &str) -> String {
        format!("--Bo\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    }

    fn expected() -> Option<Digest> {
        Some(Digest::from(<[u8; 32]>::from(Sha256::digest(PICTURE))))
    }

    #[tokio::test]
    async fn a_picture_is_hashed_however_its_form_is_made_and_cut() {
        let picture = part("name=\"verifyImage\"; filename=\"a.jpg\"", PICTURE);
        let flag = part("name=\"returnVerifyImageHash\"", "true");
        let old = part("name=Parameters", r#"{"a":1,"returnVerifyImageHash":true}"#)
            + &part("name=VerifyImage; filename=a", PICTURE);
        for form in [picture.clone() + &flag, flag.clone() + &picture, old] {
            for piece in [1, 7, 10_000] {
                for boundary in ["Bo", "\"Bo\""] {
                    assert_eq!(
                        hash(&(form.clone() + "--Bo--\r\n"), boundary, piece).await,
                        expected()
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn there_is_none_where_it_could_not_be_trusted_or_was_not_wanted() {
        let picture = part("name=verifyImage; filename=a", PICTURE);
        let flag = |value| part("name=returnVerifyImageHash", value);
        let end = "--Bo--\r\n";
        for form in [
            picture.clone() + end,
            picture.clone() + &flag("false") + end,
            picture.clone() + &picture + &flag("true") + end,
            part("name=verifyImage", PICTURE) + &flag("true") + end,
            // It broke off.
            flag("true") + &picture,
            flag("true") + picture.split_at(picture.len() - 9).0,
            part("name=Parameters", "{") + &picture + end,
            "no form".to_owned(),
            String::new(),
        ] {
            assert_eq!(hash(&form, "Bo", 50).await, None, "{form}");
        }
        let long =
            flag("true") + &part("name=Parameters", &"x".repeat(LONGEST + 1)) + &picture + end;
        assert_eq!(hash(&long, "Bo", 1000).await, None);
    }

    #[tokio::test]
    async fn a_form_that_comes_at_once_after_a_pause_is_read() {
        let picture = part("name=verifyImage; filename=a", PICTURE);
        let form = picture + &part("name=returnVerifyImageHash", "true") + "--Bo--\r\n";
        let (sender, seen) = tokio::sync::mpsc::unbounded_channel();
        let mut reading = Box::pin(read("Bo".to_owned(), seen));
        assert!((&mut reading).now_or_never().is_none());
        sender.send(Bytes::from(form)).unwrap();
        drop(sender);
        assert_eq!(reading.await, expected());
    }

    #[tokio::test]
    async fn a_form_that_never_begins_is_given_up() {
        let (sender, seen) = tokio::sync::mpsc::unbounded_channel();
        let reading = tokio::spawn(read("Bo".to_owned(), seen));
        let piece = Bytes::from(vec![b'-'; 1024]);
        for _ in 0..1000 {
            drop(sender.send(piece.clone()));
            tokio::task::yield_now().await;
        }
        // Whoever has seen enough has left.
        assert!(sender.is_closed());
        assert_eq!(reading.await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_no_form_is_not_looked_at() {
        let mut headers = HeaderMap::new();
        assert!(Picture::watch(&headers, &mut Body::Empty).is_none());
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        assert!(Picture::watch(&headers, &mut Body::Empty).is_none());
    }
}
