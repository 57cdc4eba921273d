//! Which answers have a verdict, which have none, and that nothing of it passes from one side to the other.

use std::io::Write as _;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::stage::{
    CLAIM, ENFORCE, EXPECTED, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, claim, decision, ga,
    modes, modes_with, only, picture, refused, say, sum, twice, verdict,
};
use crate::memory::azure::{absent, error, ok};
use crate::memory::stage::{ASKING, preview, session};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;
use crate::support::upstream;

#[test]
fn what_is_between_the_app_and_the_gateway_never_reaches_azure() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    let list = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions".to_owned();
    let audit = format!("{}/audit", preview("abc"));
    stage.azure.says(&audit, ok("[]"));
    stage.azure.says(&list, ok("[]"));
    for target in [&path, &audit, &list] {
        let request = Request::get(target).key(TOKEN).header(CLAIM, SECOND);
        let request = request.header("Cache-Control", "no-cache").header(EXPECTED, FIRST);
        assert_eq!(request.send(stage.gateway.public).status, 200, "{target}");
    }
    for method in ["POST", "DELETE"] {
        let target = if method == "POST" { "/face/v1.2/detectLiveness-sessions" } else { &path };
        let request = Request::new(method, target).key(TOKEN).header(CLAIM, SECOND);
        let request =
            if method == "POST" { request.body("application/json", "{}") } else { request };
        request.header(EXPECTED, FIRST).send(stage.gateway.public);
    }
    let recorded = stage.azure.upstream.recorded();
    assert_eq!(recorded.len(), 5);
    for request in recorded {
        let heard = format!("{request:?}").to_lowercase();
        for ours in ["liveness-client", "liveness-expected", &SECOND.to_lowercase()] {
            assert!(!heard.contains(ours), "{heard}");
        }
    }
}

#[test]
fn errors_of_azures_have_no_verdict() {
    let stage = modes();
    let path = session("abc");
    for (answer, status) in [
        (absent(), 404),
        (error(429, "TooManyRequests", &[]), 429),
        (error(500, "InternalServerError", &[]), 500),
        (Vec::new(), 503),
    ] {
        stage.azure.says(&path, answer);
        for token in [TOKEN, ENFORCE, REQUIRE] {
            for digest in [Some(SECOND), Some("malformed"), None] {
                let answer = ask_as(&stage, token, &path, digest);
                assert_eq!(answer.status, status, "{answer:?}");
                assert_eq!((verdict(&answer), picture(&answer)), (None, None), "{answer:?}");
                assert_eq!(only(&answer, "liveness-decision"), None);
            }
        }
    }
}

#[test]
fn audit_lists_are_never_refused() {
    let stage = modes();
    let audit = format!("{}/audit", preview("abc"));
    let entries = format!("[{{\"id\":1,\"digest\":\"{FIRST}\"}}]");
    stage.azure.says(&audit, ok(&entries));
    for token in [TOKEN, OFF, ENFORCE, REQUIRE] {
        for digest in [Some(STRANGE), Some("malformed"), None] {
            let answer = ask_as(&stage, token, &audit, digest);
            let whole = entries.strip_suffix("}]").unwrap();
            assert!(answer.status == 200 && answer.text().starts_with(whole), "{digest:?}");
            assert_eq!((verdict(&answer), only(&answer, "liveness-decision")), (None, None));
        }
    }
}

#[test]
fn no_verdict_comes_from_elsewhere() {
    let stage = modes();
    let (path, gone) = (session("abc"), session("gone"));
    let planted = [
        ("Content-Type", "application/json"),
        ("Liveness-Digest", "match;attempt=9"),
        ("Liveness-Decision", "realface;attempt=9;attempts=9"),
        ("Liveness-Verify-Image", "match"),
    ];
    let content = ga("Running", &[]).to_string();
    stage.azure.says(&path, upstream::answer(200, &planted, content.as_bytes()));
    stage.azure.says(&gone, upstream::answer(404, &planted, b"{}"));
    let answer = ask_as(&stage, OFF, &path, Some(SECOND));
    assert_eq!((verdict(&answer), picture(&answer), decision(&answer)), (None, None, "pending"));
    let answer = claim(&stage, &path, SECOND);
    assert_eq!((verdict(&answer), picture(&answer)), (Some("pending"), None));
    let answer = claim(&stage, &gone, SECOND);
    assert_eq!((answer.status, verdict(&answer)), (404, None));
}

