//! Whether a decision can be trusted: what an app was told is compared with what Azure tells.
//!
//! Nothing here can make a digest: how Azure does is not published. What is said is whether two that were told by two
//! ways are the same.

use std::fmt;

use super::digest::Digest;

/// What an app's configuration does with verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// None is given.
    Off,
    /// They are told and counted.
    #[default]
    Observe,
    /// What contradicts is refused.
    Enforce,
    /// What is not shown is refused too.
    Require,
}

/// What an app gave, or Azure told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Given {
    /// Nothing.
    #[default]
    Nothing,
    /// Something that is no digest, and equals none.
    Malformed,
    /// A digest.
    Digest(Digest),
}

impl Given {
    /// What a text gives.
    pub fn parse(text: &[u8]) -> Self {
        Digest::parse(text).map_or(Self::Malformed, Self::Digest)
    }
}

/// What Azure tells of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proof {
    /// The attempt, where the content numbers attempts.
    pub attempt: Option<u64>,
    /// The digest of what the service received.
    pub digest: Given,
    /// The SHA-256 of the picture that it verified against.
    pub picture: Given,
}

/// What claims about a session are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The content could not be read.
    Unreadable,
    /// The session is not decided.
    Pending,
    /// It is.
    Decided {
        /// The attempt that decides, if any has ended.
        deciding: Proof,
        /// All others that have ended.
        others: Box<[Proof]>,
    },
}

/// What is said of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It equals the deciding attempt's.
    Match(Option<u64>),
    /// It equals no attempt's.
    Mismatch,
    /// It equals this other attempt's.
    OtherAttempt(Option<u64>),
    /// There is one, and the app gave none.
    Unreported,
    /// There is none.
    Unavailable,
    /// The session is not decided.
    Pending,
    /// What the app gave is no digest.
    Malformed,
}

/// What is said of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Likeness {
    /// It is the one that was verified against.
    Match,
    /// It is not.
    Mismatch,
    /// Azure told no hash.
    Unknown,
    /// What the app gave is no hash. It is told as unknown.
    Malformed,
}

impl Evidence {
    /// The attempt that decides.
    pub const fn deciding(&self) -> Option<&Proof> {
        match self {
            Self::Decided { deciding, .. } => Some(deciding),
            Self::Unreadable | Self::Pending => None,
        }
    }

    /// Compares a digest.
    pub fn judge(&self, claim: Given) -> Verdict {
        let Self::Decided { deciding, others } = self else {
            return match (claim, self) {
                (Given::Malformed, _) => Verdict::Malformed,
                (_, Self::Unreadable) => Verdict::Unavailable,
                _ => Verdict::Pending,
            };
        };
        match claim {
            Given::Malformed => Verdict::Malformed,
            Given::Nothing if deciding.digest == Given::Nothing => Verdict::Unavailable,
            Given::Nothing => Verdict::Unreported,
            Given::Digest(_) if deciding.digest == claim => Verdict::Match(deciding.attempt),
            Given::Digest(_) => match others.iter().find(|other| other.digest == claim) {
                Some(other) => Verdict::OtherAttempt(other.attempt),
                None if self.has_digest() => Verdict::Mismatch,
                None => Verdict::Unavailable,
            },
        }
    }

    fn has_digest(&self) -> bool {
        let Self::Decided { deciding, others } = self else {
            return false;
        };
        others.iter().chain([deciding]).any(|proof| proof.digest != Given::Nothing)
    }

    /// Compares the hash of a picture; `None` where none is expected.
    pub fn compare(&self, claim: Given) -> Option<Likeness> {
        self.deciding().copied().unwrap_or_default().compare(claim)
    }
}

impl Proof {
    /// Compares the hash of a picture; `None` where none is expected.
    pub fn compare(&self, claim: Given) -> Option<Likeness> {
        let told = self.picture;
        match claim {
            Given::Nothing => None,
            Given::Malformed => Some(Likeness::Malformed),
            Given::Digest(_) if told == Given::Nothing => Some(Likeness::Unknown),
            Given::Digest(_) if told == claim => Some(Likeness::Match),
            Given::Digest(_) => Some(Likeness::Mismatch),
        }
    }
}

impl Verdict {
    /// The word for it in `Liveness-Digest`, and the value of the metric label `verdict`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Match(_) => "match",
            Self::Mismatch => "mismatch",
            Self::OtherAttempt(_) => "other-attempt",
            Self::Unreported => "unreported",
            Self::Unavailable => "unavailable",
            Self::Pending => "pending",
            Self::Malformed => "malformed",
        }
    }

    /// A sentence for an app whose answer is refused: what was wrong, and nothing about the decision.
    pub const fn contradiction(self) -> &'static str {
        match self {
            Self::Malformed => "What was given as the client's digest is not 64 hex digits.",
            Self::OtherAttempt(_) => {
                "The client's digest is that of another attempt than the one that decided."
            }
            _ => "The client's digest is not that of the attempt that decided.",
        }
    }

    /// The attempt whose digest it equals.
    pub const fn attempt(self) -> Option<u64> {
        match self {
            Self::Match(attempt) | Self::OtherAttempt(attempt) => attempt,
            _ => None,
        }
    }
}

/// As `Liveness-Digest` has it (RFC 9651), such as `match;attempt=2`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        self.attempt().map_or(Ok(()), |attempt| write!(f, ";attempt={attempt}"))
    }
}

impl Likeness {
    /// The value of the metric label `verdict`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
        }
    }

    /// The word for it in `Liveness-Verify-Image`, which has only three.
    pub const fn told(self) -> &'static str {
        match self {
            Self::Malformed => "unknown",
            other => other.as_str(),
        }
    }
}

impl Mode {
    /// The word for it in the configuration, and the value of the metric label `mode`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
            Self::Require => "require",
        }
    }

    /// Whether an answer with this verdict is refused.
    pub const fn refuses(self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Mismatch | Verdict::OtherAttempt(_) | Verdict::Malformed => {
                matches!(self, Self::Enforce | Self::Require)
            }
            Verdict::Unreported => matches!(self, Self::Require),
            Verdict::Match(_) | Verdict::Unavailable | Verdict::Pending => false,
        }
    }
}

#[cfg(test)]
mod tests;
