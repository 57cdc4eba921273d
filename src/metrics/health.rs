//! Whether a resource answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::Serialize;

/// What came of the last tries.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Unix seconds; 0 is never.
    answered: AtomicI64,
    trouble: ArcSwapOption<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    at: i64,
    what: String,
}

/// Whether a resource answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// When it last did what it was asked, or said why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_answer_at: Option<String>,
    /// When it last did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trouble_at: Option<String>,
    /// What that was: a status, or what kept an answer from coming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_trouble: Option<String>,
    /// Whether trouble came last.
    pub in_trouble: bool,
}

impl Tries {
    /// It answered.
    pub(super) fn answered(&self) {
        self.answered.store(Timestamp::now().as_second(), Ordering::Relaxed);
    }

    /// It did not, or said that it cannot.
    pub(super) fn failed(&self, what: &str) {
        let (at, what) = (Timestamp::now().as_second(), what.to_owned());
        // What was before may lie in the same second.
        self.answered.fetch_min(at - 1, Ordering::Relaxed);
        self.trouble.store(Some(Arc::new(Trouble { at, what })));
    }

    /// How it is now.
    pub(super) fn health(&self) -> Health {
        let answered = self.answered.load(Ordering::Relaxed);
        let trouble = self.trouble.load_full();
        let at = |second| Some(Timestamp::from_second(second).ok()?.to_string());
        Health {
            last_answer_at: at(answered).filter(|_| answered > 0),
            last_trouble_at: trouble.as_ref().and_then(|trouble| at(trouble.at)),
            last_trouble: trouble.as_ref().map(|trouble| trouble.what.clone()),
            in_trouble: trouble.is_some_and(|trouble| trouble.at > answered),
        }
    }
}

impl Health {
    /// Whether it answers, or was not asked yet.
    pub const fn is_good(&self) -> bool {
        !self.in_trouble
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self {
                last_trouble: Some(what), last_trouble_at: Some(at), in_trouble: true, ..
            } => {
                write!(f, "in trouble at {at}: {what}")
            }
            Self { last_answer_at: Some(at), .. } => write!(f, "answered at {at}"),
            _ => f.write_str("not asked yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_last_counts_also_within_one_second() {
        let tries = Tries::default();
        assert_eq!(tries.health().to_string(), "not asked yet");
        tries.answered();
        assert!(tries.health().is_good() && tries.health().to_string().starts_with("answered at"));
        tries.failed("reset");
        let told = tries.health();
        assert!(!told.is_good() && told.to_string().ends_with(": reset"), "{told}");
        tries.answered();
        assert!(tries.health().is_good());
        assert_eq!(tries.health().last_trouble.as_deref(), Some("reset"));
    }
}
