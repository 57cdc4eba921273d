//! What Azure says reaches the app byte for byte: every published sample, every published error, and bodies
//! that no sample has shown yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::certs::Certs;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request};
use crate::support::scratch::Scratch;
use crate::support::upstream::{self, Upstream};

const JSON: &str = "application/json; charset=utf-8";
const APIM_REQUEST_ID: &str = "4af681e9-0e25-43e9-9922-a7adebf13b2f";

/// Where each published body comes from. `{id}` is replaced by an id of its own, so that none answers for another.
const SAMPLES: [(&str, &str, &[u8]); 11] = [
    (
        "GET",
        "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions/{id}",
        include_bytes!("../data/samples/v1.1-preview.1/session-result.json"),
    ),
    (
        "GET",
        "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions/{id}/audit",
        include_bytes!("../data/samples/v1.1-preview.1/audit.json"),
    ),
    (
        "POST",
        "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions",
        include_bytes!("../data/samples/v1.1-preview.1/create-response.json"),
    ),
    (
        "GET",
        "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}",
        include_bytes!("../data/samples/v1.2-preview.1/session-result.json"),
    ),
    (
        "GET",
        "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}/audit",
        include_bytes!("../data/samples/v1.2-preview.1/audit.json"),
    ),
    (
        "GET",
        "/face/v1.2/detectLiveness-sessions/{id}",
        include_bytes!("../data/samples/v1.2/session-result.json"),
    ),
    (
        "GET",
        "/face/v1.2/detectLiveness-sessions/{id}",
        include_bytes!("../data/samples/v1.2/session-result-tutorial.json"),
    ),
    (
        "POST",
        "/face/v1.2/detectLiveness-sessions",
        include_bytes!("../data/samples/v1.2/create-response-tutorial.json"),
    ),
    (
        "POST",
        "/face/v1.2/detectLivenessWithVerify-sessions",
        include_bytes!("../data/samples/v1.2/create-with-verify-response-tutorial.json"),
    ),
    (
        "GET",
        "/face/v1.3-preview.1/detectLivenessWithVerify-sessions/{id}",
        include_bytes!("../data/samples/v1.3-preview.1/session-result-with-verify.json"),
    ),
    (
        "POST",
        "/face/v1.3-preview.1/detectLiveness-sessions",
        include_bytes!("../data/samples/v1.3-preview.1/create-response.json"),
    ),
];

/// The published errors but for those of a refused key, which are about the gateway's key and not the app's.
const ERRORS: [(u16, &str, &[u8]); 16] = [
    (400, "BadArgument", include_bytes!("../data/errors/400-bad-argument.json")),
    (
        400,
        "InvalidDeviceCorrelationId",
        include_bytes!("../data/errors/400-invalid-device-correlation-id.json"),
    ),
    (
        400,
        "InvalidLivenessOperationMode",
        include_bytes!("../data/errors/400-invalid-operation-mode.json"),
    ),
    (400, "InvalidRequestBody", include_bytes!("../data/errors/400-invalid-request-body.json")),
    (400, "InvalidTokenLifetime", include_bytes!("../data/errors/400-invalid-token-lifetime.json")),
    (400, "BadArgument", include_bytes!("../data/errors/400-top.json")),
    (403, "", include_bytes!("../data/errors/403-quota-no-code.json")),
    (403, "UnsupportedFeature", include_bytes!("../data/errors/403-unsupported-feature.json")),
    (403, "", include_bytes!("../data/errors/403-vnet.json")),
    (404, "SessionNotFound", include_bytes!("../data/errors/404-session-not-found.json")),
    (404, "SessionNotFound", include_bytes!("../data/errors/404-session-not-found-reference.json")),
    (
        409,
        "ConcurrentOperationConflict",
        include_bytes!("../data/errors/409-concurrent-operation-conflict.json"),
    ),
    (415, "BadArgument", include_bytes!("../data/errors/415-bad-argument.json")),
    (429, "", include_bytes!("../data/errors/429-apim.json")),
    (429, "", include_bytes!("../data/errors/429-no-code.json")),
    (500, "Unspecified", include_bytes!("../data/errors/500-unspecified.json")),
];

