//! Answers with lists that the gateway makes: from memory, for whom, with which fields, and what is none.

use serde_json::json;

use super::stage::{PLAIN, added, ask, made, made_verify};
use crate::decision::stage::{
    ENFORCE, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, attempt, failed, ga, modes, only,
    register, say, twice, verify,
};
use crate::memory::azure::{cut_off, error, ok};
use crate::memory::stage::{STORED, Stage, cache_status, hit, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::Answer;
use crate::support::upstream;

/// Nothing is decided by a list.
#[track_caller]
fn undecided(answer: &Answer) {
    for absent in ["liveness-decision", "liveness-digest", "liveness-verify-image"] {
        assert_eq!(only(answer, absent), None, "{absent} in {answer:?}");
    }
}

#[test]
fn what_is_kept_is_not_asked_for() {
    let stage = Stage::set();
    say(&stage, &session("abc"), &twice());
    let first = stage.get(&made("abc"));
    told(&first, 200, STORED);
    assert_eq!(first.header("age"), None);
    for answer in [stage.get(&made("abc")), stage.get(&made("abc"))] {
        hit(&answer);
        let age = only(&answer, "age").unwrap();
        assert!(age.parse::<u32>().is_ok(), "{age}");
        assert_eq!(added(&answer)[1]["fetched"]["at"], added(&first)[1]["fetched"]["at"]);
    }
    // The session was kept by that, and what the session's GET kept is enough for a list.
    hit(&stage.get(&session("abc")));
    say(&stage, &verify("abc"), &twice());
    told(&stage.get(&verify("abc")), 200, STORED);
    hit(&stage.get(&made_verify("abc")));
    assert_eq!((stage.azure.calls(&session("abc")), stage.azure.calls(&verify("abc"))), (1, 1));
    assert_eq!(stage.azure.upstream.recorded().len(), 2);
    // What ends what is kept ends this too.
    assert_eq!(stage.delete(&session("abc")).status, 204);
    stage.get(&made("abc"));
    assert_eq!(stage.azure.calls(&session("abc")), 2);
}

#[test]
fn what_is_not_final_is_asked_for_each_time() {
    let stage = Stage::set();
    say(&stage, &session("abc"), &ga("Running", &[failed(1, "No")]));
    for calls in 1..=3 {
        told(&stage.get(&made("abc")), 200, "livegate; fwd=miss");
        assert_eq!(stage.azure.calls(&session("abc")), calls);
    }
}

#[test]
fn a_list_is_kept_by_nobody_and_has_no_verdict() {
    let stage = Stage::set();
    let fields = [("ETag", "\"azures\""), ("Content-Type", "application/json; charset=utf-8")];
    let content = twice().to_string();
    stage.azure.says(&session("abc"), upstream::answer(200, &fields, content.as_bytes()));
    for (prefer, applied) in [
        (None, None),
        (Some("enrich=gateway"), Some("enrich=gateway")),
        (Some("enrich=none"), None),
        (Some("enrich=none, enrich=gateway"), None),
    ] {
        let answer = ask(&stage, TOKEN, &made("abc"), prefer);
        assert_eq!(answer.status, 200);
        assert_eq!(only(&answer, "preference-applied"), applied, "{prefer:?}");
        assert_eq!(only(&answer, "cache-control"), Some("no-store"), "{prefer:?}");
        assert_eq!(only(&answer, "etag"), None, "{prefer:?}");
        let kind = only(&answer, "content-type").unwrap();
        assert!(kind.starts_with("application/json"), "{kind}");
        let vary = only(&answer, "vary").unwrap().to_lowercase();
        assert!(vary.split(',').any(|name| name.trim() == "prefer"), "{vary}");
        undecided(&answer);
        let asked = prefer.map(|prefer| format!("Prefer: {prefer}\r\n")).unwrap_or_default();
        let (line, head, body) = stage.raw("HEAD", &made("abc"), &asked);
        assert!(line.contains(" 200 ") && body.is_empty(), "{line}");
        let length = answer.body.len().to_string();
        assert_eq!(head.get("content-length"), Some(length.as_str()), "{prefer:?}");
    }
}

#[test]
fn an_apps_default_counts_here_too() {
    let stage =
        Stage::built(|builder| builder.app_with("plain", PLAIN, &["audit"], "enrich = false\n"));
    say(&stage, &session("abc"), &twice());
    let mark = json!({"synthesised": true, "schema": "livegate.audit/1"});
    let plain = ask(&stage, PLAIN, &made("abc"), None);
    assert_eq!(added(&plain), [mark.clone(), mark]);
    let rich = ask(&stage, PLAIN, &made("abc"), Some("enrich=gateway"));
    assert_eq!(added(&rich)[1]["decision"], "realface");
    assert_eq!(only(&rich, "preference-applied"), Some("enrich=gateway"));
}

#[test]
fn a_session_that_is_not_there_has_no_list() {
    let stage = Stage::set();
    for (status, code) in [(404, "SessionNotFound"), (429, "429"), (500, "Unspecified")] {
        let said = error(status, code, &[]);
        stage.azure.says(&session("abc"), said.clone());
        let answer = stage.get(&made("abc"));
        assert_eq!((answer.status, answer.error_code().as_str()), (status, code));
        assert_eq!(only(&answer, "x-ms-error-code"), Some(code));
        assert!(said.ends_with(&answer.body), "{answer:?}");
        undecided(&answer);
    }
}

#[test]
fn a_session_that_cannot_be_read_has_no_list_either() {
    let stage = Stage::set();
    let whole = twice().to_string();
    for content in [
        "".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        whole.split_at(whole.len() - 1).0.to_owned(),
        whole.replacen("\"digest\"", "\"digest\":\"\",\"digest\"", 1),
        whole.replacen("\"attemptId\":1", "\"attemptId\":2", 1),
    ] {
        stage.azure.says(&session("abc"), ok(&content));
        for prefer in [None, Some("enrich=none")] {
            let answer = ask(&stage, TOKEN, &made("abc"), prefer);
            let said = (answer.status, answer.error_code());
            assert_eq!(said, (502, "UpstreamInvalidResponse".to_owned()), "{content}");
            assert_eq!(only(&answer, "x-ms-error-code"), Some("UpstreamInvalidResponse"));
            undecided(&answer);
        }
    }
    stage.azure.says(&session("abc"), cut_off());
    assert_eq!(stage.get(&made("abc")).status, 502);
}

#[test]
fn who_may_read_lists_may_read_these_and_nobody_else() {
    const READER: &str = "app-token-reader-0123456789";
    const AUDITOR: &str = "app-token-auditor-0123456789";
    let stage = Stage::built(|builder| {
        builder.app("reader", READER, &["session"]).app("auditor", AUDITOR, &["audit"])
    });
    say(&stage, &session("abc"), &twice());
    for (token, audit, whole) in
        [(READER, 403, 200), (AUDITOR, 200, 403), ("app-token-of-nobody", 401, 401)]
    {
        for _ in 0..2 {
            assert_eq!(ask(&stage, token, &made("abc"), None).status, audit, "{token}");
            assert_eq!(ask(&stage, token, &session("abc"), None).status, whole, "{token}");
        }
    }
}

#[test]
fn lists_are_never_refused_whatever_the_mode() {
    let stage = modes();
    say(&stage, &session("abc"), &twice());
    register(&stage, "abc", STRANGE, None);
    let fields = |token, claim| {
        let answer = ask_as(&stage, token, &made("abc"), claim);
        assert_eq!(answer.status, 200, "{claim:?}");
        undecided(&answer);
        assert!(cache_status(&answer).starts_with("livegate; "));
        added(&answer)[1]["digest"]["verdict"].as_str().map(str::to_owned)
    };
    for (token, expected) in [
        (TOKEN, Some("mismatch")),
        (ENFORCE, Some("mismatch")),
        (REQUIRE, Some("mismatch")),
        (OFF, None),
    ] {
        for claim in [Some(STRANGE), Some(FIRST), Some(SECOND), Some("malformed"), None] {
            assert_eq!(fields(token, claim).as_deref(), expected, "{token} {claim:?}");
        }
    }
    say(&stage, &session("abd"), &ga("Succeeded", &[attempt(1, "realface", FIRST)]));
    assert_eq!(ask_as(&stage, REQUIRE, &made("abd"), None).status, 200);
}
