//! What is said of the sessions that Microsoft has published, as they are and with the status that they should have.
//!
//! They contradict themselves: most are `NotStarted` although there is a result.

use serde_json::{Value, json};

use super::stage::{FIRST, SECOND, STRANGE, attempt, claim, decision, verdict};
use crate::memory::azure::ok;
use crate::memory::stage::Stage;

const PREVIEW_1: &str = include_str!("../../data/samples/v1.1-preview.1/session-result.json");
const PREVIEW_2: &str = include_str!("../../data/samples/v1.2-preview.1/session-result.json");
const REFERENCE: &str = include_str!("../../data/samples/v1.2/session-result.json");
const TUTORIAL: &str = include_str!("../../data/samples/v1.2/session-result-tutorial.json");
const CREATED: &str = include_str!("../../data/samples/v1.2/create-response-tutorial.json");
const CREATED_VERIFY: &str =
    include_str!("../../data/samples/v1.2/create-with-verify-response-tutorial.json");
const CREATED_3: &str = include_str!("../../data/samples/v1.3-preview.1/create-response.json");
const VERIFIED: &str =
    include_str!("../../data/samples/v1.3-preview.1/session-result-with-verify.json");

/// The digest in both samples of the previews.
const PREVIEWS: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";

const GA: [&str; 2] =
    ["/face/v1.2/detectLiveness-sessions/abc", "/face/v1.3-preview.1/detectLiveness-sessions/abc"];
const GA_VERIFY: [&str; 2] = [
    "/face/v1.2/detectLivenessWithVerify-sessions/abc",
    "/face/v1.3-preview.1/detectLivenessWithVerify-sessions/abc",
];
const OLD: [&str; 4] = [
    "/face/v1.1-preview.1/detectLiveness/singleModal/sessions/abc",
    "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc",
    "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions/abc",
    "/face/v1.2-preview.1/detectLivenessWithVerify/singleModal/sessions/abc",
];

/// The statuses that decide in v1.2 and later.
const DECIDING: [&str; 3] = ["Succeeded", "Failed", "Canceled"];

/// What must be said of a session.
struct Said<'a> {
    decision: &'a str,
    /// Where no digest is given.
    silent: &'a str,
    /// For each of these digests.
    claims: &'a [(&'a str, &'a str)],
}

const NOTHING_YET: Said<'_> = Said {
    decision: "pending",
    silent: "pending",
    claims: &[(FIRST, "pending"), (SECOND, "pending"), (STRANGE, "pending"), (PREVIEWS, "pending")],
};

/// Of a session with a status that decides and no attempt that has ended.
const NO_ATTEMPT: Said<'_> = Said {
    decision: "none",
    silent: "unavailable",
    claims: &[(FIRST, "unavailable"), (STRANGE, "unavailable")],
};

/// Asks for a session with this content by all of these paths, with each digest in large and in small letters.
#[track_caller]
fn says(stage: &Stage, paths: &[&str], body: &str, said: &Said<'_>) {
    for path in paths {
        // Nothing is to come from what was kept of the session before.
        assert_eq!(stage.delete(path).status, 204);
        stage.azure.says(path, ok(body));
        let silent = stage.get(path);
        let what = format!("{path} of {body}");
        assert_eq!(decision(&silent), said.decision, "{what}");
        assert_eq!(verdict(&silent), Some(said.silent), "{what}");
        for (digest, expected) in said.claims {
            for digest in [(*digest).to_owned(), digest.to_lowercase()] {
                let answer = claim(stage, path, &digest);
                assert_eq!(decision(&answer), said.decision, "{what}");
                assert_eq!(verdict(&answer), Some(*expected), "{digest} for {what}");
                assert_eq!(answer.body, silent.body, "{what}");
            }
        }
    }
}

/// A text with one part exchanged, which must be there once.
#[track_caller]
fn with(body: &str, old: &str, new: &str) -> String {
    assert_eq!(body.matches(old).count(), 1, "{old} in {body}");
    body.replace(old, new)
}

/// The text of a status, with what it is a value of.
fn status(status: &str) -> String {
    format!("\"status\": \"{status}\"")
}

/// The same session with its attempts the other way round.
fn reversed(body: &str) -> String {
    let mut session: Value = serde_json::from_str(body).unwrap();
    let attempts = session["results"]["attempts"].as_array_mut().unwrap();
    assert!(attempts.len() > 1, "{body}");
    attempts.reverse();
    session.to_string()
}

