//! Remembers what was seen, so that it is counted once in its life, however often it is asked about.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};

use super::key::SessionKey;
use crate::liveness::Operation;
use crate::liveness::verdict::{Given, Proof};
use crate::moment::Moment;

/// Seconds that something is remembered from when it was first seen: a session's token lives 24 hours at most, and one more for
/// who asks late.
const LONGEST: u32 = 25 * 3600;

/// How many parts it has.
const PARTS: usize = 16;

/// What can be seen of a session.
#[derive(Debug, Clone, Copy)]
pub(super) enum Thing {
    /// An attempt that has ended, by its number.
    Attempt(i64),
    /// The session's end.
    End,
    /// Something odd about it.
    Signal(&'static str),
    /// A digest that was compared with this attempt's.
    Digest(Proof, Given),
    /// A picture's hash that was.
    Picture(Proof, Given),
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

type Key = [u8; 16];

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
        Self { parts: Default::default(), most, start: Moment::now(), evictions }
    }

    /// Notes something with a mark. If it was seen before, the mark of that time, which stays.
    pub(super) fn note(&self, session: &SessionKey, thing: Thing, mark: u32) -> Option<u32> {
        let key = key(session, thing);
        let index = key.first().map_or(0, |byte| usize::from(*byte) % PARTS);
        let mut part = self.parts.get(index)?.lock().unwrap_or_else(PoisonError::into_inner);
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

/// 128 bits of a hash: ids come from outside, and nobody should be able to make two of them meet.
fn key(session: &SessionKey, thing: Thing) -> Key {
    let mut hash = Sha256::new();
    hash.update(session.resource.to_be_bytes());
    hash.update([u8::from(session.operation == Operation::LivenessWithVerify)]);
    hash.update(session.id.as_str());
    // No id holds this byte.
    let compared = |hash: &mut Sha256, tag: u8, proof: Proof, given| {
        hash.update([0, tag]);
        hash.update(proof.attempt.unwrap_or_default().to_be_bytes());
        feed(hash, proof.digest);
        feed(hash, given);
    };
    match thing {
        Thing::Attempt(number) => {
            hash.update([0, 0]);
            hash.update(number.to_be_bytes());
        }
        Thing::End => hash.update([0, 1]),
        Thing::Signal(signal) => {
            hash.update([0, 2]);
            hash.update(signal);
        }
        Thing::Digest(proof, given) => compared(&mut hash, 3, proof, given),
        Thing::Picture(proof, given) => compared(&mut hash, 4, proof, given),
    }
    let hash: [u8; 32] = hash.finalize().into();
    *hash.first_chunk().unwrap_or(&[0; 16])
}

fn feed(hash: &mut Sha256, given: Given) {
    match given {
        Given::Nothing => hash.update([0]),
        Given::Malformed => hash.update([1]),
        Given::Digest(digest) => hash.update(digest.bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::liveness::SessionId;
    use crate::liveness::digest::Digest;
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
            Thing::Attempt(1),
            Thing::Attempt(2),
            Thing::Attempt(-1),
            Thing::End,
            Thing::Signal("a"),
            Thing::Signal("b"),
            Thing::Digest(proof(Some(1), 1), digest(1)),
            Thing::Digest(proof(Some(1), 1), digest(2)),
            Thing::Digest(proof(Some(1), 1), Given::Nothing),
            Thing::Digest(proof(Some(1), 1), Given::Malformed),
            Thing::Digest(proof(Some(2), 1), digest(1)),
            Thing::Digest(proof(None, 2), digest(1)),
            Thing::Picture(proof(Some(1), 1), digest(1)),
        ];
        for again in [None, Some(7)] {
            for session in &sessions {
                for thing in things {
                    assert_eq!(gate.note(session, thing, 7), again, "{session:?} {thing:?}");
                }
            }
        }
        let capital = session(0, Liveness, "A");
        assert_eq!(gate.note(&capital, Thing::Attempt(1), 8), Some(7), "the first mark stays");
    }

    #[test]
    fn what_makes_room_is_told() {
        let metrics = Metrics::new().unwrap();
        let gate = Gate::new(PARTS * 10, &metrics.liveness_dedupe_evictions_total);
        let session = session(0, Operation::Liveness, "a");
        for number in 0..1000 {
            assert_eq!(gate.note(&session, Thing::Attempt(number), 0), None);
        }
        assert_eq!(gate.count(), PARTS * 10);
        let evicted = metrics.liveness_dedupe_evictions_total.with_label_values(&["size"]);
        assert_eq!(evicted.get(), 1000 - 160);
        assert_eq!(gate.note(&session, Thing::Attempt(999), 0), Some(0), "the newest are there");
        assert_eq!(gate.note(&session, Thing::Attempt(0), 0), None, "the oldest are not");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_is_remembered_for_25_hours() {
        let metrics = Metrics::new().unwrap();
        let gate = Gate::new(1000, &metrics.liveness_dedupe_evictions_total);
        let session = session(0, Operation::Liveness, "a");
        gate.note(&session, Thing::Attempt(1), 0);
        advance(Duration::from_secs(3600)).await;
        gate.note(&session, Thing::Attempt(2), 0);
        advance(Duration::from_secs(24 * 3600 - 1)).await;
        gate.sweep();
        assert_eq!(gate.note(&session, Thing::Attempt(1), 0), Some(0), "seeing it again");
        advance(Duration::from_secs(1)).await;
        gate.sweep();
        assert_eq!(gate.count(), 1, "does not lengthen its life");
        assert_eq!(gate.note(&session, Thing::Attempt(1), 0), None);
        let evicted = metrics.liveness_dedupe_evictions_total.with_label_values(&["expired"]);
        assert_eq!(evicted.get(), 1);
    }
}
