//! The same over HTTP/2, frame by frame: RFC 9113 §8 says what a request is, and what is none reaches nobody.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::{CREATE, SESSION, Stage};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS,
    frame, literal,
};
use crate::support::gateway::TOKEN;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The stream or the connection was ended without an answer.
    Ended,
    /// The `error.code` of an answer's content.
    Told(String),
    /// An answer that holds no error.
    Bare,
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Sends one request, with content where there is some, and reads what becomes of it.
fn ask(address: SocketAddr, fields: &[(&str, &str)], content: Option<&str>) -> Outcome {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let mut pieces = block.chunks(16_000).peekable();
    let mut bytes = [PREFACE, SETTINGS].concat();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let whole = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let last = if kind == HEADERS && content.is_none() { END_STREAM } else { 0 };
        bytes.extend(frame(kind, whole | last, piece));
        kind = CONTINUATION;
    }
    if let Some(content) = content {
        bytes.extend(frame(DATA, END_STREAM, content.as_bytes()));
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The gateway may have ended the connection before all was sent.
    drop(stream.write_all(&bytes));
    outcome(&mut stream)
}

fn outcome(stream: &mut TcpStream) -> Outcome {
    let (mut answered, mut content) = (false, Vec::new());
    loop {
        let mut head = [0; 9];
        if let Err(error) = stream.read_exact(&mut head) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it hangs");
            return Outcome::Ended;
        }
        let [a, b, c, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).unwrap();
        match kind {
            HEADERS => answered = true,
            DATA => content.extend(payload),
            RST_STREAM | GOAWAY => return Outcome::Ended,
            _ => continue,
        }
        if flags & END_STREAM != 0 {
            assert!(answered);
            let content: Option<Value> = serde_json::from_slice(&content).ok();
            let code =
                content.and_then(|content| Some(content["error"]["code"].as_str()?.to_owned()));
            return code.map_or(Outcome::Bare, Outcome::Told);
        }
    }
}

/// A good request for this path, without its token.
fn open<'a>(method: &'a str, path: &'a str) -> Fields<'a> {
    vec![(":method", method), (":scheme", "http"), (":authority", "gw"), (":path", path)]
}

fn get() -> Fields<'static> {
    let mut fields = open("GET", SESSION);
    fields.push(("ocp-apim-subscription-key", TOKEN));
    fields
}

fn with<'a>(mut fields: Fields<'a>, more: &[(&'a str, &'a str)]) -> Fields<'a> {
    fields.extend(more);
    fields
}

/// With another value for a field, or without it.
fn but<'a>(fields: Fields<'a>, name: &str, value: Option<&'a str>) -> Fields<'a> {
    let changed = |(field, old): (&'a str, &'a str)| match value {
        _ if field != name => Some((field, old)),
        Some(value) => Some((field, value)),
        None => None,
    };
    fields.into_iter().filter_map(changed).collect()
}

#[test]
fn what_is_no_request_of_http_2() {
    let stage = Stage::set();
    let path = |path| but(get(), ":path", Some(path));
    let (absolute, spaced) = (format!("http://gw{SESSION}"), format!("{SESSION} b"));
    let injected = format!("{SESSION} HTTP/1.1\r\nX: y");
    let mut late = get();
    late.swap(3, 4);
    for (what, fields) in [
        ("Connection", with(get(), &[("connection", "close")])),
        ("Transfer-Encoding", with(get(), &[("transfer-encoding", "chunked")])),
        ("Upgrade", with(get(), &[("upgrade", "websocket")])),
        ("TE that is not trailers", with(get(), &[("te", "gzip")])),
        ("a capital in a name", with(get(), &[("X-Upper", "a")])),
        ("a colon in a name", with(get(), &[("x:y", "a")])),
        ("a name of nothing", with(get(), &[("", "a")])),
        ("a line break in a value", with(get(), &[("x", "a\r\nb: c")])),
        ("NUL in a value", with(get(), &[("x", "a\0b")])),
        ("no path", but(get(), ":path", None)),
        ("an empty path", path("")),
        ("two paths", with(open("GET", "/x"), &get()[3..])),
        ("a whole URI for a path", path(&absolute)),
        ("a path that does not begin with a slash", path(SESSION.trim_start_matches('/'))),
        ("a space in a path", path(&spaced)),
        ("a second line in a path", path(&injected)),
        ("no method", but(get(), ":method", None)),
        ("a method that is none", but(get(), ":method", Some("G T"))),
        ("a path that comes late", late),
        ("a field nobody defined", with(vec![(":unknown", "x")], &get())),
        (
            "another protocol",
            with(but(get(), ":method", Some("CONNECT")), &[(":protocol", "websocket")]),
        ),
    ] {
        assert_eq!(ask(stage.gateway.public, &fields, None), Outcome::Ended, "{what}");
    }
    stage.nothing_happened();
}

