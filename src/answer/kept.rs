//! Final sessions, bounded by bytes and by the life of each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::key::{Key, Question};
use super::prepared::{Common, Prepared};
use crate::liveness::SessionId;
use crate::metrics::Metrics;

/// A kept answer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The answer.
    pub answer: Arc<Prepared>,
    /// How long it may be told, from when it came.
    pub life: Duration,
    spelling: Option<SessionId>,
}

/// What can be told of the kept answers.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// How many there are.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Most bytes that they may take.
    pub max_bytes: u64,
}

/// All kept answers.
#[derive(Debug)]
pub(super) struct Kept {
    cache: Cache<Key, Entry>,
    common: Mutex<Common>,
    pub(super) max_bytes: u64,
}

impl Kept {
    /// None yet, and never more than so many bytes of them.
    pub(super) fn new(max_bytes: u64, metrics: &Metrics) -> Self {
        let evictions = metrics.cache_evictions_total.clone();
        let cache = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &Key, entry: &Entry| {
                u32::try_from(entry.answer.weight(&key.id)).unwrap_or(u32::MAX)
            })
            .expire_after(Lives)
            // A session is asked for again soon after it ended or never, so that the newest must find a place.
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_, _, cause| {
                evictions.with_label_values(&[word(cause)]).inc();
            })
            .build();
        Self { cache, common: Mutex::default(), max_bytes }
    }

    /// The answer to a question, as old as it may be.
    pub(super) fn get(&self, question: &Question) -> Option<Entry> {
        self.cache.get(&question.key).filter(|entry| entry.spelling == question.spelling)
    }

    /// The answer under a key that may still be told, however it was spelt.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Prepared>> {
        let entry = self.cache.get(key)?;
        entry.answer.is_younger(entry.life).then_some(entry.answer)
    }

    /// An answer as it is kept.
    pub(super) fn entry(&self, question: &Question, answer: &Prepared, life: Duration) -> Entry {
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Arc::new(answer.compact(&mut common));
        Entry { answer, life, spelling: question.spelling.clone() }
    }

    pub(super) fn insert(&self, key: &Key, entry: Entry) {
        self.cache.insert(key.clone(), entry);
    }

    /// Whether there was something to remove.
    pub(super) fn remove(&self, key: &Key) -> bool {
        self.cache.contains_key(key) && self.cache.remove(key).is_some()
    }

    /// How many there were.
    pub(super) fn clear(&self) -> u64 {
        self.cache.run_pending_tasks();
        let count = self.cache.entry_count();
        self.cache.invalidate_all();
        count
    }

    pub(super) fn fill(&self) -> Fill {
        let (entries, bytes) = (self.cache.entry_count(), self.cache.weighted_size());
        Fill { entries, bytes, max_bytes: self.max_bytes }
    }

    /// Frees what has expired: without traffic nothing else would.
    pub(super) fn sweep(&self) {
        self.cache.run_pending_tasks();
    }
}

/// An entry lives as long as it says, from whenever it is put in or replaced. Without the second rule one that replaces
/// another would inherit its end.
struct Lives;

#[expect(clippy::disallowed_types, reason = "moka has a clock of its own, which is not asked here")]
impl moka::Expiry<Key, Entry> for Lives {
    fn expire_after_create(
        &self,
        _key: &Key,
        entry: &Entry,
        _now: std::time::Instant,
    ) -> Option<Duration> {
        Some(entry.life)
    }

    fn expire_after_update(
        &self,
        _key: &Key,
        entry: &Entry,
        _now: std::time::Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.life)
    }
}

/// The value of the metric label `cause`.
const fn word(cause: RemovalCause) -> &'static str {
    match cause {
        RemovalCause::Expired => "expired",
        RemovalCause::Explicit => "explicit",
        RemovalCause::Replaced => "replaced",
        RemovalCause::Size => "size",
    }
}
