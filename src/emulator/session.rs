//! One session: what was asked at its creation, and how far along its plan it has come.

use serde_json::value::RawValue;

use super::clock::Moment;
use super::derive;
use super::plan::{Attempt, Plan};
use crate::liveness::Operation;

/// A session is deleted this long after its creation.
const KEPT_SECONDS: i64 = 48 * 3600;

/// A token's life where the create does not say.
pub(super) const DEFAULT_TOKEN_SECONDS: i64 = 600;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) operation: Operation,
    pub(super) created: Moment,
    pub(super) token_seconds: i64,
    pub(super) device_correlation_id: Option<String>,
    pub(super) session_image: bool,
    pub(super) verify_image_hash: Option<String>,
    pub(super) verify_threshold: f64,
    pub(super) model_version: Option<String>,
    pub(super) abuse_monitoring: bool,
    pub(super) expected_client_ip: Option<String>,
    /// Said to be expired from outside, whatever the plan and the token say.
    pub(super) forced_expired: bool,
    pub(super) plan: Plan,
    /// Served in place of what would be made of the session.
    pub(super) session_body: Option<Box<RawValue>>,
    pub(super) audit_body: Option<Box<RawValue>>,
    steps: Vec<Moment>,
    gets: u64,
}

impl Session {
    pub(super) const fn new(id: String, operation: Operation, created: Moment, plan: Plan) -> Self {
        Self {
            id,
            operation,
            created,
            token_seconds: DEFAULT_TOKEN_SECONDS,
            device_correlation_id: None,
            session_image: false,
            verify_image_hash: None,
            verify_threshold: 0.5,
            model_version: None,
            abuse_monitoring: true,
            expected_client_ip: None,
            forced_expired: false,
            plan,
            session_body: None,
            audit_body: None,
            steps: Vec::new(),
            gets: 0,
        }
    }

    /// Takes the steps that have become due. A dead token takes none: the device can no longer call.
    pub(super) fn catch_up(&mut self, now: Moment) {
        while !self.plan.manual
            && let Some(due) = self.plan.due(self.steps.len())
        {
            let last = self.steps.last().copied().unwrap_or(self.created);
            let at = last.plus_millis(due.millis);
            if at > now || self.gets < due.gets || at >= self.token_end() {
                break;
            }
            self.steps.push(if due.gets > 0 { now } else { at });
            self.gets = 0;
        }
    }

    /// Counts a GET of the session, for plans that move with them.
    pub(super) const fn count_get(&mut self) {
        self.gets = self.gets.saturating_add(1);
    }

    /// Takes up to `count` steps now, due or not.
    pub(super) fn advance(&mut self, count: usize, now: Moment) {
        let left = self.plan.steps().saturating_sub(self.steps.len());
        self.steps.extend(std::iter::repeat_n(now, count.min(left)));
        self.gets = 0;
    }

    /// Takes up to `count` steps at the times that the plan has for them, the present at the latest.
    pub(super) fn live_through(&mut self, count: usize, now: Moment) {
        for _ in 0..count {
            let Some(due) = self.plan.due(self.steps.len()) else {
                return;
            };
            let last = self.steps.last().copied().unwrap_or(self.created);
            self.steps.push(last.plus_millis(due.millis).min(now));
        }
    }

    /// Gives the session another future; what has happened stays as far as the new plan has it.
    pub(super) fn replan(&mut self, plan: Plan) {
        self.steps.truncate(plan.steps());
        self.plan = plan;
        self.gets = 0;
    }

    pub(super) fn started(&self) -> Option<Moment> {
        self.steps.first().copied()
    }

    /// The attempts that have ended, oldest first: number (from 1), what came of it, and when.
    pub(super) fn ended(&self) -> impl DoubleEndedIterator<Item = (usize, &Attempt, Moment)> {
        let times = self.steps.iter().skip(1).copied();
        let ended = self.plan.attempts.iter().zip(times).enumerate();
        ended.map(|(index, (attempt, at))| (index + 1, attempt, at))
    }

    /// Whether the plan is through.
    pub(super) fn finished(&self) -> bool {
        let ends = !self.plan.attempts.is_empty() || self.plan.final_status.is_some();
        ends && self.steps.len() >= self.plan.steps()
    }

    /// The previews' `sessionExpired`.
    pub(super) fn expired(&self, now: Moment) -> bool {
        let done = self.plan.expire_when_done && self.finished();
        self.forced_expired || done || now >= self.token_end()
    }

    /// Whether Azure would have deleted it by now.
    pub(super) fn outlived(&self, now: Moment) -> bool {
        now >= self.created.plus_seconds(KEPT_SECONDS)
    }