#[test]
fn who_waits_hears_the_verdict_at_the_end() {
    let stage = modes();
    for (id, token, digest, said) in [
        ("a", TOKEN, SECOND, Some("match;attempt=2")),
        ("b", TOKEN, STRANGE, Some("mismatch")),
        ("c", OFF, STRANGE, None),
        ("d", ENFORCE, SECOND, Some("match;attempt=2")),
    ] {
        let path = session(id);
        let running = ok(&ga("Running", &[]).to_string());
        stage.azure.says_in_turn("GET", &path, [running, ok(&twice().to_string())]);
        let request = Request::get(&path).key(token).header(CLAIM, digest);
        let answer = request.header("Prefer", "wait=60").send(stage.gateway.public);
        assert_eq!(answer.header("preference-applied"), Some("wait=60"), "{answer:?}");
        assert_eq!(verdict(&answer), said, "{answer:?}");
        assert_eq!(decision(&answer), "realface;attempt=2;attempts=2");
        assert_eq!(stage.azure.calls(&path), 2);
    }
}

#[test]
fn two_who_wait_together_hear_a_verdict_each() {
    let stage = modes();
    let path = session("abc");
    let running = ok(&ga("Running", &[]).to_string());
    stage.azure.says(&path, running);
    let asking = |token: &'static str, digest: &'static str| {
        let (public, path) = (stage.gateway.public, path.clone());
        thread::spawn(move || {
            let request = Request::get(&path).key(token).header(CLAIM, digest);
            request.header("Prefer", "wait=60").send(public)
        })
    };
    let askers = [asking(ENFORCE, STRANGE), asking(REQUIRE, SECOND), asking(TOKEN, FIRST)];
    stage.until_metric(ASKING, 3);
    say(&stage, &path, &twice());
    let [wrong, right, other] = askers.map(|asker| asker.join().unwrap());
    refused(&wrong, "mismatch");
    assert_eq!(
        (decision(&right), verdict(&right)),
        ("realface;attempt=2;attempts=2", Some("match;attempt=2"))
    );
    assert_eq!(verdict(&other), Some("other-attempt;attempt=1"));
}

/// No way by which an answer comes goes around a refusal.
#[test]
fn however_an_answer_comes_it_has_a_verdict() {
    let fields = [("Content-Type", "application/json")];
    let content = twice().to_string();
    let large = format!("{content}{}", " ".repeat(300 << 10));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content.as_bytes()).unwrap();
    let packed = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    let chunks = format!("{:x}\r\n{content}\r\n0\r\n\r\n", content.len());
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    let answers = [
        upstream::answer(200, &fields, large.as_bytes()),
        upstream::answer(200, &packed, &gzip.finish().unwrap()),
        upstream::answer(200, &[("Content-Type", "text/plain")], content.as_bytes()),
        upstream::answer(200, &[], content.as_bytes()),
        upstream::answer(200, &[("Cache-Control", "no-store")], content.as_bytes()),
        chunked.into_bytes(),
    ];
    for cache in ["running_ttl = \"0s\"\n", "max_bytes = \"0B\"\nrunning_ttl = \"0s\"\n"] {
        let stage = modes_with(cache);
        for (index, answer) in answers.iter().enumerate() {
            let path = session(&format!("s-{index}"));
            stage.azure.says(&path, answer.clone());
            for more in [None, Some("no-store"), Some("no-cache")] {
                let ask = |token: &str, digest: &str| {
                    let request = Request::get(&path).key(token).header(CLAIM, digest);
                    let request = match more {
                        Some(wish) => request.header("Cache-Control", wish),
                        None => request,
                    };
                    request.send(stage.gateway.public)
                };
                refused(&ask(ENFORCE, STRANGE), "mismatch");
                let right = ask(ENFORCE, SECOND);
                assert_eq!(decision(&right), "realface;attempt=2;attempts=2", "{index}");
                assert_eq!(verdict(&right), Some("match;attempt=2"), "{index}");
                refused(&ask(REQUIRE, FIRST), "other-attempt;attempt=1");
            }
        }
        assert_eq!(sum(&stage, "livegate_liveness_attempts_total", &[]), 12.0);
    }
}
