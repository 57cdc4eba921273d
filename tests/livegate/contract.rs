//! The emulator against the published contract: every route, state and error of the four api-versions, each
//! answer held against that version's document. What passes here is what the gateway is developed on.

mod bench;
mod document;
mod samples;
mod twin;

use serde_json::json;

use self::bench::Bench;
use self::document::Document;
use self::twin::Twin;
use crate::support::http::{Answer, Headers};

#[test]
fn every_answer_of_the_first_preview_holds() {
    preview("v1.1-preview.1");
}

#[test]
fn every_answer_of_the_second_preview_holds() {
    let bench = preview("v1.2-preview.1");
    bench.serves_images("/session/sessionImages/{sessionImageId}");
    bench.is_used_up();
}

#[test]
fn every_answer_of_v1_2_holds() {
    let bench = ga("v1.2");
    bench.is_used_up();
}

#[test]
fn every_answer_of_the_third_preview_holds() {
    let bench = ga("v1.3-preview.1");
    bench.serves_settings();
    bench.is_used_up();
}

fn preview(version: &'static str) -> Bench {
    let bench = Bench::new(version);
    bench.takes_published_creates();
    for twin in [Twin::PLAIN, Twin::VERIFY] {
        bench.creates(twin);
        bench.refuses_creates(twin);
        bench.shows_states(twin);
        bench.lists(twin);
        bench.lists_attempts(twin);
        bench.deletes(twin, 200);
        bench.fails_on_demand(twin);
    }
    if version == "v1.1-preview.1" {
        bench.is_used_up();
    }
    bench
}

fn ga(version: &'static str) -> Bench {
    let bench = Bench::new(version);
    bench.takes_published_creates();
    for twin in [Twin::PLAIN, Twin::VERIFY] {
        bench.creates(twin);
        bench.refuses_creates(twin);
        bench.shows_states(twin);
        bench.has_no_lists(twin);
        bench.deletes(twin, 204);
        bench.fails_on_demand(twin);
    }
    bench.serves_images("/sessionImages/{sessionImageId}");
    bench
}

/// Every check above would be worth nothing if the document let everything pass.
#[test]
fn an_answer_that_breaks_the_contract_is_caught() {
    let document = Document::of("v1.2");
    let path = "/detectLiveness-sessions/{sessionId}";
    let body = json!({"sessionId": "s", "authToken": "", "status": "Running", "results": {"attempts": [
        {"attemptId": 1, "attemptStatus": "Running"}
    ]}});
    let good = answer(200, "application/json; charset=utf-8", &body.to_string());
    assert_eq!(document.faults("GET", path, &good), [""; 0]);

    let spoilt: [(&str, &str, &str); 7] = [
        (r#""authToken":"","#, "", "authToken"),
        (r#""attempts":"#, r#""tries":"#, "attempts"),
        (r#""status":"Running""#, r#""status":"Paused""#, "Paused"),
        (r#""status":"Running""#, r#""status":7"#, "7"),
        (r#""attemptId":1"#, r#""attemptId":"1""#, "1"),
        (r#""attemptId":1"#, r#""attemptId":2147483648"#, "2147483648"),
        (r#""sessionId":"s""#, r#""sessionId":"s","sessionID":"s""#, "sessionID"),
    ];
    for (right, wrong, told) in spoilt {
        let text = body.to_string().replace(right, wrong);
        assert_ne!(text, body.to_string(), "{right}");
        let faults = document.faults("GET", path, &answer(200, "application/json", &text));
        assert!(faults.concat().contains(told), "{wrong}: {faults:?}");
    }
    let text = body.to_string();
    let mut anonymous = good;
    anonymous.headers.0.retain(|(name, _)| name != "apim-request-id");
    let error = r#"{"error":{"code":"SessionNotFound","message":"m"}}"#;
    for (method, path, answer) in [
        ("GET", path, anonymous),
        ("GET", path, answer(201, "application/json", &text)),
        ("GET", path, answer(200, "text/html", &text)),
        ("GET", path, answer(200, "application/json", "{")),
        ("GET", path, answer(404, "application/json", error)),
        ("GET", path, answer(404, "application/json", "{}")),
        ("DELETE", path, answer(204, "application/json", "{}")),
        ("PUT", path, answer(200, "application/json", &text)),
        ("GET", "/elsewhere", answer(200, "application/json", &text)),
    ] {
        assert_ne!(document.faults(method, path, &answer), [""; 0], "{method} {path} {answer:?}");
    }
}

#[test]
fn a_date_that_is_none_is_caught() {
    let document = Document::of("v1.1-preview.1");
    let path = "/detectLiveness/singleModal/sessions/{sessionId}";
    let body = json!({"id": "s", "createdDateTime": "2024-03-05T11:07:29.698Z", "sessionExpired": false,
        "status": "NotStarted"});
    let text = body.to_string();
    assert_eq!(document.faults("GET", path, &answer(200, "application/json", &text)), [""; 0]);
    let text = text.replace("2024-03-05T", "5 March 2024 ");
    assert_ne!(document.faults("GET", path, &answer(200, "application/json", &text)), [""; 0]);
}

fn answer(status: u16, content_type: &str, body: &str) -> Answer {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        header("content-type", content_type),
        header("apim-request-id", "4af681e9-0e25-43e9-9922-a7adebf13b2f"),
    ];
    Answer { status, headers: Headers(headers), body: body.as_bytes().to_vec() }
}
