//! What may be told of a slot, and whether its key can be regenerated.

use std::time::Duration;

use serde::Serialize;

use super::ring::{Key, Ring, Slot, SlotName};
use crate::moment::Moment;

/// Within which time a key must have been accepted to be relied on, unless probes come less often.
const RECENTLY: Duration = Duration::from_secs(300);

/// What may be told of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotStatus {
    /// `primary` or `secondary`.
    pub slot: &'static str,
    /// First 8 hex digits of the key's SHA-256; absent where there is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whether its key goes on requests.
    pub serving: bool,
    /// Since when it has this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<String>,
    /// When Azure last accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accepted_at: Option<String>,
    /// When Azure last refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refused_at: Option<String>,
    /// How many requests were sent with it.
    pub requests: u64,
    /// Whether it is safe to regenerate.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Why the last reading was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The key before this one, while it is kept: first 8 hex digits of its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
}

/// Whether a slot's key can be regenerated in Azure without one failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Nothing needs it.
    #[serde(rename = "safe to regenerate")]
    Safe,
    /// There is no proof of either.
    #[serde(rename = "unknown")]
    Unknown,
    /// Something needs it.
    #[serde(rename = "not safe")]
    NotSafe,
}

impl Verdict {
    /// As people and programs read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe to regenerate",
            Self::NotSafe => "not safe to regenerate",
            Self::Unknown => "unknown",
        }
    }
}

/// Gives each slot the worst verdict of all slots, of all upstreams, that the same key is in: what ends it for one ends it for all.
pub fn compare<'a>(upstreams: impl Iterator<Item = (&'a str, &'a mut Vec<SlotStatus>)>) {
    let mut slots: Vec<_> = upstreams
        .flat_map(|(name, slots)| slots.iter_mut().map(move |slot| (name, slot)))
        .collect();
    let told: Vec<_> = slots.iter().map(|(name, slot)| (*name, SlotStatus::clone(slot))).collect();
    for (_, slot) in &mut slots {
        let same =
            told.iter().filter(|(_, other)| slot.fingerprint.is_some() && slot.shares(other));
        if let Some((name, worst)) = same.max_by_key(|(_, other)| other.verdict)
            && worst.verdict > slot.verdict
        {
            slot.verdict = worst.verdict;
            slot.reason = format!("{name} {} has the same key", worst.slot);
        }
    }
}

impl SlotStatus {
    /// Whether the other one has this one's key too, or had it before.
    fn shares(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint || self.fingerprint == other.former
    }
}

impl Ring {
    /// What may be told of each slot.
    pub(super) fn status(&self, upstream: &str, now: Moment, probe: Duration) -> Vec<SlotStatus> {
        SlotName::BOTH.map(|name| self.slot_status(name, upstream, now, probe)).into()
    }

    fn slot_status(
        &self,
        name: SlotName,
        upstream: &str,
        now: Moment,
        probe: Duration,
    ) -> SlotStatus {
        let (verdict, reason) = self.verdict(name, upstream, now, probe);
        let Slot { current, former, problem } = self.slot(name);
        let key = current.as_ref();
        let at = |pick: fn(&Key) -> Option<Moment>| key.and_then(pick).map(Moment::written);
        SlotStatus {
            slot: name.as_str(),
            fingerprint: key.map(|key| key.fingerprint.clone()),
            serving: self.serving_slot() == Some(name),
            loaded_at: at(|key| Some(key.loaded)),
            last_accepted_at: at(|key| key.accepted),
            last_refused_at: at(|key| key.refused),
            requests: key.map_or(0, |key| key.requests),
            verdict,
            reason,
            problem: problem.clone(),
            former: former.as_ref().map(|key| key.fingerprint.clone()),
        }
    }

    /// Whether the slot's key can be regenerated: the other slot serves everything, and that is proven.
    fn verdict(
        &self,
        name: SlotName,
        upstream: &str,
        now: Moment,
        probe: Duration,
    ) -> (Verdict, String) {
        let other = name.other().as_str();
        let Some(key) = &self.slot(name.other()).current else {
            return (Verdict::NotSafe, format!("{other} has no key to serve with meanwhile"));
        };
        if self.slot(name).current.is_none() {
            // It may be what another gateway uses.
            return (Verdict::Unknown, "no key of this slot is known here".to_owned());
        }
        if let (true, Some(at)) = (key.is_refused(), key.refused) {
            return (Verdict::NotSafe, format!("{other} was refused at {}", at.written()));
        }
        if let Some(problem) = &self.slot(name.other()).problem {
            // What is held is good until the process ends, and no longer.
            let told = format!("{other} could not be read again and would not outlive a restart");
            return (Verdict::NotSafe, format!("{told}: {problem}"));
        }
        if self.serving_slot() == Some(name) {
            let how = format!("POST /keys/{upstream}/use?slot={other}");
            return (Verdict::NotSafe, format!("it serves; let {other} serve first: {how}"));
        }
        if self.serving != Some(key.id) {
            let told = format!("{other} serves with the key that it had before");
            return (Verdict::NotSafe, told);
        }
        let held = || self.keys().filter(|(slot, _, _)| *slot == name).map(|(_, _, key)| key);
        let same = |gone: &&Key| held().any(|key| key.value == gone.value);
        let gone = self.leaving.iter().filter(same).map(|key| key.in_flight).sum::<u32>();
        let elsewhere = self.keys().filter(|(slot, _, key)| *slot != name && same(key));
        let elsewhere = elsewhere.map(|(_, _, key)| key.in_flight).sum::<u32>();
        let in_flight = held().map(|key| key.in_flight).sum::<u32>() + gone + elsewhere;
        if in_flight > 0 {
            return (Verdict::NotSafe, format!("requests are on their way with it: {in_flight}"));
        }
        match key.accepted {
            None => (
                Verdict::Unknown,
                format!("{other} has not been accepted since it was loaded or chosen"),
            ),
            Some(at) if now.since(at) > RECENTLY.max(probe * 2) => {
                (Verdict::Unknown, format!("{other} was last accepted at {}", at.written()))
            }
            Some(at) => {
                let used = held().filter_map(|key| key.used).max_by_key(|used| used.wall());
                let since = used.map_or_else(|| "it was loaded".to_owned(), Moment::written);
                let proof = format!("{other} serves and was accepted at {}", at.written());
                (Verdict::Safe, format!("{proof}; no request has used this one since {since}"))
            }
        }
    }
}
