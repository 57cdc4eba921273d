//! Counts what came of sessions: each attempt, each session and each verdict once, however often it is asked about.
//!
//! What is counted comes from Azure and never from memory. A gateway that starts anew has forgotten what it counted, and
//! two that stand side by side count each for itself.

mod entries;

use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::RandomState;

pub(super) use self::entries::Seen;
use super::gate::{self, Gate, Thing};
use super::key::SessionKey;
use super::reused::Reused;
use crate::liveness::audit::signal::{Signal, Signals};
use crate::liveness::decision::Outcome;
use crate::liveness::session::{Attempt, Facts};
use crate::liveness::verdict::{Evidence, Given, Likeness, Mode, Verdict};
use crate::liveness::{Family, Operation};
use crate::metrics::{Metrics, start};

/// Most attempts, ends and signals that are remembered, and most verdicts. A resource that answers 10 calls a second answers 1.7
/// million in 48 hours; a session costs three at least, and leaves three things here. `benches/memory.rs` measures what they cost.
const MOST: usize = 1_750_000;

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
    reused: Reused,
    states: [RandomState; 2],
    models: Mutex<Vec<String>>,
    metrics: Arc<Metrics>,
}

impl Counted {
    /// Nothing yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let gate = || Gate::new(MOST, &metrics.liveness_dedupe_evictions_total);
        let reused = Reused::new(&metrics.liveness_reuse_evictions_total);
        let (seen, compared) = (gate(), gate());
        for operation in [Operation::Liveness, Operation::LivenessWithVerify] {
            for mode in [Mode::Observe, Mode::Enforce, Mode::Require] {
                for verdict in [Verdict::Mismatch, Verdict::OtherAttempt(None)] {
                    let labels = [operation.label(), verdict.as_str(), mode.as_str()];
                    start(&metrics.digest_checks_total, &labels);
                }
            }
        }
        for signal in Signal::ALL {
            start(&metrics.liveness_signals_total, &[signal.as_str()]);
        }
        Self {
            seen,
            compared,
            reused,
            states: Default::default(),
            models: Mutex::default(),
            metrics,
        }
    }

    /// Counts what an answer of Azure's shows for the first time. Whether the session's end is part of that.
    pub fn observe(&self, session: &SessionKey, facts: &Facts) -> bool {
        for attempt in &facts.attempts {
            match self.before(session, facts.family, attempt) {
                None => {
                    self.attempt(session, facts, attempt);
                    self.signals(session, self.oddities(session, attempt));
                }
                Some(before) if before != mark(attempt) => {
                    self.signal(session, Signal::ResultMismatch);
                }
                Some(_) => {}
            }
        }
        let new = facts.end.filter(|_| self.seen.note(session, Thing::End, 0).is_none());
        if let Some(end) = new {
            let (operation, status) = (session.operation.label(), end.label());
            self.metrics.liveness_sessions_total.with_label_values(&[operation, status]).inc();
            if let Some(count) = facts.count {
                let attempts =
                    self.metrics.liveness_session_attempts.with_label_values(&[operation]);
                attempts.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            }
        }
        new.is_some()
    }

    /// The mark of an attempt that was seen before: by its number, or in the other shape by the same digest. The numbers of the two
    /// shapes have nothing to do with each other.
    fn before(&self, session: &SessionKey, family: Family, attempt: &Attempt) -> Option<u32> {
        let mark = mark(attempt);
        let number = Thing::Attempt(attempt.proof.attempt, attempt.entry);
        let Given::Digest(digest) = attempt.proof.digest else {
            return self.seen.note(session, number, mark);
        };
        // What has no number is told apart by what was received.
        let before = match number {
            Thing::Attempt(None, None) => {
                self.seen.note(session, Thing::Received(family, digest), mark)
            }
            _ => self.seen.note(session, number, mark),
        };
        let other = match family {
            Family::Ga => Family::Preview,
            Family::Preview => Family::Ga,
        };
        if before.is_none() {
            self.seen.note(session, Thing::Received(family, digest), mark);
        }
        before.or_else(|| self.seen.mark(session, Thing::Received(other, digest)))
    }

    /// What is odd about an attempt that is seen for the first time.
    fn oddities(&self, session: &SessionKey, attempt: &Attempt) -> Signals {
        let mut odd = self.reuse(session, attempt);
        let listed = attempt.entry.and_then(|id| self.listed(session, id));
        let differs = listed.is_some_and(|listed| listed != entries::shown(attempt));
        odd.add(Signal::ResultMismatch, differs);
        odd
    }

    /// Whether an attempt was counted and shows something else now.
    pub(super) fn has_changed(&self, session: &SessionKey, attempt: &Attempt) -> bool {
        let number = Thing::Attempt(attempt.proof.attempt, attempt.entry);
        self.seen.mark(session, number).is_some_and(|before| before != mark(attempt))
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
    pub(super) fn deleted(&self, session: &SessionKey) {
        if self.seen.note(session, Thing::End, 0).is_none() {
            let labels = [session.operation.label(), "deleted"];
            self.metrics.liveness_sessions_total.with_label_values(&labels).inc();
        }
    }

    /// What is odd about a session, once for each kind of it.
    pub(super) fn signals(&self, session: &SessionKey, signals: Signals) {
        signals.iter().for_each(|signal| self.signal(session, signal));
    }

    fn signal(&self, session: &SessionKey, signal: Signal) {
        if self.seen.note(session, Thing::Signal(signal), 0).is_some() {
            return;
        }
        self.metrics.liveness_signals_total.with_label_values(&[signal.as_str()]).inc();
        if signal == Signal::ResultMismatch {
            tracing::warn!(
                operation = session.operation.label(),
                signal = signal.as_str(),
                "an attempt is shown in two ways"
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
        if self.compared.note(session, Thing::Digest(proof, given, verdict), 0).is_none() {
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
        if self.compared.note(session, Thing::Picture(*proof, given, likeness), 0).is_none() {
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
        self.reused.sweep();
        let count = self.seen.count() + self.compared.count();
        self.metrics.liveness_dedupe_entries.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// What of an attempt must never change.
fn mark(attempt: &Attempt) -> u32 {
    gate::mark(&(&attempt.outcome, attempt.identical))
}

#[cfg(test)]
mod tests;