/// The same session with a first attempt that has a digest, as no sample has.
fn with_first_digest(body: &str) -> String {
    let mut session: Value = serde_json::from_str(body).unwrap();
    let attempts = session["results"]["attempts"].as_array_mut().unwrap();
    let first = attempts.iter_mut().find(|attempt| attempt["attemptId"] == 1).unwrap();
    *first = attempt(1, "spoofface", FIRST);
    session.to_string()
}

#[test]
fn what_is_not_started_is_pending_whatever_it_shows() {
    let stage = Stage::set();
    says(&stage, &OLD, PREVIEW_1, &NOTHING_YET);
    says(&stage, &OLD, PREVIEW_2, &NOTHING_YET);
    says(&stage, &OLD, &with(PREVIEW_2, "NotStarted", "Started"), &NOTHING_YET);
    for body in [REFERENCE, CREATED, CREATED_3] {
        says(&stage, &GA, body, &NOTHING_YET);
        for other in ["Running", "Paused", "succeeded", ""] {
            let body = with(body, &status("NotStarted"), &status(other));
            says(&stage, &GA, &body, &NOTHING_YET);
        }
    }
    says(&stage, &GA, &reversed(REFERENCE), &NOTHING_YET);
    says(&stage, &GA, &with_first_digest(REFERENCE), &NOTHING_YET);
    says(&stage, &GA, &with(TUTORIAL, &status("Succeeded"), &status("NotStarted")), &NOTHING_YET);
    says(&stage, &GA_VERIFY, VERIFIED, &NOTHING_YET);
    says(&stage, &GA_VERIFY, &reversed(VERIFIED), &NOTHING_YET);
    says(&stage, &GA_VERIFY, CREATED_VERIFY, &NOTHING_YET);
}

#[test]
fn the_latest_attempt_of_the_reference_decides() {
    let stage = Stage::set();
    let said = Said {
        decision: "realface;attempt=2;attempts=2",
        silent: "unreported",
        claims: &[
            (SECOND, "match;attempt=2"),
            // The first attempt failed, and has no digest.
            (FIRST, "mismatch"),
            (STRANGE, "mismatch"),
        ],
    };
    let with_first = Said {
        claims: &[
            (SECOND, "match;attempt=2"),
            (FIRST, "other-attempt;attempt=1"),
            (STRANGE, "mismatch"),
        ],
        ..said
    };
    for deciding in DECIDING {
        let body = with(REFERENCE, &status("NotStarted"), &status(deciding));
        for paths in [&GA, &GA_VERIFY] {
            says(&stage, paths, &body, &said);
            says(&stage, paths, &reversed(&body), &said);
            says(&stage, paths, &with_first_digest(&body), &with_first);
            says(&stage, paths, &reversed(&with_first_digest(&body)), &with_first);
        }
    }
}

#[test]
fn the_attempt_of_the_tutorial_decides() {
    let stage = Stage::set();
    let said = Said {
        decision: "realface;attempt=1;attempts=1",
        silent: "unreported",
        claims: &[(FIRST, "match;attempt=1"), (SECOND, "mismatch"), (STRANGE, "mismatch")],
    };
    for deciding in DECIDING {
        let body = with(TUTORIAL, &status("Succeeded"), &status(deciding));
        says(&stage, &GA, &body, &said);
        says(&stage, &GA_VERIFY, &body, &said);
    }
}

#[test]
fn a_session_with_verify_says_whether_it_was_that_person() {
    let stage = Stage::set();
    let said = |decision| Said {
        decision,
        silent: "unreported",
        claims: &[
            (SECOND, "match;attempt=2"),
            (FIRST, "other-attempt;attempt=1"),
            (STRANGE, "mismatch"),
        ],
    };
    for deciding in DECIDING {
        let body = with(VERIFIED, &status("NotStarted"), &status(deciding));
        let body = with_first_digest(&body);
        let other = said("realface;attempt=2;attempts=2;identical=?0");
        says(&stage, &GA_VERIFY, &body, &other);
        says(&stage, &GA_VERIFY, &reversed(&body), &other);
        let body = with(&body, "\"isIdentical\":false", "\"isIdentical\":true");
        let same = said("realface;attempt=2;attempts=2;identical=?1");
        says(&stage, &GA_VERIFY, &body, &same);
        says(&stage, &GA_VERIFY, &reversed(&body), &same);
    }
}

