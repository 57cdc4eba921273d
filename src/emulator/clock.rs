//! The emulator's time: the wall clock plus an offset that a test moves.

use jiff::Timestamp;

/// A point in the emulator's time, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    #[cfg(test)]
    pub(super) const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub(super) const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    pub(super) const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    pub(super) const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// As it stands in Azure's bodies: RFC 3339 in UTC with milliseconds.
    pub(super) fn iso(self) -> String {
        let at = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{at:.3}")
    }
}

/// What tells the time.
#[derive(Debug, Default)]
pub(super) struct Clock {
    offset_seconds: i64,
}

impl Clock {
    pub(super) fn now(&self) -> Moment {
        Moment(Timestamp::now().as_millisecond()).plus_seconds(self.offset_seconds)
    }

    pub(super) const fn advance(&mut self, seconds: i64) {
        self.offset_seconds = self.offset_seconds.saturating_add(seconds);
    }

    pub(super) const fn offset_seconds(&self) -> i64 {
        self.offset_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_azure_writes_it() {
        assert_eq!(Moment::from_millis(1_709_636_849_698).iso(), "2024-03-05T11:07:29.698Z");
        assert_eq!(Moment::from_millis(0).iso(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn an_advance_moves_the_present_and_never_overflows() {
        let mut clock = Clock::default();
        let before = clock.now();
        clock.advance(3600);
        assert!(clock.now().millis_since(before) >= 3_600_000);
        clock.advance(i64::MAX);
        let _moved = clock.now().iso();
    }
}
