//! Who asked first has no more say in what becomes of the question than all others.

use std::io::Write as _;

use super::azure::{ok, running, succeeded};
use super::stage::{ASKING, COLLAPSED, ONE_WORKER, Stage, hit, session, told};
use crate::support::frames::{RST_STREAM, frame};
use crate::support::gateway::TOKEN;
use crate::support::http::{Connection, Request};

/// RFC 9113 §7: the stream is no longer needed.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn stage() -> Stage {
    Stage::built(|builder| builder.more(ONE_WORKER))
}

fn ask_and_wait(stage: &Stage, path: &str, seconds: u32) -> Connection {
    let mut connection = Connection::open(stage.gateway.public);
    let get = format!(
        "GET {path} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
         Prefer: wait={seconds}\r\n\r\n"
    );
    connection.write(get.as_bytes()).unwrap();
    connection
}

#[test]
fn the_first_asker_leaves_and_the_second_is_answered() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let first = ask_and_wait(&stage, &path, 0);
    stage.azure.until_asked("GET", &path, 1);
    let second = stage.sending(Request::get(&path));
    stage.until_metric(ASKING, 2);
    drop(first);
    held.release();
    told(&second.join().unwrap(), 200, COLLAPSED);
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn the_first_asker_by_http2_is_gone_for_certain_and_the_second_is_answered() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let first = stage.ask_by_http2(&path, "enrich=none");
    stage.azure.until_asked("GET", &path, 1);
    let second = stage.sending(Request::get(&path));
    stage.until_metric(ASKING, 2);
    drop(first);
    stage.until_metric(ASKING, 1);
    held.release();
    told(&second.join().unwrap(), 200, COLLAPSED);
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn a_question_is_finished_though_nobody_is_left_to_hear() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let mut only = stage.ask_by_http2(&path, "enrich=none");
    stage.azure.until_asked("GET", &path, 1);
    only.write_all(&frame(RST_STREAM, 0, &CANCEL)).unwrap();
    stage.until_metric(ASKING, 0);
    held.release();
    stage.until_metric("livegate_cache_stores_total{result=\"stored\"}", 1);
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

/// Azure is asked about one session until the other has been asked about often enough to know that it would have been
/// asked about too.
#[track_caller]
fn is_not_asked_any_more(stage: &Stage, path: &str) {
    let other = session("yardstick");
    stage.azure.says(&other, ok(&running("yardstick")));
    let before = stage.azure.calls(path);
    let measuring = stage.waiting(&other);
    stage.azure.until_asked("GET", &other, 6);
    // One question may have been on its way when the last asker left.
    let after = stage.azure.calls(path);
    assert!(after <= before + 1, "{} more calls", after - before);
    stage.azure.says(&other, ok(&succeeded("yardstick")));
    assert_eq!(measuring.join().unwrap().status, 200);
}

/// Half a minute of waiting has 60 questions in it.
const FEW: usize = 30;

#[test]
fn azure_is_not_asked_for_who_has_cancelled() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let mut waiter = stage.ask_by_http2(&path, "wait=30");
    stage.azure.until_asked("GET", &path, 3);
    waiter.write_all(&frame(RST_STREAM, 0, &CANCEL)).unwrap();
    stage.until_metric(ASKING, 0);
    assert!(stage.azure.calls(&path) < FEW, "the wait was over before");
    is_not_asked_any_more(&stage, &path);
}

#[test]
fn azure_is_not_asked_for_who_has_closed_an_http2_connection() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let waiter = stage.ask_by_http2(&path, "wait=30");
    stage.azure.until_asked("GET", &path, 3);
    drop(waiter);
    stage.until_metric(ASKING, 0);
    assert!(stage.azure.calls(&path) < FEW, "the wait was over before");
    is_not_asked_any_more(&stage, &path);
}

#[test]
fn azure_is_not_asked_for_who_has_closed_an_http1_connection() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let waiter = ask_and_wait(&stage, &path, 30);
    stage.azure.until_asked("GET", &path, 3);
    drop(waiter);
    stage.until_metric(ASKING, 0);
    assert!(stage.azure.calls(&path) < FEW, "the wait was over before");
    is_not_asked_any_more(&stage, &path);
}

#[test]
fn one_of_two_who_wait_leaves_and_the_other_is_told() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let leaver = stage.ask_by_http2(&path, "wait=60");
    stage.azure.until_asked("GET", &path, 2);
    let stayer = stage.waiting(&path);
    stage.until_metric(ASKING, 2);
    drop(leaver);
    stage.until_metric(ASKING, 1);
    stage.azure.says(&path, ok(&succeeded("abc")));
    let answer = stayer.join().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("preference-applied"), Some("wait=60"));
    assert!(answer.text().contains("realface"), "{}", answer.text());
    hit(&stage.get(&path));
}
