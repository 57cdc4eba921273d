//! Remembers what was seen, so that it is counted once in its life, however often it is asked about.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};

use super::key::SessionKey;
use crate::liveness::audit::signal::Signal;
use crate::liveness::digest::Digest;
use crate::liveness::verdict::{Given, Likeness, Proof, Verdict};
use crate::liveness::{Family, Operation};
use crate::metrics::start_evictions;
use crate::moment::Moment;

/// Seconds that something is remembered from when it was first seen: as long as Azure has a session's data.
const LONGEST: u32 = 48 * 3600;

/// How many parts it has.
const PARTS: usize = 16;

/// What can be seen of a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Thing {
    /// An attempt that has ended, by its number, or that of its audit entry.
    Attempt(Option<u64>, Option<i64>),
    /// The same by the digest of what the service received, in this shape.
    Received(Family, Digest),
    /// An entry of its audit list, by its `id`.
    Entry(i64),
    /// An answer about that list, by a hash of all its bytes.
    List([u8; 16]),
    /// The session's end.
    End,
    /// Something odd about it.
    Signal(Signal),
    /// What was said of a digest that was compared with this attempt's.
    Digest(Proof, Given, Verdict),
    /// What was said of a picture that was.
    Picture(Proof, Given, Likeness),
}

/// A bounded memory for what was seen. What had to make room is seen anew, so a metric tells how often that happens.
///
/// It is parted so that one part's growing keeps nobody waiting for long.
#[derive(Debug)]
pub(super) struct Gate {
    parts: [Mutex<Part>; PARTS],
    most: usize,
    start: Moment,
    evictions: IntCounterVec,
}

/// 128 bits that nobody should be able to make two things meet at.
pub(super) type Key = [u8; 16];

#[derive(Debug, Default)]
struct Part {
    marks: HashMap<Key, u32>,
    /// In the order in which they came, with the seconds from the start.
    order: VecDeque<(Key, u32)>,
}

impl Gate {
    /// For so many things.
    pub(super) fn new(most: usize, evictions: &IntCounterVec) -> Self {
        let (most, evictions) = (most.div_ceil(PARTS), evictions.clone());
        start_evictions(&evictions);
        Self { parts: Default::default(), most, start: Moment::now(), evictions }
    }

    /// The mark of something that was seen.
    pub(super) fn mark(&self, session: &SessionKey, thing: Thing) -> Option<u32> {
        let key = key(session, thing);
        self.part(&key).marks.get(&key).copied()
    }

    /// Notes something with a mark. If it was seen before, the mark of that time, which stays.
    pub(super) fn note(&self, session: &SessionKey, thing: Thing, mark: u32) -> Option<u32> {
        self.put(key(session, thing), mark)
    }

    /// The same under a key of one's own.
    pub(super) fn put(&self, key: Key, mark: u32) -> Option<u32> {
        let mut part = self.part(&key);
        let known = part.marks.get(&key).copied();
        if known.is_none() {
            part.marks.insert(key, mark);
            part.order.push_back((key, self.now()));
            if part.order.len() > self.most {
                part.forget_first();
                self.evictions.with_label_values(&["size"]).inc();
            }
        }
        known
    }

    /// How much is remembered.
    pub(super) fn count(&self) -> usize {
        self.parts().map(|part| part.order.len()).sum()
    }

    /// Frees what has expired.
    pub(super) fn sweep(&self) {
        let now = self.now();
        for mut part in self.parts() {
            let expired = |(_, seen): &(Key, u32)| now.saturating_sub(*seen) >= LONGEST;
            while part.order.front().is_some_and(expired) {
                part.forget_first();
                self.evictions.with_label_values(&["expired"]).inc();
            }
        }
    }

    fn part(&self, [first, ..]: &Key) -> MutexGuard<'_, Part> {
        let [part, ..] = &self.parts;
        let part = self.parts.get(usize::from(*first) % PARTS).unwrap_or(part);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> impl Iterator<Item = MutexGuard<'_, Part>> {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> u32 {
        u32::try_from(Moment::now().since(self.start).as_secs()).unwrap_or(u32::MAX)
    }
}

impl Part {
    fn forget_first(&mut self) {
        if let Some((key, _)) = self.order.pop_front() {
            self.marks.remove(&key);
        }
    }
}

