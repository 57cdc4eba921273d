//! A point in time by two clocks, so that neither can lengthen the life of anything.
//!
//! The monotonic clock cannot be set, but stands still while the machine is suspended. The wall clock goes on
//! meanwhile, but can be set. What has passed is whatever the clock that went further says.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A point in time.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    /// The wall clock's reading.
    pub const fn wall(self) -> Timestamp {
        self.wall
    }

    /// The wall clock's reading as people and programs read it (RFC 3339), to the second.
    pub fn written(self) -> String {
        let second = Timestamp::from_second(self.wall.as_second());
        second.unwrap_or(self.wall).to_string()
    }

    /// Whether it came before another one, by the clock that cannot be set.
    pub fn is_before(self, other: Self) -> bool {
        self.monotonic < other.monotonic
    }

    /// What has passed since an earlier moment: the most that either clock says.
    pub fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        monotonic.max(self.since_wall(earlier.wall))
    }

    /// What the wall clock says has passed since a time that somebody else's clock gave; none if that lies ahead.
    pub fn since_wall(self, earlier: Timestamp) -> Duration {
        Duration::try_from(self.wall.duration_since(earlier)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn whichever_clock_went_further_is_believed() {
        let start = Moment::now();
        let after = |monotonic: u64, wall: i64| Moment {
            monotonic: start.monotonic + Duration::from_secs(monotonic),
            wall: start.wall + SignedDuration::from_secs(wall),
        };
        let passed = |monotonic, wall| after(monotonic, wall).since(start).as_secs();
        assert_eq!(passed(5, 5), 5);
        assert_eq!(passed(5, -3600), 5, "the wall clock was set back");
        assert_eq!(
            passed(0, 3600),
            3600,
            "the machine was suspended, or the wall clock set forward"
        );
        assert_eq!(start.since(after(5, 5)).as_secs(), 0);
    }
}
