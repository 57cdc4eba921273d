//! How sessions go: since when each is known of, and how often apps asked about it until it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use moka::sync::Cache;

use super::key::SessionKey;
use super::memory::remembered;
use crate::metrics::Metrics;
use crate::moment::Moment;

/// Most sessions that are watched at a time. A resource that answers 10 calls a second has a few thousand that are open.
const MOST: u64 = 20_000;

/// The sessions that have not ended yet.
#[derive(Debug)]
pub(super) struct Courses {
    open: Cache<SessionKey, Arc<Course>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Course {
    begun: Moment,
    polls: AtomicU32,
}

impl Course {
    fn new(begun: Moment) -> Arc<Self> {
        Arc::new(Self { begun, polls: AtomicU32::new(0) })
    }
}

impl Courses {
    /// None yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { open: remembered(MOST), metrics }
    }

    /// A session was created.
    pub(super) fn begun(&self, session: &SessionKey, at: Moment) {
        self.open.insert(session.clone(), Course::new(at));
    }

    /// An app asks about a session.
    pub(super) fn asked(&self, session: &SessionKey) {
        let course = self.open.get_with_by_ref(session, || Course::new(Moment::now()));
        course.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// A session's end was seen for the first time.
    pub(super) fn ended(&self, session: &SessionKey) {
        let Some(course) = self.open.remove(session) else {
            return;
        };
        let (metrics, operation) = (&self.metrics, [session.operation.label()]);
        let lasted = Moment::now().since(course.begun).as_secs_f64();
        let polls = course.polls.load(Ordering::Relaxed);
        let durations = &metrics.liveness_session_observed_duration_seconds;
        durations.with_label_values(&operation).observe(lasted);
        metrics.liveness_session_polls.with_label_values(&operation).observe(f64::from(polls));
    }

    /// Nothing more will be heard of a session.
    pub(super) fn forget(&self, session: &SessionKey) {
        self.open.invalidate(session);
    }

    /// Frees what has expired.
    pub(super) fn sweep(&self) {
        self.open.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::{Operation, SessionId};

    #[test]
    fn a_session_is_told_once_when_it_ends() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let courses = Courses::new(Arc::clone(&metrics));
        let session = |id| {
            let id = SessionId::parse(id).unwrap();
            SessionKey::new(0, Operation::Liveness, &id)
        };
        let polls = metrics.liveness_session_polls.with_label_values(&["liveness"]);
        let told = || (polls.get_sample_count(), polls.get_sample_sum());
        courses.begun(&session("a"), Moment::now());
        for id in ["a", "b", "a", "a", "c"] {
            courses.asked(&session(id));
        }
        courses.ended(&session("a"));
        courses.ended(&session("a"));
        assert_eq!(told(), (1, 3.0));
        courses.forget(&session("c"));
        courses.ended(&session("c"));
        courses.ended(&session("b"));
        assert_eq!(told(), (2, 4.0));
    }
}
