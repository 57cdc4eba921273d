//! What a session's body says of itself: where it stands, what was decided, and where its token lies.
//!
//! Azure's JSON is passed on byte for byte; this file reads a borrowed view of the few members that
//! matter and makes no typed copy of the schema. A body that cannot be read decides nothing and is not final.

mod ga;
mod preview;

use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Family;
use super::decision::{Decision, Outcome};
use super::json::{self, Object};
use super::verdict::{Evidence, Proof};

/// What a session's body says.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// In which shape it says it.
    pub family: Family,
    /// Where the session stands.
    pub standing: Standing,
    /// How it ended, if it did.
    pub end: Option<End>,
    /// Whether another attempt may follow the one that decides. From v1.2 on none does, by Azure.Core's rule for operations; in the
    /// previews one may until the session has expired.
    pub goes_on: bool,
    /// When it was created. Only previews say so.
    pub created: Option<Timestamp>,
    /// The model that looked at it.
    pub model_version: Option<String>,
    /// The attempts that have ended, by their numbers: the last one decides. The previews show one, the latest.
    pub attempts: Vec<Attempt>,
    /// How many attempts there were, with those that have not ended. The previews do not say.
    pub count: Option<usize>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is a decision.
    Succeeded,
    /// There is none.
    Failed,
    /// It was canceled.
    Canceled,
    /// Its token died before there was anything (previews).
    Expired,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The `id` of its audit entry (previews).
    pub entry: Option<i64>,
    /// What came of it.
    pub outcome: Outcome,
    /// With verify: whether it was the person of the picture.
    pub identical: Option<bool>,
    /// With verify: how sure that is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Whether the service thinks that somebody abuses it (v1.3-preview.1).
    pub abuse: bool,
    /// The id of the picture that was kept of it, where a session tells it.
    pub image: Option<Box<str>>,
    /// What claims about it are compared with.
    pub proof: Proof,
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

impl End {
    /// The value of the metric label `status`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

impl Facts {
    /// Of a body that cannot be read.
    const fn unreadable(family: Family) -> Self {
        Self {
            family,
            standing: Standing::Unreadable,
            end: None,
            goes_on: false,
            created: None,
            model_version: None,
            attempts: Vec::new(),
            count: None,
        }
    }

    /// What was decided.
    pub fn decision(&self) -> Decision {
        if self.standing == Standing::Unreadable {
            return Decision::Unreadable;
        }
        if !self.standing.is_decided() {
            return Decision::Pending;
        }
        let deciding = self.attempts.last();
        Decision::Decided {
            outcome: deciding.map_or(Outcome::None, |attempt| attempt.outcome.clone()),
            attempt: deciding.and_then(|attempt| attempt.proof.attempt),
            attempts: self.count,
            identical: deciding.and_then(|attempt| attempt.identical),
            is_final: !self.goes_on,
        }
    }

    /// What claims about it are compared with.
    pub fn evidence(&self) -> Evidence {
        if self.standing == Standing::Unreadable {
            return Evidence::Unreadable;
        }
        if !self.standing.is_decided() {
            return Evidence::Pending;
        }
        let (deciding, others) = match self.attempts.split_last() {
            Some((deciding, others)) => (deciding.proof, others),
            None => (Proof::default(), Default::default()),
        };
        Evidence::Decided { deciding, others: others.iter().map(|other| other.proof).collect() }
    }
}

/// Reads a session's body. In a final one the value of `authToken` is blanked to `""`: a dead token helps
/// nobody, and it is blanked rather than left out since the SDKs type it as required.
pub fn read(family: Family, body: Bytes) -> (Facts, Bytes) {
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let Some((facts, token)) = view(family, text) else {
        return (Facts::unreadable(family), body);
    };
    let token = token.filter(|_| facts.standing.is_final()).and_then(|token| place(text, token));
    let blanked = token.map(|token| {
        [body.get(..token.start), Some(b"\"\""), body.get(token.end..)]
            .map(Option::unwrap_or_default)
            .concat()
    });
    (facts, blanked.map_or(body, Bytes::from))
}

/// What a text says, and its token.
fn view(family: Family, text: &str) -> Option<(Facts, Option<&RawValue>)> {
    if json::is_too_deep(text) {
        return None;
    }
    match family {
        Family::Ga => parse::<ga::View<'_>>(text)?.read(),
        Family::Preview => parse::<preview::View<'_>>(text)?.read(),
    }
}

/// An object of this kind.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok().map(|Object(object)| object)
}

/// Where the token's value lies, unless it is blank already.
fn place(text: &str, token: &RawValue) -> Option<Range<usize>> {
    if matches!(token.get(), "\"\"" | "null") {
        return None;
    }
    // A borrowed raw value is a slice of the text it was read from.
    let start = token.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(start..start + token.get().len())
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
