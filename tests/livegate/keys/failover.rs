//! A key that Azure refuses is followed by the other one, inside the same request.

use super::face::{Face, credential, refusals};
use super::stage::{AUDIT, IMAGE, LIST, SESSION, SESSIONS, Stage, fingerprint};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::Recorded;

const ABSENT: &str = "/face/v1.2/detectLiveness-sessions/absent";

/// A request of every route without a body, and what Azure says to it.
fn routes() -> [(Request, u16); 7] {
    [
        (Request::get(SESSION), 200),
        (Request::get(ABSENT), 404),
        (Request::get(&format!("{AUDIT}?start=7&top=5")), 200),
        (Request::get(&format!("{LIST}?start=abc&top=2")), 200),
        (Request::get(IMAGE), 200),
        (Request::new("DELETE", SESSION), 204),
        (Request::new("HEAD", LIST), 200),
    ]
}

/// Everything of a request but its key.
fn rest(request: &Recorded) -> (String, String, Vec<(String, String)>, Vec<u8>) {
    let mut headers = request.headers.0.clone();
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("ocp-apim-subscription-key"));
    (request.method.clone(), request.target.clone(), headers, request.body.clone())
}

/// Asserts that it was sent with the one key, and again with the other, and was otherwise the same.
#[track_caller]
fn sent_twice(face: &Face, first: &str, second: &str, what: &str) {
    let arrived = face.arrived();
    let shown: Vec<_> = arrived.iter().map(credential).collect();
    assert_eq!(shown, [first, second], "{what}");
    assert_eq!(rest(&arrived[0]), rest(&arrived[1]), "{what}");
}

#[test]
fn a_key_that_is_refused_is_followed_by_the_other_one() {
    let (face, stage) = Stage::set();
    let (mut serving, mut spare) = (AZURE_KEY, SECOND_KEY);
    for (name, refusal) in refusals() {
        face.refuses_with(refusal);
        // HEAD cannot be read from an open connection here, and has a test of its own.
        for (request, status) in routes().into_iter().filter(|(r, _)| r.method() != "HEAD") {
            let what = format!("{name}: {request:?}");
            face.accepts(&[spare]);
            let answer = stage.send(request.clone());
            assert_eq!(answer.status, status, "{what}: {}", answer.text());
            assert_eq!(answer.header("proxy-status"), None, "{what}");
            sent_twice(&face, serving, spare, &what);
            std::mem::swap(&mut serving, &mut spare);
            // The winner stays.
            let again = stage.send(request);
            assert_eq!((again.status, &again.body), (status, &answer.body), "{what}");
            assert_eq!(face.shown(), [serving], "{what}");
        }
    }
}

#[test]
fn a_head_is_sent_again_too() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let head = format!(
        "HEAD {ABSENT} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = std::net::TcpStream::connect(stage.gateway.public).unwrap();
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut stream, &mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 404 ") && told.ends_with("\r\n\r\n"), "{told}");
    sent_twice(&face, AZURE_KEY, SECOND_KEY, "HEAD");
}

#[test]
fn what_an_app_sends_is_sent_again_with_it() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let request = Request::get(AUDIT)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-ms-client-request-id", "the-apps-own")
        .header("Accept-Language", "de")
        .header("User-Agent", "the-app/1.0");
    assert_eq!(stage.send(request).status, 200);
    let arrived = face.arrived();
    assert_eq!(arrived.len(), 2);
    for request in &arrived {
        assert_eq!(request.headers.get("x-ms-client-request-id"), Some("the-apps-own"));
        assert_eq!(request.headers.get("accept-language"), Some("de"));
        assert_eq!(request.headers.get("user-agent"), Some("the-app/1.0"));
        assert!(!format!("{request:?}").contains(TOKEN));
    }
    assert_eq!(rest(&arrived[0]), rest(&arrived[1]));
}