/// An upstream that answers each path as it was told last.
struct Stage {
    upstream: Upstream,
    answers: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Stage {
    fn new() -> Self {
        let answers: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let told = Arc::clone(&answers);
        let upstream = Upstream::plain(move |request| {
            told.lock().unwrap().get(&request.target).cloned().unwrap_or_default()
        });
        Self { upstream, answers }
    }

    fn tell(&self, target: &str, answer: Vec<u8>) {
        self.answers.lock().unwrap().insert(target.to_owned(), answer);
    }

    fn ok(&self, target: &str, body: &[u8]) {
        let headers = [("Content-Type", JSON), ("apim-request-id", APIM_REQUEST_ID)];
        self.tell(target, upstream::answer(200, &headers, body));
    }
}

fn id(number: usize) -> String {
    format!("5e551017-0000-4000-8000-{number:012}")
}

fn session(number: usize) -> String {
    format!("/face/v1.2/detectLiveness-sessions/{}", id(number))
}

/// Asks as an app would that wants Azure's own words.
fn ask(gateway: &Gateway, method: &str, target: &str) -> Answer {
    let request = Request::new(method, target).key(TOKEN).header("Prefer", "enrich=none");
    let request = if method == "POST" {
        request.json(&json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "d"}))
    } else {
        request
    };
    request.send(gateway.public)
}

#[track_caller]
fn assert_bytes(answer: &Answer, expected: &[u8], what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    assert_eq!(answer.text(), String::from_utf8_lossy(expected), "{what}");
    assert_eq!(answer.body, expected, "{what}");
}

#[test]
fn every_published_sample_arrives_byte_for_byte() {
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    for (number, (method, path, sample)) in SAMPLES.into_iter().enumerate() {
        let target = path.replace("{id}", &id(number));
        stage.ok(&target, sample);
        let answer = ask(&gateway, method, &target);
        assert_bytes(&answer, sample, &target);
        assert_eq!(answer.header("content-type"), Some(JSON), "{target}");
        assert_eq!(answer.header("apim-request-id"), Some(APIM_REQUEST_ID), "{target}");
        let asked = stage.upstream.recorded().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), (method, target.as_str()));
        let key = asked.headers.all("ocp-apim-subscription-key").collect::<Vec<_>>();
        assert_eq!(key, [AZURE_KEY], "{target}");
        assert!(!format!("{asked:?}").contains(TOKEN), "{asked:?}");
    }
    assert_eq!(stage.upstream.recorded().len(), SAMPLES.len());
}

#[test]
fn every_published_error_arrives_byte_for_byte() {
    let stage = Stage::new();
    for (number, (status, code, body)) in ERRORS.into_iter().enumerate() {
        // Some of them ask for rest.
        let gateway = Gateway::before(&stage.upstream.url());
        let mut headers = vec![("Content-Type", JSON), ("apim-request-id", APIM_REQUEST_ID)];
        if !code.is_empty() {
            headers.push(("x-ms-error-code", code));
        }
        let target = session(number);
        stage.tell(&target, upstream::answer(status, &headers, body));
        let answer = ask(&gateway, "GET", &target);
        let what = format!("{status} {}", String::from_utf8_lossy(body));
        assert_eq!((answer.status, answer.body.as_slice()), (status, body), "{what}");
        assert_eq!(answer.header("content-type"), Some(JSON), "{what}");
        assert_eq!(answer.header("apim-request-id"), Some(APIM_REQUEST_ID), "{what}");
        assert_eq!(answer.header("x-ms-error-code").unwrap_or_default(), code, "{what}");
    }
}

