//! A resource that asks to be left alone is, in whatever way it says so, and apps are told.

use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request};
use crate::support::upstream::{Upstream, answer};
use crate::support::wait;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";
const FINAL: &[u8] = br#"{"sessionId":"kept","status":"Succeeded","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface"}}]}}"#;

/// An upstream that throttles who asks for `abc`, in this way, and serves all others.
fn stage(
    status: u16,
    fields: &[(&'static str, &'static str)],
    body: &'static str,
) -> (Upstream, Gateway) {
    let fields = fields.to_vec();
    let upstream = Upstream::plain(move |request| {
        if request.target.ends_with("/abc") {
            answer(status, &fields, body.as_bytes())
        } else {
            answer(200, &[], FINAL)
        }
    });
    let gateway = Builder::new(&upstream.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("running_ttl = \"0s\"\n")
        .start();
    (upstream, gateway)
}

fn ask(gateway: &Gateway, method: &str, id: &str) -> Answer {
    let target = format!("/face/v1.2/detectLiveness-sessions/{id}");
    Request::new(method, &target).key(TOKEN).send(gateway.public)
}

/// A date that lies so many seconds after Azure's own.
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:50:03 GMT";
const OBSOLETE: &str = "Sunday, 06-Nov-94 08:50:03 GMT";
const WORDS: &str =
    r#"{"error":{"statusCode":429,"message":"Rate limit is exceeded. Try again in 26 seconds."}}"#;

#[test]
fn a_rest_is_asked_for_in_seconds_by_date_and_in_words() {
    for (status, fields, body) in [
        (429, vec![("Retry-After", "26")], ""),
        (429, vec![("Retry-After", "26")], "Try again in 99 seconds."),
        (429, vec![("Retry-After", LATER), ("Date", DATE)], ""),
        (429, vec![("Retry-After", OBSOLETE), ("Date", DATE)], ""),
        (429, vec![], WORDS),
        (503, vec![("Retry-After", "26")], ""),
    ] {
        let (upstream, gateway) = stage(status, &fields, body);
        assert_eq!(gateway.get("/face/v1.2/detectLiveness-sessions/kept").status, 200);
        let told = gateway.get(SESSION);
        let said = fields.first().map_or("26", |(_, value)| *value);
        assert_eq!((told.status, told.header("retry-after")), (status, Some(said)), "{told:?}");
        assert_eq!((told.text().as_str(), told.header("proxy-status")), (body, None));
        let calls = upstream.recorded().len();
        for (method, id) in [("GET", "abc"), ("GET", "other"), ("DELETE", "other")] {
            let held = ask(&gateway, method, id);
            assert_eq!((held.status, held.error_code().as_str()), (429, "TooManyRequests"));
            let seconds: u32 = held.header("retry-after").unwrap().parse().unwrap();
            assert!((20..=26).contains(&seconds), "{seconds}");
            assert_eq!(held.header("proxy-status"), Some("livegate; error=http_request_denied"));
            assert!(held.text().contains("asked to be left alone"), "{}", held.text());
        }
        // What is kept is told all the same.
        assert_eq!(gateway.get("/face/v1.2/detectLiveness-sessions/kept").status, 200);
        assert_eq!(upstream.recorded().len(), calls, "it was asked");
        let metrics = Request::get("/metrics").send(gateway.admin).text();
        let held =
            "livegate_upstream_throttled_total{source=\"backoff\",upstream=\"emulated\"} 3\n";
        assert!(metrics.contains(held), "{metrics}");
    }
}

#[test]
fn a_429_always_tells_when_to_come_back_and_nothing_else_does() {
    for (status, fields, body, told) in [
        (429, vec![], "", Some("1")),
        (429, vec![], "{\"error\":{\"code\":\"429\",\"message\":\"Slow down.\"}}", Some("1")),
        (429, vec![("Retry-After", "soon")], "", Some("1")),
        (429, vec![("Retry-After", "0")], "", Some("0")),
        (429, vec![("Retry-After", DATE)], "", Some(DATE)),
        (404, vec![("Retry-After", "26")], "", Some("26")),
        (403, vec![], "Try again in 26 seconds.", None),
        (503, vec![], "Try again in 26 seconds.", None),
    ] {
        let (upstream, gateway) = stage(status, &fields, body);
        for _ in 0..2 {
            let answer = gateway.get(SESSION);
            assert_eq!((answer.status, answer.header("retry-after")), (status, told), "{answer:?}");
            assert_eq!(answer.text(), body);
        }
        // None of these asks for rest.
        assert_eq!(upstream.recorded().len(), 2, "{status} {fields:?}");
    }
}

#[test]
fn a_rest_has_an_end() {
    let (upstream, gateway) = stage(429, &[("Retry-After", "1")], "");
    assert_eq!(gateway.get(SESSION).status, 429);
    assert_eq!(ask(&gateway, "GET", "other").status, 429);
    assert_eq!(upstream.recorded().len(), 1);
    // Who waits for a session waits for that too.
    let other = "/face/v1.2/detectLiveness-sessions/other";
    let held = Request::get(other).key(TOKEN).header("Prefer", "wait=30").send(gateway.public);
    assert_eq!(held.status, 200);
    let again = || (ask(&gateway, "DELETE", "other").status == 200).then_some(());
    assert!(wait::until(again).is_some());
}

#[test]
fn a_rest_is_seen_by_people_and_monitors() {
    let (_upstream, gateway) = stage(429, &[("Retry-After", "60")], "");
    assert_eq!(gateway.get(SESSION).status, 429);
    let status = Request::get("/status").send(gateway.admin).json();
    assert!(status["upstreams"][0]["backoffUntil"].is_string(), "{status}");
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let name = "livegate_upstream_backoff_until_timestamp_seconds{upstream=\"emulated\"} ";
    let until = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!(until.parse::<f64>().unwrap() > 1e9, "{until}");
}
