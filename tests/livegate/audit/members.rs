//! What the members of `gateway` say of an entry by itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::stage::{added, at, audit, decided, digest, each, enriched, entry, no_more_than};
use super::stage::{verify_audit, with, without};
use crate::memory::stage::Stage;
use crate::support::upstream;

/// A device's call that was answered so, with this content.
fn answered(number: u64, status: u16, content: Value) -> Value {
    with(with(entry(number), "response.statusCode", status), "response.body", content)
}

#[test]
fn a_list_says_all_that_is_known_of_its_entries() {
    let stage = Stage::set();
    let first = without(without(decided(11, "spoofface"), "request.userAgent"), "digest");
    let error = json!({"error": {"code": "FaceWithMaskDetected", "message": "No."}});
    let second = with(answered(12, 400, error), "receivedDateTime", at(700_000));
    let third = with(decided(13, "uncertain"), "receivedDateTime", at(708_123));
    let added = enriched(&stage, &[first, second, third]);
    let fetched = added[0]["fetched"].clone();
    let client = json!({"platform": "android", "sdk": "1.4.8"});
    let expected = [
        json!({
            "schema": "livegate.audit/1",
            "decision": "spoofface",
            "outcome": "decided",
            "attempt": {"ordinal": 1, "of": 3},
            "modelVersion": "2023-12-20-preview.06",
            "timing": {"serviceMs": 642, "sinceFirstMs": 0},
            "signals": [],
            "fetched": fetched
        }),
        json!({
            "schema": "livegate.audit/1",
            "outcome": "client-error",
            "attempt": {"ordinal": 2, "of": 3},
            // The first one came after 660,000.
            "timing": {"serviceMs": 642, "sincePreviousMs": 40_000, "sinceFirstMs": 40_000},
            "client": client,
            "signals": [],
            "fetched": fetched
        }),
        json!({
            "schema": "livegate.audit/1",
            "decision": "uncertain",
            "outcome": "decided",
            "attempt": {"ordinal": 3, "of": 3},
            "modelVersion": "2023-12-20-preview.06",
            "timing": {"serviceMs": 642, "sincePreviousMs": 8_123, "sinceFirstMs": 48_123},
            "client": client,
            "signals": ["rapid-retry"],
            "fetched": fetched
        }),
    ];
    assert_eq!(added, expected);
}

#[test]
fn an_entry_of_which_nothing_is_known_has_what_is_always_there() {
    let stage = Stage::set();
    for entries in [vec![json!({})], vec![json!({"new": 1}), json!({})]] {
        for added in enriched(&stage, &entries) {
            assert_eq!(added["outcome"], "no-decision");
            assert_eq!(added["signals"], json!([]));
            let fetched = &added["fetched"];
            assert!(fetched["at"].is_string() && fetched["upstream"] == "emulated", "{added}");
            no_more_than(&added, &["schema", "outcome", "attempt", "signals", "fetched"]);
        }
    }
}

#[test]
fn what_the_device_was_answered_is_the_outcome() {
    let stage = Stage::set();
    let real = || json!({"livenessDecision": "realface"});
    for (status, content, outcome, decision) in [
        (200, real(), "decided", json!("realface")),
        (399, real(), "decided", json!("realface")),
        (400, real(), "client-error", Value::Null),
        (499, json!({}), "client-error", Value::Null),
        (500, real(), "service-error", Value::Null),
        (599, json!({"error": {}}), "service-error", Value::Null),
        (200, json!({}), "no-decision", Value::Null),
        (204, json!({"error": {"code": "X"}}), "no-decision", Value::Null),
        (200, json!({"livenessDecision": "spoofface"}), "decided", json!("spoofface")),
        (200, json!({"livenessDecision": "*new~word"}), "decided", json!("*new~word")),
        (200, json!({"livenessDecision": "no token"}), "decided", json!("other")),
        (200, json!({"livenessDecision": "é"}), "decided", json!("other")),
        (200, json!({"livenessDecision": "pending"}), "decided", json!("other")),
        (200, json!({"livenessDecision": "error"}), "decided", json!("other")),
        (200, json!({"livenessDecision": "a".repeat(64)}), "decided", json!("a".repeat(64))),
        (200, json!({"livenessDecision": "a".repeat(65)}), "decided", json!("other")),
    ] {
        let added = enriched(&stage, &[answered(1, status, content.clone())]);
        let said = (added[0]["outcome"].clone(), added[0]["decision"].clone());
        assert_eq!(said, (json!(outcome), decision), "{status} {content}");
    }
}

#[test]
fn a_model_version_of_at_most_64_characters_is_told() {
    let stage = Stage::set();
    for (model, told) in [
        ("2023-12-20-preview.06".to_owned(), true),
        ("a".repeat(64), true),
        ("é".repeat(64), true),
        ("a".repeat(65), false),
    ] {
        let added =
            enriched(&stage, &[with(entry(1), "response.body.modelVersionUsed", model.as_str())]);
        let expected = if told { json!(model) } else { Value::Null };
        assert_eq!(added[0]["modelVersion"], expected, "{model}");
    }
    let none = without(entry(1), "response.body.modelVersionUsed");
    assert_eq!(enriched(&stage, &[none])[0].get("modelVersion"), None);
}

