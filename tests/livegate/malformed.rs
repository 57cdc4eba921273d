//! Bad requests, byte by byte: each has an answer in Azure's error shape, and none of them reaches Azure.

mod content;
mod http2;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::Request;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";
const CREATE: &str = "/face/v1.2/detectLiveness-sessions";
const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";
const LIST: &str = "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions";

/// Sends these bytes, ends its half of the connection, and reads until the other half ends.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The gateway may have answered and closed before all was sent.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

struct Stage {
    emulator: Emulator,
    gateway: Gateway,
}

impl Stage {
    fn set() -> Self {
        let emulator = Emulator::start();
        let gateway = Builder::new(&emulator.url())
            .app("onboarding", TOKEN, &ALL_ROUTES)
            .app("reader", "reader-token", &["session"])
            .more("[server]\nmax_header_bytes = \"16KiB\"\nmax_body = \"64KiB\"\n")
            .start();
        Self { emulator, gateway }
    }

    /// Sends raw bytes and holds the answer against a status and Azure's error shape.
    fn refuses(&self, what: &str, bytes: &[u8], status: u16, code: &str) -> String {
        let answer = exchange(self.gateway.public, bytes);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let first = head.lines().next().unwrap_or_default();
        assert!(
            first.contains(&format!(" {status} ")),
            "{what}: expected {status}, got {answer:?}"
        );
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!(body["error"]["code"], code, "{what}: {answer:?}");
        assert!(body["error"]["message"].is_string(), "{what}: {answer:?}");
        let head = head.to_ascii_lowercase();
        for field in [
            format!("x-ms-error-code: {}", code.to_ascii_lowercase()),
            "content-type: application/json".to_owned(),
            "cache-control: no-store".to_owned(),
        ] {
            assert!(head.contains(&field), "{what}: no {field} in {answer:?}");
        }
        answer
    }

    /// The same for a request of one line with the app's token.
    fn refuses_line(&self, method: &str, target: &str, status: u16, code: &str) -> String {
        let request = request(method, target, "");
        self.refuses(&format!("{method} {target}"), request.as_bytes(), status, code)
    }

    /// Nothing reached Azure, and the gateway is well.
    fn nothing_happened(&self) {
        assert_eq!(self.emulator.requests(), Vec::<Value>::new());
        assert_eq!(self.gateway.get(SESSION).error_code(), "SessionNotFound");
        assert_eq!(self.emulator.requests().len(), 1);
    }
}

/// A request with the app's token and these further lines of head.
fn request(method: &str, target: &str, more: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
         {more}Connection: close\r\n\r\n"
    )
}

#[test]
fn ids_that_cannot_be_one() {
    let stage = Stage::set();
    let long = "a".repeat(65);
    for id in [
        "",
        "a%20b%2Fc%3Fd%25e",
        "%20",
        "a%2Fb",
        "a%252Fb",
        "a\\b",
        "\u{e9}",
        "%C3%A9",
        "%c0%ae%c0%ae",
        "a.b",
        ".",
        "..",
        "%2e%2e",
        "a;b",
        "a%00",
        "a_b",
        "a+b",
        "~",
        &long,
    ] {
        stage.refuses_line("GET", &format!("{CREATE}/{id}"), 400, "BadArgument");
        stage.refuses_line("DELETE", &format!("{CREATE}/{id}"), 400, "BadArgument");
        stage.refuses_line("GET", &format!("{LIST}/{id}/audit"), 400, "BadArgument");
    }
    let long = "a".repeat(129);
    for id in ["", "a.b", "a%2Fb", &long] {
        stage.refuses_line("GET", &format!("/face/v1.2/sessionImages/{id}"), 400, "BadArgument");
    }
    stage.nothing_happened();
}

