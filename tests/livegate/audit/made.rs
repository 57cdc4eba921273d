//! Lists that the gateway makes of a session from v1.2 on: what is in them, in whose bytes, and what is left out.

use serde_json::{Value, json};

use super::stage::{added, ask, each, made, made_verify, no_more_than};
use crate::decision::stage::{
    FIRST, SECOND, STRANGE, attempt, failed, ga, register, say, verified, verify,
};
use crate::memory::azure::ok;
use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;

const REFERENCE: &str = include_str!("../../data/samples/v1.2/session-result.json");
const TUTORIAL: &str = include_str!("../../data/samples/v1.2/session-result-tutorial.json");
const VERIFIED: &str =
    include_str!("../../data/samples/v1.3-preview.1/session-result-with-verify.json");

const ID: &str = "b12e033e-bda7-4b83-a211-e721c661f30e";

/// The paths of the twins in both versions.
fn paths(id: &str) -> [String; 4] {
    let third = |path: String| path.replace("v1.2", "v1.3-preview.1");
    [made(id), third(made(id)), made_verify(id), third(made_verify(id))]
}

/// The entries of a list, without and with what is marked, as they must be.
#[track_caller]
fn list(stage: &Stage, path: &str, session: &str) -> (Vec<Value>, Vec<Value>) {
    stage.azure.says(path.strip_suffix("/audit").unwrap(), ok(session));
    let answer = ask(stage, TOKEN, path, Some("enrich=gateway"));
    let marks = added(&answer);
    let mut entries = answer.json().as_array().unwrap().clone();
    for (entry, mark) in entries.iter_mut().zip(&marks) {
        assert_eq!(mark["synthesised"], true, "{entry:#}");
        entry.as_object_mut().unwrap().remove("gateway");
    }
    // Without enrichment the mark and the schema are all.
    let plain = ask(stage, TOKEN, path, Some("enrich=none"));
    assert_eq!(plain.header("preference-applied"), None);
    let mark = json!({"synthesised": true, "schema": "livegate.audit/1"});
    let marked = entries.iter().map(|entry| {
        let mut entry = entry.clone();
        entry["gateway"] = mark.clone();
        entry
    });
    assert_eq!(plain.json(), Value::Array(marked.collect()), "{}", plain.text());
    (entries, marks)
}

/// An attempt of a sample.
fn of(sample: &str, index: usize) -> Value {
    serde_json::from_str::<Value>(sample).unwrap()["results"]["attempts"][index].clone()
}

fn succeeded(sample: &str) -> String {
    sample.replace("\"status\": \"NotStarted\"", "\"status\": \"Succeeded\"")
}

#[test]
fn the_reference_has_two_entries_whatever_its_status() {
    let (result, error) = (of(REFERENCE, 0)["result"].clone(), of(REFERENCE, 1)["error"].clone());
    let expected = [
        json!({"id": 1, "sessionId": ID, "response": {"body": {"error": error}}}),
        json!({
            "id": 2,
            "sessionId": ID,
            "response": {
                "body": {"livenessDecision": "realface", "targets": result["targets"]}
            },
            "digest": SECOND,
            "sessionImageId": "Ae3PVWlXAmVAnXgkAFt1QSjGUWONKzWiSr2iPh9p9G4I"
        }),
    ];
    for session in [REFERENCE.to_owned(), succeeded(REFERENCE)] {
        for path in paths(ID) {
            let stage = Stage::set();
            let (entries, marks) = list(&stage, &path, &session);
            assert_eq!(entries, expected, "{path}");
            assert_eq!(each(&marks, "outcome"), ["no-decision", "decided"]);
            assert_eq!(each(&marks, "decision"), [Value::Null, json!("realface")]);
            let attempts = [1, 2].map(|ordinal| json!({"ordinal": ordinal, "of": 2}));
            assert_eq!(each(&marks, "attempt"), attempts);
            assert_eq!(each(&marks, "signals"), [json!([]), json!([])]);
            for mark in &marks {
                let fetched = &mark["fetched"];
                assert!(fetched["at"].is_string(), "{mark:#}");
                let from = (&fetched["upstream"], &fetched["requestId"]);
                assert_eq!(from, (&json!("emulated"), &json!("apim-1")));
                for absent in ["timing", "client", "crossCheck", "digest", "verify"] {
                    assert_eq!(mark.get(absent), None, "{absent} in {mark:#}");
                }
            }
        }
    }
}

