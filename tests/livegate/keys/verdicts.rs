//! Which key can be regenerated, as the status and `livegate keys` say it.

use serde_json::Value;

use super::face::Face;
use super::stage::{
    AUDIT, LIST, NO_PROBES, NOT_SAFE, ONE, SAFE, Stage, TWO, UNKNOWN, builder, fingerprint, listed,
    livegate,
};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;
use crate::support::http::Request;
use crate::support::wait;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";

impl Stage {
    /// Both verdicts.
    fn verdicts(&self) -> (String, String) {
        (self.verdict("primary"), self.verdict("secondary"))
    }

    #[track_caller]
    fn reasons(&self, slot: &str, part: &str) {
        let told = self.slot(slot);
        assert!(told["reason"].as_str().is_some_and(|reason| reason.contains(part)), "{told}");
    }
}

#[test]
fn the_spare_key_is_safe_once_the_serving_one_was_accepted() {
    let (_face, stage) = Stage::set();
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), UNKNOWN.into()));
    stage.reasons("secondary", "primary has not been accepted");
    stage.reasons("primary", "POST /keys/emulated/use?slot=secondary");
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), SAFE.into()));
    let accepted = stage.slot("primary")["lastAcceptedAt"].as_str().unwrap().to_owned();
    stage.reasons("secondary", &accepted);
    stage.reasons("secondary", "no request has used this one since it was loaded");
}

#[test]
fn who_serves_cannot_be_regenerated_and_who_did_can_when_its_last_request_is_over() {
    let (face, stage) = Stage::set();
    let held = face.hold(LIST);
    let request = stage.sending(Request::get(LIST));
    face.until_asked(1);
    assert_eq!(stage.choose("secondary").status, 200);
    assert_eq!(stage.get(AUDIT).status, 200);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), NOT_SAFE.into()));
    stage.reasons("primary", "requests are on their way with it: 1");
    held.release();
    assert_eq!(request.join().unwrap().status, 200);
    stage.until_verdict("primary", SAFE);
    stage.reasons("primary", "no request has used this one since 20");
    assert_eq!(stage.slot("primary")["requests"], 1);
}

#[test]
fn without_another_key_that_is_good_none_is_safe() {
    let (_alone, single) = Stage::set_one();
    assert_eq!(single.get(LIST).status, 200);
    assert_eq!(single.verdict("primary"), NOT_SAFE);
    single.reasons("primary", "secondary has no key");

    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.get(LIST).status, 200);
    // The refused one can be regenerated at once; the one that serves has nobody to stand in for it.
    assert_eq!(stage.verdicts(), (SAFE.into(), NOT_SAFE.into()));
    stage.reasons("secondary", "primary was refused at 20");
    face.accepts(&[]);
    stage.get(LIST);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), NOT_SAFE.into()));
}

#[test]
fn while_a_slot_serves_with_its_former_key_the_other_is_needed() {
    let (face, stage) = Stage::set();
    assert_eq!(stage.get(LIST).status, 200);
    face.accepts(&[AZURE_KEY]);
    stage.load("key-1", NEW_KEY);
    assert_eq!(stage.verdict("secondary"), UNKNOWN);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), NOT_SAFE.into()));
    assert_eq!(stage.slot("primary")["former"], fingerprint(AZURE_KEY));
}

/// Azure gives a resource two keys, and regenerating one that lies in both slots would end both.
#[test]
fn one_key_in_both_slots_is_safe_in_neither() {
    let face = Face::start();
    let stage = Stage::of(builder(&face.url()).file("key-2", AZURE_KEY).upstream(NO_PROBES));
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), NOT_SAFE.into()));
    stage.reasons("secondary", "emulated primary has the same key");
    stage.load("key-2", SECOND_KEY);
    // The former one of the slot is the same key still, until the new one is accepted.
    assert_eq!(stage.choose("secondary").status, 200);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.verdicts(), (SAFE.into(), NOT_SAFE.into()));
}

