//! What the metrics count of verdicts: each once for a session, an attempt and what was given, however often it is asked.

use serde_json::json;

use super::stage::{
    ENFORCE, EXPECTED, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, claim, failed, ga, modes, put,
    refused, register, say, stands, sum, twice, verified, verify,
};
use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;

const DIGESTS: &str = "livegate_digest_checks_total";
const PICTURES: &str = "livegate_verify_image_checks_total";

/// Asserts how often a verdict was counted in a mode.
#[track_caller]
fn checked(stage: &Stage, mode: &str, verdict: &str, times: u64) {
    let name = format!("{DIGESTS}{{mode=\"{mode}\",operation=\"liveness\",verdict=\"{verdict}\"}}");
    assert_eq!(stage.metric(&name), times, "{name}");
}

#[test]
fn a_verdict_is_counted_once_however_often_it_is_given() {
    let stage = Stage::set();
    let (path, other) = (session("abc"), session("failed"));
    say(&stage, &path, &twice());
    say(&stage, &other, &ga("Failed", &[failed(1, "No")]));
    let small = SECOND.to_lowercase();
    for _ in 0..5 {
        for digest in [Some(SECOND), Some(&small), Some(FIRST), Some(STRANGE), Some("x"), None] {
            ask_as(&stage, TOKEN, &path, digest);
        }
        ask_as(&stage, TOKEN, &other, None);
        stage.get_with(&path, "Cache-Control", "no-cache");
        let tag = stage.get(&path).header("etag").unwrap().to_owned();
        assert_eq!(stage.get_with(&path, "If-None-Match", &tag).status, 304);
    }
    for verdict in ["match", "other-attempt", "mismatch", "malformed", "unreported", "unavailable"]
    {
        checked(&stage, "observe", verdict, 1);
    }
    assert_eq!(sum(&stage, DIGESTS, &[]), 6.0);
    // Another value, and another session, are other checks.
    claim(&stage, &path, &STRANGE.replace('0', "A"));
    checked(&stage, "observe", "mismatch", 2);
    say(&stage, &session("abd"), &twice());
    claim(&stage, &session("abd"), SECOND);
    checked(&stage, "observe", "match", 2);
    say(&stage, &verify("abc"), &twice());
    claim(&stage, &verify("abc"), SECOND);
    checked(&stage, "observe", "match", 2);
    assert_eq!(sum(&stage, DIGESTS, &["operation=\"liveness_with_verify\""]), 1.0);
}

#[test]
fn a_digest_that_is_given_while_the_session_goes_on_is_checked_again_at_its_end() {
    let stage = Stage::set();
    let path = session("abc");
    say(&stage, &path, &ga("Running", &[]));
    for _ in 0..5 {
        claim(&stage, &path, SECOND);
    }
    checked(&stage, "observe", "pending", 1);
    say(&stage, &path, &twice());
    for _ in 0..5 {
        claim(&stage, &path, SECOND);
    }
    checked(&stage, "observe", "pending", 1);
    checked(&stage, "observe", "match", 1);
    assert_eq!(sum(&stage, DIGESTS, &[]), 2.0);
}

#[test]
fn refusals_are_counted_in_their_mode_and_nothing_where_there_is_no_verdict() {
    let stage = modes();
    for (id, token, digest, mode, said) in [
        ("a", ENFORCE, Some(STRANGE), "enforce", "mismatch"),
        ("b", REQUIRE, Some(FIRST), "require", "other-attempt"),
        ("c", REQUIRE, None, "require", "unreported"),
    ] {
        say(&stage, &session(id), &twice());
        for _ in 0..3 {
            let answer = ask_as(&stage, token, &session(id), digest);
            let attempt = if said == "other-attempt" { ";attempt=1" } else { "" };
            refused(&answer, &format!("{said}{attempt}"));
        }
        checked(&stage, mode, said, 1);
    }
    assert_eq!(sum(&stage, DIGESTS, &[]), 3.0);
    say(&stage, &session("d"), &twice());
    for digest in [Some(SECOND), Some(STRANGE), Some("x"), None] {
        assert_eq!(ask_as(&stage, OFF, &session("d"), digest).status, 200);
    }
    assert_eq!(sum(&stage, DIGESTS, &[]), 3.0);
    // The same value by an app of another mode is no other check.
    ask_as(&stage, TOKEN, &session("a"), Some(STRANGE));
    assert_eq!(sum(&stage, DIGESTS, &[]), 3.0);
}

#[test]
fn what_was_reported_is_checked_as_what_comes_with_the_question() {
    let stage = Stage::set();
    let path = session("abc");
    stands(&register(&stage, "abc", SECOND, None), "pending");
    say(&stage, &path, &twice());
    for _ in 0..3 {
        stage.get(&path);
        claim(&stage, &path, SECOND);
        let content = json!({"digest": SECOND}).to_string();
        assert_eq!(put(&stage, TOKEN, "abc", content).status, 204);
    }
    checked(&stage, "observe", "match", 1);
    checked(&stage, "observe", "unreported", 0);
}

#[test]
fn a_picture_is_checked_once_too() {
    let stage = Stage::set();
    let path = verify("abc");
    let bare = verify("bare");
    say(&stage, &path, &ga("Succeeded", &[verified(1, 0.5, true, FIRST)]));
    say(&stage, &bare, &twice());
    let small = FIRST.to_lowercase();
    for _ in 0..5 {
        for hash in [FIRST, &small, STRANGE, "x"] {
            assert_eq!(stage.get_with(&path, EXPECTED, hash).status, 200);
        }
        stage.get_with(&bare, EXPECTED, FIRST);
        stage.get(&path);
    }
    for verdict in ["match", "mismatch", "malformed", "unknown"] {
        let name = format!("{PICTURES}{{verdict=\"{verdict}\"}}");
        assert_eq!(stage.metric(&name), 1, "{name}");
    }
    assert_eq!(sum(&stage, PICTURES, &[]), 4.0);
}
