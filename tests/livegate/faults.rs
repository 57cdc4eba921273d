//! Whatever goes wrong behind the gateway, an app gets one clear answer: in time, and never half of one as a whole.

mod again;
mod circuit;
mod hostile;
mod process;
mod stage;

use std::process::Command;

use serde_json::{Value, json};

use self::stage::*;
use crate::support::free;
use crate::support::gateway::{Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};
use crate::support::upstream::Upstream;

#[test]
fn an_answer_that_does_not_come_in_time() {
    let stage = Stage::set("timeout = \"1s\"");
    let late = |name: &str, answer: &Answer| {
        failed(name, answer, 504, "UpstreamTimeout", "http_response_timeout")
    };
    stage.everywhere(&json!({"delay": {"ms": 600_000}}), late);
    stage.everywhere(&json!("hang"), late);
    // Its head comes at once, its end never.
    let drip = json!({"slow_body": {"ms_per_chunk": 600_000, "chunk_bytes": 1}});
    for target in [SESSION, AUDIT] {
        stage.strike(&drip, Some(1));
        late(target, &stage.gateway.get(target));
    }
    stage.is_well();
}

#[test]
fn an_answer_that_comes_slowly_is_whole() {
    let stage = Stage::set("timeout = \"60s\"");
    let whole = stage.gateway.get(SESSION).body;
    stage.strike(&json!({"delay": {"ms": 50}}), Some(1));
    let drip = json!({"slow_body": {"ms_per_chunk": 1, "chunk_bytes": 50}});
    stage.strike(&drip, Some(1));
    let answer = stage.gateway.get(SESSION);
    assert_eq!((answer.status, &answer.body), (200, &whole));
}

/// Only what has no side effects that count twice is sent again.
#[test]
fn a_connection_that_broke_is_tried_once_more() {
    let stage = Stage::set("");
    for effect in [json!("close"), json!("reset")] {
        for target in [SESSION, AUDIT, LIST, stage.image.as_str()] {
            let expected = stage.gateway.get(target);
            stage.calm();
            stage.strike(&effect, Some(1));
            let answer = stage.gateway.get(target);
            assert_eq!(
                (answer.status, answer.text()),
                (200, expected.text()),
                "{effect}: {target}"
            );
            assert_eq!(stage.calm(), 2, "{effect}: {target}");
        }
        let (name, create) = stage.routes()[4].clone();
        stage.strike(&effect, Some(1));
        let answer = create.key(TOKEN).send(stage.gateway.public);
        failed(name, &answer, 503, "UpstreamUnavailable", "connection_terminated");
        assert_eq!(stage.calm(), 1, "{effect}: a create was sent twice");
    }
}

#[test]
fn connections_that_always_break() {
    let stage = Stage::set("");
    for effect in [json!("close"), json!("reset")] {
        stage.everywhere(&effect, |name, answer| {
            failed(name, answer, 503, "UpstreamUnavailable", "connection_terminated");
        });
        stage.strike(&effect, None);
        stage.gateway.get(SESSION);
        assert_eq!(stage.calm(), 2, "{effect}: sent more than twice");
    }
}

#[test]
fn an_answer_that_breaks_off() {
    let stage = Stage::set("");
    for effect in [
        json!({"truncated": {}}),
        json!({"truncated": {"keep_bytes": 0}}),
        json!({"truncated": {"keep_bytes": 1}}),
        json!({"truncated": {"reset": true}}),
    ] {
        for target in [SESSION, AUDIT] {
            stage.strike(&effect, Some(1));
            let answer = stage.gateway.get(target);
            let what = format!("{effect}: {target}");
            failed(&what, &answer, 502, "UpstreamInvalidResponse", "http_response_incomplete");
            assert_eq!(stage.calm(), 1, "{what}: sent again");
        }
    }
    stage.is_well();
}

#[test]
fn a_picture_that_breaks_off_does_not_look_whole() {
    let stage = Stage::set("");
    let whole = stage.gateway.get(&stage.image).body;
    for effect in [
        json!({"truncated": {}}),
        json!({"truncated": {"keep_bytes": 1}}),
        json!({"truncated": {"keep_bytes": whole.len() - 1}}),
        json!({"truncated": {"reset": true}}),
        json!({"slow_body": {"ms_per_chunk": 600_000, "chunk_bytes": 1}}),
    ] {
        stage.strike(&effect, Some(1));
        let mut connection = Connection::open(stage.gateway.public);
        let get = format!(
            "GET {} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n",
            stage.image
        );
        connection.write(get.as_bytes()).unwrap();
        let answer = connection.read();
        let error = answer.map(|answer| (answer.status, answer.body.len())).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{effect}: it hangs");
        assert!(connection.closed(), "{effect}");
        // Over HTTP/2 it is the stream that breaks.
        stage.calm();
        stage.strike(&effect, Some(1));
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "60", "--http2-prior-knowledge", "-o", "/dev/null", "-H"])
            .arg(format!("Ocp-Apim-Subscription-Key: {TOKEN}"))
            .arg(format!("http://{}{}", stage.gateway.public, stage.image))
            .output()
            .unwrap();
        // 92: an error of the stream's framing layer; 18: less than Content-Length says.
        let told = String::from_utf8_lossy(&output.stderr);
        assert!([Some(18), Some(92)].contains(&output.status.code()), "{effect}: {told}");
        stage.is_well();
    }
    let answer = stage.gateway.get(&stage.image);
    assert_eq!((answer.status, &answer.body), (200, &whole));
}

