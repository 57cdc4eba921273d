//! What the metrics count: each attempt, each session and each verdict once, however often it is asked about.

use serde_json::{Value, json};

use super::stage::{
    FIRST, SECOND, attempt, available, failed, ga, preview_verify, say, sum, twice, verified,
    verify,
};
use crate::memory::stage::{Stage, hit, preview, session};
use crate::support::http::Request;

const ATTEMPTS: &str = "livegate_liveness_attempts_total";
const ERRORS: &str = "livegate_liveness_attempt_errors_total";
const SESSIONS: &str = "livegate_liveness_sessions_total";
const SIGNALS: &str = "livegate_liveness_signals_total";

/// One series of the attempts.
fn attempts(decision: &str, identical: &str, model: &str, operation: &str) -> String {
    format!(
        "{ATTEMPTS}{{decision=\"{decision}\",identical=\"{identical}\",\
         model_version=\"{model}\",operation=\"{operation}\"}}"
    )
}

fn sessions(operation: &str, status: &str) -> String {
    format!("{SESSIONS}{{operation=\"{operation}\",status=\"{status}\"}}")
}

/// Asserts series that are there, and that there is no more of the metric.
#[track_caller]
fn counted(stage: &Stage, metric: &str, series: &[(String, u64)]) {
    for (name, value) in series {
        assert_eq!(stage.metric(name), *value, "{name}");
    }
    let all: u64 = series.iter().map(|(_, value)| value).sum();
    assert_eq!(sum(stage, metric, &[]), all as f64, "{metric}");
}

