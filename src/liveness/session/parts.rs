//! Pieces that both shapes of a session have.

use serde::Deserialize;

use crate::liveness::json::Text;
use crate::liveness::verdict::Given;

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

/// What a member gives.
pub(super) fn given(text: Option<&Text<'_>>) -> Given {
    text.map(|text| Given::parse(text.as_str().as_bytes())).unwrap_or_default()
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
