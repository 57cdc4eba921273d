//! A session of the previews, and the audit entry that is its result: the latest of the device's calls.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Attempt, End, Facts, Standing};
use crate::liveness::Family;
use crate::liveness::decision::Outcome;
use crate::liveness::json::{Object, Text};
use crate::liveness::parts::{Came, Told, text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(default)]
    session_expired: Option<bool>,
    #[serde(default, borrow)]
    created_date_time: Option<Text<'a>>,
    #[serde(default, borrow)]
    auth_token: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<Object<Entry<'a>>>,
}

/// An audit entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(default)]
    id: Option<i64>,
    #[serde(default, borrow)]
    digest: Option<Text<'a>>,
    #[serde(default, borrow)]
    verify_image_hash: Option<Text<'a>>,
    /// It decides nothing, so that whatever it is passes.
    #[serde(default, borrow)]
    session_image_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Option<Object<Answered<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    /// Its form depends on what the device called, and is not described.
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    status_code: Option<u16>,
}

impl<'a> View<'a> {
    /// What it says, and its token; `None` where its result cannot be read.
    pub(super) fn read(self) -> Option<(Facts, Option<&'a RawValue>)> {
        let expired = self.session_expired == Some(true);
        let standing = match self.status.as_str() {
            "NotStarted" | "Started" => Standing::Pending,
            "ResultAvailable" if expired => Standing::Succeeded,
            "ResultAvailable" => Standing::Decided,
            _ => Standing::Unknown,
        };
        let (mut attempts, mut model_version) = (Vec::new(), None);
        if let Some(entry) = self.result {
            let (attempt, model) = entry.0.read()?;
            attempts.push(attempt);
            model_version = model;
        }
        let failed = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Error(_));
        // The previews have no word for it, but show what the device was answered last.
        let end = match (self.status.as_str(), attempts.last().is_some_and(failed)) {
            ("ResultAvailable", false) => Some(End::Succeeded),
            ("ResultAvailable", true) if expired => Some(End::Failed),
            ("NotStarted" | "Started", _) if expired => Some(End::Expired),
            _ => None,
        };
        let facts = Facts {
            family: Family::Preview,
            standing,
            end,
            goes_on: standing == Standing::Decided,
            created: self.created_date_time.and_then(|text| text.as_str().parse().ok()),
            model_version,
            attempts,
            count: None,
        };
        Some((facts, self.auth_token))
    }
}

impl<'a> Entry<'a> {
    fn read(self) -> Option<(Attempt, Option<String>)> {
        let status = self.response.as_ref().and_then(|response| response.status_code);
        let body = self.response.and_then(|response| response.0.body);
        let image = text(self.session_image_id);
        let (attempt, model) = Came::of(status, body)?.attempt(&Told {
            id: self.id,
            digest: self.digest.as_ref(),
            verify_image_hash: self.verify_image_hash.as_ref(),
            image: image.as_ref().map(Text::as_str),
        });
        Some((attempt, model.map(Text::into_string)))
    }
}
