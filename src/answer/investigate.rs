//! Finds out what can be said of a list's entries: by their order, by what was seen of other sessions, by what apps' clients
//! reported, and by what is kept of the session.

use std::sync::Arc;

use jiff::Timestamp;

use super::counted::Seen;
use super::key::SessionKey;
use super::lasting::Lasting;
use crate::call::Page;
use crate::config::App;
use crate::liveness::audit::Entry;
use crate::liveness::audit::finding::{Finding, agrees};
use crate::liveness::audit::signal::{Signal, Signals};
use crate::liveness::audit::timeline::{Reach, Timeline};
use crate::liveness::digest::Digest;
use crate::liveness::session;
use crate::liveness::verdict::{Given, Mode};
use crate::metrics::Metrics;

/// One who knows what the gateway knows of the sessions of an upstream.
#[derive(Debug, Clone)]
pub struct Investigator {
    pub(super) lasting: Arc<Lasting>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) upstream: Arc<str>,
    pub(super) resource: u32,
}

/// What was found of a list.
pub(super) struct Findings {
    /// As the entries.
    pub(super) each: Vec<Finding>,
    /// How many entries the session has.
    pub(super) of: Option<usize>,
}

impl Investigator {
    /// Of the upstream of this name, the resource of this number.
    pub const fn new(
        lasting: Arc<Lasting>,
        metrics: Arc<Metrics>,
        upstream: Arc<str>,
        resource: u32,
    ) -> Self {
        Self { lasting, metrics, upstream, resource }
    }

    /// What can be said of Azure's own entries, which are counted.
    pub(super) fn of_azures(
        &self,
        session: &SessionKey,
        entries: &[Entry<'_>],
        reach: Reach,
        app: &App,
    ) -> Findings {
        let mut findings = self.found(session, entries, reach, app);
        let shown = self.kept(session);
        for (entry, finding) in entries.iter().zip(&mut findings.each) {
            let compared: Vec<_> = shown.iter().filter_map(|facts| agrees(entry, facts)).collect();
            finding.agrees = (!compared.is_empty()).then(|| compared.iter().all(|agrees| *agrees));
            let odd = &mut finding.place.signals;
            odd.merge(self.lasting.counted.entry(session, entry));
            odd.add(Signal::ResultMismatch, finding.agrees == Some(false));
        }
        self.raise(session, &findings);
        findings
    }

    /// What can be said of entries that were made of the session itself.
    pub(super) fn of_made(
        &self,
        session: &SessionKey,
        entries: &[Entry<'_>],
        app: &App,
    ) -> Findings {
        let mut findings = self.found(session, entries, Reach::WHOLE, app);
        for (entry, finding) in entries.iter().zip(&mut findings.each) {
            let odd = &mut finding.place.signals;
            odd.merge(self.lasting.counted.reuse(session, &entry.attempt));
            let changed = self.lasting.counted.has_changed(session, &entry.attempt);
            odd.add(Signal::ResultMismatch, changed);
        }
        self.raise(session, &findings);
        findings
    }

    fn found(
        &self,
        session: &SessionKey,
        entries: &[Entry<'_>],
        reach: Reach,
        app: &App,
    ) -> Findings {
        let Timeline { places, of } = Timeline::new(entries, reach, Timestamp::now());
        let claims = match app.digest {
            Mode::Off => Vec::new(),
            _ => self.lasting.reported.all(&app.name, session.resource, &session.id),
        };
        let equals = |entry: &Entry<'_>| {
            let digest = entry.attempt.proof.digest;
            claims.iter().any(|claim| Given::Digest(*claim) == digest)
        };
        let any = entries.iter().any(equals);
        let picture = self.lasting.memory.picture(session);
        let finding = |(entry, place): (&Entry<'_>, _)| {
            let proof = entry.attempt.proof;
            let digest = verdict(&claims, proof.digest, equals(entry), any, reach);
            Finding { place, digest, picture: proof.compare(picture), agrees: None }
        };
        Findings { each: entries.iter().zip(places).map(finding).collect(), of }
    }

    /// An answer as it is known again: it says the same only to the same question, and beside the same session.
    pub(super) fn seen(&self, session: &SessionKey, asked: &Page, body: &[u8]) -> Seen {
        let kept: Vec<_> = self.lasting.memory.kept_by_any(session).collect();
        let tags = kept.iter().filter_map(|(_, answer)| answer.session.as_ref());
        let tags = tags.map(|session| session.etag.as_bytes());
        let start = asked.start.as_deref().unwrap_or_default().as_bytes();
        let top = asked.top.unwrap_or_default().to_be_bytes();
        self.lasting.counted.seen_as([start, &top, body].into_iter().chain(tags))
    }

    /// What the kept answers about a session say. Azure is not asked for it.
    fn kept(&self, session: &SessionKey) -> Vec<session::Facts> {
        let kept = self.lasting.memory.kept_by_any(session);
        kept.map(|(family, answer)| session::read(family, answer.body.clone()).0).collect()
    }

    fn raise(&self, session: &SessionKey, findings: &Findings) {
        let mut odd = Signals::default();
        findings.each.iter().for_each(|finding| odd.merge(finding.place.signals));
        self.lasting.counted.signals(session, odd);
    }
}

/// What is said of an entry's digest, where digests were reported. `equals` is whether one of them is this one, and `any` whether
/// one is an entry's of this list.
fn verdict(
    claims: &[Digest],
    digest: Given,
    equals: bool,
    any: bool,
    reach: Reach,
) -> Option<&'static str> {
    match digest {
        _ if claims.is_empty() => None,
        _ if equals => Some("match"),
        Given::Nothing => Some("unavailable"),
        _ if any => Some("other-attempt"),
        // What lies outside of the page is not known.
        _ => (reach == Reach::WHOLE).then_some("mismatch"),
    }
}
