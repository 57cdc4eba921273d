//! The keys of a resource, and which of them goes on a request. Nothing here waits, and time is an argument.

use std::time::Duration;

use http::HeaderValue;

use super::super::finding::Refusal;
use super::super::rest::Rest;
use super::NoKey;
use crate::moment::Moment;
use crate::secret::Secret;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotName {
    /// Where the first key lies.
    Primary,
    /// Where the second key lies.
    Secondary,
}

/// How long Azure may not know a new key yet, as far as it is worth waiting for it with short rests.
const LAG: Duration = Duration::from_secs(600);

/// Both slots.
#[derive(Debug, Default)]
pub(super) struct Ring {
    pub(super) slots: [Slot; 2],
    /// The id of the key that goes on requests.
    pub(super) serving: Option<u64>,
    pub(super) rest: Rest,
    /// Keys that no slot has any more, with which requests are still on their way.
    pub(super) leaving: Vec<Key>,
    ids: u64,
}

/// One of a resource's two slots.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The key that was read last.
    pub(super) current: Option<Key>,
    /// The key before it, for as long as Azure has not accepted the current one.
    pub(super) former: Option<Key>,
    /// Why the last reading was refused.
    pub(super) problem: Option<String>,
}

/// A key, and what became of requests with it.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: u64,
    pub(super) value: HeaderValue,
    pub(super) fingerprint: String,
    pub(super) loaded: Moment,
    pub(super) accepted: Option<Moment>,
    pub(super) refused: Option<Moment>,
    /// The last that Azure said of it, if that was no, and nobody has said otherwise since.
    pub(super) refusal: Option<Refusal>,
    /// When a request of an app's was last sent with it.
    pub(super) used: Option<Moment>,
    pub(super) requests: u64,
    pub(super) in_flight: u32,
    /// When it was last tried, or loaded.
    pub(super) tried: Moment,
    /// How long after that a probe tries it.
    pub(super) patience: Duration,
    /// Whether a probe is on its way with it.
    pub(super) probed: bool,
    pub(super) failures: u32,
}

/// What one request has tried.
#[derive(Debug, Default)]
pub struct Tried {
    pub(in super::super) ids: Vec<u64>,
}

/// What a request is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go with this key.
    Go { id: u64, slot: SlotName, value: HeaderValue },
    /// Every key is refused, and the resource is left alone for now.
    Resting,
    /// It has tried them all.
    Exhausted,
    /// There is no key.
    Nothing,
}

/// What it changed that a key was accepted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Everything had been refused before.
    pub(super) recovered: bool,
    /// Another slot serves from now on, since the one before was refused so.
    pub(super) failed_over: Option<(SlotName, Refusal)>,
}

impl SlotName {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Primary, Self::Secondary];

    /// As in the configuration and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }

    /// The slot of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|slot| slot.as_str() == text)
    }

    /// The other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }
}

impl Key {
    pub(super) fn new(id: u64, secret: &Secret, now: Moment, patience: Duration) -> Option<Self> {
        Some(Self {
            id,
            value: secret.header_value()?,
            fingerprint: secret.fingerprint(),
            loaded: now,
            accepted: None,
            refused: None,
            refusal: None,
            used: None,
            requests: 0,
            in_flight: 0,
            tried: now,
            patience,
            probed: false,
            failures: 0,
        })
    }

    /// Whether the last that Azure said of it was no.
    pub(super) const fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }
}

impl Ring {
    pub(super) const fn slot(&self, name: SlotName) -> &Slot {
        let [primary, secondary] = &self.slots;
        match name {
            SlotName::Primary => primary,
            SlotName::Secondary => secondary,
        }
    }

    pub(super) const fn slot_mut(&mut self, name: SlotName) -> &mut Slot {
        let [primary, secondary] = &mut self.slots;
        match name {
            SlotName::Primary => primary,
            SlotName::Secondary => secondary,
        }
    }

    /// Every key there is, with its slot and whether it is that slot's current one.
    pub(super) fn keys(&self) -> impl Iterator<Item = (SlotName, bool, &Key)> {
        SlotName::BOTH.into_iter().flat_map(|name| {
            let Slot { current, former, .. } = self.slot(name);
            let current = current.iter().map(move |key| (name, true, key));
            current.chain(former.iter().map(move |key| (name, false, key)))
        })
    }

    pub(super) fn key_mut(&mut self, id: u64) -> Option<&mut Key> {
        let keys = self.slots.iter_mut().flat_map(|slot| [&mut slot.current, &mut slot.former]);
        keys.flatten().find(|key| key.id == id)
    }

    /// The slot of a key, and whether it is the current one there.
    pub(super) fn find(&self, id: u64) -> Option<(SlotName, bool)> {
        self.keys().find(|(_, _, key)| key.id == id).map(|(name, current, _)| (name, current))
    }

    /// The slot that serves.
    pub(super) fn serving_slot(&self) -> Option<SlotName> {
        self.find(self.serving?).map(|(slot, _)| slot)
    }

