//! Entra's tokens for a resource: one is held, and another one fetched before it ends, by one fetch at a time for all requests.
//!
//! `azure_identity` refreshes on a request's way, under a lock, and hands out a failure although the token that it has is still good;
//! see `docs/decisions/0008-keys-and-tokens.md`.

mod fetch;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use prometheus::IntGauge;
use serde::Serialize;

use self::fetch::{Fetched, Fetcher};
use super::finding::Finding;
use super::keys::Tried;
use super::outcomes::Outcomes;
use super::rest::Rest;
use crate::config::{Entra, Upstream};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::metrics::waits::waiting;
use crate::moment::Moment;

/// The first wait after a fetch that failed; each one after it is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long before its end a token is not shown any more, at most: it has to arrive.
const MARGIN: Duration = Duration::from_secs(10);

/// A resource's tokens.
#[derive(Debug)]
pub struct Tokens {
    upstream: String,
    fetcher: Fetcher,
    held: Mutex<Held>,
    /// Held by the one who fetches.
    fetching: tokio::sync::Mutex<()>,
    outcomes: Outcomes,
    expiry: IntGauge,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    ids: u64,
    failure: Option<Failure>,
    rest: Rest,
    requests: u64,
}

#[derive(Debug, Clone)]
struct Token {
    id: u64,
    value: HeaderValue,
    fetched: Moment,
    life: Duration,
    accepted: Option<Moment>,
    refused: Option<Moment>,
}

/// A fetch that failed. Nobody fetches until its time is over.
#[derive(Debug)]
struct Failure {
    told: String,
    at: Moment,
    wait: Duration,
}

/// What may be told of a resource's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenStatus {
    /// When the token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<String>,
    /// When Azure last accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accepted_at: Option<String>,
    /// When Azure last refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refused_at: Option<String>,
    /// How many requests were sent with tokens.
    pub requests: u64,
    /// Why the last fetch failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Token {
    fn is_valid(&self, now: Moment) -> bool {
        now.since(self.fetched) < self.life.saturating_sub(MARGIN.min(self.life / 10))
    }

    fn expires_at(&self) -> i64 {
        let life = i64::try_from(self.life.as_secs()).unwrap_or_default();
        self.fetched.wall().as_second().saturating_add(life)
    }
}

impl Tokens {
    /// Of this upstream, with the token of those before, if they were for the same identity. Nothing is fetched yet.
    ///
    /// # Errors
    /// Where no root certificate can be found to trust.
    pub fn new(
        upstream: &Upstream,
        entra: &Entra,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let name = upstream.name.as_str();
        let expiry = metrics.key_expiry_timestamp_seconds.with_label_values(&[name, "token"]);
        let tokens = Self {
            upstream: name.to_owned(),
            fetcher: Fetcher::new(upstream, entra)?,
            held: Mutex::new(before.map(|before| before.lock().handed_on()).unwrap_or_default()),
            fetching: tokio::sync::Mutex::default(),
            outcomes: Outcomes::new(metrics, name, "token"),
            expiry,
        };
        tokens.show(tokens.lock().token.as_ref());
        Ok(tokens)
    }

    fn show(&self, token: Option<&Token>) {
        self.outcomes.holds(token.map(|token| (token.fetched, token.accepted)));
        self.outcomes.active(token.is_some());
        self.expiry.set(token.map_or(0, Token::expires_at));
    }

    /// What a request shows next, whose earlier tries were refused: the token, and then a new one, once.
    ///
    /// # Errors
    /// [`Error::NoKey`] where no token can be had; [`Error::UpstreamUnauthorized`] where Azure refuses a new one too.
    pub(super) async fn next(
        self: Arc<Self>,
        tried: &mut Tried,
    ) -> Result<(u64, HeaderValue), Error> {
        if tried.ids.is_empty() && self.lock().rest.holds(Moment::now(), false) {
            return Err(Error::UpstreamUnauthorized);
        }
        for fetched in [false, true] {
            if let Some((id, value)) = self.lock().pick(tried, Moment::now()) {
                tried.ids.push(id);
                return Ok((id, value));
            }
            if fetched || tried.ids.len() > 1 {
                break;
            }
            // The one who asks may leave; the fetch goes on, for all who need it.
            let fetch = Arc::clone(&self).renew(tried.ids.first().copied());
            drop(waiting(tokio::spawn(fetch)).await);
        }
        if tried.ids.is_empty() {
            return Err(Error::NoKey);
        }
        if self.lock().rest.refused(Moment::now()) {
            tracing::error!(upstream = self.upstream, "Azure refuses new tokens too");
        }
        Err(Error::UpstreamUnauthorized)
    }

