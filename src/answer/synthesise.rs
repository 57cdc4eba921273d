//! Makes a list in the form of an audit list of a session of v1.2 or later, where Azure has no audit lists.
//!
//! Below it sessions are answered, from memory if they can be. Above it each entry bears the mark that it was made.

use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde::Serialize;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::enrich::Asked;
use super::investigate::{Findings, Investigator};
use super::recall::{How, Told};
use super::tell::part;
use crate::body::Body;
use crate::call::{Call, Page, Reply, Target};
use crate::error::{Defect, Error};
use crate::headers::LIVENESS_DECISION;
use crate::liveness::audit::Entry;
use crate::liveness::audit::finding::{Mark, Member, Source};
use crate::liveness::audit::synthesis::{self, Attempts};
use crate::liveness::resource::Kind;
use crate::liveness::session::{Standing, read};
use crate::liveness::{Resource, Route};

const NO_ATTEMPT: Error = Error::BadQuery("'start' is invalid: it is the id of an entry.");
const NO_SESSION: Error = Error::UpstreamInvalidResponse(Defect::NoSession);

/// The row.
#[derive(Debug, Clone)]
pub struct Synthesise<S> {
    inner: S,
    investigator: Investigator,
}

/// Makes lists of sessions.
pub fn synthesise<S>(investigator: Investigator) -> impl Layer<S, Service = Synthesise<S>> + Clone {
    layer_fn(move |inner| Synthesise { inner, investigator: investigator.clone() })
}

impl<S> Service<Call> for Synthesise<S>
where
    S: Service<Call, Response = Told, Error = Error>,
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
        let start = match start(&asked.page) {
            Ok(start) => start,
            Err(error) => return ready(Err(error)).boxed(),
        };
        let Some(call) = about_the_session(call) else {
            return ready(Err(Error::Internal)).boxed();
        };
        let told = self.inner.call(call);
        async move { investigator.made(&asked, start, &told.await?) }.boxed()
    }
}

/// The question about the session itself.
fn about_the_session(call: Call) -> Option<Call> {
    let (operation, id) = call.target.resource.audited()?;
    let kind = Kind::Session(operation, id.clone());
    let resource = Resource { version: call.target.resource.version, kind };
    let target = Target { route: Route::Session, resource, page: Page::default() };
    Some(Call { target, by_app: false, ..call })
}

/// Behind which attempt the page begins; 0 is the first page. Azure refuses what is no number too.
fn start(page: &Page) -> Result<Option<i64>, Error> {
    let Some(start) = page.start.as_deref().filter(|start| !matches!(*start, "" | "0")) else {
        return Ok(None);
    };
    let digits = start.strip_prefix('-').unwrap_or(start);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_ATTEMPT);
    }
    // What is larger than any number of an attempt lies behind all of them.
    let farthest = if digits.len() < start.len() { i64::MIN } else { i64::MAX };
    Ok(Some(start.parse().unwrap_or(farthest)))
}

impl Investigator {
    fn made(&self, asked: &Asked, start: Option<i64>, told: &Told) -> Result<Reply, Error> {
        let Told { answer, how, question, .. } = told;
        let mut headers = answer.told(matches!(how, How::Asked { .. }));
        let body = match &answer.session {
            // What is not a session is Azure's own word.
            None => answer.body.clone(),
            Some(session) if session.standing == Standing::Unreadable => return Err(NO_SESSION),
            Some(_) => {
                let family = question.key.version.family();
                let (facts, body) = read(family, answer.body.clone());
                let attempts = Attempts::of(&body).ok_or(NO_SESSION)?;
                let model = facts.model_version.clone();
                let of = facts.count;
                let entries = synthesis::entries(facts);
                let findings = self.of_made(&asked.session, &entries, &asked.app);
                let fetched = self.fetched(answer.fetched.wall(), &headers)?;
                let model = model.as_deref();
                let source = Source { synthesised: true, of, model, fetched };
                let made = Made { attempts: &attempts, entries: &entries, findings: &findings };
                let body = made.page(asked, start, &source)?;
                asked.tell(&mut headers, asked.enrich.then_some(true));
                self.count(asked, "synthesised");
                headers.remove(LIVENESS_DECISION);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                body.into()
            }
        };
        told.come_by(&mut headers);
        let mut reply = Response::new(Body::from(body));
        *reply.status_mut() = answer.status;
        *reply.headers_mut() = headers;
        Ok(Reply { answer: reply, cache: part(*how) })
    }
}

/// A list that was made.
struct Made<'a> {
    attempts: &'a Attempts<'a>,
    entries: &'a [Entry<'a>],
    findings: &'a Findings,
}

impl Made<'_> {
    /// A page of it, as it is told.
    fn page(
        &self,
        asked: &Asked,
        start: Option<i64>,
        source: &Source<'_>,
    ) -> Result<Vec<u8>, Error> {
        let top = asked.page.top.map_or(usize::MAX, usize::from);
        let behind = |entry: &Entry<'_>| start.is_none_or(|start| entry.id > Some(start));
        let each = self.entries.iter().zip(&self.findings.each);
        let each = each.filter(|(entry, _)| behind(entry)).take(top);
        let number = |entry: &Entry<'_>| entry.attempt.proof.attempt;
        if asked.enrich {
            let member = |finding, entry| Member::new(entry, None, finding, source);
            list(
                each.map(|(entry, finding)| {
                    self.attempts.made(number(entry), member(finding, entry))
                }),
            )
        } else {
            list(each.map(|(entry, _)| self.attempts.made(number(entry), Mark::SYNTHESISED)))
        }
    }
}

fn list(entries: impl Iterator<Item = impl Serialize>) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&entries.collect::<Vec<_>>()).map_err(|_| Error::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_a_number() {
        let start = |text: &str| start(&Page { start: Some(text.into()), top: None });
        for (text, expected) in [
            ("", None),
            ("0", None),
            ("1", Some(1)),
            ("007", Some(7)),
            ("-1", Some(-1)),
            ("9223372036854775808", Some(i64::MAX)),
            ("-9223372036854775809", Some(i64::MIN)),
        ] {
            assert_eq!(start(text), Ok(expected), "{text}");
        }
        for odd in ["x", "+1", "-", "1.5", " 1", "--1"] {
            assert_eq!(start(odd), Err(NO_ATTEMPT), "{odd}");
        }
    }
}
