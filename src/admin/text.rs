//! The status for people on a terminal.

use std::fmt::Write as _;

use super::status::{QuotaStatus, Status, UpstreamStatus};
use crate::azure::keys::SlotStatus;
use crate::azure::tokens::TokenStatus;

/// Some lines.
pub(super) fn text(status: &Status<'_>) -> String {
    let mut text = format!("livegate {}\n", status.version);
    let ready = status.not_ready_because.map(|why| format!("not ready: {why}"));
    let ready = ready.unwrap_or_else(|| "ready".to_owned());
    _ = writeln!(text, "{ready}, up for {} s", status.uptime_seconds);
    status.upstreams.iter().for_each(|upstream| upstream_text(&mut text, upstream));
    for app in &status.apps {
        _ = writeln!(text, "app {app}");
    }
    let cache = &status.cache;
    let (entries, bytes, max_bytes) = (cache.entries, cache.bytes, cache.max_bytes);
    _ = writeln!(text, "kept: {entries} sessions, {bytes} of {max_bytes} bytes");
    let decisions = status.recently.of("decisions");
    let decisions: Vec<_> =
        decisions.map(|(decision, seen)| format!("{} {decision}", seen.count)).collect();
    if !decisions.is_empty() {
        let seconds = status.recently.seconds;
        _ = writeln!(text, "decisions of the last {seconds} s: {}", decisions.join(", "));
    }
    for warning in status.config.warnings {
        _ = writeln!(text, "note: {warning}");
    }
    for section in status.config.waiting_for_restart {
        _ = writeln!(text, "note: {section} changed and waits for a restart");
    }
    if let Some(failure) = status.config.last_reload_refused {
        _ = writeln!(text, "the reload at {} was refused:", failure.at);
        for mistake in &failure.mistakes {
            _ = writeln!(text, "  {mistake}");
        }
    }
    text + "see also " + super::PAGES + "\n"
}

/// That the configuration was loaded, and which keys were not.
pub(super) fn reloaded(status: &Status<'_>) -> String {
    let mut text = "the configuration was loaded again\n".to_owned();
    for UpstreamStatus { name, keys, .. } in &status.upstreams {
        for slot in keys.iter().flatten() {
            let Some(problem) = &slot.problem else {
                continue;
            };
            let kept = slot.fingerprint.is_some();
            let kept = if kept { "the one before stays" } else { "there is none" };
            _ = writeln!(text, "the {} key of {name} was not, and {kept}: {problem}", slot.slot);
        }
    }
    text
}

fn upstream_text(text: &mut String, upstream: &UpstreamStatus<'_>) {
    let UpstreamStatus { name, endpoint, health, circuit, quota, backoff_until, keys, token } =
        upstream;
    _ = writeln!(text, "upstream {name}: {endpoint}, {health}, circuit {circuit}");
    if let Some(QuotaStatus { left, most }) = quota {
        _ = writeln!(text, "  quota: {left:.0} of {most:.0} calls left");
    }
    if let Some(until) = backoff_until {
        _ = writeln!(text, "  it asked not to be called until {until}");
    }
    keys.iter().flatten().for_each(|slot| slot_text(text, slot));
    token.iter().for_each(|token| token_text(text, token));
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
