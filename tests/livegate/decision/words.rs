//! Which attempt decides, and in which words that is told.

use serde_json::{Value, json};

use super::stage::{FIRST, SECOND, attempt, available, claim, decision, failed, ga, say, verdict};
use crate::memory::stage::{Stage, preview, session};

/// An attempt with this status, and what else it has.
fn with_status(number: u64, status: &str, more: Value) -> Value {
    let mut attempt = json!({"attemptId": number, "attemptStatus": status});
    for (name, value) in more.as_object().unwrap() {
        attempt[name] = value.clone();
    }
    attempt
}

fn result(decision: &str) -> Value {
    json!({"result": {"livenessDecision": decision, "targets": {}, "digest": FIRST}})
}

/// What is decided by these attempts, whichever way round they stand.
#[track_caller]
fn decides(stage: &Stage, attempts: &[Value], expected: &str) {
    let path = session("abc");
    let mut reversed = attempts.to_vec();
    reversed.reverse();
    for attempts in [attempts, &reversed] {
        say(stage, &path, &ga("Succeeded", attempts));
        let answer = stage.get_with(&path, "Cache-Control", "no-cache");
        assert_eq!(decision(&answer), expected, "{attempts:?}");
    }
}

#[test]
fn the_attempt_with_the_highest_number_that_has_ended_decides() {
    let stage = Stage::set();
    let first = || attempt(1, "spoofface", SECOND);
    let nothing = json!({});
    for (second, expected) in [
        (with_status(2, "Succeeded", result("realface")), "realface;attempt=2;attempts=2"),
        (with_status(2, "Failed", nothing.clone()), "error;attempt=2;attempts=2"),
        (with_status(2, "Canceled", nothing.clone()), "error;attempt=2;attempts=2"),
        // What goes on has not ended, whatever else it has.
        (with_status(2, "Running", result("realface")), "spoofface;attempt=1;attempts=2"),
        (with_status(2, "NotStarted", nothing.clone()), "spoofface;attempt=1;attempts=2"),
        (with_status(2, "Running", nothing.clone()), "spoofface;attempt=1;attempts=2"),
        // Where the status is none that is known, a result or an error is the end.
        (with_status(2, "Paused", nothing), "spoofface;attempt=1;attempts=2"),
        (with_status(2, "Paused", result("realface")), "realface;attempt=2;attempts=2"),
        (with_status(2, "Paused", json!({"error": {}})), "error;attempt=2;attempts=2"),
    ] {
        decides(&stage, &[first(), second], expected);
    }
    let three = [attempt(9, "uncertain", FIRST), attempt(10, "realface", FIRST), first()];
    decides(&stage, &three, "realface;attempt=10;attempts=3");
    decides(&stage, &[with_status(1, "Running", json!({}))], "none");
}

#[test]
fn an_error_beside_a_result_is_an_error() {
    let stage = Stage::set();
    let mut both = attempt(1, "realface", FIRST);
    both["error"] = json!({"code": "FaceWithMaskDetected", "message": "No."});
    decides(&stage, &[both], "error;attempt=1;attempts=1;code=\"FaceWithMaskDetected\"");
    let failed = with_status(1, "Failed", result("realface"));
    decides(&stage, &[failed], "error;attempt=1;attempts=1");
}

#[test]
fn a_word_is_told_as_it_is_if_that_is_possible() {
    let stage = Stage::set();
    let longest = "a".repeat(64);
    for word in ["realface", "spoofface", "uncertain", "Real/face:1", "*new~word", &longest] {
        let expected = format!("{word};attempt=1;attempts=1");
        decides(&stage, &[attempt(1, word, FIRST)], &expected);
    }
    let long = "a".repeat(65);
    for word in [
        "",
        " ",
        "real face",
        "realface;attempt=9",
        "1face",
        "\"realface\"",
        "réal",
        "a\r\nb",
        &long,
    ] {
        decides(&stage, &[attempt(1, word, FIRST)], "other;attempt=1;attempts=1");
    }
}

#[test]
fn a_code_is_told_as_it_is_if_that_is_possible() {
    let stage = Stage::set();
    let longest = "a".repeat(64);
    for code in ["FaceWithMaskDetected", "a code; with=spaces", "1", &longest] {
        let expected = format!("error;attempt=1;attempts=1;code=\"{code}\"");
        decides(&stage, &[failed(1, code)], &expected);
    }
    let long = "a".repeat(65);
    for code in ["é", "a\r\nLiveness-Digest: match", "\u{7f}", "a\tb", &long] {
        decides(&stage, &[failed(1, code)], "error;attempt=1;attempts=1;code=\"other\"");
    }
}

#[test]
fn a_result_without_a_decision_is_none_and_still_has_a_digest() {
    let stage = Stage::set();
    let mut silent = attempt(2, "", SECOND);
    silent["result"].as_object_mut().unwrap().remove("livenessDecision");
    say(&stage, &session("abc"), &ga("Succeeded", &[attempt(1, "realface", FIRST), silent]));
    for (digest, said) in [(SECOND, "match;attempt=2"), (FIRST, "other-attempt;attempt=1")] {
        let answer = claim(&stage, &session("abc"), digest);
        assert_eq!((decision(&answer), verdict(&answer)), ("none", Some(said)));
    }
}

#[test]
fn the_previews_have_words_and_codes_too() {
    let stage = Stage::set();
    let path = preview("abc");
    let error = |code: &str| json!({"error": {"code": code, "message": "No."}});
    for (content, status, expected) in [
        (json!({"livenessDecision": "uncertain"}), 200, "uncertain"),
        (json!({"livenessDecision": "no token"}), 200, "other"),
        (json!({}), 200, "none"),
        (json!({"livenessDecision": "realface"}), 400, "error"),
        (json!({"livenessDecision": "realface"}), 399, "realface"),
        (json!({}), 500, "error"),
        (error("InvalidRequestBody"), 400, "error;code=\"InvalidRequestBody\""),
        (error("é"), 200, "error;code=\"other\""),
    ] {
        for (expired, more) in [(true, ""), (false, ";final=?0")] {
            let mut session = available(expired, &content, FIRST);
            session["result"]["response"]["statusCode"] = json!(status);
            say(&stage, &path, &session);
            let answer = stage.get_with(&path, "Cache-Control", "no-cache");
            assert_eq!(decision(&answer), format!("{expected}{more}"), "{session}");
        }
    }
}
