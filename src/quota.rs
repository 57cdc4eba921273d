//! How many calls a resource still allows, and whose turn it is to make one.
//!
//! Which window Azure counts in is not published. Here a call comes back one window after it was made, so that no window holds
//! more than the resource allows, wherever it begins.

mod turns;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

pub use self::turns::{Kind, Turn, Turns, Who};

/// So many calls are remembered one by one; of more, those of one thousandth of the window together.
const ONE_BY_ONE: usize = 1000;

/// Milliseconds by which a window is longer than Azure's. Calls may come closer together than they were sent.
const SLACK: u64 = 50;

/// So many calls in so much time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    calls: f64,
    window: Duration,
}

impl Limit {
    /// What so many calls a second are. Less than one are counted by the minute (Face API, limits page: F0 has 20 a minute).
    pub const fn per_second(rate: f64) -> Self {
        if rate < 1.0 {
            Self { calls: rate * 60.0, window: Duration::from_millis(60_000 + SLACK) }
        } else {
            Self { calls: rate, window: Duration::from_millis(1000 + SLACK) }
        }
    }

    /// This share of it, and one call at least.
    pub fn share(self, share: f64) -> Self {
        Self { calls: (self.calls * share).floor().max(1.0), ..self }
    }

    /// How long so many calls take.
    pub fn time(&self, calls: usize) -> Duration {
        self.window.mul_f64(calls as f64 / self.calls)
    }
}

/// Why a call is not made now, and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// The resource allows no more.
    Quota(Duration),
    /// It asked to be left alone.
    Rest(Duration),
}

impl HeldBack {
    /// The value of the metric label `source`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Quota(_) => "local_budget",
            Self::Rest(_) => "backoff",
        }
    }

    /// Why, for who asked.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Quota(_) => "What the Face resource allows is used up.",
            Self::Rest(_) => "The Face resource asked to be left alone.",
        }
    }

    /// How long to wait, in whole seconds, and one at least.
    pub fn seconds(self) -> u32 {
        let (Self::Quota(wait) | Self::Rest(wait)) = self;
        u32::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u32::MAX)
    }
}

/// The calls of the last window. Without a limit nothing is known of them, and all are allowed.
#[derive(Debug, Default)]
pub struct Quota {
    limit: Option<Limit>,
    made: VecDeque<(Instant, u32)>,
    /// When the last of them began, where it stands for several.
    begun: Option<Instant>,
    sum: u64,
}

impl Quota {
    /// Allows so much from now on; what was made still counts.
    pub fn allow(&mut self, limit: Option<Limit>) {
        self.limit = limit;
    }

    /// What is allowed.
    pub const fn limit(&self) -> Option<Limit> {
        self.limit
    }

    /// A call is made, whether or not it is allowed.
    pub fn spend(&mut self, now: Instant) {
        let Some(limit) = self.limit else {
            return;
        };
        self.forget(now, limit);
        let many = self.made.len() >= ONE_BY_ONE;
        self.sum += 1;
        match self.made.back_mut() {
            Some((at, calls))
                if many && self.begun.is_some_and(|begun| now - begun < limit.window / 1000) =>
            {
                (*at, *calls) = (now, calls.saturating_add(1));
            }
            _ => {
                self.made.push_back((now, 1));
                self.begun = Some(now);
            }
        }
    }

    /// The calls that are allowed at this moment, and the most that there can be.
    pub fn left(&mut self, now: Instant) -> Option<(f64, f64)> {
        let limit = self.limit?;
        self.forget(now, limit);
        Some(((limit.calls - self.sum as f64).max(0.0), limit.calls))
    }

    /// Makes a call if it is allowed. If not, how long until one is.
    ///
    /// # Errors
    /// That time.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(now);
        if wait.is_zero() {
            self.spend(now);
            return Ok(());
        }
        Err(wait)
    }

    /// How long until a call is allowed.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let (Some(limit), Some((left, _))) = (self.limit, self.left(now)) else {
            return Duration::ZERO;
        };
        if left >= 1.0 {
            return Duration::ZERO;
        }
        // Calls that nobody could hold back may have been made beyond the limit: so many must come back first.
        let mut beyond = self.sum as f64 + 1.0 - limit.calls;
        for (at, calls) in &self.made {
            beyond -= f64::from(*calls);
            if beyond <= 0.0 {
                return (*at + limit.window).saturating_duration_since(now);
            }
        }
        limit.window
    }

    fn forget(&mut self, now: Instant, limit: Limit) {
        while let Some((at, calls)) = self.made.front().copied()
            && now.saturating_duration_since(at) >= limit.window
        {
            self.sum -= u64::from(calls);
            self.made.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn quota(rate: f64) -> Quota {
        let mut quota = Quota::default();
        quota.allow(Some(Limit::per_second(rate)));
        quota
    }

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn what_is_made_comes_back_one_window_later() {
        let mut quota = Quota::default();
        assert_eq!((quota.left(Instant::now()), quota.take(Instant::now())), (None, Ok(())));
        quota.allow(Some(Limit::per_second(10.0)));
        assert_eq!(quota.left(Instant::now()), Some((10.0, 10.0)));
        for _ in 0..10 {
            assert_eq!(quota.take(Instant::now()), Ok(()));
            advance(10 * MS).await;
        }
        assert_eq!(quota.take(Instant::now()), Err(950 * MS));
        // Nobody held these back.
        quota.spend(Instant::now());
        quota.spend(Instant::now());
        assert_eq!(quota.left(Instant::now()), Some((0.0, 10.0)));
        assert_eq!(quota.wait(Instant::now()), 970 * MS);
        advance(970 * MS).await;
        assert_eq!(quota.take(Instant::now()), Ok(()));
        advance(60 * 1000 * MS).await;
        assert_eq!(quota.left(Instant::now()), Some((10.0, 10.0)));
        quota.allow(Some(Limit::per_second(20.0 / 60.0)));
        assert_eq!(quota.left(Instant::now()), Some((20.0, 20.0)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_than_is_allowed() {
        // Far more than are remembered one by one.
        let mut quota = quota(50_000.0);
        let mut taken = VecDeque::new();
        for _ in 0..40_000 {
            advance(Duration::from_micros(50)).await;
            let now = Instant::now();
            while quota.take(now).is_ok() {
                taken.push_back(now);
            }
            while taken.front().is_some_and(|first| now - *first >= 1050 * MS) {
                taken.pop_front();
            }
            assert!(taken.len() <= 50_000);
            assert!(quota.made.len() <= 2 * ONE_BY_ONE, "{}", quota.made.len());
        }
        assert!(taken.len() > 49_000, "{}", taken.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_stream_within_the_limit_is_never_held_back() {
        let mut quota = quota(3000.0);
        for _ in 0..10_000 {
            advance(Duration::from_micros(400)).await;
            assert_eq!(quota.take(Instant::now()), Ok(()));
        }
    }

    #[test]
    fn a_share_is_one_call_at_least() {
        let limit = Limit::per_second(10.0);
        assert_eq!(limit.share(0.5), Limit::per_second(5.0));
        assert_eq!(limit.share(0.01), Limit::per_second(1.0));
        assert_eq!(Limit::per_second(20.0 / 60.0).share(0.5).time(10), 60_050 * MS);
    }
}
