//! What is no refusal of a key is the app's: byte for byte, and sent once.

use serde_json::{Value, json};

use super::face::JSON;
use super::stage::{AUDIT, IMAGE, LIST, SESSION, SESSIONS, Stage};
use crate::support::gateway::AZURE_KEY;
use crate::support::http::Request;
use crate::support::upstream;

fn routes() -> [Request; 6] {
    [
        Request::get(SESSION),
        Request::get(AUDIT),
        Request::get(LIST),
        Request::get(IMAGE),
        Request::new("DELETE", SESSION),
        Request::new("POST", SESSIONS).json(&json!({"livenessOperationMode": "Passive"})),
    ]
}

type Case = (u16, Vec<(&'static str, &'static str)>, Vec<u8>);

/// Azure's own answers that are not about the key.
fn published() -> Vec<Case> {
    let quota = include_bytes!("../../data/errors/403-quota-no-code.json").to_vec();
    let approval = include_bytes!("../../data/errors/403-unsupported-feature.json").to_vec();
    let denied = include_bytes!("../../data/errors/403-vnet.json").to_vec();
    let throttled = include_bytes!("../../data/errors/429-apim.json").to_vec();
    let counted = include_bytes!("../../data/errors/429-no-code.json").to_vec();
    let absent = include_bytes!("../../data/errors/404-session-not-found.json").to_vec();
    let failed = include_bytes!("../../data/errors/500-unspecified.json").to_vec();
    vec![
        (429, vec![JSON], throttled.clone()),
        (429, vec![JSON, ("Retry-After", "26")], throttled),
        (429, vec![JSON, ("Retry-After", "1")], counted),
        (403, vec![JSON], quota),
        (403, vec![JSON, ("x-ms-error-code", "UnsupportedFeature")], approval),
        (403, vec![JSON, ("policy-id", "ThrowExceptionDueToTrafficDenied")], denied),
        (404, vec![JSON, ("x-ms-error-code", "SessionNotFound")], absent),
        (500, vec![JSON, ("x-ms-error-code", "Unspecified")], failed),
        (503, vec![JSON, ("Retry-After", "5")], b"{\"error\":{}}".to_vec()),
        (503, vec![("Content-Type", "text/plain")], b"busy".to_vec()),
    ]
}

/// Answers that come near to a refusal.
fn similar() -> Vec<Case> {
    const CODE: (&str, &str) = ("x-ms-error-code", "AuthenticationTypeDisabled");
    let named = |code: &str, message: &str| {
        json!({"error": {"code": code, "message": message}}).to_string().into_bytes()
    };
    let disabled = named("AuthenticationTypeDisabled", "No.");
    let long = json!({"error": {"code": "403", "message": "x".repeat(300 << 10)}});
    let deep = json!({"error": {"inner": {"code": "AuthenticationTypeDisabled"}}});
    vec![
        (400, vec![JSON, CODE], disabled.clone()),
        (404, vec![JSON, CODE], disabled.clone()),
        (429, vec![JSON, CODE], disabled.clone()),
        (500, vec![JSON, CODE], disabled),
        (403, vec![JSON], named("403", "AuthenticationTypeDisabled")),
        (403, vec![JSON], named("401", "Access denied due to invalid subscription key.")),
        (403, vec![JSON], deep.to_string().into_bytes()),
        (403, vec![JSON], long.to_string().into_bytes()),
        (403, vec![JSON], b"{\"error\":{\"code\":\"AuthenticationTypeDis".to_vec()),
        (403, vec![("Content-Type", "text/html")], b"<p>AuthenticationTypeDisabled</p>".to_vec()),
        (403, vec![], Vec::new()),
        (407, vec![JSON], named("407", "No.")),
    ]
}

/// Each through a gateway of its own, since some ask for rest.
#[track_caller]
fn passes((status, headers, body): &Case) {
    for request in routes() {
        let (face, stage) = Stage::set();
        face.always_says(Some(upstream::answer(*status, headers, body)));
        let what = format!("{status} {headers:?} to {request:?}");
        let answer = stage.send(request);
        assert_eq!(answer.status, *status, "{what}: {}", answer.text());
        assert!(answer.body == *body, "{what}: {}", answer.text());
        for (name, value) in headers {
            assert_eq!(answer.headers.all(name).collect::<Vec<_>>(), [*value], "{what}");
        }
        for absent in ["retry-after", "x-ms-error-code", "proxy-status"] {
            let said = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(absent));
            let added = absent == "retry-after" && *status == 429;
            assert_eq!(answer.header(absent).is_some(), said || added, "{what}: {absent}");
        }
        assert_eq!(face.shown(), [AZURE_KEY], "{what}");
        assert_eq!(stage.serving(), "primary");
        assert_eq!(stage.count("livegate_key_failovers_total", &[]), 0);
        assert_eq!(stage.slot("primary")["lastRefusedAt"], Value::Null);
    }
}

#[test]
fn what_is_not_about_the_key_passes_and_is_sent_once() {
    published().iter().for_each(passes);
}

#[test]
fn what_only_looks_like_a_refusal_passes_and_is_sent_once() {
    similar().iter().for_each(passes);
}

/// The other key's answer is the app's, whatever it is, unless it refuses too.
#[test]
fn what_the_other_key_brings_passes_whatever_it_is() {
    for (status, headers, body) in published() {
        let (face, stage) = Stage::set();
        face.accepts(&[crate::support::emulator::SECOND_KEY]);
        face.always_says(Some(upstream::answer(status, &headers, &body)));
        let answer = stage.get(SESSION);
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (status, body.as_slice()),
            "{headers:?}"
        );
        assert_eq!(answer.header("proxy-status"), None);
        assert_eq!(face.shown().len(), 2, "{status} {headers:?}");
    }
}

/// Nobody can tell from a broken connection what Azure thinks of the key.
#[test]
fn a_connection_that_breaks_changes_nothing_about_the_keys() {
    let (face, stage) = Stage::set();
    face.always_says(Some(Vec::new()));
    for request in routes() {
        let answer = stage.send(request);
        assert_eq!((answer.status, answer.error_code()), (503, "UpstreamUnavailable".to_owned()));
    }
    assert!(face.shown().iter().all(|key| key == AZURE_KEY));
    face.always_says(None);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!((face.shown(), stage.serving()), (vec![AZURE_KEY.to_owned()], "primary".to_owned()));
}
