//! What a running gateway says of itself. A key is a slot and 8 hex digits, here as everywhere.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::answer::kept::Fill;
use crate::azure::Azure;
use crate::azure::credential::Credential;
use crate::azure::keys::{SlotStatus, compare};
use crate::azure::tokens::TokenStatus;
use crate::config::Upstream;
use crate::metrics::Health;
use crate::metrics::recent::Minutes;
use crate::state::{Failure, Live, State};

/// All of it: `GET /status` as JSON, `GET /` for people.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status<'a> {
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
    pub(super) started_at: String,
    pub(super) uptime_seconds: i64,
    pub(super) ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_ready_because: Option<&'static str>,
    pub(super) config: ConfigStatus<'a>,
    pub(super) upstreams: Vec<UpstreamStatus<'a>>,
    pub(super) apps: Vec<&'a str>,
    pub(super) cache: CacheStatus,
    /// What was counted in the last minutes.
    pub(super) recently: Minutes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CacheStatus {
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) max_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigStatus<'a> {
    pub(super) file: &'a Path,
    pub(super) in_force_since: String,
    pub(super) warnings: &'a [String],
    /// Sections that changed and wait for a restart.
    pub(super) waiting_for_restart: &'a [&'static str],
    /// The mistakes of the last reload, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_reload_refused: Option<&'a Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpstreamStatus<'a> {
    pub(super) name: &'a str,
    pub(super) endpoint: String,
    #[serde(flatten)]
    pub(super) health: Health,
    /// `closed`, `open` or `half_open`.
    pub(super) circuit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quota: Option<QuotaStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) backoff_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<SlotStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<TokenStatus>,
}

/// How many calls a resource still allows.
#[derive(Serialize)]
pub(super) struct QuotaStatus {
    pub(super) left: f64,
    pub(super) most: f64,
}

impl<'a> UpstreamStatus<'a> {
    fn new(upstream: &'a Upstream, azure: &Azure) -> Self {
        let (keys, token) = match &azure.credential {
            Credential::Keys(keys) => (Some(keys.status()), None),
            Credential::Token(token) => (None, Some(token.status())),
        };
        let endpoint = format!("{}://{}", upstream.scheme, upstream.authority);
        let (health, share) = (azure.metrics.health(), &azure.share);
        let quota = share.left().map(|(left, most)| QuotaStatus { left, most });
        let backoff = Timestamp::from_second(share.rest_until()).ok();
        let backoff = backoff.filter(|until| *until > Timestamp::now());
        Self {
            name: &upstream.name,
            endpoint,
            health,
            circuit: share.circuit.state(),
            quota,
            backoff_until: backoff.map(|until| until.to_string()),
            keys,
            token,
        }
    }
}

/// All of them, each slot told with an eye on the others.
fn upstreams(live: &Live) -> Vec<UpstreamStatus<'_>> {
    let both = live.config.upstreams.iter().zip(&live.upstreams);
    let mut told: Vec<_> =
        both.map(|(upstream, azure)| UpstreamStatus::new(upstream, azure)).collect();
    compare(told.iter_mut().filter_map(|told| Some((told.name, told.keys.as_mut()?))));
    told
}

/// What it says now, to one who writes it down.
pub(super) fn told<T>(state: &State, write: impl FnOnce(&Status<'_>) -> T) -> T {
    let (live, failure) = (state.live(), state.failure());
    let Fill { entries, bytes, max_bytes } = state.lasting.memory.fill();
    let not_ready = state.not_ready();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("LIVEGATE_REVISION"),
        started_at: format!("{:.0}", state.started),
        uptime_seconds: Timestamp::now().as_second() - state.started.as_second(),
        ready: not_ready.is_none(),
        not_ready_because: not_ready,
        config: ConfigStatus {
            file: &live.config.path,
            in_force_since: format!("{:.0}", live.since),
            warnings: &live.config.warnings,
            waiting_for_restart: &live.restarts,
            last_reload_refused: failure.as_deref(),
        },
        upstreams: upstreams(&live),
        apps: live.config.apps.iter().map(|app| app.name.as_str()).collect(),
        cache: CacheStatus { entries, bytes, max_bytes },
        recently: state.recent.told(&state.metrics),
    };
    write(&status)
}

/// For programs.
pub(super) fn json(status: &Status<'_>) -> String {
    serde_json::to_string_pretty(status).unwrap_or_default()
}