    /// Fetches a token where the one that is held was refused or is not good for long.
    async fn renew(self: Arc<Self>, refused: Option<u64>) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.lock().is_wanted(refused, Moment::now()) {
            return;
        }
        let fetched = self.fetcher.fetch().await;
        let (now, upstream) = (Moment::now(), &*self.upstream);
        match fetched {
            Ok(Fetched { token, life }) => {
                let mut held = self.lock();
                let Some(value) = token.bearer() else {
                    return;
                };
                held.ids += 1;
                let (id, accepted, refused) = (held.ids, None, None);
                let token = Token { id, value, fetched: now, life, accepted, refused };
                self.show(Some(&token));
                (held.token, held.failure) = (Some(token), None);
                drop(held);
                tracing::info!(upstream, seconds = life.as_secs(), "a token was fetched");
            }
            Err(told) => {
                let held = self.lock().failed(told.clone(), now);
                tracing::warn!(upstream, held, "no token could be fetched: {told}");
            }
        }
    }

    /// What came of a try with a token.
    pub(super) fn conclude(&self, id: u64, finding: Finding) {
        let now = Moment::now();
        self.outcomes.count(finding);
        let mut held = self.lock();
        let token = held.token.as_mut().filter(|token| token.id == id);
        match finding {
            Finding::Accepted => {
                if let Some(token) = token {
                    token.accepted = Some(now);
                    self.outcomes.accepted(now);
                }
                if held.rest.end() {
                    tracing::info!(upstream = self.upstream, "Azure accepts a token again");
                }
            }
            Finding::Refused(_) => token.into_iter().for_each(|token| token.refused = Some(now)),
            Finding::Throttled | Finding::Unknown => {}
        }
    }

    /// Fetches, if it is time to: half of a token's life is left for fetches that fail.
    pub(super) fn tend(self: Arc<Self>) {
        let due = self.lock().is_wanted(None, Moment::now());
        if due && self.fetching.try_lock().is_ok() {
            tokio::spawn(self.renew(None));
        }
    }

    /// Whether there is a token.
    pub fn any(&self) -> bool {
        self.lock().token.as_ref().is_some_and(|token| token.is_valid(Moment::now()))
    }

    /// What may be told of it.
    pub fn status(&self) -> TokenStatus {
        let held = self.lock();
        let token = held.token.as_ref();
        let at = |pick: fn(&Token) -> Option<Moment>| token.and_then(pick).map(Moment::written);
        let ends = |token: &Token| jiff::Timestamp::from_second(token.expires_at()).ok();
        TokenStatus {
            expires_at: token.and_then(ends).map(|at| at.to_string()),
            fetched_at: at(|token| Some(token.fetched)),
            last_accepted_at: at(|token| token.accepted),
            last_refused_at: at(|token| token.refused),
            requests: held.requests,
            problem: held.failure.as_ref().map(|failure| failure.told.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// What one goes on with who takes over.
    fn handed_on(&self) -> Self {
        let Self { token, ids, requests, .. } = self;
        Self { token: token.clone(), ids: *ids, requests: *requests, ..Self::default() }
    }

    fn pick(&mut self, tried: &Tried, now: Moment) -> Option<(u64, HeaderValue)> {
        let token = self.token.as_ref().filter(|token| token.is_valid(now))?;
        if tried.ids.contains(&token.id) {
            return None;
        }
        self.requests += 1;
        Some((token.id, token.value.clone()))
    }

    /// Whether a token is to be fetched: there is none, the one there is was refused, or half of its life is over.
    fn is_wanted(&self, refused: Option<u64>, now: Moment) -> bool {
        let waits = |failure: &Failure| now.since(failure.at) < failure.wait;
        if self.failure.as_ref().is_some_and(waits) {
            return false;
        }
        self.token.as_ref().is_none_or(|token| {
            refused == Some(token.id) || now.since(token.fetched) >= token.life / 2
        })
    }

    /// A fetch failed. Whether there is still a good token.
    fn failed(&mut self, told: String, at: Moment) -> bool {
        let before = self.failure.take().map(|failure| failure.wait * 2);
        let wait = before.unwrap_or(FIRST_WAIT).min(LONGEST_WAIT);
        self.failure = Some(Failure { told, at, wait });
        self.token.as_ref().is_some_and(|token| token.is_valid(at))
    }
}
