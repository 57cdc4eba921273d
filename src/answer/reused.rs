//! Remembers where digests and pictures were seen, for the same one of two sessions is odd.
//!
//! The session that was seen first is the one that it is remembered for.

use prometheus::IntCounterVec;
use sha2::{Digest as _, Sha256};

use super::gate::{self, Gate, Key};
use super::key::SessionKey;
use crate::liveness::audit::signal::{Signal, Signals};
use crate::liveness::verdict::Given;

/// Most digests and pictures that are remembered: some 20 MB.
const MOST: usize = 500_000;

/// Where digests and pictures were seen.
#[derive(Debug)]
pub(super) struct Reused(Gate);

impl Reused {
    /// Nowhere yet.
    pub(super) fn new(evictions: &IntCounterVec) -> Self {
        Self(Gate::new(MOST, evictions))
    }

    /// Notes what was seen of a session, and tells what was seen of another one before.
    pub(super) fn see(&self, session: &SessionKey, digest: Given, image: Option<&str>) -> Signals {
        let mut signals = Signals::default();
        let mark = gate::mark(session);
        let elsewhere = |key| self.0.put(key, mark).is_some_and(|before| before != mark);
        if let Given::Digest(digest) = digest {
            signals.add(Signal::DigestReuse, elsewhere(key(b"digest", digest.bytes())));
        }
        if let Some(image) = image {
            signals.add(Signal::ImageReuse, elsewhere(key(b"image", image.as_bytes())));
        }
        signals
    }

    /// Frees what has expired.
    pub(super) fn sweep(&self) {
        self.0.sweep();
    }
}

fn key(what: &[u8], seen: &[u8]) -> Key {
    let hash: [u8; 32] = Sha256::new().chain_update(what).chain_update(seen).finalize().into();
    *hash.first_chunk().unwrap_or(&[0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::digest::Digest;
    use crate::liveness::{Operation, SessionId};
    use crate::metrics::Metrics;

    #[test]
    fn what_is_of_two_sessions_is_odd_for_the_second() {
        let reused = Reused::new(&Metrics::new().unwrap().liveness_reuse_evictions_total);
        let session = |resource, id| {
            SessionKey::new(resource, Operation::Liveness, &SessionId::parse(id).unwrap())
        };
        let digest = |fill| Given::Digest(Digest::from([fill; 32]));
        let see = |session: &SessionKey, digest, image| {
            reused.see(session, digest, image).iter().collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(see(&session(0, "a"), digest(1), Some("i")), []);
            assert_eq!(see(&session(0, "A"), digest(1), Some("i")), [], "the same session");
            assert_eq!(see(&session(0, "b"), digest(1), None), [Signal::DigestReuse]);
            assert_eq!(see(&session(1, "a"), digest(2), Some("i")), [Signal::ImageReuse]);
            assert_eq!(see(&session(0, "c"), Given::Malformed, Some("j")), []);
        }
        assert_eq!(
            see(&session(2, "a"), digest(2), Some("j")),
            [Signal::DigestReuse, Signal::ImageReuse]
        );
    }
}