/// The header names of a real denial by the network rules, as published with it.
#[test]
fn the_headers_of_a_denial_arrive_too() {
    let published: Value =
        serde_json::from_slice(include_bytes!("../data/errors/403-vnet.headers.json")).unwrap();
    let body = include_bytes!("../data/errors/403-vnet.json");
    let own = ["Date", "Content-Length"];
    let headers: Vec<(&str, &str)> = published
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert!(headers.iter().any(|(name, _)| *name == "policy-id"), "{headers:?}");
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    stage.tell(&session(0), upstream::answer(403, &headers, body));
    let answer = ask(&gateway, "GET", &session(0));
    assert_eq!((answer.status, answer.body.as_slice()), (403, &body[..]));
    for (name, value) in headers {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_throttle_keeps_the_time_that_azure_names() {
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    let body = include_bytes!("../data/errors/429-apim.json");
    stage.tell(&session(0), upstream::answer(429, &[("Retry-After", "7")], body));
    let answer = ask(&gateway, "GET", &session(0));
    assert_eq!((answer.status, answer.body.as_slice()), (429, &body[..]));
    assert_eq!(answer.headers.all("retry-after").collect::<Vec<_>>(), ["7"]);
}

#[test]
fn a_refusal_of_the_gateways_own_key_is_not_the_apps_fault() {
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    let refusals: [(u16, &str, &[u8]); 3] = [
        (401, "", include_bytes!("../data/errors/401-apim.json")),
        (401, "Unspecified", include_bytes!("../data/errors/401-unspecified.json")),
        (
            403,
            "AuthenticationTypeDisabled",
            include_bytes!("../data/errors/403-local-auth-disabled.json"),
        ),
    ];
    for (number, (status, code, body)) in refusals.into_iter().enumerate() {
        let headers = [("Content-Type", JSON), ("x-ms-error-code", code)];
        let headers = if code.is_empty() { &headers[..1] } else { &headers[..] };
        stage.tell(&session(number), upstream::answer(status, headers, body));
        let answer = ask(&gateway, "GET", &session(number));
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.error_code(), "UpstreamUnauthorized");
        assert_eq!(answer.header("x-ms-error-code"), Some("UpstreamUnauthorized"));
        assert!(!answer.text().contains(AZURE_KEY), "{}", answer.text());
    }
}

#[test]
fn what_no_sample_has_shown_yet_arrives_byte_for_byte() {
    let bodies: [&[u8]; 9] = [
        // members, states and decisions of a later version
        br#"{"sessionId":"s","authToken":"t","status":"Paused","novelty":{"a":[1,null]},"results":{"attempts":[{"attemptId":1,"attemptStatus":"Judging","result":{"livenessDecision":"maybeface","targets":{},"digest":"D"}}]}}"#,
        // numbers that no machine type holds
        br#"{"sessionId":"s","authToken":"t","status":"Running","n":123456789012345678901234567890,"f":0.10000000000000000555,"e":1E+2,"z":-0,"results":{"attempts":[]}}"#,
        // an attempt's number beyond 64 bits
        br#"{"sessionId":"s","authToken":"t","status":"Running","results":{"attempts":[{"attemptId":99999999999999999999,"attemptStatus":"Running"}]}}"#,
        // space in odd places, and after the end
        b"\r\n\t {  \"status\" :\r\n\"Running\"\t,\"sessionId\":\"s\" , \"authToken\":\"t\",\n\"results\" : { \"attempts\" :[ ] } }\n\n ",
        // escapes that need not be, and characters beyond the basic plane
        br#"{"sessionId":"s","st\u0061tus":"Runn\u0069ng","authToken":"t\/","note":"\ud83d\ude00 \u00e4","results":{"attempts":[]}}"#,
        "{\"sessionId\":\"s\",\"status\":\"Running\",\"authToken\":\"t\",\"note\":\"ä 😀\u{2028}\",\"results\":{\"attempts\":[]}}".as_bytes(),
        // members missing, null or of another type
        br#"{"status":"Running","results":null}"#,
        br#"{"sessionId":7,"status":["Running"],"authToken":null,"results":{"attempts":{}}}"#,
        // the same member twice
        br#"{"sessionId":"s","status":"Running","status":"NotStarted","authToken":"t","results":{"attempts":[]}}"#,
    ];
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    for (number, body) in bodies.into_iter().enumerate() {
        stage.ok(&session(number), body);
        let answer = ask(&gateway, "GET", &session(number));
        assert_bytes(&answer, body, &format!("body {number}"));
    }
}

#[test]
fn an_odd_audit_list_arrives_byte_for_byte_where_nothing_is_to_be_added() {
    let bodies: [&[u8]; 4] = [
        b"[]",
        b"[ \n]\n",
        br#"[{"id":9223372036854775807,"sessionId":"s","response":{"body":{"error":{"code":"X"}},"statusCode":400},"digest":"","new":1.0}]"#,
        br#"[{"id":18446744073709551616,"digest":null} ,{"id":"7"}, 8]"#,
    ];
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    for (number, body) in bodies.into_iter().enumerate() {
        let target = format!(
            "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{}/audit",
            id(number)
        );
        stage.ok(&target, body);
        assert_bytes(&ask(&gateway, "GET", &target), body, &target);
    }
}

/// The one exception: the token of a session in which nothing can change any more.
#[test]
fn a_final_session_loses_its_token_and_nothing_else() {
    let preview =
        |number| format!("/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{}", id(number));
    let ga = r#"{"sessionId":"s", "authToken" :  "a\"b\\",  "status":"STATE","x":{"authToken":"kept"},"results":{"attempts":[ {"attemptId":1,"result":{"digest":"D"}} ]}}"#;
    let blank = r#"{"sessionId":"s", "authToken" :  "",  "status":"STATE","x":{"authToken":"kept"},"results":{"attempts":[ {"attemptId":1,"result":{"digest":"D"}} ]}}"#;
    let early = r#"{"id":"s","authToken":"t","status":"ResultAvailable","sessionExpired":EXPIRED}"#;
    let gone = r#"{"id":"s","authToken":"","status":"ResultAvailable","sessionExpired":EXPIRED}"#;
    let cases = [
        (session(0), ga.replace("STATE", "Succeeded"), blank.replace("STATE", "Succeeded")),
        (session(1), ga.replace("STATE", "Failed"), blank.replace("STATE", "Failed")),
        (session(2), ga.replace("STATE", "Canceled"), blank.replace("STATE", "Canceled")),
        (session(3), ga.replace("STATE", "Running"), ga.replace("STATE", "Running")),
        (session(4), ga.replace("STATE", "NotStarted"), ga.replace("STATE", "NotStarted")),
        (preview(5), early.replace("EXPIRED", "true"), gone.replace("EXPIRED", "true")),
        (preview(6), early.replace("EXPIRED", "false"), early.replace("EXPIRED", "false")),
    ];
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    for (target, sent, expected) in cases {
        stage.ok(&target, sent.as_bytes());
        // the second may come from a cache
        for _ in 0..2 {
            assert_bytes(&ask(&gateway, "GET", &target), expected.as_bytes(), &sent);
        }
    }
}

#[test]
fn a_picture_arrives_byte_for_byte_over_a_private_roots_tls() {
    let scratch = Scratch::new();
    let certs = Certs::new(&scratch);
    let picture: Vec<u8> =
        (0..70_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let sent = picture.clone();
    let upstream = Upstream::tls(&certs, move |_| {
        upstream::answer(200, &[("Content-Type", "application/octet-stream")], &sent)
    });
    let gateway = Builder::new(&upstream.url())
        .trusting(&certs)
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .start();
    let answer =
        gateway.get("/face/v1.2/sessionImages/Ae3PVWlXAmVAnXgkAFt1QSjGUWONKzWiSr2iPh9p9G4I");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert!(answer.body == picture, "{} bytes of {}", answer.body.len(), picture.len());
    assert_eq!(upstream.recorded().len(), 1);
}

#[test]
fn what_a_session_is_created_with_reaches_azure_byte_for_byte() {
    let stage = Stage::new();
    let gateway = Gateway::before(&stage.upstream.url());
    let plain = "/face/v1.2/detectLiveness-sessions";
    let verify = "/face/v1.2/detectLivenessWithVerify-sessions";
    let form = b"--s\r\nContent-Disposition: form-data; name=\"verifyImage\"; filename=\"\xC3\xA4.jpg\"\r\n\r\n\xFF\xD8\0\r\n\r\n--s--\r\n";
    let cases: [(&str, &str, &[u8]); 4] = [
        (
            plain,
            "application/json",
            include_bytes!("../data/samples/v1.3-preview.1/create-request.json"),
        ),
        // the tutorial's own request does not fit the published schema
        (
            plain,
            "application/json; charset=utf-8",
            include_bytes!("../data/samples/v1.2/create-request-tutorial.json"),
        ),
        (plain, "application/json", b" {\"new\": 1e999,\r\n \"new\":null} "),
        (verify, "multipart/form-data; boundary=s; x=\"y z\"", form),
    ];
    for (target, content_type, body) in cases {
        let answer = include_bytes!("../data/samples/v1.2/create-response-tutorial.json");
        stage.ok(target, answer);
        let request = Request::new("POST", target).key(TOKEN).body(content_type, body);
        assert_bytes(&request.send(gateway.public), answer, content_type);
        let arrived = stage.upstream.recorded().pop().unwrap();
        assert_eq!(arrived.target, target);
        assert_eq!(arrived.headers.get("content-type"), Some(content_type));
        assert!(arrived.body == body, "{:?}", String::from_utf8_lossy(&arrived.body));
    }
}