#[test]
fn the_winner_is_told_and_the_loser_is_not_asked_again() {
    let (face, stage) = Stage::set();
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(stage.serving(), "primary");
    face.accepts(&[SECOND_KEY]);
    for _ in 0..20 {
        assert_eq!(stage.get(LIST).status, 200);
        assert_eq!(stage.serving(), "secondary");
    }
    let mut expected = vec![AZURE_KEY, AZURE_KEY];
    expected.extend([SECOND_KEY; 20]);
    assert_eq!(face.shown(), expected);
    let (primary, secondary) = (stage.slot("primary"), stage.slot("secondary"));
    assert!(primary["lastAcceptedAt"].is_string() && primary["lastRefusedAt"].is_string());
    assert!(secondary["lastAcceptedAt"].is_string() && secondary["lastRefusedAt"].is_null());
    assert_eq!((&primary["requests"], &secondary["requests"]), (&2.into(), &20.into()));
    assert_eq!(primary["fingerprint"], fingerprint(AZURE_KEY));
    assert_eq!(secondary["fingerprint"], fingerprint(SECOND_KEY));
}

/// Even where Azure changes its mind while requests are on their way, none of them fails.
#[test]
fn many_requests_at_once_all_go_over() {
    let (face, stage) = Stage::set();
    for (good, serving) in [(SECOND_KEY, "secondary"), (AZURE_KEY, "primary")] {
        let held = face.hold(LIST);
        let before = face.recorded().len();
        let asking: Vec<_> = (0..16).map(|_| stage.sending(Request::get(LIST))).collect();
        face.until_asked(before + 16);
        face.accepts(&[good]);
        held.release();
        for asker in asking {
            let answer = asker.join().unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
        }
        assert_eq!(stage.serving(), serving);
        // A go over is one, however many requests found that it was needed.
        let shown = face.shown();
        let won = shown.iter().filter(|key| *key == good).count();
        assert_eq!((shown.len(), won), (32, 16), "{shown:?}");
    }
    assert_eq!(stage.count("livegate_key_failovers_total", &[("reason", "401")]), 2);
}

#[test]
fn two_upstreams_do_not_go_over_together() {
    let (face, other) = (Face::start(), Face::start());
    let tables = format!(
        "[[upstreams]]\nname = \"other\"\nendpoint = \"{}\"\ntier = \"unlimited\"\nprobe = \"0s\"\n\
         [upstreams.keys]\nprimary = {{ file = \"key-1\" }}\nsecondary = {{ file = \"key-2\" }}\n\
         [[apps]]\nname = \"second\"\ntoken_sha256 = [\"{}\"]\nupstream = \"other\"\n\
         routes = [\"list\"]\n",
        other.url(),
        crate::reload::hash("app-token-second-0123456789")
    );
    let builder = super::stage::builder(&face.url()).upstream(super::stage::NO_PROBES);
    let stage = Stage::of(builder.more(&tables));
    let second = |target: &str| {
        let request = Request::get(target).key("app-token-second-0123456789");
        request.send(stage.gateway.public)
    };
    face.accepts(&[SECOND_KEY]);
    assert_eq!((stage.get(LIST).status, second(LIST).status), (200, 200));
    assert_eq!((stage.get(LIST).status, second(LIST).status), (200, 200));
    assert_eq!(face.shown(), [AZURE_KEY, SECOND_KEY, SECOND_KEY]);
    assert_eq!(other.shown(), [AZURE_KEY, AZURE_KEY]);
}

/// A memory that shares answers tells all who waited what the second key brought.
#[test]
fn who_shares_a_question_shares_what_the_other_key_brings() {
    let face = Face::start();
    let builder = super::stage::builder(&face.url()).upstream(super::stage::NO_PROBES);
    let builder = builder.cache("running_ttl = \"0s\"\n").more("[server]\nworkers = 1\n");
    let stage = Stage::of(builder);
    let held = face.hold(SESSION);
    let asking: Vec<_> = (0..8).map(|_| stage.sending(Request::get(SESSION))).collect();
    let flight = [("route", "session")];
    stage.until_count("livegate_http_requests_in_flight", &flight, 8);
    face.accepts(&[SECOND_KEY]);
    held.release();
    for asker in asking {
        assert_eq!(asker.join().unwrap().status, 200);
    }
    assert_eq!(face.shown(), [AZURE_KEY, SECOND_KEY]);
    let create = Request::new("POST", SESSIONS).json(&serde_json::json!({}));
    assert_eq!(stage.send(create).status, 200);
    assert_eq!(face.shown(), [SECOND_KEY]);
}
