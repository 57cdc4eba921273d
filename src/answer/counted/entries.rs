//! Counts the entries of Azure's audit lists, each once, and remembers what was odd about them when they were seen first.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Counted, SessionKey, Thing};
use crate::liveness::audit::Entry;
use crate::liveness::audit::signal::{Signal, Signals};
use crate::liveness::verdict::Given;

/// The bits of a mark that tell what was odd; the others tell what the entry showed.
const FLAGS: [(Signal, u32); 2] = [(Signal::DigestReuse, 1), (Signal::ImageReuse, 2)];

const SHOWN: u32 = !3;

impl Counted {
    /// Counts an entry, and tells what is odd about it beside what was seen before.
    pub(in crate::answer) fn entry(&self, session: &SessionKey, entry: &Entry<'_>) -> Signals {
        let Some(id) = entry.id else {
            return self.reuse(session, entry);
        };
        let (thing, shown) = (Thing::Entry(id), shown(entry));
        let Some(before) = self.seen.mark(session, thing) else {
            let odd = self.reuse(session, entry);
            let has = |(signal, _): &&(Signal, u32)| odd.iter().any(|is| is == *signal);
            let flags: u32 = FLAGS.iter().filter(has).map(|(_, flag)| flag).sum();
            if self.seen.note(session, thing, shown | flags).is_none() {
                self.first(session, entry);
            }
            return odd;
        };
        let mut odd = Signals::default();
        for (signal, flag) in FLAGS {
            odd.add(signal, before & flag != 0);
        }
        odd.add(Signal::ResultMismatch, before & SHOWN != shown);
        odd
    }

    /// Whether its digest or its picture was seen in another session.
    pub(in crate::answer) fn reuse(&self, session: &SessionKey, entry: &Entry<'_>) -> Signals {
        let image = entry.image.as_ref().map(|image| image.as_str());
        self.reused.see(session, entry.attempt.proof.digest, image)
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

/// What an entry shows, which must never change.
fn shown(entry: &Entry<'_>) -> u32 {
    let attempt = &entry.attempt;
    let digest = match &attempt.proof.digest {
        Given::Nothing => None,
        Given::Malformed => Some([0; 32]),
        Given::Digest(digest) => Some(*digest.bytes()),
    };
    let mut hash = DefaultHasher::new();
    (&attempt.outcome, attempt.identical, digest).hash(&mut hash);
    let [.., a, b, c, d] = hash.finish().to_be_bytes();
    u32::from_be_bytes([a, b, c, d]) & SHOWN
}

/// The class of the status that a device was answered with, as a label.
const fn class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        _ => "other",
    }
}
