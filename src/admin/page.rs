//! The status for people with a browser: one page, with nothing to fetch and nothing to run, that loads itself anew.

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use uuid::Uuid;

use super::status::{CacheStatus, ConfigStatus, Status, UpstreamStatus};
use crate::azure::keys::{SlotStatus, Verdict};
use crate::azure::tokens::TokenStatus;
use crate::body::Body;
use crate::metrics::recent::{Count, Minutes};

const STYLE: &str = include_str!("page.css");

/// Seconds until it loads itself anew.
const REFRESH: u32 = 5;

/// The page.
pub(super) fn page(status: &Status<'_>) -> Response<Body> {
    let nonce = Uuid::new_v4().simple().to_string();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                link rel="icon" href="data:,";
                title { "livegate: " (ready(status).1) }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body { (body(status)) }
        }
    };
    let mut answer = super::text(http::StatusCode::OK, super::HTML, page.into_string());
    let headers = answer.headers_mut();
    // Nothing is fetched and nothing runs, whatever found its way into the page.
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    headers.extend(HeaderValue::try_from(policy).map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    answer
}

fn ready(status: &Status<'_>) -> (&'static str, String) {
    match status.not_ready_because {
        None => ("good", "ready".to_owned()),
        Some(why) => ("bad", format!("not ready: {why}")),
    }
}

fn body(status: &Status<'_>) -> Markup {
    let (class, ready) = ready(status);
    html! {
        header {
            h1 { "livegate" }
            span class={ "state " (class) } { (ready) }
            span.soft {
                (status.version) " (" (status.revision) "), up for " (time(status.uptime_seconds.unsigned_abs()))
            }
        }
        main {
            @for upstream in &status.upstreams { (resource(upstream)) }
            (decisions(&status.recently))
            (memory(&status.cache, &status.recently))
            (trouble(&status.recently))
            (configuration(&status.config, &status.apps))
        }
        footer {
            "Counted since the start or in the last " (time(status.recently.seconds)) ", whichever is less. "
            "The same as JSON: " code { "/status" } ". For Prometheus: " code { "/metrics" } "."
        }
    }
}

fn resource(upstream: &UpstreamStatus<'_>) -> Markup {
    html! {
        section.wide {
            h2 { "Azure: " (upstream.name) }
            p class={ "state " (if upstream.health.is_good() { "good" } else { "bad" }) } { (upstream.health) }
            p.soft {
                (upstream.endpoint)
                @if let Some(quota) = &upstream.quota {
                    ", " (format!("{:.0} of {:.0}", quota.left, quota.most)) " calls of the quota left"
                }
                @if let Some(until) = &upstream.backoff_until { ", asked not to be called until " (until) }
            }
            @match upstream.circuit {
                "closed" => {}
                state => p.state.bad { "circuit " (state) ": it does not answer, and is left alone but for single tries" }
            }
            @if let Some(slots) = &upstream.keys {
                table {
                    thead { tr { th { "Key" } th { "Regenerate it?" } } }
                    tbody { @for slot in slots { (key(slot)) } }
                }
            }
            @if let Some(token) = &upstream.token { (entra(token)) }
        }
    }
}

fn key(slot: &SlotStatus) -> Markup {
    let class = match slot.verdict {
        Verdict::Safe => "good",
        Verdict::Unknown => "warn",
        Verdict::NotSafe => "soft",
    };
    html! {
        tr {
            td.name {
                p { (slot.slot) }
                p { code { (slot.fingerprint.as_deref().unwrap_or("none")) } }
                @if slot.serving { p.state.good { "serves" } }
            }
            td {
                strong class=(class) { (slot.verdict.as_str()) }
                p.soft { (slot.reason) }
                @if let Some(problem) = &slot.problem {
                    p.bad { "The last reading was refused: " (problem) }
                }
            }
        }
    }
}

fn entra(token: &TokenStatus) -> Markup {
    html! {
        p { "Token: " (token.expires_at.as_deref().map_or_else(|| "none".to_owned(), |at| format!("ends {at}"))) }
        @if let Some(problem) = &token.problem { p.bad { "The last fetch failed: " (problem) } }
    }
}

fn decisions(recently: &Minutes) -> Markup {
    html! {
        section {
            h2 { "Decisions of the last minutes" }
            (counted(recently.of("decisions"), "none yet"))
            h3 { "Digests that were compared" }
            (counted(recently.of("digests"), "none"))
        }
    }
}

fn memory(cache: &CacheStatus, recently: &Minutes) -> Markup {
    let share = recently.share("memory", &["hit", "shared", "collapsed"]);
    html! {
        section {
            h2 { "Memory" }
            p {
                (cache.entries) " sessions, " (kibibytes(cache.bytes)) " of " (kibibytes(cache.max_bytes)) " KiB"
            }
            meter min="0" max=(cache.max_bytes.max(1)) value=(cache.bytes) { (cache.bytes) }
            @if let Some(share) = share {
                p { strong { (format!("{:.0} %", share * 100.0)) } " of the answers cost no call to Azure" }
            }
            (counted(recently.of("memory"), "nothing was asked"))
        }
    }
}

fn trouble(recently: &Minutes) -> Markup {
    let unknown = recently.of("callers").filter(|(result, _)| *result != "ok");
    html! {
        section {
            h2 { "Refusals and mismatches" }
            h3 { "Requests refused before Azure was asked" }
            (counted(recently.of("refused"), "none"))
            h3 { "Callers refused" }
            (counted(unknown, "none"))
            h3 { "No usable answer from Azure" }
            (counted(recently.of("azure"), "none"))
            h3 { "What is odd about sessions" }
            (counted(recently.of("signals"), "nothing"))
        }
    }
}

fn configuration(config: &ConfigStatus<'_>, apps: &[&str]) -> Markup {
    html! {
        section.wide {
            h2 { "Configuration" }
            p { code { (config.file.display()) } " in force since " (config.in_force_since) }
            p { "Apps: " (apps.join(", ")) }
            @for warning in config.warnings { p.warn { (warning) } }
            @for section in config.waiting_for_restart {
                p.warn { (section) " changed and waits for a restart" }
            }
            @if let Some(failure) = config.last_reload_refused {
                p.bad.state { "The reload at " (failure.at) " was refused; what was in force still is." }
                pre { @for mistake in &failure.mistakes { (mistake.to_string()) "\n" } }
            }
        }
    }
}

fn counted<'a>(counts: impl Iterator<Item = (&'a str, Count)>, none: &str) -> Markup {
    let mut counts = counts.peekable();
    html! {
        @if counts.peek().is_none() {
            p.soft { (none) }
        } @else {
            table { tbody {
                @for (value, seen) in counts {
                    tr {
                        td { (value) }
                        td.number { (seen.count) }
                        td.soft.number { (time(seen.last_seconds_ago)) " ago" }
                    }
                }
            } }
        }
    }
}

const fn kibibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