#[test]
fn a_length_that_is_not_that_of_the_content() {
    let stage = Stage::set();
    let wish = r#"{"livenessOperationMode":"Passive","deviceCorrelationId":"phone"}"#;
    let create = |lengths: &[&'static str]| {
        let mut fields = open("POST", CREATE);
        fields.push(("ocp-apim-subscription-key", TOKEN));
        fields.push(("content-type", "application/json"));
        fields.extend(lengths.iter().map(|length| ("content-length", *length)));
        ask(stage.gateway.public, &fields, Some(wish))
    };
    for lengths in [&["200"][..], &["10"], &["+65"], &["1", "2"], &["70000"]] {
        assert_eq!(create(lengths), Outcome::Ended, "{lengths:?}");
    }
    stage.nothing_happened();
    // The content itself is right.
    assert_eq!(wish.len(), 65);
    assert_eq!(create(&["65"]), Outcome::Bare);
    assert_eq!(stage.emulator.requests().pop().unwrap()["status"], 200);
}

#[test]
fn requests_that_are_refused() {
    let stage = Stage::set();
    let path = |path| but(get(), ":path", Some(path));
    let long = "/a".repeat(4_001);
    let crowd = with(get(), &[("x", "a"); 101]);
    let key = ("ocp-apim-subscription-key", TOKEN);
    let bad_id = format!("{SESSION}%2F");
    let connect = vec![(":method", "CONNECT"), (":authority", "gw:443"), key];
    for (what, fields, content, code) in [
        ("two Hosts", with(get(), &[("host", "a"), ("host", "a")]), None, "BadArgument"),
        ("a Host that is none", with(get(), &[("host", "a b/c")]), None, "BadArgument"),
        ("content of a GET", get(), Some("{}"), "BadArgument"),
        ("content of a GET whose length nobody tells", get(), Some(""), "BadArgument"),
        ("a bad id", path(&bad_id), None, "BadArgument"),
        ("a star", path("*"), None, "ResourceNotFound"),
        ("CONNECT", connect, None, "ResourceNotFound"),
        (
            "a method that a path has not",
            but(get(), ":method", Some("PUT")),
            None,
            "MethodNotAllowed",
        ),
        ("a long path", path(&long), None, "UriTooLong"),
        ("many fields", crowd, None, "RequestHeaderFieldsTooLarge"),
        ("no token", open("GET", SESSION), None, "Unauthorized"),
        ("a token twice", with(get(), &[key]), None, "BadArgument"),
    ] {
        let told = ask(stage.gateway.public, &fields, content);
        assert_eq!(told, Outcome::Told(code.to_owned()), "{what}");
    }
    stage.nothing_happened();
}

/// The HTTP library answers this one by itself, without content or not at all.
#[test]
fn a_head_that_is_too_large() {
    let stage = Stage::set();
    let (large, huge) = ("a".repeat(20_000), "a".repeat(200_000));
    for value in [&large, &huge] {
        let outcome = ask(stage.gateway.public, &with(get(), &[("x", value)]), None);
        assert!([Outcome::Bare, Outcome::Ended].contains(&outcome), "{outcome:?}");
    }
    stage.nothing_happened();
}

#[test]
fn what_looks_odd_in_http_2_but_is_right() {
    let stage = Stage::set();
    let long_value = "a".repeat(4_000);
    for (what, fields, content) in [
        ("nothing odd", get(), None),
        ("TE of trailers", with(get(), &[("te", "trailers")]), None),
        ("a Host beside the authority", with(get(), &[("host", "gw")]), None),
        (
            "a Host instead of the authority",
            with(but(get(), ":authority", None), &[("host", "gw")]),
            None,
        ),
        ("a length of nothing", with(get(), &[("content-length", "0")]), None),
        // Some clients tell late that there is nothing more.
        ("a length of nothing, and its end", with(get(), &[("content-length", "0")]), Some("")),
        ("a long value", with(get(), &[("x", &long_value)]), None),
    ] {
        let told = ask(stage.gateway.public, &fields, content);
        assert_eq!(told, Outcome::Told("SessionNotFound".to_owned()), "{what}");
    }
    let delete = but(get(), ":method", Some("DELETE"));
    let told = ask(stage.gateway.public, &with(delete, &[("content-length", "0")]), Some(""));
    assert_eq!(told, Outcome::Told("SessionNotFound".to_owned()));
    let sent = stage.emulator.requests();
    assert_eq!(sent.len(), 8);
    assert!(sent.iter().all(|request| request["target"] == SESSION), "{sent:?}");
}