/// Two names for one resource: who asks for one of them must not end the other.
#[test]
fn a_key_that_another_upstream_needs_is_not_safe() {
    let face = Face::start();
    let other = format!(
        "[[upstreams]]\nname = \"other\"\nendpoint = \"{}\"\n\
         keys = {{ primary = {{ file = \"key-2\" }}, secondary = {{ file = \"key-1\" }} }}\n{NO_PROBES}",
        face.url()
    );
    let stage = Stage::of(builder(&face.url()).upstream(NO_PROBES).more(&other));
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), NOT_SAFE.into()));
    stage.reasons("secondary", "other primary has the same key");
    let told = Request::new("POST", "/keys/other/use?slot=secondary").send(stage.gateway.admin);
    assert_eq!(told.status, 200);
    // It has not been proven that the other one can do without.
    assert_eq!(stage.verdicts(), (NOT_SAFE.into(), UNKNOWN.into()));
}

/// What `livegate keys` prints, with all times written as T.
#[track_caller]
fn printed(stage: &Stage) -> String {
    let ended = stage.keys(&[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let time = |word: &str| {
        let bare = word.trim_end_matches([',', ';']);
        if bare.parse::<jiff::Timestamp>().is_ok() {
            word.replacen(bare, "T", 1)
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(time).collect::<Vec<_>>().join(" ");
    ended.stdout.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn one_line_for_each_key_says_it() {
    let (_face, stage) = Stage::set();
    assert_eq!(stage.get(LIST).status, 200);
    let (one, two) = (fingerprint(AZURE_KEY), fingerprint(SECOND_KEY));
    let expected = format!(
        "emulated primary {one}, serving: not safe to regenerate: it serves; let secondary serve first: \
         POST /keys/emulated/use?slot=secondary\n    \
         loaded T, last accepted T, last refused never, 1 requests\n\
         emulated secondary {two}: safe to regenerate: primary serves and was accepted at T; no request has used this one \
         since it was loaded\n    \
         loaded T, last accepted never, last refused never, 0 requests"
    );
    assert_eq!(printed(&stage), expected);
    let slots = listed(&stage.keys(&["--json"]));
    assert_eq!(slots, [stage.slot("primary"), stage.slot("secondary")]);
}

#[test]
fn who_cannot_be_asked_is_told_plainly() {
    let (_face, stage) = Stage::set();
    let public = format!("http://{}", stage.gateway.public);
    let nobody = "http://127.0.0.1:1".to_owned();
    for (admin, status) in [(public, 1), (nobody, 1), ("no address".to_owned(), 2)] {
        let ended = livegate(&["keys", "--admin", &admin]);
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(ended.stdout.is_empty() && ended.stderr.contains(&admin), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

/// The page for people says it too.
#[test]
fn the_admin_ports_page_tells_of_keys() {
    let (_face, stage) = Stage::set();
    assert_eq!(stage.get(LIST).status, 200);
    let page = stage.page("/");
    for part in [fingerprint(AZURE_KEY), fingerprint(SECOND_KEY), SAFE.to_owned()] {
        assert!(page.contains(&part), "{page}");
    }
}

/// A slot that goes and comes back is told as it is then.
#[test]
fn a_slot_that_is_taken_out_is_told_as_empty() {
    let (_face, stage) = Stage::set();
    stage.exchange(TWO, ONE);
    assert_eq!(stage.reload().status, 200);
    let gone = stage.slot("secondary");
    assert_eq!((&gone["fingerprint"], &gone["loadedAt"]), (&Value::Null, &Value::Null));
    stage.exchange(ONE, TWO);
    assert_eq!(stage.reload().status, 200);
    let back = wait::until(|| stage.slot("secondary")["fingerprint"].as_str().map(str::to_owned));
    assert_eq!(back, Some(fingerprint(SECOND_KEY)));
}
