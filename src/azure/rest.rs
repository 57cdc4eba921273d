//! How long a resource that refuses everything is left alone: longer each time, and one request tries again after each rest.

use std::time::Duration;

use crate::moment::Moment;

/// So many requests in a row must have been refused, since one may be refused by a mistake that is over by now.
const ENOUGH: u32 = 8;

/// The first rest. Each one after it is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest.
const LONGEST: Duration = Duration::from_secs(15);

/// A rest, or none.
#[derive(Debug, Default)]
pub(super) struct Rest {
    step: Option<Step>,
    refused: u32,
}

#[derive(Debug)]
struct Step {
    since: Moment,
    time: Duration,
}

impl Rest {
    /// Whether nobody may try now. The first who may, after a rest, is the only one: with them the next rest begins. Where there is
    /// hope, no rest is longer than the first one.
    pub(super) fn holds(&mut self, now: Moment, hope: bool) -> bool {
        let Some(step) = &mut self.step else {
            return false;
        };
        if now.since(step.since) < if hope { FIRST } else { step.time } {
            return true;
        }
        *step = Step { since: now, time: (step.time * 2).min(LONGEST) };
        false
    }

    /// A request was refused with everything that there is. Whether a rest begins.
    pub(super) fn refused(&mut self, now: Moment) -> bool {
        self.refused = self.refused.saturating_add(1);
        let begins = self.step.is_none() && self.refused >= ENOUGH;
        if begins {
            self.step = Some(Step { since: now, time: FIRST });
        }
        begins
    }

    /// Something changed for the better. Whether there was a rest.
    pub(super) const fn end(&mut self) -> bool {
        self.refused = 0;
        self.step.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rests_grow_and_one_tries_after_each() {
        let mut rest = Rest::default();
        assert!(!rest.holds(Moment::now(), false));
        for _ in 1..ENOUGH {
            assert!(!rest.refused(Moment::now()) && !rest.holds(Moment::now(), false));
        }
        assert!(rest.refused(Moment::now()) && !rest.refused(Moment::now()));
        for seconds in [1, 2, 4, 8, 15, 15] {
            assert!(rest.holds(Moment::now(), false));
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(rest.holds(Moment::now(), false), "{seconds}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!rest.holds(Moment::now(), false), "{seconds}");
            assert!(rest.holds(Moment::now(), false), "only one tries");
        }
        assert!(rest.holds(Moment::now(), true));
        tokio::time::advance(FIRST).await;
        assert!(rest.holds(Moment::now(), false) && !rest.holds(Moment::now(), true));
        assert!(rest.end() && !rest.end() && !rest.holds(Moment::now(), false));
        assert!(!rest.refused(Moment::now()), "they are counted anew");
    }
}
