//! Each request is counted once, and its time is told apart, whoever waits for whom and whoever leaves.

use tokio::time::Instant;

use crate::memory::azure::{ok, running, succeeded};
use crate::memory::stage::{ASKING, COLLAPSED, ONE_WORKER, STORED, Stage, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Connection, Request};

fn stage() -> Stage {
    Stage::built(|builder| builder.more(ONE_WORKER))
}

/// The sum of a family of histograms' seconds, over all series with this label.
fn seconds(stage: &Stage, name: &str, label: &str) -> f64 {
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    let sum = format!("livegate_{name}_sum{{");
    let series = metrics.lines().filter(|line| line.starts_with(&sum) && line.contains(label));
    series.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Seconds that requests took in all, and of that, without what they waited for.
fn times(stage: &Stage, cache: &str) -> (f64, f64) {
    let of = |name| seconds(stage, name, &format!("cache=\"{cache}"));
    (of("http_request_duration_seconds"), of("http_gateway_duration_seconds"))
}

/// One that asks, another that joins it, and how long Azure kept both waiting.
fn shared(stage: &Stage, path: &str) -> (Answer, Answer, f64) {
    let held = stage.azure.hold("GET");
    let first = stage.sending(Request::get(path));
    stage.azure.until_asked("GET", path, 1);
    let second = stage.sending(Request::get(path));
    stage.until_metric(ASKING, 2);
    let since = Instant::now();
    // As long as it takes to ask for the metrics a few times.
    for _ in 0..5 {
        stage.metric(ASKING);
    }
    let waited = since.elapsed().as_secs_f64();
    held.release();
    (first.join().unwrap(), second.join().unwrap(), waited)
}

#[test]
fn what_azure_and_another_request_take_is_not_the_gateways_time() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (first, second, waited) = shared(&stage, &path);
    told(&first, 200, STORED);
    told(&second, 200, COLLAPSED);
    for cache in ["miss", "collapsed"] {
        let (all, own) = times(&stage, cache);
        assert!(own > 0.0 && all - own >= waited, "{cache}: {all} {own} {waited}");
    }
    assert_eq!(
        stage.metric(
            "livegate_upstream_requests_total{code=\"200\",route=\"session\",upstream=\"emulated\"}"
        ),
        1
    );
    // What comes from memory waits for nobody.
    assert_eq!(stage.get(&path).status, 200);
    let (all, own) = times(&stage, "hit");
    assert!(own > 0.0 && (all - own).abs() < 1e-9, "{all} {own}");
}

#[test]
fn who_waits_for_a_sessions_end_takes_no_time_of_the_gateways() {
    let stage = Stage::with_one_worker("running_ttl = \"0s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let since = Instant::now();
    let waiting = stage.waiting(&path);
    stage.azure.until_asked("GET", &path, 1);
    let begun = Instant::now();
    stage.azure.until_asked("GET", &path, 2);
    let waited = begun.elapsed().as_secs_f64();
    stage.azure.says(&path, ok(&succeeded("abc")));
    assert_eq!(waiting.join().unwrap().status, 200);
    let (all, own) = times(&stage, "");
    assert!(all <= since.elapsed().as_secs_f64() && all - own >= waited, "{all} {own} {waited}");
    // The poller's questions are the gateway's own: the app has asked once.
    assert_eq!(stage.metric("livegate_liveness_session_polls_sum{operation=\"liveness\"}"), 1);
}

#[test]
fn who_leaves_early_is_counted_once_and_so_is_the_question_that_goes_on() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let mut connection = Connection::open(stage.gateway.public);
    let get =
        format!("GET {path} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n");
    connection.write(get.as_bytes()).unwrap();
    stage.azure.until_asked("GET", &path, 1);
    drop(connection);
    stage.until_metric(ASKING, 0);
    let requests = |code: &str| {
        stage.metric(&format!(
            "livegate_http_requests_total{{code=\"{code}\",method=\"GET\",route=\"session\"}}"
        ))
    };
    assert_eq!((requests("other"), requests("200")), (1, 0));
    // What it was answered with nobody knows.
    assert!(seconds(&stage, "http_gateway_duration_seconds", "session") <= 0.0);
    let tries = "livegate_upstream_requests_in_flight{upstream=\"emulated\"}";
    assert_eq!(stage.metric(tries), 1);
    held.release();
    stage.until_metric(tries, 0);
    stage.until_metric("livegate_cache_stores_total{result=\"stored\"}", 1);
    assert_eq!(
        stage.metric(
            "livegate_liveness_sessions_total{operation=\"liveness\",status=\"succeeded\"}"
        ),
        1
    );
}

#[test]
fn who_waits_too_long_is_answered_and_counted_once() {
    let stage = Stage::built(|builder| builder.more(ONE_WORKER).upstream("timeout = \"300ms\"\n"));
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    assert_eq!(stage.get(&path).status, 504);
    held.release();
    let count = |name: &str| stage.metric(name);
    assert_eq!(
        count("livegate_http_requests_total{code=\"504\",method=\"GET\",route=\"session\"}"),
        1
    );
    assert_eq!(
        count("livegate_upstream_errors_total{kind=\"timeout_total\",upstream=\"emulated\"}"),
        1
    );
    stage.until_metric("livegate_upstream_requests_in_flight{upstream=\"emulated\"}", 0);
    let (all, own) = times(&stage, "none");
    assert!(all - own >= 0.3, "{all} {own}");
}

#[test]
fn a_session_is_polled_until_its_end() {
    let stage = stage();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    for _ in 0..3 {
        assert_eq!(stage.get(&path).status, 200);
    }
    stage.azure.says(&path, ok(&succeeded("abc")));
    for _ in 0..3 {
        assert_eq!(stage.get(&path).status, 200);
    }
    let told = |name: &str| {
        stage.metric(&format!("livegate_liveness_session_{name}{{operation=\"liveness\"}}"))
    };
    assert_eq!((told("polls_count"), told("polls_sum")), (1, 4));
    assert_eq!(told("observed_duration_seconds_count"), 1);
}

#[test]
fn azures_own_errors_are_told_by_their_codes() {
    let stage = stage();
    for (id, status, head, body, code) in [
        ("a", 404, "x-ms-error-code: SessionNotFound\r\n", "", "SessionNotFound"),
        (
            "b",
            429,
            "",
            r#"{"error":{"statusCode":429,"message":"Rate limit is exceeded."}}"#,
            "429",
        ),
        (
            "c",
            403,
            "",
            r#"{"error":{"code":"UnsupportedFeature","message":"m"}}"#,
            "UnsupportedFeature",
        ),
        ("d", 500, "x-ms-error-code: Invented\r\n", "", "other"),
    ] {
        let path = session(id);
        let answer = format!(
            "HTTP/1.1 {status} Whatever\r\n{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stage.azure.says(&path, answer.into_bytes());
        assert_eq!(stage.get(&path).status, status);
        let name = format!(
            "livegate_upstream_service_errors_total{{error_code=\"{code}\",upstream=\"emulated\"}}"
        );
        assert_eq!(stage.metric(&name), 1, "{id}");
    }
    let throttled = "livegate_upstream_throttled_total{source=\"azure_429\",upstream=\"emulated\"}";
    assert_eq!(stage.metric(throttled), 1);
}
