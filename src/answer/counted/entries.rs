//! Counts the entries of Azure's audit lists, each once, and remembers what was odd about them when they were seen first.

use std::hash::{BuildHasher as _, Hasher as _};

use http::StatusCode;

use super::{Counted, SessionKey, Thing, gate, mark};
use crate::liveness::Family;
use crate::liveness::audit::Entry;
use crate::liveness::audit::signal::{Signal, Signals};
use crate::liveness::session::Attempt;
use crate::liveness::verdict::Given;
use crate::metrics::label::Class;

/// The bits of an entry's mark that tell what was odd about it.
const FLAGS: [(Signal, u32); 3] =
    [(Signal::DigestReuse, 1), (Signal::ImageReuse, 2), (Signal::ResultMismatch, 4)];

/// Those that tell which picture was kept of it. Not all versions show it.
const IMAGE: u32 = 0xFF << 3;

/// Those that tell what it showed.
const SHOWN: u32 = !(IMAGE | 7);

/// An answer about a list, as it is known again.
pub(in crate::answer) struct Seen([u8; 16]);

impl Counted {
    /// Counts an entry, and tells what is odd about it beside what was seen before.
    pub(in crate::answer) fn entry(&self, session: &SessionKey, entry: &Entry<'_>) -> Signals {
        let Some(id) = entry.id else {
            return self.reuse(session, &entry.attempt);
        };
        let thing = Thing::Entry(id);
        let image = gate::mark(&entry.attempt.image.as_deref());
        let now = shown(&entry.attempt) | (image & IMAGE);
        let Some(before) = self.seen.mark(session, thing) else {
            let mut odd = self.reuse(session, &entry.attempt);
            odd.add(Signal::ResultMismatch, self.session_differs(session, &entry.attempt));
            let has = |(signal, _): &&(Signal, u32)| odd.iter().any(|is| is == *signal);
            let flags: u32 = FLAGS.iter().filter(has).map(|(_, flag)| flag).sum();
            if self.seen.note(session, thing, now | flags).is_none() {
                self.first(session, entry);
            }
            return odd;
        };
        let mut odd = Signals::default();
        for (signal, flag) in FLAGS {
            odd.add(signal, before & flag != 0);
        }
        odd.add(Signal::ResultMismatch, before & SHOWN != now & SHOWN);
        if before & (SHOWN | IMAGE) != now {
            odd.merge(self.reuse(session, &entry.attempt));
        }
        odd
    }

    /// Whether its digest or its picture was seen in another session.
    pub(in crate::answer) fn reuse(&self, session: &SessionKey, attempt: &Attempt) -> Signals {
        self.reused.see(session, attempt.proof.digest, attempt.image.as_deref())
    }

    /// An answer about a list by all its bytes, and by what else makes a difference to what is found. The hash's key is random, and
    /// each process has its own.
    pub(in crate::answer) fn seen_as<'a>(
        &self,
        parts: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Seen {
        let mut seen = [0; 16];
        for (state, half) in self.states.iter().zip(seen.chunks_exact_mut(8)) {
            let mut hash = state.build_hasher();
            parts.clone().for_each(|part| hash.write(part));
            half.copy_from_slice(&hash.finish().to_be_bytes());
        }
        Seen(seen)
    }

    /// Whether this was read before. Then there is nothing to count in it, and nothing new to find.
    pub(in crate::answer) fn knows(&self, session: &SessionKey, seen: &Seen) -> bool {
        self.seen.mark(session, Thing::List(seen.0)).is_some()
    }

    /// Remembers that it was read.
    pub(in crate::answer) fn learn(&self, session: &SessionKey, seen: &Seen) {
        self.seen.note(session, Thing::List(seen.0), 0);
    }

    /// What an entry showed that was counted.
    pub(super) fn listed(&self, session: &SessionKey, id: i64) -> Option<u32> {
        self.seen.mark(session, Thing::Entry(id)).map(|mark| mark & SHOWN)
    }

    /// Whether the session showed this attempt otherwise, by its number or by its digest.
    fn session_differs(&self, session: &SessionKey, attempt: &Attempt) -> bool {
        let number = Thing::Attempt(None, attempt.entry);
        let received = match attempt.proof.digest {
            Given::Digest(digest) => Some(Thing::Received(Family::Ga, digest)),
            Given::Nothing | Given::Malformed => None,
        };
        let mut things = [Some(number), received].into_iter().flatten();
        things.any(|thing| self.seen.mark(session, thing).is_some_and(|it| it != mark(attempt)))
    }

    fn first(&self, session: &SessionKey, entry: &Entry<'_>) {
        let labels = [session.operation.label(), class(entry.status)];
        self.metrics.audit_entries_total.with_label_values(&labels).inc();
        if let Some(millis) = entry.service {
            let seconds = std::time::Duration::from_millis(millis).as_secs_f64();
            let duration = &self.metrics.audit_service_duration_seconds;
            duration.with_label_values(&labels).observe(seconds);
        }
    }
}

/// What an entry's attempt shows, which must never change.
pub(super) fn shown(attempt: &Attempt) -> u32 {
    let digest = match &attempt.proof.digest {
        Given::Nothing => None,
        Given::Malformed => Some([0; 32]),
        Given::Digest(digest) => Some(*digest.bytes()),
    };
    gate::mark(&(&attempt.outcome, attempt.identical, digest)) & SHOWN
}

/// The class of the status that a device was answered with, as a label.
fn class(status: Option<u16>) -> &'static str {
    let known = status.filter(|status| *status < 600);
    known
        .and_then(|status| StatusCode::from_u16(status).ok())
        .map_or("other", |status| Class::new(status).as_str())
}
