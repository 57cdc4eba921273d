//! When Azure fails, what is kept goes on being told for its time, and nothing is told that is older.

use super::azure::{error, ok, succeeded};
use super::stage::{MISS, STORED, Stage, cache_status, hit, session, told, ttl};
use crate::support::http::Answer;
use crate::support::wait;

#[track_caller]
fn failed(answer: &Answer, status: u16) {
    assert_eq!((answer.status, cache_status(answer)), (status, MISS), "{answer:?}");
    assert!(!answer.text().contains("realface"), "{}", answer.text());
    for field in ["etag", "age", "liveness-decision"] {
        assert_eq!(answer.header(field), None, "{field} of {answer:?}");
    }
}

#[test]
fn what_is_kept_is_told_while_azure_fails_or_is_gone() {
    let stage = Stage::set();
    let (path, other) = (session("abc"), session("other"));
    stage.azure.says(&path, ok(&succeeded("abc")));
    let first = stage.get(&path);
    told(&first, 200, STORED);
    let goes_on = || {
        let answer = stage.get(&path);
        hit(&answer);
        assert_eq!(answer.body, first.body);
    };
    for (answer, status) in [
        (error(500, "InternalServerError", &[]), 500),
        (error(503, "Busy", &[]), 503),
        (vec![], 503),
    ] {
        for path in [&path, &other] {
            stage.azure.says(path, answer.clone());
        }
        failed(&stage.get(&other), status);
        goes_on();
        failed(&stage.get(&other), status);
    }
    assert_eq!(stage.azure.calls(&path), 1);
    // The last answer closed the connections that were kept, so that nobody listens any more.
    let Stage { azure, gateway } = stage;
    drop(azure);
    let refused = wait::until(|| {
        let answer = gateway.get(&other);
        failed(&answer, 503);
        (answer.header("proxy-status")? == "livegate; error=connection_refused").then_some(())
    });
    assert!(refused.is_some());
    for _ in 0..3 {
        let answer = gateway.get(&path);
        hit(&answer);
        assert_eq!(answer.body, first.body);
    }
}

#[test]
fn what_is_too_old_is_not_told_when_azure_fails() {
    let stage = Stage::with("ttl = \"2s\"\nrunning_ttl = \"0s\"\n");
    let path = session("abc");
    stage.azure.says_in_turn("GET", &path, [ok(&succeeded("abc")), error(500, "No", &[])]);
    told(&stage.get(&path), 200, STORED);
    let answer = wait::until(|| {
        let answer = stage.get(&path);
        if answer.status == 200 {
            assert!(ttl(&answer).is_some_and(|left| left < 2), "{answer:?}");
            return None;
        }
        Some(answer)
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.error_code().as_str()), (500, "No"));
    // Whether it had been cleared away already makes no difference to an app.
    assert!(["livegate; fwd=stale", MISS].contains(&cache_status(&answer)), "{answer:?}");
    assert_eq!((answer.header("etag"), answer.header("age")), (None, None));
    assert_eq!(stage.azure.calls(&path), 2);
    stage.azure.says(&path, ok(&succeeded("abc")));
    assert!(cache_status(&stage.get(&path)).ends_with("; stored"));
    assert_eq!(stage.azure.calls(&path), 3);
}
