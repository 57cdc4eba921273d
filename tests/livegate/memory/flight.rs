//! Many who ask for one session at a time cost one call, and all hear what came of it.

use std::thread::JoinHandle;

use super::azure::{DEAD_TOKEN, cut_off, error, ok, running, succeeded};
use super::stage::{
    ASKING, COLLAPSED, MISS, STORED, Stage, cache_status, hit, preview, session, told,
};
use crate::support::http::{Answer, Request};
use crate::support::upstream;

const NOTHING_SHARED: &str = "running_ttl = \"0s\"\n";

/// So many who ask for this at a time, all of whom are on board when this returns.
fn askers(stage: &Stage, path: &str, number: u64) -> Vec<JoinHandle<Answer>> {
    let askers = (0..number).map(|_| stage.sending(Request::get(path))).collect();
    stage.until_metric(ASKING, number);
    askers
}

fn answers(askers: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    askers.into_iter().map(|asker| asker.join().unwrap()).collect()
}

/// One of them was the first, and all others joined.
#[track_caller]
fn one_asked(answers: &[Answer], how: &str) {
    let count = |how: &str| answers.iter().filter(|answer| cache_status(answer) == how).count();
    assert_eq!((count(how), count(COLLAPSED)), (1, answers.len() - 1), "{answers:?}");
}

#[test]
fn fifty_who_ask_at_once_cost_one_call() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let askers = askers(&stage, &path, 50);
    held.release();
    let answers = answers(askers);
    one_asked(&answers, STORED);
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.text(), succeeded("abc").replace(DEAD_TOKEN, ""));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
        assert_eq!(answer.header("liveness-decision"), Some("realface;attempt=1;attempts=1"));
        // Only the first asked for it itself: RFC 9111 §5.1.
        assert_eq!(answer.header("age").is_none(), cache_status(answer) == STORED);
    }
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn who_asks_together_for_what_may_change_shares_one_call_and_the_next_makes_another() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let held = stage.azure.hold("GET");
    let askers = askers(&stage, &path, 10);
    held.release();
    let answers = answers(askers);
    one_asked(&answers, MISS);
    assert!(answers.iter().all(|answer| answer.text() == running("abc")));
    assert_eq!(stage.azure.calls(&path), 1);
    told(&stage.get(&path), 200, MISS);
    assert_eq!(stage.azure.calls(&path), 2);
}

#[test]
fn an_error_goes_to_all_who_asked_and_is_not_kept() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    for (id, answer, status, code) in [
        ("trouble", error(500, "InternalServerError", &[]), 500, "InternalServerError"),
        ("many", error(429, "TooManyRequests", &[]), 429, "TooManyRequests"),
        ("cut", cut_off(), 502, "UpstreamInvalidResponse"),
    ] {
        let path = session(id);
        stage.azure.says(&path, answer);
        let held = stage.azure.hold("GET");
        let askers = askers(&stage, &path, 5);
        held.release();
        for answer in answers(askers) {
            assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{id}");
            assert!(cache_status(&answer).starts_with(MISS), "{id}: {answer:?}");
            assert_eq!(answer.header("retry-after"), (id == "many").then_some("1"), "{id}");
        }
        assert_eq!(stage.azure.calls(&path), 1, "{id}");
        stage.azure.says(&path, ok(&succeeded(id)));
        told(&stage.get(&path), 200, STORED);
        assert_eq!(stage.azure.calls(&path), 2, "{id}");
    }
}

#[test]
fn what_belongs_to_one_exchange_is_told_to_nobody_else() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    let path = session("abc");
    let own = ["x-ms-client-request-id", "client-request-id", "x-envoy-upstream-service-time"];
    let fields = own.map(|name| (name, "12"));
    stage.azure.says(&path, upstream::answer(200, &fields, succeeded("abc").as_bytes()));
    let held = stage.azure.hold("GET");
    let askers = askers(&stage, &path, 4);
    held.release();
    let mut answers = answers(askers);
    one_asked(&answers, STORED);
    answers.push(stage.get(&path));
    hit(&answers[4]);
    for answer in &answers {
        let expected = (cache_status(answer) == STORED).then_some("12");
        for name in own {
            assert_eq!(answer.header(name), expected, "{name} of {answer:?}");
        }
        assert_eq!(answer.headers.all("date").count(), 1, "{answer:?}");
    }
}

#[test]
fn one_session_that_is_slow_keeps_nobody_from_another() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    let (slow, other, old) = (session("slow"), session("other"), preview("slow"));
    for path in [&slow, &other, &old] {
        stage.azure.says(path, ok(&succeeded("any")));
    }
    let held = stage.azure.hold("GET");
    let askers = askers(&stage, &slow, 2);
    stage.azure.until_asked("GET", &slow, 1);
    held.let_others_pass();
    told(&stage.get(&other), 200, STORED);
    hit(&stage.get(&other));
    assert_eq!(stage.get(&old).status, 200);
    assert!(askers.iter().all(|asker| !asker.is_finished()));
    held.release();
    one_asked(&answers(askers), STORED);
}
