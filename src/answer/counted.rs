//! Counts what came of sessions: each attempt, each session and each verdict once, however often it is asked about.
//!
//! What is counted comes from Azure and never from memory. A gateway that starts anew has forgotten what it counted, and
//! two that stand side by side count each for itself.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use super::gate::{Gate, Thing};
use super::key::SessionKey;
use crate::liveness::decision::Outcome;
use crate::liveness::session::{Attempt, Facts, Standing};
use crate::liveness::verdict::{Evidence, Given, Likeness, Mode, Verdict};
use crate::metrics::Metrics;

/// Most attempts, ends and signals that are remembered, and most verdicts. At most 10 calls a second are 900,000 in 25 hours, and a
/// session costs several. `benches/memory.rs` measures what they cost.
const MOST: usize = 900_000;

/// Most model versions that are told apart, so that the number of series is bounded.
const MOST_MODELS: usize = 5;

/// Longest model version that is told, in bytes.
const LONGEST_MODEL: usize = 32;

/// The codes of an attempt's error that are told apart: no list of the service's own is published, and these are the ones that its
/// clients know (`FaceLivenessFailureReason` of the Azure AI Vision Face UI SDK).
const ERROR_CODES: [&str; 24] = [
    "CameraPermissionDenied",
    "CameraStartupFailure",
    "ClientVersionNotSupported",
    "EnvironmentNotSupported",
    "ExcessiveFaceBrightness",
    "ExcessiveImageBlurDetected",
    "FaceEyeRegionNotVisible",
    "FaceMouthRegionNotVisible",
    "FaceTrackingFailed",
    "FaceWithMaskDetected",
    "HeadTurnNotPerformed",
    "InvalidToken",
    "NoFaceDetected",
    "ServerTimedOut",
    "SetVerifyImageNotAllowed",
    "SmileNotPerformed",
    "TimedOut",
    "Unexpected",
    "UnexpectedClientError",
    "UnexpectedServerError",
    "UserCanceledActiveMotion",
    "UserCanceledActiveMotionPrompt",
    "UserCanceledSession",
    "VerifyImageNotProvided",
];

/// What was counted.
#[derive(Debug)]
pub struct Counted {
    seen: Gate,
    /// By itself, for what apps give is without end and must not push out what was seen.
    compared: Gate,
    models: Mutex<Vec<String>>,
    metrics: Arc<Metrics>,
}

