//! A new key that Azure does not know yet: the one before it serves until it does.

use serde_json::{Value, json};

use super::face::Face;
use super::stage::{
    LIST, NO_PROBES, NOT_SAFE, ONE, SESSION, Stage, builder, fingerprint, unauthorized,
};
use crate::support::emulator::{Emulator, SECOND_KEY};
use crate::support::gateway::AZURE_KEY;
use crate::support::wait;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";
const LATER_KEY: &str = "azure-key-four-6677889900bbccddee";

#[test]
fn a_new_key_that_azure_does_not_know_yet_is_followed_by_the_former_one() {
    let (face, stage) = Stage::set_one();
    assert_eq!(stage.get(LIST).status, 200);
    stage.load("key-1", NEW_KEY);
    let slot = stage.slot("primary");
    assert_eq!(slot["fingerprint"], fingerprint(NEW_KEY));
    assert_eq!(slot["former"], fingerprint(AZURE_KEY), "{slot}");
    face.arrived();
    let answer = stage.get(LIST);
    assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
    assert_eq!(face.shown(), [NEW_KEY, AZURE_KEY]);
    for _ in 0..20 {
        assert_eq!(stage.get(LIST).status, 200);
    }
    assert_eq!(stage.slot("primary")["former"], fingerprint(AZURE_KEY));
}

#[test]
fn when_azure_knows_the_new_key_the_former_one_is_forgotten() {
    let face = Face::start();
    let stage = Stage::of(builder(&face.url()).authority(ONE).upstream("probe = \"1s\"\n"));
    assert_eq!(stage.get(LIST).status, 200);
    stage.load("key-1", NEW_KEY);
    for _ in 0..5 {
        assert_eq!(stage.get(LIST).status, 200);
    }
    face.accepts(&[AZURE_KEY, NEW_KEY]);
    let over = wait::until(|| {
        assert_eq!(stage.get(LIST).status, 200);
        stage.slot("primary")["former"].is_null().then_some(())
    });
    assert!(over.is_some(), "{}", stage.upstream());
    face.arrived();
    for _ in 0..20 {
        assert_eq!(stage.get(LIST).status, 200);
    }
    assert!(face.shown().iter().all(|key| key == NEW_KEY));
    // It is gone: not even where nothing else is left is it tried.
    face.accepts(&[AZURE_KEY]);
    unauthorized(&stage.get(LIST));
    let shown = face.shown();
    assert!(!shown.is_empty() && shown.iter().all(|key| key == NEW_KEY), "{shown:?}");
}

#[test]
fn a_new_key_that_azure_knows_is_used_from_the_first_request_on() {
    let (face, stage) = Stage::set_one();
    face.accepts(&[AZURE_KEY, NEW_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    stage.load("key-1", NEW_KEY);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown(), [AZURE_KEY, NEW_KEY]);
    assert_eq!(stage.slot("primary")["former"], Value::Null);
}

#[test]
fn the_other_slot_comes_before_a_former_key() {
    let (face, stage) = Stage::set();
    assert_eq!(stage.get(LIST).status, 200);
    stage.load("key-1", NEW_KEY);
    face.arrived();
    for _ in 0..5 {
        assert_eq!(stage.get(LIST).status, 200);
    }
    assert_eq!(face.shown(), [NEW_KEY, SECOND_KEY, SECOND_KEY, SECOND_KEY, SECOND_KEY, SECOND_KEY]);
    assert_eq!(stage.serving(), "secondary");
    // Where that is refused too, the former key is left.
    face.accepts(&[AZURE_KEY]);
    let answer = stage.get(LIST);
    assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
    assert_eq!(face.shown().last().map(String::as_str), Some(AZURE_KEY));
}

#[test]
fn while_a_slot_serves_with_its_former_key_no_other_is_safe() {
    let (face, stage) = Stage::set();
    face.accepts(&[AZURE_KEY]);
    stage.load("key-1", NEW_KEY);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.serving(), "primary");
    for slot in ["primary", "secondary"] {
        assert_eq!(stage.verdict(slot), NOT_SAFE, "{slot}: {}", stage.upstream());
    }
}

/// Two new keys one after the other, both unknown to Azure: what it accepted last is what still helps.
#[test]
fn a_key_that_was_never_accepted_does_not_push_out_the_former_one() {
    let (face, stage) = Stage::set_one();
    assert_eq!(stage.get(LIST).status, 200);
    for key in [NEW_KEY, LATER_KEY] {
        stage.load("key-1", key);
        let answer = stage.get(LIST);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let shown = face.shown();
    assert_eq!(shown.last().map(String::as_str), Some(AZURE_KEY), "{shown:?}");
}

#[test]
fn a_former_key_outlives_a_file_that_goes_bad_and_a_new_configuration() {
    let (_face, stage) = Stage::set_one();
    stage.load("key-1", NEW_KEY);
    assert_eq!(stage.get(LIST).status, 200);
    stage.put("key-1", "");
    assert_eq!(stage.reload().status, 200);
    assert_eq!(stage.get(LIST).status, 200);
    // Another limit builds the resource anew.
    stage.exchange("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    assert_eq!(stage.reload().status, 200);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.slot("primary")["former"], fingerprint(AZURE_KEY));
}

/// With an emulator that has a clock: the new key is taken an hour later, when the old one ends.
#[test]
fn a_resource_that_takes_its_time_is_served_all_the_time() {
    let emulator = Emulator::start();
    emulator.put_session(&json!({"id": "abc", "final": true}));
    let stage = Stage::of(builder(&emulator.url()).authority(ONE).upstream(NO_PROBES));
    let works = || {
        let answer = stage.get(SESSION);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    works();
    let wish = json!({"slot": 1, "regenerate": true, "lag_seconds": 3600});
    let answer = emulator.control("POST", "/emulator/keys", &wish).to_string();
    let listed = emulator.control("GET", "/emulator/keys", &Value::Null).to_string();
    works();
    let new = new_key(&answer).unwrap_or_else(|| panic!("no new key in {answer}, {listed}"));
    stage.load("key-1", &new);
    (0..10).for_each(|_| works());
    emulator.advance(3601);
    (0..10).for_each(|_| works());
    stage.until_accepted("primary", &new);
    (0..10).for_each(|_| works());
    let last = emulator.requests().pop().unwrap();
    assert!(last["headers"].to_string().contains(&new), "{last}");
}

/// The value in the emulator's answer to a regeneration.
pub(super) fn new_key(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let members = answer.as_object()?.values();
    members.filter_map(Value::as_str).find(|text| text.len() > 8).map(str::to_owned)
}

#[test]
fn the_primarys_former_key_is_no_spare_for_another_upstream() {
    let (face, other) = (Face::start(), Face::start());
    other.accepts(&[]);
    let tables = format!(
        "[[upstreams]]\nname = \"other\"\nendpoint = \"{}\"\ntier = \"unlimited\"\nprobe = \"0s\"\n\
         [upstreams.keys]\nprimary = {{ file = \"key-2\" }}\n\
         [[apps]]\nname = \"second\"\ntoken_sha256 = [\"{}\"]\nupstream = \"other\"\n\
         routes = [\"list\"]\n",
        other.url(),
        crate::reload::hash("app-token-second-0123456789")
    );
    let stage = Stage::of(builder(&face.url()).upstream(NO_PROBES).more(&tables));
    stage.load("key-1", NEW_KEY);
    let request = crate::support::http::Request::get(LIST).key("app-token-second-0123456789");
    unauthorized(&request.send(stage.gateway.public));
    assert_eq!(other.shown(), [SECOND_KEY]);
}
