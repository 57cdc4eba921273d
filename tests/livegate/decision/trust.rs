//! Nobody can make a session look better to an app than what it was told: neither by another app's reports, nor by an answer that
//! is none.

use serde_json::{Value, json};

use super::stage::{
    ENFORCE, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, available, modes, put, refused,
    register, say, stands, sum, twice, verdict,
};
use crate::memory::azure::ok;
use crate::memory::stage::{preview, session};
use crate::support::gateway::TOKEN;
use crate::support::upstream;

fn reports(digest: &str, attempt: Option<u64>) -> String {
    match attempt {
        None => json!({"digest": digest}),
        Some(attempt) => json!({"digest": digest, "attempt": attempt}),
    }
    .to_string()
}

#[test]
fn what_an_app_reported_itself_is_what_counts_for_it() {
    let stage = modes();
    say(&stage, &session("abc"), &twice());
    stands(&put(&stage, ENFORCE, "abc", reports(STRANGE, None)), "pending");
    // Another app knows the digest that would match, and registers it for the very attempt.
    stands(&put(&stage, TOKEN, "abc", reports(SECOND, Some(2))), "pending");
    refused(&ask_as(&stage, ENFORCE, &session("abc"), None), "mismatch");
    assert_eq!(verdict(&ask_as(&stage, TOKEN, &session("abc"), None)), Some("match;attempt=2"));
    // Who reported nothing is told by what others did.
    assert_eq!(ask_as(&stage, REQUIRE, &session("abc"), None).status, 200);
}

#[test]
fn a_report_is_answered_with_a_verdict_on_itself() {
    let stage = modes();
    say(&stage, &session("abc"), &twice());
    stage.get(&session("abc"));
    stands(&register(&stage, "abc", SECOND, Some(2)), "match;attempt=2");
    stands(&register(&stage, "abc", STRANGE, Some(1)), "mismatch");
    stands(&register(&stage, "abc", FIRST, None), "other-attempt;attempt=1");
    stands(&register(&stage, "abc", SECOND, Some(2)), "match;attempt=2");
    assert_eq!(verdict(&stage.get(&session("abc"))), Some("match;attempt=2"));
}

#[test]
fn an_answer_about_a_session_that_is_not_200_cannot_be_judged() {
    let stage = modes();
    for status in [201, 203, 206] {
        let body = twice().to_string();
        stage.azure.says(&session("abc"), upstream::answer(status, &[], body.as_bytes()));
        for token in [ENFORCE, REQUIRE] {
            let answer = ask_as(&stage, token, &session("abc"), Some(STRANGE));
            assert_eq!(
                (answer.status, answer.error_code().as_str()),
                (502, "UpstreamInvalidResponse")
            );
            assert!(!answer.text().contains("realface"), "{answer:?}");
        }
        for token in [TOKEN, OFF] {
            let answer = ask_as(&stage, token, &session("abc"), Some(STRANGE));
            assert_eq!((answer.status, answer.text()), (status, body.clone()));
            assert_eq!((verdict(&answer), answer.header("liveness-decision")), (None, None));
        }
    }
}

#[test]
fn an_empty_digest_is_none() {
    let stage = modes();
    let failed = json!({"error": {"code": "NoFaceDetected"}});
    say(&stage, &preview("abc"), &available(true, &failed, ""));
    for claim in [None, Some(STRANGE)] {
        let answer = ask_as(&stage, REQUIRE, &preview("abc"), claim);
        assert_eq!((answer.status, verdict(&answer)), (200, Some("unavailable")), "{claim:?}");
    }
}

#[test]
fn attempts_without_numbers_are_told_apart_by_their_digests() {
    let stage = modes();
    for (decision, digest) in [("spoofface", FIRST), ("realface", SECOND), ("realface", SECOND)] {
        let mut shown = available(false, &json!({"livenessDecision": decision}), digest);
        shown["result"]["id"] = Value::Null;
        stage.azure.says(&preview("abc"), ok(&shown.to_string()));
        stage.get(&preview("abc"));
    }
    let counted = |decision: &str| {
        sum(&stage, "livegate_liveness_attempts_total", &[&format!("decision=\"{decision}\"")])
    };
    assert_eq!((counted("spoofface"), counted("realface")), (1.0, 1.0));
    assert_eq!(sum(&stage, "livegate_liveness_signals_total", &["result-mismatch"]), 0.0);
}
