//! A list in the form of an audit list, made of a session of v1.2 or later, where Azure has no audit lists any more.
//!
//! It says what Azure said of each attempt, in Azure's bytes, and nothing else but the mark that it was made.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Entry;
use crate::liveness::json::{List, Object};
use crate::liveness::session::{Attempt, Facts};

/// What a session says, raw. It has been read as a session before, so that whatever is odd here is only left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session<'a> {
    #[serde(default, borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    results: Option<Object<Results<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
struct Results<'a> {
    #[serde(default, borrow)]
    attempts: Option<List<Object<AttemptView<'a>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView<'a> {
    #[serde(default)]
    attempt_id: Option<u64>,
    #[serde(default, borrow)]
    result: Option<Object<Told<'a>>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

/// What is told of an attempt, of which nothing has to be understood.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(default, borrow)]
    liveness_decision: Option<&'a RawValue>,
    #[serde(default, borrow)]
    targets: Option<&'a RawValue>,
    #[serde(default, borrow)]
    verify_result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    digest: Option<&'a RawValue>,
    #[serde(default, borrow)]
    session_image_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    verify_image_hash: Option<&'a RawValue>,
}

/// An entry as it is written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Made<'a, G> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a RawValue>,
    response: Response<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_image_id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_image_hash: Option<&'a RawValue>,
    gateway: G,
}

#[derive(Debug, Serialize)]
struct Response<'a> {
    body: Body<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    liveness_decision: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
}

/// What Azure tells of a session's attempts, by their numbers.
#[derive(Debug)]
pub struct Attempts<'a> {
    session_id: Option<&'a RawValue>,
    views: HashMap<Option<u64>, AttemptView<'a>>,
}

/// A session's attempts that have ended, as entries, ascending.
pub fn entries(facts: Facts) -> Vec<Entry<'static>> {
    let entry = |attempt: Attempt| Entry {
        id: attempt.proof.attempt.and_then(|number| i64::try_from(number).ok()),
        received: None,
        status: None,
        service: None,
        agent: None,
        model: None,
        attempt,
    };
    facts.attempts.into_iter().map(entry).collect()
}

impl<'a> Attempts<'a> {
    /// Of a session's content.
    pub fn of(body: &'a [u8]) -> Option<Self> {
        let Object(session) = serde_json::from_slice::<Object<Session<'a>>>(body).ok()?;
        let attempts = session.results.and_then(|results| results.0.attempts);
        let attempts = attempts.map_or_else(Vec::new, |attempts| attempts.0);
        let views = attempts.into_iter().map(|view| (view.attempt_id, view.0)).collect();
        Some(Self { session_id: session.session_id, views })
    }

    /// The entry of an attempt, with the gateway's member.
    pub fn made<G>(&self, attempt: Option<u64>, gateway: G) -> Made<'a, G> {
        let error = self.views.get(&attempt).and_then(|view| view.error);
        let told = self.told(attempt);
        let Told { liveness_decision, targets, verify_result, .. } = told;
        Made {
            id: attempt,
            session_id: self.session_id,
            response: Response { body: Body { liveness_decision, targets, verify_result, error } },
            digest: told.digest,
            session_image_id: told.session_image_id,
            verify_image_hash: told.verify_image_hash,
            gateway,
        }
    }

    fn told(&self, attempt: Option<u64>) -> Told<'a> {
        let result = self.views.get(&attempt).and_then(|view| view.result.as_ref());
        result.map(|result| result.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
