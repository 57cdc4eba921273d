//! An audit entry: one call of the device, as Azure recorded it. Only the members that matter are read.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Unreadable;
use crate::liveness::json::{Object, Text};
use crate::liveness::parts::{Answered, Came, Content, Told};
use crate::liveness::session::Attempt;

/// What an entry says.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its `id`.
    pub id: Option<i64>,
    /// When Azure received the call.
    pub received: Option<Timestamp>,
    /// The status that the device was answered with.
    pub status: Option<u16>,
    /// How long Azure took for it, in milliseconds.
    pub service: Option<u64>,
    /// The device's user agent.
    pub agent: Option<Text<'a>>,
    /// The model that looked at it.
    pub model: Option<Text<'a>>,
    /// What came of it.
    pub attempt: Attempt,
}

/// The members that matter. One of another type makes the entry unreadable; one that is absent or null is not known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(bound(deserialize = "B: Deserialize<'de>"))]
struct View<'a, B> {
    #[serde(default)]
    id: Option<i64>,
    #[serde(default, borrow)]
    received_date_time: Option<Text<'a>>,
    #[serde(default, borrow)]
    request: Option<Object<Request<'a>>>,
    #[serde(default)]
    response: Option<Object<Response<B>>>,
    #[serde(default, borrow)]
    digest: Option<Text<'a>>,
    #[serde(default, borrow)]
    session_image_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    verify_image_hash: Option<Text<'a>>,
    /// The place where the gateway puts what it has to say.
    #[serde(default)]
    gateway: Taken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(default, borrow)]
    user_agent: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(bound(deserialize = "B: Deserialize<'de>"))]
struct Response<B> {
    /// Its form depends on what the device called, and is not described.
    #[serde(default)]
    body: Option<B>,
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    latency_in_milliseconds: Option<u64>,
}

/// Whether a member is there, whatever it is.
#[derive(Default)]
struct Taken(bool);

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// The entry that a text begins with, and how long it is.
pub(super) fn first(text: &str) -> Result<(Entry<'_>, usize), Unreadable> {
    // Mostly what the device was answered can be read at one go with the rest.
    let at_one_go = object::<View<'_, Object<Content<'_>>>>(text);
    if let Some((view, length)) = at_one_go {
        return Ok((view.read()?, length));
    }
    let (view, length) = object::<View<'_, &RawValue>>(text).ok_or(Unreadable::BadEntry)?;
    Ok((view.read()?, length))
}

fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Object<T>>();
    let object = values.next()?.ok()?;
    Some((object.0, values.byte_offset()))
}

impl<'a, B: Answered<'a>> View<'a, B> {
    fn read(self) -> Result<Entry<'a>, Unreadable> {
        if self.gateway.0 {
            return Err(Unreadable::Taken);
        }
        let response = self.response.map(|response| response.0);
        let (body, status, service) = response.map_or((None, None, None), |response| {
            (response.body, response.status_code, response.latency_in_milliseconds)
        });
        let came = Came::of(status, body).ok_or(Unreadable::BadEntry)?;
        let (attempt, model) = came.attempt(&Told {
            id: self.id,
            digest: self.digest.as_ref(),
            verify_image_hash: self.verify_image_hash.as_ref(),
            image: self.session_image_id.as_ref().map(Text::as_str),
        });
        Ok(Entry {
            id: self.id,
            received: self.received_date_time.and_then(|text| text.as_str().parse().ok()),
            status,
            service,
            agent: self.request.and_then(|request| request.0.user_agent),
            model,
            attempt,
        })
    }
}
