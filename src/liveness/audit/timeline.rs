//! Where entries stand among the others of their session, and what is odd about their order.
//!
//! Azure's lists ascend by `id`, and come in pages. What lies outside of a page is not known, and not guessed at.

use jiff::Timestamp;

use super::Entry;
use super::signal::{Signal, Signals};
use crate::liveness::decision::Outcome;
use crate::liveness::verdict::Given;

/// Milliseconds. A person who holds up the next picture as soon as the last one failed is no person.
const RAPID: i64 = 10_000;

/// Microseconds that an entry may come before one with a lower id: many servers take them in.
const SLACK: i64 = 1_000_000;

/// Microseconds that Azure's clock may be ahead of the gateway's.
const AHEAD: i64 = 60_000_000;

/// What a page shows of its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// It begins with the list's first entry.
    pub first: bool,
    /// It ends with the last one.
    pub last: bool,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Which one of its session it is, from 1.
    pub ordinal: Option<usize>,
    /// Milliseconds since the one before.
    pub since_previous: Option<i64>,
    /// Milliseconds since the session's first.
    pub since_first: Option<i64>,
    /// What is odd about it beside the others.
    pub signals: Signals,
}

/// Where all entries of a page stand.
#[derive(Debug)]
pub struct Timeline {
    /// As the entries.
    pub places: Vec<Place>,
    /// How many entries the session has.
    pub of: Option<usize>,
}

impl Reach {
    /// All of it.
    pub const WHOLE: Self = Self { first: true, last: true };

    /// Of the page behind `start`, for so many entries at most, which came with so many.
    pub fn of_page(start: Option<&str>, top: Option<u16>, count: usize) -> Self {
        // The API's default is 1,000. Its own sample asks for the first page with `start=0`.
        let top = top.map_or(1_000, usize::from);
        Self { first: matches!(start, None | Some("" | "0")), last: count < top }
    }

    const fn is_whole(self) -> bool {
        self.first && self.last
    }
}

impl Timeline {
    /// Of entries that were told at this time.
    pub fn new(entries: &[Entry<'_>], reach: Reach, now: Timestamp) -> Self {
        let mut places = vec![Place::default(); entries.len()];
        let mut by_id: Vec<_> = entries.iter().zip(&mut places).collect();
        let ascends = by_id.is_sorted_by(|(one, _), (next, _)| one.id <= next.id);
        if !ascends {
            by_id.sort_by_key(|(entry, _)| entry.id);
        }
        // None comes first.
        let all_have_ids = by_id.first().is_none_or(|(entry, _)| entry.id.is_some());
        let ordered = all_have_ids && (ascends || reach.is_whole());
        let mut walk = Walk { first: reach.first, now, ..Walk::default() };
        for (entry, place) in &mut by_id {
            **place = walk.step(entry, ordered);
        }
        let of = (ordered && reach.is_whole()).then_some(walk.count);
        again(&mut by_id, Signal::DigestReuse, |entry| match &entry.attempt.proof.digest {
            Given::Digest(digest) => Some(digest.bytes().as_slice()),
            _ => None,
        });
        again(&mut by_id, Signal::ImageReuse, |entry| {
            entry.attempt.image.as_deref().map(str::as_bytes)
        });
        Self { places, of }
    }
}

/// Marks whatever has something that an entry with a lower id has too.
fn again<'e>(
    by_id: &mut [(&'e Entry<'_>, &mut Place)],
    signal: Signal,
    of: impl Fn(&'e Entry<'_>) -> Option<&'e [u8]>,
) {
    let has = |(index, (entry, _)): (_, &(&'e Entry<'_>, _))| Some((of(entry)?, entry.id?, index));
    let mut all: Vec<(_, i64, usize)> = by_id.iter().enumerate().filter_map(has).collect();
    all.sort_unstable();
    let mut first: Option<(&[u8], i64)> = None;
    for (what, id, index) in all {
        match first {
            Some((same, lowest)) if same == what => {
                if let Some((_, place)) = by_id.get_mut(index) {
                    place.signals.add(signal, lowest < id);
                }
            }
            _ => first = Some((what, id)),
        }
    }
}

/// What was seen on the way from the lowest id.
#[derive(Default)]
struct Walk {
    first: bool,
    now: Timestamp,
    count: usize,
    last: Option<(i64, Place)>,
    begun: Option<Timestamp>,
    received: Option<Timestamp>,
    real: Option<bool>,
    picture: Given,
}

impl Walk {
    /// The place of the next entry. One that is there twice has one place.
    fn step(&mut self, entry: &Entry<'_>, ordered: bool) -> Place {
        let place = match (self.last, entry.id) {
            (Some((last, place)), Some(id)) if id == last => place,
            _ => self.place(entry, ordered),
        };
        self.last = entry.id.map(|id| (id, place));
        place
    }

    fn place(&mut self, entry: &Entry<'_>, ordered: bool) -> Place {
        let mut place = Place::default();
        let ahead = entry.received.is_some_and(|received| micros(self.now, received) > AHEAD);
        place.signals.add(Signal::ClockSkew, ahead);
        self.count += 1;
        if !ordered {
            return place;
        }
        if self.count == 1 {
            self.begun = entry.received.filter(|_| self.first);
        }
        let since = |earlier: Option<Timestamp>| {
            earlier.zip(entry.received).map(|(earlier, received)| micros(earlier, received))
        };
        let previous = since(self.received);
        let millis = |micros: Option<i64>| micros.filter(|micros| *micros >= 0).map(|it| it / 1000);
        place.ordinal = self.first.then_some(self.count);
        place.since_previous = millis(previous);
        place.since_first = millis(since(self.begun));
        place.signals.add(Signal::ClockSkew, previous.is_some_and(|micros| micros < -SLACK));
        let rapid = place.since_previous.is_some_and(|millis| millis < RAPID);
        place.signals.add(Signal::RapidRetry, rapid);
        self.received = entry.received;
        self.decided(entry, &mut place.signals);
        place
    }

    /// Whether it was decided or verified otherwise before.
    fn decided(&mut self, entry: &Entry<'_>, signals: &mut Signals) {
        let real = match &entry.attempt.outcome {
            Outcome::Word(word) if word == "realface" => Some(true),
            Outcome::Word(word) if word == "spoofface" => Some(false),
            _ => None,
        };
        let flips = real.zip(self.real).is_some_and(|(now, before)| now != before);
        signals.add(Signal::DecisionFlip, flips);
        self.real = real.or(self.real);
        let picture = entry.attempt.proof.picture;
        if picture != Given::Nothing {
            let changed = self.picture != Given::Nothing && self.picture != picture;
            signals.add(Signal::VerifyImageChanged, changed);
            self.picture = picture;
        }
    }
}

/// Microseconds from one to the other.
fn micros(from: Timestamp, to: Timestamp) -> i64 {
    to.as_microsecond() - from.as_microsecond()
}

#[cfg(test)]
mod tests;
