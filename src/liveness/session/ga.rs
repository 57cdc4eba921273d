//! A session of v1.2 and later: attempts within the session, each with its result.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Attempt, End, Facts, Standing};
use crate::liveness::Family;
use crate::liveness::decision::Outcome;
use crate::liveness::json::{List, Object, Text};
use crate::liveness::parts::{Failure, Verify, given, text};
use crate::liveness::verdict::Proof;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View<'a> {
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(default, borrow)]
    auth_token: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model_version: Option<Text<'a>>,
    #[serde(default, borrow)]
    results: Option<Object<Results<'a>>>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(default, borrow)]
    attempts: Option<List<Object<AttemptView<'a>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView<'a> {
    #[serde(default)]
    attempt_id: Option<AttemptId>,
    #[serde(default, borrow)]
    attempt_status: Option<Text<'a>>,
    #[serde(default, borrow)]
    result: Option<Object<ResultView<'a>>>,
    #[serde(default, borrow)]
    error: Option<Object<Failure<'a>>>,
    #[serde(default)]
    abuse_monitoring_result: Option<Object<Abuse>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultView<'a> {
    #[serde(default, borrow)]
    liveness_decision: Option<Text<'a>>,
    #[serde(default, borrow)]
    digest: Option<Text<'a>>,
    #[serde(default)]
    verify_result: Option<Object<Verify>>,
    #[serde(default, borrow)]
    verify_image_hash: Option<Text<'a>>,
    /// It decides nothing, so that whatever it is passes.
    #[serde(default, borrow)]
    session_image_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Abuse {
    #[serde(default)]
    is_abuse_detected: Option<bool>,
}

/// `attemptId`: it begins at 1. RFC 9651 §3.3.1: an integer that can be told has 15 digits at most.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
struct AttemptId(u64);

impl TryFrom<u64> for AttemptId {
    type Error = &'static str;

    fn try_from(id: u64) -> Result<Self, &'static str> {
        (1..=999_999_999_999_999).contains(&id).then_some(Self(id)).ok_or("no attempt's id")
    }
}

impl<'a> View<'a> {
    /// What it says, and its token; `None` where attempts cannot be told apart.
    pub(super) fn read(self) -> Option<(Facts, Option<&'a RawValue>)> {
        let attempts = self.results.and_then(|results| results.0.attempts);
        let mut views = attempts.map_or_else(Vec::new, |attempts| attempts.0);
        views.sort_unstable_by_key(|view| view.id());
        if !views.is_sorted_by(|one, next| one.id().is_some() && one.id() < next.id()) {
            return None;
        }
        let has_result =
            views.iter().any(|attempt| attempt.has_ended() && attempt.result.is_some());
        let goes_on = !views.iter().all(|view| view.has_ended());
        // A status alone proves nothing: the published samples contradict themselves.
        let standing = match self.status.as_str() {
            "NotStarted" | "Running" => Standing::Pending,
            "Succeeded" if has_result && !goes_on => Standing::Succeeded,
            "Succeeded" => Standing::Decided,
            "Failed" | "Canceled" => Standing::Ended,
            _ => Standing::Unknown,
        };
        let end = match self.status.as_str() {
            "Succeeded" => Some(End::Succeeded),
            "Failed" => Some(End::Failed),
            "Canceled" => Some(End::Canceled),
            _ => None,
        };
        let facts = Facts {
            family: Family::Ga,
            standing,
            end,
            goes_on: false,
            created: None,
            model_version: self.model_version.map(Text::into_string),
            attempts: views
                .iter()
                .filter(|view| view.has_ended())
                .map(|view| view.read())
                .collect(),
            count: Some(views.len()),
        };
        Some((facts, self.auth_token))
    }
}

impl AttemptView<'_> {
    fn id(&self) -> Option<u64> {
        self.attempt_id.map(|id| id.0)
    }

    fn has_ended(&self) -> bool {
        match self.attempt_status.as_ref().map(Text::as_str) {
            Some("Succeeded" | "Failed" | "Canceled") => true,
            Some("NotStarted" | "Running") => false,
            _ => self.result.is_some() || self.error.is_some(),
        }
    }

    fn read(&self) -> Attempt {
        let status = self.attempt_status.as_ref().map(Text::as_str);
        let result = self.result.as_ref();
        let failed = self.error.is_some() || matches!(status, Some("Failed" | "Canceled"));
        let outcome = if failed {
            let code = self.error.as_ref().and_then(|error| error.code.as_ref());
            Outcome::of_error(code.map(Text::as_str))
        } else {
            let decision = result.and_then(|result| result.liveness_decision.as_ref());
            Outcome::of_result(decision.map(Text::as_str))
        };
        let verify = result.and_then(|result| result.verify_result.as_ref()).filter(|_| !failed);
        let id = self.id();
        let image = text(result.and_then(|result| result.session_image_id));
        let image = image.as_ref().map(Text::as_str);
        let abuse = self.abuse_monitoring_result.as_ref();
        Attempt {
            entry: None,
            outcome,
            identical: verify.and_then(|verify| verify.is_identical),
            confidence: verify.and_then(|verify| verify.match_confidence).map(|it| it.0),
            abuse: abuse.and_then(|abuse| abuse.is_abuse_detected).unwrap_or_default(),
            image: image.filter(|image| !image.is_empty()).map(Into::into),
            proof: Proof {
                attempt: id,
                digest: given(result.and_then(|result| result.digest.as_ref())),
                picture: given(result.and_then(|result| result.verify_image_hash.as_ref())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_id_has_bounds() {
        let id = |text| serde_json::from_str::<AttemptId>(text).map(|id| id.0).ok();
        assert_eq!((id("1"), id("999999999999999")), (Some(1), Some(999_999_999_999_999)));
        for odd in ["0", "-1", "1.0", "1e2", "1000000000000000", "12345678901234567890", "\"1\""] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }
}
