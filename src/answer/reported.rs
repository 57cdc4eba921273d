//! Digests that apps' clients reported, before their sessions are asked about. The first one for an attempt stands.
//!
//! Who reports more than there is room for pushes out what is its own: no app can end what another one relies on.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounterVec;

use crate::liveness::SessionId;
use crate::liveness::digest::Digest;
use crate::liveness::verdict::Given;
use crate::metrics::start_evictions;
use crate::moment::Moment;

/// Azure deletes a session's data after 48 hours; what was reported of it is of no use beyond.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// Most digests: some 30 MB.
const MOST: usize = 100_000;

/// How many parts there are, so that apps seldom wait for each other.
const PARTS: usize = 16;

/// What was reported of a session of a resource, whichever version and operation it is of.
type Of = (u32, SessionId);

/// All reported digests.
#[derive(Debug)]
pub struct Reported {
    parts: [Mutex<Part>; PARTS],
    hash: RandomState,
    /// Nobody looks for what nobody ever reported.
    any: AtomicBool,
    evictions: IntCounterVec,
}

#[derive(Debug, Default)]
struct Part {
    sessions: HashMap<Of, Vec<Report>>,
    /// By app, in the order in which they came.
    queues: HashMap<Arc<str>, VecDeque<Place>>,
    /// In all queues.
    count: usize,
}

/// One reported digest.
#[derive(Debug, Clone)]
struct Report {
    app: Arc<str>,
    attempt: Option<u64>,
    digest: Digest,
}

/// Where one lies, and since when.
#[derive(Debug)]
struct Place {
    of: Of,
    attempt: Option<u64>,
    since: Moment,
}

impl Reported {
    /// None yet.
    pub fn new(evictions: &IntCounterVec) -> Self {
        start_evictions(evictions);
        let evictions = evictions.clone();
        let (hash, any) = (RandomState::new(), AtomicBool::new(false));
        Self { parts: Default::default(), hash, any, evictions }
    }

    /// Takes in a digest from an app. Whether it stands: not if there is another one for the same attempt.
    pub fn report(
        &self,
        app: &str,
        resource: u32,
        session: &SessionId,
        attempt: Option<u64>,
        digest: Digest,
    ) -> bool {
        self.any.store(true, Ordering::Relaxed);
        let of = of(resource, session);
        let mut part = self.part(&of);
        let known = part.sessions.get(&of).into_iter().flatten();
        if let Some(same) = known.into_iter().find(|report| report.attempt == attempt) {
            return same.digest == digest;
        }
        let app: Arc<str> =
            part.queues.get_key_value(app).map_or_else(|| app.into(), |(app, _)| Arc::clone(app));
        let place = Place { of: of.clone(), attempt, since: Moment::now() };
        part.queues.entry(Arc::clone(&app)).or_default().push_back(place);
        part.sessions.entry(of).or_default().push(Report { app, attempt, digest });
        part.count += 1;
        if part.count > MOST / PARTS && part.make_room() {
            self.evictions.with_label_values(&["size"]).inc();
        }
        true
    }

    /// What counts for an app where this attempt decides: what was reported of it, else of no attempt, else of the highest.
    pub fn pick(
        &self,
        app: &str,
        resource: u32,
        session: &SessionId,
        deciding: Option<u64>,
    ) -> Given {
        let reports = self.of(app, resource, session);
        let of = |attempt| reports.iter().find(|report| report.attempt == attempt);
        let highest = || reports.iter().max_by_key(|report| report.attempt);
        let exact = deciding.and_then(|deciding| of(Some(deciding)));
        let picked = exact.or_else(|| of(None)).or_else(highest);
        picked.map(|report| Given::Digest(report.digest)).unwrap_or_default()
    }

    /// All that counts for an app of a session.
    pub fn all(&self, app: &str, resource: u32, session: &SessionId) -> Vec<Digest> {
        self.of(app, resource, session).iter().map(|report| report.digest).collect()
    }