/// The mark of what must not change: few bits of a hash, to be noted beside a thing.
pub(super) fn mark(what: &impl Hash) -> u32 {
    let mut hash = DefaultHasher::new();
    what.hash(&mut hash);
    let [.., a, b, c, d] = hash.finish().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// 128 bits of a hash: ids come from outside, and nobody should be able to make two of them meet.
fn key(session: &SessionKey, thing: Thing) -> Key {
    let mut hash = Sha256::new();
    hash.update(session.resource.to_be_bytes());
    hash.update([u8::from(session.operation == Operation::LivenessWithVerify)]);
    hash.update(session.id.as_str());
    // No id holds this byte.
    hash.update([0]);
    match thing {
        Thing::Attempt(Some(attempt), _) => {
            hash.update(b"attempt");
            hash.update(attempt.to_be_bytes());
        }
        Thing::Attempt(None, entry) => {
            hash.update(b"entry");
            hash.update(entry.unwrap_or_default().to_be_bytes());
        }
        Thing::Received(family, digest) => {
            hash.update(if family == Family::Ga { b"received" } else { b"previews" });
            hash.update(digest.bytes());
        }
        Thing::Entry(id) => {
            hash.update(b"audit");
            hash.update(id.to_be_bytes());
        }
        Thing::List(bytes) => {
            hash.update(b"list");
            hash.update(bytes);
        }
        Thing::End => hash.update(b"end"),
        Thing::Signal(signal) => {
            hash.update(b"signal");
            hash.update(signal.as_str());
        }
        Thing::Digest(proof, given, verdict) => {
            compared(&mut hash, b"digest", proof, given);
            hash.update(verdict.as_str());
        }
        Thing::Picture(proof, given, likeness) => {
            compared(&mut hash, b"picture", proof, given);
            hash.update(likeness.as_str());
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    *hash.first_chunk().unwrap_or(&[0; 16])
}

fn compared(hash: &mut Sha256, what: &[u8], proof: Proof, given: Given) {
    hash.update(what);
    hash.update(proof.attempt.unwrap_or_default().to_be_bytes());
    for given in [proof.digest, given] {
        match given {
            Given::Nothing => hash.update([0]),
            Given::Malformed => hash.update([1]),
            Given::Digest(digest) => hash.update(digest.bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::liveness::SessionId;
    use crate::metrics::Metrics;

    fn session(resource: u32, operation: Operation, id: &str) -> SessionKey {
        SessionKey::new(resource, operation, &SessionId::parse(id).unwrap())
    }

    #[test]
    fn each_thing_is_seen_once() {
        use Operation::{Liveness, LivenessWithVerify};
        let gate = Gate::new(1000, &Metrics::new().unwrap().liveness_dedupe_evictions_total);
        let sessions = [
            session(0, Liveness, "a"),
            session(1, Liveness, "a"),
            session(0, LivenessWithVerify, "a"),
            session(0, Liveness, "b"),
        ];
        let digest = |fill| Given::Digest(Digest::from([fill; 32]));
        let proof = |attempt, fill| Proof { attempt, digest: digest(fill), picture: digest(9) };
        let things = [
            Thing::Attempt(Some(1), None),
            Thing::Attempt(Some(2), None),
            Thing::Attempt(None, Some(1)),
            Thing::Attempt(None, None),
            Thing::Received(Family::Ga, Digest::from([1; 32])),
            Thing::Received(Family::Preview, Digest::from([1; 32])),
            Thing::Entry(1),
            Thing::Entry(2),
            Thing::List([1; 16]),
            Thing::List([2; 16]),
            Thing::End,
            Thing::Signal(Signal::RapidRetry),
            Thing::Signal(Signal::ClockSkew),
            Thing::Digest(proof(Some(1), 1), digest(1), Verdict::Mismatch),
            Thing::Digest(proof(Some(1), 1), digest(1), Verdict::Pending),
            Thing::Digest(proof(Some(1), 1), digest(2), Verdict::Mismatch),
            Thing::Digest(proof(Some(1), 1), Given::Nothing, Verdict::Mismatch),
            Thing::Digest(proof(Some(1), 1), Given::Malformed, Verdict::Mismatch),
            Thing::Digest(proof(Some(2), 1), digest(1), Verdict::Mismatch),
            Thing::Digest(proof(None, 2), digest(1), Verdict::Mismatch),
            Thing::Picture(proof(Some(1), 1), digest(1), Likeness::Mismatch),
            Thing::Picture(proof(Some(1), 1), digest(1), Likeness::Match),
        ];
        for again in [None, Some(7)] {
            for session in &sessions {
                for thing in things {
                    assert_eq!(gate.note(session, thing, 7), again, "{session:?} {thing:?}");
                }
            }
        }
        let capital = session(0, Liveness, "A");
        assert_eq!(
            gate.note(&capital, Thing::Attempt(Some(1), None), 8),
            Some(7),
            "the first mark stays"
        );
    }

    #[test]
    fn what_makes_room_is_told() {
        let metrics = Metrics::new().unwrap();
        let gate = Gate::new(PARTS * 10, &metrics.liveness_dedupe_evictions_total);
        let session = session(0, Operation::Liveness, "a");
        for number in 0..1000 {
            assert_eq!(gate.note(&session, Thing::Attempt(Some(number), None), 0), None);
        }
        assert_eq!(gate.count(), PARTS * 10);
        let evicted = metrics.liveness_dedupe_evictions_total.with_label_values(&["size"]);
        assert_eq!(evicted.get(), 1000 - 160);
        assert_eq!(
            gate.note(&session, Thing::Attempt(Some(999), None), 0),
            Some(0),
            "the newest are there"
        );
        assert_eq!(
            gate.note(&session, Thing::Attempt(Some(0), None), 0),
            None,
            "the oldest are not"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_is_remembered_for_48_hours() {
        let metrics = Metrics::new().unwrap();
        let gate = Gate::new(1000, &metrics.liveness_dedupe_evictions_total);
        let session = session(0, Operation::Liveness, "a");
        gate.note(&session, Thing::Attempt(Some(1), None), 0);
        advance(Duration::from_secs(3600)).await;
        gate.note(&session, Thing::Attempt(Some(2), None), 0);
        advance(Duration::from_secs(47 * 3600 - 1)).await;
        gate.sweep();
        assert_eq!(
            gate.note(&session, Thing::Attempt(Some(1), None), 0),
            Some(0),
            "seeing it again"
        );
        advance(Duration::from_secs(1)).await;
        gate.sweep();
        assert_eq!(gate.count(), 1, "does not lengthen its life");
        assert_eq!(gate.note(&session, Thing::Attempt(Some(1), None), 0), None);
        let evicted = metrics.liveness_dedupe_evictions_total.with_label_values(&["expired"]);
        assert_eq!(evicted.get(), 1);
    }
}