/// Without a length, only the last chunk tells that an answer is whole.
#[test]
fn chunks_that_break_off_do_not_look_whole() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
    let upstream = Upstream::plain(move |request| match request.target.as_str() {
        "/face/v1.2/sessionImages/whole" => format!("{head}4\r\nface\r\n0\r\n\r\n").into_bytes(),
        "/face/v1.2/sessionImages/chunk" => format!("{head}4\r\nfa").into_bytes(),
        "/face/v1.2/sessionImages/nonsense" => format!("{head}4\r\nface\r\nzz\r\n").into_bytes(),
        _ => format!("{head}4\r\nface\r\n").into_bytes(),
    });
    let gateway = Gateway::before(&upstream.url());
    let whole = gateway.get("/face/v1.2/sessionImages/whole");
    assert_eq!((whole.status, whole.text().as_str()), (200, "face"));
    for id in ["chunk", "nonsense", "end"] {
        let mut connection = Connection::open(gateway.public);
        let get = format!(
            "GET /face/v1.2/sessionImages/{id} HTTP/1.1\r\nHost: gw\r\n\
             Ocp-Apim-Subscription-Key: {TOKEN}\r\n\r\n"
        );
        connection.write(get.as_bytes()).unwrap();
        let error = connection.read().map(|answer| answer.text()).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{id}: it hangs");
        assert!(connection.closed(), "{id}");
    }
    for id in ["chunk", "nonsense", "end"] {
        let answer = gateway.get(&format!("{SESSIONS}/{id}"));
        failed(id, &answer, 502, "UpstreamInvalidResponse", "http_response_incomplete");
    }
}

#[test]
fn what_is_no_http() {
    let stage = Stage::set("");
    stage.everywhere(&json!("garbage_http"), |name, answer| {
        failed(name, answer, 502, "UpstreamInvalidResponse", "http_protocol_error");
    });
}

#[test]
fn an_answer_without_end() {
    let stage = Stage::set("max_answer = \"64KiB\"");
    for target in [SESSION, AUDIT] {
        stage.strike(&json!("endless_body"), Some(1));
        let answer = stage.gateway.get(target);
        failed(target, &answer, 502, "UpstreamInvalidResponse", "http_response_body_size");
    }
    // What streams has begun before that is known: it breaks.
    for target in [LIST, stage.image.as_str()] {
        stage.strike(&json!("endless_body"), Some(1));
        let mut connection = Connection::open(stage.gateway.public);
        let get = format!(
            "GET {target} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n"
        );
        connection.write(get.as_bytes()).unwrap();
        let error = connection.read().map(|answer| answer.body.len()).unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{target}: it hangs");
        assert!(connection.closed(), "{target}");
    }
    stage.is_well();
}

#[test]
fn an_answer_that_is_compressed_unasked() {
    let stage = Stage::set("");
    for target in [SESSION, AUDIT] {
        let expected = stage.gateway.get(target);
        stage.strike(&json!("gzip"), Some(1));
        let answer = stage.gateway.get(target);
        assert_eq!((answer.status, answer.text()), (200, expected.text()), "{target}");
        assert_eq!(answer.header("content-encoding"), None, "{target}");
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()), "{target}");
    }
    // What streams passes as it is, and says so.
    let whole = stage.gateway.get(&stage.image);
    stage.strike(&json!("gzip"), Some(1));
    let packed = stage.gateway.get(&stage.image);
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    let mut unpacked = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(packed.body.as_slice());
    std::io::Read::read_to_end(&mut reader, &mut unpacked).unwrap();
    assert_eq!(unpacked, whole.body);
}

