//! Apps that want no answer from memory.

use super::azure::{absent, ended, error, ok, result, running, succeeded};
use super::stage::{MISS, Stage, cache_status, hit, session, told};
use crate::support::http::{Answer, Request};

const FRESH: &str = "livegate; fwd=request; stored";
const FRESH_BUT_NOT_KEPT: &str = "livegate; fwd=request";

/// A stage with a session that is kept.
fn stage() -> (Stage, String) {
    let (stage, path) = (Stage::set(), session("abc"));
    stage.azure.says(&path, ok(&succeeded("abc")));
    assert_eq!(stage.get(&path).status, 200);
    hit(&stage.get(&path));
    (stage, path)
}

fn fresh(stage: &Stage, path: &str) -> Answer {
    stage.get_with(path, "Cache-Control", "no-cache")
}

#[test]
fn a_fresh_answer_costs_a_call_and_replaces_what_was_kept() {
    let (stage, path) = stage();
    for (index, wish) in ["no-cache", "max-age=0", "no-transform, No-Cache"].iter().enumerate() {
        let digest = format!("FE{index}");
        stage.azure.says(&path, ok(&ended("abc", "Succeeded", &result(&digest))));
        let old = stage.get(&path);
        hit(&old);
        assert!(!old.text().contains(&digest), "{}", old.text());
        let answer = stage.get_with(&path, "Cache-Control", wish);
        told(&answer, 200, FRESH);
        assert_eq!(answer.header("age"), None);
        assert!(answer.text().contains(&digest), "{}", answer.text());
        let again = stage.get(&path);
        hit(&again);
        assert_eq!(again.body, answer.body);
        assert_ne!(again.header("etag"), old.header("etag"));
        assert_eq!(stage.azure.calls(&path), index + 2);
    }
    assert_eq!(stage.metric("livegate_cache_entries"), 1);
    hit(&stage.get_with(&path, "Cache-Control", "max-age=60"));
}

#[test]
fn an_app_that_may_not_ask_for_a_fresh_answer_gets_the_kept_one() {
    const MODEST: &str = "app-token-modest-0123456789";
    let stage = Stage::built(|builder| {
        builder.app_with("modest", MODEST, &["session"], "allow_no_cache = false\n")
    });
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    assert_eq!(stage.get(&path).status, 200);
    for wish in ["no-cache", "max-age=0"] {
        let request = Request::get(&path).key(MODEST).header("Cache-Control", wish);
        hit(&request.send(stage.gateway.public));
    }
    assert_eq!(stage.azure.calls(&path), 1);
    told(&fresh(&stage, &path), 200, FRESH);
}

#[test]
fn a_session_that_turns_out_to_be_gone_is_kept_no_longer() {
    let (stage, path) = stage();
    stage.azure.says(&path, absent());
    told(&fresh(&stage, &path), 404, FRESH_BUT_NOT_KEPT);
    told(&stage.get(&path), 404, MISS);
    assert_eq!((stage.azure.calls(&path), stage.metric("livegate_cache_entries")), (3, 0));
}

#[test]
fn a_session_that_turns_out_to_go_on_is_kept_no_longer() {
    let (stage, path) = stage();
    stage.azure.says(&path, ok(&running("abc")));
    told(&fresh(&stage, &path), 200, FRESH_BUT_NOT_KEPT);
    told(&stage.get(&path), 200, MISS);
}

#[test]
fn azures_troubles_are_told_and_do_not_touch_what_is_kept() {
    let (stage, path) = stage();
    for (answer, status) in [
        (error(500, "InternalServerError", &[]), 500),
        (error(429, "TooManyRequests", &[]), 429),
        (Vec::new(), 503),
    ] {
        stage.azure.says(&path, answer);
        let answer = fresh(&stage, &path);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!cache_status(&answer).contains("hit"), "{answer:?}");
        hit(&stage.get(&path));
    }
}

#[test]
fn who_wants_a_fresh_answer_is_told_none_that_was_shared() {
    let stage = Stage::with("running_ttl = \"60s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    told(&stage.get(&path), 200, MISS);
    told(&stage.get(&path), 200, "livegate; hit; ttl=0");
    stage.azure.says(&path, ok(&succeeded("abc")));
    told(&fresh(&stage, &path), 200, FRESH);
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 2);
}
