//! Digests that apps' clients reported, before their sessions are asked about. The first one for an attempt stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::liveness::SessionId;
use crate::liveness::digest::Digest;
use crate::liveness::verdict::Given;

/// Azure deletes a session's data after 48 hours; what was reported of it is of no use beyond.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// Most digests: some 30 MB.
const MOST: u64 = 100_000;

/// What was reported of a session of a resource, whichever version and operation it is of.
type Of = (u32, SessionId);

/// All reported digests.
#[derive(Debug)]
pub struct Reported {
    sessions: Cache<Of, Arc<[Report]>>,
    /// Nobody looks for what nobody ever reported.
    any: AtomicBool,
}

/// One reported digest.
#[derive(Debug, Clone, Copy)]
struct Report {
    attempt: Option<u64>,
    digest: Digest,
}

impl Default for Reported {
    fn default() -> Self {
        let sessions = Cache::builder()
            .max_capacity(MOST)
            .weigher(|_, reports: &Arc<[Report]>| u32::try_from(reports.len()).unwrap_or(u32::MAX))
            .time_to_live(LONGEST)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { sessions, any: AtomicBool::new(false) }
    }
}

impl Reported {
    /// Takes in a digest. Whether it stands: not if there is another one for the same attempt.
    pub fn report(
        &self,
        resource: u32,
        session: &SessionId,
        attempt: Option<u64>,
        digest: Digest,
    ) -> bool {
        self.any.store(true, Ordering::Relaxed);
        let mut stands = true;
        self.sessions.entry(of(resource, session)).and_compute_with(|known| {
            let known = known.map(|known| known.into_value()).unwrap_or_default();
            let same = known.iter().find(|report| report.attempt == attempt);
            if let Some(same) = same {
                stands = same.digest == digest;
                return Op::Nop;
            }
            Op::Put(known.iter().copied().chain([Report { attempt, digest }]).collect())
        });
        stands
    }

    /// What counts where this attempt decides: what was reported of it, else of no attempt, else of the highest.
    pub fn pick(&self, resource: u32, session: &SessionId, deciding: Option<u64>) -> Given {
        if !self.any.load(Ordering::Relaxed) {
            return Given::Nothing;
        }
        let reports = self.sessions.get(&of(resource, session)).unwrap_or_default();
        let of = |attempt| reports.iter().find(|report| report.attempt == attempt);
        let highest = || reports.iter().max_by_key(|report| report.attempt);
        let exact = deciding.and_then(|deciding| of(Some(deciding)));
        let picked = exact.or_else(|| of(None)).or_else(highest);
        picked.map(|report| Given::Digest(report.digest)).unwrap_or_default()
    }

    /// All that was reported of a session.
    pub fn all(&self, resource: u32, session: &SessionId) -> Vec<Digest> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let reports = self.sessions.get(&of(resource, session)).unwrap_or_default();
        reports.iter().map(|report| report.digest).collect()
    }

    /// The session is no more.
    pub fn forget(&self, resource: u32, session: &SessionId) {
        self.sessions.invalidate(&of(resource, session));
    }

    /// Frees what has expired.
    pub fn sweep(&self) {
        self.sessions.run_pending_tasks();
    }
}

fn of(resource: u32, session: &SessionId) -> Of {
    (resource, session.folded().unwrap_or_else(|| session.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    fn digest(fill: u8) -> Digest {
        Digest::from([fill; 32])
    }

    #[test]
    fn the_first_digest_of_an_attempt_stands() {
        let reported = Reported::default();
        let report = |attempt, fill| reported.report(0, &id("a"), attempt, digest(fill));
        assert!(report(None, 1) && report(None, 1) && !report(None, 2));
        assert!(report(Some(1), 2) && !report(Some(1), 1) && report(Some(2), 3));
        assert!(reported.report(1, &id("a"), None, digest(2)), "another resource's");
        assert!(reported.report(0, &id("b"), None, digest(2)), "another session's");
        assert!(!reported.report(0, &id("A"), None, digest(2)), "the same in capitals");
    }

    #[test]
    fn what_was_reported_of_the_deciding_attempt_counts_first() {
        let reported = Reported::default();
        let pick = |deciding| reported.pick(0, &id("a"), deciding);
        let given = |fill| Given::Digest(digest(fill));
        assert_eq!(pick(None), Given::Nothing);
        reported.report(0, &id("a"), Some(1), digest(1));
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(1), given(1), given(1)));
        reported.report(0, &id("a"), Some(3), digest(3));
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(3), given(1), given(3)));
        reported.report(0, &id("a"), None, digest(9));
        assert_eq!((pick(None), pick(Some(1)), pick(Some(2))), (given(9), given(1), given(9)));
        assert_eq!(reported.all(0, &id("A")), [digest(1), digest(3), digest(9)]);
        assert_eq!(reported.all(1, &id("a")), []);
        assert_eq!(reported.pick(1, &id("a"), None), Given::Nothing);
        reported.forget(0, &id("A"));
        assert_eq!(pick(Some(1)), Given::Nothing);
    }

    #[test]
    fn there_are_never_too_many() {
        let reported = Reported::default();
        for number in 0..MOST / 50 + 100 {
            for attempt in 0..50 {
                reported.report(0, &id(&number.to_string()), Some(attempt), digest(1));
            }
        }
        reported.sweep();
        assert!(reported.sessions.weighted_size() <= MOST);
    }
}
