//! What carries authority ends at the gateway, in both directions: header fields, paths and queries.

use serde_json::{Value, json};

use crate::support::emulator::Emulator;
use crate::support::gateway::{AZURE_KEY, Gateway, TOKEN};
use crate::support::http::{Answer, Request};

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Marks every value that must not pass.
const PLANTED: &str = "planted-7261";

fn stage() -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    let gateway = Gateway::before(&emulator.url());
    emulator.put_session(&json!({"id": "abc", "final": true, "session_image": true}));
    (emulator, gateway)
}

/// The one request that reached the emulator.
fn arrived(emulator: &Emulator) -> Value {
    let requests = emulator.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    emulator.control("DELETE", "/emulator/requests", &Value::Null);
    requests[0].clone()
}

/// The names of the fields that arrived, sorted, each as often as it came.
fn names(request: &Value) -> Vec<&str> {
    let fields = request["headers"].as_array().unwrap();
    let mut names: Vec<_> = fields.iter().map(|field| field[0].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The value of a field that came once.
#[track_caller]
fn field<'a>(request: &'a Value, name: &str) -> &'a str {
    let fields = request["headers"].as_array().unwrap();
    let mut values = fields.iter().filter(|field| field[0] == name);
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {request}"));
    assert!(values.next().is_none(), "{name} came twice: {request}");
    value[1].as_str().unwrap()
}

fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// With every field that could carry authority, or ask Azure for what the gateway answers for.
fn laden(mut request: Request) -> Request {
    for name in [
        "Cookie",
        "Cookie2",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Ms-Original-Url",
        "Forwarded",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Keep-Alive",
        "Upgrade",
        "X-Ms-Authorization-Auxiliary",
        "Ocp-Apim-Subscription-Region",
        "Ocp-Apim-Trace",
        "Liveness-Client-Digest",
        "Prefer",
        "If-None-Match",
        "If-Modified-Since",
        "Range",
        "Origin",
        "Referer",
        "X-Nobody-Knows-It",
    ] {
        request = request.header(name, PLANTED);
    }
    request
        .header("Authorization", &format!("Bearer {PLANTED}"))
        .header("Accept-Encoding", &format!("gzip, br, {PLANTED}"))
        .header("Connection", "accept-language, x-ms-useragent")
        .header("Accept-Language", PLANTED)
        .header("x-ms-useragent", PLANTED)
}

#[test]
fn azure_gets_no_field_that_is_not_on_the_list() {
    let (emulator, gateway) = stage();
    let target = format!(
        "{SESSIONS}/abc?subscription-key={PLANTED}&code={PLANTED}&start={PLANTED}&top=5&%73ubscription-key={PLANTED}"
    );
    let request = laden(Request::get(&target)).key(TOKEN);
    assert_eq!(request.send(gateway.public).status, 200);
    let arrived = arrived(&emulator);
    assert_eq!(
        names(&arrived),
        [
            "accept-encoding",
            "client-request-id",
            "host",
            "ocp-apim-subscription-key",
            "traceparent",
            "via",
            "x-ms-client-request-id",
        ]
    );
    assert_eq!(field(&arrived, "ocp-apim-subscription-key"), AZURE_KEY);
    assert_eq!(field(&arrived, "host"), emulator.address.to_string());
    assert_eq!(field(&arrived, "accept-encoding"), "identity");
    assert_eq!(arrived["target"], format!("{SESSIONS}/abc"));
    let told = arrived.to_string();
    assert!(!told.contains(PLANTED) && !told.contains(TOKEN), "{told}");
}

/// RFC 9110 §7.6.1. One option that is no name hides no other; and what only the gateway gives is not taken away.
#[test]
fn azure_gets_nothing_that_connection_names() {
    let (emulator, gateway) = stage();
    let get = || {
        Request::get(&format!("{SESSIONS}/abc"))
            .key(TOKEN)
            .header("Accept-Language", PLANTED)
            .header("traceparent", TRACE)
            .header("tracestate", PLANTED)
    };
    let named = "Traceparent ,ACCEPT-LANGUAGE";
    for options in [named.to_owned(), format!("{named}, \u{e9}"), format!("\u{e9}, {named}")] {
        assert_eq!(get().header("Connection", &options).send(gateway.public).status, 200);
        let arrived = arrived(&emulator);
        assert!(!arrived.to_string().contains(PLANTED), "{options}: {arrived}");
        let trace = field(&arrived, "traceparent");
        assert!(trace != TRACE && trace.len() == TRACE.len(), "{options}: {trace}");
    }
    let ours = "ocp-apim-subscription-key, host, via, accept-encoding, content-length";
    assert_eq!(get().header("Connection", ours).send(gateway.public).status, 200);
    let arrived = arrived(&emulator);
    assert_eq!(field(&arrived, "ocp-apim-subscription-key"), AZURE_KEY);
    assert_eq!(field(&arrived, "host"), emulator.address.to_string());
    assert_eq!(field(&arrived, "via"), "1.1 livegate");
    assert_eq!(field(&arrived, "accept-encoding"), "identity");
}

