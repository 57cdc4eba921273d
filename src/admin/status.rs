//! What a running gateway says of itself, as JSON and for people. A key is a slot and 8 hex digits, here as everywhere.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::answer::kept::Fill;
use crate::azure::credential::Credential;
use crate::azure::keys::{SlotStatus, compare};
use crate::azure::tokens::TokenStatus;
use crate::config::Upstream;
use crate::state::{Failure, Live, State};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    version: &'static str,
    started_at: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_ready_because: Option<&'static str>,
    config: ConfigStatus<'a>,
    upstreams: Vec<UpstreamStatus<'a>>,
    apps: Vec<&'a str>,
    cache: CacheStatus,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheStatus {
    entries: u64,
    bytes: u64,
    max_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigStatus<'a> {
    file: &'a Path,
    in_force_since: String,
    warnings: &'a [String],
    /// Sections that changed and wait for a restart.
    waiting_for_restart: &'a [&'static str],
    /// The mistakes of the last reload, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload_refused: Option<&'a Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpstreamStatus<'a> {
    name: &'a str,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<SlotStatus>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenStatus>,
}

impl<'a> UpstreamStatus<'a> {
    fn new(upstream: &'a Upstream, credential: &Credential) -> Self {
        let (keys, token) = match credential {
            Credential::Keys(keys) => (Some(keys.status()), None),
            Credential::Token(token) => (None, Some(token.status())),
        };
        let endpoint = format!("{}://{}", upstream.scheme, upstream.authority);
        Self { name: &upstream.name, endpoint, keys, token }
    }
}

/// All of them, each slot told with an eye on the others.
fn upstreams(live: &Live) -> Vec<UpstreamStatus<'_>> {
    let both = live.config.upstreams.iter().zip(&live.upstreams);
    let mut told: Vec<_> =
        both.map(|(upstream, azure)| UpstreamStatus::new(upstream, &azure.credential)).collect();
    compare(told.iter_mut().filter_map(|told| Some((told.name, told.keys.as_mut()?))));
    told
}

/// For programs.
pub(super) fn json(state: &State) -> String {
    let (live, failure) = (state.live(), state.failure());
    let Fill { entries, bytes, max_bytes } = state.lasting.memory.fill();
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: state.started.to_string(),
        ready: state.not_ready().is_none(),
        not_ready_because: state.not_ready(),
        config: ConfigStatus {
            file: &live.config.path,
            in_force_since: live.since.to_string(),
            warnings: &live.config.warnings,
            waiting_for_restart: &live.restarts,
            last_reload_refused: failure.as_deref(),
        },
        upstreams: upstreams(&live),
        apps: live.config.apps.iter().map(|app| app.name.as_str()).collect(),
        cache: CacheStatus { entries, bytes, max_bytes },
    };
    serde_json::to_string_pretty(&status).unwrap_or_default()
}

/// That the configuration was loaded, and which keys were not.
pub(super) fn reloaded(state: &State) -> String {
    let mut text = "the configuration was loaded again\n".to_owned();
    for upstream in upstreams(&state.live()) {
        for slot in upstream.keys.iter().flatten() {
            if let Some(problem) = &slot.problem {
                let kept = if slot.fingerprint.is_some() {
                    "the one before stays"
                } else {
                    "there is none"
                };
                let (name, slot) = (upstream.name, slot.slot);
                _ = writeln!(text, "the {slot} key of {name} was not, and {kept}: {problem}");
            }
        }
    }
    text
}

/// For people.
pub(super) fn text(state: &State) -> String {
    let live = state.live();
    let mut text = format!("livegate {}\n", env!("CARGO_PKG_VERSION"));
    let up = Timestamp::now().as_second() - state.started.as_second();
    _ = writeln!(
        text,
        "{}, up for {up} s",
        state.not_ready().map_or_else(|| "ready".to_owned(), |why| format!("not ready: {why}"))
    );
    for UpstreamStatus { name, endpoint, keys, token } in upstreams(&live) {
        _ = writeln!(text, "upstream {name}: {endpoint}");
        keys.iter().flatten().for_each(|slot| slot_text(&mut text, slot));
        token.iter().for_each(|token| token_text(&mut text, token));
    }
    for app in &live.config.apps {
        _ = writeln!(text, "app {}", app.name);
    }
    let Fill { entries, bytes, max_bytes } = state.lasting.memory.fill();
    _ = writeln!(text, "kept: {entries} sessions, {bytes} of {max_bytes} bytes");
    for warning in &live.config.warnings {
        _ = writeln!(text, "note: {warning}");
    }
    for section in &live.restarts {
        _ = writeln!(text, "note: {section} changed and waits for a restart");
    }
    if let Some(failure) = state.failure() {
        _ = writeln!(text, "the reload at {} was refused:", failure.at);
        for mistake in &failure.mistakes {
            _ = writeln!(text, "  {mistake}");
        }
    }
    text + "see also " + super::PAGES + "\n"
}

fn slot_text(text: &mut String, slot: &SlotStatus) {
    let fingerprint = slot.fingerprint.as_deref().unwrap_or("none");
    let serving = if slot.serving { ", serving" } else { "" };
    let verdict = slot.verdict.as_str();
    _ = writeln!(text, "  key {}: {fingerprint}{serving}; {verdict}: {}", slot.slot, slot.reason);
    if let Some(problem) = &slot.problem {
        _ = writeln!(text, "    the last reading was refused: {problem}");
    }
}

fn token_text(text: &mut String, token: &TokenStatus) {
    let ends =
        token.expires_at.as_deref().map_or_else(|| "none".to_owned(), |at| format!("ends {at}"));
    _ = writeln!(text, "  token: {ends}");
    if let Some(problem) = &token.problem {
        _ = writeln!(text, "    the last fetch failed: {problem}");
    }
}