    /// What an app reported itself, else what others did: nobody else can take the place of what is its own.
    fn of(&self, app: &str, resource: u32, session: &SessionId) -> Vec<Report> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let of = of(resource, session);
        let mut reports = self.part(&of).sessions.get(&of).cloned().unwrap_or_default();
        if reports.iter().any(|report| &*report.app == app) {
            reports.retain(|report| &*report.app == app);
        }
        reports
    }

    /// The session is no more.
    pub fn forget(&self, resource: u32, session: &SessionId) {
        let of = of(resource, session);
        self.part(&of).sessions.remove(&of);
    }

    /// Frees what has expired.
    pub fn sweep(&self) {
        let now = Moment::now();
        for part in &self.parts {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let expired = part.expire(now);
            drop(part);
            self.evictions.with_label_values(&["expired"]).inc_by(expired);
        }
    }

    fn part(&self, of: &Of) -> MutexGuard<'_, Part> {
        let [first, ..] = &self.parts;
        let part = usize::try_from(self.hash.hash_one(of) % PARTS as u64).unwrap_or_default();
        let part = self.parts.get(part).unwrap_or(first);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Lets the oldest go of the app that has most. Whether it was still known.
    fn make_room(&mut self) -> bool {
        let longest = self.queues.iter().max_by_key(|(_, queue)| queue.len());
        let longest = longest.map(|(app, _)| Arc::clone(app));
        longest.is_some_and(|app| self.forget_first(&app))
    }

    fn forget_first(&mut self, app: &Arc<str>) -> bool {
        let place = self.queues.get_mut(app).and_then(VecDeque::pop_front);
        let Some(Place { of, attempt, .. }) = place else {
            return false;
        };
        self.count -= 1;
        let Some(reports) = self.sessions.get_mut(&of) else {
            return false;
        };
        let before = reports.len();
        reports.retain(|report| !(report.app == *app && report.attempt == attempt));
        let known = reports.len() < before;
        if reports.is_empty() {
            self.sessions.remove(&of);
        }
        known
    }

    /// How many have expired.
    fn expire(&mut self, now: Moment) -> u64 {
        let apps: Vec<_> = self.queues.keys().cloned().collect();
        let is_old = |place: &Place| now.since(place.since) >= LONGEST;
        let mut count = 0;
        for app in apps {
            while self.queues.get(&app).and_then(VecDeque::front).is_some_and(is_old) {
                count += u64::from(self.forget_first(&app));
            }
            if self.queues.get(&app).is_some_and(VecDeque::is_empty) {
                self.queues.remove(&app);
            }
        }
        count
    }
}

