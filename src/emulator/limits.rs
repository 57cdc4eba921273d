//! How many calls the resource takes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::clock::Moment;

/// The tier of the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Tier {
    /// Twenty calls in any minute.
    F0,
    /// Ten calls in any second.
    S0,
    /// As many as come.
    #[default]
    #[serde(rename = "unlimited")]
    Unlimited,
}

/// What `PUT /emulator/limits` and the script say.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitSpec {
    pub(super) tier: Tier,
    #[serde(default)]
    pub(super) retry_after: bool,
}

/// The calls that were let in lately.
#[derive(Debug, Default)]
pub(super) struct Limits {
    spec: LimitSpec,
    let_in: VecDeque<Moment>,
}

impl Limits {
    pub(super) fn set(&mut self, spec: LimitSpec) {
        self.spec = spec;
        self.let_in.clear();
    }

    pub(super) const fn spec(&self) -> LimitSpec {
        self.spec
    }

    /// Lets a call in, or tells in how many whole seconds one will be.
    pub(super) fn admit(&mut self, now: Moment) -> Result<(), u64> {
        let (calls, window) = match self.spec.tier {
            Tier::F0 => (20, 60_000),
            Tier::S0 => (10, 1000),
            Tier::Unlimited => return Ok(()),
        };
        while self.let_in.front().is_some_and(|at| now.millis_since(*at) >= window) {
            self.let_in.pop_front();
        }
        match self.let_in.front() {
            Some(first) if self.let_in.len() >= calls => {
                let left = window.saturating_sub(now.millis_since(*first));
                Err(u64::try_from(left).unwrap_or(1).div_ceil(1000).max(1))
            }
            _ => {
                self.let_in.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(0);

    fn limits(tier: Tier) -> Limits {
        let mut limits = Limits::default();
        limits.set(LimitSpec { tier, retry_after: false });
        limits
    }

    #[test]
    fn twenty_a_minute_and_the_rest_waits() {
        let mut limits = limits(Tier::F0);
        for second in 0..20 {
            assert_eq!(limits.admit(NOW.plus_seconds(second)), Ok(()));
        }
        assert_eq!(limits.admit(NOW.plus_seconds(34)), Err(26));
        assert_eq!(limits.admit(NOW.plus_seconds(60)), Ok(()));
        assert_eq!(limits.admit(NOW.plus_seconds(60)), Err(1));
    }

    #[test]
    fn ten_a_second() {
        let mut limits = limits(Tier::S0);
        assert_eq!((0..15).filter(|_| limits.admit(NOW).is_ok()).count(), 10);
        assert_eq!(limits.admit(NOW.plus_millis(1000)), Ok(()));
    }

    #[test]
    fn no_limit_unless_asked_for() {
        let mut limits = Limits::default();
        assert!((0..1000).all(|_| limits.admit(NOW).is_ok()));
    }
}