#[test]
fn paths_that_azure_does_not_have() {
    let stage = Stage::set();
    for path in [
        "/",
        "/face",
        "/face/",
        "//face/v1.2/detectLiveness-sessions/abc",
        "/face//v1.2/detectLiveness-sessions/abc",
        "/face/v1.2/./detectLiveness-sessions/abc",
        "/face/v1.2/x/../detectLiveness-sessions/abc",
        "/face/v1.2/detectLiveness-sessions/abc/",
        "/face/v1.2/detectLiveness-sessions/a/b",
        "/face/v1.2/detectLiveness-sessions/abc/audits",
        "/face/v1.2/detectLiveness-sessions/abc/audit/",
        "/face/v1.2%2FdetectLiveness-sessions/abc",
        "/face/v1.2/detectLiveness%2Dsessions/abc",
        "/face/v2/detectLiveness-sessions/abc",
        "/face/v1.2-preview.1/detectLiveness-sessions/abc",
        "/face/v1.2/detectLiveness/singleModal/sessions/abc",
        "/face/v1.2/detect",
        "/face/v1.3-preview.1/settings",
        "/face/v1.1-preview.1/session/sessionImages/abc",
        "/livegate",
        "/metrics",
        "http://evil.test/",
    ] {
        stage.refuses_line("GET", path, 404, "ResourceNotFound");
    }
    for (path, hint) in [
        ("/face/v1.2/livenessSessions/abc/result", "detectLiveness-sessions"),
        ("/face/v1.2/session/start", "device"),
        ("/face/v1.2/detectLiveness/singleModal", "device"),
    ] {
        let answer = stage.refuses_line("GET", path, 404, "ResourceNotFound");
        assert!(answer.contains(hint), "{answer}");
    }
    stage.nothing_happened();
}

#[test]
fn methods_that_a_path_does_not_have() {
    let stage = Stage::set();
    for (method, path, allow) in [
        ("PUT", SESSION, "GET, HEAD, DELETE"),
        ("TRACE", SESSION, "GET, HEAD, DELETE"),
        ("OPTIONS", SESSION, "GET, HEAD, DELETE"),
        ("BREW", SESSION, "GET, HEAD, DELETE"),
        ("get", SESSION, "GET, HEAD, DELETE"),
        ("GET", CREATE, "POST"),
        ("DELETE", LIST, "GET, HEAD, POST"),
        ("POST", AUDIT, "GET, HEAD"),
        ("DELETE", "/face/v1.2/sessionImages/abc", "GET, HEAD"),
    ] {
        let answer = stage.refuses_line(method, path, 405, "MethodNotAllowed");
        assert!(answer.contains(&format!("allow: {allow}\r\n")), "{answer}");
    }
    stage.refuses_line("OPTIONS", "*", 404, "ResourceNotFound");
    stage.refuses_line("CONNECT", "gw:443", 404, "ResourceNotFound");
    stage.nothing_happened();
}

#[test]
fn pages_out_of_bounds() {
    let stage = Stage::set();
    let long = format!("start={}", "a".repeat(65));
    for query in [
        "top=0",
        "top=1001",
        "top=-1",
        "top=%2B1",
        "top=+5",
        "top=5.0",
        "top=",
        "top=ten",
        "top=5&top=5",
        "TOP=0",
        "top=99999999999999999999",
        "start=a&start=b",
        "start=%00",
        "start=%ff",
        "start=%0d%0aX:1",
        &long,
    ] {
        stage.refuses_line("GET", &format!("{AUDIT}?{query}"), 400, "BadArgument");
        stage.refuses_line("GET", &format!("{LIST}?{query}"), 400, "BadArgument");
    }
    stage.nothing_happened();
}

