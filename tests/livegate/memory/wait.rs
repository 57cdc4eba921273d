//! Apps that would rather wait than ask again and again: `Prefer: wait=N`.

use std::process::Command;

use super::azure::{absent, error, ok, running, succeeded};
use super::stage::{ASKING, Stage, cache_status, hit, session};
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Connection, Request};

const NOTHING_SHARED: &str = "running_ttl = \"0s\"\n";

#[track_caller]
fn heard_the_end(answer: &Answer, preference: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("preference-applied"), Some(preference), "{answer:?}");
    assert_eq!(answer.header("liveness-decision"), Some("realface;attempt=1;attempts=1"));
    assert!(answer.text().contains("\"authToken\" : \"\""), "{}", answer.text());
}

#[test]
fn who_waits_is_answered_as_soon_as_the_session_ends() {
    let stage = Stage::set();
    let path = session("abc");
    let mut turns = vec![ok(&running("abc")); 3];
    turns.push(ok(&succeeded("abc")));
    stage.azure.says_in_turn("GET", &path, turns);
    let answer = stage.get_with(&path, "Prefer", "wait=60");
    heard_the_end(&answer, "wait=60");
    assert_eq!(stage.azure.calls(&path), 4);
    hit(&stage.get(&path));
    // What has ended is not waited for.
    let answer = stage.get_with(&path, "Prefer", "respond-async, wait=5");
    heard_the_end(&answer, "wait=5");
    hit(&answer);
    assert_eq!(stage.azure.calls(&path), 4);
}

#[test]
fn twenty_who_wait_cost_as_many_calls_as_one() {
    let stage = Stage::with_one_worker(NOTHING_SHARED);
    let path = session("abc");
    let mut turns = vec![ok(&running("abc")); 4];
    turns.push(ok(&succeeded("abc")));
    stage.azure.says_in_turn("GET", &path, turns);
    let held = stage.azure.hold("GET");
    let waiters: Vec<_> = (0..20).map(|_| stage.waiting(&path)).collect();
    stage.until_metric(ASKING, 20);
    held.release();
    for waiter in waiters {
        heard_the_end(&waiter.join().unwrap(), "wait=60");
    }
    assert_eq!(stage.azure.calls(&path), 5);
}

#[test]
fn when_the_time_is_over_the_latest_is_told() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let answer = stage.get_with(&path, "Prefer", "wait=2");
    assert_eq!((answer.status, answer.text()), (200, running("abc")));
    assert_eq!(answer.header("preference-applied"), Some("wait=2"));
    assert_eq!(answer.header("liveness-decision"), Some("pending"));
    assert!(!cache_status(&answer).contains("hit"), "{answer:?}");
}

#[test]
fn who_does_not_ask_to_wait_does_not() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    for (index, wish) in ["wait=0", "wait=x", "respond-async"].iter().enumerate() {
        let answer = stage.get_with(&path, "Prefer", wish);
        assert_eq!((answer.status, answer.header("preference-applied")), (200, None), "{wish}");
        assert_eq!(stage.azure.calls(&path), index + 1);
    }
}

#[test]
fn a_session_that_is_not_there_is_not_waited_for() {
    let stage = Stage::set();
    let path = session("abc");
    for (answer, status) in [(absent(), 404), (error(429, "TooMany", &[("Retry-After", "1")]), 429)]
    {
        stage.azure.says(&path, answer);
        let before = stage.azure.calls(&path);
        assert_eq!(stage.get_with(&path, "Prefer", "wait=60").status, status);
        assert_eq!(stage.azure.calls(&path), before + 1);
    }
}

#[test]
fn a_session_that_disappears_is_not_waited_for_any_longer() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says_in_turn("GET", &path, [ok(&running("abc")), ok(&running("abc")), absent()]);
    let answer = stage.get_with(&path, "Prefer", "wait=60");
    assert_eq!((answer.status, answer.error_code().as_str()), (404, "SessionNotFound"));
    assert_eq!(stage.azure.calls(&path), 3);
}

#[test]
fn azures_troubles_are_sat_out_by_who_waits() {
    let stage = Stage::set();
    let path = session("abc");
    let turns = [ok(&running("abc")), error(500, "No", &[]), ok(&succeeded("abc"))];
    stage.azure.says_in_turn("GET", &path, turns);
    heard_the_end(&stage.get_with(&path, "Prefer", "wait=60"), "wait=60");
    assert_eq!(stage.azure.calls(&path), 3);
}

#[test]
fn who_waits_hears_at_once_that_the_session_was_deleted() {
    // A question that is held must not end by itself.
    let stage = Stage::built(|builder| builder.upstream("timeout = \"10m\"\n"));
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let waiters = [stage.waiting(&path), stage.waiting(&path)];
    stage.until_metric(ASKING, 2);
    stage.azure.until_asked("GET", &path, stage.azure.calls(&path) + 2);
    // The next question on their behalf gets no answer, so that they cannot hear it from there.
    let before = stage.azure.calls(&path);
    let held = stage.azure.hold("GET");
    stage.azure.until_asked("GET", &path, before + 1);
    held.let_others_pass();
    stage.azure.says(&path, absent());
    assert_eq!(stage.delete(&path).status, 204);
    for waiter in waiters {
        let answer = waiter.join().unwrap();
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "SessionNotFound"));
    }
    held.release();
}

#[test]
fn who_is_waiting_when_the_gateway_stops_is_told_the_latest() {
    let mut stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let waiters = [stage.waiting(&path), stage.waiting(&path)];
    stage.until_metric(ASKING, 2);
    stage.azure.until_asked("GET", &path, 4);
    // A signal while both wait; they would wait for longer than the gateway has to stop.
    let ended = stage.gateway.terminate();
    for waiter in waiters {
        let answer = waiter.join().unwrap();
        assert_eq!((answer.status, answer.text()), (200, running("abc")));
    }
    let log = stage.gateway.process.stderr();
    assert_eq!(ended.code(), Some(0), "{log}");
    assert!(!log.contains("did not finish in time"), "{log}");
}

#[test]
fn a_wait_may_be_longer_than_a_connection_may_rest() {
    let stage = Stage::built(|builder| builder.more("[server]\nheader_timeout = \"1s\"\n"));
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let mut connection = Connection::open(stage.gateway.public);
    let waiting = Request::get(&path).key(TOKEN).header("Prefer", "wait=3");
    let answer = connection.send(&waiting);
    assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("wait=3")));
    let curl = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--http2-prior-knowledge", "-H", "Prefer: wait=3", "-H"])
        .arg(format!("Ocp-Apim-Subscription-Key: {TOKEN}"))
        .args(["-w", " %{http_version} %{response_code} %header{preference-applied}"])
        .arg(format!("http://{}{path}", stage.gateway.public))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&curl.stdout).into_owned();
    assert_eq!(told, format!("{} 2 200 wait=3", running("abc")), "{curl:?}");
}
