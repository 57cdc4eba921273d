//! Lines of the trail for reads that end in other ways, and under a configuration that is exchanged.

use std::io::Write as _;
use std::slice;

use serde_json::{Value, json};

use super::stage::{audit, entry, lists, made};
use crate::decision::stage::{say, twice};
use crate::memory::azure::ok;
use crate::memory::stage::{ASKING, Stage, session};
use crate::support::frames::{RST_STREAM, frame};
use crate::support::http::Request;
use crate::support::wait;

/// RFC 9113 §7: the stream is no longer needed.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// The lines of the trail, once there are so many.
#[track_caller]
fn lines(stage: &Stage, count: usize) -> Vec<Value> {
    let trail = || -> Vec<Value> {
        let log = stage.gateway.process.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["target"] == "livegate::access").collect()
    };
    let there = wait::until(|| (trail().len() >= count).then_some(()));
    let trail = trail();
    assert!(there.is_some() && trail.len() == count, "{trail:#?}");
    trail
}

#[test]
fn who_left_before_the_answer_has_a_line_without_status() {
    let stage = Stage::set();
    let audit = audit("abc");
    say(&stage, &session("abc"), &twice());
    lists(&stage, &audit, &[entry(1)]);
    let in_flight = [ASKING.to_owned(), ASKING.replace("session", "audit")];
    for (count, (path, metric)) in (1..).zip([session("abc"), audit].iter().zip(&in_flight)) {
        let held = stage.azure.hold("GET");
        let mut only = stage.ask_by_http2(path, "enrich=none");
        stage.azure.until_asked("GET", path, 1);
        only.write_all(&frame(RST_STREAM, 0, &CANCEL)).unwrap();
        stage.until_metric(metric, 0);
        let trail = lines(&stage, count);
        let line = trail.last().unwrap();
        assert_eq!(line.get("status"), None, "{line}");
        assert_eq!((&line["app"], line["route"] == "audit"), (&json!("onboarding"), count == 2));
        for absent in ["decision", "verdict"] {
            assert_eq!(line.get(absent), None, "{line}");
        }
        held.release();
    }
}

#[test]
fn what_was_not_modified_was_read_too() {
    let stage = Stage::set();
    say(&stage, &session("abc"), &twice());
    let tag = stage.get(&session("abc")).header("etag").unwrap().to_owned();
    let answer = stage.get_with(&session("abc"), "If-None-Match", &tag);
    assert_eq!(answer.status, 304);
    let trail = lines(&stage, 2);
    let told = |name: &str| answer.header(name).map(Value::from).unwrap_or_default();
    assert_eq!((&trail[1]["status"], &trail[1]["cache"]), (&json!(304), &json!("hit")));
    assert_eq!(trail[1].get("verdict").cloned().unwrap_or_default(), told("liveness-digest"));
    assert_eq!(trail[1].get("decision").cloned().unwrap_or_default(), told("liveness-decision"));
    assert!(trail[1]["verdict"] == "unreported", "{}", trail[1]);
}

#[test]
fn who_waits_has_one_line_with_the_last_answer() {
    let stage = Stage::set();
    stage.azure.says_in_turn(
        "GET",
        &session("abc"),
        [ok(&crate::decision::stage::ga("Running", &[]).to_string()), ok(&twice().to_string())],
    );
    assert_eq!(stage.waiting(&session("abc")).join().unwrap().status, 200);
    let trail = lines(&stage, 1);
    assert_eq!(trail[0]["decision"], "realface;attempt=2;attempts=2");
}

#[test]
fn what_clients_say_of_themselves_cannot_break_a_line() {
    let stage = Stage::set();
    let odd = "a\",\"status\":999,\"app\":\"other\\";
    for (name, value) in [("client-request-id", odd), ("x-ms-client-request-id", odd)] {
        stage.get_with(&session("abc"), name, value);
    }
    stage.get_with(&session("abc"), "traceparent", odd);
    for line in lines(&stage, 3) {
        assert_eq!((&line["app"], &line["status"]), (&json!("onboarding"), &json!(404)), "{line}");
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
    }
}

#[test]
fn how_sessions_are_named_may_be_changed_while_it_runs() {
    let stage = Stage::built(|builder| builder.more("[access]\nsession = \"raw\"\n"));
    stage.get(&session("abc"));
    stage.reload("session = \"raw\"", "session = \"hashed\"");
    stage.get(&session("abc"));
    stage.reload("session = \"hashed\"", "session = \"raw\"");
    stage.get(&made("abc"));
    let trail = lines(&stage, 3);
    let raw = [&trail[0], &trail[2]];
    for line in raw {
        assert_eq!((&line["session"], line.get("key")), (&json!("abc"), None), "{line}");
    }
    assert_eq!(trail[1]["session"].as_str().map(str::len), Some(32), "{}", trail[1]);
    assert!(trail[1]["key"].is_string(), "{}", trail[1]);
}

#[test]
fn whether_lists_are_enriched_may_be_changed_while_it_runs() {
    let token = "app-token-other-0123456789";
    let stage =
        Stage::built(|builder| builder.app_with("other", token, &["audit"], "enrich = false\n"));
    lists(&stage, &audit("abc"), slice::from_ref(&entry(1)));
    let ask = || Request::get(&audit("abc")).key(token).send(stage.gateway.public);
    let is_rich = || ask().text().contains("livegate.audit/1");
    assert!(!is_rich());
    stage.reload("enrich = false", "enrich = true");
    assert!(is_rich());
    stage.reload("enrich = true", "# enrich = true");
    assert!(is_rich());
}
