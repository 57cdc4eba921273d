//! The member `gateway` of an audit entry: what the gateway has to say about it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::Entry;
use super::signal::Signals;
use super::timeline::Place;
use crate::liveness::Family;
use crate::liveness::agent::Client;
use crate::liveness::decision::Outcome;
use crate::liveness::session::{Attempt, Facts};
use crate::liveness::verdict::{Given, Likeness};

/// The member's form. It changes with whatever readers could trip over.
const SCHEMA: &str = "livegate.audit/1";

/// Longest model version that is told, in characters.
const LONGEST_MODEL: usize = 64;

/// What is known of an entry beside what it says itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finding {
    /// Where it stands among the others.
    pub place: Place,
    /// What was found of its digest among those that were registered.
    pub digest: Option<&'static str>,
    /// Whether it was verified against the picture that the session was created with.
    pub picture: Option<Likeness>,
    /// Whether the session shows the same.
    pub agrees: Option<bool>,
}

/// What is the same for all entries of a list.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Whether the entries were made by the gateway.
    pub synthesised: bool,
    /// How many attempts the session has.
    pub of: Option<usize>,
    /// The model that looked at the session, where the session tells it and not its attempts.
    pub model: Option<&'a str>,
    /// Where the list came from: a [`Fetched`] as it is written.
    pub fetched: Box<RawValue>,
}

/// Where a list came from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched<'a> {
    /// When, as RFC 3339 has it.
    pub at: String,
    /// From which upstream.
    pub upstream: &'a str,
    /// Azure's id of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
}

/// The member as it is written. What is not known is absent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    synthesised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<Ordinal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Client<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Compared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<Verified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cross_check: Option<&'static str>,
    signals: Signals,
    fetched: &'a RawValue,
}

/// The member where nothing but the mark is wished for.
#[derive(Debug, Serialize)]
pub struct Mark {
    schema: &'static str,
    synthesised: bool,
}

#[derive(Debug, Serialize)]
struct Ordinal {
    ordinal: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Timing {
    #[serde(skip_serializing_if = "Option::is_none")]
    service_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_previous_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_first_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Compared {
    verdict: &'static str,
    source: &'static str,
}

#[derive(Debug, Serialize)]
struct Verified {
    #[serde(skip_serializing_if = "Option::is_none")]
    identical: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'static str>,
}

impl Mark {
    /// That an entry is no evidence of Azure's.
    pub const SYNTHESISED: Self = Self { schema: SCHEMA, synthesised: true };
}

impl<'a> Member<'a> {
    /// Of an entry, with what was found of it.
    pub fn new(
        entry: &'a Entry<'_>,
        client: Option<Client<'a>>,
        finding: &Finding,
        source: &'a Source<'_>,
    ) -> Self {
        let Finding { place, digest, picture, agrees } = *finding;
        let model = entry.model.as_ref().map(|model| model.as_str()).or(source.model);
        let timing = Timing {
            service_ms: entry.service,
            since_previous_ms: place.since_previous,
            since_first_ms: place.since_first,
        };
        let is_timed = entry.service.is_some()
            || place.since_previous.is_some()
            || place.since_first.is_some();
        let Attempt { outcome, identical, confidence, .. } = &entry.attempt;
        // What Azure told no hash of is not known.
        let image = picture.filter(|likeness| *likeness != Likeness::Unknown);
        let is_verified = identical.is_some() || confidence.is_some() || image.is_some();
        let (identical, confidence) = (*identical, *confidence);
        let image = image.map(Likeness::told);
        Self {
            schema: SCHEMA,
            synthesised: source.synthesised,
            decision: decision(entry, outcome),
            outcome: came(entry.status, outcome),
            attempt: place.ordinal.map(|ordinal| Ordinal { ordinal, of: source.of }),
            model_version: model
                .filter(|model| (1..=LONGEST_MODEL).contains(&model.chars().count())),
            timing: is_timed.then_some(timing),
            client,
            digest: digest.map(|verdict| Compared { verdict, source: "registered" }),
            verify: is_verified.then_some(Verified { identical, confidence, image }),
            cross_check: agrees.map(|agrees| if agrees { "agrees" } else { "disagrees" }),
            signals: place.signals,
            fetched: &source.fetched,
        }
    }
}

/// What came of a call, in one of four words.
fn came(status: Option<u16>, outcome: &Outcome) -> &'static str {
    match (status, outcome) {
        (Some(400..=499), _) => "client-error",
        (Some(500..), _) => "service-error",
        (_, Outcome::Word(_) | Outcome::Other) => "decided",
        (_, Outcome::None | Outcome::Error(_)) => "no-decision",
    }
}

/// The decision in the words of `Liveness-Decision`.
fn decision<'a>(entry: &Entry<'_>, outcome: &'a Outcome) -> Option<&'a str> {
    match outcome {
        _ if came(entry.status, outcome) != "decided" => None,
        Outcome::Word(word) => Some(word),
        _ => Some("other"),
    }
}

/// Whether a session shows the attempt of an entry in the same way; `None` where it does not show it.
///
/// In the previews its result is an entry itself; in v1.2 and later only digests tell which attempt an entry is of.
pub fn agrees(entry: &Entry<'_>, session: &Facts) -> Option<bool> {
    let own = &entry.attempt;
    let same = |shown: &&Attempt| match (session.family, own.proof.digest) {
        (Family::Preview, _) => entry.id.is_some() && shown.entry == entry.id,
        (Family::Ga, Given::Digest(_)) => shown.proof.digest == own.proof.digest,
        (Family::Ga, _) => false,
    };
    let equal = |shown: &Attempt| {
        (&shown.outcome, shown.identical, shown.proof.digest)
            == (&own.outcome, own.identical, own.proof.digest)
    };
    let mut shown = session.attempts.iter().filter(same).peekable();
    shown.peek().is_some().then(|| shown.any(equal))
}

#[cfg(test)]
mod tests;
