//! What a reading of the slots changes.

use std::mem::take;
use std::time::Duration;

use http::HeaderValue;

use super::ring::{Key, Ring, Slot, SlotName};
use crate::config;
use crate::moment::Moment;
use crate::secret::Secret;

/// What came of reading one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It has a new key.
    New,
    /// It has the key that it had.
    Unchanged,
    /// What is there is no key; the last good one stays. Whether that is news.
    Invalid { news: bool },
    /// Nothing could be read; the last good one stays. Whether that is news.
    Unreadable { news: bool },
}

impl Reading {
    /// The value of the metric label `result`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::New => "ok",
            Self::Unchanged => "unchanged",
            Self::Invalid { .. } => "invalid",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl Ring {
    /// Takes what was read. A new key is probed after this time. What became of each slot that there is, and the slot that serves from now
    /// on where the one before has no key any more.
    pub(super) fn load(
        &mut self,
        read: &[Option<config::Slot>; 2],
        now: Moment,
        patience: Duration,
    ) -> (Vec<(SlotName, Reading)>, Option<SlotName>) {
        let (mut readings, before) = (Vec::new(), self.serving_slot());
        for (name, read) in SlotName::BOTH.into_iter().zip(read) {
            match read {
                None => {
                    let Slot { current, former, .. } = take(self.slot_mut(name));
                    self.leave(current);
                    self.leave(former);
                }
                Some(read) => readings.push((name, self.take(name, read, now, patience))),
            }
        }
        if self.serving_slot().is_none() {
            let first = self.keys().find(|(_, current, _)| *current);
            self.serving = first.map(|(_, _, key)| key.id);
        }
        (readings, self.serving_slot().filter(|now| before.is_some_and(|before| before != *now)))
    }

    fn take(
        &mut self,
        name: SlotName,
        read: &config::Slot,
        now: Moment,
        patience: Duration,
    ) -> Reading {
        match &read.key {
            Ok(secret) => {
                self.slot_mut(name).problem = None;
                self.exchange(name, secret, now, patience)
            }
            Err(unusable) => {
                let problem = Some(unusable.mistake.to_string());
                let slot = self.slot_mut(name);
                let news = slot.problem != problem;
                slot.problem = problem;
                match unusable.unreadable {
                    true => Reading::Unreadable { news },
                    false => Reading::Invalid { news },
                }
            }
        }
    }

    fn exchange(
        &mut self,
        name: SlotName,
        secret: &Secret,
        now: Moment,
        patience: Duration,
    ) -> Reading {
        let is = |key: &Option<Key>| key.as_ref().is_some_and(|key| key.value == secret.reveal());
        if is(&self.slot(name).current) {
            return Reading::Unchanged;
        }
        let id = self.new_id();
        let Slot { current, former, problem } = take(self.slot_mut(name));
        // A file may be given back what it had.
        let (new, former) = if is(&former) {
            (former, None)
        } else {
            (Key::new(id, secret, now, patience), former)
        };
        let served =
            self.serving.is_some_and(|id| current.as_ref().is_some_and(|key| key.id == id));
        if served {
            self.serving = new.as_ref().map(|key| key.id);
        }
        // A key that was never accepted is not worth keeping where there is one that was.
        let proven = |key: &Key| key.accepted.is_some();
        let keep = current.as_ref().is_some_and(proven) || former.is_none();
        let (former, gone) = if keep { (current, former) } else { (former, current) };
        self.leave(gone);
        *self.slot_mut(name) = Slot { current: new, former, problem };
        self.rest.end();
        Reading::New
    }

    /// The keys that are to be probed now. Where there is only one, requests alone prove it, for nobody could take its place.
    pub(super) fn due(
        &mut self,
        now: Moment,
        probe: Duration,
    ) -> Vec<(u64, SlotName, HeaderValue)> {
        if probe.is_zero() || self.keys().nth(1).is_none() {
            return Vec::new();
        }
        let mut due = Vec::new();
        for name in SlotName::BOTH {
            let Some(key) = &mut self.slot_mut(name).current else {
                continue;
            };
            // How often may have been changed meanwhile.
            let patience = if key.probed { key.patience } else { key.patience.min(probe) };
            if now.since(key.tried) >= patience {
                // Until something is known of it.
                (key.tried, key.patience, key.probed) = (now, probe.max(UNANSWERED), true);
                due.push((key.id, name, key.value.clone()));
            }
        }
        due
    }
}

/// After which time a probe that nothing was heard of is made again.
const UNANSWERED: Duration = Duration::from_secs(60);
