//! A resource that does not answer is left alone, and asked again when it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::{Upstream, answer};
use crate::support::wait;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const ENDED: &[u8] = br#"{"sessionId":"kept","status":"Succeeded","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface"}}]}}"#;

/// Answers or, where it is dead, breaks every connection.
fn stage(status: u16) -> (Arc<AtomicBool>, Upstream, Gateway) {
    let dead = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dead);
    let upstream = Upstream::plain(move |_| match seen.load(Ordering::SeqCst) {
        true => Vec::new(),
        false => answer(status, &[], ENDED),
    });
    let gateway =
        Builder::new(&upstream.url()).app("onboarding", TOKEN, &ALL_ROUTES).cache("").start();
    (dead, upstream, gateway)
}

fn state(gateway: &Gateway) -> String {
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let name = "livegate_upstream_circuit_state{state=\"";
    let now = metrics.lines().find(|line| line.starts_with(name) && line.ends_with(" 1"));
    now.unwrap().strip_prefix(name).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn who_brings_no_answer_is_left_alone_until_it_does() {
    let (dead, upstream, gateway) = stage(200);
    assert_eq!(gateway.get(&format!("{SESSIONS}/kept")).status, 200);
    assert_eq!(state(&gateway), "closed");
    dead.store(true, Ordering::SeqCst);
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("{SESSIONS}/{number}")).status, 503);
    }
    assert_eq!(state(&gateway), "open");
    let asked = upstream.recorded().len();
    for _ in 0..5 {
        let refused = gateway.get(&format!("{SESSIONS}/other"));
        assert_eq!((refused.status, refused.error_code().as_str()), (503, "UpstreamUnavailable"));
        assert!(refused.text().contains("has not answered for a while"), "{}", refused.text());
        assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
        assert_eq!(refused.header("proxy-status"), Some("livegate; error=destination_unavailable"));
    }
    // One may have tried meanwhile, with its second try.
    assert!(upstream.recorded().len() <= asked + 2);
    let kept = gateway.get(&format!("{SESSIONS}/kept"));
    assert!(kept.status == 200 && kept.header("cache-status").unwrap().contains("hit"));
    let status = Request::get("/status").send(gateway.admin).json();
    let told = &status["upstreams"][0];
    assert!(told["circuit"] != "closed" && told["inTrouble"] == true, "{told}");
    dead.store(false, Ordering::SeqCst);
    let again = || (gateway.get(&format!("{SESSIONS}/other")).status == 200).then_some(());
    assert!(wait::until(again).is_some(), "it is never asked again");
    assert_eq!(state(&gateway), "closed");
    for number in 0..5 {
        assert_eq!(gateway.get(&format!("{SESSIONS}/{number}")).status, 200);
    }
}

#[test]
fn who_answers_with_errors_is_asked_on() {
    let (_dead, upstream, gateway) = stage(503);
    for number in 0..50 {
        assert_eq!(gateway.get(&format!("{SESSIONS}/{number}")).status, 503);
    }
    assert_eq!((upstream.recorded().len(), state(&gateway).as_str()), (50, "closed"));
}
