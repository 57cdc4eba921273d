//! A resource that does not answer is left alone, and asked again when it does.

use std::fs;
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
    stage_with(status, |builder| builder)
}

fn stage_with(
    status: u16,
    more: impl FnOnce(Builder) -> Builder,
) -> (Arc<AtomicBool>, Upstream, Gateway) {
    let dead = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dead);
    let upstream = Upstream::plain(move |_| match seen.load(Ordering::SeqCst) {
        true => Vec::new(),
        false => answer(status, &[], ENDED),
    });
    let builder = Builder::new(&upstream.url()).app("onboarding", TOKEN, &ALL_ROUTES).cache("");
    let gateway = more(builder).start();
    (dead, upstream, gateway)
}

/// Nobody is answered for so long that the resource is left alone.
fn break_it(dead: &AtomicBool, gateway: &Gateway) {
    dead.store(true, Ordering::SeqCst);
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("{SESSIONS}/{number}")).status, 503);
    }
    assert_eq!(state(gateway), "open");
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
    break_it(&dead, &gateway);
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

#[test]
fn a_probe_that_is_answered_ends_it_where_nobody_asks() {
    let (dead, _upstream, gateway) = stage_with(404, |builder| {
        let keys =
            "[upstreams.keys]\nprimary = { file = \"key-1\" }\nsecondary = { file = \"key-2\" }\n";
        builder
            .authority(keys)
            .file("key-1", "azure-key-one-0011223344")
            .file("key-2", "azure-key-two-5566778899")
            .upstream("probe = \"1s\"\n")
    });
    break_it(&dead, &gateway);
    dead.store(false, Ordering::SeqCst);
    assert!(wait::until(|| (state(&gateway) == "closed").then_some(())).is_some());
}

#[test]
fn a_resource_that_is_taken_away_is_told_of_no_more() {
    let (dead, _upstream, gateway) = stage(200);
    break_it(&dead, &gateway);
    let path = gateway.scratch.path("livegate.toml");
    let config = fs::read_to_string(&path).unwrap();
    let name = config.split("[[upstreams]]\nname = \"").nth(1).unwrap().split('"').next().unwrap();
    let stood = |gateway: &Gateway, name: &str| {
        let metrics = Request::get("/metrics").send(gateway.admin).text();
        let of = format!("upstream=\"{name}\"");
        let how = ["_circuit_state{", "_backoff_until_timestamp_seconds{", "_quota_tokens{"];
        let lines = metrics.lines().filter(|line| how.iter().any(|how| line.contains(how)));
        lines.filter(|line| line.contains(&of)).count()
    };
    assert!(stood(&gateway, name) >= 4);
    fs::write(&path, config.replace(&format!("\"{name}\""), "\"another\"")).unwrap();
    assert_eq!(Request::new("POST", "/reload").send(gateway.admin).status, 200);
    assert_eq!(stood(&gateway, name), 0);
    assert!(stood(&gateway, "another") >= 4);
}
