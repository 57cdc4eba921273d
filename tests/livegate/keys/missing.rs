//! Slots without a key: what is served without, and how it heals.

use std::fs;

use serde_json::Value;

use super::face::Face;
use super::stage::{LIST, NO_PROBES, SESSION, Stage, TWO, fingerprint, unavailable};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, TOKEN};
use crate::support::http::Request;
use crate::support::wait;

const FAILOVERS: &str = "livegate_key_failovers_total";
const RELOADS: &str = "livegate_key_reloads_total";

/// With two slots, of whose files none is there.
fn builder(face: &Face) -> Builder {
    Builder::new(&face.url()).authority(TWO).upstream(NO_PROBES).app(
        "onboarding",
        TOKEN,
        &ALL_ROUTES,
    )
}

#[test]
fn a_gateway_without_any_key_starts_and_says_so() {
    let face = Face::start();
    let stage = Stage::of(builder(&face).keyless());
    for request in [
        Request::get(SESSION),
        Request::get(LIST),
        Request::new("DELETE", SESSION),
        Request::new("POST", super::stage::SESSIONS).json(&serde_json::json!({})),
    ] {
        unavailable(&stage.send(request));
    }
    assert!(face.recorded().is_empty());
    assert_eq!(Request::get("/livez").send(stage.gateway.admin).status, 200);
    for slot in ["primary", "secondary"] {
        let told = stage.slot(slot);
        assert!(told["fingerprint"].is_null() && told["problem"].is_string(), "{told}");
        assert_ne!(told["serving"], true, "{told}");
        assert!(told["lastAcceptedAt"].is_null() && told["lastRefusedAt"].is_null(), "{told}");
    }
    let start = [("source", "start"), ("result", "unreadable")];
    assert_eq!(stage.count(RELOADS, &start), 2);
    let ended = stage.keys(&[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("emulated primary"), "{ended:?}");
}

#[test]
fn a_gateway_without_any_key_heals_by_whichever_comes() {
    for (file, key, slot) in [("key-1", AZURE_KEY, "primary"), ("key-2", SECOND_KEY, "secondary")] {
        let face = Face::start();
        let stage = Stage::of(builder(&face).keyless());
        unavailable(&stage.get(LIST));
        stage.put(file, format!("{key}\n"));
        wait::until(|| stage.ready().then_some(())).unwrap();
        assert_eq!(stage.get(LIST).status, 200, "{file}");
        assert_eq!((face.shown(), stage.serving()), (vec![key.to_owned()], slot.to_owned()));
        assert_eq!(stage.slot(slot)["problem"], Value::Null);
        // What appears in the other slot later is a spare.
        let (other, spare) =
            if file == "key-1" { ("key-2", SECOND_KEY) } else { ("key-1", AZURE_KEY) };
        stage.load(other, spare);
        assert_eq!(stage.get(LIST).status, 200, "{file}");
        assert_eq!((face.shown(), stage.serving()), (vec![key.to_owned()], slot.to_owned()));
        face.accepts(&[spare]);
        assert_eq!(stage.get(LIST).status, 200, "{file}");
        assert_eq!(face.shown(), [key, spare], "{file}");
    }
}

#[test]
fn a_gateway_with_a_secondary_key_alone_is_ready_and_serves() {
    let face = Face::start();
    let stage = Stage::of(builder(&face).file("key-2", SECOND_KEY));
    assert!(stage.ready());
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!((face.shown(), stage.serving()), (vec![SECOND_KEY.to_owned()], "secondary".into()));
    assert_eq!(stage.slot("secondary")["fingerprint"], fingerprint(SECOND_KEY));
    // With the other slot empty there is nothing to go over to.
    face.accepts(&[]);
    super::stage::unauthorized(&stage.get(LIST));
    assert_eq!(face.shown(), [SECOND_KEY]);
}

#[test]
fn a_file_that_is_no_key_at_the_start_is_as_good_as_none() {
    let face = Face::start();
    let builder = builder(&face).file("key-1", "two words").file("key-2", "");
    let stage = Stage::of(builder.keyless());
    unavailable(&stage.get(LIST));
    assert_eq!(stage.count(RELOADS, &[("source", "start"), ("result", "invalid")]), 2);
    stage.put("key-1", AZURE_KEY);
    wait::until(|| stage.ready().then_some(())).unwrap();
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown(), [AZURE_KEY]);
}

#[test]
fn a_key_that_was_there_serves_on_when_all_files_go() {
    let face = Face::start();
    let stage = Stage::of(builder(&face).file("key-1", AZURE_KEY).file("key-2", SECOND_KEY));
    for file in ["key-1", "key-2"] {
        fs::remove_file(stage.gateway.scratch.path(file)).unwrap();
    }
    assert_eq!(stage.reload().status, 200);
    assert!(stage.ready());
    assert_eq!(stage.get(LIST).status, 200);
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown(), [AZURE_KEY, AZURE_KEY, SECOND_KEY]);
}

#[test]
fn a_serving_slot_that_is_taken_out_of_the_configuration_is_followed_by_the_other() {
    let face = Face::start();
    let stage = Stage::of(builder(&face).file("key-1", AZURE_KEY).file("key-2", SECOND_KEY));
    assert_eq!(stage.choose("secondary").status, 200);
    stage.exchange("secondary = { file = \"key-2\" }\n", "");
    let answer = stage.reload();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!((face.shown(), stage.serving()), (vec![AZURE_KEY.to_owned()], "primary".into()));
    assert_eq!(stage.count(FAILOVERS, &[("reason", "missing")]), 1);
    // And back in: it is a spare.
    stage.exchange(super::stage::ONE, TWO);
    assert_eq!(stage.reload().status, 200);
    assert_eq!(
        (stage.serving().as_str(), stage.verdict("primary").as_str()),
        ("primary", "not safe")
    );
    assert_eq!(stage.slot("secondary")["fingerprint"], fingerprint(SECOND_KEY));
}

/// Which slot won outlives whatever else of the configuration is exchanged.
#[test]
fn the_serving_slot_outlives_a_new_configuration() {
    let face = Face::start();
    let stage = Stage::of(builder(&face).file("key-1", AZURE_KEY).file("key-2", SECOND_KEY));
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    stage.exchange("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    assert_eq!(stage.reload().status, 200);
    face.arrived();
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!((face.shown(), stage.serving()), (vec![SECOND_KEY.to_owned()], "secondary".into()));
}
