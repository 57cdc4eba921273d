//! What a session's body says of itself: where it stands, what was decided, and where its token lies.
//!
//! Azure's JSON is passed on byte for byte; this file reads a borrowed view of the few members that
//! matter and makes no typed copy of the schema. A body that cannot be read is simply not final.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Family;
use super::decision::{self, Attempt};

/// What a session's body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where the session stands.
    pub standing: Standing,
    /// When it was created. Only previews say so.
    pub created: Option<Timestamp>,
    /// The value of `Liveness-Decision`.
    pub decision: String,
}

/// Where a session stands. *Decided* and *final* are two things: in the previews another attempt may follow
/// a result until the session has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The body is not a session that could be read.
    Unreadable,
    /// Its status is none that Azure is known to have.
    Unknown,
    /// Nothing is decided yet.
    Pending,
    /// Something is decided, but it may still change.
    Decided,
    /// Nothing can change any more, and there is a result.
    Succeeded,
    /// It ended without a result. That nothing follows is Azure.Core's rule for operations and is not documented
    /// for sessions.
    Ended,
}

impl Standing {
    /// Whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Ended)
    }

    /// Whether there is nothing to wait for: a decision is there, or will not become readable by waiting.
    pub const fn has_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Unknown)
    }

    /// Whether a decision can be told.
    pub const fn is_decided(self) -> bool {
        matches!(self, Self::Decided | Self::Succeeded | Self::Ended)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default)]
    session_expired: Option<bool>,
    #[serde(default, borrow)]
    created_date_time: Option<&'a RawValue>,
    #[serde(default, borrow)]
    auth_token: Option<&'a RawValue>,
    #[serde(default, borrow)]
    results: Option<Results<'a>>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(default, borrow)]
    attempts: Option<Vec<Attempt<'a>>>,
}

impl View<'_> {
    /// A status alone proves nothing: the published samples contradict themselves.
    fn standing(&self, family: Family) -> Standing {
        match (family, self.status.as_ref()) {
            (_, "NotStarted") | (Family::Preview, "Started") | (Family::Ga, "Running") => {
                Standing::Pending
            }
            (Family::Preview, "ResultAvailable") if self.session_expired == Some(true) => {
                Standing::Succeeded
            }
            (Family::Ga, "Succeeded") if self.has_result() => Standing::Succeeded,
            (Family::Preview, "ResultAvailable") | (Family::Ga, "Succeeded") => Standing::Decided,
            (Family::Ga, "Failed" | "Canceled") => Standing::Ended,
            _ => Standing::Unknown,
        }
    }

    /// Some attempt has one, and none goes on.
    fn has_result(&self) -> bool {
        let attempts = self.attempts();
        attempts.iter().any(Attempt::has_result) && !attempts.iter().any(Attempt::goes_on)
    }

    fn attempts(&self) -> &[Attempt<'_>] {
        let attempts = self.results.as_ref().and_then(|results| results.attempts.as_deref());
        attempts.unwrap_or_default()
    }

    fn decision(&self, family: Family, standing: Standing) -> String {
        match family {
            _ if !standing.is_decided() => "pending".to_owned(),
            Family::Ga => decision::of_attempts(self.attempts()),
            Family::Preview => {
                let mut decision = decision::of_entry(self.result);
                if !standing.is_final() {
                    decision.push_str(";final=?0");
                }
                decision
            }
        }
    }
}

/// Reads a session's body. In a final one the value of `authToken` is blanked to `""`: a dead token helps
/// nobody, and it is blanked rather than left out since the SDKs type it as required.
pub fn read(family: Family, body: Bytes) -> (Facts, Bytes) {
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let Ok(view) = serde_json::from_str::<View<'_>>(text) else {
        let decision = "none".to_owned();
        return (Facts { standing: Standing::Unreadable, created: None, decision }, body);
    };
    let standing = view.standing(family);
    let created = view.created_date_time.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let created = created.and_then(|text: Cow<'_, str>| text.parse().ok());
    let facts = Facts { standing, created, decision: view.decision(family, standing) };
    let token = if standing.is_final() { token(text, &view) } else { None };
    let blanked = token.map(|token| {
        [body.get(..token.start), Some(b"\"\""), body.get(token.end..)]
            .map(Option::unwrap_or_default)
            .concat()
    });
    (facts, blanked.map_or(body, Bytes::from))
}

/// Where the token's value lies, if there is one that is not blank already.
fn token(text: &str, view: &View<'_>) -> Option<Range<usize>> {
    let token = view.auth_token.filter(|token| !matches!(token.get(), "\"\"" | "null"))?;
    // A borrowed raw value is a slice of the text it was read from.
    let start = token.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(start..start + token.get().len())
}

#[cfg(test)]
mod tests;