impl Counted {
    /// Nothing yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let gate = || Gate::new(MOST, &metrics.liveness_dedupe_evictions_total);
        Self { seen: gate(), compared: gate(), models: Mutex::default(), metrics }
    }

    /// Counts what an answer of Azure's shows for the first time.
    pub fn observe(&self, session: &SessionKey, facts: &Facts) {
        for attempt in &facts.attempts {
            let mark = mark(attempt);
            match self.seen.note(session, Thing::Attempt(attempt.number), mark) {
                None => self.attempt(session, facts, attempt),
                Some(before) if before != mark => self.signal(session, "result-mismatch"),
                Some(_) => {}
            }
        }
        if let Some(status) = end(facts)
            && self.seen.note(session, Thing::End, 0).is_none()
        {
            let operation = session.operation.label();
            self.metrics.liveness_sessions_total.with_label_values(&[operation, status]).inc();
            if let Some(count) = facts.count {
                let attempts =
                    self.metrics.liveness_session_attempts.with_label_values(&[operation]);
                attempts.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            }
        }
    }

    fn attempt(&self, session: &SessionKey, facts: &Facts, attempt: &Attempt) {
        let (metrics, operation) = (&self.metrics, session.operation.label());
        let model = self.model(facts.model_version.as_deref());
        let identical = match attempt.identical {
            Some(true) => "true",
            Some(false) => "false",
            None => "none",
        };
        let labels = [operation, &model, attempt.outcome.label(), identical];
        metrics.liveness_attempts_total.with_label_values(&labels).inc();
        if let Outcome::Error(code) = &attempt.outcome {
            let code = code.as_deref().unwrap_or_default();
            let known = ERROR_CODES.iter().find(|known| **known == code);
            let labels = [operation, known.unwrap_or(&"other")];
            metrics.liveness_attempt_errors_total.with_label_values(&labels).inc();
        }
        if let Some(confidence) = attempt.confidence {
            let ratio = &metrics.liveness_verify_confidence_ratio;
            ratio.with_label_values(&[identical]).observe(confidence);
        }
        if attempt.abuse {
            metrics.liveness_abuse_flags_total.with_label_values(&[operation]).inc();
        }
    }

    /// A session was deleted through the gateway: an end like any other, if none was seen.
    pub fn deleted(&self, session: &SessionKey) {
        if self.seen.note(session, Thing::End, 0).is_none() {
            let labels = [session.operation.label(), "deleted"];
            self.metrics.liveness_sessions_total.with_label_values(&labels).inc();
        }
    }

    /// Something odd, once for each session.
    fn signal(&self, session: &SessionKey, signal: &'static str) {
        if self.seen.note(session, Thing::Signal(signal), 0).is_none() {
            self.metrics.liveness_signals_total.with_label_values(&[signal]).inc();
            tracing::warn!(
                operation = session.operation.label(),
                signal,
                "an attempt that was counted shows another decision now"
            );
        }
    }

    /// Counts a verdict, once for each session, attempt and digest.
    pub(super) fn verdict(
        &self,
        session: &SessionKey,
        evidence: &Evidence,
        given: Given,
        verdict: Verdict,
        mode: Mode,
    ) {
        let proof = evidence.deciding().copied().unwrap_or_default();
        if self.compared.note(session, Thing::Digest(proof, given), 0).is_none() {
            let labels = [session.operation.label(), verdict.as_str(), mode.as_str()];
            self.metrics.digest_checks_total.with_label_values(&labels).inc();
        }
    }

    /// Counts the likeness of a picture, once for each session, attempt and hash.
    pub(super) fn likeness(
        &self,
        session: &SessionKey,
        evidence: &Evidence,
        given: Given,
        likeness: Likeness,
    ) {
        // There is nothing to be like before there is a decision.
        let Some(proof) = evidence.deciding() else {
            return;
        };
        if self.compared.note(session, Thing::Picture(*proof, given), 0).is_none() {
            let labels = [likeness.as_str()];
            self.metrics.verify_image_checks_total.with_label_values(&labels).inc();
        }
    }

    /// The value of the metric label `model_version`: one of the first that were seen.
    fn model(&self, model: Option<&str>) -> String {
        let Some(model) = model else {
            return "none".to_owned();
        };
        let mut known = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|known| known == model) {
            return model.to_owned();
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let fits = (1..=LONGEST_MODEL).contains(&model.len()) && model.bytes().all(plain);
        if !fits || known.len() == MOST_MODELS {
            return "other".to_owned();
        }
        known.push(model.to_owned());
        model.to_owned()
    }

    /// Frees what has expired, and tells how much is remembered.
    pub fn sweep(&self) {
        self.seen.sweep();
        self.compared.sweep();
        let count = self.seen.count() + self.compared.count();
        self.metrics.liveness_dedupe_entries.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// What of an attempt must never change.
fn mark(attempt: &Attempt) -> u32 {
    let mut hash = DefaultHasher::new();
    (&attempt.outcome, attempt.identical).hash(&mut hash);
    let [.., a, b, c, d] = hash.finish().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// How a session ended, if it did: the value of the metric label `status`.
fn end(facts: &Facts) -> Option<&'static str> {
    let failed = |attempt: &Attempt| matches!(attempt.outcome, Outcome::Error(_));
    match facts.standing {
        Standing::Ended if facts.canceled => Some("canceled"),
        Standing::Ended => Some("failed"),
        // The previews have no word for it, but show what the device was answered last.
        Standing::Decided | Standing::Succeeded
            if facts.expired.is_some() && facts.attempts.last().is_some_and(failed) =>
        {
            Some("failed")
        }
        Standing::Decided | Standing::Succeeded => Some("succeeded"),
        Standing::Pending if facts.expired == Some(true) => Some("expired"),
        Standing::Pending | Standing::Unknown | Standing::Unreadable => None,
    }
}

#[cfg(test)]
mod tests;
