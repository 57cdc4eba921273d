//! Whether an entry and the session that is kept say the same of an attempt.

use serde_json::{Value, json};

use super::stage::{added, digest, verify_audit};
use super::stage::{audit, decided, each, enriched, entry, has, lists, with, without};
use crate::decision::stage::{attempt, available, failed, ga, say, verified, verify};
use crate::memory::stage::{Stage, hit, preview, session};

/// The session of these previews has ended, and is kept, with this as its last call.
#[track_caller]
fn kept(stage: &Stage, last: &Value) {
    let mut whole = available(true, &json!({}), "");
    whole["result"] = last.clone();
    say(stage, &preview("abc"), &whole);
    stage.get_with(&preview("abc"), "Cache-Control", "no-cache");
    hit(&stage.get(&preview("abc")));
}

#[test]
fn what_is_kept_and_says_the_same_agrees() {
    let error = json!({"error": {"code": "FaceWithMaskDetected", "message": "No."}});
    let refused = with(with(entry(2), "response.body", error), "response.statusCode", 400);
    let silent = with(entry(2), "response.body", json!({}));
    let compared = json!({"matchConfidence": 0.5, "isIdentical": true});
    for last in [
        entry(2),
        decided(2, "spoofface"),
        with(entry(2), "response.body.verifyResult", compared),
        refused,
        silent,
    ] {
        let stage = Stage::set();
        kept(&stage, &last);
        let calls = stage.azure.calls(&preview("abc"));
        let small = last["digest"].as_str().unwrap().to_lowercase();
        for shown in [last.clone(), with(last.clone(), "digest", small)] {
            let added = enriched(&stage, &[entry(1), shown, entry(3)]);
            let expected = [Value::Null, json!("agrees"), Value::Null];
            assert_eq!(each(&added, "crossCheck"), expected, "{last}");
            assert_eq!(has(&added, "result-mismatch"), [false; 3]);
        }
        // Azure is not asked.
        assert_eq!(stage.azure.calls(&preview("abc")), calls);
    }
}

#[test]
fn what_is_kept_and_says_something_else_disagrees() {
    let error = |code: &str| {
        let error = json!({"error": {"code": code, "message": "No."}});
        with(with(entry(2), "response.body", error), "response.statusCode", 400)
    };
    let compared = |identical: bool| {
        let result = json!({"matchConfidence": 0.5, "isIdentical": identical});
        with(entry(2), "response.body.verifyResult", result)
    };
    for (index, (session, list)) in [
        (entry(2), decided(2, "spoofface")),
        (entry(2), decided(2, "uncertain")),
        (entry(2), error("FaceWithMaskDetected")),
        (error("FaceWithMaskDetected"), entry(2)),
        (error("FaceWithMaskDetected"), error("TimedOut")),
        (compared(true), compared(false)),
        (entry(2), with(entry(2), "digest", digest(9))),
    ]
    .into_iter()
    .enumerate()
    {
        let stage = Stage::set();
        kept(&stage, &session);
        let added = enriched(&stage, &[entry(1), list]);
        assert_eq!(each(&added, "crossCheck"), [Value::Null, json!("disagrees")], "{index}");
        assert_eq!(has(&added, "result-mismatch"), [false, true], "{index}");
    }
}

#[test]
fn what_is_not_kept_is_not_compared() {
    let stage = Stage::set();
    let mut open = available(false, &json!({}), "");
    open["result"] = entry(2);
    say(&stage, &preview("abc"), &open);
    stage.get(&preview("abc"));
    let added = enriched(&stage, &[entry(1), entry(2)]);
    assert_eq!(each(&added, "crossCheck"), [Value::Null, Value::Null]);
    // Another session, and one that was deleted.
    kept(&stage, &entry(2));
    lists(&stage, &audit("abd"), &[entry(2)]);
    assert_eq!(each(&self::added(&stage.get(&audit("abd"))), "crossCheck"), [Value::Null]);
    assert_eq!(stage.delete(&preview("abc")).status, 204);
    assert_eq!(each(&enriched(&stage, &[entry(2)]), "crossCheck"), [Value::Null]);
}

#[test]
fn a_session_of_a_later_version_is_compared_by_its_digests() {
    let stage = Stage::set();
    let attempts = [
        attempt(3, "realface", &digest(1)),
        attempt(2, "spoofface", &digest(2)),
        failed(1, "FaceWithMaskDetected"),
    ];
    say(&stage, &session("abc"), &ga("Succeeded", &attempts));
    stage.get(&session("abc"));
    hit(&stage.get(&session("abc")));
    let entries = [
        entry(1),
        with(decided(2, "spoofface"), "digest", digest(2).to_lowercase()),
        entry(3),
        without(entry(4), "digest"),
    ];
    let added = enriched(&stage, &entries);
    let agrees = json!("agrees");
    let expected = [agrees.clone(), agrees, Value::Null, Value::Null];
    assert_eq!(each(&added, "crossCheck"), expected);
    let added = enriched(&stage, &[decided(1, "uncertain"), decided(2, "spoofface")]);
    assert_eq!(each(&added, "crossCheck"), [json!("disagrees"), json!("agrees")]);
    assert_eq!(has(&added, "result-mismatch"), [true, false]);
}

#[test]
fn whether_it_was_that_person_is_compared_with_later_versions_too() {
    for (identical, expected) in [(true, "agrees"), (false, "disagrees")] {
        let stage = Stage::set();
        let one = verified(1, 0.5, identical, &digest(7));
        let hex = one["result"]["digest"].clone();
        say(&stage, &verify("abc"), &ga("Succeeded", &[one]));
        stage.get(&verify("abc"));
        let result = json!({"matchConfidence": 0.5, "isIdentical": true});
        let call = with(with(entry(1), "response.body.verifyResult", result), "digest", hex);
        lists(&stage, &verify_audit("abc"), std::slice::from_ref(&call));
        let added = added(&stage.get(&verify_audit("abc")));
        assert_eq!(each(&added, "crossCheck"), [json!(expected)]);
        // The twin of the same id is another session.
        assert_eq!(each(&enriched(&stage, &[call]), "crossCheck"), [Value::Null]);
    }
}

#[test]
fn one_session_that_contradicts_is_enough() {
    let stage = Stage::set();
    kept(&stage, &entry(2));
    let spoof = ga("Succeeded", &[attempt(1, "spoofface", &digest(2))]);
    say(&stage, &session("abc"), &spoof);
    stage.get(&session("abc"));
    hit(&stage.get(&session("abc")));
    let added = enriched(&stage, &[entry(2)]);
    assert_eq!(each(&added, "crossCheck"), ["disagrees"]);
    assert_eq!(has(&added, "result-mismatch"), [true]);
}
