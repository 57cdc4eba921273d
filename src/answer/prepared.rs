//! An answer of Azure's, read once and made ready to be told any number of times without copying its content.

use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::key::Question;
use crate::headers::{self, LIVENESS_DECISION};
use crate::liveness::session::{Facts, Standing, read};
use crate::liveness::verdict::{Evidence, Given};
use crate::liveness::{ApiVersion, SessionId};
use crate::moment::Moment;

/// Bytes that an answer costs in memory beside what can be counted: the memory's own book-keeping, and what the
/// allocator rounds up. `benches/memory.rs` measures it.
const OVERHEAD: usize = 450;

/// An answer of Azure's, ready to be told.
pub struct Prepared {
    /// Its status.
    pub status: StatusCode,
    /// Its content; of a final session without its dead token.
    pub body: Bytes,
    /// What the content says, if it is a session.
    pub session: Option<Session>,
    /// When it came.
    pub fetched: Moment,
    own: Box<[Field]>,
    shared: Arc<[Field]>,
}

type Field = (HeaderName, HeaderValue);

/// The fields that the last kept answer had in common with others. Azure's answers differ in little but their ids.
#[derive(Debug, Default)]
pub(super) struct Common(Arc<[Field]>);

/// What is known of a session.
#[derive(Debug)]
pub struct Session {
    /// Where it stands.
    pub standing: Standing,
    /// When it was created, if it says so.
    pub created: Option<Timestamp>,
    /// The entity tag over the exact bytes of the content.
    pub etag: HeaderValue,
    /// What claims about it are compared with.
    pub evidence: Evidence,
    /// The digest that was judged last.
    pub(super) judged: Latest,
    /// The picture that was compared last.
    pub(super) compared: Latest,
    decision: HeaderValue,
}

/// What was given last. An answer is told many times to those who give the same, and nothing is counted for that.
#[derive(Debug, Default)]
pub(super) struct Latest(AtomicU64);

impl Prepared {
    /// Reads an answer that has just come. If it is a session's, what that says comes with it.
    pub fn new(version: ApiVersion, answer: Response<Bytes>) -> (Self, Option<Facts>) {
        let (parts, mut body) = answer.into_parts();
        let facts = (parts.status == StatusCode::OK).then(|| {
            let (facts, blanked) = read(version.family(), std::mem::take(&mut body));
            body = blanked;
            facts
        });
        let session = facts.as_ref().map(|facts| Session::new(facts, &body));
        let mut fields = Vec::with_capacity(parts.headers.len());
        let mut name = None;
        for (next, value) in parts.headers {
            // A name is given once and stands for all values that follow it.
            name = next.or(name);
            let passes = |name: &HeaderName| session.is_none() || !headers::is_said_anew(name);
            let passes = name.clone().filter(passes);
            fields.extend(passes.map(|name| (name, value)));
        }
        let (own, shared) = (fields.into_boxed_slice(), Arc::default());
        let fetched = Moment::now();
        (Self { status: parts.status, body, session, fetched, own, shared }, facts)
    }