#[test]
fn azure_gets_no_field_with_a_create_that_is_not_on_the_list() {
    let (emulator, gateway) = stage();
    let body = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
    let target = format!("{SESSIONS}?subscription-key={PLANTED}");
    let request = laden(Request::new("POST", &target)).key(TOKEN).json(&body);
    assert_eq!(request.send(gateway.public).status, 200);
    let arrived = arrived(&emulator);
    assert_eq!(
        names(&arrived),
        [
            "accept-encoding",
            "client-request-id",
            "content-length",
            "content-type",
            "host",
            "ocp-apim-subscription-key",
            "traceparent",
            "via",
            "x-ms-client-request-id",
        ]
    );
    assert_eq!(arrived["target"], SESSIONS);
    let told = arrived.to_string();
    assert!(!told.contains(PLANTED) && !told.contains(TOKEN), "{told}");
}

#[test]
fn azure_gets_what_is_on_the_list_as_it_came() {
    let (emulator, gateway) = stage();
    let passed = [
        ("accept", "application/json"),
        ("accept-language", "de-DE, de;q=0.5"),
        ("client-request-id", "one"),
        ("content-type", "text/x-nothing"),
        ("traceparent", TRACE),
        ("tracestate", "vendor=1"),
        ("user-agent", "azsdk-python-ai-vision-face/1.0"),
        ("x-ms-azsdk-telemetry", "class=A"),
        ("x-ms-client-request-id", "two"),
        ("x-ms-useragent", "js"),
    ];
    let mut request = Request::get(AUDIT).key(TOKEN);
    for (name, value) in passed {
        request = request.header(name, value);
    }
    let answer = request.header("Via", "1.0 fred, 1.1 p.example").send(gateway.public);
    assert_eq!(answer.status, 200);
    let arrived = arrived(&emulator);
    for (name, value) in passed {
        assert_eq!(field(&arrived, name), value, "{name}");
    }
    let fields = arrived["headers"].as_array().unwrap();
    let via: Vec<_> =
        fields.iter().filter(|f| f[0] == "via").map(|f| f[1].as_str().unwrap()).collect();
    assert_eq!(via.join(", "), "1.0 fred, 1.1 p.example, 1.1 livegate");
}

/// An answer about a session is told to all who ask for it: who asked first must not have chosen it.
#[test]
fn what_one_app_wants_of_a_session_is_not_asked_of_azure_for_all() {
    let (emulator, gateway) = stage();
    let request = Request::get(&format!("{SESSIONS}/abc")).key(TOKEN);
    let request = request.header("Accept", "text/plain").header("Accept-Language", "de");
    let request = request.header("Content-Type", "text/plain").header("User-Agent", "short");
    let long = format!("vendor={}", "x".repeat(512));
    let request = request.header("traceparent", TRACE).header("tracestate", &long);
    assert_eq!(request.send(gateway.public).status, 200);
    let arrived = arrived(&emulator);
    assert_eq!(
        names(&arrived),
        [
            "accept",
            "accept-encoding",
            "client-request-id",
            "host",
            "ocp-apim-subscription-key",
            "traceparent",
            "user-agent",
            "via",
            "x-ms-client-request-id",
        ]
    );
    assert_eq!(field(&arrived, "accept"), "application/json");
    assert_eq!((field(&arrived, "traceparent"), field(&arrived, "user-agent")), (TRACE, "short"));
}

#[test]
fn a_name_and_a_trace_are_made_where_there_is_none() {
    let (emulator, gateway) = stage();
    let get = || Request::get(&format!("{SESSIONS}/abc")).key(TOKEN);
    get().send(gateway.public);
    let first = arrived(&emulator);
    let made = field(&first, "client-request-id").to_owned();
    assert!(is_uuid(&made), "{made}");
    assert_eq!(field(&first, "x-ms-client-request-id"), made);
    assert_eq!(field(&first, "via"), "1.1 livegate");
    let trace = field(&first, "traceparent");
    assert!(trace.split('-').map(str::len).eq([2, 32, 16, 2]), "{trace}");
    get().send(gateway.public);
    let second = arrived(&emulator);
    assert_ne!(field(&second, "client-request-id"), made);
    assert_ne!(field(&second, "traceparent"), trace);
    // What the SDKs send is copied to the name that Azure documents.
    get().header("x-ms-client-request-id", "sdk-1").send(gateway.public);
    let third = arrived(&emulator);
    assert_eq!(field(&third, "client-request-id"), "sdk-1");
    assert_eq!(field(&third, "x-ms-client-request-id"), "sdk-1");
    // A trace that is none is not passed on, nor its state.
    get().header("traceparent", PLANTED).header("tracestate", PLANTED).send(gateway.public);
    assert!(!arrived(&emulator).to_string().contains(PLANTED));
}

#[test]
fn a_bearer_token_is_taken_off_too() {
    let (emulator, gateway) = stage();
    let request = Request::get(&format!("{SESSIONS}/abc"));
    let answer = request.header("Authorization", &format!("Bearer {TOKEN}")).send(gateway.public);
    assert_eq!(answer.status, 200);
    let arrived = arrived(&emulator);
    assert!(!names(&arrived).contains(&"authorization"), "{arrived}");
    assert_eq!(field(&arrived, "ocp-apim-subscription-key"), AZURE_KEY);
    assert!(!arrived.to_string().contains(TOKEN), "{arrived}");
}

