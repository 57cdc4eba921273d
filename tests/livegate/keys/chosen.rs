//! A slot is chosen by hand.

use super::face::Face;
use super::stage::{LIST, NO_PROBES, ONE, Stage, builder};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;
use crate::support::http::Request;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";
const FAILOVERS: &str = "livegate_key_failovers_total";
const ACTIVE: &str = "livegate_key_active";

#[track_caller]
fn shows(face: &Face, stage: &Stage, key: &str) {
    face.arrived();
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown(), [key]);
}

#[test]
fn a_chosen_slot_serves_from_the_next_request_on() {
    let (face, stage) = Stage::set();
    shows(&face, &stage, AZURE_KEY);
    for (slot, key, over) in
        [("secondary", SECOND_KEY, 1), ("secondary", SECOND_KEY, 1), ("primary", AZURE_KEY, 2)]
    {
        let answer = stage.choose(slot);
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("{slot} serves emulated from now on\n"))
        );
        shows(&face, &stage, key);
        assert_eq!(stage.serving(), slot);
        assert_eq!(stage.count(FAILOVERS, &[("reason", "admin")]), over);
        for name in ["primary", "secondary"] {
            let active = stage.metric(ACTIVE, &[("upstream", "emulated"), ("slot", name)]);
            assert_eq!(active, Some(f64::from(u8::from(name == slot))), "{name}");
        }
    }
}

#[test]
fn the_choice_outlives_reloads_and_new_keys_of_either_slot() {
    let (face, stage) = Stage::set();
    face.accepts_all();
    assert_eq!(stage.choose("secondary").status, 200);
    shows(&face, &stage, SECOND_KEY);
    stage.load("key-1", NEW_KEY);
    shows(&face, &stage, SECOND_KEY);
    stage.load("key-2", "azure-key-four-6677889900bbccddee");
    shows(&face, &stage, "azure-key-four-6677889900bbccddee");
    assert_eq!(stage.serving(), "secondary");
}

#[test]
fn a_refusal_ends_the_choice() {
    let (face, stage) = Stage::set();
    assert_eq!(stage.choose("secondary").status, 200);
    face.accepts(&[AZURE_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.serving(), "primary");
    // It is not gone back to by itself.
    face.accepts(&[AZURE_KEY, SECOND_KEY]);
    shows(&face, &stage, AZURE_KEY);
    assert_eq!(stage.serving(), "primary");
}

/// Who knows better than the gateway is believed: the slot is tried, refused or not.
#[test]
fn a_refused_slot_can_be_chosen() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.serving(), "secondary");
    face.accepts_all();
    assert_eq!(stage.choose("primary").status, 200);
    shows(&face, &stage, AZURE_KEY);
}

/// That it was good once is no proof, and the other one may be the only good one.
#[test]
fn a_refused_slot_that_is_chosen_makes_the_other_one_no_safer() {
    let (face, stage) = Stage::set();
    assert_eq!(stage.choose("secondary").status, 200);
    assert_eq!(stage.get(LIST).status, 200);
    face.accepts(&[AZURE_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.serving(), "primary");
    assert_eq!(stage.choose("secondary").status, 200);
    assert_eq!(stage.verdict("primary"), "unknown");
    let refused = &stage.slot("secondary")["lastRefusedAt"];
    assert!(refused.is_string(), "{refused}");
}

#[test]
fn what_cannot_be_chosen_is_refused_and_changes_nothing() {
    let face = Face::start();
    let stage = Stage::of(builder(&face.url()).authority(ONE).upstream(NO_PROBES));
    for (method, target, status) in [
        ("POST", "/keys/emulated/use?slot=secondary", 409),
        ("POST", "/keys/emulated/use?slot=third", 400),
        ("POST", "/keys/emulated/use?slot=Primary", 400),
        ("POST", "/keys/emulated/use?slot=", 400),
        ("POST", "/keys/emulated/use?slot=primary&slot=primary", 400),
        ("POST", "/keys/emulated/use?other=primary", 400),
        ("POST", "/keys/emulated/use", 400),
        ("POST", "/keys/nobody/use?slot=primary", 404),
        ("POST", "/keys//use?slot=primary", 404),
        ("POST", "/keys/emulated?slot=primary", 404),
        ("POST", "/keys/emulated/use/more?slot=primary", 404),
        ("GET", "/keys/emulated/use?slot=primary", 405),
        ("PUT", "/keys/emulated/use?slot=primary", 405),
    ] {
        let answer = Request::new(method, target).send(stage.gateway.admin);
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        assert!(!answer.text().is_empty(), "{method} {target}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("POST"), "{method} {target}");
        }
    }
    assert_eq!(stage.serving(), "primary");
    assert_eq!(stage.count(FAILOVERS, &[]), 0);
}

/// The public port has no such thing.
#[test]
fn apps_cannot_choose() {
    let (_face, stage) = Stage::set();
    let answer = stage.send(Request::new("POST", "/keys/emulated/use?slot=secondary"));
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(stage.serving(), "primary");
}