#[test]
fn the_tutorial_has_one() {
    let stage = Stage::set();
    for path in paths(ID) {
        let (entries, marks) = list(&stage, &path, TUTORIAL);
        let expected = json!({
            "id": 1,
            "sessionId": "0acf6dbf-ce43-42a7-937e-705938881d62",
            "response": {
                "body": {
                    "livenessDecision": "realface",
                    "targets": of(TUTORIAL, 0)["result"]["targets"]
                }
            },
            "digest": FIRST,
            "sessionImageId": "Ab9tzwpDzqdCk35wWTiIHWJzzPr9fBCNSqBcXnJmDjbI"
        });
        assert_eq!(entries, [expected]);
        assert_eq!(each(&marks, "attempt"), [json!({"ordinal": 1, "of": 1})]);
    }
}

#[test]
fn with_verify_it_is_told_who_it_was_and_nothing_of_other_people() {
    let stage = Stage::set();
    let result = &of(VERIFIED, 0)["result"];
    let body = json!({
        "livenessDecision": "realface",
        "targets": result["targets"],
        "verifyResult": {"matchConfidence": 0.08871888, "isIdentical": false}
    });
    for session in [VERIFIED.to_owned(), succeeded(VERIFIED)] {
        let path = &paths(ID)[3];
        let (entries, marks) = list(&stage, path, &session);
        let expected = json!({
            "id": 2,
            "sessionId": ID,
            "response": {"body": body},
            "digest": SECOND,
            "sessionImageId": "Ae3PVWlXAmVAnXgkAFt1QSjGUWONKzWiSr2iPh9p9G4I",
            "verifyImageHash": "43B7D8E8769533C3290DBD37A84D821B2C28CB4381DF9C6784DBC4AAF7E45018"
        });
        assert_eq!(entries[1], expected);
        let same = json!({"identical": false, "confidence": 0.08871888});
        assert_eq!(each(&marks, "verify"), [Value::Null, same]);
        let text = stage.get(path).text();
        for absent in
            ["73.21.34.122", "clientInformation", "abuse", "authToken", "eyJ", "verifyReferences"]
        {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
    }
}

#[test]
fn what_azure_told_stands_there_in_azures_bytes() {
    let stage = Stage::set();
    let targets = "{ \"color\" :{\"a\":1.50,\"a\":\t12345678901234567890, \"\\u0041\":\"\\/\"}}";
    let verify = "{\"isIdentical\" : true,\r\n \"new\":[ 1e2 ], \"matchConfidence\":0.50}";
    let error = "{\"message\":\"é \\u00e9\",  \"code\":\"TimedOut\" , \"x\":-0}";
    let session = format!(
        "{{\"sessionId\":\"a\\u0062c\",\"authToken\":\"t\",\"status\":\"Running\",\"results\":\
         {{\"attempts\":[{{\"attemptId\":2,\"attemptStatus\":\"Succeeded\",\"result\":\
         {{\"digest\":\"{SECOND}\",\"verifyResult\":{verify},\"targets\":{targets},\
         \"livenessDecision\":\"real\\u0066ace\"}}}},\
         {{\"error\":{error},\"attemptStatus\":\"Failed\",\"attemptId\":1}}]}}}}"
    );
    let (entries, marks) = list(&stage, &made_verify("abc"), &session);
    assert_eq!(each(&entries, "id"), [1, 2]);
    assert_eq!(marks[1]["decision"], "realface");
    let text = stage.get(&made_verify("abc")).text();
    for part in [targets, verify, error, "\"real\\u0066ace\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(each(&entries, "sessionId"), ["abc", "abc"]);
}

#[test]
fn attempts_that_go_on_are_counted_and_have_no_entry() {
    let stage = Stage::set();
    let going = json!({"attemptId": 3, "attemptStatus": "Running"});
    let attempts = [going, attempt(10, "spoofface", STRANGE), failed(9, "No"), failed(2, "No")];
    let session = ga("Running", &attempts).to_string();
    let (entries, marks) = list(&stage, &made("abc"), &session);
    assert_eq!(each(&entries, "id"), [2, 9, 10]);
    assert_eq!(each(&marks, "outcome"), ["no-decision", "no-decision", "decided"]);
    let all: Vec<_> = marks.iter().map(|mark| mark["attempt"]["of"].clone()).collect();
    assert_eq!(all, [4, 4, 4]);
    // None that has ended.
    let open = json!({"attemptId": 1, "attemptStatus": "NotStarted"});
    for attempts in [&[][..], &[open]] {
        let session = ga("Running", attempts).to_string();
        assert_eq!(list(&stage, &made("abd"), &session), (vec![], vec![]));
    }
}

#[test]
fn signals_that_need_no_time_are_there() {
    let stage = Stage::set();
    let attempts = [
        attempt(1, "realface", FIRST),
        attempt(2, "spoofface", SECOND),
        failed(3, "No"),
        attempt(4, "realface", &FIRST.to_lowercase()),
    ];
    let (_, marks) = list(&stage, &made("abc"), &ga("Succeeded", &attempts).to_string());
    let signals: [&[&str]; 4] = [&[], &["decision-flip"], &[], &["decision-flip", "digest-reuse"]];
    assert_eq!(super::stage::signals(&marks), signals);
    let attempts = [verified(2, 0.5, true, SECOND), verified(1, 0.5, true, FIRST)];
    say(&stage, &verify("abc"), &ga("Succeeded", &attempts));
    let added = added(&stage.get(&made_verify("abc")));
    let changed = super::stage::has(&added, "verify-image-changed");
    assert_eq!(changed, [false, true]);
}

#[test]
fn what_was_reported_is_compared() {
    let stage = Stage::set();
    register(&stage, "abc", &FIRST.to_lowercase(), Some(1));
    let attempts = [attempt(1, "realface", FIRST), failed(2, "No"), attempt(3, "realface", SECOND)];
    let session = ga("Succeeded", &attempts).to_string();
    let said = |verdict: &str| json!({"verdict": verdict, "source": "registered"});
    let (_, marks) = list(&stage, &made("abc"), &session);
    let expected = ["match", "unavailable", "other-attempt"].map(said);
    assert_eq!(each(&marks, "digest"), expected);
    register(&stage, "abd", STRANGE, None);
    let (_, marks) = list(&stage, &made("abd"), &session);
    let expected = ["mismatch", "unavailable", "mismatch"].map(said);
    assert_eq!(each(&marks, "digest"), expected);
    for mark in marks {
        no_more_than(
            &mark,
            &[
                "synthesised",
                "schema",
                "decision",
                "outcome",
                "attempt",
                "modelVersion",
                "digest",
                "signals",
                "fetched",
            ],
        );
    }
}

#[test]
fn a_page_is_chosen_by_the_attempts_numbers() {
    let stage = Stage::set();
    let attempts: Vec<_> = (1..=12).rev().map(|number| failed(number, "No")).collect();
    say(&stage, &session("abc"), &ga("Failed", &attempts));
    for (query, ids) in [
        ("", (1..=12).collect::<Vec<_>>()),
        ("?start=0", (1..=12).collect()),
        ("?start=", (1..=12).collect()),
        ("?top=3", vec![1, 2, 3]),
        ("?start=9", vec![10, 11, 12]),
        ("?start=2&top=2", vec![3, 4]),
        ("?top=1&start=11", vec![12]),
        ("?start=12", vec![]),
        ("?start=1000000000000000&top=5", vec![]),
        ("?start=0&top=1000", (1..=12).collect()),
    ] {
        let answer = stage.get(&(made("abc") + query));
        let list = answer.json();
        let shown: Vec<_> =
            list.as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
        assert_eq!(shown, ids, "{query}");
        for (member, id) in added(&answer).iter().zip(&ids) {
            assert_eq!(member["attempt"]["of"], 12, "{query}");
            let ordinal = member["attempt"].get("ordinal");
            assert!(ordinal.is_none_or(|ordinal| ordinal == id), "{query}");
        }
    }
    for query in ["?top=0", "?top=1001", "?top=x"] {
        assert_eq!(stage.get(&(made("abc") + query)).status, 400, "{query}");
    }
    assert_eq!(stage.azure.calls(&session("abc")), 1);
}