#[test]
fn times_between_entries_are_told_where_they_are_not_negative() {
    let stage = Stage::set();
    let received = |number, moment: Value| with(entry(number), "receivedDateTime", moment);
    let entries = [
        received(1, at(5_000)),
        received(2, at(5_000)),
        received(3, at(3_000)),
        // An hour east of Greenwich: 29.698 s + 5.5 s.
        received(4, json!("2024-03-05T12:07:35.198+01:00")),
        without(entry(5), "receivedDateTime"),
        received(6, at(20_001)),
    ];
    let added = enriched(&stage, &entries);
    assert_eq!(
        each(&added, "timing"),
        [
            json!({"serviceMs": 642, "sinceFirstMs": 0}),
            json!({"serviceMs": 642, "sincePreviousMs": 0, "sinceFirstMs": 0}),
            json!({"serviceMs": 642}),
            json!({"serviceMs": 642, "sincePreviousMs": 2_500, "sinceFirstMs": 500}),
            json!({"serviceMs": 642}),
            json!({"serviceMs": 642, "sinceFirstMs": 15_001}),
        ]
    );
}

#[test]
fn without_a_latency_and_a_time_there_is_no_timing() {
    let stage = Stage::set();
    let silent = |number| {
        without(without(entry(number), "response.latencyInMilliseconds"), "receivedDateTime")
    };
    let zero = with(silent(3), "response.latencyInMilliseconds", 0);
    let added = enriched(&stage, &[silent(1), silent(2), zero]);
    assert_eq!(each(&added, "timing"), [Value::Null, Value::Null, json!({"serviceMs": 0})]);
}

#[test]
fn the_comparison_with_a_picture_is_told_as_azure_has_it() {
    let stage = Stage::set();
    let body = |result: Value| with(entry(1), "response.body.verifyResult", result);
    for (result, expected) in [
        (
            json!({"matchConfidence": 0.93, "isIdentical": true, "verifyImage": {}}),
            json!({"identical": true, "confidence": 0.93}),
        ),
        (
            json!({"matchConfidence": 0.08871888, "isIdentical": false}),
            json!({"identical": false, "confidence": 0.08871888}),
        ),
        (json!({"isIdentical": true}), json!({"identical": true})),
        (json!({"matchConfidence": 1.0}), json!({"confidence": 1.0})),
    ] {
        super::stage::lists(&stage, &verify_audit("abc"), &[body(result)]);
        let added = added(&stage.get(&verify_audit("abc")));
        let said = &added[0]["verify"];
        assert_eq!(said["identical"], expected["identical"], "{said}");
        assert_eq!(said["confidence"].as_f64(), expected["confidence"].as_f64(), "{said}");
        assert_eq!(said.as_object().unwrap().len(), expected.as_object().unwrap().len(), "{said}");
    }
    assert_eq!(enriched(&stage, &[entry(1)])[0].get("verify"), None);
}

/// Azure may spell a text in any way that JSON has.
#[test]
fn texts_are_read_with_their_escapes() {
    let stage = Stage::set();
    let list = r#"[{"\u0069d":1,"response":{"body":{"livenessDecision":"real\u0066ace",
        "modelVersionUsed":"a\"b\\c\n\u00e9"},"statusCode":200},
        "request":{"userAgent":"A\u007aureAIVision\/1.2 (\u0041ndroid)"},
        "receivedDateTime":"2024-03-05T11:07:29\u002e6980000Z"},
        {"id":2,"receivedDateTime":"2024-03-05T11:08:29.6981234Z"}]"#;
    stage.azure.says(&audit("abc"), crate::memory::azure::ok(list));
    let added = added(&stage.get(&audit("abc")));
    assert_eq!(added[0]["decision"], "realface");
    assert_eq!(added[0]["modelVersion"], "a\"b\\c\n\u{e9}");
    assert_eq!(added[0]["client"], json!({"platform": "android", "sdk": "1.2"}));
    assert_eq!(added[0]["attempt"], json!({"ordinal": 1, "of": 2}));
    let timing = json!({"sincePreviousMs": 60_000, "sinceFirstMs": 60_000});
    assert_eq!(added[1]["timing"], timing);
}

#[test]
fn it_is_told_when_and_from_where_a_list_came() {
    let stage = Stage::set();
    let list = json!([entry(1), with(entry(2), "digest", digest(9))]).to_string();
    for id in [Some("4af681e9-0e25-43e9-9922-a7adebf13b2f"), None] {
        let fields: Vec<_> = id.iter().map(|id| ("apim-request-id", *id)).collect();
        stage.azure.says(&audit("abc"), upstream::answer(200, &fields, list.as_bytes()));
        let before = Timestamp::now();
        let answer = stage.get(&audit("abc"));
        let after = Timestamp::now();
        for added in added(&answer) {
            let fetched = &added["fetched"];
            let at = fetched["at"].as_str().unwrap();
            let told: Timestamp = at.parse().unwrap();
            // Milliseconds, and UTC: as in the documents.
            assert!(at.len() == "2026-11-23T09:30:00.123Z".len() && at.ends_with('Z'), "{at}");
            let told = told.as_millisecond();
            assert!((before.as_millisecond()..=after.as_millisecond()).contains(&told), "{at}");
            assert_eq!(fetched["upstream"], "emulated");
            assert_eq!(fetched["requestId"].as_str(), id);
            no_more_than(fetched, &["at", "upstream", "requestId"]);
        }
    }
}
