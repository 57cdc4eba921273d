//! What will happen to a session: when its device starts, and how each of its attempts ends.

use serde::Deserialize;

/// How long a step waits for the one before it where the plan does not say.
const DEFAULT_AFTER_MS: u64 = 1000;

/// A session's future. Without a word it is one attempt of a real face, two seconds after the create.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Plan {
    /// The session stands still but for `PATCH /emulator/sessions/{id}`.
    pub(super) manual: bool,
    pub(super) start_after_ms: Option<u64>,
    pub(super) start_after_gets: Option<u64>,
    pub(super) attempts: Vec<Attempt>,
    /// The session's last status from v1.2 on; without it the last attempt's.
    pub(super) final_status: Option<String>,
    /// The session's status between two attempts from v1.2 on; `Running` without it.
    pub(super) waiting_status: Option<String>,
    pub(super) blank_final_token: bool,
    /// Previews: whether the session expires with its last attempt or only with its token.
    pub(super) expire_when_done: bool,
    pub(super) oldest_first: bool,
    pub(super) show_running_attempt: bool,
    pub(super) model_version: Option<String>,
}

/// How one attempt ends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Attempt {
    pub(super) after_ms: Option<u64>,
    pub(super) after_gets: Option<u64>,
    /// `realface` without it; `none` leaves the member out.
    pub(super) decision: Option<String>,
    /// The code of the error that takes the result's place.
    pub(super) error: Option<String>,
    pub(super) error_message: Option<String>,
    /// The attempt's status from v1.2 on; without it `Succeeded` or, with an error, `Failed`.
    pub(super) status: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) verify: Option<Verify>,
    pub(super) verify_image_hash: Option<String>,
    pub(super) session_image: Option<bool>,
    pub(super) audit_id: Option<i64>,
    pub(super) status_code: Option<u16>,
    pub(super) latency_ms: Option<u64>,
    pub(super) user_agent: Option<String>,
    pub(super) client_ip: Option<String>,
    pub(super) abuse_detected: Option<bool>,
}

/// What comparing with the verify image brings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    pub(super) confidence: f64,
    /// Without it: whether the confidence reaches the session's threshold.
    pub(super) identical: Option<bool>,
}

/// When a step is due, counted from the step before it: both must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) millis: i64,
    pub(super) gets: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            manual: false,
            start_after_ms: None,
            start_after_gets: None,
            attempts: vec![Attempt::default()],
            final_status: None,
            waiting_status: None,
            blank_final_token: false,
            expire_when_done: true,
            oldest_first: false,
            show_running_attempt: false,
            model_version: None,
        }
    }
}

impl Plan {
    /// When the step is due: the device's start is step 0, the n-th attempt's end step n.
    pub(super) fn due(&self, step: usize) -> Option<Due> {
        let Some(attempt) = step.checked_sub(1) else {
            return Some(Due::of(self.start_after_ms, self.start_after_gets));
        };
        let attempt = self.attempts.get(attempt)?;
        Some(Due::of(attempt.after_ms, attempt.after_gets))
    }

    /// How many steps there are in all.
    pub(super) const fn steps(&self) -> usize {
        self.attempts.len() + 1
    }
}

impl Attempt {
    /// The attempt's status from v1.2 on.
    pub(super) fn status(&self) -> &str {
        let of_outcome = if self.error.is_some() { "Failed" } else { "Succeeded" };
        self.status.as_deref().unwrap_or(of_outcome)
    }

    /// The decision, where the attempt makes one.
    pub(super) fn decision(&self) -> Option<&str> {
        match self.decision.as_deref() {
            Some("none") => None,
            other => Some(other.unwrap_or("realface")),
        }
    }
}

impl Due {
    fn of(millis: Option<u64>, gets: Option<u64>) -> Self {
        let unsaid = if gets.is_some() { 0 } else { DEFAULT_AFTER_MS };
        Self {
            millis: i64::try_from(millis.unwrap_or(unsaid)).unwrap_or(i64::MAX),
            gets: gets.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_says_nothing_is_one_real_face() {
        let plan: Plan = serde_json::from_str("{}").unwrap();
        assert_eq!(plan.steps(), 2);
        assert_eq!(plan.attempts[0].decision(), Some("realface"));
        assert_eq!(plan.attempts[0].status(), "Succeeded");
        let second = Due { millis: 1000, gets: 0 };
        assert_eq!(plan.due(0), Some(second));
        assert_eq!(plan.due(1), Some(second));
        assert_eq!(plan.due(2), None);
    }

    #[test]
    fn counting_gets_replaces_the_wait_unless_both_are_said() {
        let plan =
            r#"{"start_after_gets":2,"attempts":[{"after_gets":1,"after_ms":5},{"error":"X"}]}"#;
        let plan: Plan = serde_json::from_str(plan).unwrap();
        assert_eq!(plan.due(0), Some(Due { millis: 0, gets: 2 }));
        assert_eq!(plan.due(1), Some(Due { millis: 5, gets: 1 }));
        assert_eq!(plan.attempts[1].status(), "Failed");
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        let wrong = serde_json::from_str::<Plan>(r#"{"attemps":[]}"#).unwrap_err();
        assert!(wrong.to_string().contains("unknown field `attemps`"));
    }
}
