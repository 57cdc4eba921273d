//! The resource's two keys, and how long a regenerated one lingers or lags.

use uuid::Uuid;

use super::clock::Moment;

/// Both slots.
#[derive(Debug)]
pub(super) struct Keys([Slot; 2]);

/// Which of the two: 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(super) enum SlotNumber {
    One,
    Two,
}

#[derive(Debug)]
struct Slot {
    value: String,
    /// The value is refused before this.
    valid_from: Option<Moment>,
    /// Former values, each accepted until its moment.
    lingering: Vec<(String, Moment)>,
}

/// How a change of a key spreads, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lag {
    /// The old value is accepted for so long.
    pub(super) old: i64,
    /// The new value is refused for so long.
    pub(super) new: i64,
}

impl Keys {
    /// Up to two given values; what is missing is made up.
    pub(super) fn new(given: Vec<String>) -> Self {
        let mut values = given.into_iter().chain(std::iter::repeat_with(random));
        Self([(); 2].map(|()| Slot {
            value: values.next().unwrap_or_default(),
            valid_from: None,
            lingering: Vec::new(),
        }))
    }

    /// The values that the two slots have.
    pub(super) fn values(&self) -> [String; 2] {
        let Self([one, two]) = self;
        [one.value.clone(), two.value.clone()]
    }

    /// The slot that accepts this value now.
    pub(super) fn accepts(&self, value: &str, now: Moment) -> Option<SlotNumber> {
        let Self([one, two]) = self;
        [(SlotNumber::One, one), (SlotNumber::Two, two)]
            .into_iter()
            .find(|(_, slot)| slot.accepts(value, now))
            .map(|(number, _)| number)
    }

    /// Gives a slot a new value (a random one without `value`) and tells it.
    pub(super) fn change(
        &mut self,
        slot: SlotNumber,
        value: Option<String>,
        lag: Lag,
        now: Moment,
    ) -> String {
        let Self([one, two]) = self;
        let slot = match slot {
            SlotNumber::One => one,
            SlotNumber::Two => two,
        };
        let new = value.unwrap_or_else(random);
        let old = std::mem::replace(&mut slot.value, new.clone());
        slot.lingering.retain(|(_, until)| now < *until);
        if lag.old > 0 {
            slot.lingering.push((old, now.plus_seconds(lag.old)));
        }
        slot.valid_from = (lag.new > 0).then(|| now.plus_seconds(lag.new));
        new
    }
}

impl Slot {
    fn accepts(&self, value: &str, now: Moment) -> bool {
        let known = self.valid_from.is_none_or(|from| now >= from);
        let lingers = |(old, until): &(String, Moment)| old == value && now < *until;
        (known && self.value == value) || self.lingering.iter().any(lingers)
    }
}

impl TryFrom<u8> for SlotNumber {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err("a slot is 1 or 2"),
        }
    }
}

impl From<SlotNumber> for u8 {
    fn from(slot: SlotNumber) -> Self {
        match slot {
            SlotNumber::One => 1,
            SlotNumber::Two => 2,
        }
    }
}

fn random() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(0);

    fn keys() -> Keys {
        Keys::new(vec!["a".into(), "b".into()])
    }

    #[test]
    fn both_keys_open_and_no_other() {
        let keys = keys();
        assert_eq!(keys.accepts("a", NOW), Some(SlotNumber::One));
        assert_eq!(keys.accepts("b", NOW), Some(SlotNumber::Two));
        assert_eq!(keys.accepts("", NOW), None);
        assert_eq!(keys.accepts("A", NOW), None);
        let [one, two] = Keys::new(Vec::new()).values();
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }

    #[test]
    fn without_lag_a_change_is_at_once() {
        let mut keys = keys();
        let new = keys.change(SlotNumber::One, None, Lag::default(), NOW);
        assert_eq!(keys.accepts("a", NOW), None);
        assert_eq!(keys.accepts(&new, NOW), Some(SlotNumber::One));
        assert_eq!(keys.accepts("b", NOW), Some(SlotNumber::Two));
    }

    #[test]
    fn with_lag_the_old_lingers_and_the_new_waits() {
        let mut keys = keys();
        let lag = Lag { old: 10, new: 20 };
        keys.change(SlotNumber::Two, Some("c".into()), lag, NOW);
        for (seconds, old, new) in
            [(0, true, false), (9, true, false), (10, false, false), (20, false, true)]
        {
            let now = NOW.plus_seconds(seconds);
            assert_eq!(keys.accepts("b", now).is_some(), old, "{seconds}");
            assert_eq!(keys.accepts("c", now).is_some(), new, "{seconds}");
        }
    }
}