fn of(resource: u32, session: &SessionId) -> Of {
    (resource, session.folded().unwrap_or_else(|| session.clone()))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::metrics::Metrics;

    fn id(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    fn digest(fill: u8) -> Digest {
        Digest::from([fill; 32])
    }

    fn given(fill: u8) -> Given {
        Given::Digest(digest(fill))
    }

    fn reported() -> Reported {
        Reported::new(&Metrics::new().unwrap().digest_registrations_evictions_total)
    }

    #[test]
    fn the_first_digest_of_an_attempt_stands() {
        let reported = reported();
        let report = |attempt, fill| reported.report("a", 0, &id("a"), attempt, digest(fill));
        assert!(report(None, 1) && report(None, 1) && !report(None, 2));
        assert!(report(Some(1), 2) && !report(Some(1), 1) && report(Some(2), 3));
        assert!(!reported.report("b", 0, &id("a"), None, digest(2)), "another app's");
        assert!(reported.report("b", 0, &id("a"), None, digest(1)));
        assert!(reported.report("a", 1, &id("a"), None, digest(2)), "another resource's");
        assert!(reported.report("a", 0, &id("b"), None, digest(2)), "another session's");
        assert!(!reported.report("a", 0, &id("A"), None, digest(2)), "the same in capitals");
    }

    #[test]
    fn what_was_reported_of_the_deciding_attempt_counts_first() {
        let reported = reported();
        let report = |attempt, fill| reported.report("a", 0, &id("a"), attempt, digest(fill));
        let pick = |deciding| reported.pick("a", 0, &id("a"), deciding);
        assert_eq!(pick(None), Given::Nothing);
        report(Some(1), 1);
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(1), given(1), given(1)));
        report(Some(3), 3);
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(3), given(1), given(3)));
        report(None, 9);
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(9), given(1), given(9)));
        assert_eq!(reported.all("a", 0, &id("A")), [digest(1), digest(3), digest(9)]);
        assert_eq!(reported.all("a", 1, &id("a")), []);
        assert_eq!(reported.pick("a", 1, &id("a"), None), Given::Nothing);
        reported.forget(0, &id("A"));
        assert_eq!(pick(Some(1)), Given::Nothing);
    }

    #[test]
    fn what_is_an_apps_own_counts_before_what_others_reported() {
        let reported = reported();
        let pick = |app| reported.pick(app, 0, &id("a"), Some(1));
        reported.report("a", 0, &id("a"), None, digest(1));
        assert_eq!((pick("a"), pick("b")), (given(1), given(1)));
        assert!(reported.report("b", 0, &id("a"), Some(1), digest(2)));
        assert_eq!((pick("a"), pick("b"), pick("c")), (given(1), given(2), given(2)));
        assert_eq!(reported.all("a", 0, &id("a")), [digest(1)]);
    }

    #[test]
    fn who_reports_too_much_pushes_out_what_is_its_own() {
        let metrics = Metrics::new().unwrap();
        let evictions = &metrics.digest_registrations_evictions_total;
        let reported = Reported::new(evictions);
        for session in 0..1_000 {
            reported.report("few", 0, &id(&format!("few-{session}")), None, digest(1));
        }
        for session in 0..MOST {
            for attempt in 1..=2 {
                let session = id(&format!("many-{session}"));
                reported.report("many", 0, &session, Some(attempt), digest(2));
            }
        }
        let lengths = reported.parts.iter().map(|part| {
            let part = part.lock().unwrap();
            let held: usize = part.sessions.values().map(Vec::len).sum();
            assert_eq!(
                (part.count, part.count),
                (held, part.queues.values().map(VecDeque::len).sum())
            );
            held
        });
        assert!(lengths.sum::<usize>() <= MOST);
        let gone = evictions.with_label_values(&["size"]).get();
        assert!(usize::try_from(gone).unwrap() >= MOST, "{gone}");
        let pick = |app, session: String| reported.pick(app, 0, &id(&session), None);
        for session in 0..1_000 {
            assert_eq!(pick("few", format!("few-{session}")), given(1), "{session}");
        }
        assert_eq!(pick("many", "many-0".to_owned()), Given::Nothing);
        assert_eq!(pick("many", format!("many-{}", MOST - 1)), given(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_lasts_48_hours_whatever_comes_after_it() {
        let reported = reported();
        let report = |attempt, fill| reported.report("a", 0, &id("a"), attempt, digest(fill));
        report(Some(1), 1);
        advance(Duration::from_secs(3600)).await;
        report(Some(2), 2);
        report(Some(1), 1);
        advance(LONGEST - Duration::from_secs(3601)).await;
        reported.sweep();
        assert_eq!(reported.all("a", 0, &id("a")), [digest(1), digest(2)]);
        advance(Duration::from_secs(1)).await;
        reported.sweep();
        assert_eq!(reported.all("a", 0, &id("a")), [digest(2)]);
        advance(Duration::from_secs(3600)).await;
        reported.sweep();
        let left: usize = reported.parts.iter().map(|part| part.lock().unwrap().queues.len()).sum();
        assert_eq!((reported.all("a", 0, &id("a")).len(), left), (0, 0));
    }
}
