//! What is odd about an attempt.

use serde::{Serialize, Serializer};

/// One oddity. `docs/API.md` has the rule of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It came soon after the one before.
    RapidRetry,
    /// It was decided the other way round before.
    DecisionFlip,
    /// Its digest is another attempt's too.
    DigestReuse,
    /// Its picture is another attempt's too.
    ImageReuse,
    /// It was verified against another picture than the one before.
    VerifyImageChanged,
    /// It is shown in two ways.
    ResultMismatch,
    /// Its time does not fit.
    ClockSkew,
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals(u8);

impl Signal {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 7] = [
        Self::RapidRetry,
        Self::DecisionFlip,
        Self::DigestReuse,
        Self::ImageReuse,
        Self::VerifyImageChanged,
        Self::ResultMismatch,
        Self::ClockSkew,
    ];

    /// The word for it, and the value of the metric label `signal`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RapidRetry => "rapid-retry",
            Self::DecisionFlip => "decision-flip",
            Self::DigestReuse => "digest-reuse",
            Self::ImageReuse => "image-reuse",
            Self::VerifyImageChanged => "verify-image-changed",
            Self::ResultMismatch => "result-mismatch",
            Self::ClockSkew => "clock-skew",
        }
    }
}

impl Signals {
    /// Adds one if it is so.
    pub const fn add(&mut self, signal: Signal, is_so: bool) {
        if is_so {
            self.0 |= 1 << signal as u8;
        }
    }

    /// Adds those of another set.
    pub const fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL.into_iter().filter(move |signal| self.0 & (1 << *signal as u8) != 0)
    }
}

impl Serialize for Signals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Signal::as_str))
    }
}