    pub(super) fn preview_status(&self) -> &'static str {
        match self.steps.len() {
            0 => "NotStarted",
            1 => "Started",
            _ => "ResultAvailable",
        }
    }

    pub(super) fn ga_status(&self) -> &str {
        let waiting = self.plan.waiting_status.as_deref().unwrap_or("Running");
        match self.steps.len() {
            0 => "NotStarted",
            _ if self.finished() => {
                let last = self.plan.attempts.last().map_or("Canceled", Attempt::status);
                self.plan.final_status.as_deref().unwrap_or(last)
            }
            1 => "Running",
            _ => waiting,
        }
    }

    /// The token as the session's body shows it.
    pub(super) fn shown_token(&self) -> String {
        if self.finished() && self.plan.blank_final_token {
            return String::new();
        }
        derive::auth_token(&self.id)
    }

    pub(super) fn digest(&self, number: usize, attempt: &Attempt) -> String {
        let derived = || derive::attempt_digest(&self.id, number);
        attempt.digest.clone().unwrap_or_else(derived)
    }

    /// The id of the attempt's picture, where one is kept.
    pub(super) fn image_id(&self, number: usize, attempt: &Attempt) -> Option<String> {
        let kept = attempt.session_image.unwrap_or(self.session_image);
        kept.then(|| derive::image_id(&self.id, number))
    }

    fn token_end(&self) -> Moment {
        self.created.plus_seconds(self.token_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(plan: &str) -> Session {
        let plan = serde_json::from_str(plan).unwrap();
        let created = Moment::from_millis(1_000_000);
        Session::new("s".into(), Operation::Liveness, created, plan)
    }

    fn at(session: &mut Session, millis: i64) -> (&'static str, String, usize) {
        let now = session.created.plus_millis(millis);
        session.catch_up(now);
        let ended = session.ended().count();
        (session.preview_status(), session.ga_status().to_owned(), ended)
    }

    #[test]
    fn time_carries_a_session_through_its_states() {
        let mut session = session(r#"{"attempts":[{"error":"FaceWithMaskDetected"},{}]}"#);
        assert_eq!(at(&mut session, 999), ("NotStarted", "NotStarted".into(), 0));
        assert_eq!(at(&mut session, 1000), ("Started", "Running".into(), 0));
        assert_eq!(at(&mut session, 2000), ("ResultAvailable", "Running".into(), 1));
        assert!(!session.expired(session.created.plus_millis(2000)));
        assert_eq!(at(&mut session, 3000), ("ResultAvailable", "Succeeded".into(), 2));
        assert!(session.expired(session.created.plus_millis(3000)));
    }

    #[test]
    fn late_eyes_see_the_steps_at_the_times_they_had() {
        let mut session = session("{}");
        at(&mut session, 60_000);
        let (_, _, ended) = session.ended().next().unwrap();
        assert_eq!(ended.millis_since(session.created), 2000);
    }

    #[test]
    fn gets_carry_a_session_one_step_each() {
        let mut session = session(r#"{"start_after_gets":1,"attempts":[{"after_gets":2}]}"#);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(at(&mut session, 0).1);
            session.count_get();
        }
        assert_eq!(seen, ["NotStarted", "Running", "Running", "Succeeded", "Succeeded"]);
    }

    #[test]
    fn a_dead_token_ends_the_devices_calls() {
        let mut session = session(r#"{"start_after_ms":0,"attempts":[{"after_ms":700000}]}"#);
        assert_eq!(at(&mut session, 900_000).1, "Running");
        assert!(session.expired(session.created.plus_millis(600_000)));
        assert!(!session.expired(session.created.plus_millis(599_999)));
    }

    #[test]
    fn a_manual_plan_moves_only_by_hand() {
        let mut session = session(r#"{"manual":true}"#);
        assert_eq!(at(&mut session, 99_000).1, "NotStarted");
        session.advance(1, session.created);
        assert_eq!(session.ga_status(), "Running");
        session.advance(99, session.created);
        assert_eq!(session.ga_status(), "Succeeded");
        session.replan(serde_json::from_str(r#"{"manual":true,"attempts":[{},{}]}"#).unwrap());
        assert_eq!(session.ga_status(), "Running");
        assert_eq!(session.ended().count(), 1);
    }

    #[test]
    fn a_past_is_lived_through_at_its_own_times() {
        let mut session = session(r#"{"attempts":[{},{}]}"#);
        let now = session.created.plus_millis(2500);
        session.live_through(usize::MAX, now);
        let ends: Vec<_> =
            session.ended().map(|(.., at)| at.millis_since(session.created)).collect();
        assert_eq!(ends, [2000, 2500]);
        assert!(session.finished());
    }

    #[test]
    fn what_the_plan_says_of_the_end_is_shown() {
        let mut session = session(
            r#"{"attempts":[],"final_status":"Canceled","blank_final_token":true,"expire_when_done":false}"#,
        );
        assert_ne!(session.shown_token(), "");
        assert_eq!(at(&mut session, 1000).1, "Canceled");
        assert_eq!(session.shown_token(), "");
        assert!(!session.expired(session.created.plus_millis(1000)));
    }

    #[test]
    fn forty_eight_hours_outlive_a_session() {
        let session = session("{}");
        let end = session.created.plus_seconds(48 * 3600);
        assert!(session.outlived(end));
        assert!(!session.outlived(end.plus_millis(-1)));
    }
}