    /// A number that no key has had.
    pub(super) const fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The key for a request's next try. What is refused comes after what is not, what serves before what does not, and what a
    /// slot had before after all else.
    pub(super) fn next(&mut self, tried: &mut Tried, now: Moment) -> Next {
        let is_new = |(_, current, key): (SlotName, bool, &Key)| {
            current && key.accepted.is_none() && now.since(key.loaded) < LAG
        };
        let hope = self.keys().any(is_new);
        if tried.ids.is_empty() && self.serving.is_some() && self.rest.holds(now, hope) {
            return Next::Resting;
        }
        let left = self.keys().filter(|(_, _, key)| !tried.ids.contains(&key.id));
        let best = left.min_by_key(|(_, current, key)| {
            let serving = self.serving == Some(key.id);
            (key.is_refused(), !serving, !current)
        });
        let Some((id, slot)) = best.map(|(slot, _, key)| (key.id, slot)) else {
            return if tried.ids.is_empty() { Next::Nothing } else { Next::Exhausted };
        };
        tried.ids.push(id);
        let Some(key) = self.key_mut(id) else {
            return Next::Nothing;
        };
        key.used = Some(now);
        key.requests += 1;
        key.in_flight += 1;
        Next::Go { id, slot, value: key.value.clone() }
    }

    /// A request of an app's is over, whatever came of it.
    pub(super) fn done(&mut self, id: u64) {
        let gone = self.leaving.iter().position(|key| key.id == id);
        let key = match gone {
            Some(place) => self.leaving.get_mut(place),
            None => self.key_mut(id),
        };
        if let Some(key) = key {
            key.in_flight = key.in_flight.saturating_sub(1);
        }
        self.leaving.retain(|key| key.in_flight > 0);
    }

    /// A slot has this key no more.
    pub(super) fn leave(&mut self, key: Option<Key>) {
        self.leaving.extend(key.filter(|key| key.in_flight > 0));
    }

    /// Azure accepted what was sent with it then. Where what served was refused, this one serves from now on.
    pub(super) fn accepted(
        &mut self,
        id: u64,
        sent: Moment,
        now: Moment,
        probe: Duration,
    ) -> Change {
        let Some((slot, current)) = self.find(id) else {
            return Change::default();
        };
        if let Some(key) = self.key_mut(id) {
            // That it was good before it was refused says nothing of now.
            if key.is_refused() && key.refused.is_some_and(|refused| sent.is_before(refused)) {
                return Change::default();
            }
            key.accepted = Some(sent);
            (key.refusal, key.failures, key.probed) = (None, 0, false);
            (key.tried, key.patience) = (now, probe);
        }
        let recovered = self.rest.end();
        let (before, serving) = (self.serving_slot(), self.serving);
        let refusal = serving.and_then(|id| self.key_mut(id)).and_then(|key| key.refusal);
        // What the slot had before is not needed any more.
        let former = if current { self.slot_mut(slot).former.take() } else { None };
        let succeeds = former.as_ref().is_some_and(|former| Some(former.id) == serving);
        self.leave(former);
        if succeeds || refusal.is_some() {
            self.serving = Some(id);
        }
        let failed_over = refusal.filter(|_| before != Some(slot));
        Change { recovered, failed_over: failed_over.map(|refusal| (slot, refusal)) }
    }

    /// Azure refused what was sent with it then.
    pub(super) fn refused(
        &mut self,
        id: u64,
        refusal: Refusal,
        sent: Moment,
        now: Moment,
        probe: Duration,
    ) {
        let Some(key) = self.key_mut(id) else {
            return;
        };
        // That it was not known yet before it was accepted says nothing of now.
        if key.accepted.is_some_and(|accepted| sent.is_before(accepted)) {
            return;
        }
        (key.refused, key.refusal) = (Some(now), Some(refusal));
        key.again_later(now, probe);
    }

    /// It was probed, and the answer says nothing about it.
    pub(super) fn unanswered(&mut self, id: u64, now: Moment, probe: Duration) {
        if let Some(key) = self.key_mut(id) {
            key.again_later(now, probe);
        }
    }

    /// A slot is chosen by hand. Whether it was another one that served; an error if it has no key.
    pub(super) fn choose(&mut self, slot: SlotName) -> Result<bool, NoKey> {
        let before = self.serving_slot();
        let key = self.slot_mut(slot).current.as_mut().ok_or(NoKey)?;
        if key.refusal.take().is_some() {
            // That it was good once proves nothing any more.
            key.accepted = None;
        }
        // It is tried at once.
        (key.failures, key.patience) = (0, Duration::ZERO);
        self.serving = Some(key.id);
        self.rest.end();
        Ok(before != Some(slot))
    }
}

impl Key {
    /// It was tried and is not known to be good: tried again soon, and then later and later. What was on its way beside that
    /// try makes it no later.
    fn again_later(&mut self, now: Moment, probe: Duration) {
        let beside = self.failures > 0 && now.since(self.tried) < self.patience;
        if beside && !self.probed {
            return;
        }
        self.probed = false;
        let seconds = 1_u64 << self.failures.min(20);
        self.failures += 1;
        (self.tried, self.patience) = (now, Duration::from_secs(seconds).min(probe));
    }
}
