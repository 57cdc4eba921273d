//! Lists that the gateway makes share questions and answers with the sessions that they are made of.

use serde_json::json;

use super::stage::{added, has, made};
use crate::decision::stage::{FIRST, attempt, ga, only, say, sum, twice};
use crate::memory::stage::{ASKING, COLLAPSED, Stage, cache_status, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;

#[test]
fn a_list_and_its_session_are_one_question() {
    let stage = Stage::with_one_worker("running_ttl = \"0s\"\n");
    say(&stage, &session("abc"), &twice());
    let held = stage.azure.hold("GET");
    let whole = stage.sending(Request::get(&session("abc")));
    stage.azure.until_asked("GET", &session("abc"), 1);
    let list = stage.sending(Request::get(&made("abc")));
    stage.until_metric(&ASKING.replace("session", "audit"), 1);
    held.release();
    assert_eq!(whole.join().unwrap().status, 200);
    let list = list.join().unwrap();
    told(&list, 200, COLLAPSED);
    assert_eq!(added(&list).len(), 2);
    assert_eq!(stage.azure.calls(&session("abc")), 1);
}

#[test]
fn an_answer_that_is_shared_is_told_as_a_list_too() {
    let stage = Stage::with("running_ttl = \"60s\"\n");
    say(&stage, &session("abc"), &ga("Running", &[attempt(1, "realface", FIRST)]));
    told(&stage.get(&session("abc")), 200, "livegate; fwd=miss");
    let list = stage.get(&made("abc"));
    told(&list, 200, "livegate; hit; ttl=0");
    assert!(list.header("age").is_some());
    assert_eq!((added(&list).len(), stage.azure.calls(&session("abc"))), (1, 1));
}

#[test]
fn without_a_memory_there_are_lists_all_the_same() {
    let stage = Stage::with("max_bytes = \"0B\"\nrunning_ttl = \"0s\"\n");
    say(&stage, &session("abc"), &twice());
    for calls in 1..=2 {
        let list = stage.get(&made("abc"));
        assert!(cache_status(&list).contains("fwd="), "{list:?}");
        assert_eq!((added(&list).len(), stage.azure.calls(&session("abc"))), (2, calls));
    }
}

#[test]
fn a_sessions_tag_is_no_tag_of_its_list() {
    let stage = Stage::set();
    say(&stage, &session("abc"), &twice());
    let tag = stage.get(&session("abc")).header("etag").unwrap().to_owned();
    for tag in [tag.as_str(), "*"] {
        let list = stage.get_with(&made("abc"), "If-None-Match", tag);
        assert_eq!((list.status, added(&list).len()), (200, 2), "{tag}");
        assert_eq!(only(&list, "etag"), None);
    }
}

#[test]
fn an_attempt_that_becomes_another_is_a_mismatch() {
    let stage = Stage::set();
    let shows = |decision: &str| {
        say(&stage, &session("abc"), &ga("Running", &[attempt(1, decision, FIRST)]));
        has(&added(&stage.get(&made("abc"))), "result-mismatch")
    };
    assert_eq!(shows("realface"), [false]);
    assert_eq!(shows("realface"), [false]);
    assert_eq!(shows("spoofface"), [true]);
    let signal = ["signal=\"result-mismatch\""];
    assert_eq!(sum(&stage, "livegate_liveness_signals_total", &signal), 1.0);
}

#[test]
fn many_who_read_at_once_are_told_the_same_and_counted_once() {
    let stage = Stage::set();
    let path = super::stage::audit("abc");
    let entries = [1, 2].map(|number| {
        let entry = super::stage::entry(number);
        super::stage::with(entry, "receivedDateTime", super::stage::at(1_000))
    });
    super::stage::lists(&stage, &path, &entries);
    let held = stage.azure.hold("GET");
    let request = || Request::get(&path).header("x-ms-client-request-id", "client");
    let readers: Vec<_> = (0..20).map(|_| stage.sending(request())).collect();
    stage.azure.until_asked("GET", &path, 20);
    held.release();
    for reader in readers {
        let signals = has(&added(&reader.join().unwrap()), "rapid-retry");
        assert_eq!(signals, [false, true]);
    }
    assert_eq!(sum(&stage, "livegate_audit_entries_total", &[]), 2.0);
    assert_eq!(sum(&stage, "livegate_audit_service_duration_seconds_count", &[]), 2.0);
    assert_eq!(sum(&stage, "livegate_liveness_signals_total", &[]), 1.0);
}

#[test]
fn a_method_that_lists_do_not_have_is_refused() {
    let stage = Stage::set();
    for method in ["POST", "DELETE", "PUT"] {
        let answer = Request::new(method, &made("abc"))
            .key(TOKEN)
            .json(&json!({}))
            .send(stage.gateway.public);
        assert_eq!((answer.status, answer.error_code().as_str()), (405, "MethodNotAllowed"));
        assert_eq!(only(&answer, "allow"), Some("GET, HEAD"), "{method}");
    }
    assert!(stage.azure.upstream.recorded().is_empty());
}
