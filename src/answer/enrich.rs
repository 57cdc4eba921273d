//! Puts into each entry of an audit list what the gateway knows of it, where the app wishes for that, and counts the entries.
//!
//! Below it a list is Azure's bytes; above it all of these are still there. A list that cannot be read passes as it is.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use http::header::{CACHE_CONTROL, HeaderMap, VARY};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::investigate::{Findings, Investigator};
use super::key::SessionKey;
use crate::body::Body;
use crate::call::{Call, Page, Reply};
use crate::config::App;
use crate::error::Error;
use crate::headers::{self, CACHE_STATUS, PREFERENCE_APPLIED};
use crate::liveness::agent::Clients;
use crate::liveness::audit::finding::{Fetched, Member, Source};
use crate::liveness::audit::timeline::Reach;
use crate::liveness::audit::{self, List, Unreadable};
use crate::metrics::label::Cache;

/// The row.
#[derive(Debug, Clone)]
pub struct Enrich<S> {
    inner: S,
    investigator: Investigator,
}

/// Enriches audit lists.
pub fn enrich<S>(investigator: Investigator) -> impl Layer<S, Service = Enrich<S>> + Clone {
    layer_fn(move |inner| Enrich { inner, investigator: investigator.clone() })
}

impl<S> Service<Call> for Enrich<S>
where
    S: Service<Call, Response = Response<Bytes>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let investigator = self.investigator.clone();
        let Some(asked) = Asked::new(&call, investigator.resource) else {
            return ready(Err(Error::Internal)).boxed();
        };
        let answer = self.inner.call(call);
        async move {
            let answer = answer.await?;
            let answer = match answer.status() {
                StatusCode::OK => investigator.list(&asked, answer)?,
                // What is not a list is Azure's own word.
                _ => answer,
            };
            let mut answer = answer.map(Body::from);
            // RFC 9211 §2.2: the memory takes no part in it.
            let status = HeaderValue::from_static("livegate; fwd=bypass");
            answer.headers_mut().append(CACHE_STATUS, status);
            Ok(Reply { answer, cache: Cache::Bypass })
        }
        .boxed()
    }
}

/// What is asked of a list.
pub(super) struct Asked {
    pub(super) session: SessionKey,
    pub(super) page: Page,
    pub(super) app: Arc<App>,
    /// Whether this request says what is done with the list.
    pub(super) wished: Option<bool>,
    /// What is done with it.
    pub(super) enrich: bool,
}

impl Asked {
    /// By a call about an audit list.
    pub(super) fn new(call: &Call, resource: u32) -> Option<Self> {
        let (operation, id) = call.target.resource.audited()?;
        let wished = call.wishes.enrich;
        Some(Self {
            session: SessionKey::new(resource, operation, id),
            page: call.target.page.clone(),
            app: Arc::clone(&call.app),
            wished,
            enrich: wished.unwrap_or(call.app.enrich),
        })
    }

    /// Says in an answer's fields what was done as the request wished.
    pub(super) fn tell(&self, headers: &mut HeaderMap, done: Option<bool>) {
        // RFC 7240 §2: the preference decides on what is told.
        headers.append(VARY, HeaderValue::from_static("Prefer"));
        let applied = match self.wished.filter(|wished| done == Some(*wished)) {
            Some(true) => "enrich=gateway",
            Some(false) => "enrich=none",
            None => return,
        };
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(applied));
    }
}

impl Investigator {
    fn list(&self, asked: &Asked, answer: Response<Bytes>) -> Result<Response<Bytes>, Error> {
        let (mut parts, body) = answer.into_parts();
        let counted = &self.lasting.counted;
        let seen = (!asked.enrich).then(|| self.seen(&asked.session, &asked.page, &body));
        if seen.as_ref().is_some_and(|seen| counted.knows(&asked.session, seen)) {
            self.plain(asked, &mut parts.headers);
            return Ok(Response::from_parts(parts, body));
        }
        let list = match audit::read(&body) {
            Ok(list) => list,
            Err(reason) => {
                self.unreadable(asked, reason);
                asked.tell(&mut parts.headers, Some(false));
                return Ok(Response::from_parts(parts, body));
            }
        };
        let Page { start, top } = &asked.page;
        let reach = Reach::of_page(start.as_deref(), *top, list.entries.len());
        let findings = self.of_azures(&asked.session, &list.entries, reach, &asked.app);
        if let Some(seen) = seen {
            counted.learn(&asked.session, &seen);
            self.plain(asked, &mut parts.headers);
            return Ok(Response::from_parts(parts, body));
        }
        asked.tell(&mut parts.headers, Some(true));
        self.count(asked, "enriched");
        let spliced = self.splice(&list, &body, &findings, &parts.headers)?;
        headers::of_other_bytes(&mut parts.headers);
        parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(Response::from_parts(parts, spliced))
    }

    /// A list that passes as Azure sent it.
    fn plain(&self, asked: &Asked, headers: &mut HeaderMap) {
        asked.tell(headers, Some(false));
        self.count(asked, "plain");
    }

    fn splice(
        &self,
        list: &List<'_>,
        body: &[u8],
        findings: &Findings,
        headers: &HeaderMap,
    ) -> Result<Bytes, Error> {
        let fetched = self.fetched(Timestamp::now(), headers)?;
        let source = Source { synthesised: false, of: findings.of, model: None, fetched };
        let mut clients = Clients::default();
        let mut each = list.entries.iter().zip(&findings.each);
        list.splice(body, |spliced| {
            let (entry, finding) = each.next().ok_or(Error::Internal)?;
            let client = entry.agent.as_ref().and_then(|agent| clients.of(agent.as_str()));
            let member = Member::new(entry, client, finding, &source);
            serde_json::to_writer(spliced, &member).map_err(|_| Error::Internal)
        })
    }

    /// Where an answer with these fields came from.
    pub(super) fn fetched(
        &self,
        at: Timestamp,
        headers: &HeaderMap,
    ) -> Result<Box<RawValue>, Error> {
        let (upstream, request_id) = (&*self.upstream, headers::azures_id(headers));
        let fetched = Fetched { at: format!("{at:.3}"), upstream, request_id };
        to_raw_value(&fetched).map_err(|_| Error::Internal)
    }

    fn unreadable(&self, asked: &Asked, reason: Unreadable) {
        let upstream: &str = &self.upstream;
        self.metrics.upstream_errors_total.with_label_values(&[upstream, "bad_json"]).inc();
        self.count(asked, reason.as_str());
        tracing::warn!(upstream, reason = reason.as_str(), "an audit list could not be read");
    }

    /// Counts a list that is told.
    pub(super) fn count(&self, asked: &Asked, result: &str) {
        let labels = [asked.session.operation.label(), result];
        self.metrics.audit_lists_total.with_label_values(&labels).inc();
    }
}