#[test]
fn a_key_that_azure_refuses() {
    let stage = Stage::set("");
    for form in ["face", "apim", "apim_no_code"] {
        let status = json!({"status": 401, "form": form, "message": PLANTED, "retry_after": "77"});
        let with_headers =
            json!({"headers": {"add": [["WWW-Authenticate", PLANTED], ["X-A", PLANTED]]}});
        stage.strike(&with_headers, None);
        stage.everywhere(&json!({"status": status}), |name, answer| {
            let what = format!("401 of {form}: {name}");
            failed(&what, answer, 502, "UpstreamUnauthorized", "proxy_configuration_error");
            assert_eq!(answer.header("apim-request-id"), None, "{what}");
        });
    }
    let body =
        json!({"status": 401, "body": format!("<p>{PLANTED}</p>"), "content_type": "text/html"});
    stage.strike(&json!({"status": body}), Some(1));
    let answer = stage.gateway.get(SESSION);
    failed("HTML", &answer, 502, "UpstreamUnauthorized", "proxy_configuration_error");
    let disabled = json!({
        "status": 403, "code": "AuthenticationTypeDisabled", "form": "face", "message": PLANTED
    });
    stage.strike(&json!({"status": disabled}), Some(1));
    let answer = stage.gateway.get(SESSION);
    failed("disabled", &answer, 502, "UpstreamUnauthorized", "proxy_configuration_error");
}

/// Sends each of these through, and holds what comes against what Azure said.
fn passes(stage: &Stage, status: &Value, routes: &[(&'static str, Request)]) {
    for (name, request) in routes {
        stage.strike(&json!({"status": status}), Some(2));
        let direct = stage.emulator.send(request.clone());
        let answer = request.clone().key(TOKEN).send(stage.gateway.public);
        let what = format!("{status}: {name}");
        assert_eq!(answer.status, direct.status, "{what}");
        assert_eq!(answer.status, status["status"], "{what}");
        assert_eq!(answer.text(), direct.text(), "{what}");
        assert_eq!(answer.body, direct.body, "{what}");
        for field in ["content-type", "x-ms-error-code"] {
            assert_eq!(answer.header(field), direct.header(field), "{what}: {field}");
        }
        // Only a 429 has one where Azure sends none.
        let said =
            status["retry_after"].as_str().or_else(|| (status["status"] == 429).then_some("26"));
        assert_eq!(answer.header("retry-after"), said, "{what}");
        assert!(answer.header("apim-request-id").is_some(), "{what}");
        assert_eq!(answer.header("proxy-status"), None, "{what}");
        assert_eq!(stage.calm(), 2, "{what}: sent again");
    }
}

#[test]
fn what_azure_says_passes_byte_for_byte() {
    let stage = Stage::set("");
    for status in [
        json!({"status": 400}),
        json!({"status": 403, "code": "UnsupportedFeature", "message": "Missing approval."}),
        json!({"status": 403, "form": "apim", "code": "403", "message": "Out of call volume quota."}),
        json!({"status": 403, "form": "apim_no_code", "message": "Access denied due to Virtual Network."}),
        json!({"status": 403, "form": "apim", "body": "<p>Forbidden</p>", "content_type": "text/html"}),
        json!({"status": 404}),
        json!({"status": 409}),
        json!({"status": 415}),
        json!({"status": 500}),
        json!({"status": 500, "body": ""}),
        json!({"status": 502}),
        json!({"status": 503}),
        json!({"status": 504}),
    ] {
        passes(&stage, &status, &stage.routes());
    }
}

/// The same, where the gateway leaves Azure alone afterwards.
#[test]
fn what_azure_says_passes_byte_for_byte_when_it_asks_for_rest() {
    for status in [
        json!({"status": 429}),
        json!({"status": 429, "retry_after": "26"}),
        json!({"status": 429, "retry_after": "Fri, 31 Dec 2027 23:59:59 GMT", "form": "apim"}),
        json!({"status": 503, "retry_after": "5", "body": "busy\u{e9}", "content_type": "text/plain"}),
    ] {
        for route in 0..6 {
            let stage = Stage::set("");
            passes(&stage, &status, &stage.routes()[route..=route]);
        }
    }
}

#[test]
fn json_that_breaks_off_is_azures_own() {
    let stage = Stage::set("");
    for (name, request) in stage.routes() {
        stage.strike(&json!("garbage_json"), Some(2));
        let direct = stage.emulator.send(request.clone());
        assert!(serde_json::from_slice::<Value>(&direct.body).is_err(), "{name}");
        let answer = request.key(TOKEN).send(stage.gateway.public);
        assert_eq!((answer.status, answer.text()), (200, direct.text()), "{name}");
        stage.calm();
    }
}

#[test]
fn nobody_listens() {
    let nobody = free::address();
    let gateway = Gateway::before(&format!("http://{nobody}"));
    let wish = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
    for request in [
        Request::get(SESSION),
        Request::get(AUDIT),
        Request::get("/face/v1.2/sessionImages/abc"),
        Request::new("POST", SESSIONS).json(&wish),
        Request::new("DELETE", SESSION),
    ] {
        let request = request.key(TOKEN);
        let answer = request.send(gateway.public);
        let what = request.method();
        failed(what, &answer, 503, "UpstreamUnavailable", "connection_refused");
        assert!(answer.text().contains("nobody listens there"), "{}", answer.text());
    }
    // Azure's health is no part of the gateway's own.
    assert_eq!(Request::get("/readyz").send(gateway.admin).status, 200);
}
