//! Remembers what was seen, so that it is counted once in its life, however often it is asked about.

use std::time::Duration;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};

use super::key::SessionKey;
use crate::liveness::Operation;
use crate::liveness::verdict::{Given, Proof};

/// Longest time that a session can be asked about with a token that lives, and an hour: a token lives 24 hours at most.
const LONGEST: Duration = Duration::from_secs(25 * 3600);

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
#[derive(Debug)]
pub(super) struct Gate(Cache<[u8; 16], u64>);

impl Gate {
    /// For so many things.
    pub(super) fn new(most: u64, evictions: &IntCounterVec) -> Self {
        let evictions = evictions.clone();
        let cache = Cache::builder()
            .max_capacity(most)
            .time_to_live(LONGEST)
            // What is new must find a place: it is what comes again.
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_, _, cause| match cause {
                RemovalCause::Expired => evictions.with_label_values(&["expired"]).inc(),
                RemovalCause::Size => evictions.with_label_values(&["size"]).inc(),
                RemovalCause::Explicit | RemovalCause::Replaced => {}
            })
            .build();
        Self(cache)
    }

    /// Notes something with a mark. If it was seen before, the mark of that time, which stays.
    pub(super) fn note(&self, session: &SessionKey, thing: Thing, mark: u64) -> Option<u64> {
        let entry = self.0.entry(key(session, thing)).or_insert(mark);
        (!entry.is_fresh()).then(|| entry.into_value())
    }

    /// How much is remembered.
    pub(super) fn count(&self) -> u64 {
        self.0.entry_count()
    }

    /// Frees what has expired.
    pub(super) fn sweep(&self) {
        self.0.run_pending_tasks();
    }
}

/// 128 bits of a hash: ids come from outside, and nobody should be able to make two of them meet.
fn key(session: &SessionKey, thing: Thing) -> [u8; 16] {
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
        let gate = Gate::new(10, &metrics.liveness_dedupe_evictions_total);
        let session = session(0, Operation::Liveness, "a");
        for number in 0..25 {
            gate.note(&session, Thing::Attempt(number), 0);
            gate.sweep();
        }
        assert_eq!(gate.count(), 10);
        let evicted = metrics.liveness_dedupe_evictions_total.with_label_values(&["size"]);
        assert_eq!(evicted.get(), 15);
        assert_eq!(gate.note(&session, Thing::Attempt(24), 0), Some(0), "the newest are there");
        assert_eq!(gate.note(&session, Thing::Attempt(0), 0), None, "the oldest are not");
    }
}