/// What is not one request in one meaning: RFC 9112.
#[test]
fn what_is_not_http() {
    let stage = Stage::set();
    let key = format!("Ocp-Apim-Subscription-Key: {TOKEN}\r\n");
    let get = format!("GET {SESSION} HTTP/1.1\r\n");
    for (what, bytes) in [
        ("a Host that is none", format!("{get}Host: a b/c\r\n{key}\r\n")),
        ("a Host with a user", format!("{get}Host: a@b\r\n{key}\r\n")),
        (
            "a coding under the chunks",
            format!("{get}Host: a\r\n{key}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("no Host", format!("{get}{key}\r\n")),
        ("two Hosts", format!("{get}Host: a\r\nHost: a\r\n{key}\r\n")),
        ("a Host that is none", format!("{get}Host: a b/c\r\n{key}\r\n")),
        ("a path in Host", format!("{get}Host: a/face\r\n{key}\r\n")),
        ("a password in Host", format!("{get}Host: a:b@c\r\n{key}\r\n")),
        ("a port in Host that is none", format!("{get}Host: a:99999\r\n{key}\r\n")),
        (
            "a password in the target",
            format!("GET http://u:p@a{SESSION} HTTP/1.1\r\nHost: a\r\n{key}\r\n"),
        ),
        ("another scheme", format!("GET ftp://a{SESSION} HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        (
            "the same length twice",
            format!("{get}Host: a\r\n{key}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("no version", format!("GET {SESSION}\r\nHost: a\r\n{key}\r\n")),
        ("a version nobody has", format!("GET {SESSION} HTTP/3.7\r\nHost: a\r\n{key}\r\n")),
        ("white space before a colon", format!("{get}Host : a\r\n{key}\r\n")),
        ("a folded first line", format!("{get} Host: a\r\n{key}\r\n")),
        ("NUL in a path", format!("GET {CREATE}/a\0 HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        ("a space in a path", format!("GET {CREATE}/a b HTTP/1.1\r\nHost: a\r\n{key}\r\n")),
        ("lines that end with CR", format!("{get}Host: a\r\n{key}").replace('\n', "") + "\r\r"),
        ("a folded line", format!("{get}Host: a\r\n{key}X: a\r\n b\r\n\r\n")),
        ("NUL in a value", format!("{get}Host: a\r\n{key}X: a\0b\r\n\r\n")),
        ("a bare LF in a value", format!("{get}Host: a\r\n{key}X: a\nb\r\n\r\n")),
        ("a bare CR in a value", format!("{get}Host: a\r\n{key}X: a\rb\r\n\r\n")),
        ("a field without a name", format!("{get}Host: a\r\n{key}: b\r\n\r\n")),
        ("a field without a colon", format!("{get}Host: a\r\n{key}nonsense\r\n\r\n")),
        (
            "two lengths",
            format!("{get}Host: a\r\n{key}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
        ("no number for a length", format!("{get}Host: a\r\n{key}Content-Length: +1\r\n\r\na")),
        ("a list of lengths", format!("{get}Host: a\r\n{key}Content-Length: 0, 0\r\n\r\n")),
        ("a coding nobody knows", format!("{get}Host: a\r\n{key}Transfer-Encoding: zip\r\n\r\n")),
        ("a body on a GET", format!("{get}Host: a\r\n{key}Content-Length: 2\r\n\r\n{{}}")),
        (
            "chunks on a GET",
            format!("{get}Host: a\r\n{key}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("TLS on a plain port", "\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0".to_owned() + "\r\n\r\n"),
    ] {
        stage.refuses(what, bytes.as_bytes(), 400, "BadArgument");
    }
    stage.nothing_happened();
}

#[test]
fn what_is_too_much() {
    let stage = Stage::set();
    let padding = format!("X: {}\r\n", "a".repeat(17 << 10));
    let crowd = "X: a\r\n".repeat(101);
    let (long_path, long_query) = ("a".repeat(8_001), "b".repeat(8_001));
    for (what, bytes, status, code) in [
        ("a large head", request("GET", SESSION, &padding), 431, "RequestHeaderFieldsTooLarge"),
        ("many fields", request("GET", SESSION, &crowd), 431, "RequestHeaderFieldsTooLarge"),
        ("a long path", request("GET", &format!("/{long_path}"), ""), 414, "UriTooLong"),
        ("a long query", request("GET", &format!("{SESSION}?{long_query}"), ""), 414, "UriTooLong"),
        (
            "a large body",
            request("POST", CREATE, "Content-Length: 65537\r\n"),
            413,
            "RequestTooLarge",
        ),
    ] {
        stage.refuses(what, bytes.as_bytes(), status, code);
    }
    stage.nothing_happened();
}

#[test]
fn callers_that_nobody_knows() {
    let stage = Stage::set();
    let ask = |lines: &str, target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: gw\r\n{lines}Connection: close\r\n\r\n")
    };
    let by_query = format!("{SESSION}?subscription-key={TOKEN}");
    for (what, bytes) in [
        ("no token", ask("", SESSION)),
        ("an empty token", ask("Ocp-Apim-Subscription-Key:\r\n", SESSION)),
        ("an unknown token", ask("Ocp-Apim-Subscription-Key: guessed\r\n", SESSION)),
        ("a password", ask("Authorization: Basic YTpi\r\n", SESSION)),
        ("a bearer of nothing", ask("Authorization: Bearer \r\n", SESSION)),
        ("a token in the query", ask("", &by_query)),
        (
            "a token in a cookie",
            ask(&format!("Cookie: Ocp-Apim-Subscription-Key={TOKEN}\r\n"), SESSION),
        ),
        ("a stranger and a path that is none", ask("", "/face/v9/none")),
    ] {
        let answer = stage.refuses(what, bytes.as_bytes(), 401, "Unauthorized");
        assert!(answer.contains("www-authenticate: Bearer\r\n"), "{answer}");
    }
    let twice =
        format!("Ocp-Apim-Subscription-Key: {TOKEN}\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n");
    stage.refuses("a token twice", ask(&twice, SESSION).as_bytes(), 400, "BadArgument");
    let reader = "Ocp-Apim-Subscription-Key: reader-token\r\n";
    stage.refuses("a route not granted", ask(reader, AUDIT).as_bytes(), 403, "Forbidden");
    stage.nothing_happened();
}

#[test]
fn what_looks_odd_but_is_right() {
    let stage = Stage::set();
    let key = format!("Ocp-Apim-Subscription-Key: {TOKEN}\r\n");
    for (what, bytes) in [
        ("HTTP/1.0 without Host", format!("GET {SESSION} HTTP/1.0\r\n{key}\r\n")),
        ("a whole URI", request("GET", &format!("http://gw{SESSION}"), "")),
        ("another case", request("GET", &SESSION.to_uppercase(), "")),
        (
            "a bearer token",
            format!(
                "GET {SESSION} HTTP/1.1\r\nHost: a\r\nauthorization: bearer {TOKEN}\r\nConnection: close\r\n\r\n"
            ),
        ),
        ("an unknown query", request("GET", &format!("{SESSION}?top=0&x=%zz"), "")),
        ("a type on a GET", request("GET", SESSION, "Content-Type: application/json\r\n")),
        ("a length of nothing", request("GET", SESSION, "Content-Length: 0\r\n")),
    ] {
        let answer = exchange(stage.gateway.public, bytes.as_bytes());
        assert!(answer.contains("SessionNotFound"), "{what}: {answer:?}");
    }
    let targets = stage.emulator.requests();
    for request in &targets {
        let sent = request["target"].as_str().unwrap();
        assert!(
            sent.eq_ignore_ascii_case(SESSION)
                && sent.starts_with("/face/v1.2/detectLiveness-sessions/"),
            "{sent}"
        );
    }
    assert_eq!(targets.len(), 7);
}

#[test]
fn two_requests_in_one_breath_are_answered_in_order() {
    let stage = Stage::set();
    let first = request("GET", &format!("{CREATE}/a%20b"), "").replace("Connection: close\r\n", "");
    let second = request("GET", SESSION, "");
    let answer = exchange(stage.gateway.public, format!("{first}{second}").as_bytes());
    let (bad, good) = (answer.find("BadArgument"), answer.find("SessionNotFound"));
    assert!(bad.is_some() && bad < good, "{answer}");
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let emulator = Emulator::start();
    let gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .more("[server]\nheader_timeout = \"100ms\"\n")
        .start();
    for beginning in ["", "G", "PRI * HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = TcpStream::connect(gateway.public).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(beginning.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // The gateway ends the connection; the reader's own limit would be an error.
        let ended = stream.read_to_end(&mut rest);
        let reset =
            ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || reset, "{beginning:?}: {ended:?}");
    }
    assert_eq!(Request::get(SESSION).key(TOKEN).send(gateway.public).status, 404);
}
