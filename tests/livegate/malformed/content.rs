//! Content that has no one end: what Azure gets of it is never a whole request, and what stands in it is never one.
//!
//! The beginning is always a whole create, so that whoever took the beginning for all of it would make a session.

use super::{CREATE, SESSION, Stage, exchange, request};
use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, TOKEN};
use crate::support::http::{Connection, Request};

const WISH: &str = r#"{"livenessOperationMode":"Passive","deviceCorrelationId":"phone"}"#;

/// A create with these further lines of head, and all that comes behind the head.
fn create(lines: &str, content: &str) -> String {
    request("POST", CREATE, &format!("Content-Type: application/json\r\n{lines}")) + content
}

fn chunk(content: &str) -> String {
    format!("{:X}\r\n{content}\r\n", content.len())
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn content_that_is_right_makes_a_session() {
    let stage = Stage::set();
    let first = chunk(WISH);
    let length = WISH.len();
    for (what, bytes) in [
        ("a length", create(&format!("Content-Length: {length}\r\n"), WISH)),
        ("chunks", create(CHUNKED, &format!("{first}0\r\n\r\n"))),
        (
            "a name in capitals",
            create("TRANSFER-ENCODING: CHUNKED\r\n", &format!("{first}0\r\n\r\n")),
        ),
        ("an extension", create(CHUNKED, &format!("{first}0;a=\"b\"\r\n\r\n"))),
        ("a trailer", create(CHUNKED, &format!("{first}0\r\nContent-Length: 5\r\n\r\n"))),
        ("white space behind", create(CHUNKED, &format!("{first}{}0\r\n\r\n", chunk(" \n")))),
    ] {
        let answer = exchange(stage.gateway.public, bytes.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer:?}");
    }
    assert_eq!(stage.emulator.requests().len(), 6);
}

#[test]
fn content_that_breaks_off_makes_none() {
    let stage = Stage::set();
    let long_extension = format!("0;{}\r\n\r\n", "a".repeat(20_000));
    let many_trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(3_000));
    for rest in [
        "",
        "0",
        "0\r\n",
        "5\r\n  ",
        "zz\r\n\r\n",
        "-1\r\n\r\n",
        "+0\r\n\r\n",
        "0x0\r\n\r\n",
        "0_0\r\n\r\n",
        " 0\r\n\r\n",
        "\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n\r\n",
        "1\r\n  0\r\n\r\n",
        "0\n\n",
        "0;\n\r\n\r\n",
        "1;\nxx\r\n \r\n0\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        &long_extension,
        &many_trailers,
    ] {
        let bytes = create(CHUNKED, &(chunk(WISH) + rest));
        stage.refuses(&format!("{rest:.40?}"), bytes.as_bytes(), 400, "BadArgument");
    }
    let short = create("Content-Length: 200\r\n", WISH);
    stage.refuses("less than its length", short.as_bytes(), 400, "BadArgument");
    stage.nothing_happened();
}

#[test]
fn codings_that_nobody_undoes() {
    let stage = Stage::set();
    let content = chunk(WISH) + "0\r\n\r\n";
    for lines in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        stage.refuses(lines, create(lines, &content).as_bytes(), 400, "BadArgument");
    }
    let old = create(CHUNKED, &content).replace("HTTP/1.1", "HTTP/1.0");
    stage.refuses("chunks in HTTP/1.0", old.as_bytes(), 400, "BadArgument");
    stage.nothing_happened();
}

/// RFC 9112 §6.3: that ought to be handled as an error, and nothing that stands behind such a request is read any more.
#[test]
fn a_length_and_chunks_together_are_no_request() {
    let stage = Stage::set();
    for lines in [
        "Content-Length: 200\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 200\r\n",
        "content-length:0\r\nX: y\r\nTRANSFER-ENCODING:\tchunked\r\n",
    ] {
        let create = create(lines, &(chunk(WISH) + "0\r\n\r\n"));
        let bytes = create.replace("Connection: close\r\n", "") + &request("GET", SESSION, "");
        let answer = stage.refuses(lines, bytes.as_bytes(), 400, "BadArgument");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        // The same as a second request, in pieces.
        let mut connection = Connection::open(stage.gateway.public);
        connection.send(&Request::get("/nowhere").key(TOKEN));
        for piece in bytes.as_bytes().chunks(9) {
            // It may be refused before all of it is sent.
            drop(connection.write(piece));
        }
        assert_eq!(connection.read().unwrap().status, 400, "{lines}");
        assert!(connection.closed());
    }
    stage.nothing_happened();
}

/// The content of a request that is refused is passed over, or the connection ends; it is never read as a request.
#[test]
fn refused_content_is_no_request() {
    let stage = Stage::set();
    let hidden = request("DELETE", SESSION, "").replace("Connection: close\r\n", "");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let stranger = |request: String| request.replace(TOKEN, "nobody");
    for (what, first, status) in [
        ("a body on a GET", request("GET", SESSION, &length), 400),
        ("no such path", request("POST", "/nowhere", &length), 404),
        ("no such method", request("PUT", SESSION, &length), 405),
        ("a stranger", stranger(request("POST", CREATE, &length)), 401),
        ("too long", request("POST", CREATE, "Content-Length: 70000\r\n"), 413),
    ] {
        let first = first.replace("Connection: close\r\n", "");
        let last = request("GET", &format!("{CREATE}/a%20b"), "");
        let answer = exchange(stage.gateway.public, format!("{first}{hidden}{last}").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        let told = answer.matches("HTTP/1.1 ").count();
        let second = answer.matches("A session id has").count();
        assert!(told == 1 || (told == 2 && second == 1), "{what}: {answer}");
    }
    stage.nothing_happened();
}

/// Content whose length nobody told can only be stopped on its way.
#[test]
fn content_that_turns_out_too_long_makes_none() {
    let stage = Stage::set();
    let spaces = chunk(&" ".repeat(4096)).repeat(20);
    let bytes = create(CHUNKED, &format!("{}{spaces}0\r\n\r\n", chunk(WISH)));
    stage.refuses("content that grows", bytes.as_bytes(), 413, "RequestTooLarge");
    stage.nothing_happened();
}

#[test]
fn content_that_does_not_come_is_not_waited_for() {
    let emulator = Emulator::start();
    let gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .more("[server]\nstream_timeout = \"300ms\"\n")
        .start();
    let stage = Stage { emulator, gateway };
    for bytes in [create("Content-Length: 200\r\n", WISH), create(CHUNKED, &chunk(WISH))] {
        let mut connection = Connection::open(stage.gateway.public);
        connection.write(bytes.as_bytes()).unwrap();
        let answer = connection.read().unwrap();
        assert_eq!((answer.status, answer.error_code().as_str()), (408, "RequestTimeout"));
        assert!(connection.closed());
    }
    stage.nothing_happened();
}
