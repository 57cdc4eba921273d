//! What the metrics count of audit lists: an entry once, however and wherever it is read.

use serde_json::Value;

use super::stage::{PLAIN, ask, at, audit, entry, lists, verify_audit, with, without};
use crate::decision::stage::{attempt, failed, ga, say, sum};
use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;

const ENTRIES: &str = "livegate_audit_entries_total";
const STATUS: &str = "response.statusCode";
const DURATION: &str = "livegate_audit_service_duration_seconds";

/// An entry that Azure took so many milliseconds for.
fn took(number: u64, milliseconds: u64) -> Value {
    let second = i64::try_from(number).unwrap() * 60_000;
    let entry = with(entry(number), "receivedDateTime", at(second));
    with(entry, "response.latencyInMilliseconds", milliseconds)
}

/// Asserts how many entries were counted, how many of them had a latency, and how long those took in all.
#[track_caller]
fn counted(stage: &Stage, entries: u32, durations: u32, seconds: f64) {
    assert_eq!(sum(stage, ENTRIES, &[]), f64::from(entries));
    assert_eq!(sum(stage, &format!("{DURATION}_count"), &[]), f64::from(durations));
    assert_eq!(sum(stage, &format!("{DURATION}_sum"), &[]), seconds);
}

#[test]
fn before_anything_was_read_nothing_is_counted() {
    counted(&Stage::set(), 0, 0, 0.0);
}

#[test]
fn an_entry_is_counted_once_by_its_id() {
    let stage =
        Stage::built(|builder| builder.app_with("plain", PLAIN, &["audit"], "enrich = false\n"));
    let path = audit("abc");
    let entries =
        [took(1, 250), took(2, 500), without(took(3, 0), "response.latencyInMilliseconds")];
    lists(&stage, &path, &entries[..1]);
    ask(&stage, PLAIN, &path, None);
    counted(&stage, 1, 1, 0.25);
    lists(&stage, &path, &entries);
    for _ in 0..3 {
        for (token, prefer) in [(TOKEN, None), (TOKEN, Some("enrich=none")), (PLAIN, None)] {
            ask(&stage, token, &path, prefer);
        }
    }
    counted(&stage, 3, 2, 0.75);
    // On another page, in another version and by another spelling they are the same.
    for other in [
        path.clone() + "?start=1",
        path.clone() + "?top=2",
        path.replace("v1.2-preview.1", "v1.1-preview.1"),
        audit("ABC"),
    ] {
        lists(&stage, &other, &entries);
        assert_eq!(stage.get(&other).status, 200);
    }
    counted(&stage, 3, 2, 0.75);
    let head = stage.raw("HEAD", &path, "");
    assert!(head.0.contains(" 200 "));
    counted(&stage, 3, 2, 0.75);
}

#[test]
fn other_sessions_and_new_entries_are_others() {
    let stage = Stage::set();
    let entries = [took(1, 250), took(2, 500), took(2, 500)];
    for path in [audit("abc"), audit("abd"), verify_audit("abc")] {
        lists(&stage, &path, &entries);
        stage.get(&path);
    }
    counted(&stage, 6, 6, 2.25);
    // What an entry says later makes no other of it.
    let later = [took(1, 1_000), took(2, 1_000), took(3, 1_000)];
    lists(&stage, &audit("abc"), &later);
    stage.get(&audit("abc"));
    counted(&stage, 7, 7, 3.25);
}

#[test]
fn a_list_is_counted_by_what_became_of_it() {
    const LISTS: &str = "livegate_audit_lists_total";
    let stage = Stage::set();
    lists(&stage, &audit("abc"), &[took(1, 1)]);
    for prefer in ["enrich=gateway", "enrich=none"] {
        ask(&stage, TOKEN, &audit("abc"), Some(prefer));
    }
    assert_eq!(sum(&stage, LISTS, &[]), 2.0);
    for reason in ["not_json", "no_list", "too_many", "bad_entry", "too_long", "too_deep", "taken"]
    {
        assert_eq!(stage.metric(&format!("{LISTS}{{result=\"{reason}\"}}")), 0, "{reason}");
    }
}

#[test]
fn entries_are_counted_by_what_the_device_was_answered() {
    let stage = Stage::set();
    let statuses = [200, 204, 400, 404, 499, 500].map(Value::from);
    let entries = (1..).zip(statuses).map(|(id, status)| with(took(id, 1), STATUS, status));
    let path = verify_audit("abc");
    lists(&stage, &path, &entries.collect::<Vec<_>>());
    stage.get(&path);
    for (class, times) in [("2xx", 2.0), ("4xx", 3.0), ("5xx", 1.0)] {
        let class = format!("status_class=\"{class}\"");
        let labels = [class.as_str(), "operation=\"liveness_with_verify\""];
        assert_eq!(sum(&stage, ENTRIES, &labels), times, "{class}");
        assert_eq!(sum(&stage, &format!("{DURATION}_count"), &labels), times, "{class}");
    }
    counted(&stage, 6, 6, 0.006);
}

#[test]
fn what_the_gateway_made_took_azure_no_time() {
    let stage = Stage::set();
    say(&stage, &session("abc"), &ga("Failed", &[failed(1, "FaceWithMaskDetected")]));
    stage.get(&super::stage::made("abc"));
    assert_eq!(sum(&stage, &format!("{DURATION}_count"), &[]), 0.0);
}

#[test]
fn metrics_name_no_session() {
    let stage = Stage::set();
    let entries = [with(took(1, 1), "sessionImageId", "planted-image")];
    lists(&stage, &audit("planted-session"), &entries);
    stage.get(&audit("planted-session"));
    let metrics = crate::support::http::Request::get("/metrics").send(stage.gateway.admin).text();
    assert!(metrics.contains(ENTRIES), "{metrics}");
    for secret in ["planted", &super::stage::digest(1)] {
        assert!(!metrics.contains(secret), "{secret} in {metrics}");
    }
}

#[test]
fn a_list_that_was_read_is_looked_at_again_once_the_session_is_known() {
    let stage =
        Stage::built(|builder| builder.app_with("plain", PLAIN, &["audit"], "enrich = false\n"));
    let (path, signals) = (audit("abc"), "livegate_liveness_signals_total");
    lists(&stage, &path, &[entry(1)]);
    ask(&stage, PLAIN, &path, None);
    ask(&stage, PLAIN, &path, None);
    assert_eq!(sum(&stage, signals, &[]), 0.0);
    let mut flipped = attempt(1, "spoofface", &super::stage::digest(1));
    flipped["attemptId"] = Value::from(7);
    say(&stage, &session("abc"), &ga("Succeeded", &[flipped]));
    stage.get(&session("abc"));
    assert_eq!(sum(&stage, signals, &[]), 0.0, "the session alone says nothing against itself");
    for _ in 0..2 {
        ask(&stage, PLAIN, &path, None);
    }
    assert_eq!(sum(&stage, signals, &["signal=\"result-mismatch\""]), 1.0);
    counted(&stage, 1, 1, 0.642);
    assert_eq!(sum(&stage, "livegate_audit_lists_total", &["result=\"plain\""]), 4.0);
}