#[test]
fn azure_gets_its_own_spelling_of_a_path() {
    let (emulator, gateway) = stage();
    emulator.put_session(&json!({"id": "AbC-9"}));
    let preview = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";
    for (asked, expected) in [
        (
            "/FACE/V1.2/DETECTLIVENESS-SESSIONS/AbC-9",
            "/face/v1.2/detectLiveness-sessions/AbC-9".to_owned(),
        ),
        (
            "/face/v1.3-Preview.1/detectlivenesswithverify-sessions/x",
            "/face/v1.3-preview.1/detectLivenessWithVerify-sessions/x".to_owned(),
        ),
        (
            "/Face/v1.2-PREVIEW.1/detectliveness/singlemodal/SESSIONS/AbC-9/AUDIT?top=05&x=1&start=a%2fb",
            format!("{preview}/AbC-9/audit?start=a%2Fb&top=5"),
        ),
        (
            "/face/v1.2-preview.1/Session/SessionImages/a_B-1",
            "/face/v1.2-preview.1/session/sessionImages/a_B-1".to_owned(),
        ),
        ("/face/v1.2/SESSIONIMAGES/a_B-1", "/face/v1.2/sessionImages/a_B-1".to_owned()),
    ] {
        gateway.get(asked);
        assert_eq!(arrived(&emulator)["target"], expected, "{asked}");
    }
}

/// Fields of an answer that stay with the gateway, those that Azure's own answers could have.
const KEPT: [(&str, &str); 19] = [
    ("Set-Cookie", PLANTED),
    ("Set-Cookie2", PLANTED),
    ("Connection", "X-Hop, X-Hop-2"),
    ("X-Hop", PLANTED),
    ("X-Hop-2", PLANTED),
    ("Keep-Alive", PLANTED),
    ("Proxy-Connection", PLANTED),
    ("Proxy-Authenticate", PLANTED),
    ("Proxy-Authorization", PLANTED),
    ("Authentication-Info", PLANTED),
    ("WWW-Authenticate", PLANTED),
    ("Alt-Svc", PLANTED),
    ("Location", PLANTED),
    ("Clear-Site-Data", PLANTED),
    ("TE", PLANTED),
    ("x-ms-original-url", PLANTED),
    // Only the gateway gives verdicts.
    ("Liveness-Decision", PLANTED),
    ("Liveness-Digest", PLANTED),
    ("Liveness-Verify-Image", PLANTED),
];

const PASSED: [(&str, &str); 5] = [
    ("x-ms-error-code", "Whatever"),
    ("Retry-After", "3"),
    ("x-nobody-knows-it", "1"),
    ("x-ms-region", "West Europe"),
    ("Server-Timing", "db;dur=53"),
];

fn answered(emulator: &Emulator, gateway: &Gateway, target: &str) -> Answer {
    let add: Vec<_> = KEPT.iter().chain(&PASSED).collect();
    emulator.strike_once(&json!({"headers": {"add": add}}));
    gateway.get(target)
}

#[track_caller]
fn nothing_planted(answer: &Answer) {
    // A session's answer has a decision and a verdict, the gateway's own.
    let own = ["Liveness-Decision", "Liveness-Digest"];
    for (name, _) in KEPT.iter().filter(|(name, _)| !own.contains(name)) {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
    assert!(!format!("{:?}", answer.headers).contains(PLANTED), "{:?}", answer.headers);
    for (name, value) in PASSED {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.header("apim-request-id").is_some_and(is_uuid), "{:?}", answer.headers);
}

#[test]
fn an_app_gets_no_field_that_is_between_the_gateway_and_azure() {
    let (emulator, gateway) = stage();
    let session = answered(&emulator, &gateway, &format!("{SESSIONS}/abc"));
    assert_eq!(session.status, 200);
    nothing_planted(&session);
    let missing = answered(&emulator, &gateway, &format!("{SESSIONS}/missing"));
    assert_eq!((missing.status, missing.error_code().as_str()), (404, "SessionNotFound"));
    assert!(!format!("{:?}", missing.headers).contains(PLANTED), "{:?}", missing.headers);
    let result = &session.json()["results"]["attempts"][0]["result"];
    let image = result["sessionImageId"].as_str().unwrap();
    let target = format!("/face/v1.2/sessionImages/{image}");
    let streamed = answered(&emulator, &gateway, &target);
    assert_eq!(streamed.status, 200, "{}", streamed.text());
    nothing_planted(&streamed);
    // The fault did what the test needs of it.
    let add: Vec<_> = KEPT.iter().collect();
    emulator.strike_once(&json!({"headers": {"add": add}}));
    let bare = emulator.send(Request::get(&target));
    for (name, _) in KEPT {
        assert!(bare.header(name).is_some(), "{name}: {:?}", bare.headers);
    }
}