    /// What claims about the session are compared with, if this is one.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.session.as_ref().map(|session| &session.evidence)
    }

    /// Where the session stands, if this is one.
    pub fn standing(&self) -> Option<Standing> {
        self.session.as_ref().map(|session| session.standing)
    }

    /// Whether Azure spoke of the session here, and not of its own troubles.
    pub fn is_about_the_session(&self) -> bool {
        let readable = self.standing().is_some_and(|standing| standing != Standing::Unreadable);
        readable || self.status == StatusCode::NOT_FOUND
    }

    /// Whether it came less than so long ago.
    pub(super) fn is_younger(&self, than: Duration) -> bool {
        Moment::now().since(self.fetched) < than
    }

    /// The fields of an answer to an app: those of Azure's, and the gateway's own about the session. Those that belong to
    /// the one exchange with Azure are told only to the app whose exchange it was.
    pub fn told(&self, own_exchange: bool) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(self.own.len() + self.shared.len() + 8);
        for (name, value) in self.fields() {
            if own_exchange || !headers::of_one_exchange(name) {
                fields.append(name, value.clone());
            }
        }
        if let Some(session) = &self.session {
            fields.insert(LIVENESS_DECISION, session.decision.clone());
        }
        fields
    }

    /// The same for keeping: in one piece of memory of its own, without what belongs to one exchange. What has just come
    /// lies in the buffers of its connection, and would keep them whole.
    pub(super) fn compact(&self, common: &mut Common) -> Self {
        let lasting = || self.fields().filter(|(name, _)| !headers::of_one_exchange(name));
        let (own, shared): (Vec<_>, Vec<_>) =
            lasting().partition(|(name, _)| headers::is_unique(name));
        let shared = common.share(&shared);
        let session = self.session.iter().flat_map(|session| [&session.etag, &session.decision]);
        let values = own.iter().map(|(_, value)| value).chain(session);
        let mut piece = BytesMut::with_capacity(
            values.clone().map(HeaderValue::len).sum::<usize>() + self.body.len(),
        );
        values.for_each(|value| piece.extend_from_slice(value.as_bytes()));
        piece.extend_from_slice(&self.body);
        let mut piece = piece.freeze();
        let mut cut = |value: &HeaderValue| {
            let cut = HeaderValue::from_maybe_shared(piece.split_to(value.len()));
            cut.unwrap_or_else(|_| value.clone())
        };
        let own = own.iter().map(|(name, value)| (headers::lasting(name), cut(value))).collect();
        let session = self.session.as_ref().map(|session| Session {
            standing: session.standing,
            created: session.created,
            etag: cut(&session.etag),
            evidence: session.evidence.clone(),
            judged: Latest::default(),
            compared: Latest::default(),
            decision: cut(&session.decision),
        });
        Self { status: self.status, body: piece, session, fetched: self.fetched, own, shared }
    }

    /// What it costs to keep, in bytes.
    pub(super) fn weight(&self, id: &SessionId) -> usize {
        let sum = |fields: &[Field]| {
            fields.iter().map(|(_, value)| size_of::<Field>() + value.len()).sum::<usize>()
        };
        // Fields that other answers have too cost nothing more; one holder is this answer, and one the memory itself.
        let shared = if Arc::strong_count(&self.shared) > 2 { 0 } else { sum(&self.shared) };
        let key = size_of::<Question>() + id.as_str().len();
        let proofs = match self.evidence() {
            Some(Evidence::Decided { others, .. }) => size_of_val(&**others),
            _ => 0,
        };
        OVERHEAD + size_of::<Self>() + key + sum(&self.own) + shared + proofs + self.body.len()
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.own.iter().chain(&*self.shared)
    }
}

impl Common {
    /// These fields, in memory that other answers share if they have the same.
    fn share(&mut self, fields: &[&Field]) -> Arc<[Field]> {
        if !self.0.iter().eq(fields.iter().copied()) {
            let copy = |(name, value): &&Field| {
                let copy = HeaderValue::from_bytes(value.as_bytes());
                (headers::lasting(name), copy.unwrap_or_else(|_| value.clone()))
            };
            self.0 = fields.iter().map(copy).collect();
        }
        Arc::clone(&self.0)
    }
}

impl Session {
    fn new(facts: &Facts, body: &[u8]) -> Self {
        // RFC 9110 §8.8.3: a strong tag changes whenever the bytes do; 128 bits are enough to tell them apart.
        let hash = Sha256::digest(body);
        let etag = format!("\"{}\"", const_hex::encode(hash.get(..16).unwrap_or_default()));
        let value =
            |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            standing: facts.standing,
            created: facts.created,
            etag: value(etag),
            evidence: facts.evidence(),
            judged: Latest::default(),
            compared: Latest::default(),
            decision: value(facts.decision().to_string()),
        }
    }
}

impl Latest {
    /// Whether it differs from what was given last, which it is from now on.
    pub(super) fn is_new(&self, given: Given) -> bool {
        let mark = match given {
            Given::Nothing => 1,
            Given::Malformed => 2,
            // All of it tells it apart, and the highest bit from the others.
            Given::Digest(digest) => {
                let mut hash = DefaultHasher::new();
                hash.write(digest.bytes());
                hash.finish() | 1 << 63
            }
        };
        let known = self.0.load(Ordering::Relaxed) == mark;
        if !known {
            self.0.store(mark, Ordering::Relaxed);
        }
        !known
    }
}

/// A running session's content holds a living token.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, body, .. } = self;
        f.debug_struct("Prepared").field("status", status).field("length", &body.len()).finish()
    }
}

#[cfg(test)]
mod tests;