fn fresh(stage: &Stage, path: &str) {
    let answer = stage.get_with(path, "Cache-Control", "no-cache");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_session_that_is_asked_for_thirty_times_is_counted_once() {
    let stage = Stage::set();
    let path = session("abc");
    say(&stage, &path, &ga("Running", &[]));
    for _ in 0..10 {
        stage.get(&path);
    }
    counted(&stage, ATTEMPTS, &[]);
    counted(&stage, SESSIONS, &[]);
    say(&stage, &path, &twice());
    for _ in 0..10 {
        assert_eq!(stage.get(&path).status, 200);
        fresh(&stage, &path);
        hit(&stage.get(&path));
    }
    assert_eq!(stage.azure.calls(&path), 21);
    let once = [
        (attempts("realface", "none", "2024-11-15", "liveness"), 1),
        (attempts("spoofface", "none", "2024-11-15", "liveness"), 1),
    ];
    counted(&stage, ATTEMPTS, &once);
    counted(&stage, SESSIONS, &[(sessions("liveness", "succeeded"), 1)]);
    counted(&stage, SIGNALS, &[]);
}

#[test]
fn what_is_kept_no_longer_is_not_counted_again() {
    let stage = Stage::with("ttl = \"0s\"\nfailed_ttl = \"0s\"\nrunning_ttl = \"0s\"\n");
    let (path, failing) = (session("abc"), session("failing"));
    say(&stage, &path, &twice());
    say(&stage, &failing, &ga("Failed", &[failed(1, "FaceWithMaskDetected")]));
    for _ in 0..5 {
        stage.get(&path);
        stage.get(&failing);
    }
    assert_eq!(stage.azure.upstream.recorded().len(), 10);
    let purge = Request::new("POST", "/cache/purge").send(stage.gateway.admin);
    assert_eq!(purge.status, 200);
    stage.get(&path);
    assert_eq!(sum(&stage, ATTEMPTS, &[]), 3.0);
    assert_eq!(sum(&stage, ERRORS, &[]), 1.0);
    counted(
        &stage,
        SESSIONS,
        &[(sessions("liveness", "succeeded"), 1), (sessions("liveness", "failed"), 1)],
    );
}

#[test]
fn both_families_and_all_versions_of_a_session_are_one() {
    let stage = Stage::set();
    let (new, old) = (session("abc"), preview("abc"));
    let content = json!({"livenessDecision": "realface", "modelVersionUsed": "2024-11-15"});
    let paths = [
        new.clone(),
        new.replace("v1.2", "v1.3-preview.1"),
        old.clone(),
        old.replace("v1.2-preview.1", "v1.1-preview.1"),
    ];
    for path in &paths {
        let is_old = path.contains("singleModal");
        let one = if is_old {
            available(true, &content, SECOND)
        } else {
            ga("Succeeded", &[attempt(1, "realface", SECOND)])
        };
        say(&stage, path, &one);
        assert_eq!(stage.get(path).status, 200);
    }
    let series = attempts("realface", "none", "2024-11-15", "liveness");
    counted(&stage, ATTEMPTS, &[(series, 1)]);
    counted(&stage, SESSIONS, &[(sessions("liveness", "succeeded"), 1)]);
    counted(&stage, SIGNALS, &[]);
    // Another session, and the twin of the same id, are others.
    say(&stage, &session("abd"), &ga("Succeeded", &[attempt(1, "realface", SECOND)]));
    say(&stage, &verify("abc"), &ga("Succeeded", &[attempt(1, "realface", SECOND)]));
    stage.get(&session("abd"));
    stage.get(&verify("abc"));
    let all = [
        (attempts("realface", "none", "2024-11-15", "liveness"), 2),
        (attempts("realface", "none", "2024-11-15", "liveness_with_verify"), 1),
    ];
    counted(&stage, ATTEMPTS, &all);
}

#[test]
fn the_attempts_of_a_session_are_counted_as_they_end() {
    let stage = Stage::set();
    let path = session("abc");
    let going = json!({"attemptId": 2, "attemptStatus": "Running"});
    let first = failed(1, "FaceWithMaskDetected");
    say(&stage, &path, &ga("Running", std::slice::from_ref(&going)));
    stage.get(&path);
    counted(&stage, ATTEMPTS, &[]);
    say(&stage, &path, &ga("Running", &[going, first.clone()]));
    stage.get(&path);
    stage.get(&path);
    let error = attempts("error", "none", "2024-11-15", "liveness");
    counted(&stage, ATTEMPTS, &[(error.clone(), 1)]);
    counted(&stage, SESSIONS, &[]);
    say(&stage, &path, &ga("Succeeded", &[attempt(2, "spoofface", SECOND), first]));
    stage.get(&path);
    let spoof = attempts("spoofface", "none", "2024-11-15", "liveness");
    counted(&stage, ATTEMPTS, &[(error, 1), (spoof, 1)]);
    counted(&stage, SESSIONS, &[(sessions("liveness", "succeeded"), 1)]);
}

#[test]
fn an_error_is_counted_by_a_code_that_is_known() {
    let stage = Stage::set();
    let all =
        [failed(1, "FaceWithMaskDetected"), failed(2, "NobodyKnowsThis"), failed(3, "sessionId-1")];
    say(&stage, &session("abc"), &ga("Failed", &all));
    say(&stage, &verify("abc"), &ga("Failed", &all[..1]));
    for path in [session("abc"), verify("abc"), session("abc")] {
        fresh(&stage, &path);
    }
    let series = |operation: &str, code: &str| {
        format!("{ERRORS}{{error_code=\"{code}\",operation=\"{operation}\"}}")
    };
    counted(
        &stage,
        ERRORS,
        &[
            (series("liveness", "FaceWithMaskDetected"), 1),
            (series("liveness", "other"), 2),
            (series("liveness_with_verify", "FaceWithMaskDetected"), 1),
        ],
    );
    let errors = [
        (attempts("error", "none", "2024-11-15", "liveness"), 3),
        (attempts("error", "none", "2024-11-15", "liveness_with_verify"), 1),
    ];
    counted(&stage, ATTEMPTS, &errors);
}

#[test]
fn each_end_of_a_session_has_its_name() {
    let stage = Stage::set();
    let unused = json!({"id": "e", "sessionExpired": true, "status": "NotStarted"});
    let begun = json!({"id": "f", "sessionExpired": true, "status": "Started"});
    let waiting = json!({"id": "g", "sessionExpired": false, "status": "Started"});
    let result = available(true, &json!({"livenessDecision": "realface"}), FIRST);
    for (path, content) in [
        (session("a"), twice()),
        (session("b"), ga("Failed", &[failed(1, "No")])),
        (session("c"), ga("Canceled", &[])),
        (verify("a"), twice()),
        (preview("d"), result),
        (preview("e"), unused),
        (preview_verify("f"), begun),
        (preview("g"), waiting),
        (session("h"), ga("Running", &[])),
        (session("i"), ga("NotStarted", &[attempt(1, "realface", FIRST)])),
        (session("j"), ga("Paused", &[])),
    ] {
        say(&stage, &path, &content);
        for _ in 0..3 {
            fresh(&stage, &path);
        }
    }
    counted(
        &stage,
        SESSIONS,
        &[
            (sessions("liveness", "succeeded"), 2),
            (sessions("liveness", "failed"), 1),
            (sessions("liveness", "canceled"), 1),
            (sessions("liveness", "expired"), 1),
            (sessions("liveness_with_verify", "succeeded"), 1),
            (sessions("liveness_with_verify", "expired"), 1),
        ],
    );
}

#[test]
fn a_session_that_is_deleted_has_ended_if_it_had_not() {
    let stage = Stage::set();
    say(&stage, &session("over"), &twice());
    say(&stage, &session("open"), &ga("Running", &[]));
    stage.get(&session("over"));
    stage.get(&session("open"));
    for path in [session("over"), session("open"), verify("unseen"), session("open")] {
        assert_eq!(stage.delete(&path).status, 204);
    }
    let all = [
        (sessions("liveness", "succeeded"), 1),
        (sessions("liveness", "deleted"), 1),
        (sessions("liveness_with_verify", "deleted"), 1),
    ];
    counted(&stage, SESSIONS, &all);
    // A deletion that Azure refuses is none.
    let refusal = crate::memory::azure::error(403, "Forbidden", &[]);
    stage.azure.says_in_turn("DELETE", &session("refused"), [refusal]);
    assert_eq!(stage.delete(&session("refused")).status, 403);
    counted(&stage, SESSIONS, &all);
}

#[test]
fn how_many_attempts_a_session_needed_is_known_of_the_later_versions() {
    const NAME: &str = "livegate_liveness_session_attempts";
    let stage = Stage::set();
    let three = [attempt(3, "realface", FIRST), failed(2, "No"), failed(1, "No")];
    say(&stage, &session("a"), &ga("Succeeded", &three));
    say(&stage, &session("b"), &ga("Failed", &three[2..]));
    say(&stage, &session("c"), &ga("Running", &three));
    say(&stage, &verify("d"), &twice());
    say(&stage, &preview("e"), &available(true, &json!({}), FIRST));
    for path in [session("a"), session("b"), session("c"), verify("d"), preview("e")] {
        fresh(&stage, &path);
        fresh(&stage, &path);
    }
    let value = |part: &str, operation: &str| {
        let label = format!("operation=\"{operation}\"");
        sum(&stage, &format!("{NAME}_{part}"), &[&label])
    };
    assert_eq!((value("count", "liveness"), value("sum", "liveness")), (2.0, 4.0));
    let verify = "liveness_with_verify";
    assert_eq!((value("count", verify), value("sum", verify)), (1.0, 2.0));
}

#[test]
fn how_like_the_picture_it_was_is_observed_once() {
    const NAME: &str = "livegate_liveness_verify_confidence_ratio";
    let stage = Stage::set();
    let all = [verified(2, 0.25, false, FIRST), verified(1, 0.875, true, FIRST)];
    say(&stage, &verify("abc"), &ga("Succeeded", &all));
    let content = json!({
        "livenessDecision": "realface",
        "modelVersionUsed": "2024-11-15",
        "verifyResult": {"matchConfidence": 0.5, "isIdentical": true}
    });
    say(&stage, &preview_verify("old"), &available(true, &content, FIRST));
    for path in [verify("abc"), preview_verify("old")] {
        fresh(&stage, &path);
        fresh(&stage, &path);
    }
    for (identical, count, total) in
        [("true", 2.0, 1.375), ("false", 1.0, 0.25), ("none", 0.0, 0.0)]
    {
        let label = format!("identical=\"{identical}\"");
        assert_eq!(sum(&stage, &format!("{NAME}_count"), &[&label]), count, "{identical}");
        assert_eq!(sum(&stage, &format!("{NAME}_sum"), &[&label]), total, "{identical}");
    }
    let operation = "liveness_with_verify";
    let series = [
        (attempts("realface", "true", "2024-11-15", operation), 2),
        (attempts("realface", "false", "2024-11-15", operation), 1),
    ];
    counted(&stage, ATTEMPTS, &series);
}

#[test]
fn words_that_nobody_knows_make_no_series() {
    let stage = Stage::set();
    let mut silent = attempt(3, "", FIRST);
    silent["result"].as_object_mut().unwrap().remove("livenessDecision");
    let long = "a".repeat(65);
    let all = [attempt(1, "deepfake", FIRST), attempt(2, "not a token", FIRST), silent];
    say(&stage, &session("abc"), &ga("Succeeded", &all));
    say(&stage, &session("abd"), &ga("Succeeded", &[attempt(1, &long, FIRST)]));
    for path in [session("abc"), session("abd"), session("abc")] {
        fresh(&stage, &path);
    }
    let series = [
        (attempts("other", "none", "2024-11-15", "liveness"), 3),
        (attempts("none", "none", "2024-11-15", "liveness"), 1),
    ];
    counted(&stage, ATTEMPTS, &series);
}

#[test]
fn models_beyond_the_fifth_make_no_series() {
    let stage = Stage::set();
    let ask = |id: &str, model: Value| {
        let mut content = ga("Succeeded", &[attempt(1, "realface", FIRST)]);
        if model.is_null() {
            content.as_object_mut().unwrap().remove("modelVersion");
        } else {
            content["modelVersion"] = model;
        }
        say(&stage, &session(id), &content);
        fresh(&stage, &session(id));
    };
    for number in 1..=7 {
        ask(&format!("s-{number}"), json!(format!("2025-0{number}-01")));
        ask(&format!("t-{number}"), Value::Null);
    }
    // The first five stay known.
    ask("again-1", json!("2025-01-01"));
    ask("again-7", json!("2025-07-01"));
    let series = |model: &str| attempts("realface", "none", model, "liveness");
    let mut all = vec![(series("none"), 7), (series("other"), 3), (series("2025-01-01"), 2)];
    all.extend((2..=5).map(|number| (series(&format!("2025-0{number}-01")), 1)));
    counted(&stage, ATTEMPTS, &all);
}

#[test]
fn an_attempt_that_is_another_one_later_is_not_counted_again() {
    let stage = Stage::set();
    let path = session("abc");
    for decision in ["realface", "spoofface", "uncertain", "realface"] {
        say(&stage, &path, &ga("Succeeded", &[attempt(1, decision, FIRST)]));
        fresh(&stage, &path);
        fresh(&stage, &path);
    }
    let series = attempts("realface", "none", "2024-11-15", "liveness");
    counted(&stage, ATTEMPTS, &[(series, 1)]);
    counted(&stage, SIGNALS, &[(format!("{SIGNALS}{{signal=\"result-mismatch\"}}"), 1)]);
    counted(&stage, SESSIONS, &[(sessions("liveness", "succeeded"), 1)]);
}
