//! The spare key is tried before it is needed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::face::{Face, credential};
use super::stage::{AUDIT, LIST, SAFE, Stage, UNKNOWN, builder, fingerprint};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::Recorded;
use crate::support::wait;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";
const EVERY_SECOND: &str = "probe = \"1s\"\n";

fn stage() -> (Face, Stage) {
    let face = Face::start();
    let stage = Stage::of(builder(&face.url()).upstream(EVERY_SECOND));
    (face, stage)
}

/// The requests with this key so far.
fn with(face: &Face, key: &str) -> Vec<Recorded> {
    face.recorded().into_iter().filter(|request| credential(request) == key).collect()
}

/// Waits until so many requests have come with this key.
#[track_caller]
fn until_shown(face: &Face, key: &str, times: usize) -> Vec<Recorded> {
    let came = wait::until(|| Some(with(face, key)).filter(|came| came.len() >= times));
    came.unwrap_or_else(|| panic!("{} in place of {times}", with(face, key).len()))
}

/// The session id that was asked for, which must be a UUID.
#[track_caller]
fn asked_for(request: &Recorded) -> String {
    let (path, id) = request.target.rsplit_once('/').unwrap();
    assert!(path.starts_with("/face/v1.") && path.contains("etectLiveness"), "{path}");
    let lengths = id.split('-').map(str::len);
    assert!(lengths.eq([8, 4, 4, 4, 12]), "{id}");
    assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
    id.to_owned()
}

#[test]
fn the_spare_key_is_asked_with_for_a_session_that_cannot_exist() {
    let (face, stage) = stage();
    let app = Request::get(AUDIT)
        .header("User-Agent", "the-app/1.0")
        .header("x-ms-client-request-id", "the-apps-own")
        .header("tracestate", "vendor=the-apps")
        .header("x-ms-useragent", "the-apps");
    assert_eq!(stage.send(app.clone()).status, 200);
    let probes = until_shown(&face, SECOND_KEY, 3);
    assert_eq!(stage.send(app).status, 200);
    let mut ids = BTreeSet::new();
    for probe in &probes {
        assert_eq!((probe.method.as_str(), probe.body.len()), ("GET", 0));
        assert!(ids.insert(asked_for(probe)), "the same session again: {probe:?}");
        let told = format!("{probe:?}");
        assert!(!told.contains("the-app") && !told.contains(TOKEN), "{told}");
        assert!(!told.contains(AZURE_KEY), "{told}");
    }
    let counted = stage.count("livegate_upstream_requests_total", &[("route", "probe")]);
    assert!(counted >= 3, "{counted}");
    // Apps have nothing to do with it.
    let requests = |slot| stage.slot(slot)["requests"].clone();
    assert_eq!((requests("primary"), requests("secondary")), (2.into(), 0.into()));
}

/// Both gateways are asked the same and are there for the same time; one of them probes.
#[test]
fn who_wants_no_probes_has_none() {
    let (face, _probing) = stage();
    let quiet = Face::start();
    let silent = Stage::of(builder(&quiet.url()).upstream(super::stage::NO_PROBES));
    assert_eq!(silent.get(LIST).status, 200);
    silent.load("key-2", NEW_KEY);
    until_shown(&face, SECOND_KEY, 3);
    assert_eq!(quiet.shown(), [AZURE_KEY]);
    assert_eq!(silent.verdict("primary"), "not safe");
    assert!(silent.slot("secondary")["lastAcceptedAt"].is_null());
    let counted = silent.count("livegate_upstream_requests_total", &[("route", "probe")]);
    assert_eq!(counted, 0);
}

#[test]
fn a_single_key_is_not_probed() {
    let (face, _probing) = stage();
    let alone = Face::start();
    let builder = builder(&alone.url()).authority(super::stage::ONE).upstream(EVERY_SECOND);
    let single = Stage::of(builder);
    assert_eq!(single.get(LIST).status, 200);
    until_shown(&face, SECOND_KEY, 3);
    assert_eq!(alone.shown(), [AZURE_KEY]);
}

#[test]
fn a_new_key_is_probed_and_told() {
    let (face, stage) = stage();
    face.accepts(&[AZURE_KEY, NEW_KEY]);
    stage.load("key-2", NEW_KEY);
    let probe = until_shown(&face, NEW_KEY, 1);
    asked_for(&probe[0]);
    stage.until_accepted("secondary", NEW_KEY);
    assert_eq!(stage.serving(), "primary");
    let slot = stage.slot("secondary");
    assert_eq!((&slot["lastRefusedAt"], &slot["requests"]), (&Value::Null, &0.into()));
}

#[test]
fn a_new_key_that_azure_does_not_know_yet_is_probed_until_it_does() {
    let (face, stage) = stage();
    stage.load("key-2", NEW_KEY);
    until_shown(&face, NEW_KEY, 3);
    let slot = stage.slot("secondary");
    assert!(slot["lastAcceptedAt"].is_null() && slot["lastRefusedAt"].is_string(), "{slot}");
    assert_eq!(slot["former"], fingerprint(SECOND_KEY));
    face.accepts_too(NEW_KEY);
    stage.until_accepted("secondary", NEW_KEY);
    // Nobody's request was needed for that.
    assert_eq!(stage.slot("secondary")["requests"], 0);
}

#[test]
fn the_serving_key_is_probed_where_nobody_uses_it() {
    let (face, stage) = stage();
    let probes = until_shown(&face, AZURE_KEY, 2);
    probes.iter().for_each(|probe| drop(asked_for(probe)));
    stage.until_verdict("secondary", SAFE);
    assert_eq!(stage.slot("primary")["requests"], 0);
}

#[test]
fn a_probe_that_finds_the_serving_key_refused_lets_the_other_serve() {
    let (face, stage) = stage();
    face.accepts(&[SECOND_KEY]);
    let over = wait::until(|| (stage.serving() == "secondary").then_some(()));
    assert!(over.is_some(), "{}", stage.upstream());
    assert_eq!(stage.count("livegate_key_failovers_total", &[("reason", "401")]), 1);
    // The first app to ask has no part in it.
    let before = with(&face, AZURE_KEY).len();
    let answer = stage.get(LIST);
    assert_eq!(answer.status, 200);
    let lists = face.recorded().into_iter().filter(|request| request.target.contains("/sessions"));
    assert!(lists.clone().all(|request| credential(&request) == SECOND_KEY), "{before}");
    assert_eq!(lists.count(), 1);
}

/// What is no word about the key leaves the verdict open.
#[test]
fn a_probe_that_is_throttled_or_not_answered_says_nothing_of_the_key() {
    let throttled = crate::support::upstream::answer(429, &[], b"");
    for (name, answer) in [("throttled", throttled), ("broken", Vec::new())] {
        let face = Face::start();
        face.always_says(Some(answer));
        let stage = Stage::of(builder(&face.url()).upstream(EVERY_SECOND));
        until_shown(&face, SECOND_KEY, 2);
        let slot = stage.slot("secondary");
        assert!(slot["lastAcceptedAt"].is_null() && slot["lastRefusedAt"].is_null(), "{name}");
        assert_eq!(stage.verdict("secondary"), UNKNOWN, "{name}: {}", stage.upstream());
        assert_eq!(stage.serving(), "primary", "{name}");
    }
}
