//! Pieces that sessions of both shapes and audit entries have.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decision::Outcome;
use super::json::{Object, Text};
use super::session::Attempt;
use super::verdict::{Given, Proof};

/// From this status on the device was answered with an error.
const REFUSED: u16 = 400;

/// How like the person of the picture it was.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verify {
    #[serde(default)]
    pub(super) is_identical: Option<bool>,
    #[serde(default)]
    pub(super) match_confidence: Option<Confidence>,
}

/// An error, of which only the code matters.
#[derive(Default, Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(default, borrow)]
    pub(super) code: Option<Text<'a>>,
}

/// `matchConfidence`: from 0 to 1.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct Confidence(pub(super) f64);

impl TryFrom<f64> for Confidence {
    type Error = &'static str;

    fn try_from(confidence: f64) -> Result<Self, &'static str> {
        (0.0..=1.0).contains(&confidence).then_some(Self(confidence)).ok_or("no confidence")
    }
}

/// What the device was answered, as far as that is a result or an error.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'a> {
    #[serde(default, borrow)]
    liveness_decision: Option<Text<'a>>,
    #[serde(default, borrow)]
    model_version_used: Option<Text<'a>>,
    #[serde(default)]
    verify_result: Option<Object<Verify>>,
    #[serde(default, borrow)]
    error: Option<Object<Failure<'a>>>,
}

/// What the device was answered, whatever that is.
pub(super) trait Answered<'a> {
    /// The members that matter, where they are as the API describes them.
    fn content(self) -> Option<Content<'a>>;
}

impl<'a> Answered<'a> for Object<Content<'a>> {
    fn content(self) -> Option<Content<'a>> {
        Some(self.0)
    }
}

impl<'a> Answered<'a> for &'a RawValue {
    fn content(self) -> Option<Content<'a>> {
        serde_json::from_str::<Object<Content<'a>>>(self.get()).ok().map(|content| content.0)
    }
}

/// What came of a call of the device's.
pub(super) struct Came<'a> {
    pub(super) outcome: Outcome,
    pub(super) verify: Verify,
    pub(super) model: Option<Text<'a>>,
}

impl<'a> Came<'a> {
    /// By what the device was answered; `None` where that contradicts the API's description.
    pub(super) fn of(status: Option<u16>, body: Option<impl Answered<'a>>) -> Option<Self> {
        let refused = status.is_some_and(|status| status >= REFUSED);
        let content = match body.map(Answered::content) {
            None => Content::default(),
            Some(Some(content)) => content,
            // The form of an error's content is not described.
            Some(None) if refused => Content::default(),
            Some(None) => return None,
        };
        let failed = refused || content.error.is_some();
        let outcome = if failed {
            let code = content.error.as_ref().and_then(|error| error.code.as_ref());
            Outcome::of_error(code.map(Text::as_str))
        } else {
            Outcome::of_result(content.liveness_decision.as_ref().map(Text::as_str))
        };
        let verify = content.verify_result.filter(|_| !failed).unwrap_or_default().0;
        Some(Self { outcome, verify, model: content.model_version_used })
    }

    /// The attempt that it was, by what else its entry tells, and the model that looked at it.
    pub(super) fn attempt(self, told: &Told<'_>) -> (Attempt, Option<Text<'a>>) {
        let Self { outcome, verify, model } = self;
        let attempt = Attempt {
            entry: told.id,
            outcome,
            identical: verify.is_identical,
            confidence: verify.match_confidence.map(|confidence| confidence.0),
            abuse: false,
            image: told.image.filter(|image| !image.is_empty()).map(Into::into),
            proof: Proof {
                attempt: None,
                digest: given(told.digest),
                picture: given(told.verify_image_hash),
            },
        };
        (attempt, model)
    }
}

/// What an entry tells beside what the device was answered.
pub(super) struct Told<'a> {
    pub(super) id: Option<i64>,
    pub(super) digest: Option<&'a Text<'a>>,
    pub(super) verify_image_hash: Option<&'a Text<'a>>,
    pub(super) image: Option<&'a str>,
}

/// A text, if that is what a member gives. It decides nothing, so that whatever else it is passes.
pub(super) fn text(value: Option<&RawValue>) -> Option<Text<'_>> {
    value.and_then(|value| serde_json::from_str(value.get()).ok())
}

/// What a member gives. The previews' description requires a digest of every entry, so that one that is empty is none.
pub(super) fn given(text: Option<&Text<'_>>) -> Given {
    let text = text.map(Text::as_str).filter(|text| !text.is_empty());
    text.map(|text| Given::parse(text.as_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confidence_has_bounds() {
        let confidence = |text| serde_json::from_str::<Confidence>(text).map(|it| it.0).ok();
        assert_eq!((confidence("0"), confidence("0.93")), (Some(0.0), Some(0.93)));
        for odd in ["-0.1", "1.1", "1e999", "\"1\"", "true"] {
            assert_eq!(confidence(odd), None, "{odd}");
        }
    }
}