#[test]
fn without_its_result_the_failed_attempt_of_the_reference_decides() {
    let stage = Stage::set();
    let said = Said {
        decision: "error;attempt=1;attempts=1;code=\"FaceWithMaskDetected\"",
        silent: "unavailable",
        claims: &[(SECOND, "unavailable"), (STRANGE, "unavailable")],
    };
    for (body, paths) in [(REFERENCE, &GA), (VERIFIED, &GA_VERIFY)] {
        let mut session: Value = serde_json::from_str(body).unwrap();
        session["results"]["attempts"].as_array_mut().unwrap().remove(0);
        for deciding in DECIDING {
            session["status"] = json!(deciding);
            says(&stage, paths, &session.to_string(), &said);
        }
    }
}

#[test]
fn what_has_no_attempt_has_no_decision() {
    let stage = Stage::set();
    for deciding in DECIDING {
        let ended = |body| with(body, &status("NotStarted"), &status(deciding));
        says(&stage, &GA, &ended(CREATED), &NO_ATTEMPT);
        says(&stage, &GA, &ended(CREATED_3), &NO_ATTEMPT);
        says(&stage, &GA_VERIFY, &ended(CREATED_VERIFY), &NO_ATTEMPT);
    }
}

/// The samples of the previews show an answer without content: nothing was decided.
#[test]
fn a_preview_without_a_decision_has_none_and_yet_a_digest() {
    let stage = Stage::set();
    let said = |decision| Said {
        decision,
        silent: "unreported",
        claims: &[(PREVIEWS, "match"), (FIRST, "mismatch"), (STRANGE, "mismatch")],
    };
    for sample in [PREVIEW_1, PREVIEW_2] {
        let body = with(sample, &status("NotStarted"), &status("ResultAvailable"));
        says(&stage, &OLD, &body, &said("none"));
        let open = with(&body, "\"sessionExpired\": true", "\"sessionExpired\": false");
        says(&stage, &OLD, &open, &said("none;final=?0"));
    }
}

#[test]
fn a_preview_with_a_decision_has_it_and_says_whether_another_may_follow() {
    let stage = Stage::set();
    let said = |decision| Said {
        decision,
        silent: "unreported",
        claims: &[(PREVIEWS, "match"), (FIRST, "mismatch"), (STRANGE, "mismatch")],
    };
    for sample in [PREVIEW_1, PREVIEW_2] {
        let body = with(sample, &status("NotStarted"), &status("ResultAvailable"));
        let decided = with(&body, "\"body\": {}", "\"body\": {\"livenessDecision\":\"spoofface\"}");
        says(&stage, &OLD, &decided, &said("spoofface"));
        let verified = with(
            &body,
            "\"body\": {}",
            "\"body\": {\"livenessDecision\":\"realface\",\"verifyResult\":\
             {\"matchConfidence\":0.9,\"isIdentical\":true}}",
        );
        says(&stage, &OLD[2..], &verified, &said("realface;identical=?1"));
        let open = with(&verified, "\"sessionExpired\": true", "\"sessionExpired\": false");
        says(&stage, &OLD[2..], &open, &said("realface;identical=?1;final=?0"));
    }
}

#[test]
fn a_preview_whose_device_was_refused_is_an_error() {
    let stage = Stage::set();
    let said = |decision| Said {
        decision,
        silent: "unreported",
        claims: &[(PREVIEWS, "match"), (STRANGE, "mismatch")],
    };
    let error = "\"body\": {\"error\":{\"code\":\"FaceWithMaskDetected\",\"message\":\"No.\"}}";
    for sample in [PREVIEW_1, PREVIEW_2] {
        let body = with(sample, &status("NotStarted"), &status("ResultAvailable"));
        let refused = with(&body, "\"statusCode\": 200", "\"statusCode\": 400");
        says(&stage, &OLD, &refused, &said("error"));
        let coded = "error;code=\"FaceWithMaskDetected\"";
        says(&stage, &OLD, &with(&refused, "\"body\": {}", error), &said(coded));
        says(&stage, &OLD, &with(&body, "\"body\": {}", error), &said(coded));
    }
}
