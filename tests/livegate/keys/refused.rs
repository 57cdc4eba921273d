//! Azure refuses every key: what apps hear, how little Azure is asked then, and how it ends.

use serde_json::json;

use super::face::{Face, ok, refusals};
use super::stage::{AUDIT, IMAGE, LIST, SESSION, SESSIONS, Stage, unauthorized};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;
use crate::support::http::Request;
use crate::support::wait;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";

fn routes() -> [Request; 6] {
    [
        Request::get(SESSION),
        Request::get(AUDIT),
        Request::get(LIST),
        Request::get(IMAGE),
        Request::new("DELETE", SESSION),
        Request::new("POST", SESSIONS).json(&json!({"livenessOperationMode": "Passive"})),
    ]
}

#[test]
fn a_request_that_both_keys_are_refused_for_is_the_gateways_fault() {
    for (name, refusal) in refusals() {
        let (face, stage) = Stage::set();
        face.accepts(&[]);
        face.refuses_with(refusal);
        let answer = stage.get(SESSION);
        unauthorized(&answer);
        assert_eq!(face.shown(), [AZURE_KEY, SECOND_KEY], "{name}");
        for key in [AZURE_KEY, SECOND_KEY] {
            assert!(!answer.text().contains(key), "{name}");
        }
        // Whether the gateway is ready does not depend on Azure.
        assert!(stage.ready(), "{name}");
    }
}

#[test]
fn a_single_key_that_is_refused_is_not_sent_twice() {
    let (face, stage) = Stage::set_one();
    face.accepts(&[]);
    unauthorized(&stage.get(LIST));
    assert_eq!(face.shown(), [AZURE_KEY]);
}

/// A rest is 15 seconds at most, so that in any minute Azure is asked a few times only.
#[test]
fn while_all_keys_are_refused_apps_are_answered_without_azure() {
    let (face, stage) = Stage::set();
    face.accepts(&[]);
    let mut answered = 0;
    for _ in 0..20 {
        for request in routes() {
            unauthorized(&stage.send(request));
            answered += 1;
        }
    }
    let shown = face.shown();
    assert!(shown.len() >= 2 && shown.len() * 5 < answered, "{} of {answered}", shown.len());
    // Each of the few tried both.
    let first = shown.iter().filter(|key| *key == AZURE_KEY).count();
    assert_eq!(first * 2, shown.len(), "{shown:?}");
}

#[test]
fn it_ends_by_itself_when_azure_takes_a_key_again() {
    for good in [AZURE_KEY, SECOND_KEY] {
        let (face, stage) = Stage::set();
        face.accepts(&[]);
        until_rest(&face, &stage);
        face.accepts(&[good]);
        wait::until(|| (stage.get(LIST).status == 200).then_some(())).unwrap();
        face.arrived();
        assert_eq!(stage.get(LIST).status, 200);
        assert_eq!(face.shown(), [good]);
    }
}

/// Asks until Azure is not asked any more.
#[track_caller]
fn until_rest(face: &Face, stage: &Stage) {
    let rests = wait::until(|| {
        let before = face.recorded().len();
        unauthorized(&stage.get(SESSION));
        (face.recorded().len() == before).then_some(())
    });
    assert!(rests.is_some());
}

/// One request finds out for all; those beside it are answered at once.
#[test]
fn after_a_rest_one_request_tries_the_keys() {
    let (face, stage) = Stage::set();
    face.accepts(&[]);
    until_rest(&face, &stage);
    let held = face.hold(LIST);
    let (public, before) = (stage.gateway.public, face.recorded().len());
    let tries = std::thread::spawn(move || {
        let request = Request::get(LIST).key(crate::support::gateway::TOKEN);
        wait::until(|| Some(request.send(public)).filter(|answer| answer.status != 502))
    });
    face.until_asked(before + 1);
    for _ in 0..5 {
        unauthorized(&stage.get(AUDIT));
    }
    assert_eq!(face.recorded().len(), before + 1);
    face.accepts(&[AZURE_KEY, SECOND_KEY]);
    held.release();
    assert_eq!(tries.join().unwrap().unwrap().status, 200);
    assert_eq!(stage.get(AUDIT).status, 200);
}

#[test]
fn a_new_key_ends_it_at_once() {
    for file in ["key-1", "key-2"] {
        let (face, stage) = Stage::set();
        face.accepts(&[]);
        until_rest(&face, &stage);
        face.accepts(&[NEW_KEY]);
        stage.load(file, NEW_KEY);
        let answer = stage.get(LIST);
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"), "{file}");
        let shown = face.shown();
        assert_eq!(shown.last().map(String::as_str), Some(NEW_KEY), "{file}: {shown:?}");
    }
}

#[test]
fn a_new_key_whose_file_nobody_has_looked_at_is_found_by_the_request_itself() {
    for file in ["key-1", "key-2"] {
        let (face, stage) = Stage::set();
        assert_eq!(stage.get(LIST).status, 200);
        face.accepts(&[NEW_KEY]);
        stage.put(file, NEW_KEY);
        let answer = stage.get(LIST);
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"), "{file}");
        face.arrived();
        assert_eq!(stage.get(LIST).status, 200);
        assert_eq!(face.shown(), [NEW_KEY], "{file}");
    }
}

#[test]
fn a_slot_that_is_chosen_ends_it_at_once() {
    let (face, stage) = Stage::set();
    face.says(LIST, ok("[ ]"));
    face.accepts(&[]);
    until_rest(&face, &stage);
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.choose("secondary").status, 200);
    face.arrived();
    let answer = stage.get(LIST);
    assert_eq!((answer.status, answer.text().as_str()), (200, "[ ]"));
    assert_eq!(face.shown(), [SECOND_KEY]);
}

#[test]
fn what_is_kept_in_memory_is_told_though_no_key_is_taken() {
    let face = Face::start();
    let builder = super::stage::builder(&face.url()).upstream(super::stage::NO_PROBES);
    let stage = Stage::of(builder.cache("running_ttl = \"0s\"\n"));
    let kept = format!("{SESSIONS}/kept");
    face.says(
        &kept,
        ok(r#"{"sessionId":"kept","authToken":"","status":"Succeeded","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface","digest":"AB"}}]}}"#),
    );
    assert_eq!(stage.get(&kept).status, 200);
    face.accepts(&[]);
    unauthorized(&stage.get(SESSION));
    let answer = stage.get(&kept);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("cache-status").unwrap().contains("hit"), "{answer:?}");
}
