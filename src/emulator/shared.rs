//! What the two families of bodies have in common.

use serde::Serialize;

use super::plan::Attempt;
use super::session::Session;

/// Where the face is; always the same place.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct FaceRectangle {
    top: u32,
    left: u32,
    width: u32,
    height: u32,
}

impl Default for FaceRectangle {
    fn default() -> Self {
        Self { top: 669, left: 203, width: 646, height: 724 }
    }
}

/// How sure the comparison is, and whether it is the same person.
pub(super) fn verify(session: &Session, attempt: &Attempt) -> (f64, bool) {
    let confidence = attempt.verify.map_or(0.92, |verify| verify.confidence);
    let by_threshold = confidence >= session.verify_threshold;
    let said = attempt.verify.and_then(|verify| verify.identical);
    (confidence, said.unwrap_or(by_threshold))
}

/// What a failed attempt says beside its code.
pub(super) fn error_message(attempt: &Attempt) -> String {
    let told = attempt.error_message.clone();
    told.unwrap_or_else(|| match attempt.error.as_deref() {
        Some("FaceWithMaskDetected") => "Mask detected on face image.".to_owned(),
        Some(code) => format!("The attempt failed: {code}."),
        None => String::new(),
    })
}
